"""The GAN at active sites: gates of empty cells learn, and the empty image is no trap."""

from __future__ import annotations

import torch
from torch import Tensor

from pcgen import clouds as cl
from pcgen.io import JETS
from pcgen.models.gan import GAN
from pcgen.recipes import RECIPES
from pcgen.testing import clouds_of_schema, random_sizes

GRID = "eta_rel:-0.4:0.4:8,phi_rel:-0.4:0.4:8"


def gan(occupancy: float, *, coarse: bool) -> tuple[GAN, cl.Batch]:
    """One whose images are nearly all empty, and its data."""
    torch.manual_seed(0)
    found = RECIPES["sites-gan"](latent_dim=2, channels=2, grid=GRID)
    found.generator.occupancy = occupancy
    found.generator.reset_parameters()
    if not coarse:  # what the critic was before it read empty cells
        found.critic.coarse = None
    clouds = clouds_of_schema(JETS, random_sizes(6, 1, 5), spread=0.2)
    for phase in found.phases():
        if phase.prepare is not None:
            phase.prepare([clouds])
    return found, clouds


def slope_of_gates(found: GAN, clouds: cl.Batch) -> Tensor:
    """Gradient of the generator's loss in the logit of each gate [B, *shape]."""
    logits = []
    handle = found.generator.head.register_forward_hook(lambda *call: logits.append(call[2]))
    loss = found.generator_loss(clouds)["generator"]
    handle.remove()
    (gradient,) = torch.autograd.grad(loss, logits[0], materialize_grads=True)
    return gradient[:, 0]


def test_gates_of_empty_images_have_a_gradient() -> None:
    found, clouds = gan(1e-4, coarse=True)
    torch.manual_seed(3)
    event, condition = found.representation.see(clouds)
    assert not found._make(event, condition).any()
    torch.manual_seed(3)
    slopes = slope_of_gates(found, clouds)
    assert bool((slopes != 0).all())


def expected_occupancy(found: GAN, clouds: cl.Batch) -> float:
    """Mean probability of a cell to be filled."""
    condition = found.representation.see(clouds).condition[:1].expand(256, -1)
    code = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logit = found.generator.head(found.generator.trunk(code, condition))[:, 0]
    return float(logit.sigmoid().mean())


def after(steps: int, *, coarse: bool) -> float:
    """Occupancy that a generator of empty images reaches, over the one it had."""
    found, clouds = gan(1e-4, coarse=coarse)
    before = expected_occupancy(found, clouds)
    sides = [
        (phase, torch.optim.Adam(phase.parameters(), 5e-3, betas=(0.0, 0.9)))
        for phase in found.phases()
        if phase.loss is not None
    ]
    for _ in range(steps):
        for phase, optimiser in sides:
            optimiser.zero_grad()
            sum(phase.loss(clouds).values()).backward()
            optimiser.step()
    return expected_occupancy(found, clouds) / before


def test_a_generator_of_empty_images_leaves_that_state() -> None:
    assert after(40, coarse=True) > 3.0
    assert after(40, coarse=False) < 2.0
