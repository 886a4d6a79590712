"""What options of recipes mean: each text once, for all recipes in which it holds.

The command line takes the help of an option from the docstring of a recipe. A recipe describes
there what is its own; :func:`described` adds from here what it shares with others.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

Recipe = TypeVar("Recipe", bound=Callable[..., Any])

OPTIONS: Mapping[str, str] = {
    "adaptive_noise": (
        "Let the noise follow the critic instead, up to instance_noise: the mean sign of the "
        "logit of real events to which it is regulated, 0.6 for instance."
    ),
    "annealing": (
        "Strength of penalty and instance noise at the end of the run over that at the start; "
        "by default 0.01 of roth and of the noise, and 1 of other penalties."
    ),
    "centre": "See clouds about their weighted centres; goes with recentre.",
    "components": "Most components of the mixture of a class.",
    "context_encoder": "The network that reads the context: epic, pointnet, edgeconv or attention.",
    "context_layers": "Layers of the network that reads the context.",
    "context_schema": "What the contexts hold; by default the same as the clouds.",
    "calorimeter": (
        "The voxels of showers, as ``Calorimeter.to_dict()`` gives them: the cells where there is "
        "no grid."
    ),
    "coupling": (
        "Which noise goes to which point: independent, or optimal, the shortest way within each "
        "cloud (by rank above 64 points)."
    ),
    "critic_steps": "Steps of the critic per step of the generator.",
    "depth": (
        "Axis along which the layers lie; it has one value in each, and is not generated. Null "
        "for none."
    ),
    "dynamic": "Find the neighbours of edgeconv again in each layer, among its features.",
    "encoder": "The networks: epic, pointnet, edgeconv, attention, or the control list.",
    "excess": "Take the total weight over what condition and class let expect as a condition.",
    "feature_matching": "The generator matches the mean features of the critic, and not its logit.",
    "free_bits": "Nats of each number of the code of gaussian that cost nothing.",
    "game": (
        "What critic and generator play: non-saturating, saturating, maximum-likelihood, "
        "wasserstein, hinge, least-squares or relativistic."
    ),
    "global_channels": "Channels of the cloud's own vector of epic, 16 by default.",
    "grid": (
        "Cells, as ``name:low:high:cells`` for each axis; by default those of the data's file or "
        "its calorimeter, and for jets 32 x 32 within 0.4 of the axis."
    ),
    "hidden": "Channels of a point inside the networks.",
    "identity": (
        "Add in the layers of epic without an activation behind the sum, which is learnt "
        "faster; false by default."
    ),
    "integration_steps": "Steps of the midpoint rule when sampling, of two evaluations each.",
    "label_flipping": "Probability of a wrong label.",
    "label_smoothing": "Share by which real events are not labelled real, of this side only.",
    "latent": (
        "What holds the codes together: gaussian (the Kullback-Leibler divergence of a normal "
        "posterior), none, adversarial (a critic of codes), density-ratio (a posterior of any "
        "shape), mmd or sliced (of all codes of a batch); see docs/codes.md."
    ),
    "latent_dim": "Numbers in the code of a cloud.",
    "layer_width": "Channels of a layer in the model of points and energies of layers.",
    "layers": "Layers of the decoder; the encoder has one less.",
    "list_length": "Longest cloud of list, 192 by default.",
    "minibatch_statistics": "Show the critic how much the events of a batch differ.",
    "mode_strength": "Its strength, 0.2 of reg-gan and mdgan by default and 1 of vae-gan.",
    "modes": (
        "Encoder beside the generator against lost modes: none, reg-gan, mdgan or vae-gan, see "
        "docs/remedies.md."
    ),
    "neighbours": "Nearest neighbours of a point of edgeconv, itself included; 16 by default.",
    "noise": "Factor of a Kullback-Leibler term that keeps the autoencoder's codes smooth.",
    "penalty_in_spreads": "Take the penalty in units of the spread of what the critic sees.",
    "pooling": "Reductions over the points of pointnet, edgeconv or attention.",
    "prior": (
        "Distribution of the codes: normal (given the condition), mixture (of Gaussians), "
        "real-nvp, gan or flow; see docs/codes.md."
    ),
    "prior_shape": (
        "Distribution that codes of adversarial, mmd and sliced are to have: normal, ring (of "
        "ten Gaussians) or roll, in the plane of their first two numbers."
    ),
    "recentre": "Move each cloud so that its weighted centre is that of a training cloud.",
    "reconstruction": (
        "Distance of sets that is minimised: emd, chamfer, both, full (both, sliced and "
        "moments; the default), spectral (full, and the spectrum of the weights), or listed "
        "(squared error down the list; the default of list). Or flow: the decoder is a flow, "
        "which draws what the code leaves open."
    ),
    "regulariser": (
        "What keeps the critic from being too good: r1 (the default), r2, r1-r2, roth, wgan-gp, "
        "wgan-lp, dragan, clip, spectral or none; see docs/remedies.md."
    ),
    "rescale": (
        "Scale each cloud so that its spread (m / p_T of a jet) is that of a training cloud, "
        "and take the spread as a condition."
    ),
    "schema": "What the clouds hold, as ``Schema.to_dict()`` gives it; jets by default.",
    "share": "Fraction of the steps that the autoencoder gets.",
    "shift": "How much more of the training is near the data; 1 for as much at all times.",
    "squash": (
        "Width, in standard deviations of the coordinates, within which their scale is linear "
        "and beyond which it is logarithmic; null for linear throughout."
    ),
    "t_nets": "Turn the channels of pointnet by T-Nets.",
    "totals": (
        "Where points and energies of layers come from when sampling: flow, which is learnt, or "
        "nearest, those of a training shower of nearly the same condition."
    ),
    "width": "Width of the hidden layers of a prior that is a network.",
}


def described(recipe: Recipe) -> Recipe:
    """The recipe itself, whose docstring now has all its options, as :func:`completed` adds them.

    >>> @described
    ... def smallest(layers: int = 2, schema: dict[str, Any] | None = None) -> None:
    ...     '''The smallest recipe.
    ...
    ...     Args:
    ...         layers: How deep it is.
    ...     '''
    >>> print(inspect.getdoc(smallest))
    The smallest recipe.
    <BLANKLINE>
    Args:
        layers: How deep it is.
        schema: What the clouds hold, as ``Schema.to_dict()`` gives it; jets by default.
    """
    options = inspect.signature(recipe).parameters
    recipe.__doc__ = completed(inspect.getdoc(recipe) or "", options)
    return recipe


def completed(text: str, options: Iterable[str]) -> str:
    """A docstring with the options that it leaves to :data:`OPTIONS`, behind its own ones."""
    shared = [each for each in options if each in OPTIONS and f"\n    {each}: " not in text]
    lines = [
        textwrap.fill(
            f"{name}: {OPTIONS[name]}",
            100,
            initial_indent=" " * 4,
            subsequent_indent=" " * 8,
            break_on_hyphens=False,
        )
        for name in shared
    ]
    first, *errors = text.split("\n\nRaises:\n")
    title = [] if "\n\nArgs:\n" in text else ["\nArgs:"]
    return "\n\nRaises:\n".join(["\n".join([first, *title, *lines]), *errors])
