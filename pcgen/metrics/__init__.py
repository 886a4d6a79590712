"""Distances between sets of clouds, and the scores built of them."""

from pcgen.metrics.bounds import earth_mover_bound
from pcgen.metrics.classifier import ClassifierTest, classifier_test
from pcgen.metrics.comparisons.comparison import Comparison, Measure, permutation_p_values
from pcgen.metrics.comparisons.marginals import Marginals
from pcgen.metrics.comparisons.neighbourhood import Neighbourhood
from pcgen.metrics.coverage import (
    coverage,
    minimum_matching_distance,
    nearest_neighbour_accuracy,
)
from pcgen.metrics.distances import chamfer_distance, earth_mover_distance
from pcgen.metrics.evaluation import Evaluation, Score, evaluate
from pcgen.metrics.learners import BoostedTrees, Perceptron, calochallenge_classifier
from pcgen.metrics.nearest import Nearest, NearestClouds, NeighbourScores, neighbour_scores
from pcgen.metrics.observables import observables, point_features
from pcgen.metrics.pairwise import pairwise
from pcgen.metrics.permutation import (
    PermutationTest,
    against_null,
    permutation_test,
    permuted_labels,
)
from pcgen.metrics.protocols import Part, Protocol
from pcgen.metrics.ranks import RankTest, auc_interval, mann_whitney
from pcgen.metrics.relabelling import relabelled_mmd, relabelled_moments
from pcgen.metrics.shapes import (
    Occupancy,
    approxmatch_distance,
    jensen_shannon,
    normalize_boxes,
    normalize_globally,
    occupancy_jsd,
    shape_scores,
)
from pcgen.metrics.wasserstein import wasserstein1

__all__ = [
    "BoostedTrees",
    "ClassifierTest",
    "Comparison",
    "Evaluation",
    "Marginals",
    "Measure",
    "Nearest",
    "NearestClouds",
    "NeighbourScores",
    "Neighbourhood",
    "Occupancy",
    "Part",
    "Perceptron",
    "PermutationTest",
    "Protocol",
    "RankTest",
    "Score",
    "against_null",
    "approxmatch_distance",
    "auc_interval",
    "calochallenge_classifier",
    "chamfer_distance",
    "classifier_test",
    "coverage",
    "earth_mover_bound",
    "earth_mover_distance",
    "evaluate",
    "jensen_shannon",
    "mann_whitney",
    "minimum_matching_distance",
    "nearest_neighbour_accuracy",
    "neighbour_scores",
    "normalize_boxes",
    "normalize_globally",
    "observables",
    "occupancy_jsd",
    "pairwise",
    "permutation_p_values",
    "permutation_test",
    "permuted_labels",
    "point_features",
    "relabelled_mmd",
    "relabelled_moments",
    "shape_scores",
    "wasserstein1",
]
