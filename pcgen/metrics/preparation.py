"""Cuts and conversions that published protocols apply to both sides before they score them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import DataError
from pcgen.metrics.observables import about_axis, is_jet, transverse_momentum
from pcgen.ops.segments import segment_sum
from pcgen.schema import Schema


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

    Absolute axes become relative to the jet's own (:func:`~pcgen.metrics.observables.about_axis`).

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
