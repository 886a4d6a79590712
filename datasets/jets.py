"""Jets of particles: the simulation of any number of them, and the sample that ships with pcgen.

A jet is a cloud of its particles:

========= ======== ===============================================================
pos       [N, 2]   (η_rel, φ_rel): pseudorapidity and azimuth [rad] minus the jet's
weight    [N]      transverse momentum p_T of the particle in GeV, hardest first
y         [B, 1]   transverse momentum of the jet's four-momentum in GeV
label     [B]      0 gluon, 1 light quark (u, d, s), 2 top, 3 W, 4 Z
========= ======== ===============================================================

What a detector measures of the same jets is a second file (:mod:`pcgen.datasets.response`): clouds
of tracks and towers with the same axes, weights in p_T, and in ``layer`` what a point is.

All particles of the jet are there; none is cut, smeared or rounded beyond float32. The invariant
mass of such a cloud takes the particles for massless and is some GeV below that of the jet. About
one particle in two hundred lies at ``|η_rel| > R``: anti-kT clusters in rapidity, and soft heavy
particles have a pseudorapidity well above their rapidity.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.bounds import RESPONSES
from pcgen.datasets.cards import Card
from pcgen.datasets.helix import wrapped
from pcgen.datasets.loading import CloudDataset, open_clouds
from pcgen.datasets.pythia import PROCESSES, SEEDS, Jets, JetSettings, generate
from pcgen.datasets.response import LAYERS, Particles, respond
from pcgen.datasets.simulation import Chunk, Output, Workers, check, load, pieces, simulated
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
    detectors: Sequence[Card] = (),
    responses: int | None = None,
    seed: int = 0,
    processes: int = 1,
    dask: str | None = None,
    progress: bool = True,
) -> list[Path]:
    """Simulate jets with Pythia 8 and anti-kT into one cloud file, and what detectors measure.

    A detector has a file of its own beside the output: ``jets-cms.h5`` beside ``jets.h5`` for the
    card ``cms``. Its events are the same jets in the same order, as clouds of tracks and towers
    (:mod:`pcgen.datasets.response`), relative to the same axes.

    The jets depend on all arguments but ``processes``, ``dask`` and ``progress``. What an
    interrupted call has finished is kept in the folder ``<output>.parts`` and used by the next
    one; a call for a file that is complete returns at once.

    Order in the file: round after round of 500 jets per class, shuffled and evenly interleaved
    within the round, so that contiguous events hold the classes in equal shares; the two jets of
    one collision are neighbours.

    Args:
        output: File to write, ending in .h5 or .hdf5.
        number: Jets of each class.
        classes: Some of g, q, t, w, z; ``"gqt"`` or ``("g", "q", "t")``.
        settings: Radius and windows; None: R = 0.4, 800 to 1600 GeV.
        detectors: Cards (:func:`~pcgen.datasets.cards.read_card`), each of another name.
        responses: How often each detector measures every jet once more, into a file of its own;
            None: not.
        seed: 0 to 2³² - 1.
        processes: Worker processes; 1 works in this one. With more, a script needs Python's usual
            ``if __name__ == "__main__":``.
        dask: Address of a Dask scheduler, whose workers do the work instead, or ``local``
            (:func:`pcgen.cluster.connected`).
        progress: Whether to draw a progress bar.

    Returns:
        ``output``, and the files of each detector.

    Raises:
        ArgumentError: an argument is out of range, or the settings give no jets.
        FileError: the output cannot be written or holds other data.
        MissingExtraError: pythia8mc is not installed, or Dask for a scheduler.
    """
    output, settings = Path(output), settings or JetSettings()
    workers = Workers(processes, dask, progress)
    check(output, _ENDINGS, number=number, seed=seed, workers=workers, what="jets")
    _check_names(classes, detectors)
    RESPONSES.allow(responses=responses)
    if responses is not None and not detectors:
        raise ArgumentError(f"responses: got {responses} without a detector, expected one")
    require("pythia8mc", "simulation")
    record = _record(number, classes, settings, seed)
    rounds = plan(record["classes"], number, seed, settings)
    chunks = [chunk for each in rounds for chunk in each]

    outputs = [Output(output, record, partial(_merge, output, rounds, record, None))]
    for card in detectors:
        path = output.with_name(f"{output.stem}-{card.name}{output.suffix}")
        own = {**record, "detector": card.name, "card": card.data}
        outputs.append(Output(path, own, partial(_merge, path, rounds, own, card)))
        if responses is not None:
            path = path.with_name(f"{path.stem}-responses{path.suffix}")
            own = {**own, "responses": responses}
            outputs.append(Output(path, own, partial(_merge, path, rounds, own, card)))
    simulated(outputs, generate, chunks, what="jets", workers=workers)
    return [each.path for each in outputs]


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
    for k, _, n in pieces(number, CHUNK):
        seeds = ((name, (first[name] + k) % SEEDS + 1) for name in classes)
        rounds.append([Chunk(name, k, n, (name, n, each, settings)) for name, each in seeds])
    return rounds


def _check_names(classes: Sequence[str], detectors: Sequence[Card]) -> None:
    names = [card.name for card in detectors]
    if len(set(names)) != len(names):
        raise ArgumentError(f"detector: got {' '.join(names)}, expected each name once")
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


def _merge(
    output: Path,
    rounds: list[list[Chunk]],
    record: dict[str, Any],
    card: Card | None,
    parts: Path,
) -> None:
    """Write the jets, or what a detector measures of them, in the same order."""
    radius, low, high = record["radius"], record["pt_min"], record["pt_max"]
    description = (
        f"{', '.join(record['classes'])} jets, anti-kT R = {radius:g}, "
        f"{low:g} < pT < {high:g} GeV, Pythia 8 at 13 TeV"
    )
    if card is not None:
        description += f", tracks and towers of {card.name}"
    schema = replace(JETS, description=description, layers=() if card is None else LAYERS)
    times = record.get("responses")
    attrs = {"simulation": record} | ({} if times is None else {"answers": times})
    with CloudWriter(output, schema, attrs=attrs) as writer:
        for number, chunks in enumerate(rounds):
            jets = [load(chunk, parts, Jets) for chunk in chunks]
            pairs = zip(jets, chunks, strict=True)
            if card is None:
                clouds = [to_clouds(part, chunk.name) for part, chunk in pairs]
            elif times is None:
                clouds = [
                    measured(part, chunk.name, card, _random(record["seed"], chunk))
                    for part, chunk in pairs
                ]
            else:
                clouds = [
                    _repeated(part, chunk, card, record["seed"], times) for part, chunk in pairs
                ]
            order = _mixed(jets, np.random.RandomState([record["seed"], number]))
            rows = (order[:, None] * (times or 1) + np.arange(times or 1)).ravel()
            writer.append(convention.select(convention.concat(clouds), torch.from_numpy(rows)))


def _random(seed: int, chunk: Chunk, *which: int) -> np.random.Generator:
    """Of the response to the jets of a chunk, the first one or another."""
    return np.random.default_rng((seed, list(PROCESSES).index(chunk.name), chunk.index, *which))


def _repeated(jets: Jets, chunk: Chunk, card: Card, seed: int, times: int) -> Batch:
    """So many further responses to each jet of a chunk, one after the other."""
    each = [measured(jets, chunk.name, card, _random(seed, chunk, 1 + k)) for k in range(times)]
    number = len(jets.sizes)
    rows = torch.arange(times * number).view(times, number).T.flatten()
    return convention.select(convention.concat(each), rows)


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


def measured(jets: Jets, name: str, card: Card, random: np.random.Generator) -> Batch:
    """Tracks and towers of jets of one class as clouds, with the schema of :data:`pcgen.io.JETS`.

    Args:
        jets: The jets.
        name: Their class.
        card: The detector.
        random: Of all random numbers.
    """
    jet, number = np.repeat(np.arange(len(jets.sizes)), jets.sizes), len(jets.sizes)
    eta, phi = (jets.pos.astype(float) + np.stack([jets.eta, jets.phi], 1).astype(float)[jet]).T
    pt, rest, charge = (each.astype(float) for each in (jets.weight, jets.rest, jets.charge))
    kind = np.abs(jets.kind).astype(np.int64)
    signals = respond(Particles(jet, pt, eta, phi, rest, charge, kind), card, random)
    relative = signals.eta - jets.eta[signals.jet], signals.phi - jets.phi[signals.jet]
    return convention.make(
        torch.from_numpy(np.stack([relative[0], wrapped(relative[1])], 1)).float(),
        torch.from_numpy(np.bincount(signals.jet, minlength=number)),
        weight=torch.from_numpy(signals.pt).float(),
        layer=torch.from_numpy(signals.layer),
        y=torch.from_numpy(jets.pt)[:, None],
        label=torch.full((number,), JETS.labels.index(name)),
    )
