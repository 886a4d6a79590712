"""Sites, images and hits of showers: the voxels of a calorimeter as the cells that networks see."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from fabricated_showers import CELLS, RINGS, fabricated_showers

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.grids import Calorimeter
from pcgen.images import shower_to_cloud
from pcgen.models.cardinality import describe
from pcgen.models.representations import Hits, Images, Representation, Sites
from pcgen.schema import Quantity, Schema

EQUAL = Calorimeter.cylindrical([(0, 4, 9), (0, 5, 11), (0, 6, 15)], [4] * 3, depth=(0, 5, 9, 20))
LISTED = Calorimeter.cells([(0, 9, 18), (0, 9)], [(0, 0, 0), (9, 9)], [(9, 9, 9), (9, 9)])
SHAPES = ((RINGS, (RINGS.voxels,)), (CELLS, (CELLS.voxels,)), (EQUAL, (3, 4, 2)), (LISTED, (5,)))


def showers(calorimeter: Calorimeter) -> tuple[torch.Tensor, cl.Batch]:
    """Rows of energies, and the same as clouds; the last has no energy at all."""
    made = fabricated_showers(calorimeter, 12, seed=1, threshold=100.0)
    voxels = made.voxels.float()
    voxels[-1] = 0
    return voxels, shower_to_cloud(voxels, calorimeter, y=made.incident[:, None].float())


def fitted(see: Representation, clouds: cl.Batch) -> Representation:
    for phase in see.phases():
        assert phase.prepare is not None
        phase.prepare([clouds])
    return see


@pytest.mark.parametrize("kind", [Sites, Images, Hits])
@pytest.mark.parametrize(("calorimeter", "shape"), SHAPES)
def test_a_shower_comes_back_from_what_networks_see(kind, calorimeter, shape):
    voxels, clouds = showers(calorimeter)
    see = fitted(kind(calorimeter.schema, calorimeter), clouds)
    assert (see.shape, see.grid) == (shape, None)
    event = see.see(clouds).event
    if kind is not Sites:
        assert torch.equal(event.reshape(voxels.shape) > 0.5, voxels > 0)
    back = see.clouds(event, describe(clouds, calorimeter.schema))
    for name in ("pos", "layer", "ptr", "y"):
        assert torch.equal(back[name], clouds[name]), name
    if kind is not Hits:
        torch.testing.assert_close(back.weight, clouds.weight, rtol=1e-4, atol=1e-2)


def test_axes_in_any_order_energies_in_any_unit_and_layers_that_z_counts():
    _, clouds = showers(RINGS)
    schema = Schema(
        (Quantity("z"), Quantity("y", "mm"), Quantity("x", "mm")),
        Quantity("energy", "GeV"),
        condition=RINGS.schema.condition,
        layers=RINGS.schema.layers,
    )
    pos = torch.stack([clouds.layer + 0.5, clouds.pos[:, 1], clouds.pos[:, 0]], 1)
    turned = cl.replace(clouds, pos=pos, weight=clouds.weight / 1e3)
    see = fitted(Sites(schema, RINGS), turned)
    back = see.clouds(see.see(turned).event, describe(turned, schema))
    assert torch.equal(back.pos, pos)
    torch.testing.assert_close(back.weight, turned.weight, rtol=1e-4, atol=1e-5)


def test_points_of_a_voxel_are_one_and_those_outside_are_lost():
    pos = torch.tensor([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [99.0, 0.0, 0.0], [2.0, 1.0, 6.0]])
    weight = torch.tensor([1.0, 2.0, 1.0, 4.0])
    schema = dataclasses.replace(EQUAL.schema, layers=(), condition=())
    see = Sites(schema, EQUAL)  # without layers z decides
    clouds = cl.make(pos, [4], weight=weight)
    assert see.loss_of(clouds) == (0.25, 0.125)
    kept = see.prepared(clouds)
    assert kept.weight.tolist() == [3.0, 4.0]
    assert kept.get("layer") is None
    assert kept.pos[:, 2].tolist() == [2.5, 7.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axes": (Quantity("x", "mm"), Quantity("y", "mm"))}, "axes: got x, y, expected x, y and"),
        ({"layers": ("a",)}, "layers: got a, expected those of the calorimeter, 0, 1, 2, 12"),
        ({"axes": tuple(Quantity(n, "cm") for n in "xyz")}, "axis 'x' of grid: got unit 'mm'"),
        ({"layers": (), "axes": (*RINGS.schema.axes[:2], Quantity("z"))}, "axis 'z' of grid"),
    ],
)
def test_clouds_that_are_not_of_voxels_are_refused(changes, message):
    with pytest.raises(ArgumentError, match=message):
        Sites(dataclasses.replace(RINGS.schema, **changes), RINGS)
