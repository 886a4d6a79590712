"""The padded twin of every model is the model, whatever stands in the padding."""

from __future__ import annotations

import pytest
import torch

from pcgen import clouds as pc
from pcgen import recipes
from pcgen.io import JETS
from pcgen.models.cardinality import wrapped
from pcgen.models.padded import DrawFromUniform, PaddedGenerator
from pcgen.models.request import Request
from pcgen.ops.drawing import normal
from pcgen.testing import clouds_of_schema, random_sizes

FLOW = {"hidden": 8, "layers": 2, "integration_steps": 2}
SMALL = {"hidden": 8, "layers": 2, "latent_dim": 3}
MODELS = {
    "flow": lambda: recipes.points_flow(**FLOW),
    "flow of pointnet": lambda: recipes.points_flow("pointnet", **FLOW),
    "flow of attention": lambda: recipes.points_flow("attention", **FLOW),
    "flow, plain": lambda: recipes.points_flow(**FLOW, recentre=False),
    "flow, all options": lambda: recipes.points_flow(
        **FLOW, shift=5.0, squash=0.75, centre=True, excess=True, rescale=True
    ),
    "gan": lambda: recipes.points_gan(**SMALL),
    "vae": lambda: recipes.points_vae(**SMALL),
    "map": lambda: recipes.points_flow_map(**FLOW),
    "student": lambda: recipes.points_flow_student(**FLOW),
    "map with a critic": lambda: recipes.points_flow_gan(hidden=8, layers=2),
    "vae with a flow": lambda: recipes.points_vae(**SMALL, reconstruction="flow"),
    "epic-gan": lambda: recipes.epic_gan(**SMALL),
    "mpgan": lambda: recipes.mpgan(hidden=5),
    "gapt": lambda: recipes.gapt(hidden=8, layers=2),
    "gapt, induced": lambda: recipes.gapt(hidden=8, layers=2, induced=3),
    "latent flow": lambda: recipes.points_latent_flow(**SMALL, width=8),
    "latent gan": lambda: recipes.points_latent_gan(**SMALL, width=8),
}
SIZES = torch.tensor([0, 1, 2, 7, 9, 0, 3])


def jets(number=60):
    clouds = clouds_of_schema(JETS, random_sizes(number, high=10), spread=0.2)
    return pc.replace(clouds, weight=100 * clouds.weight, y=900 + 200 * clouds.y)


@pytest.fixture(params=MODELS)
def model(request):
    """With a fitted representation and the weights that it begins with."""
    torch.manual_seed(1)
    made = MODELS[request.param]()
    for phase in made.representation.phases():
        phase.prepare([jets()])
    if request.param.startswith("latent"):
        torch.nn.init.normal_(made.whitening.regression, std=0.3)
        torch.nn.init.normal_(made.whitening.spread, std=0.3)
    return made.eval()


def start(model, sizes, generator):
    """Noise of the clouds, and then of the points, as models draw it."""
    channels, like = model.noise_channels, torch.zeros(1)
    code = normal((len(sizes), channels.code), like, generator)
    return code, normal((int(sizes.sum()), channels.point), like, generator)


@torch.no_grad()
def test_generation_is_a_function_of_the_noise_that_it_draws(model):
    request = Request(9)
    expected = model.generate(request, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    drawn = model.representation.cardinality.draw(request, generator)
    code, noise = start(model, drawn.sizes, generator)
    found = model.from_noise(pc.make(noise, drawn.sizes), code, drawn)
    for name, value in pc.attributes(expected).items():
        assert torch.equal(found[name], value), name


@torch.no_grad()
@pytest.mark.parametrize("longest", [9, 13])
def test_padding_changes_nothing_and_is_zero_behind(model, longest):
    generator = torch.Generator().manual_seed(4)
    drawn = model.representation.cardinality.draw(Request(len(SIZES)), generator)
    drawn = drawn._replace(sizes=SIZES)
    code, noise = start(model, SIZES, generator)
    expected = model.from_noise(pc.make(noise, SIZES), code, drawn)
    present = torch.arange(longest) < SIZES[:, None]
    dense = torch.full((*present.shape, noise.shape[1]), 50.0)
    dense[present] = noise
    known = {"total": drawn.total, "centroid": drawn.centroid, "spread": drawn.spread}
    found = PaddedGenerator(model)(dense, SIZES, code, **known, y=drawn.y, label=drawn.label)
    assert torch.equal(found.mask, present)
    assert not found.pos[~present].any()
    assert not found.weight[~present].any()
    off = wrapped(found.pos[present] - expected.pos, JETS)
    torch.testing.assert_close(off, torch.zeros_like(off), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.weight[present], expected.weight, rtol=1e-4, atol=1e-3)


@torch.no_grad()
def test_the_law_of_the_cardinality_is_a_function_of_a_uniform_number():
    law = recipes.points_gan(**SMALL).representation.cardinality
    law.fit([jets(200)])
    first = law.draw(Request(300), torch.Generator().manual_seed(0))
    wanted = Request(300, None, first.y + 3.0, first.label)
    expected = law.draw(wanted, torch.Generator().manual_seed(5))
    chance = torch.rand(300, generator=torch.Generator().manual_seed(5))
    found = DrawFromUniform(law)(chance, wanted.y, wanted.label)
    assert torch.equal(found.size, expected.sizes)
    assert torch.equal(found.total, expected.total)
    assert torch.equal(found.centroid, expected.centroid)
    assert found.spread is None
