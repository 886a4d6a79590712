"""The grid and its geometry: locate, centres, widths, volumes."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pcgen.errors import ArgumentError, DataError
from pcgen.grids.text import parse, regular, write
from pcgen.schema import Quantity, Schema


class Location(NamedTuple):
    """Where points are on a grid.

    Attributes:
        cell: Cell indices [N, D]; of a point outside, those of the nearest cell.
        inside: Whether the point is inside the grid [N].
    """

    cell: Tensor
    inside: Tensor


@dataclass(frozen=True)
class Grid:
    """Cells along 1 to 3 axes, and the layers that repeat them.

    Attributes:
        axes: What each axis measures, with its unit and period.
        edges: Edges of the cells of each axis, strictly increasing.
        layers: Names of the layers or channels, the first axis of an image; empty where there is
            only one.

    Raises:
        ArgumentError: the edges do not make a grid.

    >>> grid = Grid.regular({"eta": (-1, 1, 4), "phi": (-0.5, 0.5, 2)}, layers=("ECAL", "HCAL"))
    >>> grid.shape
    (2, 4, 2)
    """

    axes: tuple[Quantity, ...]
    edges: tuple[tuple[float, ...], ...]
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Arrays and lists become what can be compared and hashed.
        edges = tuple(tuple(map(float, each)) for each in self.edges)
        object.__setattr__(self, "axes", tuple(self.axes))
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "layers", tuple(self.layers))
        if not 1 <= len(self.axes) <= 3 or len(self.edges) != len(self.axes):
            raise ArgumentError(
                f"grid: got {len(self.axes)} axes and {len(self.edges)} lists of edges, "
                "expected 1 to 3 of each, as many of one as of the other"
            )
        names = [axis.name for axis in self.axes]
        for kind, words in (("axes", names), ("layers", self.layers)):
            if len(set(words)) != len(words):
                raise ArgumentError(f"{kind} of grid: got {words}, expected different names")
        for axis, each in zip(self.axes, edges, strict=True):
            _check_edges(axis, each)

    @classmethod
    def regular(
        cls, axes: Mapping[str | Quantity, tuple[float, float, int]], layers: Sequence[str] = ()
    ) -> Grid:
        """Cells of equal width.

        Args:
            axes: Lower end, upper end and number of cells of each axis, which is a name, or a
                :class:`Quantity` with unit and period.
            layers: Names of the layers, in the order of the image's first axis.
        """
        quantities = tuple(a if isinstance(a, Quantity) else Quantity(a) for a in axes)
        spans = zip(quantities, axes.values(), strict=True)
        edges = tuple(regular(quantity.name, *span) for quantity, span in spans)
        return cls(quantities, edges, tuple(layers))

    @classmethod
    def parse(cls, text: str, axes: Sequence[Quantity] = ()) -> Grid:
        """Read a grid from one word of a command line.

        Axes are separated by commas. Each is ``name:low:high:cells`` or, for irregular cells,
        ``name:edge/edge/edge``, then optionally ``:unit`` and ``:period``; numbers may be
        multiples of pi (``-pi``, ``2pi``). ``layers=a/b`` in front names the layers.

        Args:
            text: The grid.
            axes: Known quantities (of a schema): an axis takes unit, period and symbol from the
                one of its name, unless the text gives them.

        Raises:
            ArgumentError: the text is not a grid.

        >>> Grid.parse("layers=ECAL/HCAL,eta:-0.5:0.5:25,phi:-pi:pi:64:rad:2pi").shape
        (2, 25, 64)
        >>> Grid.parse("r:0/1/2.5/10:mm").edges
        ((0.0, 1.0, 2.5, 10.0),)
        """
        return cls(*parse(text, axes))

    def __str__(self) -> str:
        """The text that :meth:`parse` reads back."""
        return write(self.axes, self.edges, self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of strings, numbers and lists, ready for JSON."""
        return {
            "axes": [axis.to_dict() for axis in self.axes],
            "edges": [list(edges) for edges in self.edges],
            "layers": list(self.layers),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Grid:
        """Inverse of :meth:`to_dict`.

        Raises:
            DataError: a key is missing, unknown or of the wrong kind.
        """
        try:
            axes = tuple(Quantity.from_dict(axis) for axis in data["axes"])
            return cls(axes, data["edges"], tuple(map(str, data.get("layers", ()))))
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
            shown = reprlib.repr(data)
            raise DataError(f"grid: got {shown}, expected the fields of Grid ({error})") from error

    @property
    def cells(self) -> tuple[int, ...]:
        """Number of cells along each of the D axes."""
        return tuple(len(edges) - 1 for edges in self.edges)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image: the layers first where there are any, then the cells."""
        return (len(self.layers), *self.cells) if self.layers else self.cells

    @property
    def closed(self) -> tuple[bool, ...]:
        """Whether each axis is periodic and its edges span the full period."""
        return tuple(
            axis.period is not None and math.isclose(edges[-1] - edges[0], axis.period)
            for axis, edges in zip(self.axes, self.edges, strict=True)
        )

    def columns(self, axes: Sequence[Quantity]) -> tuple[int, ...]:
        """Columns of ``pos`` that this grid's axes are, among ``axes`` (those of a schema).

        Raises:
            ArgumentError: an axis is missing there, or has another unit or period.
        """
        return columns_of(self.axes, axes)

    def matched(self, schema: Schema) -> Grid:
        """This grid with its axes in the order of the schema's: what locates its clouds' points.

        Raises:
            ArgumentError: the grid and the schema have different axes, units, periods or layers.

        >>> schema = Schema((Quantity("eta"), Quantity("phi")))
        >>> str(Grid.parse("phi:-1:1:2,eta:-3:3:6").matched(schema))
        'eta:-3.0:3.0:6,phi:-1.0:1.0:2'
        """
        columns = self.columns(schema.axes)
        left = [axis.name for k, axis in enumerate(schema.axes) if k not in columns]
        if left:
            raise ArgumentError(
                f"axes of grid: got {[axis.name for axis in self.axes]}, "
                f"expected cells along {', '.join(left)} too"
            )
        if schema.layers and self.layers != schema.layers:
            raise ArgumentError(
                f"layers of grid: got {', '.join(self.layers) or 'none'}, "
                f"expected {', '.join(schema.layers)} as in the clouds"
            )
        if list(columns) == sorted(columns):
            return self
        order = sorted(range(len(columns)), key=columns.__getitem__)
        axes = tuple(self.axes[k] for k in order)
        return Grid(axes, tuple(self.edges[k] for k in order), self.layers)

    def locate(self, pos: Tensor, layer: Tensor | None = None) -> Location:
        """Cells of the points ``pos`` [N, D], whose layers (where the grid has some) are [N].

        Raises:
            ArgumentError: shapes do not fit, or the layers are missing, unwanted or unknown.
        """
        if pos.dim() != 2 or pos.shape[1] != len(self.axes) or not pos.is_floating_point():
            raise ArgumentError(
                f"pos: got {pos.dtype} {tuple(pos.shape)}, "
                f"expected a float tensor [N, {len(self.axes)}]"
            )
        self._check_layer(layer, len(pos))
        wrapped = self.wrap(pos)
        cells, inside = [], torch.ones(len(pos), dtype=torch.bool, device=pos.device)
        for axis, edges in enumerate(self._edges(pos)):
            value = wrapped[:, axis].detach().contiguous()
            cell = torch.bucketize(value, edges, right=True) - 1
            period = self.axes[axis].period
            if period is not None:
                # In the gap that the edges leave of a period, the nearest end wins.
                beyond = (value > edges[-1]) & (value - edges[-1] > edges[0] + period - value)
                cell = torch.where(beyond, 0, cell)
            cells.append(cell.clamp(0, len(edges) - 2))
            inside &= (value >= edges[0]) & (value <= edges[-1])
        return Location(torch.stack(cells, 1), inside)

    def wrap(self, pos: Tensor) -> Tensor:
        """Points [N, D] with their periodic coordinates in [e_0, e_0 + period); differentiable."""
        columns = []
        for axis, (quantity, edges) in enumerate(zip(self.axes, self._edges(pos), strict=True)):
            value, period = pos[:, axis], quantity.period
            if period is not None:
                low = edges[0]
                high = edges[-1] if self.closed[axis] else low + period
                # Double precision: far from the origin the turns must not eat the digits.
                turned = torch.remainder(value.double() - low.double(), period) + low.double()
                turned = turned.detach().to(value.dtype).clamp(min=low)
                turned = torch.where(turned >= high, low, turned)
                # The value of the turned point, the gradient of the given one.
                turned = turned + (value - value.detach())
                value = torch.where((value < low) | (value >= high), turned, value)
            columns.append(value)
        return torch.stack(columns, 1)

    def centres(self, cell: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """Centres [N, D] of the cells [N, D]."""
        return self.place(cell, torch.full(cell.shape, 0.5, device=cell.device), dtype=dtype)

    def place(self, cell: Tensor, fraction: Tensor, *, dtype: torch.dtype) -> Tensor:
        """Points at the ``fraction`` (0 to 1) [N, D] of the widths of the cells [N, D].

        They are inside their cells in ``dtype`` too, however the numbers are rounded.
        """
        columns = []
        for axis, edges in enumerate(self._edges(torch.empty(0, device=cell.device, dtype=dtype))):
            exact = torch.tensor(self.edges[axis], dtype=torch.float64, device=cell.device)
            index = cell[:, axis]
            low, high = exact[index], exact[index + 1]
            value = (low + fraction[:, axis].double() * (high - low)).to(dtype)
            columns.append(value.clamp(edges[index], _below(edges[index + 1])))
        return torch.stack(columns, 1)

    def widths(self, cell: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """Widths [N, D] of the cells [N, D]."""
        exact = (torch.tensor(edges, dtype=torch.float64) for edges in self.edges)
        steps = (edges.diff().to(cell.device) for edges in exact)
        return torch.stack([step[cell[:, d]] for d, step in enumerate(steps)], 1).to(dtype)

    def volumes(self, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """Product of the widths of each cell [*shape], the same in all layers."""
        volume = torch.ones((), dtype=torch.float64)
        for edges in self.edges:
            volume = volume[..., None] * torch.tensor(edges, dtype=torch.float64).diff()
        return volume.to(dtype).expand(self.shape)

    def _edges(self, like: Tensor) -> list[Tensor]:
        """Edges of each axis in the dtype and on the device of ``like``."""
        tensors = []
        for axis, edges in zip(self.axes, self.edges, strict=True):
            tensor = torch.tensor(edges, dtype=torch.float64).to(like.dtype)
            if not bool((tensor.diff() > 0).all()):
                raise ArgumentError(
                    f"pos: got {like.dtype}, "
                    f"expected a dtype in which the edges of axis {axis.name!r} differ"
                )
            tensors.append(tensor.to(like.device))
        return tensors

    def _check_layer(self, layer: Tensor | None, points: int) -> None:
        if (layer is not None) != bool(self.layers):
            raise ArgumentError(
                f"layer: got {'none' if layer is None else 'some'}, "
                f"expected the layers of the grid, which are {self.layers or 'none'}"
            )
        if layer is None:
            return
        if layer.shape != (points,) or layer.is_floating_point():
            raise ArgumentError(
                f"layer: got {layer.dtype} {tuple(layer.shape)}, expected integers [{points}]"
            )
        unknown = (layer < 0) | (layer >= len(self.layers))
        if bool(unknown.any()):
            row = int(unknown.nonzero()[0])
            raise ArgumentError(
                f"layer of point {row}: got {int(layer[row])}, "
                f"expected 0 to {len(self.layers) - 1} for {self.layers}"
            )


def columns_of(axes: Sequence[Quantity], of: Sequence[Quantity]) -> tuple[int, ...]:
    """Where the ``axes`` of a grid or calorimeter are among those ``of`` clouds, by name.

    Raises:
        ArgumentError: an axis is missing there, or has another unit or period.
    """
    places = {axis.name: number for number, axis in enumerate(of)}
    for axis in axes:
        if axis.name not in places:
            raise ArgumentError(f"axes of grid: got {axis.name!r}, expected one of {list(places)}")
        other = of[places[axis.name]]
        if (axis.unit, axis.period) != (other.unit, other.period):
            raise ArgumentError(
                f"axis {axis.name!r} of grid: got unit {axis.unit!r} and period {axis.period}, "
                f"expected {other.unit!r} and {other.period} as in the clouds"
            )
    return tuple(places[axis.name] for axis in axes)


def _below(value: Tensor) -> Tensor:
    return torch.nextafter(value, torch.full_like(value, -math.inf))


def _check_edges(axis: Quantity, edges: tuple[float, ...]) -> None:
    rising = all(low < high for low, high in pairwise(edges))
    if len(edges) < 2 or not rising or not all(map(math.isfinite, edges)):
        shown = edges if len(edges) < 8 else (*edges[:3], "...", *edges[-3:])
        raise ArgumentError(
            f"edges of axis {axis.name!r}: got {shown}, "
            "expected at least two finite numbers, each larger than the last"
        )
    span = edges[-1] - edges[0]
    if axis.period is not None and span > axis.period * (1 + 1e-9):
        raise ArgumentError(
            f"edges of axis {axis.name!r}: got a span of {span}, "
            f"expected at most the period {axis.period}"
        )
