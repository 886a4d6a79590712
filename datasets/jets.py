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
import shutil
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
from pcgen.datasets.pythia import PROCESSES, Jets, JetSettings
from pcgen.datasets.simulation import CHUNK, Chunk, load, plan, produce
from pcgen.errors import ArgumentError, FileError, require
from pcgen.io import JETS, CloudFile, CloudWriter

SAMPLE = Path(__file__).parent / "samples" / "jets.h5"
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


def simulate(
    output: str | Path,
    *,
    number: int,
    classes: Sequence[str] = "gqt",
    settings: JetSettings | None = None,
    seed: int = 0,
    processes: int = 1,
    progress: bool = True,
) -> Path:
    """Simulate jets with Pythia 8 and anti-kT into one cloud file.

    The jets depend on all arguments but ``processes`` and ``progress``. What an interrupted call
    has made is kept in the folder ``<output>.parts`` and used by the next one; a call for a file
    that is complete returns at once.

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
        progress: Whether to draw a progress bar.

    Returns:
        ``output``.

    Raises:
        ArgumentError: an argument is out of range, or the settings give no jets.
        FileError: the output cannot be written or holds other data.
        MissingExtraError: pythia8mc is not installed.
    """
    output, settings = Path(output), settings or JetSettings()
    _check(output, number, classes, seed, processes)
    require("pythia8mc", "simulation")
    record = _record(number, classes, settings, seed)
    parts = output.with_name(f"{output.name}.parts")
    if not _complete(output, record):
        rounds = plan(record["classes"], number, seed)
        chunks = [chunk for chunks in rounds for chunk in chunks]
        produce(chunks, settings, parts, record, processes=processes, progress=progress)
        _merge(output, rounds, parts, record)
    shutil.rmtree(parts, ignore_errors=True)
    return output


def _check(output: Path, number: int, classes: Sequence[str], seed: int, processes: int) -> None:
    if output.suffix not in _ENDINGS:
        raise ArgumentError(
            f"output: got {str(output)!r}, expected a name that ends in {' or '.join(_ENDINGS)}"
        )
    if number < 1:
        raise ArgumentError(f"number: got {number}, expected a positive number of jets")
    if not classes or len(set(classes)) != len(classes) or not set(classes) <= set(PROCESSES):
        raise ArgumentError(
            f"classes: got {' '.join(classes)!r}, expected some of {' '.join(PROCESSES)}, each once"
        )
    if not 0 <= seed < 2**32:
        raise ArgumentError(f"seed: got {seed}, expected an integer from 0 to 2**32 - 1")
    if processes < 1:
        raise ArgumentError(f"processes: got {processes}, expected a positive number")


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


def _complete(output: Path, record: dict[str, Any]) -> bool:
    """Whether the output is there already; anything else under its name is an error."""
    if not output.exists():
        return False
    try:
        with CloudFile(output) as file:
            same = file.attrs.get("simulation") == record
    except FileError:
        same = False
    if not same:
        raise FileError(f"{output}: holds other data, delete it or choose another output")
    return True


def _merge(output: Path, rounds: list[list[Chunk]], parts: Path, record: dict[str, Any]) -> None:
    radius, low, high = record["radius"], record["pt_min"], record["pt_max"]
    description = (
        f"{', '.join(record['classes'])} jets, anti-kT R = {radius:g}, "
        f"{low:g} < pT < {high:g} GeV, Pythia 8 at 13 TeV"
    )
    schema = replace(JETS, description=description)
    with CloudWriter(output, schema, attrs={"simulation": record}) as writer:
        for number, chunks in enumerate(rounds):
            jets = [load(chunk, parts) for chunk in chunks]
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
