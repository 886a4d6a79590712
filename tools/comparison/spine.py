"""The first spine: three objectives on every representation, as a plain table.

A network is a line, an objective a column; a further objective is a further entry of
:data:`LEARNING` and of the networks that can be trained on it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pcgen.training import Optimiser


class Entry(NamedTuple):
    """What is trained: a recipe of pcgen and its arguments, besides ``schema`` and ``grid``."""

    recipe: str
    arguments: dict[str, Any]


class Learning(NamedTuple):
    """How: options of the optimiser, and what is different in some phases."""

    optimiser: Optimiser
    phases: dict[str, dict[str, Any]]


Table = Mapping[str, Mapping[str, Entry]]

OBJECTIVES = {
    "gan": "non-saturating GAN with R1",
    "vae": "variational autoencoder",
    "flow": "flow matching",
}


_WIDTH = {"channels": 8}
"""Of the finest level of all networks on a grid: wide ones get too few steps for their budget."""


_RELU = {"penalty": 0.1}
"""Of GANs whose generator has a ReLU output, as in their trial run on validation jets; the default
of 1 is that of the gated ones' trial."""


def _row(family: str, network: str, *objectives: str, **arguments: Any) -> dict[str, Entry]:
    choice = "encoder" if family == "points" else "network"
    return {name: Entry(f"{family}-{name}", {choice: network, **arguments}) for name in objectives}


SPINE: Table = {
    "image": {
        **_row("image", "dense", "gan", **_WIDTH, **_RELU),
        **_row("image", "dense", "vae", **_WIDTH),
        "flow": Entry("image-flow", dict(_WIDTH)),
    },
    "image-mask": {
        **_row("image", "active", "gan", **_WIDTH, **_RELU),
        **_row("image", "active", "vae", **_WIDTH),
    },
    "image-observed": {
        **_row("image", "observed", "gan", **_WIDTH, **_RELU),
        **_row("image", "observed", "vae", **_WIDTH),
    },
    "image-gated": _row("image", "gated", "gan", "vae", **_WIDTH),
    "sites": {name: Entry(f"sites-{name}", dict(_WIDTH)) for name in OBJECTIVES},
    "list": _row("points", "list", "gan", "vae", "flow"),
    "pointnet": _row("points", "pointnet", "gan", "vae", "flow"),
    "epic": _row("points", "epic", "gan", "vae", "flow"),
    "attention": _row("points", "attention", "gan", "vae", "flow"),
}

NETWORKS = {
    "image": "A0: dense image, convolutions",
    "image-mask": "A1: dense image with a channel that marks the active cells",
    "image-observed": "A2: sparsity-invariant convolutions that treat inactive cells as unobserved",
    "image-gated": "A0: dense image, output gated by a probability of being active",
    "sites": "A3: convolutions at active sites",
    "list": "A4: perceptron on the list of points sorted by p_T",
    "pointnet": "A5: PointNet, DeepSets",
    "epic": "A6: EPiC layers",
    "attention": "A6: attention",
}

AXIS = ("image", "sites", "epic")
"""Networks that are trained at every resolution: one of each representation."""

ABSENT = {
    "flow with image-mask": "the mask of an image with noise in every cell is not defined",
    "flow with image-observed": "in an image with noise in every cell, all cells are observed",
    "flow with image-gated": "a flow moves every cell; there is no output that could be gated",
}

UNEQUAL = (
    "Networks of points (`list`, `pointnet`, `epic`, `attention`) generate as many points as the "
    "drawn size, so that their multiplicity is right but for points that share a cell; those of "
    "grids take the number of active cells as an input, and need not keep to it.",
    "Only critic or encoder differ among `image`, `image-mask` and `image-observed`, and in GANs "
    "and VAEs of `pointnet`, `epic` and `attention`: what they generate with is the same. The GAN "
    "of `sites` has the dense, gated generator of `image-gated`, whose time is part of its own.",
    "VAEs have the likelihood that their representation allows: squared error (`image`, "
    "`image-mask`, `image-observed`, `list`), hurdle (`image-gated`), occupancy level by level "
    "(`sites`), distances between sets (`pointnet`, `epic`, `attention`). So a row shows what the "
    "whole of them is worth, not the convolution or layer alone.",
    "A flow of `image` moves all cells; that of `sites` only the active ones, which a model of its "
    "own has drawn before.",
    "Networks of points learn from particles and are judged in cells; those of grids learn from "
    "the cells that they are judged in. Generated point sets are moved so that their centre is "
    "that of a training jet; images are not.",
    "Networks on grids have 8 channels at their finest level, codes and noise of 32 numbers, R1 of "
    "strength 1 (0.1 where the generator ends in a ReLU) and β = 1; those of points have 64 "
    "channels, 16 numbers, R1 of 0.1 and β = 0.01 (beside distances, no likelihood). Numbers of "
    "parameters differ up to tenfold.",
    "Options of the optimiser belong to an objective and are the same for all its networks. But "
    "for the strengths of R1 no network was tuned, and another rate may serve one of them better.",
)
"""What is not one factor at a time, for who reads a difference between rows."""

_PLAIN = Optimiser(lr=2e-3, schedule="constant", warmup=20)
_ADVERSARY = {"lr": 1e-3}

LEARNING: Mapping[str, Learning] = {
    "gan": Learning(_PLAIN, {"critic": _ADVERSARY, "generator": _ADVERSARY}),
    "vae": Learning(_PLAIN, {}),
    "flow": Learning(_PLAIN, {}),
}
"""What differs from the defaults of pcgen (:class:`Optimiser`) and from what phases bring: the rate
is constant, so that a learning curve can be read at any of its steps; rates and warm-up are those
that the study was planned with."""
