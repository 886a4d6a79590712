"""Jets of particles: the simulation of any number of them, and the sample that ships with pcgen.

A jet is a cloud of its particles:

========= ======== ===============================================================
pos       [N, 2]   (η_rel, φ_rel): pseudorapidity and azimuth [rad] minus the jet's
weight    [N]      transverse momentum p_T of the particle in GeV, hardest first
y         [B, 1]   transverse momentum of the jet's four-momentum in GeV
label     [B]      0 gluon, 1 light quark (u, d, s), 2 top, 3 W, 4 Z
========= ======== ===============================================================

All particles of the jet are there; none is cut, smeared or rounded beyond float32. The invariant
mass of such a cloud takes the particles for massless and is some GeV below that of the jet. About
one particle in two hundred lies at ``|η_rel| > R``: anti-kT clusters in rapidity, and soft heavy
particles have a pseudorapidity well above their rapidity.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.datasets.loading import CloudDataset, open_clouds
from pcgen.datasets.pythia import PROCESSES, SEEDS, Jets, JetSettings, generate
from pcgen.datasets.simulation import Chunk, Workers, check, load, simulated
from pcgen.errors import ArgumentError, require
from pcgen.io import JETS, CloudWriter

SAMPLE = Path(__file__).parent / "samples" / "jets.h5"
CHUNK = 500  #: jets of a chunk, some seconds of work
_ENDINGS = (".h5", ".hdf5")


def sample_jets(
    split: str = "train",
    *,
    classes: Sequence[str] | None = None,
    max_points: int | None = None,
) -> CloudDataset:
    """The jets that ship with pcgen: gluon, light-quark and top jets of about 1 TeV, R = 0.4.

    ``datasets/samples/README.md`` describes how they were generated.

    Args:
        split: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``.
        classes: Names of the classes to keep, some of g, q, t; None keeps all.
        max_points: Keep that many particles of each jet, the hardest; None keeps all.

    >>> jets = sample_jets("test", classes=("t",)).load()
    >>> bool((jets.label == 2).all()), [axis.name for axis in sample_jets().schema.axes]
    (True, ['eta_rel', 'phi_rel'])
    """
    return open_clouds(SAMPLE, split, classes=classes, max_points=max_points)


def simulate_jets(
    output: str | Path,
    *,
    number: int,
    classes: Sequence[str] = "gqt",
    settings: JetSettings | None = None,
    seed: int = 0,
    processes: int = 1,
    dask: str | None = None,
    progress: bool = True,
) -> Path:
    """Simulate jets with Pythia 8 and anti-kT into one cloud file.

    The jets depend on all arguments but ``processes``, ``dask`` and ``progress``. What an
    interrupted call has made is kept in the folder ``<output>.parts`` and used by the next one; a
    call for a file that is complete returns at once.

    Order in the file: round after round of 500 jets per class, shuffled and evenly interleaved
    within the round, so that contiguous events hold the classes in equal shares; the two jets of
    one collision are neighbours.

    Args:
        output: File to write, ending in .h5 or .hdf5.
        number: Jets of each class.
        classes: Some of g, q, t, w, z; ``"gqt"`` or ``("g", "q", "t")``.
        settings: Radius and windows; None: R = 0.4, 800 to 1600 GeV.
        seed: 0 to 2³² - 1.
        processes: Worker processes; 1 works in this one. With more, a script needs Python's usual
            ``if __name__ == "__main__":``.
        dask: Address of a Dask scheduler, whose workers do the work instead, or ``local``
            (:func:`pcgen.cluster.connected`).
        progress: Whether to draw a progress bar.

    Returns:
        ``output``.

    Raises:
        ArgumentError: an argument is out of range, or the settings give no jets.
        FileError: the output cannot be written or holds other data.
        MissingExtraError: pythia8mc is not installed, or Dask for a scheduler.
    """
    output, settings = Path(output), settings or JetSettings()
    workers = Workers(processes, dask, progress)
    check(output, _ENDINGS, number=number, seed=seed, workers=workers, what="jets")
    _check_classes(classes)
    require("pythia8mc", "simulation")
    record = _record(number, classes, settings, seed)
    rounds = plan(record["classes"], number, seed, settings)
    chunks = [chunk for each in rounds for chunk in each]

    def write(parts: Path) -> None:
        _merge(output, rounds, parts, record)

    return simulated(output, record, generate, chunks, write, what="jets", workers=workers)


def plan(
    classes: Sequence[str], number: int, seed: int, settings: JetSettings
) -> list[list[Chunk]]:
    """Rounds of chunks: round k holds chunk k of every class.

    The seeds that Pythia gets for the chunks of one class are all different.

    Args:
        classes: Names of the classes.
        number: Jets of each class.
        seed: Seed of the whole simulation.
        settings: Radius and windows.
    """
    first = {}
    for name in classes:
        state = np.random.SeedSequence((seed, list(PROCESSES).index(name)))
        first[name] = int(state.generate_state(1, np.uint64)[0] % SEEDS)
    rounds = []
    for k in range(-(-number // CHUNK)):
        n = min(CHUNK, number - k * CHUNK)
        seeds = ((name, (first[name] + k) % SEEDS + 1) for name in classes)
        rounds.append([Chunk(name, k, n, (name, n, each, settings)) for name, each in seeds])
    return rounds


def _check_classes(classes: Sequence[str]) -> None:
    if not classes or len(set(classes)) != len(classes) or not set(classes) <= set(PROCESSES):
        raise ArgumentError(
            f"classes: got {' '.join(classes)!r}, expected some of {' '.join(PROCESSES)}, each once"
        )


def _record(
    number: int, classes: Sequence[str], settings: JetSettings, seed: int
) -> dict[str, Any]:
    """What the jets depend on; stored in the file's attributes."""
    return {
        "generator": f"pythia8mc {importlib.metadata.version('pythia8mc')}",
        "classes": [name for name in PROCESSES if name in classes],
        "jets_per_class": number,
        "seed": seed,
        "jets_per_chunk": CHUNK,
        **{name: float(value) for name, value in asdict(settings).items()},
    }


