"""Substructure of jets: how many prongs a jet has, and how it splits.

**Sequential recombination.** N-subjettiness and the primary Lund plane. Particles are massless;
those without weight are left out. The loops are compiled and run on the CPU, wherever the clouds
are.

**Energy correlation functions**

    e_2 = Σ_{i<j} z_i z_j θ_ij^β,    e_3 = Σ_{i<j<k} z_i z_j z_k θ_ij^β θ_ik^β θ_jk^β,

with z = p_T,i / Σ p_T, are two energy-flow polynomials; of them

    C_2 = e_3 / e_2²,    D_2 = e_3 / e_2³

(Larkoski, Salam and Thaler, JHEP 06 (2013) 108, arXiv 1305.0007; Larkoski, Moult and
Neill, JHEP 12 (2014) 009, arXiv 1409.6298). Both are small for two prongs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.metrics.jets.energyflow import energy_flow_polynomials
from pcgen.metrics.jets.kinematics import is_jet
from pcgen.ops import threads
from pcgen.ops.ragged import arange_ragged
from pcgen.ops.segments import segment_sum
from pcgen.schema import Quantity, Schema


class Declusterings(NamedTuple):
    """Primary declusterings of B jets, the widest angle first as clustering had them.

    Attributes:
        delta: Angle Δ between the two branches [M].
        kt: p_T of the softer branch times Δ, in the unit of the weights [M].
        z: p_T of the softer branch over the sum of both [M].
        ptr: First of each jet, and M [B+1].
    """

    delta: Tensor
    kt: Tensor
    z: Tensor
    ptr: Tensor


def n_subjettiness(clouds: Batch, number: int = 3) -> Tensor:
    r"""N-subjettiness τ_1, ..., τ_number of jets with β = 1.

        τ_N = Σ_k p_T,k min(ΔR_1k, ..., ΔR_Nk) / Σ_k p_T,k,

    Thaler and Van Tilburg, JHEP 03 (2011) 015, arXiv 1011.2268, with R_0 = 1. The axes are those of
    exclusive kT clustering with winner-take-all recombination, not minimised further: Larkoski,
    Neill and Thaler, JHEP 04 (2014) 017, arXiv 1401.2158 (``WTA_KT_Axes`` of FastJet contrib).

    Args:
        clouds: B jets; the first two axes of ``pos`` are η and φ.
        number: Largest N.

    Returns:
        [B, number] float64; 0 where a jet has no more than N particles.

    Raises:
        ArgumentError: ``number`` is not positive or the clouds have fewer than two axes.

    >>> pair = pc.make(torch.tensor([[0.0, 0.0], [0.0, 0.5]]), [2], weight=torch.tensor([3.0, 1.0]))
    >>> n_subjettiness(pair, 2)
    tensor([[0.1250, 0.0000]], dtype=torch.float64)
    """
    from pcgen.metrics.jets import declustering_compiled as loops

    if number < 1:
        raise ArgumentError(f"number: got {number}, expected at least 1")
    eta, phi, pt, ptr = _particles(clouds)
    tau = np.zeros((len(ptr) - 1, number))

    def kernel(first: int, last: int) -> None:
        loops.subjettiness(eta, phi, pt, ptr, first, last, tau)

    threads.run(kernel, np.diff(ptr) ** 2)
    total = np.add.reduceat(np.append(pt, 0.0), ptr[:-1]) if len(tau) else np.zeros(0)
    total = np.where(np.diff(ptr) > 0, total, 1.0)
    return torch.from_numpy(tau / total[:, None]).to(clouds.pos.device)


def lund_declusterings(clouds: Batch) -> Declusterings:
    """The primary Lund declusterings: Cambridge/Aachen, then down the branch of larger p_T.

    All particles of a cloud are clustered into one jet (E-scheme, rapidity and φ). Dreyer, Salam
    and Soyez, "The Lund jet plane", JHEP 12 (2018) 064, arXiv 1807.04758.

    Args:
        clouds: B jets; the first two axes of ``pos`` are η and φ.

    Raises:
        ArgumentError: the clouds have fewer than two axes.
    """
    from pcgen.metrics.jets import declustering_compiled as loops

    eta, phi, pt, ptr = _particles(clouds)
    found, number = np.zeros((len(pt), 3)), np.zeros(len(ptr) - 1, dtype=np.int64)

    def kernel(first: int, last: int) -> None:
        loops.primary(eta, phi, pt, ptr, first, last, found, number)

    threads.run(kernel, np.diff(ptr) ** 2)
    device = clouds.pos.device
    sizes = torch.from_numpy(number)
    rows = arange_ragged(torch.from_numpy(ptr[:-1]), sizes)
    delta, soft, hard = torch.from_numpy(found)[rows].to(device).unbind(1)
    until = torch.nn.functional.pad(sizes.cumsum(0), (1, 0)).to(device)
    return Declusterings(delta, soft * delta, soft / (soft + hard), until)


def lund_density(clouds: Batch, x_edges: Tensor, y_edges: Tensor) -> Tensor:
    r"""Density of the primary Lund plane, per jet: ρ = (1/B) d²n / d ln(1/Δ) d ln k_T.

    After arXiv 1807.04758. Its integral is the mean number of declusterings in the plane.

    Args:
        clouds: B ≥ 1 jets.
        x_edges: Ascending edges in ln(1/Δ) [X+1].
        y_edges: Ascending edges in ln k_T, k_T in the unit of the weights [Y+1].

    Returns:
        [X, Y] float64 on the CPU; what lies outside the edges is left out.

    Raises:
        ArgumentError: there is no jet, or edges do not ascend.
    """
    for name, edges in (("x_edges", x_edges), ("y_edges", y_edges)):
        if edges.dim() != 1 or len(edges) < 2 or not bool((edges.diff() > 0).all()):
            raise ArgumentError(f"{name}: got {edges.tolist()}, expected 2 or more, ascending")
    if clouds.num_graphs < 1:
        raise ArgumentError("clouds: got no jets, expected at least one")
    plane = lund_declusterings(clouds)
    axes = [np.asarray(edges.double().cpu()) for edges in (x_edges, y_edges)]
    inside = (plane.delta > 0).cpu()
    points = torch.stack([1 / plane.delta, plane.kt], 1).cpu()[inside].log()
    counts, _ = np.histogramdd(points.numpy(), bins=axes)
    area = np.diff(axes[0])[:, None] * np.diff(axes[1])
    return torch.from_numpy(counts / area / clouds.num_graphs)


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

    A ratio of 0 to 0 is 0: a jet with fewer particles than prongs.

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


def _particles(
    clouds: Batch,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """η, φ and p_T of the particles with weight [N], and the pointer [B+1]."""
    if clouds.pos.shape[1] < 2:
        raise ArgumentError(f"clouds: got {clouds.pos.shape[1]} axes, expected η and φ at least")
    weighted = pc.replace(clouds, weight=pc.weights(clouds))
    kept = pc.select_points(weighted, weighted.weight > 0)
    rows = torch.cat([kept.pos[:, :2].double(), kept.weight.double()[:, None]], 1).cpu()
    eta, phi, pt = rows.T.contiguous().numpy()
    return eta, phi, pt, kept.ptr.cpu().numpy()
