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


def test_only_jets_are_written(tmp_path):
    with pytest.raises(
        ArgumentError, match=r"expected eta_rel, phi_rel \[rad\] and GeV for HepMC3"
    ):
        io.cloud_writer(tmp_path / "a.hepmc", Schema((Quantity("x"),), Quantity("E", "GeV")))


def test_jets_are_read_again_around_their_axis(tmp_path):
    """What is written along the axis 0 has the coordinates and momenta that it had."""
    clouds = jets([5, 1, 0, 40])
    io.write_clouds(tmp_path / "a.hepmc", clouds, io.JETS)
    with io.open_file(tmp_path / "a.hepmc") as source:
        found = pc.concat(list(source.blocks(2)))
        assert len(source) == 4
        assert source.sizes().tolist() == [5, 1, 0, 40]
    assert found.ptr.tolist() == clouds.ptr.tolist()
    torch.testing.assert_close(found.pos.float(), clouds.pos)
    torch.testing.assert_close(found.weight.float(), clouds.weight)


def of_units(path, unit, particles, version=3):
    """A file of two events of particles (px, py, pz, e, pid, status), in a unit."""
    with pyhepmc.open(str(path), "w", format="hepmc2" if version == 2 else "hepmc3") as file:
        for number in range(2):
            event = pyhepmc.GenEvent(unit, pyhepmc.Units.MM)
            event.event_number, event.weights = number, [1.0]
            vertex = pyhepmc.GenVertex()
            vertex.add_particle_in(pyhepmc.GenParticle((0, 0, 1, 1), 2212, 4))
            for *momentum, pid, status in particles:
                vertex.add_particle_out(pyhepmc.GenParticle(momentum, pid, status))
            event.add_vertex(vertex)
            file.write(event)


PARTICLES = [
    (3.0, 4.0, 12.0, 13.0, 211, 1),
    (0.0, 2.0, 0.0, 2.0, 22, 1),
    (1.0, 1.0, 1.0, 2.0, 23, 2),  # has decayed
    (0.0, 0.0, 9.0, 9.0, 2112, 1),  # in the beam pipe: no pseudorapidity
    (0.0, -1.0, 0.0, 1.0, 1000020040, 1),
]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("unit", ["GEV", "MEV"])
def test_final_particles_are_read_in_gev(tmp_path, version, unit):
    scale = {"GEV": 1, "MEV": 1000}[unit]
    particles = [tuple(scale * m for m in each[:4]) + each[4:] for each in PARTICLES]
    of_units(tmp_path / "a.hepmc", getattr(pyhepmc.Units, unit), particles, version)
    found, schema = io.read_clouds(tmp_path / "a.hepmc")
    assert pc.sizes(found).tolist() == [3, 3]
    expected = [(math.asinh(12 / 5), math.atan2(4, 3)), (0, math.pi / 2), (0, -math.pi / 2)]
    torch.testing.assert_close(found.pos[:3].double(), torch.tensor(expected, dtype=torch.double))
    assert found.weight[:3].tolist() == pytest.approx([5, 2, 1])
    (pdg,) = schema.features
    names = [pdg.categories[int(k)] for k in found.x[:3, 0]]
    assert names == ["211", "22", "other"]
    assert (schema.weight.name, schema.weight.unit) == ("pt", "GeV")
    assert schema.periods == (None, 2 * math.pi)


def test_a_hepmc_file_that_ends_early_names_the_event(tmp_path):
    of_units(tmp_path / "a.hepmc", pyhepmc.Units.GEV, PARTICLES)
    data = (tmp_path / "a.hepmc").read_bytes()
    (tmp_path / "b.hepmc").write_bytes(data[: data.rindex(b"\nP 4")])
    with pytest.raises(FileError, match=r"b\.hepmc: (event 1 cannot be read|ends after row 1)"):
        io.read_clouds(tmp_path / "b.hepmc")


def test_a_missing_library_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyhepmc", None)
    with pytest.raises(MissingExtraError, match=r"pyhepmc is needed here .*extra 'hepmc'"):
        io.cloud_writer(tmp_path / "a.hepmc", io.JETS)
