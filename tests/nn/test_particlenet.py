from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import EdgeConv

from pcgen.errors import ArgumentError
from pcgen.nn import ParticleNet
from pcgen.nn.particlenet import nearest_others


def fill(net):
    """Weights by formula, in the order of the parameters."""
    for k, p in enumerate(net.parameters()):
        wave = torch.sin(torch.arange(p.numel(), dtype=torch.double) * (1.3 + 0.1 * k))
        scale = 1.5 / p.shape[1] ** 0.5 if p.dim() == 2 else 0.1
        p.data = (wave * scale).view_as(p).float()
    return net.eval()


def formula_input():
    """Two jets of 30 particles, the second with five missing ones."""
    k = torch.arange(60.0, dtype=torch.double).view(2, 30)
    x = torch.stack([torch.sin(1.7 * k), torch.cos(0.9 * k), torch.sin(k) ** 2], 2).float()
    x[1, 25:] = torch.tensor([0.0, 0.0, -0.5])
    return x


def test_agrees_with_jetnet():
    # _ParticleNet(30, 3) of jetnet 0.2.5 with torch 2.13 and torch-cluster, in an environment of
    # its own: fill(net), then net(formula_input(), ret_activations=True)[:, :4] and net(...).
    net = fill(ParticleNet())
    with torch.no_grad():
        activations, logits = net.activations(formula_input()), net(formula_input())
    expected = torch.tensor(
        [
            [
                0.007718049921095371,
                -0.13611705601215363,
                -0.045315735042095184,
                0.10145746171474457,
            ],
            [
                0.005866329185664654,
                -0.11955299228429794,
                -0.050383903086185455,
                0.08701066672801971,
            ],
        ]
    )
    torch.testing.assert_close(activations[:, :4], expected, rtol=0, atol=1e-6)
    assert activations.norm().item() == pytest.approx(1.6872553825378418, rel=1e-5)
    expected = torch.tensor(
        [
            [0.01363238692, -0.07893305272, -0.0914255753, -0.003218606114, 0.09410434216],
            [0.01527408604, -0.07769543678, -0.09241122007, -0.004978708923, 0.09415696562],
        ]
    )
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-6)


def test_names_are_those_of_jetnet():
    layers = [("0", ("weight", "bias")), ("3", ("weight", "bias")), ("6", ("weight", "bias"))]
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    layers += [(k, norm) for k in "147"]
    places = [p for b in range(3) for p in (f"edge_nets.{b}.model", f"edge_convs.{b}.nn.model")]
    expected = {f"{p}.{k}.{name}" for p in places for k, names in layers for name in names}
    expected |= {"fc1.0.weight", "fc1.0.bias", "fc2.weight", "fc2.bias"}
    assert set(ParticleNet().state_dict()) == expected


def test_blocks_are_edge_convolutions_over_brute_force_neighbours():
    net = fill(ParticleNet()).double()
    jet = torch.randn(21, 3, dtype=torch.double)
    x = jet
    for block in range(3):
        seen = x if block else x[:, :2]
        distance = (seen[:, None] - seen[None]).square().sum(2)
        others = [
            sorted((j for j in range(21) if j != i), key=lambda j, i=i: distance[i, j].item())[:16]
            for i in range(21)
        ]
        edges = torch.tensor([(j, i) for i in range(21) for j in others[i]]).T
        conv = EdgeConv(torch.nn.Identity(), aggr="mean")
        conv.nn = net.edge_nets[block]
        x = torch.cat([conv(x, edges), x], 1)
    torch.testing.assert_close(net.activations(jet[None])[0], net.fc1(x.mean(0)))


def test_neighbours_agree_with_sorting():
    x = torch.randn(3, 9, 4)
    distance = (x[:, :, None] - x[:, None]).norm(dim=3) + torch.eye(9) * 1e9
    expected = distance.argsort(2)[:, :, :5].sort(2).values
    torch.testing.assert_close(nearest_others(x, 5).sort(2).values, expected)
    assert nearest_others(x, 20).shape == (3, 9, 8)


def test_order_of_particles_does_not_matter_and_jets_are_independent():
    net, x = fill(ParticleNet()).double(), torch.randn(4, 12, 3, dtype=torch.double)
    whole = net.activations(x)
    torch.testing.assert_close(net.activations(x[:, torch.randperm(12)]), whole)
    torch.testing.assert_close(net.activations(x[2:3]), whole[2:3])


def test_it_learns_a_few_jets_by_heart():
    torch.manual_seed(0)
    net, x, label = ParticleNet(classes=2), torch.randn(8, 6, 3), torch.arange(8) % 2
    optimiser, losses = torch.optim.Adam(net.parameters(), 3e-3), []
    for _ in range(15):
        loss = torch.nn.functional.cross_entropy(net(x), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    assert all(bool(p.grad.isfinite().all()) for p in net.parameters())


def test_one_particle_has_no_neighbours_and_is_refused():
    with pytest.raises(ArgumentError, match="n ≥ 2"):
        ParticleNet().activations(torch.zeros(2, 1, 3))
