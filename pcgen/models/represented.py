"""What models on a :mod:`representation <pcgen.models.representations>` have in common."""

from __future__ import annotations

from abc import ABC

from torch import Tensor

from pcgen.models.base import GenerativeModel
from pcgen.models.representations import Representation


class Represented(GenerativeModel, ABC):
    """A model whose networks see events of one representation.

    Args:
        representation: Physical clouds to events and back; says the schema.
    """

    def __init__(self, representation: Representation) -> None:
        super().__init__()
        self.schema = representation.schema
        self.representation = representation

    @property
    def condition_range(self) -> tuple[Tensor, Tensor] | None:
        """See :attr:`GenerativeModel.condition_range`."""
        return self.representation.cardinality.condition_range

    @property
    def classes(self) -> tuple[str, ...]:
        """See :attr:`GenerativeModel.classes`."""
        return self.representation.cardinality.classes
