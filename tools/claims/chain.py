r"""Chains with a known stationary law: ten states of a circle, and the normal distribution.

On ten states the data have a law of their own for each seed; the corruption stays with probability
0.4, goes to a neighbour with 0.2 on each side, and anywhere with 0.2. The stationary law of a
kernel is its eigenvector, so no chain has to be run.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pcgen.models.chain import Kernel, markov_chain
from pcgen.ops.mixing import autocorrelation_time
from pcgen.tools.claims.claim import Claim

STATES, SAMPLES, STEPS, NOISES = 10, 100_000, 1500, (0.5, 1.0, 2.0)


def law(seed: int) -> Tensor:
    """p(X) [10]."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(STATES, generator=draw, dtype=torch.double).softmax(0)


def corruption() -> Tensor:
    """C(X~ | X) [10, 10], a row for each X."""
    eye = torch.eye(STATES, dtype=torch.double)
    return 0.4 * eye + 0.2 * (eye.roll(1, 1) + eye.roll(-1, 1)) + 0.2 / STATES


def stationary(kernel: Tensor) -> Tensor:
    """The law that a kernel [X, X'] leaves as it is."""
    return torch.matrix_power(kernel, 4096)[0]


def variation(first: Tensor, second: Tensor) -> float:
    """Total variation of two laws."""
    return float((first - second).abs().sum()) / 2


def posterior(chance: Tensor, lossy: Tensor) -> Tensor:
    """P(X | Z) [Z, X] by Bayes' rule, of p(X) and C(Z | X) [X, Z]."""
    joint = chance[:, None] * lossy
    return (joint / joint.sum(0)).T


def exact(seeds: Sequence[int], quick: bool) -> list[float]:
    """Variation of the chain of the exact denoiser from the data."""
    found = []
    for seed in seeds:
        chance, lossy = law(seed), corruption()
        found.append(variation(stationary(lossy @ posterior(chance, lossy)), chance))
    return found


def autoencoder(seeds: Sequence[int], quick: bool) -> list[float]:
    """The same of an encoder q(z | x) of three codes and the exact decoder q(x | z)."""
    found = []
    for seed in seeds:
        draw = torch.Generator().manual_seed(seed + 1)
        lossy = torch.randn(STATES, 3, generator=draw, dtype=torch.double).softmax(1)
        kernel = lossy @ posterior(law(seed), lossy)
        found.append(variation(stationary(kernel), law(seed)))
    return found


def learnt(seeds: Sequence[int], quick: bool) -> list[float]:
    """Variation from the data of the chain of a network that learns from samples.

    The network has a bottleneck of two numbers.
    """
    found = []
    for seed in seeds:
        torch.manual_seed(seed)
        lossy = corruption()
        data = law(seed).multinomial(SAMPLES, replacement=True)
        net = torch.nn.Sequential(
            torch.nn.Linear(STATES, 2), torch.nn.Tanh(), torch.nn.Linear(2, 32), torch.nn.Tanh(),
            torch.nn.Linear(32, STATES),
        ).double()  # fmt: skip
        optimiser = torch.optim.Adam(net.parameters(), 1e-2)
        one_hot = torch.eye(STATES, dtype=torch.double)
        for step in range(10 if quick else STEPS):
            optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / STEPS)
            clean = data[torch.randint(SAMPLES, (1024,))]
            seen = lossy[clean].multinomial(1)[:, 0]
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(one_hot[seen]), clean).backward()
            optimiser.step()
        with torch.no_grad():
            kernel = lossy @ net(one_hot).softmax(1)
        found.append(variation(stationary(kernel), law(seed)))
    return found


def mixing(seeds: Sequence[int], quick: bool) -> list[float]:
    """Largest relative deviation of τ from 1 + 2 / σ², over three strengths of the noise.

    Data are normal, X~ = X + σ e, and the exact denoiser draws X' from its normal posterior: the
    chain is autoregressive with coefficient 1 / (1 + σ²).
    """
    found = []
    for seed in seeds:
        draw, worst = torch.Generator().manual_seed(seed), 0.0
        for noise in NOISES:
            states = markov_chain(_denoised(noise), torch.zeros(64), 200 if quick else 4000, draw)
            time = autocorrelation_time(torch.stack(list(states)))
            worst = max(worst, abs(time / (1 + 2 / noise**2) - 1))
        found.append(worst)
    return found


def _denoised(noise: float) -> Kernel[Tensor]:
    gain = 1 / (1 + noise**2)

    def kernel(x: Tensor, draw: torch.Generator | None) -> Tensor:
        seen = x + noise * torch.randn(x.shape, generator=draw)
        return gain * seen + (1 - gain) ** 0.5 * torch.randn(x.shape, generator=draw)

    return kernel


_GSN, _ZHAO = "1306.1091, Theorem 1", "1702.08658"
CLAIMS = (
    Claim("chain", "exact denoiser on ten states: variation of the stationary law from the data",
          _GSN, "0", exact, 1e-10),
    Claim("chain", "encoder of three codes and exact decoder: the same", _ZHAO, "0", autoencoder,
          1e-10),
    Claim("chain", "denoiser that is learnt from samples: the same", _GSN, "0 in the limit", learnt,
          0.03),
    Claim("chain", "autocorrelation time of a chain of normal denoisers: relative deviation from "
          "1 + 2 / σ²", "closed form", "0", mixing, 0.1),
)  # fmt: skip
