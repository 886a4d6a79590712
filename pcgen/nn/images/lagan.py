r"""Generator and critic of the location-aware GAN of jet images, LAGAN.

De Oliveira, Paganini and Nachman, "Learning particle physics by example: location-aware generative
adversarial networks for physics synthesis", Comput. Softw. Big Sci. 1 (2017) 4, arXiv 1701.05927:

===========  =======================================================================================
generator    code ⊙ class, dense to 7 x 7 x 128; convolution 5 x 5 to 64, doubled; locally connected
             5 x 5 to 6, doubled; locally connected 3 x 3 to 6 and 2 x 2 to 1; ReLU
critic       convolution 5 x 5 to 32; locally connected 5 x 5 with stride 2, 5 x 5, and 3 x 3 with
             stride 2, to 8 each; means of 2 x 2; minibatch discrimination; one logit, and one for
             each class
===========  =======================================================================================

with leaky ReLUs, batch normalisation and, in the critic, dropout. The sizes are those of 25 x 25
cells; other images start from fewer or more cells. The ReLU at the end makes exact zeros.

Minibatch discrimination (Salimans et al., arXiv 1606.03498) lets a critic see that generated images
are too much alike: with features f_i of image i and M a learnt tensor,

.. math:: o_{ib} = \sum_j \exp\big(-\textstyle\sum_c |f_i^\top M_{bc} - f_j^\top M_{bc}|\big).

The logit of an image depends on the other images of its batch, so that neither a penalty on its
gradient nor a batch of real and generated images together has a meaning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcgen.errors import ArgumentError
from pcgen.nn.images.locally_connected import LocallyConnected2d
from pcgen.nn.network import Network

SLOPE = 0.3  # of Keras' leaky ReLU
LEAST = 5
"""Cells that an image needs along each axis."""


class MinibatchDiscrimination(Network):
    """How close each event of a batch is to the others: rows [B, F] -> [B, features].

    The sum over j includes i itself, as in the published code, and so is at least 1. It is divided
    by the number of rows, so that a batch of another size has numbers of the same scale.

    Args:
        in_channels: F.
        features: Numbers b of an event.
        kernel: Dimension c of the space in which rows are compared.
    """

    shown = ("in_channels", "features", "kernel")

    def __init__(self, in_channels: int, features: int = 20, kernel: int = 10) -> None:
        super().__init__()
        self.in_channels, self.features, self.kernel = in_channels, features, kernel
        self.space = nn.Linear(in_channels, features * kernel)

    def forward(self, rows: Tensor) -> Tensor:
        """Rows [B, F] -> [B, features], each in (0, 1]."""
        space = self.space(rows).unflatten(1, (self.features, self.kernel))
        apart = (space[:, None] - space[None]).abs().sum(3)
        return apart.neg().exp().mean(1)


class LAGANGenerator(Network):
    r"""Code and class to sparse images [B, 1, \*shape].

    Args:
        code_channels: Columns Z of the code.
        shape: Cells along both axes, at least 5.
        classes: Columns of the condition that are the class, one-hot; the code is multiplied by
            1 + e, with e an embedding of the class. The rest of the condition is not used.
        channels: Of the first map; the second has half as many.
        local: Channels of the locally connected layers.
    """

    shown = ("code_channels", "shape", "classes")

    def __init__(
        self,
        code_channels: int,
        shape: Sequence[int],
        classes: range = range(0),
        *,
        channels: int = 128,
        local: int = 6,
    ) -> None:
        super().__init__()
        self.code_channels, self.shape = code_channels, _checked(shape)
        self.classes = classes
        small = [math.ceil((cells + 3) / 4) for cells in self.shape]
        twice = [2 * cells for cells in small]
        large = [cells + 3 for cells in self.shape]
        self.small, self.large = (channels, *small), tuple(large)
        half = max(channels // 2, 1)
        self.embedding = nn.Linear(len(classes), code_channels, bias=False) if classes else None
        self.first = nn.Linear(code_channels, math.prod(self.small))
        self.second = nn.Sequential(
            nn.Conv2d(channels, half, 5, padding=2),
            nn.LeakyReLU(SLOPE),
            _norm(half),
            nn.Upsample(scale_factor=2),
            LocallyConnected2d(half, local, twice, 5, padding=2),
            nn.LeakyReLU(SLOPE),
            _norm(local),
            nn.Upsample(scale_factor=2),
        )
        self.last = nn.Sequential(
            LocallyConnected2d(local, local, large, 3),
            nn.LeakyReLU(SLOPE),
            LocallyConnected2d(local, 1, [cells - 2 for cells in large], 2, bias=False),
        )
        self._begin()

    def _begin(self) -> None:
        nn.init.kaiming_uniform_(self.second[0].get_parameter("weight"), nonlinearity="relu")
        if self.embedding is not None:
            nn.init.xavier_normal_(self.embedding.weight)

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        super().reset_parameters()
        self._begin()

    def forward(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Images [B, 1, \\*shape], 0 or more; ``sizes`` and ``generator`` are not used."""
        if self.embedding is not None and condition is not None:
            label = condition[:, self.classes.start : self.classes.stop]
            code = code * (1 + self.embedding(label))
        maps = self.second(self.first(code).view(len(code), *self.small))
        for axis, cells in enumerate(self.large, 2):
            maps = maps.narrow(axis, 0, cells)
        return F.relu(self.last(maps))


class LAGANCritic(Network):
    r"""Images [B, 1, \*shape] to a logit and one of each class [B, 1 + classes].

    Args:
        shape: Cells along both axes, at least 5.
        classes: Number of classes, of which there may be none.
        channels: Of the convolution.
        local: Channels of the locally connected layers.
        dropout: Share of the numbers behind each layer that is set to 0 while training.
        features: Of :class:`MinibatchDiscrimination`.
        kernel: Of the same.
    """

    shown = ("shape", "classes")

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        *,
        channels: int = 32,
        local: int = 8,
        dropout: float = 0.2,
        features: int = 20,
        kernel: int = 10,
    ) -> None:
        super().__init__()
        self.shape, self.classes = _checked(shape), classes
        one = LocallyConnected2d(channels, local, self.shape, 5, stride=2, padding=2)
        two = LocallyConnected2d(local, local, one.out_shape, 5, padding=2)
        three = LocallyConnected2d(local, local, two.out_shape, 3, stride=2, padding=1)
        steps: list[nn.Module] = [
            nn.Conv2d(1, channels, 5, padding=2),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(dropout),
        ]
        for layer in (one, two, three):
            steps += [layer, nn.LeakyReLU(SLOPE), _norm(local), nn.Dropout(dropout)]
        self.maps = nn.Sequential(*steps, nn.AvgPool2d(2), nn.Flatten())
        number = local * math.prod(cells // 2 for cells in three.out_shape)
        self.minibatch = MinibatchDiscrimination(number, features, kernel)
        self.head = nn.Linear(number + features, 1 + classes)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Images [B, 1, \\*shape] -> [B, 1 + classes]; the condition is not used."""
        maps = self.maps(image)
        return self.head(torch.cat([self.minibatch(maps), maps], 1))


def _checked(shape: Sequence[int]) -> tuple[int, ...]:
    if len(shape) != 2 or min(shape) < LEAST:
        got = " x ".join(map(str, shape))
        raise ArgumentError(f"grid: got {got} cells, expected two axes of at least {LEAST}")
    return tuple(shape)


def _norm(channels: int) -> nn.Module:
    """Batch normalisation with the constants of Keras."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
