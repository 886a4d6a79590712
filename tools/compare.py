"""``pcgen compare``: representations and objectives on the same events, with the same budget."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pcgen.errors import ArgumentError, require
from pcgen.tools.evaluate import make_folder

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from pcgen.tools.comparison.rows import Row
    from pcgen.tools.comparison.study import Profile, Study
    from pcgen.tools.comparison.worker import Run


def compare(
    output: str = "results/compare",
    *,
    profile: Literal["quick", "full"] = "quick",
    networks: list[str] | None = None,
    objectives: list[str] | None = None,
    resolutions: list[int] | None = None,
    seeds: int | None = None,
    seed: int = 0,
    budget: float | None = None,
    steps: int | None = None,
    data: list[str] | None = None,
    max_points: int | None = None,
    batch_size: int = 64,
    events: int | None = None,
    validate_events: int = 200,
    neighbours: int = 150,
    processes: int = 2,
    scheduler: str | None = None,
    keep_runs: bool = False,
    only_report: bool = False,
    report: str | None = None,
    progress: bool = True,
) -> None:
    """Train many networks on the same events with the same budget, and write one report.

    A row is one network on one objective at one resolution with one seed, in a process of its own.
    Rows that are done are not done again, an interrupted one goes on at its last checkpoint: the
    same command on the same folder. The report (report.md; in report/ its figures, rows.csv,
    curves.csv and floors.csv) has medians and quartiles over seeds beside truth against truth; rows
    that are not converged are marked, and support no conclusion.

    Args:
        output: Folder of the comparison.
        profile: Rows to do: quick takes less than an hour on two cores, full some hours.
        networks: Networks instead of those of the profile.
        objectives: Objectives instead of all: gan, vae, flow, dead-channels. The last is no
            generator, but a regression that is tested with more dead cells than in training.
        resolutions: Cells along each axis: all networks are trained at the first, one of each
            representation at the others.
        seeds: Number of seeds of each row,
        seed: and the first of them; the next is greater by 1.
        budget: CPU-seconds of training of each row.
        steps: Length of each row's training, instead of a budget.
        data: Files of jets; by default those that ship with pcgen.
        max_points: Keep that many particles of each jet, the hardest.
        batch_size: Events in a batch.
        events: Generated events that a row is judged by.
        validate_events: Events of each point of a learning curve.
        neighbours: Events on each side of the 1-NN accuracy.
        processes: Rows at a time on this machine.
        scheduler: Address of a Dask scheduler whose workers do the rows; they need the same folder
            under the same path.
        keep_runs: Keep checkpoints and logs of rows that are done.
        only_report: Write the report of the rows that are done, and do no others.
        report: Page to write instead of report.md in the folder of the comparison, docs/NAME.md
            say; figures and numbers then go to docs/NAME.
        progress: Draw a progress bar.

    Raises:
        ArgumentError: an option cannot be used, or the folder was begun with other settings.
        DataError: the events are no jets, or no row is done.
        FileError: a file cannot be read, or the folder is not a comparison or cannot be written.
        MissingExtraError: a scheduler is given and Dask is not installed.
    """
    from pcgen.datasets.jets import SAMPLE
    from pcgen.datasets.loading import open_clouds
    from pcgen.tools.comparison import fleet, page, results, trial
    from pcgen.tools.comparison.study import PROFILES, Study, claim, read
    from pcgen.tools.comparison.worker import Job

    where = None if report is None else Path(report)
    if where is not None and not where.suffix:
        raise ArgumentError(f"report: got {report}, expected a file, {report}.md say")
    if only_report:
        print(f"written: {page.write(Path(output), read(Path(output)), where)}")
        return
    if processes < 1:
        raise ArgumentError(f"processes: got {processes}, expected >= 1")
    if budget is not None and steps is not None:
        raise ArgumentError(f"budget, steps: got {budget} and {steps}, expected one of them")
    if scheduler is not None:
        require("distributed", "dask")
    chosen = PROFILES[profile]
    files = [str(Path(path).resolve()) for path in data or [str(SAMPLE)]]
    study = Study(
        data=tuple(files),
        max_points=max_points,
        budget=chosen.budget if budget is None and steps is None else budget,
        steps=steps,
        batch_size=batch_size,
        events=chosen.events if events is None else events,
        validate_events=validate_events,
        neighbours=neighbours,
        digests=tuple(open_clouds(files, "all").digests()),
    )
    requested = _rows(chosen, networks, objectives, resolutions, seeds)
    rows = [replace(row, seed=seed + row.seed) for row in requested]
    folder = make_folder(output).resolve()
    claim(folder, study)
    jobs = [Job(row, study, folder, _runner(row)) for row in rows]
    start = time.monotonic()
    print(f"{len(jobs)} rows, in {output}")
    fleet.run(jobs, processes=processes, scheduler=scheduler, progress=progress)
    if not keep_runs:
        for job in jobs:
            trial.forget(folder / "runs" / job.row.name)
    print(f"written: {page.write(folder, study, where)} ({time.monotonic() - start:.0f} s)")
    wanted = {row.name for row in rows}
    failed = [r for r in results.read(folder) if r.status == "failed" and r.row.name in wanted]
    for each in failed:
        print(f"failed: {each.row.name} ({each.values['reason']})")
    if failed:
        print(f"to do them again, delete their files in {folder / 'rows'} and repeat the command")


def _rows(
    profile: Profile,
    networks: list[str] | None,
    objectives: list[str] | None,
    resolutions: list[int] | None,
    seeds: int | None,
) -> list[Row]:
    """Floors first, they are quick; then seed by seed."""
    from pcgen.tools.comparison import dead_channels, floors
    from pcgen.tools.comparison.expectations import DEAD, MAIN
    from pcgen.tools.comparison.rows import grid_of
    from pcgen.tools.comparison.spine import AXIS, OBJECTIVES, SPINE

    cells = resolutions or list(profile.resolutions)
    number = profile.seeds if seeds is None else seeds
    requested = objectives or [*OBJECTIVES, DEAD]
    generators = [name for name in requested if name != DEAD]
    rows = floors.rows(cells, profile.floors) if generators else []
    if generators:
        rows += grid_of(
            MAIN,
            SPINE,
            networks=networks or profile.networks or list(SPINE),
            objectives=generators,
            resolutions=cells,
            axis=AXIS,
            seeds=number,
        )
    known = list(dead_channels.NETWORKS)
    nets = [name for name in networks or profile.dead or known if name in known]
    if DEAD in requested and nets:
        table = {name: {DEAD: None} for name in nets}
        rows += grid_of(
            DEAD,
            table,
            networks=nets,
            objectives=[DEAD],
            resolutions=cells[:1],
            axis=(),
            seeds=number,
        )
    if not rows:
        raise ArgumentError(
            f"networks: got {', '.join(networks or [])} for {DEAD}, expected some of "
            f"{', '.join(known)}"
        )
    return rows


def _runner(row: Row) -> Run:
    from pcgen.tools.comparison import floors, trial
    from pcgen.tools.comparison.expectations import MAIN

    runners: dict[str, Run] = {MAIN: trial.run, floors.SPINE: floors.run}
    return runners.get(row.spine, with_dead_channels)


def with_dead_channels(row: Row, study: Study, folder: Path) -> dict[str, Any]:
    """A row of the study of dead channels."""
    from pcgen.tools.comparison import dead_channels

    return dead_channels.run(
        row.network,
        row.resolution,
        row.seed,
        budget=study.budget or 0.0,
        steps=study.steps,
        data=study.data,
        batch_size=study.batch_size,
    )
