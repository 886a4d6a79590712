"""What users of PyG expect of a module: it draws its parameters again, and prints its sizes."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from pcgen import nn as networks
from pcgen.nn import (
    DGCNN,
    MLP,
    AttentionEncoder,
    AttentionField,
    CodeField,
    DeepSetField,
    EdgeConvField,
    EPiCEncoder,
    EPiCField,
    GatedImageDecoder,
    GaussianImageDecoder,
    HurdleImageDecoder,
    ImageEncoder,
    ImageTrunk,
    ImageUNet,
    ListEncoder,
    ListField,
    MLPDecoder,
    NormalizedConv,
    ObservedReading,
    PartialConv,
    PointNet,
    Ranks,
    ReLUImageDecoder,
    SetDecoder,
    SiteNorm,
    SiteReading,
    SparseDecoder,
    SparseTransposedConv,
    SparsityInvariantTransposedConv,
    SubmanifoldConv,
    spectral_normed,
    weight_normed,
)
from pcgen.nn.network import Network


def trunk() -> ImageTrunk:
    return ImageTrunk(3, 4, shape=(9, 6), condition_channels=2)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: MLP(3, (4, 4), 2, norm=nn.LayerNorm),
    "mlp, weight norm": lambda: MLP(3, (4, 4), 2, linear=weight_normed),
    "codes": lambda: CodeField(3, hidden=(4,), time_channels=2),
    "pointnet": lambda: PointNet(3, 4, hidden=(8, 8), head=(8,), transform=True),
    "dgcnn": lambda: DGCNN(3, 4, k=3, embedding=8, hidden=(8,), head=(8,)),
    "epic": lambda: EPiCEncoder(3, 4, hidden=8, global_channels=4, linear=weight_normed),
    "attention": lambda: AttentionEncoder(3, 4, hidden=8, heads=2, seeds=2, condition_channels=1),
    "list": lambda: ListEncoder(3, 4, max_points=5, hidden=(8,)),
    "epic field": lambda: EPiCField(3, hidden=8, global_channels=4, layers=1),
    "deep sets field": lambda: DeepSetField(3, hidden=(8, 8)),
    "edgeconv field": lambda: EdgeConvField(3, k=3, hidden=8, layers=1),
    "attention field": lambda: AttentionField(3, hidden=8, heads=2, layers=1),
    "list field": lambda: ListField(3, max_points=5, hidden=(8,)),
    "set": lambda: SetDecoder(3, 2, 1, hidden=8, layers=1),
    "set, ranks": lambda: SetDecoder(3, 2, 1, hidden=8, layers=1, start=Ranks()),
    "list decoder": lambda: MLPDecoder(3, 2, 1, max_points=4, hidden=(8,)),
    "dense encoder": lambda: ImageEncoder((9, 6), 2, channels=3),
    "observed encoder": lambda: ImageEncoder((9, 6), 2, ObservedReading(), channels=3),
    "site encoder": lambda: ImageEncoder((9, 6), 2, SiteReading(), channels=3),
    "dense u-net": lambda: ImageUNet((9, 6), channels=3),
    "site u-net": lambda: ImageUNet((9, 6), SiteReading(), channels=3),
    "relu": lambda: ReLUImageDecoder(trunk()),
    "gated": lambda: GatedImageDecoder(trunk()),
    "gaussian": lambda: GaussianImageDecoder(trunk()),
    "hurdle": lambda: HurdleImageDecoder(trunk()),
    "sparse decoder": lambda: SparseDecoder(3, 4, shape=(9, 6)),
    "submanifold": lambda: SubmanifoldConv(2, 3, 4),
    "transposed": lambda: SparseTransposedConv(2, 3, 4, bias=False),
    "site norm": lambda: SiteNorm(4),
    "partial": lambda: PartialConv(2, 3, 4, density=True, expected=0.3),
    "invariant transposed": lambda: SparsityInvariantTransposedConv(2, 3, 4, 2, stride=2),
    "normalised": lambda: NormalizedConv(2, 3, 4, bias=False),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def changed(network: nn.Module) -> nn.Module:
    """With other parameters and running averages."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        for value in [*other.parameters(), *other.buffers()]:
            if value.is_floating_point():
                value.add_(torch.rand_like(value))
    return other


TWICE = ("dgcnn", "edgeconv field")
"""PyG's EdgeConv draws its parameters once more when it is constructed."""


@every_network
def test_reset_parameters_draws_what_the_constructor_draws(name: str) -> None:
    torch.manual_seed(3)
    new = NETWORKS[name]()
    others = [changed(new), changed(new)]
    for other in others:
        torch.manual_seed(3)
        other.reset_parameters()
    if name not in TWICE:
        others.append(new)
    expected = others.pop().state_dict()
    for other in others:
        for key, value in other.state_dict().items():
            if "parametrizations" in key:  # length and direction, of which the product counts
                torch.testing.assert_close(value, expected[key])
            else:
                assert torch.equal(value, expected[key]), key


def test_a_weight_with_spectral_norm_is_drawn_again() -> None:
    layer = changed(MLP(3, (), 2, linear=spectral_normed))
    before = layer.out.parametrizations.weight.original.clone()
    torch.manual_seed(3)
    layer.reset_parameters()
    torch.manual_seed(3)
    assert torch.equal(layer.out.parametrizations.weight.original, nn.Linear(3, 2).weight)
    assert not torch.equal(layer.out.parametrizations.weight.original, before)


def test_a_continuous_critic_keeps_its_gain_and_has_no_biases() -> None:
    encoder = ImageEncoder((9, 6), 1, SiteReading(), channels=16, continuous=True)
    names, before = list(encoder.state_dict()), encoder.pyramid[0].weight.detach().std()
    encoder.reset_parameters()
    assert list(encoder.state_dict()) == names
    assert float(encoder.pyramid[0].weight.detach().std() / before) == pytest.approx(1, rel=0.15)


@every_network
def test_it_prints_its_sizes(name: str) -> None:
    network = NETWORKS[name]()
    values = {each: getattr(network, each) for each in network.shown}
    first = repr(network).splitlines()[0]
    assert all(f"{each}={value}" in repr(network) for each, value in values.items() if value)
    assert first.startswith(type(network).__name__)


def test_every_network_with_parameters_can_be_reset() -> None:
    """All classes of ``pcgen.nn`` that draw parameters of their own, or whose layers do."""
    free = {"Cellwise", "ParticleNet", "GlobalPool", "SparsePool", "ObservedPool"}
    free |= {"ObservedUpsample", "FrameAverage", "Canonical", "Posed", "RandomPose"}
    free |= {"RandomTransform", "TIPool"}
    modules = {
        name
        for name, value in vars(networks).items()
        if isinstance(value, type) and issubclass(value, nn.Module) and name in networks.__all__
    }
    assert {name for name in modules if not issubclass(getattr(networks, name), Network)} == free
