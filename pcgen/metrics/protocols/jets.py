"""Protocols of published tables of jets: JetNet's scores at fixed sizes, after fixed cuts.

All score relative transverse momenta p_T / p_T of the jet. W1M, W1P and W1EFP are Wasserstein-1
distances of the jets' masses, of the particles' features (mean over η, φ, p_T) and of five
energy-flow polynomials (their mean); COV and MMD are under the energy mover's distance.
``evaluate`` adds what the papers leave out: the floor at the same sizes, from disjoint real jets.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.metrics.comparisons import (
    Column,
    FeatureDistance,
    Marginals,
    Measure,
    Neighbourhood,
    Together,
    event_columns,
    frechet_physics,
    kernel_physics,
)
from pcgen.metrics.distances import energy_movers_distance
from pcgen.metrics.energyflow import energy_flow_polynomials, w1efp_graphs
from pcgen.metrics.fpnd import particlenet_activations
from pcgen.metrics.frechet import Gaussian, frechet, gaussian
from pcgen.metrics.observables import mass, point_features
from pcgen.metrics.preparation import check_jets, clipped, recentred, relative
from pcgen.metrics.protocols.protocol import Part, Protocol
from pcgen.nn.particlenet import ParticleNet
from pcgen.schema import Quantity, Schema

_MORE = (
    "; the jets that ship with pcgen are a sample, more are made by: pcgen simulate jets OUT.h5 "
    "--number N"
)


def mpgan2021(particlenet: ParticleNet | None = None, real: Gaussian | None = None) -> Protocol:
    """The table of the MPGAN paper: 5 batches of 10,000 of jets' 30 hardest particles.

    Args:
        particlenet: jetnet's network (:func:`~pcgen.metrics.load_particlenet`), for FPND.
        real: Its activations on real jets (:func:`~pcgen.metrics.load_statistics`). FPND is left
            out where the two are not given.

    References:
        Kansal et al., Particle Cloud Generation with Message Passing Generative Adversarial
        Networks, NeurIPS 2021, arXiv:2106.11535, section 5 and table 1.
    """
    fpnd = []
    if particlenet is not None and real is not None:
        build = partial(_fpnd, particlenet, real)
        fpnd = [Part(build, events=50_000, batches=5)]
    return Protocol(
        "mpgan2021",
        (*_wasserstein(10_000), *fpnd, _coverage(100)),
        prepare=partial(_relative, hardest=30),
        need=50_000 if fpnd else 10_000,
        source="arXiv:2106.11535",
        more=_MORE,
        requires=check_jets,
    )


def jetnet() -> Protocol:
    """What jetnet 0.2.5 computes by default: W1 of 50,000 jets, FPD, KPD, COV and MMD of 100.

    References:
        Kansal et al., Evaluating generative models in high energy physics, PRD 107 (2023) 076017,
        arXiv:2211.10295; Kansal et al., JetNet, JOSS 8 (2023) 5789.
    """
    return Protocol(
        "jetnet-0.2.5",
        (
            *_wasserstein(50_000),
            Part(_physics, events=50_000, batches=5),
            _coverage(100),
        ),
        prepare=_relative,
        need=50_000,
        source="arXiv:2211.10295",
        more=_MORE,
        requires=check_jets,
    )


def fpcd() -> Protocol:
    """The table of the fast point cloud diffusion paper: COV and MMD of 1,000 jets, cuts on both.

    Jets are re-centred, their coordinates clipped to ±0.5 and relative p_T to at least 1.3e-4.

    References:
        Mikuni, Nachman, Pettee, Fast point cloud generation with diffusion models in high energy
        physics, PRD 108 (2023) 036025, arXiv:2304.01266, table I.
    """
    return Protocol(
        "fpcd",
        (*_wasserstein(50_000), _coverage(1000)),
        prepare=_fpcd,
        need=50_000,
        source="arXiv:2304.01266",
        more=_MORE,
        requires=check_jets,
    )


def epic() -> Protocol:
    """The table of the EPiC-GAN paper: 10 disjoint batches of generated jets, re-centred.

    The paper compares each with the whole test set; here each meets half of it, and the other half
    makes the floor.

    References:
        Buhmann, Kasieczka, Thaler, EPiC-GAN, SciPost Phys. 15 (2023) 130, arXiv:2301.08128,
        table 1.
    """
    return Protocol(
        "epic",
        (
            Part(w1m, draw="disjoint"),
            Part(w1p, draw="disjoint"),
            Part(w1efp, draw="disjoint"),
            _coverage(100),
        ),
        prepare=_recentred,
        need=1000,
        source="arXiv:2301.08128",
        more=_MORE,
        requires=check_jets,
    )


def w1m(clouds: Batch, schema: Schema) -> Marginals:
    """W1 of the relative masses."""
    return Marginals(event_columns({Quantity("M"): mass(clouds)}, "W1{}"), clouds.num_graphs)


def w1p(clouds: Batch, schema: Schema) -> Marginals:
    """W1 of the particles' η, φ and relative p_T, averaged over the three."""
    values = list(point_features(clouds, schema).values())[:3]
    columns = [Column(Measure("W1P"), value, clouds.batch) for value in values]
    return Marginals(columns, clouds.num_graphs)


def w1efp(clouds: Batch, schema: Schema) -> Marginals:
    """W1 of the five energy-flow polynomials of four particles and four edges, averaged."""
    values = energy_flow_polynomials(clouds, w1efp_graphs())
    owner = torch.arange(clouds.num_graphs, device=values.device)
    columns = [Column(Measure("W1EFP"), value, owner) for value in values.T]
    return Marginals(columns, clouds.num_graphs)


def _physics(clouds: Batch, schema: Schema) -> Together:
    """FPD and KPD of the 36 polynomials of up to four edges, as jetnet extrapolates and draws."""
    features = energy_flow_polynomials(clouds)
    fpd = frechet_physics(features, smallest=20_000, largest=50_000)
    return Together([fpd, kernel_physics(features, batch=5_000)])


def _fpnd(net: ParticleNet, real: Gaussian, clouds: Batch, schema: Schema) -> FeatureDistance:
    """Fréchet distance of ParticleNet's activations to stored ones; the first sample is unused."""
    return FeatureDistance(
        particlenet_activations(clouds, net),
        [Measure("FPND")],
        lambda a, b: frechet(gaussian(b), real).item(),
    )


def _wasserstein(events: int) -> Sequence[Part]:
    return [Part(build, events=events, batches=5, draw="resampled") for build in (w1m, w1p, w1efp)]


def _coverage(events: int) -> Part:
    return Part(_energy_movers, events=events, batches=10, draw="resampled", tested=100)


def _energy_movers(clouds: Batch, schema: Schema) -> Neighbourhood:
    """COV and MMD under EnergyFlow's distance with R = 1, the difference of the totals included."""
    return Neighbourhood(
        clouds,
        energy_movers_distance(schema.periods),
        "EMD",
        # Only distances between the sides are asked for, and all of these: no bound saves any.
        bound=lambda batch: torch.zeros(batch.num_graphs, batch.num_graphs),
        scores=("COV", "MMD"),
    )


def _relative(clouds: Batch, schema: Schema, *, hardest: int | None = None) -> Batch:
    jets = relative(clouds, schema)
    return jets if hardest is None else pc.heaviest(jets, hardest)


def _recentred(clouds: Batch, schema: Schema) -> Batch:
    return recentred(relative(clouds, schema))


def _fpcd(clouds: Batch, schema: Schema) -> Batch:
    return clipped(_recentred(clouds, schema), distance=0.5, weight=1.3e-4)
