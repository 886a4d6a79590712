"""How a generator failed: it overfits, has the density wrong, or the dimension.

The failure modes of adversarial training that Roth et al. name (arXiv 1705.09367), each with a
number that has a known value where that failure is absent:

============ =============================================== ==================================
overfitting  how often the real event nearest to a generated n / (n + m) for n training and m
             one is a training event                         test events
density      AUC of a classifier, on events that it has not  1/2
             seen
dimension    mean local dimension of the generated events    that of as many real ones
============ =============================================== ==================================

Given generated events that the training events did not shape, training and test events are
exchangeable, whatever the generator's density: relabelling them is an exact test of overfitting,
where comparing nearest training distances with those of test events (:mod:`.memorisation`) mistakes
a preference for dense regions for copying.

**Local dimension** is the number of directions that events vary in around one of them. Both notions
are participation ratios of the eigenvalues λ of a local covariance C,

    d = (Σ λ)² / Σ λ² = (tr C)² / tr C²,

which is k where k directions have the same variance and the others none. For a set of events C is
that of the nearest neighbours (local principal component analysis, Fukunaga and Olsen, IEEE Trans.
Comput. C-20 (1971) 176); for a generator it is J Jᵀ, with J the Jacobian by its code: the
directions it can move an event in. k neighbours in d isotropic dimensions have about d k / (k + d),
so compare at equal k and equal numbers of events only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from pcgen.errors import ArgumentError
from pcgen.metrics.samples import check_rows
from pcgen.metrics.scores.classifier import classifier_test, events_needed
from pcgen.metrics.scores.learners import Learner
from pcgen.metrics.significance import against_null, permutation_test, permuted_labels
from pcgen.metrics.trust.memorisation import standardised
from pcgen.ops import neighbors

# A p-value below this is called a failure.
LEVEL = 0.01


@dataclass(frozen=True)
class Diagnosis:
    """One failure mode, looked for.

    Attributes:
        failure: ``"overfitting"``, ``"density misspecification"`` or ``"dimensional
            misspecification"``.
        value: The number that shows it.
        reference: Its value where there is no such failure.
        p: P-value against the reference.
        found: Whether p is below 0.01.
        verdict: One sentence.
    """

    failure: str
    value: float
    reference: float
    p: float
    found: bool
    verdict: str


def overfitting(
    training: Tensor,
    test: Tensor,
    generated: Tensor,
    *,
    permutations: int = 999,
    generator: torch.Generator,
) -> Diagnosis:
    """Are generated events nearer to the training events than to real events never seen?

    Args:
        training: Features of the events that the generator was trained on [N, F].
        test: Features of real events that it has not seen [M, F].
        generated: Features of generated events [G, F].
        permutations: Random relabellings of the N + M real events.
        generator: Source of the relabellings, and of the choice among equal distances.
    """
    training, test, generated = check_rows(training=training, test=test, generated=generated)
    n, m = len(training), len(test)
    union, generated = standardised(training, torch.cat([training, test]), generated)
    # In random order: ties go to the lowest row, which must not be the training events'.
    order = torch.randperm(n + m, generator=generator, device=generator.device).to(union.device)
    ends = [torch.tensor([0, len(rows)], device=union.device) for rows in (generated, union)]
    owner = order[neighbors.nearest(generated, union[order], *ends).row]
    return overfitting_of_neighbours(owner, n, m, permutations=permutations, generator=generator)


def overfitting_of_neighbours(
    nearest: Tensor, n: int, m: int, *, permutations: int = 999, generator: torch.Generator
) -> Diagnosis:
    """The same under any distance: from the real event nearest to each generated one.

    Args:
        nearest: Number of the nearest real event of each generated one [G], int64: 0 to n - 1 for
            training events, then n to n + m - 1 for test events; ties broken at random.
        n: Training events.
        m: Test events.
        permutations: Random relabellings of the n + m real events.
        generator: Source of the relabellings.

    Raises:
        ArgumentError: no generated events, or a number that is none of a real event.
    """
    known = (nearest >= 0) & (nearest < n + m)
    if nearest.dim() != 1 or not len(nearest) or not bool(known.all()):
        raise ArgumentError(
            f"nearest: got shape {tuple(nearest.shape)}, expected [G] numbers from 0 to {n + m - 1}"
        )
    often = torch.bincount(nearest, minlength=n + m).double()
    labels = permuted_labels(n, m, permutations=permutations, generator=generator)
    values = labels.to(often.device).double() @ often / len(nearest)
    result, fresh = against_null(values, generator=generator), n / (n + m)
    words = f"{result.value:.1%} of the events are next to a training event, {fresh:.1%} if fresh"
    return _diagnosis("overfitting", result.value, fresh, result.p, words)


def density_misspecification(
    real: Tensor, generated: Tensor, *, learner: Learner | None = None, seed: int = 0
) -> Diagnosis:
    """Can a classifier separate generated events from real ones?

    Args:
        real: Features of real events that the generator has not seen [N, F].
        generated: Features of generated events [M, F].
        learner: The classifier; boosted trees by default. Where it learns nothing from so few
            events, value and p are NaN.
        seed: Seed of its split.
    """
    result = classifier_test(real, generated, learner=learner, seed=seed)
    if math.isnan(result.auc):
        need = events_needed(learner)
        verdict = f"Density misspecification is undecided: too few events, {need} a side needed."
        name = "density misspecification"
        return Diagnosis(name, math.nan, 0.5, math.nan, False, verdict)
    words = (
        f"a classifier reaches an AUC of {result.auc:.3f} ({result.low:.3f} to {result.high:.3f})"
    )
    return _diagnosis("density misspecification", result.auc, 0.5, result.p, words)


def dimensional_misspecification(
    real: Tensor,
    generated: Tensor,
    *,
    neighbours: int = 12,
    events: int = 400,
    permutations: int = 199,
    generator: torch.Generator,
) -> Diagnosis:
    """Do generated events vary in more or in fewer directions locally than real ones?

    Both sets are cut to the same number, on which a local dimension depends; the p-value is that of
    relabelling their union. For the directions that a generator itself can move an event in, see
    :func:`jacobian_dimension`.

    Args:
        real: Features of real events that the generator has not seen [N, F].
        generated: Features of generated events [M, F].
        neighbours: See :func:`local_dimension`.
        events: Events of each set at most, drawn at random.
        permutations: Random relabellings.
        generator: Source of the draw and of the relabellings.
    """
    real, generated = check_rows(real=real, generated=generated)
    number = min(len(real), len(generated), events)
    if number <= neighbours:
        raise ArgumentError(
            f"real, generated: got {len(real)} and {len(generated)} events, expected more than "
            f"{neighbours} of each"
        )
    real, generated = (_draw(side, number, generator) for side in (real, generated))
    real, generated = standardised(real, real, generated)
    union = torch.cat([real, generated])

    def dimension(index: Tensor) -> float:
        chosen = union[index.to(union.device)]
        return local_dimension(chosen, neighbours=neighbours).mean().item()

    def difference(a: Tensor, b: Tensor) -> float:
        return abs(dimension(a) - dimension(b))

    result = permutation_test(
        difference, number, number, permutations=permutations, generator=generator
    )
    reference, value = (dimension(torch.arange(number) + start) for start in (0, number))
    words = f"locally {value:.2f} dimensions where the real events have {reference:.2f}"
    return _diagnosis("dimensional misspecification", value, reference, result.p, words)


def diagnose(
    training: Tensor, test: Tensor, generated: Tensor, *, seed: int = 0
) -> tuple[Diagnosis, Diagnosis, Diagnosis]:
    """All three, with their default settings: overfitting, density and dimension.

    Args:
        training: Features of the events that the generator was trained on [N, F].
        test: Features of real events that it has not seen [M, F].
        generated: Features of generated events [G, F].
        seed: Seed of all random choices.

    Raises:
        ArgumentError: too few events (12 are needed on each side), or different widths.
        DataError: features that are not finite, naming the events.
    """
    source = torch.Generator().manual_seed(seed)
    return (
        overfitting(training, test, generated, generator=source),
        density_misspecification(test, generated, seed=seed),
        dimensional_misspecification(test, generated, generator=source),
    )


def _draw(rows: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """So many of the rows, at random."""
    order = torch.randperm(len(rows), generator=generator, device=generator.device)
    return rows[order[:number].to(rows.device)]


def _diagnosis(failure: str, value: float, reference: float, p: float, words: str) -> Diagnosis:
    found = p < LEVEL
    verdict = f"{'Signs' if found else 'No sign'} of {failure}: {words} (p = {p:.2g})."
    return Diagnosis(failure, value, reference, p, found, verdict)


def local_dimension(x: Tensor, *, neighbours: int = 12) -> Tensor:
    """Local dimension of a set of events around each of them [N], float64.

    Args:
        x: Features [N, F] in units that make them comparable; N > ``neighbours``.
        neighbours: Nearest events, besides the event itself, whose spread is looked at (k ≥ 2).

    Returns:
        From 1 to min(k, F); 0 where all neighbours are at one place.

    >>> t = torch.linspace(0, 1, 50)[:, None]
    >>> bool((local_dimension(torch.cat([t, 2 * t, -t], 1)) - 1 < 1e-6).all())
    True
    """
    (x,) = check_rows(x=x)
    if not 2 <= neighbours < len(x):
        raise ArgumentError(f"neighbours: got {neighbours}, expected 2 to {len(x) - 1}")
    end = torch.tensor([0, len(x)], device=x.device)
    near = x[neighbors.knn(x, x, end, end, neighbours + 1).row]
    return participation_ratio(near - near.mean(1, keepdim=True))


def jacobian_dimension(generator: Callable[[Tensor], Tensor], codes: Tensor) -> Tensor:
    """Dimension that a generator spans around each of its codes [B].

    Args:
        generator: Takes one code [Z] and returns one event, of any shape; differentiable.
        codes: [B, Z].
    """
    if codes.dim() != 2:
        raise ArgumentError(f"codes: got shape {tuple(codes.shape)}, expected [B, Z]")

    def flat(code: Tensor) -> Tensor:
        return generator(code).flatten()

    jacobian = vmap(jacrev(flat))(codes)
    return participation_ratio(jacobian.detach().double().transpose(1, 2))


def participation_ratio(rows: Tensor) -> Tensor:
    """(Σ λ)² / Σ λ² of the eigenvalues of RᵀR for each R in rows [..., k, F]; 0 where R is 0."""
    size = torch.linalg.vector_norm(rows, dim=(-2, -1), keepdim=True)
    rows = rows / torch.where(size > 0, size, 1.0)
    # The trace is 1 now, and tr (RRᵀ)² that of the smaller of the two products.
    wide = rows.shape[-2] < rows.shape[-1]
    product = rows @ rows.mT if wide else rows.mT @ rows
    square = product.square().sum((-2, -1))
    return torch.where(square > 0, 1.0 / square.clamp(min=torch.finfo(square.dtype).tiny), 0.0)
