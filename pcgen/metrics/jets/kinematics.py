"""Kinematics of jets: mass, p_T, girth, width and p_T dispersion, and jets relative to their axis.

For clouds with axes (η, φ), absolute or relative to the jet axis, and weights p_T, particles are
massless and the four-momentum of a jet is P = Σ p_i with

    p_i = p_T,i (cosh η_i, cos φ_i, sin φ_i, sinh η_i).

Mass and |p_T| do not change under the boost and rotation that take the jet axis to (0, 0), so
relative coordinates give the jet's own mass. Girth and width are about the axis (0, 0): jets with
absolute axes are moved there first (:func:`about_axis`). Published protocols score jets with
weights p_T / p_T of the jet (:func:`relative`), some of them re-centred or clipped.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import DataError
from pcgen.ops.points import wrap
from pcgen.ops.segments import segment_max, segment_sum
from pcgen.schema import Schema

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


def check_jets(schema: Schema) -> None:
    """Refuse clouds that are not jets.

    Raises:
        DataError: naming the axes.
    """
    if not is_jet(schema):
        names = ", ".join(axis.name for axis in schema.axes)
        raise DataError(f"schema: got axes {names}, expected jets: eta, phi and a weight p_T")


def relative(clouds: Batch, schema: Schema) -> Batch:
    """Jets with weights p_T / p_T of the jet and axes relative to the jet's, as JetNet has them.

    Absolute axes become relative to the jet's own (:func:`about_axis`).

    The jet's p_T is the condition ``jet_pt`` where the clouds have one (it is that of the whole
    jet, also where only the hardest particles are left), otherwise the vector sum.

    Raises:
        DataError: the clouds are not jets, or a jet has particles and no transverse momentum.
    """
    check_jets(schema)
    conditions = [quantity.name for quantity in schema.condition]
    if clouds.get("y") is not None and "jet_pt" in conditions:
        pt = clouds.y[:, conditions.index("jet_pt")].double()
    else:
        pt = transverse_momentum(clouds)
    bad = (pc.sizes(clouds) > 0) & ~(pt > 0)
    if bool(bad.any()):
        event = int(bad.nonzero()[0])
        raise DataError(f"jet_pt of event {event}: got {pt[event].item()}, expected a number > 0")
    weight = clouds.weight.double() / pt[clouds.batch]
    pos = about_axis(clouds, schema).pos.to(clouds.pos.dtype)
    return pc.replace(clouds, pos=pos, weight=weight.to(clouds.weight.dtype))


def recentred(clouds: Batch) -> Batch:
    """Jets moved so that their p_T-weighted mean of (η, φ) is at (0, 0); others stay.

    Coordinates are taken as they are: relative ones, in which no jet crosses φ = ±π.
    """
    weight = pc.weights(clouds).double()[:, None]
    total = segment_sum(weight, clouds.ptr).clamp(min=torch.finfo(torch.double).tiny)
    centre = segment_sum(weight * clouds.pos.double(), clouds.ptr) / total
    return pc.replace(clouds, pos=(clouds.pos - centre[clouds.batch]).to(clouds.pos.dtype))


def clipped(clouds: Batch, *, distance: float, weight: float) -> Batch:
    """Coordinates clipped to ±distance and weights to at least ``weight``."""
    pos: Tensor = clouds.pos.clamp(-distance, distance)
    return pc.replace(clouds, pos=pos, weight=clouds.weight.clamp(min=weight))
