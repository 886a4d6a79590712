"""HepMC3 as pyhepmc reads it: the four-momenta of the particles add up to the jets."""

from __future__ import annotations

import math
import sys

import pytest
import torch

from pcgen import clouds as pc
from pcgen import io
from pcgen.errors import ArgumentError, FileError, MissingExtraError
from pcgen.schema import Quantity, Schema
from pcgen.testing import clouds_of_schema

pyhepmc = pytest.importorskip("pyhepmc")


def jets(sizes):
    clouds = clouds_of_schema(io.JETS, sizes, spread=0.3)
    weight, y, label = 200 * clouds.weight, 1000 + 100 * clouds.y, torch.arange(len(sizes)) % 3
    return pc.replace(clouds, weight=weight, y=y, label=label)


def events(path):
    with pyhepmc.open(str(path)) as file:
        return list(file)


def test_momenta_add_up_to_transverse_momentum_and_mass(tmp_path):
    clouds = jets([5, 1, 0, 40])
    io.write_clouds(tmp_path / "a.hepmc", clouds, io.JETS)
    found = events(tmp_path / "a.hepmc")
    assert [event.event_number for event in found] == [0, 1, 2, 3]
    for number, event in enumerate(found):
        cloud = pc.select(clouds, [number])
        particles = [p for p in event.particles if p.status == 1]
        assert {p.pid for p in event.particles} <= {0}
        assert len(particles) == cloud.num_nodes
        # By the formula of a massless pair: m² = Σ 2 p_i p_j (cosh Δη - cos Δφ).
        (eta, phi), pt = cloud.pos.double().unbind(1), cloud.weight.double()
        apart = (eta[:, None] - eta).cosh() - (phi[:, None] - phi).cos()
        mass = (pt[:, None] * pt * apart).sum().clamp(min=0).sqrt()
        px, py = (pt * phi.cos()).sum(), (pt * phi.sin()).sum()
        total = [
            sum(getattr(p.momentum, part) for p in particles) for part in ("px", "py", "pz", "e")
        ]
        assert math.hypot(*total[:2]) == pytest.approx(float(torch.hypot(px, py)))
        square = total[3] ** 2 - total[0] ** 2 - total[1] ** 2 - total[2] ** 2
        assert math.sqrt(max(square, 0)) == pytest.approx(float(mass), rel=1e-6, abs=1e-4)
        assert all(abs(p.momentum.m2()) < 1e-6 * p.momentum.e**2 for p in particles)
        assert event.attributes["jet_pt"].astype(float) == pytest.approx(float(cloud.y))
        assert event.attributes["class"].astype(str) == io.JETS.labels[number % 3]
    (jet,) = (p for p in found[3].particles if p.status == 2)
    assert jet.momentum.e == pytest.approx(total[3])
    assert len(jet.children) == 40


def test_the_axis_is_that_of_the_conditions(tmp_path):
    """A particle in the middle of its jet flies along the axis of the jet."""
    schema = Schema(
        io.JETS.axes, io.JETS.weight, (), (Quantity("jet_phi", "rad"), Quantity("jet_eta"))
    )
    clouds = pc.make(torch.zeros(1, 2), [1], weight=torch.ones(1), y=torch.tensor([[2.5, -1.5]]))
    io.write_clouds(tmp_path / "a.hepmc", clouds, schema)
    (particle,) = (p for p in events(tmp_path / "a.hepmc")[0].particles if p.status == 1)
    momentum = particle.momentum
    assert (momentum.phi(), momentum.eta(), momentum.pt()) == pytest.approx((2.5, -1.5, 1.0))


def test_only_jets_are_written_and_nothing_is_read(tmp_path):
    with pytest.raises(
        ArgumentError, match=r"expected eta_rel, phi_rel \[rad\] and GeV for HepMC3"
    ):
        io.cloud_writer(tmp_path / "a.hepmc", Schema((Quantity("x"),), Quantity("E", "GeV")))
    io.write_clouds(tmp_path / "a.hepmc", jets([2]), io.JETS)
    with pytest.raises(FileError, match=r"a\.hepmc: is HepMC3, which pcgen writes and does not"):
        io.read_clouds(tmp_path / "a.hepmc")


def test_a_missing_library_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyhepmc", None)
    with pytest.raises(MissingExtraError, match=r"pyhepmc is needed here .*extra 'hepmc'"):
        io.cloud_writer(tmp_path / "a.hepmc", io.JETS)
