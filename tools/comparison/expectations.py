"""What was expected before any row was run, and a function for each that answers from the rows.

Written down first, in words that numbers can decide, after the plan of the study (H1, H2 and H6 of
its pre-registered expectations). Rows that are not converged support no conclusion on quality; the
time of a step does not depend on whether it was the last one that was needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, NamedTuple

from pcgen.tools.comparison.results import Cell, Result, cells

Verdict = Literal["holds", "does not hold", "no conclusion"]

SEEDS = 2
"""Converged seeds that a median must be of, at least, to say anything."""
SPARSE = 0.3
"""Occupancy below which an expectation speaks of sparse images."""
DEAD = "dead-channels"
"""Rows of that question have mae_00, ..., mae_70: error at each percentage of dead channels, and
trained_at, the percentage in training."""
MAIN = "representations"


class Answer(NamedTuple):
    """What the rows say: a verdict, and the numbers (or the reason) behind it."""

    verdict: Verdict
    because: str


@dataclass(frozen=True)
class Expectation:
    """One expectation.

    Attributes:
        name: Short, ``H2a``.
        text: What is expected, so that numbers decide it.
        decide: Answers from the rows.
    """

    name: str
    text: str
    decide: Callable[[Sequence[Result]], Answer]


def masks_do_not_help(results: Sequence[Result]) -> Answer:
    """H1a."""
    verdicts, words, left = [], [], []
    for resolution in _dead_resolutions(results):
        found = _errors(results, resolution, None)
        if isinstance(found, str):
            left.append(f"at {resolution}²: {found}")
            continue
        plain = found.pop("image")
        verdicts.append(all(error >= 0.95 * plain for error in found.values()))
        listed = ", ".join(f"{name} {error:.3g}" for name, error in found.items())
        words.append(f"error at {resolution}², dead as in training: image {plain:.3g}, {listed}")
    return _all(verdicts, words, "; ".join(left) or "no rows with dead channels")


def only_observed_survives_a_shift(results: Sequence[Result]) -> Answer:
    """H1b."""
    verdicts, words, left = [], [], []
    for resolution in _dead_resolutions(results):
        before, after = (_errors(results, resolution, dead) for dead in (None, 70))
        if isinstance(before, str) or isinstance(after, str):
            left.append(f"at {resolution}²: {before if isinstance(before, str) else after}")
            continue
        ratio = {name: after[name] / before[name] for name in before}
        plain = min(ratio["image"], ratio["image-mask"])
        verdicts.append(ratio["image-observed"] < 1.4 and plain > 2.0)
        listed = ", ".join(f"{name} {value:.3g}" for name, value in ratio.items())
        words.append(f"error at {resolution}², 70 % dead over that of the training: {listed}")
    return _all(verdicts, words, "; ".join(left) or "no rows with dead channels")


def sites_step_faster(results: Sequence[Result]) -> Answer:
    """H2a."""
    verdicts, words = [], []
    for dense, sites in _pairs(results, "image", "sites"):
        times = [cell.summary("ms_per_step") for cell in (dense, sites)]
        occupancy = sites.summary("occupancy_real") or dense.summary("occupancy_real")
        if times[0] is None or times[1] is None or occupancy is None:
            continue
        if occupancy.median < SPARSE:
            verdicts.append(times[1].median < times[0].median)
            words.append(
                f"{sites.objective} at {sites.resolution}² ({occupancy.median:.1%}): sites "
                f"{times[1].median:.3g} ms, dense {times[0].median:.3g} ms"
            )
    return _all(verdicts, words, "no grid has both dense and sites rows with a time")


def sites_are_as_good(results: Sequence[Result]) -> Answer:
    """H2b."""
    verdicts, words, left = [], [], []
    for dense, sites in _pairs(results, "image", "sites"):
        where = f"{sites.objective} at {sites.resolution}²"
        if min(dense.converged, sites.converged) < SEEDS:
            left.append(f"{where}: {dense.converged} dense, {sites.converged} sites converged")
            continue
        scores = [_converged(cell, "score") for cell in (dense, sites)]
        if not all(scores):
            left.append(f"{where}: no score")
            continue
        spread = max(max(each) - min(each) for each in scores)
        medians = [median(each) for each in scores]
        verdicts.append(abs(medians[0] - medians[1]) < spread)
        words.append(
            f"{where}: sites {medians[1]:.3g}, dense {medians[0]:.3g}, spread {spread:.3g}"
        )
    return _all(verdicts, words, _few(left))


def flow_has_the_better_mass(results: Sequence[Result]) -> Answer:
    """H6a."""
    best: dict[str, tuple[float, str]] = {}
    left = []
    for cell in _first_resolution(results):
        if cell.objective not in ("flow", "gan"):
            continue
        if cell.converged < SEEDS:
            left.append(f"{cell.objective} of {cell.network}: {cell.converged} converged")
            continue
        masses = _converged(cell, "w1_mass")
        if not masses:
            left.append(f"{cell.objective} of {cell.network}: no mass")
            continue
        found = median(masses), cell.network
        best[cell.objective] = min(best.get(cell.objective, found), found)
    if len(best) < 2:
        return Answer("no conclusion", _few(left))
    listed = f"best W1 of the mass: {_masses(best)}"
    if left:
        listed += f"; left out: {'; '.join(left)}. Of all seeds, converged or not: "
        listed += _masses(_best_of_all(_first_resolution(results)))
    return _answer(best["flow"][0] < best["gan"][0], listed)


def _best_of_all(there: Sequence[Cell]) -> dict[str, tuple[float, str]]:
    """Smallest median W1 of the mass of GANs and flows, and whose: what the rule leaves out too."""
    found: dict[str, tuple[float, str]] = {}
    for cell in there:
        mass = cell.summary("w1_mass")
        if cell.objective in ("gan", "flow") and mass is not None:
            one = mass.median, cell.network
            found[cell.objective] = min(found.get(cell.objective, one), one)
    return found


def _masses(best: Mapping[str, tuple[float, str]]) -> str:
    return ", ".join(f"{name} {value:.3g}σ ({net})" for name, (value, net) in best.items())


def gan_samples_faster(results: Sequence[Result]) -> Answer:
    """H6b."""
    verdicts, words = [], []
    there = {(cell.network, cell.objective): cell for cell in _first_resolution(results)}
    for (network, objective), cell in there.items():
        if objective != "flow" or (network, "gan") not in there:
            continue
        times = [each.summary("us_per_event") for each in (there[network, "gan"], cell)]
        if times[0] is not None and times[1] is not None:
            verdicts.append(times[0].median < times[1].median)
            words.append(f"{network}: GAN {times[0].median:.0f}, flow {times[1].median:.0f} µs")
    return _all(verdicts, words, "no network has both a GAN and a flow with a time")


EXPECTATIONS = (
    Expectation(
        "H1a",
        "At fixed density masks do not help: tested with as many dead channels as in training, the "
        "median errors of the nets with a mask (image-mask, image-observed) are at least 95 % of "
        "that of the plain net.",
        masks_do_not_help,
    ),
    Expectation(
        "H1b",
        "Under shift only the sparsity-invariant net holds: its error at 70 % dead channels is "
        "below 1.4 times that at the density of the training; those of the plain and the mask "
        "net are above 2 times.",
        only_observed_survives_a_shift,
    ),
    Expectation(
        "H2a",
        "Convolution at active sites is faster: at every resolution whose real occupancy is below "
        "30 %, and for every objective, a training step takes less CPU time than that of the dense "
        "network (medians over seeds).",
        sites_step_faster,
    ),
    Expectation(
        "H2b",
        "It is as good: the medians of the score of sites and dense differ by less than the spread "
        "(largest minus smallest) of the seeds, the larger of the two spreads, at every resolution "
        "and objective where both have at least two converged seeds.",
        sites_are_as_good,
    ),
    Expectation(
        "H6a",
        "At equal CPU-seconds flow matching beats the best GAN on W1 of the jet mass: the smallest "
        "median over networks of the flows is below that of the GANs (at least two converged "
        "seeds each, the resolution of all networks).",
        flow_has_the_better_mass,
    ),
    Expectation(
        "H6b",
        "GANs are faster to sample: for every network that is trained as both, an event of the GAN "
        "takes less CPU time than one of the flow (medians over seeds).",
        gan_samples_faster,
    ),
)


def _answer(held: bool, because: str) -> Answer:
    return Answer("holds" if held else "does not hold", because)


def _all(verdicts: Sequence[bool], words: Sequence[str], none: str) -> Answer:
    if not verdicts:
        return Answer("no conclusion", none)
    listed = [
        word if good else f"**not** {word}" for good, word in zip(verdicts, words, strict=True)
    ]
    return _answer(all(verdicts), "; ".join(listed))


def _few(left: Sequence[str]) -> str:
    return f"too few converged seeds ({'; '.join(left)})" if left else "no such rows"


def _dead_resolutions(results: Sequence[Result]) -> list[int]:
    return sorted({cell.resolution for cell in cells(results, DEAD)})


def _errors(results: Sequence[Result], resolution: int, dead: int | None) -> dict[str, float] | str:
    """Median error of each net of the dead-channel study, or why there is none.

    Args:
        results: All rows.
        resolution: Of the rows that count.
        dead: Percentage of dead channels; None: as in training.
    """
    there = {c.network: c for c in cells(results, DEAD) if c.resolution == resolution}
    found: dict[str, float] = {}
    for network in ("image", "image-mask", "image-observed"):
        if network not in there:
            return f"no rows of {network} with dead channels"
        if there[network].converged < SEEDS:
            return f"{network} with dead channels: {there[network].converged} converged seeds"
        trained = there[network].results[0].number("trained_at")
        percent = dead if dead is not None else trained if math.isfinite(trained) else 0
        values = _converged(there[network], f"mae_{percent:02.0f}")
        if not values:
            return f"{network}: no error at {percent:.0f} % dead channels"
        found[network] = median(values)
    return found


def _pairs(results: Sequence[Result], one: str, other: str) -> list[tuple[Cell, Cell]]:
    """Cells of two networks with the same objective and resolution."""
    there = {(c.network, c.objective, c.resolution): c for c in cells(results, MAIN)}
    return [
        (cell, there[other, cell.objective, cell.resolution])
        for cell in there.values()
        if cell.network == one and (other, cell.objective, cell.resolution) in there
    ]


def _first_resolution(results: Sequence[Result]) -> list[Cell]:
    """Cells at the resolution at which most networks were trained."""
    there = cells(results, MAIN)
    number = {c.resolution: sum(d.resolution == c.resolution for d in there) for c in there}
    return [c for c in there if number[c.resolution] == max(number.values())]


def _converged(cell: Cell, name: str) -> list[float]:
    """Numbers of the converged seeds."""
    values = [each.number(name) for each in cell.results if each.converged]
    return [value for value in values if math.isfinite(value)]
