"""Games and remedies as options: each combination trains or is refused with its reason."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from toy_games import QUIET, TINY, batches, model, player, steps_of

import pcgen
from pcgen.errors import ArgumentError, TrainingError
from pcgen.models.gan import GAN, Adversary
from pcgen.nn.spectral import SpectralCritic
from pcgen.objectives import NON_SATURATING, WASSERSTEIN
from pcgen.objectives.noise import InstanceNoise
from pcgen.objectives.penalties import r1, roth, wgan_gp
from pcgen.recipes import games
from pcgen.recipes.adversaries import FORMER, GAMES, PENALTIES, REGULARISERS
from pcgen.tools import cli
from pcgen.training import Machine, checkpoint, train

STRENGTH = {"points-gan": 0.1, "points-latent-gan": 5.0, "image-gan": 1.0, "sites-gan": 1.0}


def reason(recipe: str, game: str, regulariser: str, noise: bool) -> str | None:
    """Why a combination is refused; None where it trains."""
    if regulariser in ("wgan-gp", "wgan-lp") and recipe == "points-gan":
        return "no in between of two sets"
    if regulariser == "roth" and game not in ("non-saturating", "saturating", "maximum-likelihood"):
        return "its weights take the logit for log odds"
    if regulariser == "none" and game == "wasserstein":
        return "this critic has no best one otherwise"
    if noise and recipe == "sites-gan":
        return "noise would open all of them"
    return None


def test_names_of_the_command_line_are_those_that_are_built() -> None:
    assert get_args(games.Game) == tuple(GAMES)
    assert get_args(games.LatentGame) == (*GAMES, *FORMER)
    assert get_args(games.Regulariser) == REGULARISERS


@pytest.mark.parametrize("recipe", TINY)
def test_every_choice_steps_and_combinations_are_refused_with_their_reason(recipe: str) -> None:
    def one_choice(game: str, regulariser: str, noise: bool) -> bool:
        return not noise and (regulariser == "r1" or game == "non-saturating")

    assert walk(recipe, one_choice)[0] == (14 if recipe == "points-gan" else 16)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", TINY)
def test_every_combination_steps_or_is_refused(recipe: str) -> None:
    assert walk(recipe, lambda *case: True) == {
        "points-gan": (102, 38), "points-latent-gan": (130, 10),
        "image-gan": (130, 10), "sites-gan": (65, 75)}[recipe]  # fmt: skip


def walk(recipe: str, wanted: Callable[[str, str, bool], bool]) -> tuple[int, int]:
    """Two steps of each: critic and generator move, and everything stays finite.

    Returns how many combinations were trained and refused; those that are not wanted are skipped,
    where they are not refused.
    """
    batch = batches()(0, 0, 1)
    prepared = model(recipe)
    for phase in prepared.phases():
        if phase.prepare is not None and phase.name != "codes":
            phase.prepare([batch])
    if recipe == "points-latent-gan":
        prepared._look([batch])
    state = prepared.state_dict()
    trained = refused = 0
    for game, regulariser, noise in itertools.product(GAMES, REGULARISERS, (False, True)):
        options: dict[str, Any] = {"game": game, "regulariser": regulariser}
        options |= {"instance_noise": 0.3} if noise else {}
        why = reason(recipe, game, regulariser, noise)
        if why is not None:
            with pytest.raises(ArgumentError, match=why) as caught:
                model(recipe, **options)
            assert "\n" not in str(caught.value)
            assert "expected" in str(caught.value)
            refused += 1
            continue
        if not wanted(game, regulariser, noise):
            continue
        found = model(recipe, **options)
        present = {k: v for k, v in state.items() if "critic" not in k}
        found.load_state_dict(present, strict=False)
        steps_of(found, batch, (game, regulariser, noise))
        trained += 1
    return trained, refused


@pytest.mark.parametrize("recipe", TINY)
def test_defaults_are_what_they_were(recipe: str, tmp_path: Path) -> None:
    """By default the GAN with R1 that it has been, to the last bit of what is trained."""
    found, other = model(recipe), model(recipe)
    plain = Adversary(NON_SATURATING, r1, strength=STRENGTH[recipe], steps=1)
    assert player(found).adversary == plain
    assert not isinstance(player(found).critic, SpectralCritic)

    def critic_loss(critic, real, generated, representation=None, **_):
        """As it was written before there were remedies."""
        loss = NON_SATURATING.link(-critic(real).flatten())
        loss = (loss + NON_SATURATING.link(critic(generated).flatten())).mean()
        values = real if representation is None else representation.values(real)
        ptr = None if isinstance(real, torch.Tensor) else real.ptr

        def of_values(at):
            return critic(at if representation is None else representation.with_values(real, at))

        return {"critic": loss, "penalty": STRENGTH[recipe] * r1(of_values, values, None,
                                                                 ptr=ptr).mean()}  # fmt: skip

    object.__setattr__(player(other).adversary, "critic_loss", critic_loss)
    for name, each in (("new", found), ("old", other)):
        train(each, batches(), folder=tmp_path / name, steps=4, seed=1, machine=Machine("cpu"),
              reports=QUIET)  # fmt: skip
    mine, theirs = found.state_dict(), other.state_dict()
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)


def test_numbers_reach_what_they_are_numbers_of() -> None:
    found = model("image-gan", regulariser="roth", label_smoothing=0.1, label_flipping=0.05,
                  instance_noise=0.5, critic_steps=3, penalty_in_spreads=True)  # fmt: skip
    adversary = found.adversary
    assert (adversary.game.smoothing, adversary.game.flipping) == (0.1, 0.05)
    assert (adversary.penalty, adversary.strength, adversary.annealing) == (roth, 1.0, 0.01)
    assert adversary.noise == InstanceNoise(0.5, 0.01)
    assert adversary.in_spreads
    assert [phase.repeat for phase in found.phases()][-2:] == [3, 1]
    clipped = model("points-gan", regulariser="clip", penalty=0.02)
    assert (clipped.adversary.penalty, clipped.adversary.bound) == (None, 0.02)
    steep = model("points-gan", regulariser="spectral", penalty=2.0).critic
    assert isinstance(steep, SpectralCritic)
    assert steep.factor == 2.0
    for name, (penalty, strength) in PENALTIES.items():
        chosen = player(model("points-latent-gan", regulariser=name)).adversary
        assert (chosen.penalty, chosen.strength) == (penalty, strength or 5.0)


def test_former_names_of_games_on_codes() -> None:
    for given in ({"game": "wgan-gp"}, {"game": "wasserstein", "regulariser": "wgan-gp"}):
        adversary = player(model("points-latent-gan", **given, penalty=5.0)).adversary
        assert adversary == Adversary(WASSERSTEIN, wgan_gp, strength=5.0)
    assert player(model("points-latent-gan", game="wgan-gp")).adversary.strength == 5.0
    with pytest.raises(ArgumentError, match="'wgan-gp', a former name of both: give wasserstein"):
        model("points-latent-gan", game="wgan-gp", regulariser="r1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"game": "chess"}, "game: got 'chess', expected one of non-saturating"),
        ({"regulariser": "l2"}, "regulariser: got 'l2', expected one of r1"),
        ({"regulariser": "none", "penalty": 1.0}, "penalty: got 1.0, expected none without"),
        ({"regulariser": "clip", "penalty": 0.0}, "penalty: got 0, expected > 0 with clip"),
        ({"regulariser": "clip", "annealing": 0.1}, "annealing: got 0.1, expected none with clip"),
        ({"annealing": 0.0}, "annealing: got 0.0, expected a ratio"),
        ({"regulariser": "clip", "penalty_in_spreads": True}, "expected false with clip"),
        ({"label_flipping": 0.5}, "flipping: got 0.5, expected a share"),
        ({"modes": "all"}, "modes: got 'all', expected one of none, reg-gan, mdgan, vae-gan"),
        ({"mode_strength": 0.1}, "mode_strength: got 0.1, expected none without modes"),
        ({"modes": "mdgan", "mode_strength": -1.0}, "mode_strength: got -1"),
        ({"adaptive_noise": 0.6}, "adaptive_noise: got 0.6, expected none without instance_noise"),
        (
            {"adaptive_noise": 0.6, "instance_noise": 0.1, "game": "wasserstein"},
            "as the sign of its logit means nothing",
        ),
        (
            {"adaptive_noise": 0.6, "instance_noise": 0.1, "game": "relativistic"},
            "as the sign of its logit means nothing",
        ),
        ({"adaptive_noise": 1.0, "instance_noise": 0.1}, "target: got 1.0, expected a number in"),
        (
            {"adaptive_noise": 0.6, "instance_noise": 0.1, "regulariser": "clip", "annealing": 0.1},
            "annealing: got 0.1, expected none with clip",
        ),
        ({"game": "relativistic", "label_smoothing": 0.1}, "smoothing: got 0.1, expected 0"),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        model("points-gan", **options)
    with pytest.raises(ArgumentError, match=r"instance_noise: got 0.3, expected 0"):
        model("image-gan", network="active", instance_noise=0.3)


def test_annealing_is_a_function_of_the_step(tmp_path: Path) -> None:
    """The logged penalty is the one that is minimised; a run that is resumed goes on exactly."""
    options = {"regulariser": "roth", "penalty": 3.0, "instance_noise": 0.4}
    found, seen = model("points-gan", **options), []
    remember = found.set_done
    found.set_done = lambda done: (seen.append(done), remember(done))
    train(found, batches(), folder=tmp_path / "run", steps=4, seed=1, machine=Machine("cpu"),
          reports=QUIET)  # fmt: skip
    assert seen == [0.0, 0.0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75]
    batch = batches()(0, 0, 1)
    penalty = {}
    for done in (0.0, 0.5):
        adversary = Adversary(penalty=roth, strength=3.0, annealing=0.01)
        event, condition = found.representation.see(batch)
        terms = adversary.critic_loss(found._critic(condition), event, event,
                                      found.representation, done=done)  # fmt: skip
        penalty[done] = float(terms["penalty"].detach())
    assert penalty[0.5] == pytest.approx(0.1 * penalty[0.0])
    assert isinstance(found, GAN)


@dataclasses.dataclass
class Broken:
    """Batches that end with an error at one of them."""

    at: int

    def __call__(self, step: int, rank: int, world: int) -> Any:
        if step == self.at:
            raise TrainingError("broken")
        return batches()(step, rank, world)

    def all(self) -> Any:
        return batches().all()


@pytest.mark.parametrize(
    "options",
    [
        {"regulariser": "r1", "penalty": 3.0, "annealing": 0.01},
        {"regulariser": "roth", "penalty": 3.0, "instance_noise": 0.4},
        {"regulariser": "clip", "penalty": 0.02, "game": "wasserstein"},
    ],
    ids=["annealing", "noise", "clip"],
)
def test_a_run_that_broke_off_goes_on_with_its_remedies(
    options: dict[str, Any], tmp_path: Path
) -> None:
    """Strengths depend on the step of the whole run; clipped parameters are those of the file."""
    found: dict[str, Any] = {"whole": model("points-gan", **options)}
    reports = dataclasses.replace(QUIET, checkpoint_every=1)
    train(found["whole"], batches(), folder=tmp_path / "whole", steps=6, seed=1,
          machine=Machine("cpu"), reports=reports)  # fmt: skip
    first = model("points-gan", **options)
    of_a_step = sum(phase.repeat for phase in player(first).phases()[-2:])
    with pytest.raises(TrainingError, match="broken"):
        train(first, Broken(3 * of_a_step), folder=tmp_path / "parts", steps=6, seed=1,
              machine=Machine("cpu"), reports=reports)  # fmt: skip
    assert checkpoint.read(tmp_path / "parts/checkpoints/last.ckpt").step == 3
    found["parts"] = model("points-gan", **options)
    train(found["parts"], batches(), folder=tmp_path / "parts", steps=6, seed=1,
          machine=Machine("cpu"), reports=reports)  # fmt: skip
    whole, parts = (
        checkpoint.read(tmp_path / f"{name}/checkpoints/last.ckpt") for name in ("whole", "parts")
    )
    assert whole.model.keys() == parts.model.keys()
    for name, value in whole.model.items():
        assert torch.equal(value, parts.model[name]), name
    assert whole.phases.keys() == parts.phases.keys()
    if options["regulariser"] == "clip":
        critic = player(found["parts"]).critic
        largest = max(float(each.detach().abs().max()) for each in critic.parameters())
        assert largest == pytest.approx(0.02)  # the bound, which is at work


def test_a_spectrally_normed_critic_is_loaded_again(tmp_path: Path) -> None:
    found = model("points-gan", regulariser="spectral", game="hinge")
    options = {**TINY["points-gan"], "regulariser": "spectral", "game": "hinge"}
    train(found, batches(), folder=tmp_path, steps=2, ema=None, machine=Machine("cpu"),
          reports=QUIET, recipe="points-gan", arguments=options)  # fmt: skip
    again = pcgen.load(tmp_path)
    assert isinstance(again.critic, SpectralCritic)
    state = again.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in found.state_dict().items())
    assert again.sample(number=2).num_graphs == 2


def test_a_clipped_critic_stays_in_its_box(tmp_path: Path) -> None:
    found = model("points-gan", regulariser="clip", game="wasserstein", penalty=0.03)
    train(found, batches(), folder=tmp_path / "run", steps=2, ema=None, machine=Machine("cpu"),
          reports=QUIET)  # fmt: skip
    largest = max(float(p.detach().abs().max()) for p in found.critic.parameters())
    assert largest == pytest.approx(0.03)
    assert max(float(p.detach().abs().max()) for p in found.generator.parameters()) > 0.1


def test_an_option_of_other_recipes_is_refused_with_their_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "points-latent-gan", "--modes", "mdgan"])
    assert capsys.readouterr().err.splitlines()[0] == (
        "pcgen train points-latent-gan: unknown option --modes, which other recipes have: "
        "points-gan, image-gan, sites-gan"
    )
