r"""Sparse images: what a network on active sites passes from layer to layer.

B images of C channels on one lattice are the features x [N, C] of their N active sites. What the
inactive cells hold is a matter of convention, of which there are two:

*without ground state* (``ground`` is None; Graham and van der Maaten, arXiv:1706.01307): zero, at
the input of every layer, whatever a dense layer would have put there (its bias);

*with ground state* (Graham, arXiv:1409.6070): the vector ``ground`` [C] that each layer makes of
the vector before it. The image is then equal to that of the dense network in every cell, where the
lattice is thought to go on beyond its edges in the ground state.

*Active* is a statement about what the detector saw. Cells that it could not read are another
matter: they are *unobserved*, and their value is not known to be zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.ops.lattice import Sites, active_sites


@dataclass(frozen=True, eq=False)
class SparseImage:
    """Features at the active sites of B events.

    Attributes:
        x: Features [N, C], in the order of the sites.
        sites: Where they are; layers find and keep their rulebooks there.
        ground: Value of all inactive cells [C], or None where they are zero.
    """

    x: Tensor
    sites: Sites
    ground: Tensor | None = None

    def __post_init__(self) -> None:
        if self.x.dim() != 2 or len(self.x) != len(self.sites):
            raise ArgumentError(f"x: got {tuple(self.x.shape)}, expected [{len(self.sites)}, C]")
        if self.ground is not None and self.ground.shape != self.x.shape[1:]:
            raise ArgumentError(
                f"ground: got {tuple(self.ground.shape)}, expected [{self.x.shape[1]}]"
            )

    @classmethod
    def from_clouds(
        cls,
        clouds: Batch,
        shape: Sequence[int],
        features: Tensor | None = None,
        *,
        ground: bool = False,
    ) -> SparseImage:
        """The image of lattice clouds, which have at most one point in a cell.

        Args:
            clouds: With ``cell``, and ``layer`` if ``shape`` has one axis more (the first) than
                ``cell`` has columns: :func:`~pcgen.images.image_to_cloud` makes such clouds, and
                ``grid.shape`` is the shape.
            shape: Cells along each axis.
            features: Rows [N, C]; without, ``weight`` and then ``x``, and 1 without either.
            ground: Carry the ground state along, starting from 0.

        Raises:
            ArgumentError: the clouds have no ``cell``, or a shape does not fit.
            DataError: a cell is outside the shape, or twice in an event.

        >>> cell = torch.tensor([[2], [0]])
        >>> clouds = pc.make(cell.float(), [1, 1], weight=torch.tensor([5.0, 7.0]), cell=cell)
        >>> SparseImage.from_clouds(clouds, (3,)).dense().tolist()
        [[[0.0, 0.0, 5.0]], [[7.0, 0.0, 0.0]]]
        """
        cell = clouds.get("cell")
        if cell is None:
            raise ArgumentError("clouds: got no cell, expected lattice clouds")
        if clouds.get("layer") is not None and len(shape) == cell.shape[1] + 1:
            cell = torch.cat([clouds.layer[:, None], cell], 1)
        sites = active_sites(cell, clouds.ptr, shape)
        x = sites.sort(_features(clouds) if features is None else features)
        return cls(x, sites, x.new_zeros(x.shape[1:]) if ground else None)

    @classmethod
    def from_dense(
        cls, image: Tensor, active: Tensor | None = None, *, ground: bool = False
    ) -> SparseImage:
        """The active cells of dense images [B, C, \\*shape].

        Args:
            image: [B, C, *shape].
            active: Which cells count [B, *shape]; without, those where a channel is not 0.
            ground: Carry the ground state along, starting from 0.
        """
        active = (image != 0).any(1) if active is None else active
        if active.dtype != torch.bool or active.shape != (len(image), *image.shape[2:]):
            raise ArgumentError(
                f"active: got {active.dtype} {tuple(active.shape)}, "
                f"expected bool {[len(image), *image.shape[2:]]}"
            )
        index = active.nonzero()
        number = active.flatten(1).sum(1)
        ptr = torch.nn.functional.pad(number.cumsum(0), (1, 0))
        sites = active_sites(index[:, 1:], ptr, image.shape[2:])
        x = image.movedim(1, -1)[active]
        return cls(x, sites, x.new_zeros(x.shape[1:]) if ground else None)

    def dense(self) -> Tensor:
        """Dense images [B, C, \\*shape], the ground state (or 0) in inactive cells."""
        shape = (self.sites.events, *self.sites.shape, self.x.shape[1])
        ground = self.x.new_zeros(self.x.shape[1:]) if self.ground is None else self.ground
        index = (self.sites.owner, *self.sites.cell.unbind(1))
        return ground.expand(shape).index_put(index, self.x).movedim(-1, 1)

    def at_points(self) -> Tensor:
        """Features in the order of the points from which the image was built [N, C]."""
        return self.sites.unsort(self.x)

    def to_clouds(self, grid: Grid | None = None) -> Batch:
        """Clouds with ``cell`` and the features as ``x``, in the order of the sites.

        Args:
            grid: Whose cells the sites are: ``pos`` is their centres, and the first axis becomes
                ``layer`` where the grid has layers. Without, ``pos`` is in units of cells.

        Raises:
            ArgumentError: the grid has another shape than the image.
        """
        cell, sizes = self.sites.cell, self.sites.ptr.diff()
        if grid is None:
            return pc.make(cell.to(self.x.dtype) + 0.5, sizes, x=self.x, cell=cell)
        if grid.shape != self.sites.shape:
            raise ArgumentError(f"grid: got shape {grid.shape}, expected {self.sites.shape}")
        layer = cell[:, 0] if grid.layers else None
        cell = cell[:, 1:] if grid.layers else cell
        pos = grid.centres(cell, dtype=self.x.dtype)
        return pc.make(pos, sizes, x=self.x, cell=cell, layer=layer)

    def map(self, function: Callable[[Tensor], Tensor]) -> SparseImage:
        """Apply a function of rows [N, C] -> [N, C'] to the features and to the ground state."""
        ground = None if self.ground is None else function(self.ground[None])[0]
        return SparseImage(function(self.x), self.sites, ground)


def _features(clouds: Batch) -> Tensor:
    weight, x = clouds.get("weight"), clouds.get("x")
    given = [*([] if weight is None else [weight[:, None]]), *([] if x is None else [x])]
    return torch.cat(given, 1) if given else torch.ones_like(clouds.pos[:, :1])
