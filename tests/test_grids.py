"""Grids: cells against numpy's histograms, periodic axes, text and dictionaries, refusals."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Grid
from pcgen.schema import Quantity, Schema

PHI = Quantity("phi", "rad", 2 * math.pi, "$\\phi$")
DTYPES = (torch.float16, torch.float32, torch.float64)


@st.composite
def edge_lists(draw: st.DrawFn) -> tuple[float, ...]:
    low = draw(st.integers(-20, 20))
    steps = draw(st.lists(st.integers(1, 9), min_size=1, max_size=6))
    return tuple(float(e) / 4 for e in np.cumsum([low, *steps]))


@given(edge_lists(), edge_lists(), st.integers(0, 40), st.integers(0, 99))
def test_locate_agrees_with_numpy_histogram(
    first: tuple[float, ...], second: tuple[float, ...], points: int, seed: int
) -> None:
    grid = Grid((Quantity("a"), Quantity("b")), (first, second))
    generator = torch.Generator().manual_seed(seed)
    # Quarters, so that many points are on an edge.
    pos = torch.randint(-40, 80, (points, 2), generator=generator).double() / 4
    cell, inside = grid.locate(pos)
    image = np.zeros(grid.shape)
    np.add.at(image, tuple(cell[inside].T.numpy()), 1)
    expected, _ = np.histogramdd(pos.numpy(), bins=[np.array(e) for e in grid.edges])
    np.testing.assert_array_equal(image, expected)


def test_a_point_outside_gets_the_nearest_cell() -> None:
    grid = Grid.regular({"x": (0, 1, 4)})
    cell, inside = grid.locate(torch.tensor([[-3.0], [9.0], [1.0], [0.0], [math.nan]]))
    assert cell.flatten()[:4].tolist() == [0, 3, 3, 0]
    assert inside.tolist() == [False, False, True, True, False]


@given(st.integers(1, 9), st.integers(-50, 50), st.integers(0, 63))
def test_a_closed_axis_repeats_after_its_period(cells: int, turns: int, place: int) -> None:
    grid = Grid.regular({Quantity("a", period=8.0): (-4.0, 4.0, cells)})
    pos = torch.tensor([[place / 8 - 4.0]])
    once, turned = grid.locate(pos), grid.locate(pos + 8.0 * turns)
    assert once.cell.item() == turned.cell.item()
    assert bool(turned.inside)
    assert grid.wrap(pos + 8.0 * turns).item() == pos.item()


def test_the_seam_of_phi_is_where_the_edges_are_in_each_dtype() -> None:
    grid = Grid.regular({PHI: (-math.pi, math.pi, 16)})
    assert grid.closed == (True,)
    for dtype in DTYPES:
        low = torch.tensor(-math.pi, dtype=dtype)
        seam = torch.stack([low, -low, torch.nextafter(-low, low), low - 0.01])
        cell, inside = grid.locate(seam[:, None])
        # Lower edge; the upper edge, which is the lower one; just below each.
        assert cell.flatten().tolist() == [0, 0, 15, 15]
        assert inside.all()


def test_an_open_periodic_axis_has_a_gap_whose_nearer_end_wins() -> None:
    grid = Grid.regular({PHI: (-1.0, 1.0, 4)})
    away = torch.tensor([[1.5], [-1.5], [math.pi - 0.1], [math.pi + 0.1]])
    cell, inside = grid.locate(away)
    assert not inside.any()
    assert cell.flatten().tolist() == [3, 0, 3, 0]
    turned, inside = grid.locate(torch.tensor([[0.1 + 2 * math.pi], [0.1 - 4 * math.pi]]))
    assert turned.flatten().tolist() == [2, 2]
    assert inside.all()


def test_wrapping_is_differentiable_and_leaves_inside_points_alone() -> None:
    grid = Grid.regular({PHI: (-math.pi, math.pi, 3), "x": (0, 1, 1)})
    pos = torch.tensor([[0.123, 5.0], [7.0, 0.5], [-9.0, 0.2]], dtype=torch.float64)
    wrapped = grid.wrap(pos.requires_grad_())
    assert torch.equal(wrapped[0], pos[0])
    torch.testing.assert_close(wrapped[:, 0].sin(), pos[:, 0].sin())
    assert wrapped[:, 0].abs().max() <= math.pi
    wrapped.sum().backward()
    assert pos.grad is not None
    assert torch.equal(pos.grad, torch.ones_like(pos))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("edges", [(0.1, 0.2, 0.30000001192), (-7e-3, 1 / 3, 1000.0), (2.0, 2.01)])
def test_placed_points_stay_in_their_cells(dtype: torch.dtype, edges: tuple[float, ...]) -> None:
    grid = Grid((Quantity("x"),), (edges,))
    cell = torch.arange(len(edges) - 1).repeat(50)[:, None]
    for fraction in (torch.zeros(cell.shape), torch.ones(cell.shape), torch.rand(cell.shape)):
        pos = grid.place(cell, fraction, dtype=dtype)
        assert pos.dtype == dtype
        found, inside = grid.locate(pos)
        assert torch.equal(found, cell)
        assert inside.all()


def test_geometry_of_an_irregular_grid() -> None:
    grid = Grid((Quantity("r", "mm"), Quantity("z", "mm")), ((0, 1, 4), (0, 10, 20)), ("a", "b"))
    cell = torch.tensor([[0, 1], [1, 0]])
    assert grid.centres(cell).tolist() == [[0.5, 15.0], [2.5, 5.0]]
    assert grid.widths(cell).tolist() == [[1.0, 10.0], [3.0, 10.0]]
    assert grid.volumes().shape == grid.shape == (2, 2, 2)
    assert grid.volumes()[0].tolist() == [[10.0, 10.0], [30.0, 30.0]]
    assert grid.centres(cell, dtype=torch.float64).dtype == torch.float64


def test_lists_and_arrays_of_edges_make_the_same_grid() -> None:
    loose: list[Any] = [[Quantity("x")], [np.linspace(0, 1, 3)], ["a"]]
    grid = Grid(*loose)
    assert grid == Grid((Quantity("x"),), ((0.0, 0.5, 1.0),), ("a",))
    assert hash(grid) == hash(Grid.from_dict(grid.to_dict()))


@given(st.lists(edge_lists(), min_size=1, max_size=3), st.booleans())
def test_text_and_dictionary_round_trip(edges: list[tuple[float, ...]], layered: bool) -> None:
    axes = tuple(Quantity(f"a{i}", "mm" * (i % 2), 200.0 if i else None) for i in range(len(edges)))
    grid = Grid(axes, tuple(edges), ("ECAL", "HCAL") if layered else ())
    assert Grid.parse(str(grid)) == grid
    assert Grid.from_dict(json.loads(json.dumps(grid.to_dict()))) == grid


def test_the_text_of_a_regular_grid_is_short() -> None:
    text = "layers=ECAL/HCAL,eta:-0.5:0.5:25,phi:-0.4:0.4:25:rad:6.0"
    assert str(Grid.parse(text)) == text
    # Angles as they are typed.
    text = "eta:-0.5:0.5:25,phi:-pi:pi:25:rad:2pi"
    assert str(Grid.parse(text)) == text
    assert Grid.parse(text).axes[1].period == 2 * math.pi


def test_parsed_axes_take_what_the_schema_knows() -> None:
    eta, phi = Quantity("eta", symbol="$\\eta$"), PHI
    grid = Grid.parse("eta:-1:1:2,phi:-pi:pi:4", axes=(phi, eta))
    assert grid.axes == (eta, phi)
    assert grid.closed == (False, True)
    assert grid.columns((phi, eta)) == (1, 0)
    degrees = Grid.parse("phi:-180:180:4:deg:360", axes=(phi,))
    assert degrees.axes[0].unit == "deg"
    with pytest.raises(ArgumentError, match=r"axis 'phi' of grid: got unit 'deg'.*expected 'rad'"):
        degrees.columns((phi,))
    with pytest.raises(ArgumentError, match=r"got 'z', expected one of \['phi', 'eta'\]"):
        Grid.parse("z:0:1:2").columns((phi, eta))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", r"got 'x', expected name:low:high:cells"),
        ("x:0:1", r"got 'x:0:1'"),
        ("x:0:1:two", r"got 'x:0:1:two'"),
        ("x:0:1:2:mm:3:4", r"a field too many"),
        (":0:1:2", r"a field too many or too few"),
        ("x:0:1:0", r"axis 'x': got 0 cells"),
        ("x:1:0:5", r"got 5 cells from 1.0 to 0.0"),
        ("x:0:1:2:rad:-1", r"period of 'x': got -1.0"),
        ("x:0/1/1", r"edges of axis 'x': got \(0.0, 1.0, 1.0\)"),
        ("x:0/inf", r"expected at least two finite numbers"),
        ("x:0:7:5:rad:2pi", r"got a span of 7.0, expected at most the period 6.28"),
        ("x:0:1:2,x:0:1:2", r"axes of grid: got \['x', 'x'\], expected different names"),
        ("layers=a/a,x:0:1:2", r"layers of grid"),
        ("a:0:1:1,b:0:1:1,c:0:1:1,d:0:1:1", r"got 4 axes"),
    ],
)
def test_bad_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Grid.parse(text)


@pytest.mark.parametrize("data", [{}, {"axes": [{"n": 1}], "edges": [[0, 1]]}, {"axes": 3}])
def test_bad_dictionaries_are_refused(data: dict[str, object]) -> None:
    with pytest.raises(DataError, match="expected the fields of Grid"):
        Grid.from_dict(data)


def test_long_edge_lists_are_shortened_in_messages() -> None:
    with pytest.raises(ArgumentError, match=r"\.\.\."):
        Grid((Quantity("x"),), ((*range(50), 3),))


def test_layers_and_shapes_are_checked() -> None:
    plain, layered = Grid.regular({"x": (0, 1, 2)}), Grid.regular({"x": (0, 1, 2)}, ("a", "b"))
    pos = torch.zeros(3, 1)
    with pytest.raises(ArgumentError, match=r"got some, expected.*none"):
        plain.locate(pos, torch.zeros(3, dtype=torch.long))
    with pytest.raises(ArgumentError, match=r"got none, expected.*'a', 'b'"):
        layered.locate(pos)
    with pytest.raises(ArgumentError, match=r"layer of point 1: got 2, expected 0 to 1"):
        layered.locate(pos, torch.tensor([0, 2, 1]))
    with pytest.raises(ArgumentError, match=r"expected integers \[3\]"):
        layered.locate(pos, torch.zeros(3))
    with pytest.raises(ArgumentError, match=r"expected a float tensor \[N, 1\]"):
        plain.locate(torch.zeros(3, 2))


def test_a_dtype_too_coarse_for_the_cells_is_refused() -> None:
    grid = Grid((Quantity("x"),), ((1.0, 1.00000001, 2.0),))
    assert grid.locate(torch.tensor([[1.5]], dtype=torch.float64)).cell.item() == 1
    with pytest.raises(ArgumentError, match=r"got torch.float32.*axis 'x'"):
        grid.locate(torch.tensor([[1.5]]))


def test_a_grid_takes_the_order_of_the_schemas_axes() -> None:
    schema = Schema((Quantity("eta"), PHI, Quantity("z", "mm")), layers=("a", "b"))
    text = "layers=a/b,z:0:9:3,phi:-pi:pi:4,eta:-2/0/1"
    grid = Grid.parse(text, schema.axes).matched(schema)
    assert [axis.name for axis in grid.axes] == ["eta", "phi", "z"]
    assert (grid.cells, grid.layers, grid.edges[0]) == ((2, 4, 3), ("a", "b"), (-2.0, 0.0, 1.0))
    assert grid.matched(schema) is grid


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x:-1:1:2,phi:-pi:pi:4", r"axes of grid: got 'x', expected one of \['eta', 'phi'\]"),
        ("eta:-1:1:2:mm,phi:-pi:pi:4", "axis 'eta' of grid: got unit 'mm' .* expected ''"),
        ("eta:-1:1:2,phi:-pi:pi:4:deg", "axis 'phi' of grid: got unit 'deg' .* expected 'rad'"),
        ("eta:-1:1:2,phi:-pi:pi:4:rad:7", "got unit 'rad' and period 7.0, expected 'rad' and 6.28"),
        ("eta:-1:1:2", r"axes of grid: got \['eta'\], expected cells along phi too"),
        ("layers=b/a,eta:-1:1:2,phi:-pi:pi:4", "layers of grid: got b, a, expected a, b as in"),
    ],
)
def test_a_grid_of_other_axes_is_refused(text: str, message: str) -> None:
    layers = ("a", "b") if "layers" in text else ()
    schema = Schema((Quantity("eta"), PHI), layers=layers)
    with pytest.raises(ArgumentError, match=message):
        Grid.parse(text, schema.axes).matched(schema)


def test_layers_that_the_clouds_have_are_needed() -> None:
    with pytest.raises(ArgumentError, match="layers of grid: got none, expected a, b"):
        Grid.parse("x:0:1:2").matched(Schema((Quantity("x"),), layers=("a", "b")))
