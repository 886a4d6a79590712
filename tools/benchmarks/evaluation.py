"""The scores of jets beside jetnet's and energyflow's, on the same toy jets."""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen import metrics
from pcgen.metrics.samples import Estimate
from pcgen.schema import Quantity, Schema
from pcgen.tools.benchmarks import markdown as md
from pcgen.tools.benchmarks.measure import Limits

JETS = Schema(
    (Quantity("eta_rel"), Quantity("phi_rel", "rad", 2 * math.pi)), weight=Quantity("pt_rel")
)
Steps = dict[str, tuple[float, float]]
"""Seconds and value of each step."""


def section(limits: Limits, quick: bool, report: Callable[[str], None]) -> str:
    """All distribution metrics of two sets of 50,000 jets of 30 particles."""
    number = 200 if quick else 50_000
    jets = [toy_jets(number, 30, seed) for seed in (1, 2)]
    peer = _peer(jets, limits, report)
    ours = _ours([clouds(side).to(limits.device) for side in jets], number, report)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 2**30
    rows = []
    for name, (seconds, value) in ours.items():
        row = [name, md.number(seconds), f"{value:.4g}"]
        if name in peer:
            row += [md.number(peer[name][0]), f"{peer[name][1]:.4g}"]
            row += [f"{peer[name][0] / seconds:.3g}"]
        rows.append([*row, *[""] * (6 - len(row))])
    total = [sum(s for s, _ in steps.values()) for steps in (ours, peer)]
    both = [md.number(total[1]), "", f"{total[1] / total[0]:.3g}"] if peer else [""] * 3
    rows.append(["sum", md.number(total[0]), "", *both])
    return "\n\n".join(
        [
            "## Scores of jets",
            f"Two sets of {number} toy jets of 30 particles; W1 of 5 batches of as many jets, FPD "
            "and KPD with jetnet's settings and draws. jetnet's polynomials are energyflow's, on "
            "all cores. W1M, W1P and W1EFP are drawn with other seeds.",
            md.table(["", "pcgen [s]", "value", "jetnet [s]", "value", "ratio"], rows),
            f"Peak memory of the process: {memory:.1f} GiB.",
            "" if peer else "jetnet was not run: no Python that has it was given (`--peers`).",
        ]
    ).strip()


def toy_jets(number: int, particles: int, seed: int) -> NDArray[np.float32]:
    """Jets by formula [number, particles, 3]: η, φ and p_T relative to the jet."""
    random = np.random.default_rng(seed)
    pt = random.exponential(1.0, (number, particles))
    pt /= pt.sum(1, keepdims=True)
    spread = random.uniform(0.5, 2, (number, 1, 1))
    pos = random.normal(0, 0.1, (number, particles, 2)) * spread
    return np.concatenate([pos, pt[..., None]], 2).astype(np.float32)


def clouds(jets: NDArray[np.float32]) -> Batch:
    """The same jets as clouds."""
    number, particles, _ = jets.shape
    rows = torch.from_numpy(jets).reshape(-1, 3)
    return pc.make(rows[:, :2].contiguous(), [particles] * number, weight=rows[:, 2].contiguous())


def _ours(jets: list[Batch], number: int, report: Callable[[str], None]) -> Steps:
    steps: Steps = {}

    def timed(name: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        result = function(*arguments, **options)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        steps[name] = (seconds, _mean(result))
        report(f"{name}: {seconds:.3g} s")
        return result

    # Compiled before the clock runs.
    metrics.jets.energy_flow_polynomials(pc.select(jets[0], slice(8)))
    metrics.jets.w1m(*jets, events=10, batches=2)
    features = timed(
        "EFP, 36 of both sets",
        lambda: [metrics.jets.energy_flow_polynomials(side) for side in jets],
    )
    timed("W1M", metrics.jets.w1m, *jets, events=number)
    timed("W1P", metrics.jets.w1p, *jets, events=number)
    timed("W1EFP", metrics.jets.w1efp, *jets, events=number)
    real, generated = features
    least = number * 2 // 5
    timed(
        "FPD",
        metrics.scores.frechet_physics_distance,
        real,
        generated,
        smallest=least,
        largest=number,
    )
    timed("KPD", metrics.scores.kernel_physics_distance, real, generated, batch=number // 10)
    timed("observables", lambda: [_masses(side) for side in jets])
    return steps


def _mean(result: Any) -> float:
    """One number of what a step returned: an estimate, several, or tensors."""
    if isinstance(result, Estimate):
        return result.value
    return float(np.mean([_mean(r) if not torch.is_tensor(r) else r.mean() for r in result]))


def _masses(side: Batch) -> torch.Tensor:
    """All observables are computed; the mass is compared with jetnet's."""
    values = metrics.observables(side, JETS)
    return next(value for quantity, value in values.items() if quantity.name == "mass")


def _peer(jets: list[NDArray[np.float32]], limits: Limits, report: Callable[[str], None]) -> Steps:
    """jetnet's, by its own Python; empty where none was given."""
    if not limits.peers:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        for name, side in zip(("real", "generated"), jets, strict=True):
            np.save(Path(folder) / f"{name}.npy", side)
        script = Path(__file__).with_name("jetnet_peer.py")
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(
            [limits.peers, str(script), folder],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            check=False,
        )
    if done.returncode:
        report(f"{limits.peers}: jetnet failed with status {done.returncode}")
        return {}
    found = json.loads(done.stdout.splitlines()[-1])
    return {name: (float(seconds), float(value)) for name, (seconds, value) in found.items()}