def _merge(output: Path, rounds: list[list[Chunk]], parts: Path, record: dict[str, Any]) -> None:
    radius, low, high = record["radius"], record["pt_min"], record["pt_max"]
    description = (
        f"{', '.join(record['classes'])} jets, anti-kT R = {radius:g}, "
        f"{low:g} < pT < {high:g} GeV, Pythia 8 at 13 TeV"
    )
    schema = replace(JETS, description=description)
    with CloudWriter(output, schema, attrs={"simulation": record}) as writer:
        for number, chunks in enumerate(rounds):
            jets = [load(chunk, parts, Jets) for chunk in chunks]
            together = convention.concat(
                to_clouds(part, chunk.name) for part, chunk in zip(jets, chunks, strict=True)
            )
            order = _mixed(jets, np.random.RandomState([record["seed"], number]))
            writer.append(convention.select(together, torch.from_numpy(order)))


def _mixed(parts: Sequence[Jets], random: np.random.RandomState) -> NDArray[np.int64]:
    """Order of the jets of several chunks: each class shuffled, the classes evenly interleaved.

    It is the collisions that are shuffled and not the jets in them. The n collisions of a class get
    one place each, at random, in n equal intervals from 0 to 1, and all are sorted by place.
    """
    places = []
    for part in parts:
        collision = np.cumsum(np.diff(part.event, prepend=-1) != 0) - 1
        number = collision[-1] + 1
        place = (random.permutation(number) + random.random_sample(number)) / number
        places.append(place[collision])
    return np.argsort(np.concatenate(places), kind="stable")


def to_clouds(jets: Jets, name: str) -> Batch:
    """Jets of one class as clouds with the schema :data:`pcgen.io.JETS`."""
    label = torch.full((len(jets.sizes),), JETS.labels.index(name))
    return convention.make(
        torch.from_numpy(jets.pos),
        torch.from_numpy(jets.sizes),
        weight=torch.from_numpy(jets.weight),
        y=torch.from_numpy(jets.pt)[:, None],
        label=label,
    )
