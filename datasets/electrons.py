r"""The response of a detector to single electrons: truth as condition, what is measured as a point.

Electrons of log-uniform p_T and uniform η are found as tracks with the efficiency ε(p_T, η) of a
card (:mod:`pcgen.datasets.cards`); of those that are found

.. math::
    p_T^{track} / p_T = \mathrm{LogNormal}(1, \sigma_{track}(p_T, \eta)), \qquad
    E^{ECAL} / E = \mathrm{LogNormal}(1, \sigma_{ECAL}(E, \eta) / E)

with mean 1 and these standard deviations, :func:`pcgen.datasets.response.track_law` and
:func:`~pcgen.datasets.response.tower_sigma`. An event is a cloud of one point, or of none where the
electron was not found, with the true p_T and η as ``y``. Directions of tracks are exact on such a
card, and so no part of it. Of the ECAL the energy is that of one tower, without threshold.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.datasets.cards import Card, read_card
from pcgen.datasets.response import log_normal, tower_sigma, track_law
from pcgen.datasets.simulation import Workers, check, pieces
from pcgen.errors import ArgumentError
from pcgen.io import CloudWriter
from pcgen.schema import Quantity, Schema

ELECTRONS = Schema(
    (
        Quantity("pt_response", symbol="$p_T$ of the track over the true one"),
        Quantity("energy_response", symbol="ECAL energy over the true one"),
    ),
    condition=(Quantity("pt", "GeV", symbol="true $p_T$"), Quantity("eta", symbol="true η")),
    description="response to electrons",
)
BLOCK = 100_000


def simulate_electrons(
    output: str | Path,
    *,
    number: int,
    detector: str | Path | Card = "cms",
    pt: tuple[float, float] = (10.0, 500.0),
    eta: float = 2.5,
    seed: int = 0,
) -> Path:
    """Write the response to electrons as a cloud file.

    Args:
        output: File to write, ending in .h5.
        number: Of events.
        detector: The card, by its name or file.
        pt: Least and largest true transverse momentum in GeV, log-uniform between them.
        eta: Largest \\|η\\|, uniform below.
        seed: Of all random numbers.

    Returns:
        ``output``.

    Raises:
        ArgumentError: an argument is out of range.
        FileError: the output cannot be written, or the card is none.
    """
    output, (low, high) = Path(output), pt
    check(output, (".h5",), number=number, seed=seed, workers=Workers(), what="electrons")
    if not 0 < low <= high or not np.isfinite(high):
        raise ArgumentError(f"pt: got {low:g}:{high:g}, expected 0 < low <= high in GeV")
    if not 0 < eta <= 10:
        raise ArgumentError(f"eta: got {eta:g}, expected a number in (0, 10]")
    card = detector if isinstance(detector, Card) else read_card(detector)
    record: dict[str, Any] = {
        "generator": "electrons",
        "detector": card.name,
        "card": dict(card.data),
        "events": number,
        "pt_GeV": [low, high],
        "eta": eta,
        "seed": seed,
        "numpy": np.__version__,
    }
    with CloudWriter(output, ELECTRONS, attrs={"simulation": record}) as writer:
        for block, _, rows in pieces(number, BLOCK):
            random = np.random.default_rng([seed, block])
            writer.append(electrons(rows, card, random, pt=pt, eta=eta))
    return output


def electrons(
    number: int,
    card: Card,
    random: np.random.Generator,
    *,
    pt: tuple[float, float] = (10.0, 500.0),
    eta: float = 2.5,
) -> Batch:
    """Clouds of the response to electrons, with the meaning of ``ELECTRONS``.

    Args:
        number: Of electrons.
        card: The detector.
        random: Of all random numbers.
        pt: Least and largest transverse momentum in GeV.
        eta: Largest \\|η\\|.
    """
    low, high = (math.log(limit) for limit in pt)
    true = np.exp(random.uniform(low, high, number))
    angle = random.uniform(-eta, eta, number)
    efficiency, width = track_law(card.electron, angle, true)
    energy = true * np.cosh(angle)
    deviation = tower_sigma(card.ecal, angle, energy) / energy
    found = random.random(number) < efficiency
    response = [
        log_normal(np.ones(number), sigma, random.standard_normal(number))
        for sigma in (np.minimum(width, 1), deviation)
    ]
    return convention.make(
        torch.from_numpy(np.stack(response, 1)[found]).float(),
        torch.from_numpy(found.astype(np.int64)),
        y=torch.from_numpy(np.stack([true, angle], 1)).float(),
    )
