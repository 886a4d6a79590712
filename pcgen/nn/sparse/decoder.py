r"""Coarse to fine: a decoder that proposes cells, keeps the occupied ones and splits them again.

The lattice is seen at levels :math:`\ell = L, \dots, 0`, where a cell of level :math:`\ell` covers
:math:`2^\ell` cells of the lattice along each axis and is occupied if one of them is. All cells of
level L are looked at; from then on only the :math:`2^D` children of occupied cells are. So the cost
goes with what is occupied, and the law of the occupied cells :math:`S_0` and of their values x is

.. math::
    p(S_0, x \mid z) = \prod_{\ell=0}^{L-1} p(S_\ell \mid S_{\ell+1}, z)
                       \prod_{i \in S_0} N(x_i; \mu_i, \sigma_i^2)

exactly, since :math:`S_0` has one pyramid. Given all coarser levels and the code, the children are
independent, but for this: an occupied cell has at least one occupied child. With
:math:`p_c` the sigmoid of the logit of child c and :math:`o_c` whether it is occupied,

.. math::
    p(S_\ell \mid S_{\ell+1}, z) = \prod_{i \in S_{\ell+1}}
        \frac{\prod_c p_c^{o_c} (1 - p_c)^{1 - o_c}}{1 - \prod_c (1 - p_c)},

and without the denominator at the first step, as the cells of level L need not be occupied: events
may be empty. Octree generating networks (Tatarchenko, Dosovitskiy and Brox, arXiv 1703.09438) and
generative sparse tensor networks (Choy, Gwak and Savarese, arXiv 1904.08755; Gwak, Choy and
Savarese, arXiv 2006.12356) classify children like this; the denominator makes it a likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Batch

from pcgen.errors import ArgumentError
from pcgen.nn.condition import with_condition
from pcgen.nn.lattice import level_shapes
from pcgen.nn.network import Network, reset
from pcgen.nn.sparse.convolutions import SubmanifoldConv
from pcgen.nn.sparse.image import SparseImage
from pcgen.objectives.likelihood import bernoulli, bounded_log_std, normal
from pcgen.ops import drawing
from pcgen.ops.lattice import Sites, sites_of_keys
from pcgen.ops.segments import sum_by


class SparseDecoder(Network):
    """Active cells and their values from a code, level by level.

    An event is a batch of active cells: ``cell`` [N, D] and ``x`` [N, 1], the standardised
    logarithm of the energy. It is trained on the true cells of all levels at once (teacher forcing)
    and sampled from its own. With ``code_channels=0`` it is a model of active cells given the
    condition alone.

    Args:
        code_channels: Columns Z of the code.
        channels: Channels C of a cell inside, at all levels.
        levels: L, at least 1; None for what leaves about four cells per axis at level L.
        shape: Cells along each of the D axes, 1 to 4; need not be powers of two.
        condition_channels: Columns K of the condition; 0 ignores it.
        depth: Submanifold convolutions per level.
        occupancy: Fraction of the cells that are active at first.

    Raises:
        ArgumentError: ``levels`` or ``occupancy`` is out of range.

    >>> decoder = SparseDecoder(3, 8, shape=(10, 12))
    >>> seed = torch.Generator().manual_seed(0)
    >>> event = decoder.sample(torch.zeros(4, 3), torch.zeros(4), None, seed)
    >>> event.num_graphs, event.cell.shape[1], event.x.shape[1]
    (4, 2, 1)
    """

    shown = ("code_channels", "shape", "condition_channels")

    def __init__(
        self,
        code_channels: int,
        channels: int,
        levels: int | None = None,
        *,
        shape: Sequence[int],
        condition_channels: int = 0,
        depth: int = 2,
        occupancy: float = 0.05,
    ) -> None:
        super().__init__()
        levels = max(1, len(level_shapes(shape)) - 1) if levels is None else levels
        if levels < 1 or not 0.0 < occupancy < 1.0:
            raise ArgumentError(
                f"levels, occupancy: got {levels}, {occupancy}, expected >= 1 and between 0 and 1"
            )
        self.shape, self.condition_channels = tuple(shape), condition_channels
        self.code_channels = code_channels
        self.coarsest = level_shapes(shape, levels)[-1]
        # The column of ones stands in where there is neither code nor condition.
        context = 1 + code_channels + condition_channels
        self.first = nn.Linear(context, math.prod(self.coarsest) * channels, bias=False)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="linear")
        share = occupancy ** (1.0 / levels)
        self.splits = nn.ModuleList(
            _Split(self.shape, channels, context, depth, level, math.log(share / (1.0 - share)))
            for level in reversed(range(levels))
        )
        self.last = _Block(len(self.shape), channels, context, depth)
        self.energy = nn.Linear(channels, 2)

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        self.first.reset_parameters()
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="linear")
        for split in self._steps():
            split.reset_parameters()
        reset(self.last)
        self.energy.reset_parameters()

    def losses(self, code: Tensor, condition: Tensor | None, event: Batch) -> dict[str, Tensor]:
        """-log p(event | code, condition) by level, in nats, each [B].

        Args:
            code: [B, Z].
            condition: [B, K].
            event: With ``cell`` and ``x``; the order of the cells does not matter.

        Raises:
            DataError: a cell is outside the shape, or twice in an event.
        """
        truth = SparseImage.from_clouds(event, self.shape, features=event.x)
        context = self._context(code, condition)
        image, terms = self._all_cells(context), {}
        for step, split in enumerate(self._steps()):
            image = split.block(image, context)
            occupied = split.occupied(image.sites, truth.sites)
            logit = split.logits(image)
            each = bernoulli(occupied, logit).sum(1)
            if step:
                each = each + log_some(logit)[:, -1]
            terms[f"occupancy_{split.level}"] = sum_by(each, image.sites.owner, len(code))
            image = split.grow(image, occupied)
        mean, log_std = self._energy(image, context)
        # Both sides are sorted by event and then row-major.
        each = normal(truth.x, mean, log_std)[:, 0]
        return terms | {"energy": sum_by(each, truth.sites.owner, len(code))}

    def sample(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Active cells: ``cell``, ``pos`` in units of cells, and ``x``; ``sizes`` is not used."""
        context = self._context(code, condition)
        image = self._all_cells(context)
        for step, split in enumerate(self._steps()):
            image = split.block(image, context)
            image = split.grow(image, _draw(split.logits(image), step > 0, generator))
        mean, log_std = self._energy(image, context)
        x = mean + log_std.exp() * drawing.normal(tuple(mean.shape), mean, generator)
        return SparseImage(x, image.sites).to_clouds()

    def _steps(self) -> Iterator[_Split]:
        return (split for split in self.splits if isinstance(split, _Split))

    def _context(self, code: Tensor, condition: Tensor | None) -> Tensor:
        return F.pad(with_condition(code, condition, self.condition_channels), (1, 0), value=1.0)

    def _all_cells(self, context: Tensor) -> SparseImage:
        """All cells of the coarsest level."""
        cells = math.prod(self.coarsest)
        key = torch.arange(len(context) * cells, device=context.device)
        x = self.first(context).unflatten(1, (cells, -1)).flatten(0, 1)
        return SparseImage(x, sites_of_keys(key, len(context), self.coarsest))

    def _energy(self, image: SparseImage, context: Tensor) -> tuple[Tensor, Tensor]:
        mean, raw = self.energy(self.last(image, context).x).split(1, 1)
        return mean, bounded_log_std(raw)


