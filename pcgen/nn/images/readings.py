r"""Readings of an image: what a network takes the empty cells for, as a value.

=================================  ============================  ===============================
reading                            an empty cell is              event
=================================  ============================  ===============================
``DenseReading()``                 a zero among numbers          images
``DenseReading(active_channel=…)`` the same, and a channel that  images
                                   is 1 in the other cells
``ObservedReading()``              a known zero, or unknown      images and what was observed
``SiteReading()``                  not there                     clouds of active cells, or images
=================================  ============================  ===============================

A reading brings an event into the form that its layers take (:mod:`pcgen.nn.images.layers`), with
the coordinates of each cell as further channels (Liu et al., "An intriguing failing of
convolutional neural networks and the CoordConv solution", arXiv:1807.03247). A dense layer can see
the edge of the lattice by its padding; on active sites the edge looks like an inactive cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.nn.images.layers import DenseLayers, Layers, ObservedLayers, SiteLayers
from pcgen.nn.lattice import cell_positions, check_images, dense_positions
from pcgen.nn.observed.image import ObservedImage
from pcgen.nn.sparse.image import SparseImage

_MAX = (F.max_pool1d, F.max_pool2d, F.max_pool3d)


class Reading(Protocol):
    """From events to what the layers of a network take."""

    @property
    def further_channels(self) -> int:
        """Channels beside those of the event and the coordinates."""

    def layers(self, dimensions: int) -> Layers:
        """Layers of a lattice with so many axes."""

    def read(
        self,
        event: Any,
        shape: tuple[int, ...],
        observed: Tensor | None = None,
        *,
        continuous: bool = False,
    ) -> Any:
        r"""Image of the event with its coordinates, as the layers take it.

        Args:
            event: Images [B, C, \*shape]; or clouds of ``cell`` and ``x``.
            shape: Cells along each axis.
            observed: Which cells were read, bool [\*shape] or [B, \*shape]; None: all.
            continuous: Multiply the coordinates by the first channel.

        Raises:
            ArgumentError: a shape does not fit, or ``observed`` is not bool or has no meaning here.
        """


@dataclass(frozen=True)
class DenseReading:
    r"""Images [B, C, \*shape] in 1 to 3 dimensions, empty cells being zeros.

    Attributes:
        active_channel: Add a channel that is 1 in cells that are not empty. It is piecewise
            constant, so it passes no gradient to a generator, which receives one for a cell that
            is missing or too much through the values alone.
    """

    active_channel: bool = False

    @property
    def further_channels(self) -> int:
        """1 with the channel of active cells."""
        return int(self.active_channel)

    def layers(self, dimensions: int) -> DenseLayers:
        """Convolutions of torch."""
        return DenseLayers(dimensions)

    def read(
        self,
        event: Tensor,
        shape: tuple[int, ...],
        observed: Tensor | None = None,
        *,
        continuous: bool = False,
    ) -> Tensor:
        """See :meth:`Reading.read`."""
        _expect_no_map(observed, self)
        check_images(event, shape)
        active = [_filled(event).to(event.dtype)] if self.active_channel else []
        places = _places(dense_positions(shape, event), event[:, :1], continuous)
        return torch.cat([event, *active, places], 1)


@dataclass(frozen=True)
class ObservedReading:
    """Images of which a part was not observed, for layers that average over what was.

    The function is that of sparsity-invariant convolutions (Uhrig et al., arXiv:1708.06500), its
    weights are those of partial convolutions (Liu et al., arXiv:1804.07723), K times smaller.

    Attributes:
        empty: What an empty cell is. "observed": a known zero, as it is where the detector looked
            and saw nothing. "missing": unknown, which is how the literature applies this layer to
            sparse images. Means over what is there then forget how much is there: occupancy and
            multiplicity are lost, but for what ``density`` gives back and for the number of
            observed cells at the last level, nearly all of them; and an empty cell passes no
            gradient, so a generator does not learn where one should be filled.
        density: Let each layer see which fraction of its window is observed.

    Raises:
        ArgumentError: ``empty`` is neither.
    """

    empty: Literal["observed", "missing"] = "observed"
    density: bool = True

    def __post_init__(self) -> None:
        if self.empty not in ("observed", "missing"):
            raise ArgumentError(f"empty: got {self.empty!r}, expected 'observed' or 'missing'")

    @property
    def further_channels(self) -> int:
        """None."""
        return 0

    def layers(self, dimensions: int) -> ObservedLayers:
        """Partial convolutions."""
        return ObservedLayers(dimensions, self.density)

    def read(
        self,
        event: Tensor,
        shape: tuple[int, ...],
        observed: Tensor | None = None,
        *,
        continuous: bool = False,
    ) -> ObservedImage:
        """See :meth:`Reading.read`."""
        check_images(event, shape)
        known = torch.ones_like(event[:, 0], dtype=torch.bool)
        known = _filled(event)[:, 0] if self.empty == "missing" else known
        if observed is not None:
            if observed.dtype != torch.bool or observed.shape not in (shape, known.shape):
                raise ArgumentError(
                    f"observed: got {observed.dtype} {tuple(observed.shape)}, "
                    f"expected bool {shape} or {tuple(known.shape)}"
                )
            known = known & observed
        places = _places(dense_positions(shape, event), event[:, :1], continuous)
        return ObservedImage.from_dense(torch.cat([event, places], 1), known)


@dataclass(frozen=True)
class SiteReading:
    r"""Active cells in 1 to 4 dimensions (Graham and van der Maaten, arXiv:1706.01307).

    Clouds are read at their own cells. Images are read at the cells that are not empty and the
    3 x 3 (in D dimensions :math:`3^D`) cells around them: the gradient with respect to an empty
    cell beside a filled one then shows a generator whether it should be filled. The two rules give
    different results for the same event. What is to be compared, the real and the generated events
    of a GAN for instance, must come in the same form.
    """

    @property
    def further_channels(self) -> int:
        """None."""
        return 0

    def layers(self, dimensions: int) -> SiteLayers:
        """Convolutions at active sites."""
        return SiteLayers(dimensions)

    def read(
        self,
        event: Batch | Tensor,
        shape: tuple[int, ...],
        observed: Tensor | None = None,
        *,
        continuous: bool = False,
    ) -> SparseImage:
        """See :meth:`Reading.read`; of clouds the channels are the columns of ``x``."""
        _expect_no_map(observed, self)
        if isinstance(event, Tensor):
            check_images(event, shape)
            image = SparseImage.from_dense(event, _surroundings(event))
        else:
            image = SparseImage.from_clouds(event, shape, features=event.x)
        positions = cell_positions(image.sites.cell, image.sites.shape, image.x.dtype)
        places = _places(positions, image.x[:, :1], continuous)
        return SparseImage(torch.cat([image.x, places], 1), image.sites)


def _places(positions: Tensor, value: Tensor, continuous: bool) -> Tensor:
    return positions * value if continuous else positions


def _filled(event: Tensor) -> Tensor:
    r"""Which cells are not empty, bool [B, 1, \*shape]."""
    return (event != 0).any(1, keepdim=True)


def _surroundings(event: Tensor) -> Tensor:
    r"""The cells that are not empty and their neighbours, bool [B, \*shape]."""
    filled = _filled(event).to(event.dtype)
    return _MAX[event.dim() - 3](filled, 3, stride=1, padding=1)[:, 0] > 0


def _expect_no_map(observed: Tensor | None, reading: Reading) -> None:
    if observed is not None:
        raise ArgumentError(
            f"observed: got {tuple(observed.shape)}, expected none with {type(reading).__name__}"
        )
