"""Showers in calorimeters: the simulation of any number, and the sample that ships with pcgen.

A shower is a cloud of the voxels with energy:

========= ======== ==================================================================
pos       [N, 3]   (x, y, z): middle of the voxel in mm; the particle enters at
                   x = y = 0 along z, and z = 0 is the front
weight    [N]      energy in MeV, calibrated to the energy of the incoming particle
layer     [N]      layer of the calorimeter, from 0
y         [B, 1]   energy of the incoming particle in MeV
label     [B]      0 electron, 1 photon, 2 pion
========= ======== ==================================================================

or a row of the CaloChallenge's layout. The physics is in :mod:`pcgen.datasets.electromagnetic`
and, for pions, in :mod:`pcgen.datasets.hadrons`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.datasets.calorimeters import detector
from pcgen.datasets.loading import CloudDataset, open_clouds
from pcgen.datasets.shower_blocks import PARTICLES, Showers, ShowerSettings, generate_showers
from pcgen.datasets.simulation import Chunk, Output, Workers, check, load, pieces, simulated
from pcgen.grids import Calorimeter
from pcgen.io import CloudWriter, Images, ShowerWriter
from pcgen.schema import Schema

CHUNK = 500  #: showers of a chunk, some seconds of work
SAMPLE = Path(__file__).parent / "samples" / "showers.h5"
REVISION = 1  #: of the physics; another one gives other showers of a seed
LABELS = tuple(PARTICLES)
ENDINGS = (".h5", ".hdf5")
"""Clouds, and the CaloChallenge's layout."""


def sample_showers(split: str = "train", *, max_points: int | None = None) -> CloudDataset:
    """The showers that ship with pcgen: electrons of 1 to 100 GeV in the ``"stack"``.

    ``datasets/samples/README.md`` describes how they were generated.

    Args:
        split: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``.
        max_points: Keep that many voxels of each shower, those of most energy; None keeps all.

    >>> showers = sample_showers("test").load()
    >>> bool((showers.label == 0).all()), showers.pos.shape[1]
    (True, 3)
    """
    return open_clouds(SAMPLE, split, max_points=max_points)


def simulate_showers(
    output: str | Path,
    *,
    number: int,
    settings: ShowerSettings | None = None,
    seed: int = 0,
    processes: int = 1,
    dask: str | None = None,
    progress: bool = True,
) -> Path:
    """Simulate showers into one file of clouds, or of the CaloChallenge's layout.

    The showers depend on all arguments but ``processes``, ``dask`` and ``progress``, and the first
    ones not on ``number``. What an interrupted call has finished is in the folder
    ``<output>.parts`` and used by the next one; a call for a file that is complete returns at once.

    Args:
        output: File to write, ending in .h5 (clouds) or .hdf5 (CaloChallenge's layout).
        number: Of showers.
        settings: Which; None: electrons of 1 to 1000 GeV in the ``"cylinder"``.
        seed: 0 to 2³² - 1.
        processes: Worker processes; 1 works in this one. With more, a script needs Python's usual
            ``if __name__ == "__main__":``.
        dask: Address of a Dask scheduler, whose workers do the work instead, or ``local``
            (:func:`pcgen.cluster.connected`).
        progress: Whether to draw a progress bar.

    Returns:
        ``output``.

    Raises:
        ArgumentError: an argument is out of range.
        FileError: the output cannot be written or holds other data.
        MissingExtraError: Dask is not installed, and there is a scheduler.
    """
    output = Path(output)
    settings = settings or ShowerSettings("electron", detector("cylinder"))
    workers = Workers(processes, dask, progress)
    check(output, ENDINGS, number=number, seed=seed, workers=workers, what="showers")
    record = _record(number, settings, seed)
    chunks = [
        Chunk(settings.particle, k, n, (seed, first, n, settings))
        for k, first, n in pieces(number, CHUNK)
    ]

    def write(parts: Path) -> None:
        _write(output, chunks, parts, settings, record)

    outputs = [Output(output, record, write)]
    simulated(outputs, generate_showers, chunks, what="showers", workers=workers)
    return output


def _record(number: int, settings: ShowerSettings, seed: int) -> dict[str, Any]:
    """What the showers depend on; stored in the file's attributes."""
    detector = settings.detector
    model = "toy hadrons" if settings.particle == "pion" else "Grindhammer-Peters"
    return {
        "generator": model,
        "revision": REVISION,
        "numpy": np.__version__,
        "particle": settings.particle,
        "showers": number,
        "seed": seed,
        "energy_min_gev": float(settings.energy[0]),
        "energy_max_gev": float(settings.energy[1]),
        "threshold_mev": float(settings.threshold),
        "medium": detector.medium,
        "voxels": detector.calorimeter.voxels,
        "depth_mm": list(detector.calorimeter.depth),
    }


def _write(
    output: Path,
    chunks: Sequence[Chunk],
    parts: Path,
    settings: ShowerSettings,
    record: dict[str, Any],
) -> None:
    calorimeter = settings.detector.calorimeter
    attrs: dict[str, Any] = {"simulation": record}
    if output.suffix == ".hdf5":
        with ShowerWriter(output, calorimeter, attrs) as rows:
            for chunk in chunks:
                rows.append(to_rows(load(chunk, parts, Showers), calorimeter))
        return
    attrs["calorimeter"] = calorimeter.to_dict()
    with CloudWriter(output, schema_of(settings), attrs=attrs) as writer:
        for chunk in chunks:
            showers = load(chunk, parts, Showers)
            writer.append(to_clouds(showers, calorimeter, settings.particle))


def schema_of(settings: ShowerSettings) -> Schema:
    """Meaning of the clouds."""
    low, high = settings.energy
    return replace(
        settings.detector.calorimeter.schema,
        labels=LABELS,
        description=f"{settings.particle} showers, {low:g} to {high:g} GeV, "
        f"in {settings.detector.medium}",
    )


def to_clouds(showers: Showers, calorimeter: Calorimeter, particle: str) -> Batch:
    """Showers of one particle as clouds."""
    geometry, voxel = calorimeter.geometry(), torch.from_numpy(showers.voxel).long()
    return convention.make(
        geometry.centre[voxel].float(),
        torch.from_numpy(showers.sizes),
        weight=torch.from_numpy(showers.energy),
        layer=geometry.layer[voxel],
        y=torch.from_numpy(showers.incident)[:, None],
        label=torch.full((len(showers.sizes),), LABELS.index(particle)),
    )


def to_rows(showers: Showers, calorimeter: Calorimeter) -> Images:
    """Showers as rows of voxel energies."""
    number = len(showers.sizes)
    rows = torch.zeros(number, calorimeter.voxels)
    event = torch.repeat_interleave(torch.arange(number), torch.from_numpy(showers.sizes))
    rows[event, torch.from_numpy(showers.voxel).long()] = torch.from_numpy(showers.energy)
    return Images(rows, torch.from_numpy(showers.incident)[:, None])
