"""Physics of simulated showers: maximum, containment, linearity, resolution, and toy hadrons.

The laws are written here a second time, with SciPy's distributions and published constants.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import integrate, stats

from pcgen.datasets.electromagnetic import Spots, electromagnetic_shower
from pcgen.datasets.hadrons import RESOLUTION, contained, parameters, toy_hadron_shower
from pcgen.datasets.media import MEDIA, Medium

Array = np.ndarray[Any, Any]
CRITICAL = {"lead-tungstate": 8.74, "tungsten-silicon": 8.23, "lead-scintillator": 9.43}  # MeV
LAYERS = 80


class Sample(NamedTuple):
    """Showers of one energy in a deep calorimeter whose layers are thin."""

    layers: Array  # share of its energy that each shower leaves in each layer [B, L]
    radius: Array  # of each spot, sorted [N]
    within: Array  # share of the signal up to that radius [N]

    @property
    def signal(self) -> Array:
        """Of each shower, as a share of its energy [B]."""
        return self.layers.sum(1)

    @property
    def profile(self) -> Array:
        """Mean share of the energy in each layer [L]."""
        return self.layers.mean(0)

    @property
    def variance(self) -> Array:
        """Of the mean share in each layer [L]."""
        return self.layers.var(0) / len(self.layers)


def sample(shower: Any, energy: float, medium: Medium, depth: Array, number: int) -> Sample:
    spots: list[Spots] = [
        shower(energy, medium, depth, np.random.default_rng((5, k))) for k in range(number)
    ]
    bins = len(depth) - 1
    shares = [np.bincount(s.layer, s.energy, bins) / (1e3 * energy) for s in spots]
    radius = np.concatenate([np.hypot(s.x, s.y) for s in spots])
    signal = np.concatenate([s.energy for s in spots])
    order = np.argsort(radius)
    within = np.cumsum(signal[order]) / signal.sum()
    return Sample(np.stack(shares), radius[order], within)


def electrons(energy: float, name: str, number: int = 200) -> Sample:
    medium = MEDIA[name]
    depth = np.linspace(0, 40 * medium.radiation_length, LAYERS + 1)
    return sample(electromagnetic_shower, energy, medium, depth, number)


@pytest.fixture(scope="module")
def made() -> dict[tuple[str, float], Sample]:
    return {
        (name, energy): electrons(energy, name, 60 if energy == 100 else 250)
        for name in CRITICAL
        for energy in (1.0, 10.0, 100.0)
    }


@pytest.mark.parametrize("energy", [1.0, 10.0, 100.0])
def test_the_shower_maximum_grows_with_the_logarithm_of_the_energy(
    made: dict[tuple[str, float], Sample], energy: float
) -> None:
    middles = (np.arange(LAYERS) + 0.5) * 40 / LAYERS
    for name, critical in CRITICAL.items():
        medium, y = MEDIA[name], 1e3 * energy / critical
        expected = math.log(y) - 0.812
        if medium.passive is not None:
            thickness = medium.passive.thickness + medium.active.thickness
            deficit = 1 - 1 / (
                1 + 0.007 * (medium.passive.properties.z - medium.active.properties.z)
            )
            expected -= 0.55 * thickness / medium.radiation_length + 0.69 * deficit
        found = made[name, energy].profile
        top = slice(found.argmax() - 4, found.argmax() + 5)
        curve = np.polyfit(middles[top], found[top], 2)
        assert -curve[1] / (2 * curve[0]) == pytest.approx(expected, abs=0.5), name


@pytest.mark.parametrize("energy", [1.0, 10.0, 100.0])
def test_the_mean_profile_is_that_of_fluctuating_gamma_distributions(
    made: dict[tuple[str, float], Sample], energy: float
) -> None:
    """Homogeneous: all constants written out, drawn by SciPy."""
    log_y, z = math.log(1e3 * energy / 8.74), 68.36
    sigma = min(1 / (-1.4 + 1.26 * log_y), 0.5), min(1 / (-0.58 + 0.86 * log_y), 0.5)
    shared = (0.705 - 0.023 * log_y) * sigma[0] * sigma[1]
    covariance = [[sigma[0] ** 2, shared], [shared, sigma[1] ** 2]]
    mean = [math.log(log_y - 0.812), math.log(0.81 + (0.458 + 2.26 / z) * log_y)]
    drawn = stats.multivariate_normal(mean, covariance).rvs(4000, random_state=1)
    t_max, alpha = np.exp(drawn).T.clip([[1.0], [1.1]])
    edges = np.linspace(0, 40, LAYERS + 1)
    law = stats.gamma.cdf(edges[:, None], alpha, scale=t_max / (alpha - 1))
    expected = np.diff(law.mean(1))
    found = made["lead-tungstate", energy]
    error = np.sqrt(found.variance + np.diff(law, axis=0).var(1) / 4000)
    assert np.abs((found.profile - expected) / (error + 1e-5)).max() < 4.5


def test_a_moliere_radius_contains_nine_tenths(made: dict[tuple[str, float], Sample]) -> None:
    for (name, energy), found in made.items():
        inside = [
            float(found.within[np.searchsorted(found.radius, k * MEDIA[name].moliere_radius) - 1])
            for k in (1, 2)
        ]
        assert 0.86 < inside[0] < 0.925, (name, energy)
        assert 0.94 < inside[1] < 0.975, (name, energy)


def test_the_response_is_linear(made: dict[tuple[str, float], Sample]) -> None:
    """Deep calorimeters lose next to nothing, so the signal is the energy within its error."""
    for (name, energy), found in made.items():
        error = MEDIA[name].resolution / math.sqrt(energy * len(found.signal))
        assert found.signal.mean() == pytest.approx(1, abs=4 * error + 1e-3), (name, energy)


def test_the_resolution_falls_with_the_root_of_the_energy(
    made: dict[tuple[str, float], Sample],
) -> None:
    for (name, energy), found in made.items():
        expected = MEDIA[name].resolution / math.sqrt(energy)
        # The relative error of a standard deviation of n values is 1/√(2n).
        tolerance = 4 / math.sqrt(2 * len(found.signal))
        assert found.signal.std() == pytest.approx(expected, rel=tolerance), (name, energy)


def test_a_shallow_calorimeter_leaks_what_is_behind_it() -> None:
    medium = MEDIA["tungsten-silicon"]
    deep = np.arange(0, 40.5, 0.5) * medium.radiation_length
    shallow = deep[: 2 * 10 + 1]  # 10 X0
    whole = sample(electromagnetic_shower, 30, medium, deep, 300)
    cut = sample(electromagnetic_shower, 30, medium, shallow, 300)
    behind = whole.profile[20:].sum()
    assert 0.3 < behind < 0.4
    assert cut.signal.mean() == pytest.approx(1 - behind, abs=0.02)


def test_neither_mean_nor_fluctuations_depend_on_how_the_depth_is_cut() -> None:
    medium = MEDIA["lead-scintillator"]
    fine = np.arange(0, 24.5, 0.5) * medium.radiation_length
    many = sample(electromagnetic_shower, 20, medium, fine, 400)
    few = sample(electromagnetic_shower, 20, medium, fine[::8], 400)
    summed = many.layers.reshape(400, -1, 8).sum(2)
    error = np.sqrt(few.variance + summed.var(0) / 400)
    assert np.abs((few.profile - summed.mean(0)) / error).max() < 4
    ratio = few.layers.std(0)[:4] / summed.std(0)[:4]
    assert ratio == pytest.approx(np.ones(4), abs=4 / math.sqrt(400))


def test_photons_begin_nine_sevenths_of_a_radiation_length_later() -> None:
    medium = MEDIA["lead-tungstate"]
    depth = np.linspace(0, 40 * medium.radiation_length, LAYERS + 1)
    middles = (np.arange(LAYERS) + 0.5) * 40 / LAYERS

    def photon(*given: Any) -> Spots:
        return electromagnetic_shower(*given, photon=True)

    centres = []
    for shower in (electromagnetic_shower, photon):
        found = sample(shower, 1, medium, depth, 600)
        centres.append(found.profile @ middles / found.profile.sum())
    # The errors of both means: 9/7 of the start, and about one X0 of the showers themselves.
    assert centres[1] - centres[0] == pytest.approx(9 / 7, abs=4 * 1.8 / math.sqrt(600))


# --- toy hadrons ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("energy", "em", "hadronic", "share"), [(20.0, 7.4, 1.36, 0.46), (200.0, 10.9, 2.68, 0.40)]
)
def test_the_parts_of_a_pion_have_the_depths_of_the_source(
    energy: float, em: float, hadronic: float, share: float
) -> None:
    law = parameters(energy)
    assert law.alpha_em / law.beta_em == pytest.approx(em, abs=0.05)
    assert law.alpha_hadronic / law.beta_hadronic == pytest.approx(hadronic, abs=0.01)
    assert law.share_em == pytest.approx(share, abs=0.005)


@pytest.mark.parametrize(("energy", "number"), [(1.0, 400), (5.0, 400), (50.0, 300), (700.0, 80)])
def test_the_mean_profile_of_pions_is_the_law_behind_an_exponential_start(
    energy: float, number: int
) -> None:
    medium = MEDIA["iron-scintillator"]
    law, ratio = parameters(energy), medium.interaction_length / medium.radiation_length
    parts = (
        (law.share_em, stats.gamma(law.alpha_em, scale=1 / (law.beta_em * ratio))),
        (1 - law.share_em, stats.gamma(law.alpha_hadronic, scale=1 / law.beta_hadronic)),
    )

    def expected(depth: float) -> float:
        """Mean share up to a depth in λ: the start is anywhere in front."""
        inside = lambda start: math.exp(-start) * sum(w * d.cdf(depth - start) for w, d in parts)  # noqa: E731
        return float(integrate.quad(inside, 0, depth)[0])

    edges = np.array([0.0, 0.5, 1, 2, 3, 5, 8])
    found = sample(toy_hadron_shower, energy, medium, edges * medium.interaction_length, number)
    up_to = found.layers.cumsum(1)
    laws = np.array([expected(depth) for depth in edges[1:]])
    error = up_to.std(0) / math.sqrt(number)
    assert np.abs((up_to.mean(0) - laws) / error).max() < 4.5
    assert np.all(np.diff(contained(edges, energy, medium)) > 0)


def test_pions_resolve_their_energy_where_they_are_contained() -> None:
    medium = MEDIA["iron-scintillator"]
    depth = np.linspace(0, 40 * medium.interaction_length, 41)
    for energy in (5.0, 40.0):
        found = sample(toy_hadron_shower, energy, medium, depth, 300)
        assert found.signal.mean() == pytest.approx(1, abs=0.05)
        assert found.signal.std() * math.sqrt(energy) == pytest.approx(
            RESOLUTION, rel=4 / math.sqrt(600)
        )


def test_pions_are_wider_than_electrons_and_end_at_four_radii() -> None:
    medium = MEDIA["iron-scintillator"]
    length = medium.interaction_length
    depth = np.linspace(0, 8 * length, 41)
    found = sample(toy_hadron_shower, 50, medium, depth, 300)
    inside = float(found.within[np.searchsorted(found.radius, length) - 1])
    assert 0.88 < inside < 0.97  # the rule of thumb: 95 % in one λ
    widest = 2 * (0.3714 - 0.0511 * math.log(50)) * 8 * length * 4
    assert found.radius.max() < widest
    em = electrons(50, "iron-scintillator", 50)
    assert np.interp(0.5, found.within, found.radius) > 2 * np.interp(0.5, em.within, em.radius)
