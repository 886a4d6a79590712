"""Scores of two sets of events: one file for each.

A file has the score as a function of two sets of features (or of clouds), where it pays its form
for many samples of one pool, and its comparison (:mod:`pcgen.metrics.comparison`), by which a
protocol puts it into a table with its floor and p-value. The functions are named here; the rest is
in the file of the score.
"""

from pcgen.metrics.scores.classifier import classifier_test
from pcgen.metrics.scores.conditional import (
    bin_edges,
    coverage,
    energy_score,
    energy_score_of_distances,
    miscalibration,
    ranks,
    ratios,
)
from pcgen.metrics.scores.fidelity import prdc
from pcgen.metrics.scores.frechet import frechet_distance, frechet_physics_distance
from pcgen.metrics.scores.kernel import kernel_distance, kernel_physics_distance
from pcgen.metrics.scores.learners import BoostedTrees, Perceptron
from pcgen.metrics.scores.modes import mode_count
from pcgen.metrics.scores.neighbours import neighbour_scores, neighbour_scores_of_distances
from pcgen.metrics.scores.occupancy import jensen_shannon, occupancy_jsd
from pcgen.metrics.scores.separation import separation_power, shower_separation
from pcgen.metrics.scores.wasserstein import wasserstein1

__all__ = [
    "BoostedTrees",
    "Perceptron",
    "bin_edges",
    "classifier_test",
    "coverage",
    "energy_score",
    "energy_score_of_distances",
    "frechet_distance",
    "frechet_physics_distance",
    "jensen_shannon",
    "kernel_distance",
    "kernel_physics_distance",
    "miscalibration",
    "mode_count",
    "neighbour_scores",
    "neighbour_scores_of_distances",
    "occupancy_jsd",
    "prdc",
    "ranks",
    "ratios",
    "separation_power",
    "shower_separation",
    "wasserstein1",
]
