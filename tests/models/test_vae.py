"""VAE: where everything is linear and normal its bound is the likelihood; and it learns images."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.models.autoencoder import Autoencoder, Gaussian
from pcgen.models.cardinality import Drawn
from pcgen.models.representations import Images, Points, Representation, Seen, Sites
from pcgen.nn import HurdleImageDecoder, ImageTrunk, SparseDecoder
from pcgen.objectives.likelihood import gaussian
from pcgen.schema import Quantity, Schema

VECTORS = Schema(tuple(Quantity(name) for name in "abcd"))
CELLS = Schema((Quantity("x"), Quantity("y")), Quantity("E", "GeV"))


class Vectors(Points):
    """Clouds of one point as rows [B, 4], not standardised and without a condition."""

    def see(self, clouds: Batch) -> Seen:
        return Seen(clouds.pos, clouds.pos.new_zeros(clouds.num_graphs, 0))

    def condition(self, drawn: Drawn) -> Tensor:
        return torch.zeros(len(drawn.sizes), 0, dtype=torch.float64)

    def clouds(self, event: Tensor, drawn: Drawn) -> Batch:
        return cl.make(event, [1] * len(event))


class Linear(nn.Module):
    """Decoder N(W z + b, σ²) of rows, of which a sample has its noise."""

    def __init__(self, dimensions: int, code_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(code_channels, dimensions)
        self.log_std = nn.Parameter(torch.zeros(()))

    def losses(self, code: Tensor, condition: Tensor, event: Tensor) -> dict[str, Tensor]:
        return {"row": gaussian(event, self.linear(code), self.log_std)}

    def sample(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        mean = self.linear(code)
        return mean + self.log_std.exp() * torch.randn(
            mean.shape, generator=generator, dtype=mean.dtype
        )


class Flat(nn.Module):
    """Encoder: the event as a row, sites as an image of where they are and what they hold."""

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, event: Tensor | Batch, condition: Tensor | None) -> Tensor:
        if isinstance(event, Tensor):
            return event.flatten(1)
        image = event.x.new_zeros(event.num_graphs, *self.shape)
        return image.index_put((event.batch, *event.cell.unbind(1)), event.x[:, 0] + 5).flatten(1)


def rows(number: int = 2000) -> Batch:
    """Of two strong directions and noise."""
    generator = torch.Generator().manual_seed(0)
    code = torch.randn(number, 2, generator=generator, dtype=torch.float64)
    axes = torch.tensor([[2.0, 0.5, 0.0, 1.0], [0.0, 1.0, -1.0, 0.5]], dtype=torch.float64)
    noise = torch.randn(number, 4, generator=generator, dtype=torch.float64)
    return cl.make(code @ axes + 0.5 * noise + 1.0, [1] * number)


def ppca(x: Tensor, code_channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Most likely mean, W, σ and log p of each row: Tipping and Bishop 1999, eq. 3.12 and 3.13."""
    mean, covariance = x.mean(0), torch.cov(x.T, correction=0)
    value, vector = torch.linalg.eigh(covariance)
    noise = value[:-code_channels].mean()
    weight = vector[:, -code_channels:] * (value[-code_channels:] - noise).sqrt()
    law = MultivariateNormal(mean, weight @ weight.T + noise * torch.eye(len(mean)).to(x))
    return mean, weight, noise.sqrt(), law.log_prob(x)


class Same(nn.Module):
    def forward(self, event: Tensor, condition: Tensor) -> Tensor:
        return event


def linear_vae() -> Autoencoder:
    return Autoencoder(Vectors(VECTORS), Same(), Gaussian(4, 2), Linear(4, 2)).double()


def exact_vae(x: Tensor) -> Autoencoder:
    """With the most likely decoder and its posterior N((W'W + σ²)⁻¹ W'(x - μ), σ² (W'W + σ²)⁻¹)."""
    vae = linear_vae()
    mean, weight, std, _ = ppca(x, 2)
    precision = (weight.T @ weight).diagonal() + std**2  # the columns of W are orthogonal
    with torch.no_grad():
        vae.decoder.linear.weight.copy_(weight)
        vae.decoder.linear.bias.copy_(mean)
        vae.decoder.log_std.copy_(std.log())
        back = weight.T / precision[:, None]
        vae.latent.linear.weight.copy_(torch.cat([back, torch.zeros_like(back)]))
        vae.latent.linear.bias.copy_(torch.cat([-back @ mean, (std**2 / precision).log()]))
    return vae


def test_with_the_exact_posterior_every_code_gives_the_likelihood() -> None:
    clouds = rows(50)
    vae, expected = exact_vae(clouds.pos), ppca(clouds.pos, 2)[3]
    for samples in (1, 7):
        found = vae.log_likelihood(clouds, samples, torch.Generator().manual_seed(samples))
        torch.testing.assert_close(found, expected)


def test_the_loss_is_a_bound_in_nats() -> None:
    """On average over codes it is log p where the posterior is exact, and above it otherwise."""
    clouds = rows(2000)
    vae, expected = exact_vae(clouds.pos), float(ppca(clouds.pos, 2)[3].mean())
    loss = torch.stack([sum(vae.loss(clouds).values()).detach() for _ in range(20)])
    assert float(loss.mean()) == pytest.approx(-expected, abs=4 * float(loss.std()) / 20**0.5)
    with torch.no_grad():
        vae.latent.linear.bias[2:] += 1.0
    # Twice a normal whose variance is e times too large: KL = (e - 2) / 2 each.
    wider = torch.stack([sum(vae.loss(clouds).values()).detach() for _ in range(20)])
    error = 4 * float(wider.std()) / 20**0.5
    assert float(wider.mean()) == pytest.approx(-expected + math.e - 2, abs=error)


