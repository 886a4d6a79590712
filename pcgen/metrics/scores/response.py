r"""Response of a detector in bins of the truth: bias, resolution and efficiency.

For events of at most one point, what is measured, and a condition, the truth. In a bin k of the
first condition and for each coordinate x, with m the median, σ half the width of the central 68 %
of x, and ε the share of the events that have a point,

.. math::
    \text{bias}_k = |m_k^a - m_k^b|, \qquad
    \text{resolution}_k = |\ln \sigma_k^a / \sigma_k^b|, \qquad
    \text{efficiency}_k = |\varepsilon_k^a - \varepsilon_k^b|

between two sets of events a and b; and W1 of x in the bin, which has the shape too. The bins are
quantiles of the condition over all events; a bin [e_k, e_{k+1}) holds its lower edge, the last
one both.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.metrics.comparison import FeatureDistance, Measure
from pcgen.metrics.profiles import bin_of
from pcgen.metrics.scores.wasserstein import wasserstein1
from pcgen.schema import Quantity, Schema


class Response(NamedTuple):
    """What is measured in each of K bins, float64; NaN where too few are found.

    Attributes:
        edges: Of the first condition [K+1].
        number: Events [K].
        efficiency: Share of them that have a point [K].
        median: Of each coordinate [K, D].
        resolution: Half the width of its central 68 % [K, D].
    """

    edges: Tensor
    number: Tensor
    efficiency: Tensor
    median: Tensor
    resolution: Tensor


def response_in_bins(
    clouds: Batch, schema: Schema, edges: Tensor | None = None, bins: int = 4
) -> Response:
    """Efficiency, median and resolution in bins of the first condition.

    Args:
        clouds: Of at most one point each, with a condition.
        schema: What the numbers mean.
        edges: Rising [K+1]; None: quantiles.
        bins: K, where no edges are given.

    Raises:
        ArgumentError: the schema has no condition.
        DataError: an event has more than one point, or there is no event.
    """
    truth, found, values = _read(clouds, schema)
    edges = _quantiles(truth, bins) if edges is None else edges.double()
    rows = []
    for member in _members(truth, edges):
        x = values[member & found]
        some = x if len(x) > 1 else x.new_full((2, x.shape[1]), torch.nan)
        rows.append((member.sum(), found[member].double().mean(), *_centre(some)))
    number, efficiency, median, width = (torch.stack(part) for part in zip(*rows, strict=True))
    return Response(edges, number, efficiency, median, width)


def check_responses(schema: Schema) -> None:
    """Refuse events without a truth.

    Raises:
        ArgumentError: the schema has no condition.
    """
    if not schema.condition:
        raise ArgumentError(
            "schema: got events without a condition, expected the truth as the first one"
        )


def responses(clouds: Batch, schema: Schema, *, bins: int = 4) -> FeatureDistance:
    """Bias, resolution, efficiency and W1 of responses in bins of the first condition.

    Args:
        clouds: Pool of events of at most one point each, with a condition.
        schema: What the numbers mean.
        bins: K.

    Raises:
        ArgumentError: the schema has no condition.
        DataError: an event has more than one point, or there is none.
    """
    truth, found, values = _read(clouds, schema)
    edges = _quantiles(truth, bins)
    features = torch.cat([truth[:, None], found.double()[:, None], values], 1)

    def distance(a: Tensor, b: Tensor) -> list[float]:
        scores: list[Tensor] = []
        for first, second in zip(_members(a[:, 0], edges), _members(b[:, 0], edges), strict=True):
            scores += _scores(a[first], b[second])
        return [float(score) for score in scores]

    return FeatureDistance(features, _measures(schema, edges), distance)


def _scores(a: Tensor, b: Tensor) -> list[Tensor]:
    """Of one bin, from rows (truth, found, values): in the order of :func:`_measures`."""
    scores = [(a[:, 1].mean() - b[:, 1].mean()).abs()]
    a, b = (side[side[:, 1] > 0, 2:] for side in (a, b))
    for x, y in zip(a.unbind(1), b.unbind(1), strict=True):
        if min(len(x), len(y)) < 2:
            scores += [x.new_tensor(torch.nan)] * 3
            continue
        (m, s), (n, t) = _centre(x), _centre(y)
        scores += [(m - n).abs(), (s / t).log().abs()]
        scores.append(wasserstein1(x, y))
    return scores


def _centre(x: Tensor) -> tuple[Tensor, Tensor]:
    """Median, and half the width of the central 68 %, of values [n, ...]."""
    low, middle, high = x.quantile(x.new_tensor([0.16, 0.5, 0.84]), 0)
    return middle, (high - low) / 2


def _measures(schema: Schema, edges: Tensor) -> list[Measure]:
    truth = schema.condition[0]
    unit = f" {truth.unit}" if truth.unit else ""
    found = []
    for low, high in pairwise(edges.tolist()):
        where = f", {truth.name} {low:.3g} to {high:.3g}{unit}"
        found.append(Measure(f"efficiency{where}"))
        for value in _columns(schema):
            found.append(Measure(f"bias {value.name}{where}", value.unit))
            found.append(Measure(f"resolution {value.name}{where}"))
            found.append(Measure(f"W1 {value.name}{where}", value.unit))
    return found


def _columns(schema: Schema) -> list[Quantity]:
    return [*schema.axes, *schema.features]


def _read(clouds: Batch, schema: Schema) -> tuple[Tensor, Tensor, Tensor]:
    """Truth [B], whether there is a point [B], and its coordinates [B, D], or zeros."""
    check_responses(schema)
    sizes = pc.sizes(clouds)
    if bool((sizes > 1).any()) or not len(sizes):
        got = f"an event of {int(sizes.max())} points" if len(sizes) else "no event"
        raise DataError(f"events: got {got}, expected some of at most one point")
    found = sizes > 0
    x = clouds.get("x")
    points = clouds.pos if x is None else torch.cat([clouds.pos, x], 1)
    values = points.new_zeros(len(sizes), points.shape[1], dtype=torch.double)
    values[found] = points.double()
    return clouds.y[:, 0].double(), found, values


def _quantiles(truth: Tensor, bins: int) -> Tensor:
    if bins < 1:
        raise ArgumentError(f"bins: got {bins}, expected at least 1")
    order = truth.sort().values
    place = (torch.arange(bins + 1) * (len(order) - 1) / bins).round().long()
    edges = torch.unique(order.cpu()[place])
    if len(edges) == 1:  # all are alike
        edges = torch.stack([edges[0], torch.nextafter(edges[0], edges.new_tensor(torch.inf))])
    return edges


def _members(truth: Tensor, edges: Tensor) -> list[Tensor]:
    """Which events are in each bin, each [B] bool."""
    place = bin_of(truth, edges.tolist())
    return [place == k for k in range(len(edges) - 1)]
