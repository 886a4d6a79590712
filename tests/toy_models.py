"""Models of a few parameters whose training can be followed by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.models.base import GenerativeModel, Phase
from pcgen.schema import Quantity, Schema

SCHEMA = Schema((Quantity("x", "mm"),))


class Numbers:
    """Batches of one-point clouds N(2, 0.5²), a pure function of their number."""

    def __init__(self, clouds: int = 64) -> None:
        self.clouds = clouds

    def __call__(self, step: int, rank: int, world: int) -> Batch:
        generator = torch.Generator().manual_seed(step * world + rank)
        return cl.make(
            2 + 0.5 * torch.randn(self.clouds, 1, generator=generator), [1] * self.clouds
        )

    def all(self) -> Iterator[Batch]:
        return (self(step, 0, 1) for step in range(3))


class Toy(GenerativeModel):
    """A normal distribution; ``phases`` may be anything that a test wants of it.

    ``history`` keeps the parameter ``mean`` at each evaluation of a loss.
    """

    def __init__(self, phases: Callable[[Toy], list[Phase]] | None = None) -> None:
        super().__init__()
        self.schema = SCHEMA
        self.mean, self.spread = Number(0.0), Number(0.0)
        self.register_buffer("found", torch.zeros(1))
        self.history: list[float] = []
        self.modes: list[tuple[bool, bool]] = []
        self._phases = phases or (lambda toy: [Phase("fit", (toy.mean, toy.spread), toy.loss)])

    def phases(self) -> list[Phase]:
        return self._phases(self)

    def loss(self, clouds: Batch) -> dict[str, Tensor]:
        """Negative log-likelihood, in two terms."""
        self.history.append(float(self.mean.value.detach()))
        self.modes.append((self.mean.training, self.spread.training))
        pull = (clouds.pos - self.mean()) * (-self.spread()).exp()
        return {"pull": 0.5 * pull.square().mean(), "volume": self.spread().sum()}

    def find(self, batches: Iterable[Batch]) -> None:
        """A ``prepare``: notes the mean parameter, plus 100 for each batch it saw."""
        self.found.fill_(float(self.mean.value) + 100 * len(list(batches)))

    def generate(self, request, generator=None) -> Batch:
        noise = torch.randn(request.number, 1, generator=generator)
        return cl.make(self.mean() + self.spread().exp() * noise, [1] * request.number)


class Number(nn.Module):
    """One parameter."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([value]))

    def forward(self) -> Tensor:
        return self.value
