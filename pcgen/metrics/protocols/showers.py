"""The protocol of the CaloChallenge: histograms, classifiers, FPD, KPD and neighbourhoods."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.grids import Calorimeter
from pcgen.images import project
from pcgen.metrics.calochallenge import ChallengeData
from pcgen.metrics.comparisons import (
    Comparison,
    FeatureDistance,
    Fidelity,
    ShowerSeparation,
    TwoSample,
    frechet_physics,
    kernel_physics,
)
from pcgen.metrics.learners import Learner, calochallenge_classifier
from pcgen.metrics.protocols.protocol import Part, Protocol
from pcgen.metrics.showers import (
    Showers,
    high_level_features,
    log_voxels,
    low_level_features,
    showers_of,
)
from pcgen.schema import Schema


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
    build = partial(_comparison, calorimeter, data)
    classify = partial(classifier, learner=calochallenge_classifier(device))
    parts = (
        Part(build(ShowerSeparation), batches=5, tested=500),
        Part(build(_frechet), events=50_000, batches=5),
        Part(build(_kernel), events=50_000, batches=5),
        Part(build(partial(classify, seen=high_level_features, name="high")), batches=5),
        Part(build(partial(classify, seen=low_level_features, name="low")), batches=5),
        Part(build(fidelity), events=10_000, batches=5, tested=500),
    )
    return Protocol(
        "calochallenge",
        parts,
        need=50_000,
        source="arXiv:2410.21611",
        requires=partial(_check, calorimeter),
    )


def _check(calorimeter: Calorimeter, schema: Schema) -> None:
    """Refuse clouds that are not of the calorimeter's coordinates, or have other energies than MeV.

    Raises:
        ArgumentError: naming the axis or the unit.
    """
    calorimeter.columns(schema.axes)
    unit = "" if schema.weight is None else schema.weight.unit
    if unit != "MeV":
        raise ArgumentError(f"weight: got unit {unit!r}, expected energies in MeV")


Judge = Callable[[Showers, Calorimeter, ChallengeData], Comparison]
"""Makes a comparison of a pool of showers."""


def _comparison(
    calorimeter: Calorimeter, data: ChallengeData, judge: Judge
) -> Callable[[Batch, Schema], Comparison]:
    """The comparison of a pool of clouds, whose showers are read out above the threshold."""

    def build(clouds: Batch, schema: Schema) -> Comparison:
        placed = project(clouds, calorimeter.columns(schema.axes))
        showers = showers_of(placed, calorimeter).above(data.threshold)
        return judge(showers, calorimeter, data)

    return build


def classifier(
    showers: Showers,
    calorimeter: Calorimeter,
    data: ChallengeData,
    *,
    seen: Callable[[Showers, Calorimeter], Tensor],
    name: str,
    learner: Learner,
) -> TwoSample:
    """AUC and JSD of a classifier that sees these features."""
    return TwoSample(seen(showers, calorimeter), name, learner)


def fidelity(showers: Showers, calorimeter: Calorimeter, data: ChallengeData) -> Fidelity:
    """Precision, recall, density and coverage of the logarithms of voxels."""
    return Fidelity(log_voxels(showers.voxels))


def _frechet(showers: Showers, calorimeter: Calorimeter, data: ChallengeData) -> FeatureDistance:
    return frechet_physics(
        high_level_features(showers, calorimeter), smallest=10_000, largest=50_000
    )


def _kernel(showers: Showers, calorimeter: Calorimeter, data: ChallengeData) -> FeatureDistance:
    return kernel_physics(high_level_features(showers, calorimeter), batch=10_000)
