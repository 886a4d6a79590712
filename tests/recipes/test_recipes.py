"""Recipes: plain arguments, any schema, trained by the loop, and back from a checkpoint."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch_geometric.data import Batch

import pcgen
from pcgen import clouds as cl
from pcgen.datasets.batches import Batches
from pcgen.datasets.calorimeters import detector
from pcgen.datasets.electrons import ELECTRONS
from pcgen.errors import ArgumentError, DataError
from pcgen.images import snap
from pcgen.io import JETS
from pcgen.models.autoencoder import Autoencoder
from pcgen.models.base import GenerativeModel
from pcgen.models.gan import Adversary
from pcgen.models.priors import AdversarialPrior
from pcgen.objectives.adversarial import NON_SATURATING, WASSERSTEIN
from pcgen.objectives.penalties import r1, wgan_gp
from pcgen.recipes import ALIASES, RECIPES, current, images, points_latent_gan
from pcgen.recipes.points import Encoder
from pcgen.schema import Quantity, Schema
from pcgen.testing import InMemory, clouds_of_schema, random_sizes
from pcgen.training import Reports, train

SMALL = {"latent_dim": 3, "hidden": 8, "layers": 2}
GENERATIVE = ["points-latent-gan", "points-latent-mixture", "points-vae"]
ENCODERS = get_args(Encoder)
WITH_CONTEXTS = (
    "points-context-flow",
    "points-context-gan",
    "points-set-generation",
)  # test_generated_from_contexts
NETWORKS = {
    **dict.fromkeys(
        (name for name in RECIPES if name.startswith("points") and name not in WITH_CONTEXTS),
        ENCODERS,
    ),
    "points-hybrid": (None,),
    "hits-wake-sleep": (None,),
    "image-gan": images.GAME_NETWORKS,
    "image-vae": images.NETWORKS,
    "image-latent": images.NETWORKS,
    **dict.fromkeys(
        ("image-flow", "image-real-nvp", "sites-gan", "sites-vae", "sites-latent", "sites-flow"),
        (None,),
    ),
    **dict.fromkeys(("epic-gan", "mpgan", "gapt", "lagan"), (None,)),
}
SHOWERS = tuple(name for name in RECIPES if name.startswith("showers"))
COMPARED = [(name, network) for name, networks in NETWORKS.items() for network in networks]


def events(schema: Schema, number: int = 200) -> Batch:
    """Random clouds, empty ones among them, that fit the schema."""
    clouds = clouds_of_schema(schema, random_sizes(number), spread=0.2)
    return cl.replace(clouds, y=900 + 200 * clouds.y) if schema.condition else clouds


def trained(name: str, folder: Path, schema: Schema = JETS, **arguments: Any) -> GenerativeModel:
    given = {n: v for n, v in SMALL.items() if n in inspect.signature(RECIPES[name]).parameters}
    given |= arguments
    if schema != JETS:
        given["schema"] = schema.to_dict()
    return train(
        RECIPES[name](**given),
        Batches(InMemory(events(schema)), 16, seed=0),
        folder=folder,
        steps=20,
        reports=Reports(progress=False),
        recipe=name,
        arguments=given,
    )


@pytest.mark.parametrize("name", GENERATIVE)
def test_trained_sampled_and_loaded(name: str, tmp_path: Path) -> None:
    model = trained(name, tmp_path)
    wanted = {"label": ["g", "t", "z"], "y": 1000.0}
    clouds = model.sample(**wanted, generator=torch.Generator().manual_seed(1))
    assert clouds.label.tolist() == [0, 2, 4]
    assert clouds.pos.isfinite().all()
    assert (clouds.weight >= 0).all()
    again = pcgen.load(tmp_path).sample(**wanted, generator=torch.Generator().manual_seed(1))
    for attribute in ("pos", "weight", "ptr", "y"):
        assert torch.equal(again[attribute], clouds[attribute])


@pytest.mark.parametrize(("name", "network"), COMPARED)
def test_every_network_is_trained_sampled_and_loaded(
    name: str, network: str | None, tmp_path: Path
) -> None:
    key = "encoder" if name.startswith("points") else "network"
    arguments: dict[str, Any] = {} if network is None else {key: network}
    takes = inspect.signature(RECIPES[name]).parameters
    arguments |= {"grid": "eta_rel:-0.5:0.5:9,phi_rel:-0.5:0.5:8"} if "grid" in takes else {}
    arguments |= {"channels": 4} if "channels" in takes else {}
    model = trained(name, tmp_path, **arguments)
    wanted = {"label": ["g", "t", "z"] * 5, "y": 1000.0}
    if not model.can_sample:
        with pytest.raises(ArgumentError, match=r"plain autoencoder|got a classifier"):
            pcgen.load(tmp_path).sample(**wanted)
        return
    clouds = model.sample(**wanted, generator=torch.Generator().manual_seed(1))
    again = pcgen.load(tmp_path).sample(**wanted, generator=torch.Generator().manual_seed(1))
    assert clouds.label.tolist() == [0, 2, 4] * 5
    cl.check(clouds, 2)
    for attribute in ("pos", "weight", "ptr", "y"):
        assert torch.equal(again[attribute], clouds[attribute])
    if "cell" in cl.attributes(clouds):
        # What an untrained network gives no energy at all is no active cell.
        clouds = cl.select_points(clouds, clouds.weight > 0)
        torch.testing.assert_close(snap(clouds, model.representation.grid).pos, clouds.pos)


@pytest.mark.parametrize("name", ["points-gan", "points-vae", "points-flow"])
def test_points_without_a_weight(name: str, tmp_path: Path) -> None:
    """Shapes: nothing but coordinates."""
    schema = Schema((Quantity("x", "mm"), Quantity("y", "mm"), Quantity("z", "mm")))
    if name == "points-vae":
        with pytest.raises(ArgumentError, match="encoder: got 'list', which sorts points"):
            trained(name, tmp_path, schema, encoder="list")
    model = trained(name, tmp_path / name, schema)
    assert set(cl.attributes(model.sample(number=4))) == {"pos"}


@pytest.mark.parametrize("name", [n for n, networks in NETWORKS.items() if networks != (None,)])
def test_an_unknown_network_is_refused(name: str) -> None:
    key = "encoder" if name.startswith("points") else "network"
    with pytest.raises(ArgumentError, match=f"{key}: got 'resnet', expected one of"):
        RECIPES[name](**{key: "resnet"})


def test_options_of_encoders_reach_them() -> None:
    build = RECIPES["points-vae"]
    pointnet = build(encoder="pointnet", t_nets=True, pooling=["max"], **SMALL).encoder
    assert (pointnet.turn_input is None, len(pointnet.pooling)) == (False, 1)
    edgeconv = build(encoder="edgeconv", neighbours=3, dynamic=True, **SMALL).encoder
    assert (edgeconv.k, edgeconv.dynamic) == (3, True)
    assert build(encoder="list", list_length=7, **SMALL).decoder.max_points == 7


@pytest.mark.parametrize(
    ("encoder", "option", "value"),
    [
        ("epic", "neighbours", 4),
        ("epic", "pooling", ["max"]),
        ("pointnet", "dynamic", True),
        ("edgeconv", "t_nets", True),
        ("attention", "list_length", 20),
        ("list", "pooling", ["mean"]),
    ],
)
def test_an_option_of_another_encoder_is_refused(encoder: str, option: str, value: Any) -> None:
    with pytest.raises(ArgumentError, match=f"{option}: got .* expected none with {encoder}"):
        RECIPES["points-autoencoder"](encoder=encoder, **{option: value})
    with pytest.raises(ArgumentError, match="pooling: got median, expected some of max"):
        RECIPES["points-gan"](encoder="pointnet", pooling=["median"])


@pytest.mark.parametrize(
    ("reconstruction", "terms"),
    [
        (None, {"emd", "chamfer", "sliced", "shape"}),
        ("full", {"emd", "chamfer", "sliced", "shape"}),
        ("spectral", {"emd", "chamfer", "sliced", "shape", "spectrum"}),
        ("both", {"emd", "chamfer"}),
        ("emd", {"emd"}),
        ("chamfer", {"chamfer"}),
        ("listed", {"listed"}),
    ],
)
def test_what_an_autoencoder_minimises_is_chosen(
    reconstruction: str | None, terms: set[str]
) -> None:
    model = RECIPES["points-autoencoder"](reconstruction=reconstruction, **SMALL)
    clouds = events(JETS)
    some = cl.select(clouds, cl.sizes(clouds) > 0)
    for phase in model.phases():
        if phase.prepare is not None:
            phase.prepare([some])
    assert set(model.loss(some)) == terms
    with pytest.raises(ArgumentError, match="reconstruction: got 'mse', expected one of"):
        RECIPES["points-vae"](reconstruction="mse")


def test_former_names_of_recipes_and_options() -> None:
    for old, new in ALIASES.items():
        assert current(old, {}) == (new, {})
        assert new in RECIPES
    old = {"network": "list", "max_points": 50, "layers": 3}
    assert current("points-vae", old)[1] == {"encoder": "list", "list_length": 50, "layers": 3}
    assert current("image-gan", {"network": "gated"}) == ("image-gan", {"network": "gated"})
    assert current("sites-flow", {"steps": 9}) == ("sites-flow", {"integration_steps": 9})


def test_a_plain_autoencoder_reconstructs(tmp_path: Path) -> None:
    model = trained("points-autoencoder", tmp_path)
    assert isinstance(model, Autoencoder)
    clouds = events(JETS, 20)
    again = model.reconstruct(clouds)
    assert torch.equal(again.ptr, clouds.ptr)
    torch.testing.assert_close(cl.total(again), cl.total(clouds))


@pytest.mark.parametrize("name", GENERATIVE)
@pytest.mark.parametrize(
    "schema",
    [
        Schema((Quantity("x", "mm"), Quantity("y", "mm"), Quantity("z", "mm"))),
        Schema((Quantity("x"),), Quantity("E", "MeV"), (Quantity("t", "ns"),), JETS.condition * 2),
    ],
    ids=["bare", "features"],
)
def test_other_schemas(name: str, schema: Schema, tmp_path: Path) -> None:
    model = trained(name, tmp_path, schema)
    clouds = model.sample(number=10, generator=torch.Generator().manual_seed(0))
    names = {"pos"} | ({"weight"} if schema.weight else set())
    names |= ({"x"} if schema.features else set()) | ({"y"} if schema.condition else set())
    assert set(cl.attributes(clouds)) == names
    assert clouds.pos.shape[1] == len(schema.axes)
    assert pcgen.load(tmp_path).schema == dataclasses.replace(schema, description="")


@pytest.mark.parametrize("name", RECIPES)
def test_arguments_are_plain_and_all_described(name: str) -> None:
    recipe = RECIPES[name]
    text = inspect.getdoc(recipe) or ""
    defaults = {n: p.default for n, p in inspect.signature(recipe).parameters.items()}
    assert json.loads(json.dumps(defaults)) == defaults
    for argument in defaults:
        assert f"    {argument}: " in text
    showers = detector("cylinder").calorimeter.schema
    made_for = {**dict.fromkeys(SHOWERS, showers), "smearing-gan": ELECTRONS}
    assert recipe().schema == made_for.get(name, JETS)


def test_latent_gans_of_both_games() -> None:
    wasserstein = points_latent_gan(game="wgan-gp", penalty=10.0, critic_steps=5, **SMALL)
    prior = wasserstein.prior
    assert isinstance(prior, AdversarialPrior)
    assert prior.adversary == Adversary(WASSERSTEIN, wgan_gp, strength=10.0, steps=5)
    repeats = {phase.name: phase.repeat for phase in wasserstein.phases()}
    assert (repeats["critic"], repeats["generator"]) == (5, 1)
    other = points_latent_gan(**SMALL).prior
    assert isinstance(other, AdversarialPrior)
    assert other.adversary == Adversary(NON_SATURATING, r1, strength=5.0, steps=1)
    with pytest.raises(ArgumentError, match="game: got 'chess', expected one of non-saturating, "):
        RECIPES["points-latent-gan"](game="chess")


def test_a_schema_that_is_none_is_refused() -> None:
    with pytest.raises(DataError, match="schema: got"):
        RECIPES["points-vae"](schema={"axes": "x"})


ON_GRIDS = [name for name, make in RECIPES.items() if "grid" in inspect.signature(make).parameters]


@pytest.mark.parametrize("name", ON_GRIDS)
@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("eta:-0.4:0.4:4,phi_rel:-0.4:0.4:4", "axes of grid: got 'eta', expected one of"),
        ("eta_rel:-4:4:4:cm,phi_rel:-0.4:0.4:4", "axis 'eta_rel' of grid: got unit 'cm'"),
        ("eta_rel:-0.4:0.4:4", "expected cells along phi_rel too"),
    ],
)
def test_grids_of_other_axes_are_refused(name: str, grid: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        RECIPES[name](grid=grid)


def test_recipes_on_grids_are_tried() -> None:
    assert len(ON_GRIDS) == 11


LEAST_ONE = ("hidden", "layers", "latent_dim", "channels", "width", "critic_steps", "components",
             "integration_steps", "neighbours", "list_length", "global_channels",
             "layer_width", "induced", "burn_in", "transitions",
             "importance_samples")  # fmt: skip
LEAST_ZERO = ("beta", "noise", "penalty", "nearness", "instance_noise", "dropout", "walkback",
              "label_seed", "jitter")  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_numbers_out_of_range_are_refused_by_name(name: str) -> None:
    takes = inspect.signature(RECIPES[name]).parameters
    encoder = {"neighbours": {"encoder": "edgeconv"}, "list_length": {"encoder": "list"}}
    encoder = encoder if "encoder" in takes else {}
    wrong = {option: 0 for option in LEAST_ONE if option in takes}
    wrong |= {option: -1.0 for option in LEAST_ZERO if option in takes}
    if name.startswith("points-flow") or name == "showers-flow":
        del wrong["layers"]  # a field of none maps the points one by one
    if name in WITH_CONTEXTS:
        encoder["neighbours"] = {"context_encoder": "edgeconv"}
        encoder["list_length"] = {"decoder": "list"}
        encoder["beta"] = {"answer": "code"}
    if name.startswith("points-context"):
        del wrong["layers"]
    for option, value in wrong.items():
        with pytest.raises(ArgumentError, match=f"{option}: got {value}, expected >= "):
            RECIPES[name](**{**encoder.get(option, {}), option: value})


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"reconstruction": "spectral"}, "reconstruction: got 'spectral', which sorts points by"),
        ({"reconstruction": "listed"}, "reconstruction: got 'listed', which sorts points by"),
        ({"encoder": "list"}, "encoder: got 'list', which sorts points by weight"),
    ],
)
def test_what_sorts_by_weight_is_refused_without_one(arguments: dict, error: str) -> None:
    for features in ((), (Quantity("time", "ns"),)):
        schema = Schema((Quantity("x"), Quantity("y")), features=features)
        with pytest.raises(ArgumentError, match=error):
            RECIPES["points-vae"](**arguments, schema=schema.to_dict())
