r"""Observables of an event: one number per cloud, the quantities a physicist histograms.

For clouds with axes (η, φ), absolute or relative to the jet axis, and weights p_T, particles are
massless and the four-momentum of a jet is P = Σ p_i with

    p_i = p_T,i (cosh η_i, cos φ_i, sin φ_i, sinh η_i).

Mass and |p_T| do not change under the boost and rotation that take the jet axis to (0, 0), so
relative coordinates give the jet's own mass. Girth and width are about the jet's axis: (0, 0) of
relative axes (``eta_rel``, ``phi_rel``), rapidity and azimuth of P where the schema's axes are
absolute (``eta``, ``phi``). Other clouds have the geometric observables: total weight,
multiplicity, centre and width along each axis, on a circle where the axis is periodic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.ops.points import wrap
from pcgen.ops.segments import segment_circular_mean, segment_max, segment_sum
from pcgen.schema import Quantity, Schema

_ANGLES = ({"eta", "eta_rel"}, {"phi", "phi_rel"})


def is_jet(schema: Schema) -> bool:
    """Whether the first two axes are pseudorapidity and azimuth and the points carry a weight.

    The azimuth is in radians: degrees have no four-momentum here.
    """
    names = [axis.name for axis in schema.axes]
    angles = len(names) >= 2 and names[0] in _ANGLES[0] and names[1] in _ANGLES[1]
    return angles and schema.axes[1].unit in ("", "rad") and schema.weight is not None


def four_momentum(clouds: Batch) -> Tensor:
    """Sum of the massless four-momenta of each cloud [B, 4] as (E, px, py, pz), in float64.

    In float32 the mass of a narrow jet is lost in the difference E² - p² of two large numbers.
    """
    eta, phi = clouds.pos.double()[:, :2].unbind(1)
    pt = pc.weights(clouds).double()
    rows = (pt * eta.cosh(), pt * phi.cos(), pt * phi.sin(), pt * eta.sinh())
    return segment_sum(torch.stack(rows, 1), clouds.ptr)


def mass(clouds: Batch) -> Tensor:
    """Invariant mass of each jet [B], in the unit of the weights; 0 for fewer than two points.

    >>> back_to_back = pc.make(torch.tensor([[0.0, 0.0], [0.0, torch.pi]]), [2])
    >>> round(mass(back_to_back).item(), 6)  # two points of weight 1/2
    1.0
    """
    energy, px, py, pz = four_momentum(clouds).unbind(1)
    return (energy**2 - px**2 - py**2 - pz**2).clamp(min=0).sqrt()


def transverse_momentum(clouds: Batch) -> Tensor:
    """|Σ p_T| of each jet as a vector sum [B], in the unit of the weights."""
    _, px, py, _ = four_momentum(clouds).unbind(1)
    return torch.hypot(px, py)


def about_axis(jets: Batch, schema: Schema) -> Batch:
    """Jets with η and φ relative to their axes: as they are where the schema's axes are relative.

    Of absolute axes the rapidity and the azimuth of P are subtracted, φ to within ±π. As particles
    are massless this is a boost and a rotation, which change neither mass nor p_T. An empty or
    weightless jet stays where it is.
    """
    absolute = [name in ("eta", "phi") for name in (axis.name for axis in schema.axes[:2])]
    if not any(absolute):
        return jets
    eta, phi, *others = jets.pos.double().unbind(1)
    pt = pc.weights(jets).double()
    rows = torch.stack([pt * eta.exp(), pt * (-eta).exp(), pt * phi.cos(), pt * phi.sin()], 1)
    plus, minus, px, py = segment_sum(rows, jets.ptr).unbind(1)
    present = (plus > 0) & (minus > 0)
    rapidity = torch.where(present, (plus / torch.where(present, minus, 1)).log() / 2, 0)
    if absolute[0]:
        eta = eta - rapidity[jets.batch]
    if absolute[1]:
        phi = wrap(phi - torch.atan2(py, px)[jets.batch], 2 * math.pi)
    return pc.replace(jets, pos=torch.stack([eta, phi, *others], 1))


def girth(clouds: Batch) -> Tensor:
    """p_T-weighted mean distance of the particles from the axis (0, 0) of each jet [B].

    g = Σ p_T,i sqrt(η_i² + φ_i²) / Σ p_T,i, for coordinates relative to the axis; an empty or
    weightless cloud has girth 0.
    """
    return _weighted_mean(clouds, clouds.pos.double()[:, :2].norm(dim=1))


def width(clouds: Batch) -> Tensor:
    """p_T-weighted mean squared distance from the axis (0, 0) of each jet [B]; 0 where empty.

    Σ p_T,i (η_i² + φ_i²) / Σ p_T,i, for coordinates relative to the axis.
    """
    return _weighted_mean(clouds, clouds.pos.double()[:, :2].square().sum(1))


def ptd(clouds: Batch) -> Tensor:
    """p_T dispersion √(Σ p_T,i²) / Σ p_T,i of each jet [B]: 1 for one particle, 0 where empty."""
    weight = pc.weights(clouds).double()
    total = segment_sum(weight, clouds.ptr)
    spread = segment_sum(weight**2, clouds.ptr).sqrt()
    return spread / total.clamp(min=torch.finfo(total.dtype).tiny)


def leading_fraction(clouds: Batch) -> Tensor:
    """Largest weight of each cloud over the sum of its weights [B]; 0 for an empty cloud."""
    weight = pc.weights(clouds).double()
    total = segment_sum(weight, clouds.ptr)
    return segment_max(weight, clouds.ptr) / total.clamp(min=torch.finfo(total.dtype).tiny)


def _weighted_mean(clouds: Batch, value: Tensor) -> Tensor:
    """Mean of numbers of the points [N] by their weights [B]; 0 for a weightless cloud."""
    weight = pc.weights(clouds).double()
    total = segment_sum(weight, clouds.ptr).clamp(min=torch.finfo(torch.double).tiny)
    return segment_sum(weight * value, clouds.ptr) / total


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
    return values


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
    """Features of the points pooled over all clouds, each [N]: the axes, the weight, ``x``.

    Periodic axes are taken to within ± half a period.
    """
    values = {
        axis: wrap(clouds.pos[:, d].double(), axis.period or 0.0)
        for d, axis in enumerate(schema.axes)
    }
    if schema.weight is not None and clouds.get("weight") is not None:
        values[schema.weight] = clouds.weight.double()
    if clouds.get("x") is not None:
        values |= {f: clouds.x[:, k].double() for k, f in enumerate(schema.features)}
    return values
