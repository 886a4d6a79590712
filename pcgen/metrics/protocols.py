"""Protocols as values: which events a score is taken on, how many, how often, after which cuts.

Published scores can be compared only where all of that is the same; a protocol fixes it under one
name and stops where sets are too small for it. A score of :mod:`pcgen.metrics.scores` enters a
table as one more :class:`Part` here.

Published protocols of jets score relative transverse momenta p_T / p_T of the jet. W1M, W1P and
W1EFP are those of :mod:`pcgen.metrics.jets.jetnet`; COV and MMD are under the energy mover's
distance. :func:`~pcgen.metrics.evaluate` adds what the papers leave out: the floor at the same
sizes, from disjoint real events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Calorimeter
from pcgen.images import project
from pcgen.metrics.comparison import Comparison, FeatureDistance, Measure, Together
from pcgen.metrics.features import event_features, layer_weights, observables, point_features
from pcgen.metrics.jets.energyflow import energy_flow_polynomials
from pcgen.metrics.jets.jetnet import (
    compare_activations,
    compare_masses,
    compare_particles,
    compare_polynomials,
)
from pcgen.metrics.jets.kinematics import check_jets, clipped, is_jet, recentred, relative
from pcgen.metrics.jets.substructure import lund_declusterings, substructure
from pcgen.metrics.scores.classifier import TwoSample
from pcgen.metrics.scores.frechet import Gaussian, frechet_physics
from pcgen.metrics.scores.kernel import kernel_physics
from pcgen.metrics.scores.learners import calochallenge_classifier
from pcgen.metrics.scores.neighbours import (
    chamfer_neighbourhood,
    earth_mover_neighbourhood,
    energy_movers_neighbourhood,
)
from pcgen.metrics.scores.occupancy import occupancy
from pcgen.metrics.scores.prdc import Fidelity
from pcgen.metrics.scores.separation import ShowerSeparation
from pcgen.metrics.scores.wasserstein import Column, Marginals, event_columns, point_columns
from pcgen.metrics.showers import (
    ChallengeData,
    Showers,
    high_level_features,
    log_voxels,
    low_level_features,
    showers_of,
)
from pcgen.nn.particlenet import ParticleNet
from pcgen.schema import Schema

Drawing = Literal["halvings", "disjoint", "resampled"]

_MORE = (
    "; the jets that ship with pcgen are a sample, more are made by: pcgen simulate jets OUT.h5 "
    "--number N"
)


@dataclass(frozen=True)
class Part:
    """Scores of one kind and how their events are drawn.

    Attributes:
        build: Makes the comparison from the pool of all events.
        events: Events on each side of a batch; None means as many as there are.
        batches: Batches, for mean and standard deviation.
        draw: ``"halvings"``: each batch cuts the real events anew and draws generated ones, each
            event once; ``"disjoint"``: no generated event is in two batches, either;
            ``"resampled"``: one cut of the real events, draws with replacement.
        tested: Events on each side of the permutation test, at most.
    """

    build: Callable[[Batch, Schema], Comparison]
    events: int | None = None
    batches: int = 10
    draw: Drawing = "halvings"
    tested: int = 1000


def unchanged(clouds: Batch, schema: Schema) -> Batch:
    """The clouds themselves."""
    return clouds


def any_events(schema: Schema) -> None:
    """Refuses nothing."""


@dataclass(frozen=True)
class Protocol:
    """Everything that fixes a table of scores.

    Attributes:
        name: Its name.
        parts: The scores.
        prepare: Cuts and conversions of each side.
        need: Generated events needed; the real ones are twice as many, for the floor.
        source: Where it was defined.
        more: How to get more events, for the error where there are too few.
        requires: Raises one of pcgen's errors where events are not of the kind that it scores.
    """

    name: str
    parts: tuple[Part, ...]
    prepare: Callable[[Batch, Schema], Batch] = unchanged
    need: int = 2
    source: str = ""
    more: str = ""
    requires: Callable[[Schema], None] = any_events

    def check(self, real: int, generated: int) -> None:
        """Refuse sets that are too small.

        Raises:
            DataError: saying how many events are needed.
        """
        if real < 2 * self.need or generated < self.need:
            raise DataError(
                f"events: got {real} real and {generated} generated, expected at least "
                f"{2 * self.need} and {self.need} for protocol {self.name} (the floor compares "
                f"two disjoint sets of real events){self.more}"
            )


def pcgen(schema: Schema, *, repeats: int = 10, subset: int = 100) -> Protocol:
    """W1 of all observables and features, a classifier, COV, MMD and 1-NNA; of jets FPD and KPD.

    Args:
        schema: What the numbers of the events mean.
        repeats: Random halvings of the real events.
        subset: Events on each side of the scores over all pairs; 0 leaves those out.

    Raises:
        ArgumentError: fewer than 2 repeats, or a negative subset.
    """
    if repeats < 2 or subset < 0:
        raise ArgumentError(
            f"repeats, subset: got {repeats} and {subset}, expected at least 2 (for an "
            "uncertainty) and at least 0"
        )
    half = max(repeats // 2, 2)
    parts = [Part(marginals, batches=repeats)]
    if is_jet(schema):
        parts.append(Part(_physics, batches=repeats))
    parts.append(Part(_classifier, batches=half))
    if subset:
        pairs = (chamfer_neighbourhood, earth_mover_neighbourhood)
        parts += [Part(b, events=subset, batches=half, tested=subset) for b in pairs]
    return Protocol("pcgen", tuple(parts), need=10)


def mpgan2021(particlenet: ParticleNet | None = None, real: Gaussian | None = None) -> Protocol:
    """The table of the MPGAN paper: 5 batches of 10,000 of jets' 30 hardest particles.

    Args:
        particlenet: jetnet's network (:func:`~pcgen.metrics.jets.load_particlenet`), for FPND.
        real: Its activations on real jets (:func:`~pcgen.metrics.jets.load_statistics`). FPND is
            left out where the two are not given.

    References:
        Kansal et al., Particle Cloud Generation with Message Passing Generative Adversarial
        Networks, NeurIPS 2021, arXiv:2106.11535, section 5 and table 1.
    """
    fpnd = []
    if particlenet is not None and real is not None:
        build = partial(_activations, particlenet, real)
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
            Part(_jetnet_physics, events=50_000, batches=5),
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
            *(Part(build, draw="disjoint") for build in W1),
            _coverage(100),
        ),
        prepare=_recentred,
        need=1000,
        source="arXiv:2301.08128",
        more=_MORE,
        requires=check_jets,
    )


def pointflow(*, batches: int = 5) -> Protocol:
    """PointFlow's scores, from the positions alone, with the earth mover's distance solved exactly.

    The paper compares all shapes of a test set with as many generated ones; here each batch takes
    half of the real shapes, and the other half makes the floor. Shapes are scored in the
    coordinates they come in: within the sphere of radius 1/2, where the JSD is defined.

    Args:
        batches: Random halvings of the real shapes, at least 2.

    References:
        Yang et al., PointFlow, ICCV 2019, arXiv:1906.12320, section 5.1.
    """
    builds = (occupancy, chamfer_neighbourhood, earth_mover_neighbourhood)
    parts = tuple(Part(build, batches=batches, tested=100) for build in builds)
    return Protocol("pointflow", parts, prepare=_positions, need=10, source="arXiv:1906.12320")


def calochallenge(
    calorimeter: Calorimeter, data: ChallengeData, *, device: str | torch.device = "cpu"
) -> Protocol:
    """The CaloChallenge's scores of one of its data sets.

    Separation powers are means over the layers. The two classifiers are those of the challenge
    (three hidden layers of 2048): their epoch is chosen on one part of the events and their figures
    are of another that they have never seen, which the challenge calls test and val.

    Args:
        calorimeter: Where the showers are.
        data: Facts about the data set.
        device: Where the classifiers learn.

    References:
        Krause et al., CaloChallenge 2022, arXiv:2410.21611, section 5, and its evaluation code.
    """
    learner = calochallenge_classifier(device)

    def part(
        compare: Callable[[Showers], Comparison], events: int | None = None, tested: int = 1000
    ) -> Part:
        def build(clouds: Batch, schema: Schema) -> Comparison:
            placed = project(clouds, calorimeter.columns(schema.axes))
            return compare(showers_of(placed, calorimeter).above(data.threshold))

        return Part(build, events=events, batches=5, tested=tested)

    def high(showers: Showers) -> Tensor:
        return high_level_features(showers, calorimeter)

    def low(showers: Showers) -> Tensor:
        return low_level_features(showers, calorimeter)

    parts = (
        part(lambda showers: ShowerSeparation(showers, calorimeter, data), tested=500),
        part(
            lambda showers: frechet_physics(high(showers), smallest=10_000, largest=50_000),
            events=50_000,
        ),
        part(lambda showers: kernel_physics(high(showers), batch=10_000), events=50_000),
        part(lambda showers: TwoSample(high(showers), "high", learner)),
        part(lambda showers: TwoSample(low(showers), "low", learner)),
        part(lambda showers: Fidelity(log_voxels(showers.voxels)), events=10_000, tested=500),
    )
    return Protocol(
        "calochallenge",
        parts,
        need=50_000,
        source="arXiv:2410.21611",
        requires=partial(_check_calorimeter, calorimeter),
    )


# Comparisons and cuts of these protocols.

W1 = (compare_masses, compare_particles, compare_polynomials)


def marginals(clouds: Batch, schema: Schema) -> Marginals:
    """W1 of observables of the events, of their weight in each layer and of their points.

    Of jets also of their substructure and of the primary Lund plane.
    """
    events = observables(clouds, schema)
    planes: list[Column] = []
    if is_jet(schema):
        events |= substructure(clouds, schema)
        plane = lund_declusterings(clouds)
        rows = torch.arange(len(plane.kt), device=plane.ptr.device)
        owner = torch.searchsorted(plane.ptr, rows, right=True) - 1
        axes = {"lund ln 1/delta": -plane.delta.log(), "lund ln kt": plane.kt.log()}
        planes = [Column(Measure(f"W1 {name}"), value, owner) for name, value in axes.items()]
    events |= layer_weights(clouds, schema)
    points = point_columns(point_features(clouds, schema), clouds.batch)
    return Marginals([*event_columns(events), *planes, *points], clouds.num_graphs)


def _classifier(clouds: Batch, schema: Schema) -> TwoSample:
    """A classifier that takes the observables of the events."""
    return TwoSample(event_features(observables(clouds, schema)))


def _physics(clouds: Batch, schema: Schema) -> Together:
    """FPD and KPD of the 36 energy-flow polynomials of relative p_T, and W1 of five of them."""
    jets = relative(clouds, schema)
    features = energy_flow_polynomials(jets)
    return Together(
        [frechet_physics(features), kernel_physics(features), compare_polynomials(jets, schema)]
    )


def _jetnet_physics(clouds: Batch, schema: Schema) -> Together:
    """FPD and KPD of the 36 polynomials of up to four edges, as jetnet extrapolates and draws."""
    features = energy_flow_polynomials(clouds)
    fpd = frechet_physics(features, smallest=20_000, largest=50_000)
    return Together([fpd, kernel_physics(features, batch=5_000)])


def _activations(
    net: ParticleNet, real: Gaussian, clouds: Batch, schema: Schema
) -> FeatureDistance:
    """FPND."""
    return compare_activations(clouds, net, real)


def _wasserstein(events: int) -> Sequence[Part]:
    return [Part(build, events=events, batches=5, draw="resampled") for build in W1]


def _coverage(events: int) -> Part:
    build = energy_movers_neighbourhood
    return Part(build, events=events, batches=10, draw="resampled", tested=100)


def _relative(clouds: Batch, schema: Schema, *, hardest: int | None = None) -> Batch:
    jets = relative(clouds, schema)
    return jets if hardest is None else pc.heaviest(jets, hardest)


def _recentred(clouds: Batch, schema: Schema) -> Batch:
    return recentred(relative(clouds, schema))


def _fpcd(clouds: Batch, schema: Schema) -> Batch:
    return clipped(_recentred(clouds, schema), distance=0.5, weight=1.3e-4)


def _positions(clouds: Batch, schema: Schema) -> Batch:
    return pc.make(clouds.pos, pc.sizes(clouds))


def _check_calorimeter(calorimeter: Calorimeter, schema: Schema) -> None:
    """Refuse clouds that are not of the calorimeter's coordinates, or have other energies than MeV.

    Raises:
        ArgumentError: naming the axis or the unit.
    """
    calorimeter.columns(schema.axes)
    unit = "" if schema.weight is None else schema.weight.unit
    if unit != "MeV":
        raise ArgumentError(f"weight: got unit {unit!r}, expected energies in MeV")
