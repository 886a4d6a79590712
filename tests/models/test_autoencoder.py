"""Autoencoders: exact where the networks are the identity, calibrated whatever they are."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError
from pcgen.models.autoencoder import Autoencoder, Deterministic, Gaussian, Latent
from pcgen.models.cardinality import describe
from pcgen.models.representations import Points
from pcgen.objectives.reconstruction import ChamferLoss
from pcgen.ops.segments import segment_mean
from pcgen.schema import Quantity, Schema
from pcgen.standardize import channels
from pcgen.testing import clouds_of_schema

AXES = (Quantity("eta_rel"), Quantity("phi_rel", "rad", 6.0))
JETS = Schema(AXES, Quantity("pt", "GeV"), (), (Quantity("jet_pt", "GeV"),), ("q", "t"))
BARE = Schema(AXES)


class Mean(nn.Module):
    """Encoder: mean of the channels of the points."""

    def forward(self, clouds: Batch, condition: Tensor | None = None) -> Tensor:
        return segment_mean(channels(clouds), clouds.ptr)


class Repeat(nn.Module):
    """Decoder: every point is the first numbers of the code, plus noise where requested."""

    def __init__(self, features: int, noise: float = 0.0) -> None:
        super().__init__()
        self.features, self.noise = features, noise

    def forward(
        self,
        code: Tensor,
        sizes: Tensor,
        y: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Batch:
        points = code[:, : 2 + self.features].repeat_interleave(sizes, 0)
        points = points + self.noise * torch.randn(points.shape, generator=generator)
        return cl.make(points[:, :2], sizes, x=points[:, 2:] if self.features else None)


def jets(sizes: list[int], schema: Schema = JETS) -> Batch:
    clouds = clouds_of_schema(schema, sizes)
    return cl.replace(clouds, y=900 + 200 * clouds.y) if schema.condition else clouds


def autoencoder(
    clouds: Batch,
    schema: Schema = JETS,
    *,
    latent: Latent | None = None,
    noise: float = 0.0,
    recentre: bool = False,
) -> Autoencoder:
    features = 1 if schema.weight else 0
    model = Autoencoder(
        Points(schema, recentre=recentre),
        Mean(),
        latent or identity(2 + features),
        Repeat(features, noise),
        {"chamfer": ChamferLoss()},
    )
    for phase in model.phases():
        if phase.prepare is not None:
            phase.prepare([clouds])
    return model


def identity(channels: int) -> Deterministic:
    latent = Deterministic(channels, channels)
    nn.init.eye_(latent.linear.weight)
    nn.init.zeros_(latent.linear.bias)
    return latent


def test_with_identities_for_networks_a_cloud_of_one_point_comes_back() -> None:
    clouds = jets([1, 0, 1, 1, 1])
    model = autoencoder(clouds)
    again = model.reconstruct(clouds)
    for name in ("pos", "weight", "y", "label", "ptr"):
        torch.testing.assert_close(again[name], clouds[name], msg=name)
    assert model.loss(clouds)["chamfer"].item() == pytest.approx(0.0, abs=1e-10)


def test_code_and_condition_are_those_of_the_standardised_clouds() -> None:
    clouds = jets([4, 2, 3])
    model = autoencoder(clouds)
    seen = model.representation.standardize(clouds)
    code, condition = model.encode(clouds)
    torch.testing.assert_close(code, segment_mean(channels(seen), seen.ptr))
    torch.testing.assert_close(condition, seen.y)
    torch.testing.assert_close(model.representation.condition(describe(clouds, JETS)), condition)


@given(sizes=st.lists(st.integers(0, 6), min_size=1, max_size=8), recentre=st.booleans())
@settings(max_examples=25)
def test_samples_have_the_points_energy_and_centre_that_were_drawn(
    sizes: list[int], recentre: bool
) -> None:
    train = jets([3, 5, 1, 7, 2])
    model = autoencoder(train, latent=Gaussian(3, 3), noise=2.0, recentre=recentre)
    label = torch.zeros(len(sizes), dtype=torch.long)
    clouds = model.sample(sizes=sizes, label=label, y=1000.0)
    assert cl.sizes(clouds).tolist() == sizes
    assert (clouds.weight >= 0).all()
    assert (clouds.pos[:, 1].abs() <= 3.0).all()
    assert clouds.y.tolist() == [[1000.0]] * len(sizes)
    assert torch.equal(clouds.label, label)
    assert torch.equal(cl.total(clouds) > 0, cl.sizes(clouds) > 0)


def test_total_and_centre_of_decoded_clouds_are_exact() -> None:
    train = jets([3, 5, 1, 7, 2])
    model = autoencoder(train, noise=0.1, recentre=True)
    drawn = describe(train, JETS)
    clouds = model.decode(torch.randn(5, 3), drawn)
    torch.testing.assert_close(cl.total(clouds), drawn.total, rtol=1e-6, atol=0)
    torch.testing.assert_close(describe(clouds, JETS).centroid, drawn.centroid, rtol=0, atol=1e-5)
    free = autoencoder(train, noise=0.1).decode(torch.randn(5, 3), drawn)
    assert (describe(free, JETS).centroid - drawn.centroid).abs().max() > 0.1


def test_recentring_goes_round_the_period() -> None:
    train = cl.make(torch.tensor([[0.0, 2.9]]), [1], weight=torch.ones(1))
    schema = Schema(AXES, Quantity("pt"))
    model = autoencoder(train, schema, recentre=True)
    drawn = describe(train, schema)._replace(sizes=torch.tensor([2]))
    clouds = model.decode(torch.zeros(1, 3), drawn)
    assert clouds.pos.tolist() == [pytest.approx([0.0, 2.9])] * 2
    wide = autoencoder(train, schema, noise=1.0, recentre=True).decode(torch.zeros(1, 3), drawn)
    assert (wide.pos[:, 1].abs() <= 3.0).all()


def test_clouds_without_weight_condition_or_class() -> None:
    clouds = jets([3, 0, 2], BARE)
    model = autoencoder(clouds, BARE, latent=Gaussian(2, 2))
    assert set(model.loss(clouds)) == {"chamfer", "kl"}
    generated = model.sample(number=20)
    assert set(cl.attributes(generated)) == {"pos"}
    assert torch.isin(cl.sizes(generated), torch.tensor([0, 2, 3])).all()


def test_equal_seeds_give_equal_clouds() -> None:
    model = autoencoder(jets([3, 5, 1]), latent=Gaussian(3, 3), noise=1.0)
    a, b, c = (
        model.sample(number=6, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(a.pos, b.pos)
    assert torch.equal(a.weight, b.weight)
    assert a.pos.shape != c.pos.shape or not torch.equal(a.pos, c.pos)


def test_phases_learn_networks_and_nothing_else() -> None:
    clouds = jets([3, 2, 4])
    model = autoencoder(clouds, latent=Gaussian(3, 3))
    *fits, learn = model.phases()
    assert [phase.loss for phase in fits] == [None, None]
    assert learn.parameters() == list(model.latent.parameters())
    before = {n: v.clone() for n, v in model.representation.standardize.state_dict().items()}
    assert learn.loss is not None
    sum(learn.loss(clouds).values(), torch.zeros(())).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in learn.parameters())
    after = model.representation.standardize.state_dict()
    assert all(torch.equal(v, after[n]) for n, v in before.items())


def test_gaussian_latent_is_the_reparametrised_normal() -> None:
    latent = Gaussian(4, 2, beta=0.5)
    features = torch.randn(3, 4)
    mean, log_variance = latent.linear(features).chunk(2, 1)
    posterior = Normal(mean, (0.5 * log_variance).exp())
    code = latent(features.repeat(20_000, 1)).value.view(20_000, 3, 2)
    torch.testing.assert_close(code.mean(0), mean, rtol=0, atol=0.05)
    torch.testing.assert_close(code.std(0), posterior.stddev, rtol=0.03, atol=0)
    expected = 0.5 * kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(latent(features).terms["kl"], expected)
    latent.eval()
    torch.testing.assert_close(latent(features).value, mean)
    drawn = latent.sample(20_000)
    assert drawn.shape == (20_000, 2)
    assert drawn.mean().item() == pytest.approx(0, abs=0.03)
    assert drawn.std().item() == pytest.approx(1, abs=0.03)


def test_a_plain_autoencoder_states_that_it_has_no_prior() -> None:
    model = autoencoder(jets([2, 3]))
    with pytest.raises(ArgumentError, match=r"no prior .* expected a VAE .* or a prior over"):
        model.sample(number=1)
