"""The losses under DistributedDataParallel: two processes learn what one would."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from ragged_clouds import pointer, problem
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from pcgen.ops.chamfer_distance import chamfer
from pcgen.ops.transport import earth_mover


class Losses(nn.Module):
    """Of a generator that stretches and moves its points."""

    def __init__(self) -> None:
        super().__init__()
        self.stretch = nn.Parameter(torch.tensor([1.0, 2.0]).double())
        self.shift = nn.Parameter(torch.zeros(2).double())

    def forward(self, x: Tensor, y: Tensor, ptr_x: Tensor, ptr_y: Tensor) -> Tensor:
        moved = self.stretch * x + self.shift
        clouds = (moved, y, ptr_x, ptr_y)
        return (chamfer(*clouds) + earth_mover(*clouds).cost).mean()


def halves() -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    sizes = ([4, 1], [3, 2]), ([5, 2], [2, 6])
    return [tuple(problem(*s, 2, seed=k, dtype=torch.float64)) for k, s in enumerate(sizes)]


def _work(rank: int, meet: str, found: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=2)
    losses = Losses()
    parallel = DistributedDataParallel(losses)
    parallel(*halves()[rank]).backward()
    if rank == 0:
        torch.save([p.grad for p in losses.parameters()], found)
    distributed.barrier()
    # At once: the threads of a process group that is taken down may wait for one another for ever.
    os._exit(0)


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one(tmp_path: Path) -> None:
    found = tmp_path / "gradients.pt"
    multiprocessing.spawn(_work, (str(tmp_path / "meet"), str(found)), nprocs=2)
    whole = Losses()
    one, two = halves()
    x, y = torch.cat((one[0], two[0])), torch.cat((one[1], two[1]))
    whole(x, y, pointer([4, 1, 5, 2]), pointer([3, 2, 2, 6])).backward()
    for got, parameter in zip(torch.load(found), whole.parameters(), strict=True):
        torch.testing.assert_close(got, parameter.grad)
