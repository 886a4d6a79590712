"""Recipes on point sets: a GAN, a VAE and a flow, each with a choice of network.

The networks are those of the comparison (docs/comparison.md): "epic", "attention" and "pointnet"
treat a cloud as a set; "list" is the control that does not, an MLP on the points in order of their
weight, padded to ``max_points``. All work on clouds of any schema whose points carry a weight; by
default on jets.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

from pcgen.errors import ArgumentError
from pcgen.io import JETS
from pcgen.models.autoencoder import Autoencoder, Gaussian
from pcgen.models.cardinality import Cardinality
from pcgen.models.flow_matching import FlowMatching
from pcgen.models.gan import GAN
from pcgen.models.representations import Points
from pcgen.nn import (
    AttentionEncoder,
    AttentionField,
    DeepSetField,
    EPiCEncoder,
    EPiCField,
    ListEncoder,
    ListField,
    MLPDecoder,
    PointNet,
    RankedDecoder,
    SetDecoder,
)
from pcgen.nn.ranked import CHANNELS
from pcgen.objectives import terms
from pcgen.ops.segments import segment_max, segment_mean
from pcgen.recipes.jets import GLOBAL, reconstruction
from pcgen.schema import Schema
from pcgen.standardize import Standardize

Network = Literal["epic", "attention", "pointnet", "list"]
NETWORKS = ("epic", "attention", "pointnet", "list")


def points_gan(
    network: Network = "epic",
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 3,
    penalty: float = 0.1,
    max_points: int = 192,
    recentre: bool = True,
    schema: dict[str, Any] | None = None,
) -> GAN:
    """GAN of point sets with the non-saturating game and R1, conditional on class and y.

    Args:
        network: The critic: epic, attention, pointnet or list. The generator is a set decoder of
            EPiC layers on noise of each point, or an MLP to a list.
        latent_dim: Numbers of noise of a cloud.
        hidden: Channels of a point inside the networks.
        layers: Layers of the generator; the critic has one less.
        penalty: Factor of R1.
        max_points: Longest cloud of the list network.
        recentre: Move each cloud so that its weighted centre is that of a training cloud.
        schema: What the clouds mean, as ``Schema.to_dict()`` says it; by default jets of particles.

    Raises:
        ArgumentError: an unknown network.
    """
    representation = Points(_meaning(schema), recentre=recentre)
    return GAN(
        representation,
        _generator(network, representation.standardize, latent_dim, hidden, layers, max_points),
        _encoder(network, representation.standardize, 1, hidden, layers - 1, max_points),
        latent_dim,
        strength=penalty,
    )


def points_vae(
    network: Network = "epic",
    latent_dim: int = 16,
    hidden: int = 64,
    layers: int = 2,
    beta: float = 0.01,
    max_points: int = 192,
    recentre: bool = True,
    schema: dict[str, Any] | None = None,
) -> Autoencoder:
    """VAE of point sets with set distances for reconstruction, conditional on class and y.

    Args:
        network: The encoder: epic, attention, pointnet or list. The decoder is that of jets-vae, or
            an MLP to a list whose loss is the squared error of the points in order.
        latent_dim: Numbers in the code of a cloud.
        hidden: Channels of a point inside the networks.
        layers: Layers of the decoder; the encoder has one less.
        beta: Factor of the Kullback-Leibler divergence of the codes from a standard normal.
        max_points: Longest cloud of the list network.
        recentre: Move each cloud so that its weighted centre is that of a training cloud.
        schema: What the clouds mean, as ``Schema.to_dict()`` says it; by default jets of particles.

    Raises:
        ArgumentError: an unknown network.
    """
    meaning = _meaning(schema)
    standardize = Standardize(meaning)
    encoder = _encoder(network, standardize, hidden, hidden, max(layers - 1, 1), max_points)
    return Autoencoder(
        standardize=standardize,
        cardinality=Cardinality(meaning),
        encoder=encoder,
        latent=Gaussian(hidden, latent_dim, beta=beta),
        decoder=_decoder(network, standardize, latent_dim, hidden, layers, max_points),
        reconstruction={"listed": terms.listed}
        if network == "list"
        else reconstruction(standardize),
        recentre=recentre,
    )


def points_flow(
    network: Network = "epic",
    hidden: int = 64,
    layers: int = 4,
    steps: int = 20,
    max_points: int = 192,
    recentre: bool = True,
    schema: dict[str, Any] | None = None,
) -> FlowMatching:
    """Flow matching on point sets, conditional on class and y (EPiC-FM, arXiv 2310.00049).

    Args:
        network: The velocity field: epic, attention, pointnet (DeepSet) or list.
        hidden: Channels of a point inside the network.
        layers: Layers of the network.
        steps: Steps of the midpoint rule when sampling, of two evaluations each.
        max_points: Longest cloud of the list network.
        recentre: Move each cloud so that its weighted centre is that of a training cloud.
        schema: What the clouds mean, as ``Schema.to_dict()`` says it; by default jets of particles.

    Raises:
        ArgumentError: an unknown network.
    """
    representation = Points(_meaning(schema), listed=network == "list", recentre=recentre)
    field = _field(network, representation.standardize, hidden, layers, max_points)
    return FlowMatching(representation, field, steps=steps)


def _meaning(schema: dict[str, Any] | None) -> Schema:
    return JETS if schema is None else Schema.from_dict(schema)


def _encoder(
    network: str, standardize: Standardize, out: int, hidden: int, layers: int, max_points: int
) -> nn.Module:
    points, told = standardize.point_features, standardize.condition_features
    if network == "epic":
        return EPiCEncoder(
            points,
            out,
            hidden=hidden,
            global_channels=GLOBAL,
            layers=layers,
            condition_channels=told,
        )
    if network == "attention":
        return AttentionEncoder(points, out, hidden=hidden, layers=layers, condition_channels=told)
    if network == "pointnet":
        # The maximum alone knows no sums, and so no mass.
        return PointNet(
            points,
            out,
            hidden=(hidden, 2 * hidden, 2 * hidden),
            head=(2 * hidden,),
            condition_channels=told,
            pooling=(segment_max, segment_mean),
            norm=None,
        )
    _check(network)
    return ListEncoder(points, out, max_points=max_points, condition_channels=told)


def _generator(
    network: str, standardize: Standardize, code: int, hidden: int, layers: int, max_points: int
) -> nn.Module:
    if network == "list":
        return _decoder(network, standardize, code, hidden, layers, max_points)
    return _set_decoder(standardize, code, hidden, layers, noise=8)


def _decoder(
    network: str, standardize: Standardize, code: int, hidden: int, layers: int, max_points: int
) -> nn.Module:
    if network == "list":
        axes, points = len(standardize.schema.axes), standardize.point_features
        return MLPDecoder(
            code,
            axes,
            points - axes,
            max_points=max_points,
            condition_channels=standardize.condition_features,
        )
    return RankedDecoder(_set_decoder(standardize, code, hidden, layers, noise=CHANNELS))


def _set_decoder(
    standardize: Standardize, code: int, hidden: int, layers: int, noise: int
) -> SetDecoder:
    axes, points = len(standardize.schema.axes), standardize.point_features
    return SetDecoder(
        code,
        axes,
        points - axes,
        condition_channels=standardize.condition_features,
        hidden=hidden,
        global_channels=GLOBAL,
        noise_channels=noise,
        layers=layers,
    )


def _field(
    network: str, standardize: Standardize, hidden: int, layers: int, max_points: int
) -> nn.Module:
    points, told = standardize.point_features, standardize.condition_features
    if network == "epic":
        return EPiCField(
            points, condition_channels=told, hidden=hidden, global_channels=GLOBAL, layers=layers
        )
    if network == "attention":
        return AttentionField(points, condition_channels=told, hidden=hidden, layers=layers)
    if network == "pointnet":
        return DeepSetField(points, condition_channels=told, hidden=(hidden, hidden))
    _check(network)
    return ListField(points, max_points=max_points, condition_channels=told)


def _check(network: str) -> None:
    if network not in NETWORKS:
        raise ArgumentError(f"network: got {network!r}, expected one of {', '.join(NETWORKS)}")
