"""The study behind ``pcgen compare``: representations and objectives on the same events.

======================= ========================================================================
:mod:`.rows`            what is trained once: network, objective, resolution, seed
:mod:`.spine`           the table of networks and objectives, and what it leaves out
:mod:`.study`           the settings that all rows share; the profiles
:mod:`.events`          the same events for everybody, and the grid that all are judged on
:mod:`.scores`          two sets of events on one footing become numbers
:mod:`.clock`           CPU-seconds of training, apart from those of validation
:mod:`.curves`          learning curves: their steps, their points, what converged means
:mod:`.trial`           one row: plan, train, sample, judge
:mod:`.dead_channels`   rows of another kind: a regression whose cells die
:mod:`.floors`          rows without a model: truth against truth
:mod:`.worker`          one row in a process of its own
:mod:`.fleet`           many rows, in several processes
:mod:`.cluster`         many rows, on a Dask cluster
:mod:`.results`         rows that are done; medians and quartiles over their seeds
:mod:`.expectations`    what was expected before any row was run, and what the rows say
:mod:`.page`            the report, with its :mod:`.tables` and :mod:`.figures`
======================= ========================================================================
"""
