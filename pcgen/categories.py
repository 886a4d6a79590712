"""Features that are one of several kinds, as numbers that networks see: the one-hot relaxation.

A feature with K categories (a particle's type, its charge) takes the values 0, ..., K - 1. Networks
see K columns instead, 1 in that of the category and 0 in the others. What a generator puts there
need not be 0 or 1: the largest column decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from pcgen.errors import DataError
from pcgen.schema import Quantity


def widths(features: Sequence[Quantity]) -> list[int]:
    """Columns of each feature: K of one with categories, 1 of a number."""
    return [len(feature.categories) or 1 for feature in features]


def relaxed(x: Tensor, features: Sequence[Quantity]) -> Tensor:
    """Columns [N, F'] that networks see, from features [N, F] as clouds have them.

    Raises:
        DataError: a value is none of its categories; names the feature and the point.

    >>> charge = Quantity("charge", categories=("-1", "0", "1"))
    >>> relaxed(torch.tensor([[2.0, 7.5], [0.0, 8.5]]), [charge, Quantity("time", "ns")]).tolist()
    [[0.0, 0.0, 1.0, 7.5], [1.0, 0.0, 0.0, 8.5]]
    """
    if not any(feature.categories for feature in features):
        return x
    columns = []
    for feature, column in zip(features, x.unbind(1), strict=True):
        if not feature.categories:
            columns.append(column[:, None])
            continue
        kind = _checked(column, feature)
        columns.append(F.one_hot(kind, len(feature.categories)).to(x))
    return torch.cat(columns, 1)


def decided(columns: Tensor, features: Sequence[Quantity]) -> Tensor:
    """Features [N, F] from columns [N, F']; the first of equal columns counts.

    >>> charge = Quantity("charge", categories=("-1", "0", "1"))
    >>> decided(torch.tensor([[0.1, 0.7, 0.6]]), [charge]).tolist()
    [[1.0]]
    """
    if not any(feature.categories for feature in features):
        return columns
    parts = columns.split(widths(features), 1)
    return torch.cat(
        [
            part.argmax(1, keepdim=True).to(columns) if feature.categories else part
            for feature, part in zip(features, parts, strict=True)
        ],
        1,
    )


def evened(variance: Tensor, features: Sequence[Quantity]) -> Tensor:
    """Variances [F'] with one value for all columns of a feature, their mean.

    Columns of rare categories would otherwise be stretched, and rule the squared distances.
    """
    parts = variance.split(widths(features))
    return torch.cat([part.mean().expand_as(part) for part in parts]) if parts else variance


def _checked(column: Tensor, feature: Quantity) -> Tensor:
    """Numbers of the categories [N], int64."""
    kind = column.detach().round().long()
    wrong = (kind < 0) | (kind >= len(feature.categories)) | (kind != column)
    if bool(wrong.any()):
        point = int(wrong.nonzero()[0])
        raise DataError(
            f"{feature.name} of point {point}: got {column[point].item():g}, expected the number "
            f"of a category, 0 to {len(feature.categories) - 1} ({', '.join(feature.categories)})"
        )
    return kind
