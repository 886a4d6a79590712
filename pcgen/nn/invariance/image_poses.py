"""Poses of images: symmetries of a square grid, which act exactly; see
:mod:`pcgen.nn.invariance.poses`.

All elements of the group are frames of every image. The canonical one is that by which odd moments
of the upright image, Σ_u I(u) Σ_d (u_d + 2 u_d³) / d at coordinates u from -1 to 1, add up to most;
where two agree and the image is not symmetric, one is taken arbitrarily.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pcgen.nn.invariance.transformations import GridSymmetry, Image
from pcgen.nn.observed.image import ObservedImage


@dataclass(frozen=True, eq=False)
class ImagePose:
    """Which symmetry put each image as it lies.

    Attributes:
        elements: Symmetries of the grid.
        index: Of each image [B].
    """

    elements: tuple[GridSymmetry, ...]
    index: Tensor

    def standard(self, image: Image) -> Image:
        """The images before."""
        return self._apply(image, [each.inverse for each in self.elements])

    def restore(self, image: Image) -> Image:
        """The images after."""
        return self._apply(image, self.elements)

    def _apply(self, image: Image, elements: Sequence[GridSymmetry]) -> Image:
        if isinstance(image, ObservedImage):
            return image.moved(lambda values: self._apply(values, elements))
        moved = image
        for number, each in enumerate(elements):
            chosen = (self.index == number).view(-1, *[1] * (image.dim() - 1))
            moved = torch.where(chosen, each(image), moved)
        return moved


@dataclass(frozen=True)
class GridGroup:
    """Symmetries of a square grid, which act on images exactly; all of them are the frames.

    Attributes:
        elements: A group: of :func:`~pcgen.nn.quarter_turns` for instance.
    """

    elements: tuple[GridSymmetry, ...]

    def frames(self, image: Tensor | ObservedImage) -> list[ImagePose]:
        """One pose for each element."""
        image = _values(image)
        index = torch.zeros(len(image), dtype=torch.long, device=image.device)
        return [ImagePose(self.elements, index + n) for n in range(len(self.elements))]

    def canonical(self, image: Tensor | ObservedImage) -> ImagePose:
        """The pose by which odd moments of the upright image add up to most."""
        image = _values(image)
        axes = [torch.linspace(-1, 1, n).to(image) for n in image.shape[2:]]
        u = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
        template = (u + 2 * u**3) @ (1 / torch.arange(1, len(axes) + 1).to(image))
        with torch.no_grad():
            upright = [each.inverse(image).sum(1) for each in self.elements]
            score = torch.stack([(each * template).flatten(1).sum(1) for each in upright])
        return ImagePose(self.elements, score.argmax(0))

    def random(
        self, image: Tensor | ObservedImage, generator: torch.Generator | None = None
    ) -> ImagePose:
        """A uniformly random element for each image."""
        image = _values(image)
        device = image.device if generator is None else generator.device
        shape = (len(image),)
        index = torch.randint(len(self.elements), shape, generator=generator, device=device)
        return ImagePose(self.elements, index.to(image.device))


def _values(image: Tensor | ObservedImage) -> Tensor:
    """The image, 0 where it was not observed."""
    return image.known if isinstance(image, ObservedImage) else image
