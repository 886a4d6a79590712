"""The scores of JetNet: W1M, W1P and W1EFP, and the Fréchet ParticleNet distance (FPND).

**W1M, W1P, W1EFP.** From each side ``events`` jets are drawn with replacement, W1 is taken of the
jet masses (W1M), of the η, φ and p_T of all their particles (W1P), or of the five energy-flow
polynomials of four vertices and four edges (W1EFP), and this is repeated. The result is the mean
over the repetitions; the error is their standard deviation, divided by the number and not by one
less. Kansal et al., "Particle cloud generation with message passing generative adversarial
networks", NeurIPS 2021, arXiv 2106.11535, who draw 10,000 jets; jetnet 0.2.5 draws 50,000. The
draws are those of jetnet for a generator seeded alike (jetnet's own is not). The papers report the
mean of the three numbers of W1P and of the five of W1EFP. None is 0 for two sets of one
distribution: a score means something beside that of two real sets of the same size.

**FPND.** The Fréchet distance between the activations of a trained ParticleNet on generated jets
and their stored mean and covariance on real ones, of the same paper. It is defined for the gluon,
light-quark and top jets of JetNet, with 30 particles. pcgen ships neither weights nor statistics
and fetches none. The wheel of jetnet 0.2.5 holds them in
``jetnet/evaluation/fpnd_resources/jetnet/30_particles``: ``pnet_state_dict.pt``, and ``g_mu.txt``
and ``g_sigma.txt`` for gluon jets (q and t for the others).

Coordinates are relative to the jet and weights are p_T / p_T of the jet.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.metrics.comparison import FeatureDistance, Measure
from pcgen.metrics.jets.energyflow import energy_flow_polynomials, w1efp_graphs
from pcgen.metrics.jets.kinematics import mass
from pcgen.metrics.samples import Estimate
from pcgen.metrics.scores.frechet import Gaussian, frechet, gaussian
from pcgen.metrics.scores.wasserstein import Column, Marginals
from pcgen.nn.particlenet import ParticleNet
from pcgen.ops.points import Period, wrap
from pcgen.schema import Schema

PARTICLES = 30
JETS = 50_000
# Largest |η|, |φ| and p_T of JetNet, by which ParticleNet's inputs were divided.
SCALE = (1.6211985349655151, 0.520724892616272, 0.8934717178344727)
SHIFT = (0.0, 0.0, -0.5)


class _Rows(NamedTuple):
    """Numbers that jets are compared by.

    Attributes:
        values: [M, K].
        owner: Jet that each row belongs to [M].
    """

    values: Tensor
    owner: Tensor


def _masses(jets: Batch) -> _Rows:
    """The mass of each jet."""
    return _of_events(mass(jets)[:, None])


def _particles(jets: Batch, periods: Period = (None, None)) -> _Rows:
    """η, φ and p_T of each particle, η and φ to within half their period."""
    rows = torch.cat([jets.pos[:, :2], pc.weights(jets)[:, None]], 1).double()
    columns = zip(rows.unbind(1), (*periods[:2], None), strict=True)
    return _Rows(torch.stack([wrap(x, period or 0.0) for x, period in columns], 1), jets.batch)


def _polynomials(jets: Batch) -> _Rows:
    """The five polynomials of :func:`~pcgen.metrics.jets.energyflow.w1efp_graphs` of each jet."""
    return _of_events(energy_flow_polynomials(jets, w1efp_graphs()))


def _of_events(values: Tensor) -> _Rows:
    return _Rows(values, torch.arange(len(values), device=values.device))


def w1m(
    real: Batch, generated: Batch, *, events: int = 50_000, batches: int = 5, seed: int = 0
) -> Estimate:
    """W1 of the masses of jets.

    Args:
        real: Jets with axes (η, φ) and weights p_T.
        generated: Jets alike.
        events: Jets drawn from each side.
        batches: Repetitions.
        seed: Seed of the draws.

    Raises:
        ArgumentError: a side has no jets, or nothing is to be drawn.
        DataError: a value is not finite, naming the jet.
    """
    sides = (real, generated)
    return _resampled([_masses(_checked(side)) for side in sides], sides, events, batches, seed)[0]


def w1efp(
    real: Batch, generated: Batch, *, events: int = 50_000, batches: int = 5, seed: int = 0
) -> tuple[Estimate, ...]:
    """W1 of each of the five polynomials of :func:`~pcgen.metrics.jets.energyflow.w1efp_graphs`.

    The arguments are those of :func:`w1m`.
    """
    sides = (real, generated)
    return _resampled(
        [_polynomials(_checked(side)) for side in sides], sides, events, batches, seed
    )


def w1p(
    real: Batch, generated: Batch, *, events: int = 50_000, batches: int = 5, seed: int = 0
) -> tuple[Estimate, Estimate, Estimate]:
    """W1 of η, φ and p_T of the particles of all jets, those of no weight at (0, 0) left out.

    The arguments are those of :func:`w1m`. NaN where a side has no particles.
    """
    sides = (real, generated)
    rows = []
    for values, owner in (_particles(_checked(side)) for side in sides):
        present = (values != 0).any(1)
        rows.append(_Rows(values[present], owner[present]))
    eta, phi, pt = _resampled(rows, sides, events, batches, seed)
    return eta, phi, pt


def _checked(jets: Batch) -> Batch:
    if jets.pos.shape[1] < 2:
        raise ArgumentError(f"jets: got {jets.pos.shape[1]} axes, expected η and φ at least")
    return pc.check(jets)


def _resampled(
    rows: Sequence[_Rows], sides: Sequence[Batch], events: int, batches: int, seed: int
) -> tuple[Estimate, ...]:
    """W1 of each column of the rows of two sides, over batches of jets."""
    sizes = [side.num_graphs for side in sides]
    if min(sizes) < 1 or events < 1 or batches < 1:
        raise ArgumentError(
            f"jets, events, batches: got {tuple(sizes)}, {events}, {batches}, expected at least 1 "
            "of each"
        )
    values = torch.cat([side.values for side in rows])
    owner = torch.cat([rows[0].owner, rows[1].owner + sizes[0]])
    columns = [Column(Measure(str(k)), value, owner) for k, value in enumerate(values.T)]
    rng = np.random.default_rng(seed)
    drawn = [
        [torch.from_numpy(rng.integers(n, size=events)) for n in sizes] for _ in range(batches)
    ]
    a, b = (torch.stack(side) for side in zip(*drawn, strict=True))
    found = Marginals(columns, sum(sizes)).compare(a, b + sizes[0])
    means, errors = found.mean(1).tolist(), found.std(1, correction=0).tolist()
    return tuple(Estimate(mean, error) for mean, error in zip(means, errors, strict=True))


def compare_masses(clouds: Batch, schema: Schema) -> Marginals:
    """W1M of samples of a pool of relative jets."""
    return _marginals("W1M", _masses(clouds), clouds.num_graphs)


def compare_particles(clouds: Batch, schema: Schema) -> Marginals:
    """W1P of samples of a pool of relative jets: the mean of the three numbers."""
    return _marginals("W1P", _particles(clouds, schema.periods), clouds.num_graphs)


def compare_polynomials(clouds: Batch, schema: Schema) -> Marginals:
    """W1EFP of samples of a pool of relative jets: the mean of the five numbers."""
    return _marginals("W1EFP", _polynomials(clouds), clouds.num_graphs)


def _marginals(name: str, rows: _Rows, events: int) -> Marginals:
    """W1 of the columns of the rows, averaged."""
    return Marginals([Column(Measure(name), value, rows.owner) for value in rows.values.T], events)


def load_particlenet(path: str | Path) -> ParticleNet:
    """ParticleNet with the weights of a file of jetnet, ready to judge.

    Raises:
        FileError: the file is missing, or does not hold exactly these weights.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        net = ParticleNet(classes=len(state["fc2.bias"]))
        net.load_state_dict(state)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise FileError(f"{path}: got {_line(error)}, expected ParticleNet's weights") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FileError(f"{path}: got no fc2.bias, expected ParticleNet's weights") from error
    return net.eval().requires_grad_(False)


