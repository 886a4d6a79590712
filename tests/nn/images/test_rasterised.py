"""Points, then rasterised: the image is exact, and its gradient moves points."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pcgen import clouds as pc
from pcgen.errors import DataError
from pcgen.grids import Grid
from pcgen.images import cloud_to_image, snap
from pcgen.models.representations import Images
from pcgen.nn import RasterisedDecoder, SetDecoder
from pcgen.schema import Quantity, Schema

AXES = (Quantity("x", "mm"), Quantity("y", "mm"))
SCHEMA = Schema(AXES, Quantity("E", "GeV"))
GRID = Grid.parse("x:-2:2:6,y:-2:2:5", AXES)


class Given(nn.Module):
    """A decoder that gives the same standardised points whatever its input."""

    def __init__(self, clouds: pc.Batch) -> None:
        super().__init__()
        self.pos, self.x = nn.Parameter(clouds.pos), nn.Parameter(clouds.x)

    def forward(self, code, sizes, condition=None, generator=None) -> pc.Batch:
        return pc.make(self.pos, sizes, x=self.x)


def fitted(clouds: pc.Batch) -> Images:
    see = Images(SCHEMA, GRID)
    for phase in see.phases():
        phase.prepare([clouds])
    return see


def showers(sizes: list[int]) -> pc.Batch:
    generator = torch.Generator().manual_seed(0)
    rows = sum(sizes)
    pos = 3.6 * torch.rand(rows, 2, generator=generator) - 1.8
    return pc.make(pos, sizes, weight=torch.rand(rows, generator=generator) + 0.05)


def test_points_of_real_events_make_the_images_of_these_events() -> None:
    clouds = showers([6, 0, 3, 9])
    see = fitted(clouds)
    cells = snap(clouds, GRID)
    decoder = RasterisedDecoder(Given(see.standardize(cells)), see.standardize, GRID)
    generated = decoder(torch.zeros(4, 2), pc.sizes(cells))
    torch.testing.assert_close(generated, see.see(clouds).event, rtol=1e-4, atol=1e-4)


def test_every_active_cell_holds_a_point_and_the_generator_its_seed() -> None:
    see = fitted(showers([6, 2, 3]))
    decoder = RasterisedDecoder(SetDecoder(2, 2, 1, hidden=8), see.standardize, GRID)
    sizes, code = torch.tensor([7, 0, 1]), torch.randn(3, 2)
    one, same, other = (
        decoder(code, sizes, None, torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert (see.sizes(one) <= sizes).all()
    assert ((one == 0) | (one >= 1)).all()
    assert len(list(decoder.parameters())) == len(list(decoder.decoder.parameters()))


def test_the_gradient_moves_a_point_towards_the_cell_that_should_hold_more() -> None:
    """Of two points in two cells, the one between the centres is drawn to the cell that counts."""
    clouds = pc.make(torch.tensor([[-0.9, 0.0], [0.2, 0.0]]), [2], weight=torch.tensor([1.0, 1.0]))
    see = fitted(showers([6, 2, 3]))
    points = Given(see.standardize(clouds))
    decoder = RasterisedDecoder(points, see.standardize, GRID)
    cell = (cloud_to_image(clouds, GRID) > 0).nonzero()
    image = decoder(torch.zeros(1, 1), torch.tensor([2]))
    left = image[0, 0][tuple(cell[0, 1:])]
    left.backward()
    assert float(left.detach()) > 1
    # The right point sits in another cell and cannot give to the left one by moving a little; the
    # left one gives more of itself by moving to the centre of its cell, at x = -1.
    assert float(points.pos.grad[0, 0]) < 0
    assert float(points.x.grad[0]) > 0 > float(points.x.grad[1])


def test_a_grid_of_other_axes_is_refused() -> None:
    see = fitted(showers([6, 2, 3]))
    wrong = Grid.parse("r:0:1:4")
    decoder = RasterisedDecoder(SetDecoder(2, 2, 1, hidden=8), see.standardize, wrong)
    with pytest.raises(DataError, match="pos: got 2 columns, expected 1"):
        decoder(torch.zeros(1, 2), torch.tensor([3]))


def test_small_fractions_are_not_lost() -> None:
    """One part in a million, in a cell that nearly half of all the rest is shared with."""
    weight = torch.tensor([1.0, 1e-6])
    clouds = pc.make(torch.tensor([[-0.05, 0.0], [0.3, 0.0]]), [2], weight=weight)
    see = fitted(pc.concat([showers([6, 2, 3]), clouds]))
    decoder = RasterisedDecoder(Given(see.standardize(clouds)), see.standardize, GRID)
    generated, expected = decoder(torch.zeros(1, 1), torch.tensor([2])), see.see(clouds).event
    assert int((expected > 0).sum()) == 2
    torch.testing.assert_close(generated, expected, rtol=1e-5, atol=1e-5)
