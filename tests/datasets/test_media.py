"""Materials and media: published lengths and energies come out of their formulas."""

from __future__ import annotations

import math

import pytest

from pcgen.datasets.media import MATERIALS, MEDIA, Medium, Plate

# Radiation length and interaction length in cm (Review of Particle Physics; lead tungstate and
# copper as in CMS's fast simulation), critical energy of electrons in MeV, Molière radius in cm.
PUBLISHED = {
    "silicon": (9.37, 46.5, 40.2, 4.94),
    "argon": (14.0, 85.7, 32.8, 9.04),
    "iron": (1.757, 16.77, 21.7, 1.72),
    "copper": (1.43, 15.05, 18.6, 1.57),
    "tungsten": (0.3504, 9.946, 7.97, 0.933),
    "lead": (0.5612, 17.59, 7.43, 1.60),
    "polystyrene": (41.3, 77.1, 93.1, 9.4),
    "lead-tungstate": (0.89, 18.5, 8.74, 2.19),
}


@pytest.mark.parametrize("name", list(MATERIALS))
def test_materials_are_those_of_the_tables(name: str) -> None:
    material, (x0, interaction, critical, moliere) = MATERIALS[name], PUBLISHED[name]
    assert material.radiation_length / material.density == pytest.approx(x0, rel=0.005)
    assert material.interaction_length / material.density == pytest.approx(interaction, rel=0.005)
    # The formula for these two is a fit, good to a tenth in heavy materials.
    assert material.critical_energy == pytest.approx(critical, rel=0.2)
    assert material.moliere_radius == pytest.approx(10 * moliere, rel=0.2)


def test_the_stack_of_tungsten_and_silicon() -> None:
    medium = MEDIA["tungsten-silicon"]
    assert medium.radiation_length == pytest.approx(4.22, abs=0.005)
    assert medium.sampling_frequency == pytest.approx(2.48, abs=0.005)
    assert medium.electron_to_mip == pytest.approx(0.704, abs=0.0005)
    # 1/R_M of plates is the mean of 1/R_M over their thicknesses.
    tungsten, silicon = (MATERIALS[name].moliere_radius for name in ("tungsten", "silicon"))
    assert 1.7 / medium.moliere_radius == pytest.approx(1.4 / tungsten + 0.3 / silicon)


def test_plates_of_one_material_are_that_material() -> None:
    lead = MATERIALS["lead"]
    medium = Medium(Plate("lead", 1.0), Plate("lead", 3.0), 0.1)
    assert medium.radiation_length == pytest.approx(10 * lead.radiation_length / lead.density)
    assert medium.interaction_length == pytest.approx(10 * lead.interaction_length / lead.density)
    assert medium.moliere_radius == pytest.approx(lead.moliere_radius)
    assert medium.critical_energy == pytest.approx(lead.critical_energy)
    assert (medium.z, medium.electron_to_mip) == (82, 1)


def test_a_homogeneous_medium_does_not_depend_on_its_thickness() -> None:
    medium = MEDIA["lead-tungstate"]
    assert medium.critical_energy == pytest.approx(8.74, abs=0.005)
    assert medium.radiation_length == pytest.approx(8.9, abs=0.01)
    assert math.isinf(medium.sampling_frequency)
    other = Medium(Plate("lead-tungstate", 9.0), None, 0.028)
    assert other.moliere_radius == pytest.approx(medium.moliere_radius)
