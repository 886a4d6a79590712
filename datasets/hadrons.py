r"""Toy hadrons: showers of charged pions with a mean profile, and no more.

The profile is that of CMS's fast simulation (cms-sw/cmssw, FastSimulation/ShowerDevelopment; after
SLAC-PUB-5072). A pion of energy E (in GeV) interacts at a depth that is exponential with the mean
λ, the interaction length. From there on, at the depth s in λ and t = s λ/X0 in radiation lengths,
an electromagnetic and a hadronic part follow gamma distributions,

    dE/ds = E { w β_e (λ/X0) (β_e t)^(α_e - 1) e^(-β_e t) / Γ(α_e)
                + (1-w) β_h (β_h s)^(α_h - 1) e^(-β_h s) / Γ(α_h) },

whose parameters are linear in L = ln[(0.35 + 0.09 ln E) E], with E between 2 and 500 GeV:

    ============= ========================= =======================
    parameter     2 to 10 GeV               from 10 GeV
    ============= ========================= =======================
    α_e           1.08 + 0.24 L             1.30 + 0.255 L
    β_e           0.478 - 0.135 L           0.289 - 0.010 L
    α_h           1.17 + 0.21 L             0.38 + 0.23 L
    β_h           2.10 - 0.72 L             0.83 - 0.049 L
    w             0.751 - 0.177 L (≤ 1)     0.509 - 0.021 L
    ============= ========================= =======================

Away from the axis f(r) = 2r R²/(r² + R²)² holds up to 4R, where R = (1 + U)(0.3714 - 0.0511 ln E) s
in λ, with one U between 0 and 1 for a shower. The spots have 0.2 GeV each on average.

What this is not: the shares of the two parts do not fluctuate, neutrons, muons and nuclear binding
are absent, electrons and pions of equal energy give equal signals, and a spot fluctuates as in
:mod:`pcgen.datasets.electromagnetic`, with one c for all calorimeters (:data:`RESOLUTION`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import gammainc

from pcgen.datasets.electromagnetic import Array, Spots, Steps, around
from pcgen.datasets.media import Medium

RESOLUTION = 0.58  #: c for pions, that of a steel and scintillator calorimeter (JINST 7 P09017)
SPOT = 0.2  #: GeV, mean energy of a spot
FARTHEST = 4.0  #: where the radial profile ends, in units of R
_LOW, _MIDDLE, _HIGH = 2.0, 10.0, 500.0  # GeV, where the parameters change
_STEP = 0.02  # λ


class Parameters(NamedTuple):
    """Of the mean profile along the axis; see the module for the formula."""

    alpha_em: float
    beta_em: float
    alpha_hadronic: float
    beta_hadronic: float
    share_em: float


def parameters(energy: float) -> Parameters:
    """Parameters of the profile of a pion of ``energy`` GeV.

    >>> [round(value, 2) for value in parameters(20)]
    [1.94, 0.26, 0.96, 0.71, 0.46]
    """
    effective = _within(energy)
    size = math.log((0.35 + 0.09 * math.log(effective)) * effective)
    if energy < _MIDDLE:
        return Parameters(
            1.08 + 0.24 * size,
            0.478 - 0.135 * size,
            1.17 + 0.21 * size,
            2.10 - 0.72 * size,
            min(0.751 - 0.177 * size, 1.0),
        )
    return Parameters(
        1.30 + 0.255 * size,
        0.289 - 0.010 * size,
        0.38 + 0.23 * size,
        0.83 - 0.049 * size,
        0.509 - 0.021 * size,
    )


def contained(s: Array, energy: float, medium: Medium) -> Array:
    """Mean share of the energy that is deposited up to the depths ``s`` in λ behind the start."""
    law = parameters(energy)
    t = s * medium.interaction_length / medium.radiation_length
    em = gammainc(law.alpha_em, law.beta_em * t)
    hadronic = gammainc(law.alpha_hadronic, law.beta_hadronic * s)
    return np.asarray(law.share_em * em + (1 - law.share_em) * hadronic)


def toy_hadron_shower(
    energy: float, medium: Medium, depth: Sequence[float], generator: np.random.Generator
) -> Spots:
    """One shower of a charged pion that enters at x = y = 0 along z.

    Args:
        energy: In GeV, at least 1.
        medium: What the calorimeter is made of.
        depth: Edges of the layers along z in mm, the first is the front [L+1].
        generator: Of all random numbers.

    Returns:
        The spots that are within the depth; energy beyond it is lost.
    """
    length = medium.interaction_length
    steps = Steps.of(depth, length, generator.exponential(), _STEP)
    energies = 1e3 * energy * contained(steps.edges, energy, medium)
    numbers = energies / (1e3 * SPOT)
    width = 1 + generator.random()
    layer, step, signal = steps.spots(energies, numbers, RESOLUTION, generator)

    radius = width * (0.3714 - 0.0511 * math.log(_within(energy)))
    draws = generator.random((2, len(step)))
    inside = draws[0] * FARTHEST**2 / (1 + FARTHEST**2)
    r = length * radius * steps.middles[step] * np.sqrt(inside / (1 - inside))
    return Spots(*around(r, draws[1]), layer, signal)


def _within(energy: float) -> float:
    """The nearest energy for which there are parameters."""
    return min(max(energy, _LOW), _HIGH)
