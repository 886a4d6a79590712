"""Can a generator be trusted? What scores of two sets leave out: copies, outliers, failures.

All judge rows of features, one an event: the observables of the events, and of jets the
energy-flow polynomials where single events can ruin a Fréchet distance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.metrics.features import event_features, observables
from pcgen.metrics.jets.energyflow import energy_flow_polynomials
from pcgen.metrics.jets.kinematics import is_jet, relative
from pcgen.metrics.samples import divided_by_maximum
from pcgen.metrics.scores.frechet import frechet_distance
from pcgen.metrics.trust.diagnosis import Diagnosis, diagnose
from pcgen.metrics.trust.memorisation import Memorisation, memorisation_of_features, shared
from pcgen.metrics.trust.outliers import OutlierReport, outlier_report
from pcgen.schema import Schema

# Events of each side, at most, in tests whose time goes with the square.
EVENTS = 2000


@dataclass(frozen=True)
class Trust:
    """What was looked for beyond the scores.

    Attributes:
        memorisation: Whether generated events lie nearer to training events than fresh ones do.
        diagnoses: Overfitting, density and dimensional misspecification.
        outliers: The Fréchet distance with and without the worst generated events.
    """

    memorisation: Memorisation
    diagnoses: tuple[Diagnosis, ...]
    outliers: OutlierReport

    @property
    def sentences(self) -> tuple[str, ...]:
        """The findings in words."""
        report, copies = self.outliers, self.memorisation
        shown = ", ".join(map(str, report.events))
        return (
            *(diagnosis.verdict for diagnosis in self.diagnoses),
            f"{len(copies.copies)} generated events are copies of training events, "
            f"{len(copies.suspicious)} lie nearer to one than every test event "
            f"({copies.chance:.1f} would by chance); C_T = {copies.score:.2f} "
            f"(p = {copies.p:.2g}).",
            f"{report.beyond} generated events lie farther out than every real one. Without the "
            f"{len(report.events)} farthest (events {shown}) the Fréchet distance is "
            f"{report.trimmed:.3g} instead of {report.score:.3g}.",
        )


def assess(
    training: Batch, test: Batch, generated: Batch, schema: Schema, *, seed: int = 0
) -> Trust:
    """Look for copied events, misspecification and outliers.

    Args:
        training: Events that the generator was trained on.
        test: Real events that it has not seen.
        generated: Generated events.
        schema: What the numbers mean.
        seed: Seed of everything random; at most 2,000 events of a side enter the tests.

    Raises:
        ArgumentError: fewer than 12 events on a side.
        DataError: values that are not finite, naming the events.
    """
    generator = torch.Generator().manual_seed(seed)
    sides = [_some(side, generator) for side in (training, test)]
    features = [_features(side, schema) for side in (*sides, generated)]
    chosen = torch.randperm(len(features[2]), generator=generator)[:EVENTS]
    near = _with_copies(memorisation_of_features(*features, seed=seed), shared(training, generated))
    overfitting, *others = diagnose(features[0], features[1], features[2][chosen], seed=seed)
    return Trust(
        near,
        (
            _judged(overfitting, near, by_chance=bool(shared(training, test).any())),
            *others,
        ),
        outlier_report(
            _flow(test, schema),
            _flow(generated, schema),
            lambda a, b: frechet_distance(*divided_by_maximum(a, a, b)).item(),
            worst=min(10, max(generated.num_graphs // 10, 1)),
        ),
    )


def _with_copies(near: Memorisation, exact: Tensor) -> Memorisation:
    """Copies of any training event, and not of those alone that entered the test."""
    return replace(near, copies=tuple(sorted({*near.copies, *exact.nonzero().flatten().tolist()})))


def _judged(overfitting: Diagnosis, near: Memorisation, *, by_chance: bool) -> Diagnosis:
    """The diagnosis of a test that looks at no single event, in view of copies.

    Args:
        overfitting: The diagnosis.
        near: With the copies.
        by_chance: Test events equal training events too, as events of few points or cells do.
    """
    if overfitting.found or not near.copies:
        return overfitting
    words = overfitting.verdict.partition(": ")[2]
    copies = f"{len(near.copies)} generated events are copies of training events"
    head = f"Signs of overfitting: {copies}"
    if by_chance:
        head = f"Overfitting is undecided: {copies}, but test events equal some too"
    return replace(overfitting, found=not by_chance, verdict=f"{head}; of all events, {words}")


def _some(clouds: Batch, generator: torch.Generator) -> Batch:
    return pc.select(clouds, torch.randperm(clouds.num_graphs, generator=generator)[:EVENTS])


def _features(clouds: Batch, schema: Schema) -> Tensor:
    return event_features(observables(clouds, schema))


def _flow(clouds: Batch, schema: Schema) -> Tensor:
    """Features of the Fréchet distance: polynomials of jets, observables of other events."""
    if is_jet(schema):
        return energy_flow_polynomials(relative(clouds, schema))
    return _features(clouds, schema)
