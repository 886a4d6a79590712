r"""Electromagnetic showers by the parametrisation of Grindhammer and Peters (hep-ex/0001020).

A shower of energy E is a set of spots. With the depth t in radiation lengths X0, the distance r
from the axis in Molière radii R_M, y = E/E_c, and ln E of E in GeV:

**Along the axis** the energy follows a gamma distribution with its maximum at T,

    dE/dt = E (βt)^(α-1) β e^(-βt) / Γ(α),    T = (α-1)/β.

ln T and ln α of single showers are correlated Gaussians. In homogeneous calorimeters

    ⟨ln T⟩ = ln(ln y - 0.812)                        σ = 1/(-1.4 + 1.26 ln y)
    ⟨ln α⟩ = ln(0.81 + (0.458 + 2.26/Z) ln y)        σ = 1/(-0.58 + 0.86 ln y)
    ρ = 0.705 - 0.023 ln y

and in sampling calorimeters, with F_S and ê of :mod:`pcgen.datasets.media`,

    ⟨ln T⟩ = ln(e^⟨ln T⟩hom - 0.55/F_S - 0.69(1-ê))  σ = 1/(-2.5 + 1.25 ln y)
    ⟨ln α⟩ = ln(e^⟨ln α⟩hom - 0.476/F_S)             σ = 1/(-0.82 + 0.79 ln y)
    ρ = 0.784 - 0.023 ln y.

**Away from the axis** a core and a tail, both of the form f(r) = 2r R²/(r² + R²)², have the shares
p and 1 - p; R_c, R_t and p change with the depth τ = t/T (:func:`radii`).

**Spots.** Their number grows as E^0.88 (homogeneous) or E^0.96/c (sampling, c the resolution at
1 GeV), and along the axis they follow a gamma distribution of their own. The energy of a layer is
shared by its spots. The signal of a spot of mean energy e is gamma distributed with the mean e and
the variance c² e: a sum of such signals is again one, so that the fluctuations do not depend on how
space is cut, and a shower that is contained has σ/E = c/√E.

A photon is an electron that begins at a depth which is exponential with the mean 9/7 X0.

What this is not: there is no transport of particles, spots are independent of each other but for T
and α, and energies below some 100 MeV are beyond what was tuned. Where formulas leave their range,
T ≥ 1, α ≥ 1.1 and σ ≤ 0.5 hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from pcgen.datasets.media import Medium

Array = NDArray[np.float64]

CONVERSION = 9 / 7  #: mean depth in X0 at which a photon makes a pair
_STEP = 0.25  #: X0, the longest step in which the radial profile is constant
_LEAST = 0.1  #: of the arguments of logarithms


class Spots(NamedTuple):
    """A shower as N spots of energy, in a calorimeter whose axis is z."""

    x: Array  #: mm [N]
    y: Array  #: mm [N]
    layer: NDArray[np.int64]  #: layer of the calorimeter [N]
    energy: Array  #: signal in MeV, calibrated to the incident energy [N]


class Profile(NamedTuple):
    """Law of ln T and ln α of showers of one energy: means, standard deviations, correlation."""

    log_t: float
    log_alpha: float
    sigma_t: float
    sigma_alpha: float
    rho: float


class Radii(NamedTuple):
    """Radial profile at some depths, radii in R_M."""

    core: Array
    tail: Array
    share: Array  #: of the core


def profile(energy: float, medium: Medium) -> Profile:
    """How T (in X0) and α of showers are distributed.

    Args:
        energy: Of the electron in GeV.
        medium: What the calorimeter is made of.

    >>> from pcgen.datasets.media import MEDIA
    >>> round(math.exp(profile(10, MEDIA["lead-tungstate"]).log_t), 2)
    6.23
    """
    log_y = math.log(1e3 * energy / medium.critical_energy)
    t = log_y - 0.812
    alpha = 0.81 + (0.458 + 2.26 / medium.z) * log_y
    if medium.passive is None:
        sigmas, rho = (-1.4 + 1.26 * log_y, -0.58 + 0.86 * log_y), 0.705 - 0.023 * log_y
    else:
        sigmas, rho = (-2.5 + 1.25 * log_y, -0.82 + 0.79 * log_y), 0.784 - 0.023 * log_y
        t -= 0.55 / medium.sampling_frequency + 0.69 * (1 - medium.electron_to_mip)
        alpha -= 0.476 / medium.sampling_frequency
    sigma_t, sigma_alpha = (1 / max(sigma, 2) for sigma in sigmas)
    return Profile(math.log(max(t, _LEAST)), math.log(max(alpha, 1.1)), sigma_t, sigma_alpha, rho)


def radii(tau: Array, energy: float, medium: Medium) -> Radii:
    """The radial profile at depths ``tau`` in units of the depth of the shower maximum.

    Args:
        tau: t/T, times ⟨α⟩(α-1)/(α(⟨α⟩-1)) where α is not its mean.
        energy: Of the electron in GeV.
        medium: What the calorimeter is made of.
    """
    z, log_e = medium.z, math.log(energy)
    core = 0.0251 + 0.00319 * log_e + (0.1162 - 0.000381 * z) * tau
    tail = np.exp(-2.59 * (tau - 0.645)) + np.exp((0.3585 + 0.0412 * log_e) * (tau - 0.645))
    tail *= 0.659 - 0.00309 * z
    ratio = (0.401 + 0.00187 * z - tau) / (1.313 - 0.0686 * log_e)
    share = (2.632 - 0.00094 * z) * np.exp(ratio - np.exp(ratio))
    if medium.passive is not None:
        deficit, f = 1 - medium.electron_to_mip, medium.sampling_frequency
        core += -0.0203 * deficit + 0.0397 / f * np.exp(-tau)
        tail += -0.14 * deficit - 0.495 / f * np.exp(-tau)
        share += deficit * (0.348 - 0.642 / f * np.exp(-((tau - 1) ** 2)))
    return Radii(np.maximum(core, 1e-3), np.maximum(tail, 1e-3), share.clip(0, 1))


def electromagnetic_shower(
    energy: float,
    medium: Medium,
    depth: Sequence[float],
    generator: np.random.Generator,
    *,
    photon: bool = False,
) -> Spots:
    """One shower of an electron or photon that enters at x = y = 0 along z.

    Args:
        energy: In GeV, at least 0.1.
        medium: What the calorimeter is made of.
        depth: Edges of the layers along z in mm, the first is the front [L+1].
        generator: Of all random numbers.
        photon: Whether it is a photon.

    Returns:
        The spots that are within the depth; energy beyond it is lost.
    """
    start = generator.exponential(CONVERSION) if photon else 0.0
    law = profile(energy, medium)
    first, second = generator.standard_normal(2)
    plus, minus = math.sqrt((1 + law.rho) / 2), math.sqrt((1 - law.rho) / 2)
    t_max = max(math.exp(law.log_t + law.sigma_t * (plus * first + minus * second)), 1.0)
    alpha = math.exp(law.log_alpha + law.sigma_alpha * (plus * first - minus * second))
    alpha = max(alpha, 1.1)

    steps = Steps.of(depth, medium.radiation_length, start)
    energies = gammainc(alpha, (alpha - 1) / t_max * steps.edges)
    number, t_spot, alpha_spot = _spots(energy, t_max, alpha, medium)
    counts = gammainc(alpha_spot, (alpha_spot - 1) / t_spot * steps.edges)
    layer, step, signal = steps.spots(
        1e3 * energy * energies, number * counts, medium.resolution, generator
    )

    mean = math.exp(law.log_alpha)
    tau = steps.middles / t_max * (alpha - 1) / alpha * mean / (mean - 1)
    shape = radii(tau, energy, medium)
    draws = generator.random((3, len(step)))
    scale = np.where(draws[0] < shape.share[step], shape.core[step], shape.tail[step])
    r = medium.moliere_radius * scale * np.sqrt(draws[1] / (1 - draws[1]))
    return Spots(*around(r, draws[2]), layer, signal)


def _spots(energy: float, t_max: float, alpha: float, medium: Medium) -> tuple[float, float, float]:
    """Number of the spots of a shower, and T and α of their distribution along the axis."""
    z = medium.z
    if medium.passive is None:
        number = 93 * math.log(z) * energy**0.876
        t_max, alpha = t_max * (0.698 + 0.00212 * z), alpha * (0.639 + 0.00334 * z)
    else:
        number = 10.3 / medium.resolution * energy**0.959
        t_max, alpha = t_max * (0.813 + 0.0019 * z), alpha * (0.844 + 0.0026 * z)
    return number, max(t_max, 0.5), max(alpha, 1.1)


def around(r: Array, turn: Array) -> tuple[Array, Array]:
    """x and y of points at the distances ``r`` from the axis, ``turn`` (0 to 1) around it."""
    angle = 2 * np.pi * turn
    return r * np.cos(angle), r * np.sin(angle)


class Steps(NamedTuple):
    """The depth of a calorimeter in steps, several to a layer, measured from a shower's start.

    Attributes:
        edges: Depths between the J steps, 0 in front of the start [J+1].
        layers: First step of each layer, and J [L+1].
    """

    edges: Array
    layers: NDArray[np.int64]

    @classmethod
    def of(cls, depth: Sequence[float], unit: float, start: float, step: float = _STEP) -> Steps:
        """Steps in units of ``unit`` mm, none longer than ``step`` units.

        Args:
            depth: Edges of the layers in mm [L+1].
            unit: X0 or λ in mm.
            start: Depth in these units at which the shower begins.
            step: The longest one, in these units.
        """
        edges = (np.asarray(depth, dtype=np.float64) - depth[0]) / unit
        number = np.ceil(np.diff(edges) / step).astype(np.int64)
        layers = np.concatenate([[0], np.cumsum(number)])
        fine = np.interp(np.arange(layers[-1] + 1), layers, edges)
        return cls(np.maximum(fine - start, 0), layers)

    @property
    def middles(self) -> Array:
        """Depth in the middle of each step [J]."""
        return 0.5 * (self.edges[:-1] + self.edges[1:])

    def spots(
        self, energies: Array, numbers: Array, resolution: float, generator: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
        """Spots with fluctuating signals.

        A layer has a Poisson number of them, one at least where there is energy; each takes an
        equal part of it, at a depth within the layer that follows the energy.

        Args:
            energies: Energy in MeV in front of each edge [J+1].
            numbers: Mean number of spots in front of each edge [J+1].
            resolution: c, for energies in GeV.
            generator: Of all random numbers.

        Returns:
            Layer [N], step [N] and signal in MeV [N] of each spot.
        """
        below, share = energies[self.layers], np.diff(energies[self.layers])
        count = generator.poisson(np.diff(numbers[self.layers]))
        count = np.where(share > 0, np.maximum(count, 1), 0)
        layer = np.repeat(np.arange(len(count)), count)
        mean = share[layer] / count[layer]
        place = below[layer] + share[layer] * generator.random(len(layer))
        step = np.searchsorted(energies, place, side="right") - 1
        step = step.clip(self.layers[layer], self.layers[layer + 1] - 1)
        if resolution == 0:
            return layer, step, mean
        unit = 1e3 * resolution**2
        return layer, step, unit * generator.standard_gamma(mean / unit)
