"""Distances between sets of clouds, and the scores built of them."""

from pcgen.metrics.bounds import earth_mover_bound
from pcgen.metrics.calochallenge import CALOCHALLENGE, ChallengeData
from pcgen.metrics.classifier import ClassifierTest, classifier_test
from pcgen.metrics.comparisons.comparison import Comparison, Measure, permutation_p_values
from pcgen.metrics.comparisons.marginals import Marginals
from pcgen.metrics.comparisons.neighbourhood import Neighbourhood
from pcgen.metrics.comparisons.occupancy import Occupancy, jensen_shannon
from pcgen.metrics.coverage import (
    coverage,
    minimum_matching_distance,
    nearest_neighbour_accuracy,
)
from pcgen.metrics.declustering import (
    Declusterings,
    lund_declusterings,
    lund_density,
    n_subjettiness,
)
from pcgen.metrics.diagnostics import (
    Diagnosis,
    density_misspecification,
    diagnose,
    dimensional_misspecification,
    overfitting,
    overfitting_of_neighbours,
)
from pcgen.metrics.dimension import jacobian_dimension, local_dimension
from pcgen.metrics.distances import chamfer_distance, earth_mover_distance
from pcgen.metrics.energyflow import efp_graphs, energy_flow_polynomials, w1efp_graphs
from pcgen.metrics.estimate import Estimate
from pcgen.metrics.evaluation import Evaluation, Score, evaluate, json_values, whole_events
from pcgen.metrics.fpnd import (
    frechet_particlenet_distance,
    load_particlenet,
    load_statistics,
    particlenet_activations,
)
from pcgen.metrics.frechet import frechet_distance, frechet_of_samples, frechet_physics_distance
from pcgen.metrics.jetnet import w1efp, w1m, w1p
from pcgen.metrics.kernel import kernel_distance, kernel_of_samples, kernel_physics_distance
from pcgen.metrics.learners import BoostedTrees, Perceptron, calochallenge_classifier
from pcgen.metrics.memorisation import Memorisation, memorisation_of_features
from pcgen.metrics.modes import ModeCount, mode_count, ring, square_grid
from pcgen.metrics.nearest import Nearest, NearestClouds, NeighbourScores, neighbour_scores
from pcgen.metrics.observables import layer_weights, mass, observables, point_features
from pcgen.metrics.outliers import OutlierReport, mahalanobis, outlier_report
from pcgen.metrics.pairwise import pairwise
from pcgen.metrics.permutation import (
    PermutationTest,
    against_null,
    permutation_test,
    permuted_labels,
)
from pcgen.metrics.prdc import PRDC, prdc, prdc_of_distances
from pcgen.metrics.profiles import (
    Profile,
    longitudinal_profile,
    per_energy,
    radial_profile,
    voxel_spectrum,
)
from pcgen.metrics.protocols import Part, Protocol
from pcgen.metrics.ranks import RankTest, auc_interval, mann_whitney
from pcgen.metrics.separation import separation_power, shower_separation
from pcgen.metrics.shapes import (
    approxmatch_distance,
    normalize_boxes,
    normalize_globally,
    occupancy_jsd,
    shape_scores,
)
from pcgen.metrics.showers import (
    ShowerFeatures,
    Showers,
    high_level_features,
    high_level_names,
    log_voxels,
    low_level_features,
    shower_features,
    showers_of,
)
from pcgen.metrics.substructure import c2, d2, energy_correlations, substructure
from pcgen.metrics.trust import Trust, trust
from pcgen.metrics.wasserstein import wasserstein1

__all__ = [
    "CALOCHALLENGE",
    "PRDC",
    "BoostedTrees",
    "ChallengeData",
    "ClassifierTest",
    "Comparison",
    "Declusterings",
    "Diagnosis",
    "Estimate",
    "Evaluation",
    "Marginals",
    "Measure",
    "Memorisation",
    "ModeCount",
    "Nearest",
    "NearestClouds",
    "NeighbourScores",
    "Neighbourhood",
    "Occupancy",
    "OutlierReport",
    "Part",
    "Perceptron",
    "PermutationTest",
    "Profile",
    "Protocol",
    "RankTest",
    "Score",
    "ShowerFeatures",
    "Showers",
    "Trust",
    "against_null",
    "approxmatch_distance",
    "auc_interval",
    "c2",
    "calochallenge_classifier",
    "chamfer_distance",
    "classifier_test",
    "coverage",
    "d2",
    "density_misspecification",
    "diagnose",
    "dimensional_misspecification",
    "earth_mover_bound",
    "earth_mover_distance",
    "efp_graphs",
    "energy_correlations",
    "energy_flow_polynomials",
    "evaluate",
    "frechet_distance",
    "frechet_of_samples",
    "frechet_particlenet_distance",
    "frechet_physics_distance",
    "high_level_features",
    "high_level_names",
    "jacobian_dimension",
    "jensen_shannon",
    "json_values",
    "kernel_distance",
    "kernel_of_samples",
    "kernel_physics_distance",
    "layer_weights",
    "load_particlenet",
    "load_statistics",
    "local_dimension",
    "log_voxels",
    "longitudinal_profile",
    "low_level_features",
    "lund_declusterings",
    "lund_density",
    "mahalanobis",
    "mann_whitney",
    "mass",
    "memorisation_of_features",
    "minimum_matching_distance",
    "mode_count",
    "n_subjettiness",
    "nearest_neighbour_accuracy",
    "neighbour_scores",
    "normalize_boxes",
    "normalize_globally",
    "observables",
    "occupancy_jsd",
    "outlier_report",
    "overfitting",
    "overfitting_of_neighbours",
    "pairwise",
    "particlenet_activations",
    "per_energy",
    "permutation_p_values",
    "permutation_test",
    "permuted_labels",
    "point_features",
    "prdc",
    "prdc_of_distances",
    "radial_profile",
    "ring",
    "separation_power",
    "shape_scores",
    "shower_features",
    "shower_separation",
    "showers_of",
    "square_grid",
    "substructure",
    "trust",
    "voxel_spectrum",
    "w1efp",
    "w1efp_graphs",
    "w1m",
    "w1p",
    "wasserstein1",
    "whole_events",
]