class _Block(nn.Module):
    """The context is added to each cell; then residual submanifold convolutions."""

    def __init__(self, dimensions: int, channels: int, context: int, depth: int) -> None:
        super().__init__()
        self.tell = nn.Linear(context, channels, bias=False)
        self.convs = nn.ModuleList(
            SubmanifoldConv(dimensions, channels, channels) for _ in range(depth)
        )

    def forward(self, image: SparseImage, context: Tensor) -> SparseImage:
        x = image.x + self.tell(context)[image.sites.owner]
        for conv in self.convs:
            x = x + conv(SparseImage(F.leaky_relu(x, 0.2), image.sites)).x
        return SparseImage(F.leaky_relu(x, 0.2), image.sites)


class _Split(nn.Module):
    """From the cells of level + 1 to those of their children that are occupied."""

    offsets: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        channels: int,
        context: int,
        depth: int,
        level: int,
        bias: float,
    ) -> None:
        super().__init__()
        self.shape, self.level, self.channels = shape, level, channels
        dimensions = len(shape)
        corners = torch.cartesian_prod(*[torch.arange(2)] * dimensions)
        self.register_buffer("offsets", corners.view(-1, dimensions), persistent=False)
        self.block = _Block(dimensions, channels, context, depth)
        self.logit = nn.Linear(channels, 2**dimensions)
        self.child = nn.Linear(channels, 2**dimensions * channels)
        self.start = bias
        self._begin()

    def _begin(self) -> None:
        nn.init.kaiming_normal_(self.child.weight, a=0.2)  # keeps the variance from level to level
        nn.init.constant_(self.logit.bias, self.start)

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        reset(self)
        self._begin()

    def logits(self, image: SparseImage) -> Tensor:
        """Of each child [N, 2^D], row-major; -inf outside the lattice, where the first never is."""
        limit = torch.tensor(self.shape, device=image.x.device)
        inside = (self._cells(image.sites) << self.level < limit).all(2)
        return torch.where(inside, self.logit(image.x), -torch.inf)

    def occupied(self, sites: Sites, truth: Sites) -> Tensor:
        """Which children hold a cell of the truth, which is of level 0 [N, 2^D]."""
        there = _keys(truth.owner, truth.cell >> self.level, self._shape(sites))
        return torch.isin(self._child_keys(sites), there)

    def grow(self, image: SparseImage, occupied: Tensor) -> SparseImage:
        """The occupied children; each kind of child has a linear map of its own.

        It is the transposed convolution of kernel and stride 2, of which the rest is left out.
        """
        sites = image.sites
        key, order = self._child_keys(sites)[occupied].sort()
        row = occupied.flatten().nonzero()[order, 0]
        x = self.child(image.x).view(-1, self.channels)[row]
        return SparseImage(x, sites_of_keys(key, sites.events, self._shape(sites)))

    def _shape(self, sites: Sites) -> tuple[int, ...]:
        return tuple(2 * size for size in sites.shape)

    def _cells(self, sites: Sites) -> Tensor:
        return 2 * sites.cell[:, None] + self.offsets

    def _child_keys(self, sites: Sites) -> Tensor:
        return _keys(sites.owner[:, None], self._cells(sites), self._shape(sites))


