from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from pcgen import clouds as pc
from pcgen.errors import DataError, FileError
from pcgen.metrics.jets import jetnet as module
from pcgen.metrics.jets.jetnet import (
    frechet_particlenet_distance,
    load_particlenet,
    load_statistics,
    particlenet_activations,
)
from pcgen.nn import ParticleNet
from pcgen.testing import random_clouds

random_jets = partial(random_clouds, spread=0.2)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "pnet_state_dict.pt"
    torch.save(ParticleNet().state_dict(), path)
    return path


@pytest.fixture
def statistics(tmp_path):
    path = tmp_path / "gluon.npz"
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(256, 256)) * 0.02
    np.savez(path, mu=rng.normal(size=256) * 0.1, sigma=mix @ mix.T)
    return path


def test_is_the_frechet_distance_of_the_activations(weights, statistics):
    net = load_particlenet(weights)
    jets = random_jets([30] * 20 + [12, 1, 0])
    with pytest.warns(RuntimeWarning, match="FPND of 23 jets is biased up"):
        value = frechet_particlenet_distance(jets, net, load_statistics(statistics))
    seen = particlenet_activations(jets, net).numpy()
    file = np.load(statistics)
    sigma = np.cov(seen, rowvar=False)
    expected = np.square(seen.mean(0) - file["mu"]).sum() + np.trace(sigma + file["sigma"])
    expected -= 2 * np.trace(sqrtm(file["sigma"] @ sigma).real)
    assert value == pytest.approx(expected, rel=1e-4)  # sqrtm of a singular product


def test_padding_and_scaling_are_those_of_jetnet(weights):
    net = load_particlenet(weights)
    jets = random_jets([3, 0, 30])
    dense = torch.zeros(3, 30, 3)
    for b, one in enumerate(jets.to_data_list()):
        dense[b, : one.num_nodes] = torch.cat([one.pos, one.weight[:, None]], 1)
    dense = dense / torch.tensor([1.6211985349655151, 0.520724892616272, 0.8934717178344727])
    dense[..., 2] -= 0.5
    expected = net.activations(dense).double()
    torch.testing.assert_close(particlenet_activations(jets, net), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(particlenet_activations(jets, net, batch=2), expected)


def test_only_the_first_jets_count(weights, statistics, monkeypatch):
    monkeypatch.setattr(module, "JETS", 5)
    net, real = load_particlenet(weights), load_statistics(statistics)
    jets = random_jets([7] * 9)
    first = frechet_particlenet_distance(
        pc.select(jets, slice(5)), net, real
    )  # as many as requested: no warning
    assert frechet_particlenet_distance(jets, net, real) == pytest.approx(first, rel=1e-9)


def test_text_files_of_jetnet_are_read(tmp_path, statistics):
    file = np.load(statistics)
    np.savetxt(tmp_path / "g_mu.txt", file["mu"])
    np.savetxt(tmp_path / "g_sigma.txt", file["sigma"])
    one = load_statistics(statistics)
    other = load_statistics(tmp_path / "g_mu.txt", tmp_path / "g_sigma.txt")
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b)


def test_wrong_files_are_named(tmp_path, weights, statistics):
    missing = tmp_path / "missing.pt"
    for load in (load_particlenet, load_statistics):
        with pytest.raises(FileError, match=r"missing\.pt"):
            load(missing)
    foreign = tmp_path / "foreign.pt"
    torch.save({"fc2.bias": torch.zeros(5)}, foreign)
    with pytest.raises(FileError, match=r"foreign\.pt: got .*expected ParticleNet's weights"):
        load_particlenet(foreign)
    torch.save([1, 2], foreign)
    with pytest.raises(FileError, match=r"foreign\.pt: got no fc2\.bias"):
        load_particlenet(foreign)
    foreign.write_bytes(b"not a checkpoint")
    with pytest.raises(FileError, match=r"foreign\.pt"):
        load_particlenet(foreign)
    with pytest.raises(FileError, match=r"pnet_state_dict\.pt"):
        load_statistics(weights)
    np.savez(tmp_path / "bad.npz", mu=np.zeros(3), sigma=np.zeros((2, 2)))
    with pytest.raises(FileError, match=r"bad\.npz: got mu \(3,\) and sigma \(2, 2\)"):
        load_statistics(tmp_path / "bad.npz")
    np.savez(tmp_path / "object.npz", mu=np.array([None]), sigma=np.zeros((1, 1)))
    with pytest.raises(FileError, match=r"object\.npz"):
        load_statistics(tmp_path / "object.npz")


def test_jets_that_do_not_fit_are_refused(weights, statistics):
    net, real = load_particlenet(weights), load_statistics(statistics)
    with pytest.raises(DataError, match="jet 1: got 31 particles"):
        particlenet_activations(random_jets([3, 31]), net)
    with pytest.raises(DataError, match="got 1 jets"):
        frechet_particlenet_distance(random_jets([3]), net, real)
    jets = random_jets([3, 3])
    bad = pc.replace(jets, pos=jets.pos.clone().index_fill(0, torch.tensor([4]), torch.nan))
    with pytest.raises(DataError, match="pos of event 1"):
        particlenet_activations(bad, net)
