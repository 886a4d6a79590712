"""A WGAN-GP of a few parameters with everything that makes resuming hard; also run as a script.

Five critic steps, a gradient penalty at random points, dropout, batch norm, a phase that is
prepared, noise from torch, NumPy and Python, an encoder that no phase trains.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.models.base import GenerativeModel, Phase
from pcgen.schema import Quantity, Schema
from pcgen.training import Machine, Reports, train

SCHEMA = Schema((Quantity("x", "mm"), Quantity("y", "mm")), Quantity("E", "GeV"))


class ToyGAN(GenerativeModel):
    def __init__(self, width: int = 8, centre: float = 0.0) -> None:
        super().__init__()
        self.schema = SCHEMA
        self.generator = nn.Sequential(
            nn.Linear(4, width), nn.BatchNorm1d(width), nn.SiLU(), nn.Dropout(0.1),
            nn.Linear(width, 2),
        )  # fmt: skip
        self.critic = nn.Sequential(nn.Linear(2, width), nn.SiLU(), nn.Linear(width, 1))
        self.unowned = nn.Linear(3, 3)
        self.register_buffer("centre", torch.full((2,), centre))
        self.seen: list[str] = []

    def phases(self) -> list[Phase]:
        return [
            Phase("critic", (self.critic,), self._critic_loss, repeat=5, prepare=self._prepare),
            Phase("generator", (self.generator,), self._generator_loss),
        ]

    def generate(self, request, generator=None) -> Batch:
        counts = [3] * request.number if request.sizes is None else request.sizes.tolist()
        noise = torch.randn(int(sum(counts)), 4, generator=generator)
        return cl.make(self.generator(noise) + self.centre, counts)

    def _prepare(self, batches: Iterable[Batch]) -> None:
        self.centre.copy_(torch.cat([clouds.pos for clouds in batches]).mean(0))

    def _fake(self, clouds: Batch) -> Tensor:
        noise = torch.randn(len(clouds.pos), 4, device=clouds.pos.device)
        noise = noise * (1 + 0.1 * random.random()) + 0.1 * np.random.standard_normal()
        return self.generator(noise)

    def _critic_loss(self, clouds: Batch) -> dict[str, Tensor]:
        self.seen.append("critic")
        real, fake = clouds.pos - self.centre, self._fake(clouds)
        mix = torch.rand(len(real), 1, device=real.device)
        between = (mix * real + (1 - mix) * fake).detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        penalty = 10 * (slope.norm(dim=1) - 1).square().mean()
        return {"w1": self.critic(fake).mean() - self.critic(real).mean(), "penalty": penalty}

    def _generator_loss(self, clouds: Batch) -> dict[str, Tensor]:
        self.seen.append("generator")
        return {"score": -self.critic(self._fake(clouds)).mean()}


class ToyBatches:
    """Clouds of 0 to 5 points, a pure function of their number; kills the process at one."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.kill_at = kill_at
        self.steps: list[tuple[int, int, int]] = []

    def __call__(self, step: int, rank: int, world: int) -> Batch:
        self.steps.append((step, rank, world))
        if step == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._make(1 + step * world + rank)

    def all(self) -> Iterator[Batch]:
        return (self._make(-number) for number in range(1, 4))

    def _make(self, seed: int) -> Batch:
        generator = torch.Generator().manual_seed(seed % 2**32)
        sizes = torch.randint(0, 6, (8,), generator=generator)
        pos = torch.randn(int(sizes.sum()), 2, generator=generator) * 0.5 + torch.tensor([3.0, 1])
        return cl.make(pos, sizes, weight=torch.ones(len(pos)))


def spread(model: GenerativeModel) -> dict[str, float]:
    """A validation that draws random numbers; they must not move the run's own."""
    return {"score": float(model.sample(number=20).pos.std()), "noise": float(torch.rand(()))}


def run(folder: str, steps: int, *, kill_at: int | None = None, **options) -> ToyGAN:
    """A run with everything on, as the resume tests make it."""
    torch.manual_seed(1)
    reports = Reports(log_every=3, checkpoint_every=5, validate_every=4, progress=False)
    chosen = {"validate": spread, "reports": reports, "machine": Machine("cpu"), **options}
    phases = {"critic": {"betas": (0.0, 0.9), "clip": 1.0}, "generator": {"warmup": 4}}
    model = ToyGAN()
    train(model, ToyBatches(kill_at), folder=folder, steps=steps, phases=phases, **chosen)
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--kill-at", type=int)
    chosen = parser.parse_args()
    machine = Machine("cpu", devices=chosen.devices, strategy=chosen.strategy)
    trained = run(chosen.folder, chosen.steps, kill_at=chosen.kill_at, machine=machine)
    print("generator", trained.generator[0].weight.detach().double().sum().item())
