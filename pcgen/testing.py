"""For tests of networks and data on clouds: random clouds, a data set in memory, laws of networks.

A network f that takes B clouds with points X in N rows keeps two laws. For every permutation P of
the rows that leaves each point in its cloud, and for the cloud b taken alone:

====================== ==================== ====================================================
law                    formula              asserted by
====================== ==================== ====================================================
invariance             f(P X) = f(X)        :func:`assert_permutation_invariant`, f in rows [B, F]
equivariance           f(P X) = P f(X)      :func:`assert_permutation_equivariant`, rows [N, C]
independence of others f(X)_b = f(X_b)      :func:`assert_independent_of_batch`, either
====================== ==================== ====================================================

The assertions raise ``AssertionError``, so they work with any test runner and without one. A
network that draws random numbers while it is evaluated (dropout) is put into ``eval()`` first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.schema import Schema

__all__ = [
    "InMemory",
    "assert_independent_of_batch",
    "assert_permutation_equivariant",
    "assert_permutation_invariant",
    "clouds_of_schema",
    "random_clouds",
    "random_sizes",
    "shuffled",
]


def random_sizes(number: int, low: int = 0, high: int = 8, seed: int = 0) -> Tensor:
    """Random numbers of points [number], from ``low`` up to, without, ``high``.

    >>> sizes = random_sizes(100)
    >>> int(sizes.min()), int(sizes.max())
    (0, 7)
    """
    return torch.randint(low, high, (number,), generator=_seeded(seed))


def random_clouds(
    sizes: Sequence[int] | Tensor,
    axes: int = 2,
    *,
    weight: bool = True,
    features: int = 0,
    conditions: int = 0,
    labels: int = 0,
    layers: int = 0,
    spread: float = 1.0,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Batch:
    """Clouds of independent random points, the same ones for the same arguments.

    Args:
        sizes: Number of points of each cloud [B]; zeros are legal.
        axes: D; ``pos`` [N, D] is normal with standard deviation ``spread``.
        weight: Whether there is ``weight`` [N], uniform from 0.01 to 1.01.
        features: F; ``x`` [N, F] is standard normal. Without features there is no ``x``.
        conditions: C; ``y`` [B, C] is uniform from 0 to 1. Without conditions there is no ``y``.
        labels: Number of classes; ``label`` [B] counts 0, 1, ... again and again.
        layers: Number of detector layers; ``layer`` [N] is any of them.
        spread: Standard deviation of the coordinates.
        seed: Of the random numbers.
        dtype: Of the floats.

    Raises:
        ArgumentError: a size is negative.

    >>> random_clouds([3, 0, 2], features=1, labels=2)
    DataBatch(pos=[5, 2], weight=[5], x=[5, 1], label=[3], batch=[5], ptr=[4])
    """
    number = torch.as_tensor(sizes, dtype=torch.long)
    if bool((number < 0).any()):
        raise ArgumentError(f"sizes: got {number.tolist()}, expected numbers >= 0")
    n, b, draw = int(number.sum()), len(number), _seeded(seed)
    pos = spread * torch.randn(n, axes, generator=draw, dtype=dtype)
    drawn = torch.rand(n, generator=draw, dtype=dtype) + 0.01 if weight else None
    x = torch.randn(n, features, generator=draw, dtype=dtype) if features else None
    y = torch.rand(b, conditions, generator=draw, dtype=dtype) if conditions else None
    label = torch.arange(b) % labels if labels else None
    layer = torch.randint(layers, (n,), generator=draw) if layers else None
    return pc.make(pos, number, weight=drawn, x=x, y=y, label=label, layer=layer)


def clouds_of_schema(schema: Schema, sizes: Sequence[int] | Tensor, **options: Any) -> Batch:
    """:func:`random_clouds` with the attributes of a schema, in no particular unit.

    Args:
        schema: Which attributes there are, and how many columns each has.
        sizes: Number of points of each cloud [B].
        options: ``spread``, ``seed`` and ``dtype`` of :func:`random_clouds`.

    >>> from pcgen.io import JETS
    >>> clouds_of_schema(JETS, [3, 0, 2])
    DataBatch(pos=[5, 2], weight=[5], y=[3, 1], label=[3], batch=[5], ptr=[4])
    """
    return random_clouds(
        sizes,
        len(schema.axes),
        weight=schema.weight is not None,
        features=len(schema.features),
        conditions=len(schema.condition),
        labels=len(schema.labels),
        layers=len(schema.layers),
        **options,
    )


class InMemory:
    """A data set of clouds in memory, for :class:`~pcgen.datasets.batches.Batches` and training.

    Args:
        clouds: All of them.

    >>> from pcgen.datasets.batches import Batches
    >>> batches = Batches(InMemory(random_clouds([3, 0, 2, 4])), batch_size=2)
    >>> batches(step=0, rank=0, world=1).num_graphs
    2
    """

    def __init__(self, clouds: Batch) -> None:
        self.clouds = clouds

    def __len__(self) -> int:
        return self.clouds.num_graphs

    def sizes(self) -> Tensor:
        """Number of points of each cloud [B]."""
        return pc.sizes(self.clouds)

    @property
    def in_memory(self) -> bool:
        """True."""
        return True

    def gather(self, items: Tensor) -> Batch:
        """The clouds with these numbers, in this order."""
        return pc.select(self.clouds, items)


def shuffled(clouds: Batch, seed: int = 0) -> tuple[Batch, Tensor]:
    """The same clouds with the points of each in a random order, and that order [N].

    >>> clouds = random_clouds([3, 2])
    >>> other, order = shuffled(clouds)
    >>> torch.equal(other.pos, clouds.pos[order])
    True
    """
    order = torch.randperm(len(clouds.pos), generator=_seeded(seed)).to(clouds.pos.device)
    return _in_order(clouds, order)


def assert_permutation_invariant(
    network: Callable[..., Tensor],
    clouds: Batch,
    *inputs: Tensor,
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> None:
    """Assert that the order of the points does not change what a network gives for each cloud.

    Args:
        network: ``network(clouds, *inputs)`` gives a row for each cloud, [B, ...].
        clouds: B clouds; at least one has two points or more.
        inputs: What else the network takes, a row for each cloud [B, ...]: condition, time.
        rtol: Relative tolerance; the default suits float32.
        atol: Absolute tolerance.

    Raises:
        AssertionError: the rows differ, are not finite or not B.
        ArgumentError: no cloud has two points.
    """
    orders = _orders(clouds)
    rows = _rows(network(clouds, *inputs), clouds.num_graphs, "clouds")
    for other, _ in orders:
        law = "rows of clouds depend on the order of points"
        _assert_equal(network(other, *inputs), rows, rtol, atol, law)


def assert_permutation_equivariant(
    network: Callable[..., Tensor],
    clouds: Batch,
    *inputs: Tensor,
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> None:
    """Assert that the row that a network gives for a point follows the point, in any order.

    Args:
        network: ``network(clouds, *inputs)`` gives a row for each point, [N, ...].
        clouds: B clouds of N points; at least one has two points or more.
        inputs: What else the network takes, a row for each cloud [B, ...]: condition, time.
        rtol: Relative tolerance; the default suits float32.
        atol: Absolute tolerance.

    Raises:
        AssertionError: the rows differ, are not finite or not N.
        ArgumentError: no cloud has two points.
    """
    orders = _orders(clouds)
    rows = _rows(network(clouds, *inputs), len(clouds.pos), "points")
    for other, order in orders:
        law = "rows of points do not follow their points"
        _assert_equal(network(other, *inputs), rows[order], rtol, atol, law)


def assert_independent_of_batch(
    network: Callable[..., Tensor],
    clouds: Batch,
    *inputs: Tensor,
    rows: Literal["clouds", "points"],
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> None:
    """Assert that a cloud alone gives what it gives among others.

    Args:
        network: ``network(clouds, *inputs)`` gives rows [B, ...] or [N, ...].
        clouds: B clouds of N points, two clouds or more.
        inputs: What else the network takes, a row for each cloud [B, ...]: condition, time.
        rows: Whether the network gives a row for each of the clouds or of the points.
        rtol: Relative tolerance; the default suits float32.
        atol: Absolute tolerance.

    Raises:
        AssertionError: the rows differ, are not finite or not as many.
        ArgumentError: there are fewer than two clouds.
    """
    number = clouds.num_graphs
    if number < 2:
        raise ArgumentError(f"clouds: got {number}, expected two or more to be compared alone")
    if rows not in ("clouds", "points"):
        raise ArgumentError(f"rows: got {rows}, expected clouds or points")
    expected = number if rows == "clouds" else len(clouds.pos)
    together = _rows(network(clouds, *inputs), expected, rows)
    alone = [network(pc.select(clouds, [b]), *(i[[b]] for i in inputs)) for b in range(number)]
    _assert_equal(torch.cat(alone), together, rtol, atol, "a cloud depends on others of its batch")


def _orders(clouds: Batch) -> list[tuple[Batch, Tensor]]:
    """The clouds with their points reversed and in three random orders, and these orders [N]."""
    if clouds.num_graphs == 0 or int(pc.sizes(clouds).max()) < 2:
        raise ArgumentError("clouds: got none of two points or more, expected points to permute")
    reverse = torch.arange(len(clouds.pos), device=clouds.pos.device).flip(0)
    return [_in_order(clouds, reverse), *(shuffled(clouds, seed) for seed in range(3))]


def _in_order(clouds: Batch, order: Tensor) -> tuple[Batch, Tensor]:
    """Points in an order of all rows [N], in which each stays in its cloud; and the order left."""
    order = order[clouds.batch[order].argsort(stable=True)]
    values = {n: v[order] for n, v in pc.attributes(clouds).items() if n in pc.POINT_ATTRIBUTES}
    return pc.replace(clouds, **values), order


def _rows(value: Tensor, number: int, of: str) -> Tensor:
    shape = tuple(value.shape)
    if not shape or shape[0] != number:
        raise AssertionError(f"got {shape}, expected a row for each of the {number} {of}")
    if not bool(torch.isfinite(value).all()):
        raise AssertionError("got a value that is not finite")
    return value


def _assert_equal(got: Tensor, expected: Tensor, rtol: float, atol: float, law: str) -> None:
    torch.testing.assert_close(
        got, expected, rtol=rtol, atol=atol, msg=lambda difference: f"{law}: {difference}"
    )


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
