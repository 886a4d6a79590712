"""Hits of charged particles in a tracker: the simulation of any number of events, with the truth.

An event is a cloud of its hits:

========= ======== ==================================================================
pos       [N, 3]   (x, y, z) in mm
layer     [N]      layer of the tracker, from 0; the schema names it by its radius
x         [N, 1]   number of the particle of the hit, from 1; 0 for noise
y         [B, 1]   number of particles
========= ======== ==================================================================

and, in a second file with the same events in the same order, the cloud of its particles:

========= ======== ==================================================================
pos       [M, 3]   (η, φ, z_0): directions at the start, and where it is in mm
weight    [M]      transverse momentum in GeV
x         [M, 1]   charge
y         [B, 1]   number of particles
========= ======== ==================================================================

Particle k of a hit is row k - 1 of its event there. The physics is in
:mod:`pcgen.datasets.tracker`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.datasets.simulation import Chunk, Output, Workers, check, load, pieces, simulated
from pcgen.datasets.tracker import Events, TrackerSettings, generate_tracks, observed
from pcgen.errors import DataError
from pcgen.io import CloudWriter
from pcgen.schema import Quantity, Schema

CHUNK = 2000  #: events of a chunk, some seconds of work
REVISION = 1  #: of the physics; another one gives other events of a seed
ENDINGS = (".h5",)
_COUNT = (Quantity("particles"),)

TRUTH = Schema(
    (Quantity("eta"), Quantity("phi", "rad", 2 * math.pi, r"$\phi$"), Quantity("z0", "mm")),
    weight=Quantity("pt", "GeV"),
    features=(Quantity("charge"),),
    condition=_COUNT,
    description="charged particles of simulated events",
)


def simulate_tracks(
    output: str | Path,
    *,
    number: int,
    settings: TrackerSettings | None = None,
    seed: int = 0,
    processes: int = 1,
    dask: str | None = None,
    progress: bool = True,
) -> list[Path]:
    """Simulate events of charged particles in a tracker: a file of hits, and one of the truth.

    The events depend on all arguments but ``processes``, ``dask`` and ``progress``, and the first
    ones not on ``number``. What an interrupted call has finished is kept in the folder
    ``<output>.parts`` and used by the next one; a call for files that are complete returns at once.

    Args:
        output: File of hits to write, ending in .h5; ``tracks-truth.h5`` is beside ``tracks.h5``.
        number: Of events.
        settings: Which; None: the defaults of :class:`~pcgen.datasets.tracker.TrackerSettings`.
        seed: 0 to 2³² - 1; also decides which modules are dead.
        processes: Worker processes; 1 works in this one. With more, a script needs Python's usual
            ``if __name__ == "__main__":``.
        dask: Address of a Dask scheduler, whose workers do the work instead, or ``local``
            (:func:`pcgen.cluster.connected`).
        progress: Whether to draw a progress bar.

    Returns:
        ``output``, and the file of the particles.

    Raises:
        ArgumentError: an argument is out of range.
        FileError: an output cannot be written or holds other data.
        MissingExtraError: Dask is not installed, and there is a scheduler.
    """
    output, settings = Path(output), settings or TrackerSettings()
    workers = Workers(processes, dask, progress)
    check(output, ENDINGS, number=number, seed=seed, workers=workers, what="events")
    record = _record(number, settings, seed)
    hits = (settings.tracks + settings.noise) * len(settings.radii)
    chunks = [
        Chunk("tracks", k, n, (seed, first, n, settings))
        for k, first, n in pieces(number, CHUNK, hits)
    ]
    truth = output.with_name(f"{output.stem}-truth{output.suffix}")
    working = observed(settings, seed)
    modules = {
        "radii_mm": list(settings.radii),
        "half_length_mm": settings.half_length,
        "sectors": settings.sectors,
        "rings": settings.rings,
        "dead": np.argwhere(~working).tolist(),
    }
    outputs = [
        Output(output, record, partial(_write_hits, output, chunks, settings, record, modules)),
        Output(truth, record, partial(_write_truth, truth, chunks, record)),
    ]
    simulated(outputs, generate_tracks, chunks, what="events", workers=workers)
    return [output, truth]


def observed_modules(attrs: Mapping[str, Any]) -> Tensor:
    """Which modules of the tracker work [layers, sectors, rings]; the others are dead.

    Sectors begin at φ = -π and rings at the lowest z (:func:`pcgen.datasets.tracker.module_of`).

    Args:
        attrs: Of a file of hits.

    Raises:
        DataError: these attributes state no modules.

    >>> modules = {"radii_mm": [30, 60], "sectors": 4, "rings": 2, "dead": [[1, 3, 0]]}
    >>> working = observed_modules({"modules": modules})
    >>> tuple(working.shape), int((~working).sum())
    ((2, 4, 2), 1)
    """
    try:
        modules = attrs["modules"]
        working = torch.ones(
            len(modules["radii_mm"]), modules["sectors"], modules["rings"], dtype=torch.bool
        )
        dead = torch.tensor(modules["dead"], dtype=torch.long).view(-1, 3)
        working[dead[:, 0], dead[:, 1], dead[:, 2]] = False
        return working
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise DataError(
            f"modules: got {str(attrs.get('modules'))[:60]}, expected those of a file of hits "
            f"({type(error).__name__}: {' '.join(str(error).split())})"
        ) from error


def hits_schema(settings: TrackerSettings) -> Schema:
    """Meaning of the clouds of hits."""
    low, high = settings.pt
    return Schema(
        tuple(Quantity(axis, "mm") for axis in "xyz"),
        features=(Quantity("particle"),),
        condition=_COUNT,
        layers=tuple(f"{radius:g}" for radius in settings.radii),
        description=f"hits of charged particles of {low:g} to {high:g} GeV in {settings.field:g} T",
    )


def _record(number: int, settings: TrackerSettings, seed: int) -> dict[str, Any]:
    """What the events depend on; stored in the files' attributes."""
    plain = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(settings).items()
    }
    return {
        "generator": "helices",
        "revision": REVISION,
        "numpy": np.__version__,
        "events": number,
        "seed": seed,
        **plain,
    }


def _write_hits(
    output: Path,
    chunks: Sequence[Chunk],
    settings: TrackerSettings,
    record: dict[str, Any],
    modules: dict[str, Any],
    parts: Path,
) -> None:
    attrs = {"simulation": record, "modules": modules}
    with CloudWriter(output, hits_schema(settings), attrs=attrs) as writer:
        for chunk in chunks:
            writer.append(to_hits(load(chunk, parts, Events)))


def _write_truth(
    output: Path, chunks: Sequence[Chunk], record: dict[str, Any], parts: Path
) -> None:
    with CloudWriter(output, TRUTH, attrs={"simulation": record}) as writer:
        for chunk in chunks:
            writer.append(to_particles(load(chunk, parts, Events)))


def to_hits(events: Events) -> Batch:
    """Hits as clouds."""
    return convention.make(
        torch.from_numpy(events.pos),
        torch.from_numpy(events.sizes),
        x=torch.from_numpy(events.particle).float()[:, None],
        y=torch.from_numpy(events.particles).float()[:, None],
        layer=torch.from_numpy(events.layer),
    )


def to_particles(events: Events) -> Batch:
    """Particles as clouds."""
    columns = (torch.from_numpy(each) for each in (events.eta, events.phi, events.z0))
    return convention.make(
        torch.stack(tuple(columns), 1),
        torch.from_numpy(events.particles),
        weight=torch.from_numpy(events.pt),
        x=torch.from_numpy(events.charge)[:, None],
        y=torch.from_numpy(events.particles).float()[:, None],
    )