def load_statistics(path: str | Path, covariance: str | Path | None = None) -> Gaussian:
    """Mean and covariance of the activations on real jets.

    Args:
        path: A .npz file with ``mu`` [256] and ``sigma`` [256, 256], or jetnet's text file of the
            mean.
        covariance: jetnet's text file of the covariance, with that of the mean.

    Raises:
        FileError: a file is missing or holds something else.
    """
    try:
        if covariance is None:
            with np.load(path, allow_pickle=False) as file:
                mu, sigma = file["mu"], file["sigma"]
        else:
            mu, sigma = np.loadtxt(path), np.loadtxt(covariance)
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError) as error:
        names = path if covariance is None else f"{path}, {covariance}"
        raise FileError(f"{names}: got {_line(error)}, expected mu and sigma") from error
    if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)) or not len(mu):
        raise FileError(
            f"{path}: got mu {mu.shape} and sigma {sigma.shape}, expected [F] and [F, F]"
        )
    return Gaussian(*(torch.from_numpy(np.asarray(x, dtype=np.float64)) for x in (mu, sigma)))


@torch.no_grad()
def particlenet_activations(jets: Batch, net: ParticleNet, *, batch: int = 128) -> Tensor:
    """The 256 activations of ParticleNet on jets of at most 30 particles [B, 256] float64.

    Missing particles are (0, 0, 0) before the scaling and are not masked, as in jetnet.

    Args:
        jets: B jets with (η, φ) and p_T relative to the jet.
        net: From :func:`load_particlenet`.
        batch: Jets at once, on the device of ``net``.

    Raises:
        DataError: a value is not finite or a jet has more than 30 particles, naming the jet.
    """
    pc.check(jets)
    sizes = pc.sizes(jets)
    if bool((sizes > PARTICLES).any()):
        event = int((sizes > PARTICLES).nonzero()[0])
        raise DataError(
            f"jet {event}: got {int(sizes[event])} particles, expected the {PARTICLES} of the "
            "largest p_T at most"
        )
    device = net.fc2.weight.device
    rows = torch.cat([jets.pos[:, :2], pc.weights(jets)[:, None]], 1).float()
    place = torch.arange(len(rows), device=rows.device) - jets.ptr[jets.batch]
    dense = rows.new_zeros(len(sizes), PARTICLES, 3)
    dense[jets.batch, place] = rows
    scaled = dense / dense.new_tensor(SCALE) + dense.new_tensor(SHIFT)
    parts = [net.activations(x.to(device)).double() for x in scaled.split(batch)]
    return torch.cat(parts) if parts else rows.new_zeros(0, 256).double()


