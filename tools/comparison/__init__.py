"""What stands behind ``pcgen compare``: a study, its rows, and its page.

================== =============================================================================
:mod:`.study`      rows with all that they depend on
:mod:`.study_file` the file that lists them, multiplied out
:mod:`.events`     the files that rows read
:mod:`.folder`     what a comparison keeps, and what it refuses to mix
:mod:`.workers`    rows in processes of their own, here or on Dask
:mod:`.trial`      one row: plan, train, generate, judge
:mod:`.budget`     CPU-seconds of training, and how many steps they pay for
:mod:`.results`    rows that are done; medians and quartiles over their seeds
:mod:`.questions`  what was expected, and what the rows answer
:mod:`.page`       the report, with its :mod:`.tables` and :mod:`.figures`
================== =============================================================================
"""
