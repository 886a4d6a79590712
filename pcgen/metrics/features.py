"""Features of events and of their points: the quantities that a physicist histograms.

Of jets (:func:`~pcgen.metrics.jets.kinematics.is_jet`) mass, p_T, girth, width and p_T dispersion;
girth and width are about the jet's axis: (0, 0) of relative axes (``eta_rel``, ``phi_rel``),
rapidity and azimuth of the four-momentum where the schema's axes are absolute (``eta``, ``phi``).
Other clouds have the geometric observables: total weight, multiplicity, centre and width along each
axis, on a circle where the axis is periodic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.metrics.jets.kinematics import (
    about_axis,
    girth,
    is_jet,
    leading_fraction,
    mass,
    ptd,
    transverse_momentum,
    width,
)
from pcgen.ops.points import wrap
from pcgen.ops.segments import segment_circular_mean, segment_sum
from pcgen.schema import Quantity, Schema


def observables(clouds: Batch, schema: Schema) -> dict[Quantity, Tensor]:
    """Every observable that the schema gives a meaning to, each [B] float64, with its unit.

    Args:
        clouds: B clouds in the units of ``schema``.
        schema: What the numbers mean.

    Raises:
        ArgumentError: the schema has another number of axes than the clouds.
    """
    if clouds.pos.shape[1] != len(schema.axes):
        raise ArgumentError(
            f"schema: got {len(schema.axes)} axes, expected the {clouds.pos.shape[1]} of the clouds"
        )
    multiplicity = Quantity("multiplicity", symbol="number of points")
    values = {multiplicity: pc.sizes(clouds).double()}
    unit = schema.weight.unit if schema.weight else ""
    if is_jet(schema):
        values[Quantity("mass", unit, symbol="jet mass")] = mass(clouds)
        values[Quantity("pt", unit, symbol="jet $p_T$")] = transverse_momentum(clouds)
        jets = about_axis(clouds, schema)
        values[Quantity("girth", symbol="girth")] = girth(jets)
        values[Quantity("width", symbol="jet width")] = width(jets)
        values[Quantity("ptd", symbol="$p_T^D$")] = ptd(clouds)
    elif schema.weight is not None:
        name = f"total_{schema.weight.name}"
        values[Quantity(name, unit, symbol=f"total {schema.weight.name}")] = pc.total(
            clouds
        ).double()
        mean, widths = _moments(clouds, schema.periods)
        for d, axis in enumerate(schema.axes):
            text = axis.symbol or axis.name
            centre = Quantity(
                f"centre_{axis.name}", axis.unit, axis.period, symbol=f"centre in {text}"
            )
            values[centre] = mean[:, d]
            spread = Quantity(f"width_{axis.name}", axis.unit, symbol=f"width in {text}")
            values[spread] = widths[:, d]
    if schema.weight is not None:
        values[Quantity("leading", symbol="leading fraction")] = leading_fraction(clouds)
    for name, member in members(clouds, schema).items():
        values[Quantity(f"number of {name}")] = segment_sum(member.double(), clouds.ptr)
    return values


def members(clouds: Batch, schema: Schema) -> dict[str, Tensor]:
    """Which points are of each category of each feature that has some, each [N] bool.

    >>> schema = Schema((Quantity("x"),), features=(Quantity("pid", categories=("e", "mu")),))
    >>> hits = pc.make(torch.zeros(3, 1), [3], x=torch.tensor([[0.0], [1.0], [1.0]]))
    >>> {name: member.tolist() for name, member in members(hits, schema).items()}
    {'pid e': [True, False, False], 'pid mu': [False, True, True]}
    """
    found = {}
    for column, feature in enumerate(schema.features):
        for number, category in enumerate(feature.categories):
            found[f"{feature.name} {category}"] = clouds.x[:, column] == number
    return found


def _moments(clouds: Batch, periods: Sequence[float | None]) -> tuple[Tensor, Tensor]:
    """Weighted mean and standard deviation along each axis, each [B, D]; periodic ones wrapped."""
    weight = pc.weights(clouds).double()[:, None]
    norm = segment_sum(weight, clouds.ptr).clamp(min=torch.finfo(torch.double).tiny)
    pos = clouds.pos.double()
    mean = segment_sum(weight * pos, clouds.ptr) / norm
    for axis, period in enumerate(periods):
        if period is not None:
            values = (pos[:, axis].contiguous(), weight[:, 0], clouds.ptr)
            mean[:, axis] = segment_circular_mean(*values, period)
    steps = zip((pos - mean[clouds.batch]).unbind(1), periods, strict=True)
    spread = weight * torch.stack([wrap(step, period or 0.0) for step, period in steps], 1) ** 2
    return mean, (segment_sum(spread, clouds.ptr) / norm).sqrt()


def layer_weights(clouds: Batch, schema: Schema) -> dict[Quantity, Tensor]:
    """Weight of each cloud in each layer that the schema names, each [B] float64.

    Empty where the schema has no layers, or the points no layer or no weight.

    >>> hits = pc.make(torch.zeros(3, 1), [3], weight=torch.ones(3), layer=torch.tensor([0, 1, 1]))
    >>> schema = Schema((Quantity("x"),), Quantity("energy", "GeV"), layers=("ECAL", "HCAL"))
    >>> {q.name: value.item() for q, value in layer_weights(hits, schema).items()}
    {'energy in ECAL': 1.0, 'energy in HCAL': 2.0}
    """
    layer, weight = clouds.get("layer"), clouds.get("weight")
    if schema.weight is None or layer is None or weight is None:
        return {}
    return {
        Quantity(f"{schema.weight.name} in {name}", schema.weight.unit): segment_sum(
            weight.double() * (layer == k), clouds.ptr
        )
        for k, name in enumerate(schema.layers)
    }


def event_features(values: Mapping[Quantity, Tensor]) -> Tensor:
    """Quantities [B] as columns [B, F] between which differences have a meaning, float64.

    A periodic quantity becomes two columns, its place on the circle of that circumference.
    """
    columns = []
    for quantity, value in values.items():
        if quantity.period is None:
            columns.append(value.double())
        else:
            radius = quantity.period / (2 * math.pi)
            angle = value.double() / radius
            columns += [radius * angle.cos(), radius * angle.sin()]
    return torch.stack(columns, 1)


def point_features(clouds: Batch, schema: Schema) -> dict[Quantity, Tensor]:
    """Numbers of the points pooled over all clouds, each [N]: the axes, the weight, ``x``.

    Periodic axes are taken to within ± half a period. Features with categories are no numbers.
    """
    values = {
        axis: wrap(clouds.pos[:, d].double(), axis.period or 0.0)
        for d, axis in enumerate(schema.axes)
    }
    if schema.weight is not None and clouds.get("weight") is not None:
        values[schema.weight] = clouds.weight.double()
    if clouds.get("x") is not None:
        values |= {
            feature: clouds.x[:, k].double()
            for k, feature in enumerate(schema.features)
            if not feature.categories
        }
    return values
