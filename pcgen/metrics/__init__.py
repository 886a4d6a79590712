"""How generated events are judged: scores beside their floors, and what scores leave out.

:func:`evaluate` gives the table of a protocol. Parts of it can be used alone: ``scores``,
``distances`` between clouds and the matrix of all pairs, features of ``jets``, ``showers`` (and
their ``profiles``) and ``shapes``, tests of ``significance``, and checks of whether a generator
deserves ``trust``.
"""

from pcgen.metrics import (
    distances,
    jets,
    profiles,
    protocols,
    scores,
    shapes,
    showers,
    significance,
    trust,
)
from pcgen.metrics.answers import Inputs, evaluate_answers
from pcgen.metrics.evaluation import Evaluation, Score, evaluate, whole_events
from pcgen.metrics.features import layer_weights, observables, point_features
from pcgen.metrics.pairs import pairwise
from pcgen.metrics.protocol import Part, Protocol

__all__ = [
    "Evaluation",
    "Inputs",
    "Part",
    "Protocol",
    "Score",
    "distances",
    "evaluate",
    "evaluate_answers",
    "jets",
    "layer_weights",
    "observables",
    "pairwise",
    "point_features",
    "profiles",
    "protocols",
    "scores",
    "shapes",
    "showers",
    "significance",
    "trust",
    "whole_events",
]
