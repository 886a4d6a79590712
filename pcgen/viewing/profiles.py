"""Profiles of a shower, beside its points: energy along the depth and away from the axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.colors import to_hex
from torch_geometric.data import Batch

from pcgen.grids import Calorimeter, Grid
from pcgen.schema import Quantity, Schema
from pcgen.viewing.scene import Floats, Frame, coordinates, weights

_BINS = 24


@dataclass(frozen=True)
class Profile:
    """Energy in bins, a curve for each sample.

    Attributes:
        axis: What the bins are of.
        edges: Between the bins [K+1].
        event: Energy of the event in each bin [K], by the name of the sample.
        mean: Mean of all events of the sample.
    """

    axis: Quantity
    edges: Floats
    event: Mapping[str, Floats]
    mean: Mapping[str, Floats]

    @property
    def decades(self) -> bool:
        """Whether the energies differ so much that only a logarithmic axis shows them."""
        values = np.concatenate([*self.event.values(), *self.mean.values()])
        positive = values[values > 0]
        return len(positive) > 0 and bool(positive.max() > 10 * positive.min())


def profiles(
    samples: Mapping[str, Batch],
    schema: Schema,
    frame: Frame,
    event: int,
    calorimeter: Calorimeter | None = None,
) -> list[Profile]:
    """Energy along the depth and away from the axis x = y = 0.

    Args:
        samples: Clouds by the name of their origin.
        schema: Of three axes, the last of which is the depth, or the number of the layer.
        frame: What is seen.
        event: Which event.
        calorimeter: Its layers are the bins of the depth, and its rings those of the radius where
            all layers have the same; otherwise equal bins of what is seen.
    """
    depth = np.linspace(frame.low[2], frame.high[2], _BINS + 1)
    if schema.axes[0].unit and not schema.axes[2].unit:
        depth = np.arange(len(schema.layers) + 1.0)  # z counts layers
    reach = float(np.abs([frame.low[:2], frame.high[:2]]).max()) or 1.0
    radius = np.linspace(0.0, reach, _BINS + 1)
    if calorimeter is not None:
        depth = np.asarray(calorimeter.depth_edges)
        grids = [each for each in calorimeter.layers if isinstance(each, Grid)]
        rings = {grid.edges[1] for grid in grids} if calorimeter.cylinder else ()
        radius = np.asarray(next(iter(rings))) if len(rings) == 1 else radius
    across = Quantity("r", schema.axes[0].unit)
    return [
        _profile(samples, event, schema.axes[2], depth, radial=False),
        _profile(samples, event, across, radius, radial=True),
    ]


def are_showers(schema: Schema, samples: Mapping[str, Batch]) -> bool:
    """Whether clouds have places in layers and carry a weight, so that profiles mean a lot.

    The third axis has the unit of the others, or none where it counts the layers.

    >>> are_showers(Schema((Quantity("x", "mm"),)), {})
    False
    """
    units = [axis.unit for axis in schema.axes]
    lengths = len(units) == 3 and units[0] == units[1] and units[2] in (units[0], "")
    layered = all(batch.get("layer") is not None for batch in samples.values())
    return lengths and bool(schema.layers) and layered and schema.weight is not None


def _profile(
    samples: Mapping[str, Batch], event: int, axis: Quantity, edges: Floats, *, radial: bool
) -> Profile:
    of_event, mean = {}, {}
    for name, batch in samples.items():
        pos, weight = coordinates(batch.detach().cpu()), weights(batch.detach().cpu())
        value = np.hypot(pos[:, 0], pos[:, 1]) if radial else pos[:, 2]
        first, last = (int(each) for each in batch.ptr[event : event + 2])
        mine = slice(first, last)
        of_event[name] = np.histogram(value[mine], edges, weights=weight[mine])[0]
        mean[name] = np.histogram(value, edges, weights=weight)[0] / batch.num_graphs
    return Profile(axis, edges, of_event, mean)


def hues(number: int) -> list[str]:
    """A colour for each sample, of matplotlib's cycle.

    >>> hues(2)
    ['#1f77b4', '#ff7f0e']
    """
    return [to_hex(f"C{place % 10}") for place in range(number)]


def stairs(edges: Floats, values: Floats) -> tuple[Floats, Floats]:
    """A histogram as a line: two points for each bin.

    >>> x, y = stairs(np.array([0.0, 1.0, 3.0]), np.array([5.0, 7.0]))
    >>> x.tolist(), y.tolist()
    ([0.0, 1.0, 1.0, 3.0], [5.0, 5.0, 7.0, 7.0])
    """
    return np.array([edge for pair in pairwise(edges) for edge in pair]), np.repeat(values, 2)
