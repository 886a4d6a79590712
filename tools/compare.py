"""``pcgen compare``: the rows of a study, trained and judged alike, and its page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcgen.bounds import PROCESSES, REPEATS
from pcgen.errors import ArgumentError, at_least, require

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from pcgen.tools.comparison.study import Row, Study
    from pcgen.tools.comparison.workers import Job


def compare(
    study: str,
    *,
    output: str | None = None,
    only: list[str] | None = None,
    seeds: int | None = None,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    processes: int = 2,
    dask: str | None = None,
    keep_runs: bool = False,
    page: bool = False,
    report: str | None = None,
    progress: bool = True,
) -> None:
    """Train the rows of a study, judge them alike, and write its table, figures, numbers and page.

    A study is a YAML file (docs/studies.md): rows (recipes with options), data, budget, protocol
    and grid, questions with what is expected, and labels. Each row is trained as by pcgen train, in
    a process of its own, and judged as by pcgen evaluate. Rows that are done are not done again, an
    interrupted one goes on at its last checkpoint: the same command on the same folder. The page
    (report.md; in report/ its figures, rows.csv, curves.csv and floors.csv) has medians and
    quartiles over seeds beside what real events score; rows that are not converged are marked.

    Args:
        study: File of the study, its folder (with study.yaml in it), or the name of one that comes
            with the source.
        output: Folder of the comparison, results/STUDY by default.
        only: Rows to do, by patterns of their names: flow_* say.
        seeds: Number of seeds of each row, where the study does not give a row its own,
        seed: and the first of them; the next is greater by 1.
        settings: Settings of the study to change, events=100 budget.steps=50 say; files in
            data.files are those of the current folder.
        processes: Rows at a time on this machine.
        dask: Do the rows on the workers of a Dask cluster, which see the folder under the same
            path: the address of its scheduler, or local:N for N workers of this machine.
        keep_runs: Keep checkpoints and logs of rows that are done; each is a run of pcgen train.
        page: Write the page of all rows that are done, and do no others.
        report: Page to write instead of report.md in the folder of the comparison, docs/NAME.md
            say; figures and numbers then go to docs/NAME.
        progress: Draw a progress bar.

    Raises:
        ArgumentError: the study or an option cannot be used, or rows have other settings.
        DataError: no row is done.
        FileError: a file cannot be read, or the folder is not a comparison or cannot be written.
        MissingExtraError: a cluster is given and Dask is not installed.
    """
    where = None if report is None else Path(report)
    if where is not None and not where.suffix:
        raise ArgumentError(f"report: got {report}, expected a file, {report}.md say")
    PROCESSES.allow(processes=processes)
    REPEATS.allow(seeds=seeds)
    at_least(0, seed=seed)
    if page and (only is not None or dask is not None):
        raise ArgumentError(
            "page: got only or dask too, expected the page of all rows that are done"
        )

    from pcgen.io import check_output
    from pcgen.io.atomic import output_folder
    from pcgen.tools.comparison import folder as folders
    from pcgen.tools.comparison import page as pages
    from pcgen.tools.comparison import results, study_file, trial, workers
    from pcgen.tools.comparison.study import use_modules

    if where is not None:
        with output_folder(where.parent):  # the page makes it
            check_output(where)
    found = study_file.read(study, settings, seeds)
    use_modules(found.file.parent)
    name = found.file.parent.name if found.file.stem == "study" else found.file.stem
    folder = Path(f"results/{name}" if output is None else output)
    if page:
        print(f"written: {pages.write(folder, found, folders.read(folder), where)}")
        return
    if dask is not None:
        require("distributed", "dask")
    rows = found.chosen(only, seed)
    for row in rows:
        study_file.check(row)
    jobs = _jobs(found, rows, folder)
    start = time.monotonic()
    print(f"{len(jobs)} rows, in {folder}")
    workers.run(jobs, processes=processes, dask=dask, progress=progress)
    if not keep_runs:
        for job in jobs:
            trial.forget(job.run)
    written = pages.write(folder, found, folders.read(folder), where)
    print(f"written: {written} ({time.monotonic() - start:.0f} s)")
    wanted = {row.name for row in rows}
    stored = results.read(folder, list(found.factors))
    failed = [r for r in stored if r.status == "failed" and r.name in wanted]
    for each in failed:
        print(f"failed: {each.name} ({each.values['reason']})")
    if failed:
        print(f"to do them again, delete their files in {folder / 'rows'} and repeat the command")


def _jobs(study: Study, rows: Sequence[Row], folder: Path) -> list[Job]:
    """The rows to do, in a folder that is a comparison from now on.

    Raises:
        PcgenError: their events cannot be read, or the folder or one of them has other settings.
    """
    from pcgen.io.atomic import make_folder
    from pcgen.tools.comparison import events, trial
    from pcgen.tools.comparison import folder as folders
    from pcgen.tools.comparison.workers import Job

    every = {repr(row.data): row.data for row in (*study.rows, *rows)}
    placed = {key: events.find(data) for key, data in every.items()}
    digests = dict.fromkeys(digest for each in placed.values() for digest in each.digests)
    folder = make_folder(folder).resolve()
    folders.claim(folder, study.shared(list(digests)))
    chosen = {repr(row.data): row.data for row in rows}
    ready = {k: events.copied(placed[k], data, folder / "data") for k, data in chosen.items()}
    jobs = []
    for row in rows:
        own = ready[repr(row.data)]
        job = Job(row, own.files, own.digests, folder, study.file.parent)
        for file in (job.result, trial.plan_file(job.run)):
            folders.check(file, row.settings(job.digests))
        jobs.append(job)
    return jobs