def frechet_particlenet_distance(
    generated: Batch, net: ParticleNet, real: Gaussian, *, batch: int = 128
) -> float:
    """FPND of the first 50,000 generated jets; fewer are biased up, with a warning.

    Args:
        generated: Jets of at most 30 particles, with (η, φ) and p_T relative to the jet.
        net: From :func:`load_particlenet`.
        real: From :func:`load_statistics`, for the class of jets that was generated.
        batch: Jets at once.

    Raises:
        DataError: a value is not finite or a jet has more than 30 particles, naming the jet, or
            there are fewer than two jets.
    """
    if generated.num_graphs < 2:
        raise DataError(f"generated: got {generated.num_graphs} jets, expected at least 2")
    if generated.num_graphs < JETS:
        warnings.warn(
            f"FPND of {generated.num_graphs} jets is biased up; published values have {JETS}",
            RuntimeWarning,
            stacklevel=2,
        )
    first = pc.select(generated, slice(JETS))
    seen = gaussian(particlenet_activations(first, net, batch=batch))
    return frechet(Gaussian(*(x.to(seen.mean.device) for x in real)), seen).item()


def compare_activations(clouds: Batch, net: ParticleNet, real: Gaussian) -> FeatureDistance:
    """FPND of samples of a pool of relative jets; the first sample of a pair is not used."""
    return FeatureDistance(
        particlenet_activations(clouds, net),
        [Measure("FPND")],
        lambda a, b: frechet(gaussian(b), real).item(),
    )


def _line(error: Exception) -> str:
    """The first line of what went wrong."""
    return str(error).strip().split("\n")[0] or type(error).__name__
