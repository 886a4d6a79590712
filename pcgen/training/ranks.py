"""What several processes must agree on: gradients, buffers, and whose random numbers are whose.

Each process holds the whole model. After a phase's backward pass its gradients are replaced by
their mean over the processes, in one all-reduce. This is what DistributedDataParallel computes, and
it stays exact where DDP's hooks do not follow: phases that train different modules, losses that
call sub-modules, gradients of gradients (penalties), parameters that one batch does not reach.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only
from torch import Tensor, distributed, nn


def world_size() -> int:
    """Number of processes that train together."""
    running = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if running else 1


def first_process() -> bool:
    """Whether this is the process that writes and talks, before and while several train."""
    return int(rank_zero_only.rank) == 0


def mean_gradients(parameters: Sequence[nn.Parameter], values: Tensor) -> Tensor:
    """Replace the gradients of ``parameters`` by their mean over all processes.

    A parameter that no process reached keeps no gradient; one that some reached counts zero in the
    others.

    Args:
        parameters: The same in each process.
        values: Further numbers to average along [K], the loss terms.

    Returns:
        The mean of ``values`` over the processes [K].
    """
    if world_size() == 1:
        return values
    used = torch.tensor([float(p.grad is not None) for p in parameters], device=values.device)
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([*(g.detach().flatten() for g in gradients), used, values])
    distributed.all_reduce(flat)
    flat /= world_size()
    lengths = [g.numel() for g in gradients]
    *means, used, values = flat.split([*lengths, len(parameters), len(values)])
    for parameter, mean, share in zip(parameters, means, used.tolist(), strict=True):
        parameter.grad = mean.view_as(parameter).to(parameter.dtype) if share > 0 else None
    return values


def follow_first(tensors: Sequence[Tensor]) -> None:
    """Copy the values of the first process into all others, one broadcast per dtype."""
    if world_size() == 1:
        return
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        group = [tensor.detach() for tensor in tensors if tensor.dtype == dtype]
        flat = torch.cat([tensor.flatten() for tensor in group])
        distributed.broadcast(flat, 0)
        for tensor, value in zip(group, flat.split([t.numel() for t in group]), strict=True):
            tensor.copy_(value.view_as(tensor))


def gather(value: Any) -> list[Any]:
    """The value of each process, in the order of their ranks."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    distributed.all_gather_object(values, value)
    return values


def seed_all(*seed: int) -> None:
    """Seed Python, NumPy and torch; the numbers (seed, rank, ...) are mixed, not added."""
    state = np.random.SeedSequence(seed).generate_state(3)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))
    torch.manual_seed(int(state[2]))


def random_state(device: torch.device) -> dict[str, Any]:
    """State of every global source of random numbers of this process, tensors and plain values."""
    numbers: Any = np.random.get_state(legacy=False)
    version, words, normal = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "numpy": {
            "key": torch.from_numpy(numbers["state"]["key"].astype(np.int64)),
            "pos": int(numbers["state"]["pos"]),
            "has_gauss": int(numbers["has_gauss"]),
            "gauss": float(numbers["gauss"]),
        },
        "python": {"version": version, "words": torch.tensor(words), "normal": normal},
    }


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Inverse of :func:`random_state`."""
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)
    numbers, python = state["numpy"], state["python"]
    key = numbers["key"].numpy().astype(np.uint32)
    rest = numbers["pos"], numbers["has_gauss"], numbers["gauss"]
    np.random.set_state(("MT19937", key, *rest))
    random.setstate((python["version"], tuple(python["words"].tolist()), python["normal"]))


@contextmanager
def own_randomness(device: torch.device, *seed: int) -> Iterator[None]:
    """Random numbers of its own inside; outside they go on as if nothing had been drawn."""
    state = random_state(device)
    seed_all(*seed)
    try:
        yield
    finally:
        set_random_state(state, device)
