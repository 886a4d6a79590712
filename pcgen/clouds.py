r"""Clouds: ragged batches of weighted point sets, stored as PyTorch Geometric's own ``Batch``.

One cloud is a ``torch_geometric.data.Data``; B clouds of n_1, ..., n_B points are N = Σ n_b rows
and a pointer. pcgen adds a convention, not a class:

========= =================== ==================================================================
attribute shape               meaning
========= =================== ==================================================================
pos       [N, D] float        coordinates
weight    [N] float ≥ 0       what the point carries (energy, pT fraction); absent: 1/n each
x         [N, F] float        further point features
y         [B, C] float        continuous condition of the cloud (pT, incident energy, angle)
label     [B] int64           class of the cloud
layer     [N] int64           detector layer or channel of the point
cell      [N, D] int64        cell indices of a point that sits on a grid
batch     [N] int64           cloud of the point (PyG's own)
ptr       [B+1] int64         first row of each cloud, and N (PyG's own)
========= =================== ==================================================================

Empty clouds and clouds of one point are legal everywhere. The number of clouds is ``len(ptr) - 1``.

A cloud may have a *context*, another cloud that it is generated from (particles before the
detector, hits that were observed). It is in the same batch, by the names that PyG's loaders give
with ``follow_batch=["context_pos"]``: ``context_pos`` [M, D'], ``context_weight`` [M] and so on
for each attribute above, ``context_pos_batch`` [M] and ``context_pos_ptr`` [B+1]. :func:`context`
gives it as a batch; whatever selects clouds here selects their contexts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from pcgen.errors import ArgumentError, DataError
from pcgen.ops.padding import Padding
from pcgen.ops.ragged import Pointer, lengths, owners, take
from pcgen.ops.segments import segment_sum

POINT_ATTRIBUTES = ("pos", "weight", "x", "layer", "cell")
CLOUD_ATTRIBUTES = ("y", "label")
_INTEGER = ("label", "layer", "cell")
_CONTEXT = "context_"
_EMPTY = Batch(_base_cls=Data)  # PyG makes the class of a batch anew each time, which takes 0.1 ms


def make(
    pos: Tensor,
    sizes: Tensor | Sequence[int],
    *,
    weight: Tensor | None = None,
    x: Tensor | None = None,
    y: Tensor | None = None,
    label: Tensor | None = None,
    layer: Tensor | None = None,
    cell: Tensor | None = None,
    context: Batch | None = None,
) -> Batch:
    """The one constructor of a batch of clouds from flat tensors.

    It fills what PyG needs, so that ``batch[i]``, ``to_data_list()`` and ``Batch.from_data_list``
    round-trip exactly, trailing empty clouds included.

    Args:
        pos: Coordinates of all points, cloud after cloud [N, D].
        sizes: Number of points of each cloud [B]; they sum to N.
        weight: [N], ≥ 0.
        x: [N, F].
        y: [B, C].
        label: [B], integer.
        layer: [N], integer.
        cell: [N, D], integer.
        context: B clouds, those that these are generated from.

    Raises:
        ArgumentError: a shape or dtype does not fit, or there are other than B contexts.

    >>> clouds = make(torch.zeros(3, 2), [1, 0, 2, 0])
    >>> clouds.num_graphs, clouds.ptr.tolist(), clouds[2].num_nodes
    (4, [0, 1, 1, 3, 3], 2)
    """
    if pos.dim() != 2 or not pos.is_floating_point():
        raise ArgumentError(
            f"pos: got {pos.dtype} {tuple(pos.shape)}, expected a float tensor [N, D]"
        )
    sizes = torch.as_tensor(sizes, dtype=torch.long, device=pos.device)
    if sizes.dim() != 1 or bool((sizes < 0).any()) or int(sizes.sum()) != len(pos):
        raise ArgumentError(
            f"sizes: got shape {tuple(sizes.shape)} and sum {int(sizes.sum())}, "
            f"expected [B] non-negative numbers that sum to the {len(pos)} rows of pos"
        )
    values = {"pos": pos, "weight": weight, "x": x, "y": y, "label": label}
    values |= {"layer": layer, "cell": cell}
    given = {name: value for name, value in values.items() if value is not None}
    _check(given, len(pos), len(sizes))
    return _with(_assemble(given, sizes), context)


def like(clouds: Batch, pos: Tensor, *, context: Batch | None = None, **values: Any) -> Batch:
    """Clouds with as many points as others, and with no attributes but those that are given.

    Args:
        clouds: Those others, ragged or :func:`padded`.
        pos: Coordinates of all points [N, D].
        context: That of the new clouds.
        values: Further attributes as for :func:`make`; None is none.

    Raises:
        ArgumentError: a shape or dtype does not fit.
    """
    given = {"pos": pos, **{name: value for name, value in values.items() if value is not None}}
    _check(given, clouds.batch.shape[0], clouds.num_graphs)
    return _with(_of_pointer(given, clouds.ptr, clouds.batch, clouds.num_graphs), context)


def padded(pos: Tensor, sizes: Tensor) -> Batch:
    """Clouds as networks take them, whose rows are padded to one length; for exported graphs.

    Their ``ptr`` is a :class:`~pcgen.ops.padding.Padding`, so that no length depends on a value.
    Single clouds cannot be taken out of such a batch, and absent rows hold anything.

    Args:
        pos: Coordinates [B, n, D].
        sizes: Number of points of each cloud [B]: the first of its n rows.

    >>> clouds = padded(torch.zeros(2, 3, 1), torch.tensor([3, 1]))
    >>> clouds.batch.tolist(), sizes(clouds).tolist()
    ([0, 0, 0, 1, 1, 1], [3, 1])
    """
    place = pos.new_ones(pos.shape[1], dtype=torch.long).cumsum(0) - 1
    padding = Padding(place < sizes[:, None])
    return _of_pointer({"pos": pos.flatten(0, 1)}, padding, padding.owner, pos.shape[0])


def _check(values: dict[str, Tensor], points: int, number: int) -> None:
    for name, value in values.items():
        rows = points if name in POINT_ATTRIBUTES else number
        rank = 2 if name in ("pos", "x", "y", "cell") else 1
        integer = not value.is_floating_point() and not value.is_complex()
        if value.dim() != rank or value.shape[0] != rows or integer != (name in _INTEGER):
            kind = "integer" if name in _INTEGER else "float"
            raise ArgumentError(
                f"{name}: got {value.dtype} {tuple(value.shape)}, "
                f"expected a {kind} tensor of rank {rank} with {rows} rows"
            )
        if name == "cell" and value.shape[1] != values["pos"].shape[1]:
            raise ArgumentError(
                f"cell: got {value.shape[1]} columns, expected the {values['pos'].shape[1]} of pos"
            )


def _assemble(values: dict[str, Tensor], sizes: Tensor) -> Batch:
    ptr = torch.zeros(len(sizes) + 1, dtype=torch.long, device=sizes.device)
    torch.cumsum(sizes, 0, out=ptr[1:])
    return _of_pointer(values, ptr, owners(ptr, int(ptr[-1])), len(sizes))


def _of_pointer(values: dict[str, Tensor], ptr: Pointer, batch: Tensor, number: int) -> Batch:
    clouds = copy.copy(_EMPTY)
    store = clouds.stores[0]  # PyG looks for properties of the class where the batch itself is set
    for name, value in values.items():
        store[name] = value.long() if name in _INTEGER else value
    store["batch"], store["ptr"], clouds._num_graphs = batch, ptr, number
    if isinstance(ptr, Padding):
        return clouds
    # What Batch.from_data_list would have recorded; separate() reads it.
    host_ptr, each = ptr.cpu(), torch.arange(number + 1)
    clouds._slice_dict = {n: host_ptr if n in POINT_ATTRIBUTES else each for n in values}
    clouds._inc_dict = dict.fromkeys(values, torch.zeros(number, dtype=torch.long))
    return clouds


def attributes(clouds: Batch, prefix: str = "") -> dict[str, Tensor]:
    """The attributes of the convention that are present, without PyG's ``batch`` and ``ptr``.

    Args:
        clouds: Clouds.
        prefix: ``"context_"`` for those of the contexts.
    """
    store = clouds.stores[0]
    names = (*POINT_ATTRIBUTES, *CLOUD_ATTRIBUTES)
    return {name: store[prefix + name] for name in names if store.get(prefix + name) is not None}


def context(clouds: Batch) -> Batch | None:
    """The contexts of the clouds as a batch of B clouds; None where they have none.

    >>> clouds = make(torch.zeros(1, 2), [1, 0], context=make(torch.ones(3, 1), [0, 3]))
    >>> sizes(context(clouds)).tolist(), clouds[1].context_pos.tolist()
    ([0, 3], [[1.0], [1.0], [1.0]])
    """
    values = attributes(clouds, _CONTEXT)
    if "pos" not in values:
        return None
    store, pos, number = clouds.stores[0], values["pos"], clouds.num_graphs
    ptr = store.get(f"{_CONTEXT}pos_ptr")
    if ptr is None:  # of Batch.from_data_list without follow_batch, which records it all the same
        ptr = clouds._slice_dict[f"{_CONTEXT}pos"].to(pos.device)
    batch = store.get(f"{_CONTEXT}pos_batch")
    return _of_pointer(values, ptr, owners(ptr, len(pos)) if batch is None else batch, number)


def _with(clouds: Batch, others: Batch | None) -> Batch:
    """The clouds, which are new, with the contexts written into them.

    Raises:
        ArgumentError: there are other than B contexts.
    """
    if others is None:
        return clouds
    if others.num_graphs != clouds.num_graphs:
        raise ArgumentError(
            f"context: got {others.num_graphs} clouds, expected one for each of the "
            f"{clouds.num_graphs}"
        )
    store = clouds.stores[0]
    for name, value in attributes(others).items():
        store[_CONTEXT + name] = value
        clouds._slice_dict[_CONTEXT + name] = others._slice_dict[name]
        clouds._inc_dict[_CONTEXT + name] = others._inc_dict[name]
    store[f"{_CONTEXT}pos_batch"], store[f"{_CONTEXT}pos_ptr"] = others.batch, others.ptr
    return clouds


def _carry(new: Batch, old: Batch, change: Callable[[Batch], Batch] = lambda each: each) -> Batch:
    """New clouds with the contexts of old ones, changed in the same way."""
    others = context(old)
    return new if others is None else _with(new, change(others))


def sizes(clouds: Batch) -> Tensor:
    """Number of points of each cloud [B]."""
    return lengths(clouds.ptr)


def replace(clouds: Batch, **values: Tensor | Batch | None) -> Batch:
    """A new batch of the same sizes with some attributes replaced (None removes one).

    Attributes that are not named are shared, not copied; nothing is modified in place. ``context``
    is one of them.
    """
    merged: dict[str, Any] = {**attributes(clouds), "context": context(clouds), **values}
    return like(clouds, merged.pop("pos"), **merged)


def weights(clouds: Batch) -> Tensor:
    """Weight of each point [N]: ``weight`` where there is one, otherwise 1/n."""
    if clouds.get("weight") is not None:
        return clouds.weight
    dtype = clouds.pos.dtype
    exact = sizes(clouds).to(torch.promote_types(dtype, torch.float32))  # 65520 is inf in float16
    return (1.0 / exact).to(dtype)[clouds.batch]


def total(clouds: Batch) -> Tensor:
    """Sum of the weights of each cloud [B]; 0 for an empty one."""
    return segment_sum(weights(clouds), clouds.ptr)


def select(clouds: Batch, index: Tensor | Sequence[int] | slice) -> Batch:
    """The clouds at ``index`` (integers, in any order, repeats allowed; a boolean mask; a slice).

    Vectorised: no loop over clouds. A slice of consecutive clouds copies nothing (:func:`part`).

    >>> clouds = make(torch.arange(6.0).view(3, 2), [1, 0, 2])
    >>> select(clouds, [2, 0]).pos.tolist()
    [[2.0, 3.0], [4.0, 5.0], [0.0, 1.0]]
    """
    device, number = clouds.ptr.device, clouds.num_graphs
    if isinstance(index, slice):
        first, last, step = index.indices(number)
        if step == 1:
            return part(clouds, slice(first, max(first, last)))
        index = torch.arange(first, last, step, device=device)
    index = torch.as_tensor(index, device=device)
    index = index.nonzero().flatten() if index.dtype == torch.bool else index.long()
    if index.numel():
        low, high = (int(bound) for bound in index.aminmax())
        if low < -number or high >= number:
            raise ArgumentError(
                f"index: got values from {low} to {high}, expected -{number} to {number - 1}"
            )
        index = index if low >= 0 else index % number
    values = attributes(clouds)
    of_points = [name for name in values if name in POINT_ATTRIBUTES]
    rows, ptr, owner = take([values[name] for name in of_points], clouds.ptr, index)
    taken = dict(zip(of_points, rows, strict=True))
    chosen = {n: taken[n] if n in taken else v.index_select(0, index) for n, v in values.items()}
    chosen_clouds = _of_pointer(chosen, ptr, owner, len(index))
    return _carry(chosen_clouds, clouds, lambda each: select(each, index))


def part(clouds: Batch, rows: slice) -> Batch:
    """Consecutive clouds, from ``rows.start`` up to ``rows.stop``, whose tensors are views.

    >>> clouds = make(torch.arange(6.0).view(3, 2), [1, 0, 2])
    >>> part(clouds, slice(1, 3)).ptr.tolist()
    [0, 0, 2]
    """
    first, last = int(clouds.ptr[rows.start]), int(clouds.ptr[rows.stop])
    values = attributes(clouds)
    chosen = {n: v[first:last] if n in POINT_ATTRIBUTES else v[rows] for n, v in values.items()}
    ptr = clouds.ptr[rows.start : rows.stop + 1] - first
    some = _of_pointer(chosen, ptr, clouds.batch[first:last] - rows.start, len(ptr) - 1)
    return _carry(some, clouds, lambda each: part(each, rows))


def select_points(clouds: Batch, keep: Tensor) -> Batch:
    """The points where ``keep`` [N] is true, in their clouds; a cloud may become empty."""
    if keep.dtype != torch.bool or keep.shape != clouds.batch.shape:
        raise ArgumentError(
            f"keep: got {keep.dtype} {tuple(keep.shape)}, expected bool {tuple(clouds.batch.shape)}"
        )
    left = torch.zeros_like(sizes(clouds)).index_add(0, clouds.batch, keep.long())
    values = attributes(clouds)
    kept = {n: v[keep] if n in POINT_ATTRIBUTES else v for n, v in values.items()}
    return _carry(_assemble(kept, left), clouds)


def heaviest(clouds: Batch, number: int) -> Batch:
    """The ``number`` points of largest weight of each cloud, in their order; ties: the first.

    Raises:
        ArgumentError: the clouds have no weights.

    >>> clouds = make(torch.zeros(3, 1), [3], weight=torch.tensor([1.0, 3.0, 2.0]))
    >>> heaviest(clouds, 2).weight.tolist()
    [3.0, 2.0]
    """
    if clouds.get("weight") is None:
        raise ArgumentError("max_points: got clouds without weights, expected weights to rank by")
    return select_points(clouds, ranks(clouds, clouds.weight) < number)


def at_most(clouds: Batch, number: int) -> Batch:
    """At most ``number`` points of each cloud: the heaviest; without weights evenly spaced rows.

    Points on a surface, which carry no weight, may be stored in any order: rows that are evenly
    spaced come from all of it.

    >>> at_most(make(torch.arange(5.0)[:, None], [5]), 2).pos.flatten().tolist()
    [2.0, 4.0]
    """
    if clouds.get("weight") is not None:
        return heaviest(clouds, number)
    size = sizes(clouds)[clouds.batch]
    place = torch.arange(len(size), device=size.device) - clouds.ptr[:-1][clouds.batch]
    # The places at which the share of a growing row exceeds the next whole number of points.
    kept = (place + 1) * number // size > place * number // size
    return select_points(clouds, kept | (size <= number))


def ranks(clouds: Batch, value: Tensor) -> Tensor:
    """Rank of each point in its cloud [N], 0 for the largest ``value`` [N]; ties: the first.

    >>> ranks(make(torch.zeros(3, 1), [1, 2]), torch.tensor([1.0, 2.0, 3.0])).tolist()
    [0, 1, 0]
    """
    order = value.argsort(descending=True, stable=True)
    order = order[clouds.batch[order].argsort(stable=True)]
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device) - clouds.ptr[:-1][clouds.batch]
    return rank


def heaviest_first(clouds: Batch) -> Batch:
    """The points of each cloud in the order of falling weight; ties keep their order.

    >>> clouds = make(torch.zeros(3, 1), [1, 2], weight=torch.tensor([1.0, 2.0, 3.0]))
    >>> heaviest_first(clouds).weight.tolist()
    [1.0, 3.0, 2.0]
    """
    row = torch.empty_like(clouds.batch)
    place = ranks(clouds, weights(clouds)) + clouds.ptr[:-1][clouds.batch]
    row[place] = torch.arange(len(row), device=row.device)
    values = attributes(clouds)
    ordered = {n: v[row] if n in POINT_ATTRIBUTES else v for n, v in values.items()}
    return _carry(_assemble(ordered, sizes(clouds)), clouds)


def cast(clouds: Batch, dtype: torch.dtype) -> Batch:
    """The same clouds with all floats in one type; the same object where they are already.

    Raises:
        DataError: a finite value is too large for the type.

    >>> cast(make(torch.zeros(1, 2, dtype=torch.float64), [1]), torch.float32).pos.dtype
    torch.float32
    """
    values = {n: v for n, v in attributes(clouds).items() if v.is_floating_point()}
    others = context(clouds)
    others = None if others is None else cast(others, dtype)
    if all(value.dtype == dtype for value in values.values()):
        return clouds if others is None else replace(clouds, context=others)
    changed = {name: value.to(dtype) for name, value in values.items()}
    for name, value in changed.items():
        lost = value.isinf() & values[name].isfinite()
        if lost.any():
            raise DataError(
                f"{name}: got {values[name][lost][0].item()}, expected numbers that {dtype} holds"
            )
    return replace(clouds, **changed, context=others)


def concat(batches: Iterable[Batch]) -> Batch:
    """Clouds of several batches, one after the other; all must have the same attributes.

    Raises:
        ArgumentError: no batch is given, or their attributes differ.
    """
    parts = list(batches)
    if not parts:
        raise ArgumentError("batches: got none, expected at least one")
    names = [set(attributes(part)) for part in parts]
    if any(other != names[0] for other in names):
        raise ArgumentError(f"batches: got attributes {names}, expected the same in all")
    values = {n: torch.cat([part[n] for part in parts]) for n in attributes(parts[0])}
    joined = _assemble(values, torch.cat([sizes(part) for part in parts]))
    others = [each for each in map(context, parts) if each is not None]
    if others and len(others) < len(parts):
        raise ArgumentError(
            f"batches: got contexts in {len(others)} of {len(parts)}, expected them in all or none"
        )
    return _with(joined, concat(others)) if others else joined


def check(clouds: Batch, schema_axes: int | None = None) -> Batch:
    """Refuse clouds that hold NaN, infinite values or negative weights; return them otherwise.

    Raises:
        DataError: naming the attribute and the index of the first bad cloud.
    """
    for name, value in attributes(clouds).items():
        if not value.is_floating_point():
            continue
        bad = ~torch.isfinite(value)
        kind = "a value that is not finite"
        if name == "weight" and not bad.any():
            bad, kind = value < 0, "a negative value"
        if bad.any():
            row = int(bad.reshape(len(value), -1).any(1).nonzero()[0])
            event = int(clouds.batch[row]) if name in POINT_ATTRIBUTES else row
            raise DataError(f"{name} of event {event}: got {kind} ({value[row].tolist()})")
    if schema_axes is not None and clouds.pos.shape[1] != schema_axes:
        raise DataError(f"pos: got {clouds.pos.shape[1]} columns, expected {schema_axes}")
    return clouds
