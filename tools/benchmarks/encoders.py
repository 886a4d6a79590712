"""Encoders of point sets compared in the VAE and the latent GAN, at equal steps and equal cost.

Every run is an ordinary run of ``pcgen train`` on the training split of the shipped jets, on one
thread, and is judged by the protocol ``pcgen`` on the test split beside its floor. *Equal steps*
trains every encoder for the same number of steps; *equal CPU-seconds* for as long as the slowest of
them took for those. CPU-seconds are those of the whole command but for what is compiled at a first
start, which a short run before pays.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from pcgen.tools.benchmarks import markdown as md
from pcgen.tools.benchmarks.measure import Limits

ENCODERS = ("epic", "pointnet", "edgeconv", "attention")
METHODS = {"VAE": ("points-vae", 1), "latent GAN": ("points-latent-gan", 2)}
"""Recipe, and stages: a latent GAN trains its autoencoder for half of its steps."""

OPTIONS = {"rescale": True, "reconstruction": "spectral"}
"""Those of the demo's generators."""

SCORES = ("W1 mass", "W1 leading", "W1 tau21", "FPD", "AUC", "1-NNA-EMD")


class Run(NamedTuple):
    """One training as plain values, which a process of its own can take."""

    method: str
    encoder: str
    seed: int
    steps: int
    batch_size: int
    hidden: int
    events: int


class Result(NamedTuple):
    """CPU-seconds of the training, and value and floor of each score."""

    seconds: float
    scores: dict[str, tuple[float, float]]


def section(limits: Limits, quick: bool, report: Callable[[str], None]) -> str:
    """Both comparisons, as two tables."""
    seeds, steps, events = (1, 4, 60) if quick else (3, 400, 1000)
    batch_size, hidden = (16, 8) if quick else (64, 64)
    first = [
        Run(method, encoder, seed, steps * stages, batch_size, hidden, events)
        for seed in range(seeds)
        for method, (_, stages) in METHODS.items()
        for encoder in ENCODERS
    ]
    equal = _measured(first, report)
    longer = [_as_long_as_the_slowest(run, equal) for run in first]
    cost = equal | _measured([run for run in longer if run not in equal], report)
    return "\n\n".join(
        [
            "## Encoders",
            f"The demo's generators (`--rescale --reconstruction spectral`) with each encoder; "
            f"{seeds} seeds, batches of {batch_size} jets, width {hidden}, one thread each; median "
            f"(smallest to largest) over the seeds, {events} generated jets. `floor` compares "
            "real jets with real ones. A latent GAN has twice the steps of a VAE, half of them for "
            "its autoencoder.",
            f"Equal steps, {steps} for the VAE:",
            _table(first, equal),
            "Equal CPU-seconds, those of the slowest encoder above:",
            _table(longer, cost),
        ]
    )


def train_and_judge(run: Run) -> Result:
    """Train on one thread, and compare as many generated jets with the test split."""
    import torch

    import pcgen
    from pcgen import metrics
    from pcgen.datasets.jets import sample_jets
    from pcgen.metrics import protocols

    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        _train(run, Path(folder) / "run")
        seconds = time.process_time() - start
        model = pcgen.load(Path(folder) / "run")
    real = sample_jets("test")
    generator = torch.Generator().manual_seed(run.seed)
    protocol = protocols.pcgen(real.schema, subset=60)
    evaluation = metrics.evaluate(
        real.load(),
        model.sample(number=run.events, generator=generator),
        real.schema,
        protocol=protocol,
        permutations=0,
        seed=run.seed,
    )
    scores = {score.name: (score.value, score.floor) for score in evaluation.scores}
    return Result(seconds, {name: scores[name] for name in SCORES})


def _train(run: Run, folder: Path) -> None:
    from pcgen.tools.train import train

    train(
        METHODS[run.method][0],
        {"encoder": run.encoder, "hidden": run.hidden, **OPTIONS},
        output=str(folder),
        steps=run.steps,
        batch_size=run.batch_size,
        seed=run.seed,
        accelerator="cpu",
        validate_every=run.steps,
        validate_events=100,
        samples=0,
        progress=False,
    )


def _warm_up() -> None:
    """One thread for this process, and a step of every network, so that all kernels are there."""
    import torch

    torch.set_num_threads(1)
    for method in METHODS:
        for encoder in ENCODERS:
            with tempfile.TemporaryDirectory() as folder:
                _train(Run(method, encoder, 0, 2, 16, 8, 0), Path(folder) / "run")


def _measured(runs: list[Run], report: Callable[[str], None]) -> dict[Run, Result]:
    """Two runs at a time, where there are two cores, in processes of their own."""
    workers = min(2, os.cpu_count() or 1)
    found: dict[Run, Result] = {}
    spawn = get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, initializer=_warm_up) as pool:
        for run, result in zip(runs, pool.map(train_and_judge, runs), strict=True):
            found[run] = result
            mass = result.scores["W1 mass"][0]
            report(
                f"{run.method}, {run.encoder}, seed {run.seed}, {run.steps} steps: "
                f"{result.seconds:.0f} s, W1 mass {mass:.3g}"
            )
    return found


def _as_long_as_the_slowest(run: Run, equal: dict[Run, Result]) -> Run:
    """The run with as many steps as fit the CPU-seconds of the slowest encoder of its method."""
    of_method = [r for r in equal if (r.method, r.seed) == (run.method, run.seed)]
    longest = max(equal[r].seconds for r in of_method)
    return run._replace(steps=max(round(run.steps * longest / equal[run].seconds), run.steps))


def _table(runs: list[Run], results: dict[Run, Result]) -> str:
    return md.table(["", "encoder", "steps", "CPU [s]", *SCORES], list(_rows(runs, results)))


def _rows(runs: list[Run], results: dict[Run, Result]) -> Iterator[list[str]]:
    for method in METHODS:
        for encoder in ENCODERS:
            these = [r for r in runs if (r.method, r.encoder) == (method, encoder)]
            steps = [float(r.steps) for r in these]
            seconds = [results[r].seconds for r in these]
            values = [[results[r].scores[name][0] for r in these] for name in SCORES]
            yield [method, encoder, *map(_spread, [steps, seconds, *values])]
        every: list[Any] = [results[r] for r in runs if r.method == method]
        floors = [[result.scores[name][1] for result in every] for name in SCORES]
        yield [method, "floor", "", "", *map(_spread, floors)]


def _spread(values: list[float]) -> str:
    """Median, and the range where there are several.

    >>> _spread([3.0, 1.0, 2.0]), _spread([2.0, 2.0])
    ('2.00 (1.00 to 3.00)', '2.00')
    """
    low, middle, high = (md.number(f(values)) for f in (min, statistics.median, max))
    return middle if low == high else f"{middle} ({low} to {high})"
