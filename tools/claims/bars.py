r"""The bars problem of Hinton et al. 1995: binary images of 4 x 4, and their exact divergence.

An image is of vertical bars with probability 2/3, of horizontal ones otherwise, and each of the
four bars is there with probability 0.2. log p(x) of a model is a sum over all its hidden units; the
number is KL(data || model) in bits, of a Helmholtz machine 16 - 8 - 8 of logistic units.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.models.wake_sleep import HelmholtzMachine
from pcgen.recipes.hits import hits_wake_sleep
from pcgen.schema import Quantity, Schema
from pcgen.tools.claims.claim import Claim

SIDE, VERTICAL, ON = 4, 2 / 3, 0.2
UNITS, BATCH, RATE = 8, 64, 5e-2
STEPS = {1: 12000, 5: 5000}
"""By the number of importance samples."""
GRID = "column:0:4:4,row:0:4:4"
SCHEMA = Schema((Quantity("column"), Quantity("row")))


def law() -> tuple[Tensor, Tensor]:
    """All images [I, 16] of the problem, and their probabilities [I]."""
    chances: dict[tuple[float, ...], float] = {}
    for bars in itertools.product((0.0, 1.0), repeat=SIDE):
        each = math.prod(ON if bar else 1 - ON for bar in bars)
        image = torch.tensor(bars).expand(SIDE, SIDE)  # [row, column]: vertical bars
        for turned, share in ((image, VERTICAL), (image.T, 1 - VERTICAL)):
            key = tuple(turned.T.flatten().tolist())  # [column, row], as the grid has it
            chances[key] = chances.get(key, 0.0) + share * each
    return torch.tensor(list(chances)), torch.tensor(list(chances.values()), dtype=torch.double)


def as_clouds(images: Tensor) -> Batch:
    """Images [B, 16] as clouds of hits."""
    index = images.unflatten(1, (SIDE, SIDE)).nonzero()
    return cl.make(index[:, 1:] + 0.5, images.sum(1).long())


def all_codes(units: int) -> Tensor:
    """All states of so many binary units [2^units, units]."""
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * units).reshape(-1, units)


def exact_log_p(model: HelmholtzMachine, images: Tensor, units: int = UNITS) -> Tensor:
    """log p(x) [B] of a machine of two hidden layers without a condition, by enumeration."""
    codes = all_codes(units)
    condition = images.new_zeros(1, 0)

    def of(below: Tensor, level: int, above: Tensor) -> Tensor:
        """log p of each state below [X] given each state above [H]: [X, H]."""
        logit = model._below(level, above, condition.expand(len(above), 0))
        return below @ torch.nn.functional.logsigmoid(logit).T + (1 - below) @ (
            torch.nn.functional.logsigmoid(-logit).T
        )

    top = of(codes, 2, images.new_ones(1, 1))[:, 0]
    middle = (of(codes, 1, codes) + top).logsumexp(1)
    return (of(images, 0, codes) + middle).logsumexp(1)


def divergence(chance: Tensor, log_p: Tensor) -> float:
    """KL in bits, of data of probabilities ``chance`` [I] from a model."""
    return float((chance * (chance.log() - log_p.detach().double())).sum()) / math.log(2)


def independent(seeds: Sequence[int], quick: bool) -> list[float]:
    """The divergence of pixels that are independent, the best of them."""
    images, chance = law()
    mean = (chance @ images.double()).clamp(1e-12, 1 - 1e-12)
    log_p = images.double() @ mean.log() + (1 - images.double()) @ (1 - mean).log()
    return [divergence(chance, log_p) for _ in seeds]


def learnt(codes: int, update: str, seeds: Sequence[int], quick: bool) -> list[float]:
    """The divergence after training."""
    return [divergence(law()[1], exact_log_p(_trained(codes, update, s, quick), law()[0]))
            for s in seeds]  # fmt: skip


@functools.cache
def _trained(codes: int, update: str, seed: int, quick: bool) -> HelmholtzMachine:
    torch.manual_seed(seed)
    model = hits_wake_sleep(GRID, UNITS, 2, codes, update, SCHEMA.to_dict())  # type: ignore[arg-type]
    images, chance = law()
    clouds = as_clouds(images[chance.multinomial(2000, replacement=True)])
    for phase in model.phases():
        if phase.prepare is not None:
            phase.prepare([clouds])
    sides = ((model.generative, model.wake_terms), (model.recognition, model.sleep_terms))
    optimisers = [torch.optim.Adam(side.parameters(), RATE) for side, _ in sides]
    steps = 20 if quick else STEPS[codes]
    for step in range(steps):
        for (_, loss), optimiser in zip(sides, optimisers, strict=True):
            optimiser.param_groups[0]["lr"] = RATE * (1 - step / steps)
            patterns = images[chance.multinomial(BATCH, replacement=True)]
            optimiser.zero_grad()
            terms = loss(patterns, patterns.new_zeros(BATCH, 0))
            torch.stack(list(terms.values())).sum().backward()
            optimiser.step()
    return model


def gain(seeds: Sequence[int], quick: bool) -> list[float]:
    """Divergence of wake-sleep over that of its reweighted successor."""
    plain, better = (learnt(*of, seeds, quick) for of in ((1, "sleep"), (5, "both")))
    return [first / second for first, second in zip(plain, better, strict=True)]


_HINTON, _BORNSCHEIN = "Hinton et al., Science 268 (1995)", "1406.2751"
CLAIMS = (
    Claim("bars", "the best independent pixels: KL(data || model) in bits", "ours", "none",
          independent, 1.0, above=True),
    Claim("bars", "wake-sleep: exact KL(data || model) in bits", _HINTON, "0.10",
          functools.partial(learnt, 1, "sleep"), 0.3),
    Claim("bars", "reweighted wake-sleep, K = 5: exact KL(data || model) in bits", _BORNSCHEIN,
          "none", functools.partial(learnt, 5, "both"), 0.3),
    Claim("bars", "divergence of wake-sleep over that of reweighted wake-sleep, K = 5",
          _BORNSCHEIN, "> 1", gain, 1.0, above=True),
)  # fmt: skip
