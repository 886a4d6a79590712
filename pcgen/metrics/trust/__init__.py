"""Can a generator be trusted? What scores leave out: copies, three failures, outliers."""

from pcgen.metrics.trust.assessment import Trust, assess
from pcgen.metrics.trust.diagnosis import diagnose, jacobian_dimension, local_dimension
from pcgen.metrics.trust.memorisation import memorisation_of_features
from pcgen.metrics.trust.outliers import outlier_report

__all__ = [
    "Trust",
    "assess",
    "diagnose",
    "jacobian_dimension",
    "local_dimension",
    "memorisation_of_features",
    "outlier_report",
]
