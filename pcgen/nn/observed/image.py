r"""Images of which a part was not observed: values, and which of them are known.

*Unobserved* is a cell that could not be read: dead, masked or not built. Its value is unknown, and
no layer here lets it matter. *Inactive* is a cell that was read and held nothing: its value is
known to be zero, and that it is empty is information (:mod:`pcgen.nn.sparse.image`). An empty cell
of a calorimeter is inactive; naming it unobserved would throw its multiplicity away.

Layers make the next map of what is known beside the next values, so the maps of a network with
strides are a pyramid: a cell is known where its window held a known one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from pcgen.errors import ArgumentError


@final
@dataclass(frozen=True, eq=False)
class ObservedImage:
    r"""Dense images and how far each of their values is known.

    Attributes:
        x: Values [B, C, \*shape]; what stands in unobserved cells has no meaning, NaN included.
        observed: 1 where a value is known and 0 where it is not [B, C, \*shape], or
            [B, 1, \*shape] where the channels share it. Numbers between are confidences, which
            :class:`~pcgen.nn.NormalizedConv` weighs; elsewhere all above 0 is observed.
    """

    x: Tensor
    observed: Tensor

    def __post_init__(self) -> None:
        x, observed = self.x.shape, self.observed.shape
        fits = len(x) == len(observed) and x[0] == observed[0] and x[2:] == observed[2:]
        if not fits or observed[1] not in (1, x[1]):
            raise ArgumentError(
                f"observed: got {tuple(observed)}, expected {(x[0], 1, *x[2:])} or {tuple(x)}"
            )

    @classmethod
    def from_dense(cls, image: Tensor, observed: Tensor | None = None) -> ObservedImage:
        r"""Images [B, C, \*shape] and what of them was observed.

        Args:
            image: [B, C, \*shape].
            observed: Bool, or confidences from 0 to 1: [\*shape], [B, \*shape] or
                [B, C, \*shape]; None: all of it.

        Raises:
            ArgumentError: the shapes do not fit, or a confidence is outside 0 to 1.

        >>> image = torch.tensor([[[1.0, float("nan"), 3.0]]])
        >>> ObservedImage.from_dense(image, torch.tensor([True, False, True])).known.tolist()
        [[[1.0, 0.0, 3.0]]]
        """
        if observed is None:
            return cls(image, torch.ones_like(image[:, :1]))
        observed = observed.to(image.dtype)
        if not bool(((observed >= 0) & (observed <= 1)).all()):
            raise ArgumentError(
                "observed: got numbers outside 0 to 1, expected bool or confidences"
            )
        if observed.dim() == image.dim() - 2:
            observed = observed.expand(len(image), *observed.shape)
        return cls(image, observed[:, None] if observed.dim() == image.dim() - 1 else observed)

    @property
    def known(self) -> Tensor:
        r"""Values where there is any confidence, exactly 0 where unobserved [B, C, \*shape]."""
        return torch.where(self.observed > 0, self.x, 0)

    def map(self, function: Callable[[Tensor], Tensor]) -> ObservedImage:
        """Apply a function that treats every cell alone to the values."""
        x = function(self.x)
        if self.observed.shape[1] in (1, x.shape[1]):
            return ObservedImage(x, self.observed)
        raise ArgumentError(
            f"function: got {x.shape[1]} channels, expected {self.observed.shape[1]} as of observed"
        )

    def moved(self, function: Callable[[Tensor], Tensor]) -> ObservedImage:
        """Apply a linear map that brings cells to other places, linear interpolation say.

        Values are weighed by their confidence, f(c x) / f(c) with the confidence f(c), so what is
        unobserved is not smeared over its neighbours, and what enters from outside is unobserved.
        """
        observed = function(self.observed)
        x, known = function(self.known * self.observed), observed > 0
        return ObservedImage(torch.where(known, x / torch.where(known, observed, 1), 0), observed)


def concat_channels(images: Sequence[ObservedImage]) -> ObservedImage:
    """The channels of several images of one shape, each known where it was (skip connections)."""
    observed = [each.observed.expand_as(each.x) for each in images]
    return ObservedImage(torch.cat([each.x for each in images], 1), torch.cat(observed, 1))
