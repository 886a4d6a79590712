"""Points in layers: what a layer has is kept, and how its points share it is what is generated."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import Batch
from toy_layers import DEPTH, SCHEMA, toy_showers

from pcgen import clouds as cl
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter
from pcgen.models.representations import Layered
from pcgen.models.representations.layered import given_channels
from pcgen.models.request import Request
from pcgen.nn import LayerProfileField
from pcgen.ops.segments import sum_by
from pcgen.schema import Quantity, Schema


def layered(schema: Schema = SCHEMA, clouds: Batch | None = None, **options) -> Layered:
    """Fitted to toy showers."""
    torch.manual_seed(0)
    conditions = given_channels(schema)
    field = LayerProfileField(len(schema.layers), condition_channels=conditions, hidden=8, depth=1)
    see = Layered(schema, field, **options)
    training = toy_showers(400) if clouds is None else clouds
    for phase in see.phases():
        if phase.prepare is not None:
            phase.prepare([cl.part(training, slice(0, 300)), cl.part(training, slice(300, 400))])
    return see.eval()


def energies(clouds: Batch, layers: int = 4) -> torch.Tensor:
    group = clouds.batch * layers + clouds.layer
    return sum_by(clouds.weight.double(), group, clouds.num_graphs * layers).view(-1, layers)


@pytest.mark.parametrize("squash", [None, 0.5])
def test_there_and_back_changes_nothing_but_the_order(squash) -> None:
    clouds, see = toy_showers(50, seed=3), layered(squash=squash)
    event, condition = see.see(clouds)
    assert event.pos.shape[1] == 2
    assert condition.shape == (50, see.condition_channels)
    torch.testing.assert_close(condition, see.condition(see.describe(clouds)))
    back, ordered = see.clouds(event, see.describe(clouds)), see.prepared(clouds)
    torch.testing.assert_close(back.pos, ordered.pos, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(back.weight, ordered.weight, rtol=1e-4, atol=1e-3)
    assert torch.equal(back.layer, ordered.layer)
    assert torch.equal(back.y, clouds.y)


def test_rows_are_sorted_by_layer_and_keep_their_clouds() -> None:
    clouds, see = toy_showers(20, seed=4), layered()
    ordered = see.prepared(clouds)
    assert torch.equal(ordered.ptr, clouds.ptr)
    for one, other in zip(ordered.to_data_list(), clouds.to_data_list(), strict=True):
        assert (one.layer.diff() >= 0).all()
        torch.testing.assert_close(one.weight.sort().values, other.weight.sort().values)
    groups = see.exchangeable(see.see(clouds).event)
    assert len(groups) == 20 * 4 + 1
    number = torch.bincount(clouds.batch * 4 + clouds.layer, minlength=80)
    assert torch.equal(groups.diff(), number)


def test_whatever_the_values_layers_have_the_points_and_energies_that_were_drawn() -> None:
    see, generator = layered(), torch.Generator().manual_seed(1)
    drawn = see.draw(Request(64), generator)
    event = see.unfilled(drawn)
    values = 3 * torch.randn(see.values(event).shape, generator=generator)
    clouds = see.clouds(see.with_values(event, values), drawn)
    group = clouds.batch * 4 + clouds.layer
    assert torch.equal(torch.bincount(group, minlength=256).view(64, 4), drawn.layers.number)
    torch.testing.assert_close(energies(clouds), drawn.layers.weight.double(), rtol=1e-5, atol=0)
    torch.testing.assert_close(cl.total(clouds), drawn.total, rtol=1e-5, atol=0)
    assert torch.equal(clouds.pos[:, 2], DEPTH[clouds.layer])
    assert (drawn.layers.weight[drawn.layers.number == 0] == 0).all()


def test_requested_sizes_conditions_and_classes_are_kept() -> None:
    see = layered()
    sizes, label = torch.tensor([0, 1, 7, 40]), torch.tensor([0, 1, 0, 1])
    y = torch.tensor([[2e3], [5e3], [1e4], [5e4]])
    drawn = see.draw(Request(4, sizes, y, label), torch.Generator().manual_seed(0))
    assert torch.equal(drawn.sizes, sizes)
    assert torch.equal(drawn.layers.number.sum(1), sizes)
    assert torch.equal(drawn.y, y)
    assert torch.equal(drawn.label, label)


def test_energies_are_seen_as_logarithms_and_other_conditions_as_they_are() -> None:
    schema = Schema(
        SCHEMA.axes,
        SCHEMA.weight,
        condition=(*SCHEMA.condition, Quantity("angle", "rad")),
        layers=SCHEMA.layers,
    )
    clouds = toy_showers(400)
    angle = torch.linspace(-1, 1, 400)[:, None]
    see = layered(schema, cl.replace(clouds, y=torch.cat([clouds.y, angle], 1), label=None))
    other = see.draw(Request(3, None, torch.tensor([[1e3, 0.0], [1e4, 0.0], [1e5, 0.5]])))
    first, second = see.condition(other)[:, :2].unbind(1)
    assert float(first.diff()[0]) == pytest.approx(float(first.diff()[1]), rel=1e-4)
    assert second[0] == second[1] != second[2]


def test_a_layer_without_points_in_training_has_a_place_on_the_line() -> None:
    clouds = toy_showers(400)
    clouds = cl.select_points(clouds, clouds.layer != 1)
    see = layered(clouds=clouds)
    assert see.place[0] == 1.0
    assert 1.0 < float(see.place[1]) < 5.0


def test_points_of_cells_are_spread_over_them() -> None:
    schema = Schema(
        SCHEMA.axes, SCHEMA.weight, condition=SCHEMA.condition, layers=("0", "1", "2", "3")
    )
    plates = Calorimeter.planar([[-40, -2, 0, 2, 40]] * 4, [[-40, 0, 40]] * 4)
    clouds = toy_showers(400)
    voxel = plates.locate(clouds.pos, clouds.layer).voxel
    pos = plates.geometry().centre[voxel].float()
    clouds = cl.replace(clouds, pos=pos, label=None)
    see = layered(schema, clouds, calorimeter=plates)
    one, other = see.see(clouds).event, see.see(clouds).event
    assert not torch.equal(one.pos, other.pos)
    assert torch.equal(one.x, other.x)
    back = see.clouds(one, see.describe(clouds))
    ordered = see.prepared(clouds)
    assert torch.equal(
        plates.locate(back.pos, back.layer).voxel, plates.locate(ordered.pos, ordered.layer).voxel
    )


def test_points_without_weight_are_lost_and_counted() -> None:
    clouds, see = toy_showers(10, seed=5), layered()
    weight = clouds.weight.clone()
    weight[:4] = 0.0
    clouds = cl.replace(clouds, weight=weight)
    assert see.loss_of(clouds).points == pytest.approx(4 / len(weight))
    assert len(see.see(clouds).event.pos) == len(weight) - 4


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (Schema(SCHEMA.axes, SCHEMA.weight), "got no layers"),
        (Schema(SCHEMA.axes, layers=("a",)), "got no weight"),
        (Schema(SCHEMA.axes[2:], SCHEMA.weight, layers=("a",)), "the only axis"),
    ],
)
def test_schemas_without_layers_are_refused(schema, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        Layered(schema, LayerProfileField(1))


def test_clouds_that_do_not_fit_are_refused() -> None:
    clouds, see = toy_showers(10), layered()
    with pytest.raises(DataError, match="layer: got none"):
        see.see(cl.replace(clouds, layer=None))
    with pytest.raises(DataError, match="layer: got 0 to 4, expected 0 to 3"):
        see.see(cl.replace(clouds, layer=torch.where(clouds.layer == 3, 4, clouds.layer)))
    with pytest.raises(ArgumentError, match="sizes of events alone"):
        see.blank(torch.tensor([3]))
    tilted = toy_showers(400)
    pos = tilted.pos + torch.tensor([0.0, 0.0, 0.1]) * torch.rand(len(tilted.pos), 1)
    with pytest.raises(DataError, match="expected one value of each layer"):
        layered(clouds=cl.replace(tilted, pos=pos))


def test_points_that_are_not_those_of_the_calorimeter_are_refused() -> None:
    plates = Calorimeter.planar([[-40, 0, 40]] * 4, [[-40, 0, 40]] * 4)
    swapped = Schema(SCHEMA.axes[::-1], SCHEMA.weight, layers=SCHEMA.layers)
    with pytest.raises(ArgumentError, match="calorimeter: got points with z, y, x"):
        Layered(swapped, LayerProfileField(4), calorimeter=plates)
