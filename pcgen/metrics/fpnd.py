r"""Fréchet ParticleNet distance (FPND) of JetNet's jets of 30 particles.

The Fréchet distance between the activations of a trained ParticleNet on generated jets and their
stored mean and covariance on real ones: Kansal et al., "Particle cloud generation with message
passing generative adversarial networks", NeurIPS 2021, arXiv 2106.11535. It is defined for the
gluon, light-quark and top jets of JetNet, with 30 particles and coordinates relative to the jet.

pcgen ships neither weights nor statistics and fetches none. The wheel of jetnet 0.2.5 holds them
in ``jetnet/evaluation/fpnd_resources/jetnet/30_particles``: ``pnet_state_dict.pt``, and
``g_mu.txt`` and ``g_sigma.txt`` for gluon jets (q and t for the others).
"""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen.errors import DataError, FileError
from pcgen.metrics.frechet import Gaussian, frechet, gaussian
from pcgen.nn.particlenet import ParticleNet

PARTICLES = 30
JETS = 50_000
# Largest |η|, |φ| and p_T of JetNet, by which ParticleNet's inputs were divided.
SCALE = (1.6211985349655151, 0.520724892616272, 0.8934717178344727)
SHIFT = (0.0, 0.0, -0.5)


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


def _line(error: Exception) -> str:
    """The first line of what went wrong."""
    return str(error).strip().split("\n")[0] or type(error).__name__
