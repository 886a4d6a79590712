r"""Substructure of jets: how many prongs a jet has, as one number per jet.

N-subjettiness is in :mod:`pcgen.metrics.declustering`. The energy correlation functions are

    e_2 = Σ_{i<j} z_i z_j θ_ij^β,    e_3 = Σ_{i<j<k} z_i z_j z_k θ_ij^β θ_ik^β θ_jk^β,

with z = p_T,i / Σ p_T, and are two energy-flow polynomials; of them

    C_2 = e_3 / e_2²,    D_2 = e_3 / e_2³

(Larkoski, Salam and Thaler, JHEP 06 (2013) 108, arXiv 1305.0007; Larkoski, Moult and
Neill, JHEP 12 (2014) 009, arXiv 1409.6298). Both are small for two prongs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.metrics.declustering import n_subjettiness
from pcgen.metrics.energyflow import energy_flow_polynomials
from pcgen.metrics.observables import is_jet
from pcgen.ops.segments import segment_sum
from pcgen.schema import Quantity, Schema

_EDGE, _TRIANGLE = ((0, 1),), ((0, 1), (0, 2), (1, 2))


def energy_correlations(clouds: Batch, *, beta: float = 1.0) -> tuple[Tensor, Tensor]:
    """e_2 and e_3 of jets [B], with weights over their sum; 0 for an empty or weightless jet."""
    weight = pc.weights(clouds).double()
    total = segment_sum(weight, clouds.ptr)
    share = weight / total.where(total > 0, 1)[clouds.batch]
    fractions = pc.replace(clouds, weight=share.to(weight.dtype))
    pairs, triples = energy_flow_polynomials(fractions, (_EDGE, _TRIANGLE), beta=beta).unbind(1)
    return pairs / 2, triples / 6


def c2(clouds: Batch, *, beta: float = 1.0) -> Tensor:
    """C_2 of jets [B]; 0 where all particles are in one place."""
    return _ratio(*energy_correlations(clouds, beta=beta), 2)


def d2(clouds: Batch, *, beta: float = 1.0) -> Tensor:
    """D_2 of jets [B]; 0 where all particles are in one place, its limit for two prongs."""
    return _ratio(*energy_correlations(clouds, beta=beta), 3)


def substructure(clouds: Batch, schema: Schema) -> dict[Quantity, Tensor]:
    """τ_1, τ_2, τ_3, their ratios, C_2 and D_2 with β = 1, each [B] float64.

    A ratio of 0 to 0 is 0: a jet with fewer particles than prongs is asked for.

    Args:
        clouds: B jets in the units of ``schema``.
        schema: What the numbers mean.

    Raises:
        ArgumentError: ``schema`` is not one of jets.
    """
    if not is_jet(schema):
        names = ", ".join(axis.name for axis in schema.axes)
        raise ArgumentError(f"schema: got axes {names}, expected jets: eta, phi and a weight")
    tau = n_subjettiness(clouds).unbind(1)
    e2, e3 = energy_correlations(clouds)
    values = {
        Quantity(f"tau{n}", symbol=rf"$\tau_{n}$"): tau_n for n, tau_n in enumerate(tau, start=1)
    }
    values[Quantity("tau21", symbol=r"$\tau_{21}$")] = _ratio(tau[0], tau[1], 1)
    values[Quantity("tau32", symbol=r"$\tau_{32}$")] = _ratio(tau[1], tau[2], 1)
    values[Quantity("c2", symbol="$C_2$")] = _ratio(e2, e3, 2)
    values[Quantity("d2", symbol="$D_2$")] = _ratio(e2, e3, 3)
    return values


def _ratio(below: Tensor, above: Tensor, power: int) -> Tensor:
    """above / below^power, 0 where ``below`` is 0."""
    present = below > 0
    return torch.where(present, above / below.where(present, 1) ** power, 0)
