"""Numbers that mean something else than their names say: stopped, or named in one line."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen import clouds as pc
from pcgen import io
from pcgen.errors import ArgumentError
from pcgen.grids import Grid
from pcgen.images import cloud_to_image
from pcgen.periods import beyond_period
from pcgen.schema import Quantity, Schema
from pcgen.tools import cli
from pcgen.tools.convert import convert
from pcgen.tools.doubts import doubts

HITS = Schema(
    (Quantity("x", "mm"), Quantity("phi", "rad", 2 * math.pi)),
    weight=Quantity("energy", "GeV"),
    condition=(Quantity("beam", "GeV"),),
)


def hits(events=40, seed=0):
    g = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 9, (events,), generator=g)
    number = int(sizes.sum())
    pos = torch.stack(
        [2 + torch.rand(number, generator=g), torch.rand(number, generator=g) * 6 - 3], 1
    )
    weight = torch.rand(number, generator=g) + 0.1
    return pc.make(pos, sizes, weight=weight, y=50 + torch.rand(events, 1, generator=g))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@given(st.integers(0, 1000), st.integers(0, 1000), st.floats(0.02, 50))
def test_events_that_differ_by_less_are_beyond_doubt(seed, other, factor):
    real, generated = hits(seed=seed), hits(seed=other)
    generated = pc.replace(generated, weight=generated.weight * factor)
    assert doubts(real, generated, HITS) == []


@pytest.mark.parametrize("factor", [1e3, 1e-3, 1e6])
@pytest.mark.parametrize(
    ("name", "words"), [("weight", "weight energy [GeV]"), ("y", "condition beam [GeV]")]
)
def test_a_factor_of_a_thousand_is_named(name, words, factor):
    generated = hits(seed=1)
    generated = pc.replace(generated, **{name: generated[name] * factor})
    (line,) = doubts(hits(), generated, HITS)
    assert line.startswith(f"generated events: {words} is ")
    assert line.endswith("another unit?")


def test_degrees_that_are_called_rad_are_named():
    generated = hits(seed=1)
    degrees = generated.pos * torch.tensor([1.0, 180 / math.pi])
    lines = doubts(hits(), pc.replace(generated, pos=degrees), HITS)
    assert lines == [
        f"generated events: phi [rad] reaches {float(degrees[:, 1].abs().max()):.4g}, beyond its "
        "period of 6.283: another unit?"
    ]


def test_swapped_axes_are_named_and_like_ones_are_not():
    generated = hits(seed=1)
    swapped = pc.replace(generated, pos=generated.pos.flip(1))
    (line,) = doubts(hits(), swapped, HITS)
    assert "x [mm] and phi [rad] look swapped" in line
    alike = pc.replace(hits(), pos=hits().pos[:, :1].repeat(1, 2))
    assert doubts(alike, pc.replace(alike, pos=alike.pos.flip(1)), HITS) == []


def test_values_that_are_missing_or_not_finite_are_passed_over():
    empty = pc.make(torch.zeros(0, 2), [0, 0], weight=torch.zeros(0))
    assert doubts(hits(), empty, HITS) == doubts(empty, hits(), HITS) == []
    broken = hits(seed=1)
    broken.pos[0], broken.weight[0] = math.nan, math.inf
    assert doubts(hits(), broken, HITS) == []
    assert beyond_period(torch.tensor([1e9, 6.28]), HITS, "a.h5") == []


def test_names_are_written_on_one_line():
    schema = Schema((Quantity("p\x1b[1m\nhi", "rad", 1.0),))
    assert beyond_period(torch.tensor([2.0]), schema, "a\n.h5")[0].startswith("a .h5: p [1m hi")


def test_evaluate_prints_them(here, capsys):
    io.write_clouds("real.h5", hits(), HITS)
    other = hits(seed=1)
    mev = pc.replace(other, weight=other.weight * 1000, y=other.y * 1000)
    io.write_clouds("mev.h5", mev, HITS)
    words = ["--split", "all", "--repeats", "2", "--subset", "0", "--permutations", "0"]
    assert cli.main(["evaluate", "real.h5", "mev.h5", *words]) == 0
    printed = capsys.readouterr().out
    assert printed.count("generated events: weight energy [GeV] is") == 1
    assert printed.count("generated events: condition beam [GeV] is") == 1


def test_evaluate_refuses_another_unit_or_period_of_a_condition(here, capsys):
    io.write_clouds("real.h5", hits(), HITS)
    for condition in (Quantity("beam", "MeV"), Quantity("beam", "GeV", 7.0)):
        io.write_clouds("other.h5", hits(), Schema(HITS.axes, HITS.weight, (), (condition,)))
        assert cli.main(["evaluate", "real.h5", "other.h5", "--split", "all"]) == 1
        assert "got condition beam" in capsys.readouterr().err


def test_convert_names_an_axis_beyond_its_period(here, capsys):
    clouds = hits()
    io.write_clouds("deg.h5", pc.replace(clouds, pos=clouds.pos * 60), HITS)
    convert("deg.h5", "deg.ply", event=0)
    assert "deg.h5: phi [rad] reaches" in capsys.readouterr().out
    io.write_clouds("rad.h5", clouds, HITS)
    convert("rad.h5", "rad.ply", event=0)
    assert "reaches" not in capsys.readouterr().out


@pytest.mark.parametrize("text", ["energy [MeV]", "energy", "pt [GeV]"])
def test_a_weight_is_never_relabelled(here, text):
    io.write_clouds("a.h5", hits(), HITS)
    with pytest.raises(ArgumentError, match=r"weight: got .*, expected energy \[GeV\] as in a"):
        convert("a.h5", "b.h5", weight=text)
    assert not (here / "b.h5").exists()
    convert("a.h5", "b.h5", weight="energy [GeV]")
    assert io.read_clouds("b.h5")[1] == HITS


def test_what_a_file_leaves_open_may_be_given(here):
    schema = Schema(HITS.axes, Quantity("energy"))
    io.write_clouds("a.h5", pc.make(torch.ones(2, 2), [2], weight=torch.ones(2)), schema)
    convert("a.h5", "b.h5", weight="energy [MeV]")
    assert io.read_clouds("b.h5")[1].weight == Quantity("energy", "MeV")


@pytest.mark.parametrize("axis", ["phi:-180:180:8:deg:360", "phi:-3:3:8:rad:7", "phi:-3:3:8:deg"])
def test_a_grid_never_relabels_the_axes_of_images(here, axis):
    grid = Grid.parse("x:-9:9:4,phi:-3.1:3.1:8", HITS.axes)
    images = io.Images(cloud_to_image(hits(), grid), None, None)
    with io.image_writer("a.npz", 40, grid, HITS) as sink:
        sink.append(images)
    with pytest.raises(ArgumentError, match=r"grid: got phi .*, expected phi \[rad\] with period"):
        convert("a.npz", "b.h5", grid=f"x:-9:9:4,{axis}")
    convert("a.npz", "b.h5", grid="x:-9:9:4,phi:-3.1:3.1:8")
    assert io.read_clouds("b.h5")[1].axes == HITS.axes


def test_an_own_condition_never_gets_another_unit(here):
    io.write_clouds("a.h5", hits(), HITS)
    for where in ("y", "y:0", "a.h5:y"):
        with pytest.raises(ArgumentError, match="expected the unit GeV of beam in"):
            convert("a.h5", "b.h5", condition=[f"beam [MeV]={where}"])
    np.save("own.npy", np.ones(40))
    convert("a.h5", "b.h5", condition=["beam [MeV]=own.npy"])
    assert io.read_clouds("b.h5")[1].condition == (Quantity("beam", "MeV"),)


def test_jetnets_layout_takes_gev(here):
    schema = Schema(io.JETS.axes, io.JETS.weight, (), (Quantity("jet_pt", "MeV"),))
    jets = pc.make(torch.zeros(2, 2), [2], weight=torch.ones(2), y=torch.full((1, 1), 2000.0))
    io.write_clouds("a.h5", jets, schema)
    with pytest.raises(ArgumentError, match="got jet_pt in MeV, expected GeV"):
        convert("a.h5", "b.hdf5")


def test_training_names_an_axis_beyond_its_period(here):
    from pcgen.datasets import open_clouds
    from pcgen.tools.training_data import unlikely

    clouds = hits()
    io.write_clouds("deg.h5", pc.replace(clouds, pos=clouds.pos * 60), HITS)
    assert unlikely(open_clouds("deg.h5"))[0].startswith("training events: phi [rad] reaches")
    io.write_clouds("rad.h5", clouds, HITS)
    assert unlikely(open_clouds("rad.h5")) == []