def log_some(logit: Tensor) -> Tensor:
    r"""Logarithm of the probability that one of the first c + 1 is occupied, for each c.

    .. math:: T_c = \log(1 - \prod_{d \le c} (1 - p_d)) = \log(p_c + (1 - p_c) e^{T_{c-1}})

    by recursion, which neither cancels nor underflows.

    Args:
        logit: Of each child [N, C], the first one finite.

    >>> log_some(torch.zeros(1, 3)).exp()
    tensor([[0.5000, 0.7500, 0.8750]])
    """
    some = [F.logsigmoid(logit[:, 0])]
    for one in logit.unbind(1)[1:]:
        some.append(torch.logaddexp(F.logsigmoid(one), F.logsigmoid(-one) + some[-1]))
    return torch.stack(some, 1)


def _draw(logit: Tensor, some: bool, generator: torch.Generator | None) -> Tensor:
    """Which children are occupied [N, C], with ``some`` at least one of each row."""
    u = drawing.uniform(tuple(logit.shape), logit, generator)
    drawn = u < logit.sigmoid()
    if not some:
        return drawn
    # From the last child to the first: as long as there is none, p_c / (1 - Π_{d ≤ c} (1 - p_d)),
    # which is 1 for the first.
    pressed = u < (F.logsigmoid(logit) - log_some(logit)).exp()
    found = torch.zeros_like(drawn[:, 0])
    for child in reversed(range(logit.shape[1])):
        drawn[:, child] = torch.where(found, drawn[:, child], pressed[:, child])
        found = found | drawn[:, child]
    return drawn


def _keys(owner: Tensor, cell: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Row-major number of each cell [..., D] in all events, ascending as sites are sorted."""
    key = owner
    for axis, size in enumerate(shape):
        key = key * size + cell[..., axis]
    return key