def test_more_codes_tighten_the_bound() -> None:
    clouds = rows(500)
    vae, exact = exact_vae(clouds.pos), float(ppca(clouds.pos, 2)[3].mean())
    with torch.no_grad():
        vae.latent.linear.bias[2:] += 1.0
    seed = torch.Generator().manual_seed(0)
    bounds = [float(vae.log_likelihood(clouds, k, seed).mean()) for k in (1, 3, 10, 100)]
    assert bounds == sorted(bounds)
    assert bounds[-1] == pytest.approx(exact, abs=0.02)
    assert bounds[0] < exact - 0.5


def test_trained_it_reaches_the_likelihood_of_probabilistic_pca() -> None:
    clouds = rows()
    vae, expected = linear_vae(), ppca(clouds.pos, 2)[3].mean()
    optimiser = torch.optim.Adam(vae.parameters(), 0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 1200)
    for _ in range(1200):
        optimiser.zero_grad()
        sum(vae.loss(clouds).values()).backward()
        optimiser.step()
        schedule.step()
    bound = vae.log_likelihood(clouds, 1, torch.Generator().manual_seed(0)).mean()
    assert expected - 0.02 < bound < expected + 0.005


def test_samples_are_those_of_the_model() -> None:
    clouds = rows()
    vae = exact_vae(clouds.pos)
    vae.representation.cardinality.fit([clouds])
    generated = vae.sample(number=4000, generator=torch.Generator().manual_seed(0))
    mean, weight, std, _ = ppca(clouds.pos, 2)
    torch.testing.assert_close(generated.pos.mean(0), mean, atol=0.15, rtol=0)
    covariance = weight @ weight.T + std**2 * torch.eye(4).double()
    torch.testing.assert_close(torch.cov(generated.pos.T), covariance, atol=0.35, rtol=0)


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(ArgumentError, match="decoder: got function"):
        Autoencoder(Vectors(VECTORS), Same(), Gaussian(4, 2), lambda: None)
    with pytest.raises(ArgumentError, match="samples: got 0"):
        linear_vae().log_likelihood(rows(2), 0)


def showers(number: int, seed: int = 0) -> Batch:
    """Two kinds of events on 6 x 6 cells: three cells in a row, or one cell at the far corner."""
    generator = torch.Generator().manual_seed(seed)
    long = torch.rand(number, generator=generator) < 0.5
    sizes = torch.where(long, 3, 1)
    line = torch.tensor([[1.5, 1.5], [1.5, 2.5], [1.5, 3.5]])
    pos = torch.cat([line if three else torch.tensor([[4.5, 4.5]]) for three in long])
    energy = torch.exp(0.3 * torch.randn(len(pos), generator=generator))
    return cl.make(pos, sizes, weight=energy)


def grid() -> Grid:
    return Grid.regular({"x": (0.0, 6.0, 6), "y": (0.0, 6.0, 6)})


def image_vae() -> Autoencoder:
    see = Images(CELLS, grid())
    trunk = ImageTrunk(2, 8, 1, shape=(6, 6), condition_channels=see.condition_channels)
    return Autoencoder(see, Flat((6, 6)), Gaussian(36, 2), HurdleImageDecoder(trunk))


def sites_vae() -> Autoencoder:
    see = Sites(CELLS, grid())
    decoder = SparseDecoder(2, 16, 1, shape=(6, 6), condition_channels=see.condition_channels)
    return Autoencoder(see, Flat((6, 6)), Gaussian(36, 2), decoder)


def prepared(representation: Representation, clouds: Batch) -> None:
    for phase in representation.phases():
        assert phase.prepare is not None
        phase.prepare([clouds])


@pytest.mark.parametrize("make", [image_vae, sites_vae])
def test_it_learns_which_cells_are_active_and_keeps_the_energy(
    make: Callable[[], Autoencoder],
) -> None:
    torch.manual_seed(0)
    vae, clouds = make(), showers(64)
    prepared(vae.representation, clouds)
    optimiser = torch.optim.Adam(vae.parameters(), 5e-3)
    for _ in range(250):
        optimiser.zero_grad()
        terms = vae.loss(clouds)
        sum(terms.values()).backward()
        optimiser.step()
    assert set(terms) >= {"energy", "kl"}
    generated = vae.eval().sample(number=200, generator=torch.Generator().manual_seed(1))
    assert generated.num_graphs == 200
    sizes = cl.sizes(generated)
    assert float(((sizes == 1) | (sizes == 3)).double().mean()) > 0.9
    real = {tuple(cell) for cell in clouds.pos.long().tolist()}
    inside = [tuple(cell) in real for cell in generated.cell.tolist()]
    assert sum(inside) > 0.95 * len(inside)
    total = vae.representation.cardinality.total[:64]
    error = (cl.total(generated)[sizes > 0, None] - total).abs().amin(1)
    assert (error < 1e-4).all()
    drawn_again = vae.sample(number=200, generator=torch.Generator().manual_seed(1))
    assert torch.equal(generated.weight, drawn_again.weight)
