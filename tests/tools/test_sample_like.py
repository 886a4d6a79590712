from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy_models import Toy
from toy_recipes import FAST

import pcgen
from pcgen import clouds as pc
from pcgen.datasets.jets import sample_jets
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io import JETS, CloudFile, open_file, read_clouds, write_clouds
from pcgen.models import blocks
from pcgen.models.request import Request
from pcgen.schema import Quantity, Schema
from pcgen.tools.cli import main
from pcgen.tools.conditions import of_table
from pcgen.tools.convert import convert
from pcgen.tools.sample import sample
from pcgen.tools.train import train

pytestmark = pytest.mark.usefixtures("tiny_recipe")

TWO = Schema(
    (Quantity("x", "mm"),),
    condition=(Quantity("E", "GeV"), Quantity("eta")),
    labels=("photon", "pion"),
)


@pytest.fixture(scope="module")
def test_file(tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("data") / "test.h5"
    write_clouds(file, sample_jets("all", max_points=20).read(0, 90), JETS)
    return str(file)


# --- like a file ----------------------------------------------------------------------------------


def test_events_are_paired_with_those_of_a_file(run, test_file, tmp_path):
    real = read_clouds(test_file)[0]
    sample(str(run), str(tmp_path / "a.h5"), like=test_file, batch_size=40)
    generated = read_clouds(tmp_path / "a.h5")[0]
    assert torch.equal(generated.y, real.y)
    assert torch.equal(generated.label, real.label)
    assert not torch.equal(pc.sizes(generated), pc.sizes(real))
    sample(str(run), str(tmp_path / "b.h5"), like=test_file, number=7, points=3)
    some = read_clouds(tmp_path / "b.h5")[0]
    assert torch.equal(some.y, real.y[:7])
    assert pc.sizes(some).tolist() == [3] * 7
    with CloudFile(tmp_path / "a.h5") as file:
        assert file.attrs["like"] == Path(test_file).name
        assert file.attrs["split"] == "all"


def test_a_split_is_that_of_the_data_set(run, test_file, tmp_path, capsys):
    output = str(tmp_path / "a.h5")
    assert main(["sample", str(run), output, "--like", test_file, "--split", "test"]) == 0
    expected = pcgen.datasets.open_clouds(test_file, "test").load()
    assert torch.equal(read_clouds(output)[0].y, expected.y)


def test_files_that_mean_something_else_are_refused(run, test_file, tmp_path):
    other = Schema(JETS.axes, JETS.weight, (), (Quantity("jet_pt", "MeV"),), JETS.labels)
    jets = read_clouds(test_file)[0]
    write_clouds(tmp_path / "mev.h5", pc.replace(jets, x=None), other)
    write_clouds(tmp_path / "bare.h5", pc.replace(jets, label=None), JETS)
    output = str(tmp_path / "a.h5")
    for name, message in (
        ("mev", r"mev\.h5: got .* as the model was trained for"),
        ("bare", r"bare\.h5: got events without a class"),
    ):
        with pytest.raises(DataError, match=message):
            sample(str(run), output, like=str(tmp_path / f"{name}.h5"))
    with pytest.raises(FileError, match=r"none\.h5"):
        sample(str(run), output, like=str(tmp_path / "none.h5"))
    assert not Path(output).exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"like": "F", "classes": ["g"]}, "like: got classes too, expected one of them"),
        ({"like": "F", "condition": {"jet_pt": 1.0}}, "like: got condition too"),
        ({"like": "F", "conditions": "a.csv"}, "like: got conditions too"),
        ({"like": "F", "number": 91}, "number: got 91, expected at most the 90 events"),
        ({"split": "test"}, "split: got test without like"),
        ({"conditions": "a.csv", "points": 3}, "conditions: got points too"),
        ({"conditions": "a.csv", "number": 3}, "conditions: got number too"),
        ({"processes": 0}, "processes: got 0, expected >= 1"),
        ({"seed": -1}, "seed: got -1, expected 0 <= seed"),
    ],
)
def test_options_that_exclude_each_other_are_refused(run, test_file, tmp_path, options, message):
    chosen = {name: test_file if value == "F" else value for name, value in options.items()}
    with pytest.raises(ArgumentError, match=message):
        sample(str(run), str(tmp_path / "a.h5"), **chosen)
    assert list(tmp_path.iterdir()) == []


# --- conditions from a table ----------------------------------------------------------------------


def test_each_line_of_a_table_is_an_event(run, tmp_path):
    (tmp_path / "a.csv").write_text("class, jet_pt ,points\nt,1000,4\n\ng,1100.5,0\nt,900,6\n")
    output = str(tmp_path / "a.h5")
    assert main(["sample", str(run), output, "--conditions", str(tmp_path / "a.csv")]) == 0
    clouds, schema = read_clouds(output)
    assert [schema.labels[k] for k in clouds.label.tolist()] == ["t", "g", "t"]
    assert clouds.y.flatten().tolist() == [1000.0, 1100.5, 900.0]
    assert pc.sizes(clouds).tolist() == [4, 0, 6]


def test_tables_of_all_kinds_are_the_same(tmp_path):
    energy, eta = np.array([1.5, 2.5]), np.array([0.25, -0.25])
    kinds = np.array(["pion", "photon"])
    (tmp_path / "a.csv").write_text("eta,E,class\n0.25,1.5,pion\n-0.25,2.5,photon\n")
    np.savez(tmp_path / "a.npz", E=energy, eta=eta[:, None], **{"class": kinds})
    rows = np.array(
        list(zip(energy, eta, kinds, strict=True)), [("E", "f8"), ("eta", "f4"), ("class", "U9")]
    )
    np.save(tmp_path / "a.npy", rows)
    for ending in ("csv", "npz", "npy"):
        request = of_table(str(tmp_path / f"a.{ending}"), TWO)
        assert request.number == 2
        assert request.y.tolist() == [[1.5, 0.25], [2.5, -0.25]]
        assert request.label.tolist() == [1, 0]
        assert request.sizes is None


def test_columns_that_are_not_there_are_free(tmp_path):
    (tmp_path / "a.csv").write_text("points\n3\n4\n")
    request = of_table(str(tmp_path / "a.csv"), TWO)
    assert request.sizes.tolist() == [3, 4]
    assert (request.y, request.label, request.context) == (None, None, None)
    np.save(tmp_path / "pt.npy", np.array([[900.0], [1000.0]]))
    assert of_table(str(tmp_path / "pt.npy"), JETS).y.tolist() == [[900.0], [1000.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("E,eta,mass\n1,2,3\n", "got the columns E, eta, mass, expected some of E, eta, class, po"),
        ("E\n1\n", "got the columns E, expected some of .*, and eta too"),
        ("E;eta\n1;2\n", "got the columns E;eta"),
        ("E,eta\n1,5,2\n", r"got 3 values in line 2, expected 2 \(E, eta\)"),
        ("E,eta\n1,2\n\n3\n", "got 1 values in line 4"),
        ("E,E\n1,2\n", "got the columns E, E, expected different names"),
        ("E,eta\n1,fast\n", "eta of event 0 is 'fast', expected a finite number"),
        ("E,eta\n1,2\n1,\n", "eta of event 1 is '', expected a finite number"),
        ("E,eta\nnan,2\n", "E of event 0 is 'nan'"),
        ("E,eta\n1,inf\n", "eta of event 0 is 'inf'"),
        ("class\nmuon\n", "class of event 0 is 'muon', expected one of photon, pion"),
        ("class\n1\n", "class of event 0 is '1', expected one of photon, pion"),
        ("points\n2.5\n", "points of event 0 is '2.5', expected a whole number"),
        ("points\n-1\n", "points of event 0 is '-1'"),
        ("E,eta\n", "got 0 of E, 0 of eta, expected as many values of each, at least one"),
        ("", "got the columns none"),
    ],
)
def test_tables_that_cannot_be_used_are_named(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=f"a.csv: {message}"):
        of_table(str(tmp_path / "a.csv"), TWO)


def test_damaged_and_foreign_tables_are_named(tmp_path):
    for name, content in (("a.npy", b"?"), ("a.npz", b"PK\x03\x04"), ("a.csv", b'E\n"1\xff')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(
            FileError, match=rf"{name}:? (cannot be read|truncated or not an \.npz)"
        ):
            of_table(str(tmp_path / name), TWO)
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object))
    with pytest.raises(FileError, match=r"o\.npy cannot be read"):
        of_table(str(tmp_path / "o.npy"), JETS)
    np.save(tmp_path / "two.npy", np.zeros((3, 2)))
    with pytest.raises(DataError, match=r"two\.npy: got an array without names, expected named"):
        of_table(str(tmp_path / "two.npy"), TWO)
    np.savez(tmp_path / "b.npz", E=np.zeros(3), eta=np.zeros(2))
    with pytest.raises(DataError, match=r"b\.npz: got 3 of E, 2 of eta"):
        of_table(str(tmp_path / "b.npz"), TWO)
    np.savez(tmp_path / "c.npz", E=np.zeros((3, 2)), eta=np.zeros(3))
    with pytest.raises(DataError, match=r"c\.npz: got E of shape \(3, 2\)"):
        of_table(str(tmp_path / "c.npz"), TWO)
    with pytest.raises(FileError, match=r"none\.csv: no such file"):
        of_table(str(tmp_path / "none.csv"), TWO)
    with pytest.raises(ArgumentError, match=r"expected a file \.csv, \.npy or \.npz"):
        of_table(str(tmp_path / "a.txt"), TWO)


# --- blocks and processes -------------------------------------------------------------------------


@given(number=st.integers(0, 30), size=st.integers(1, 40))
def test_ranges_cover_everything_once(number, size):
    found = list(blocks.ranges(number, size))
    assert [k for rows in found for k in range(number)[rows]] == list(range(number))
    assert all(0 < rows.stop - rows.start <= size for rows in found)
    with pytest.raises(ArgumentError, match="block: got 0"):
        list(blocks.ranges(number, 0))


@given(number=st.integers(1, 12), size=st.integers(1, 5), seed=st.integers(0, 2**40))
def test_blocks_are_drawn_with_random_numbers_of_their_own(number, size, seed):
    model = Toy()
    drawn = list(
        blocks.sample_in_blocks(
            model, Request(number), size, lambda block: blocks.block_generator(seed, block)
        )
    )
    assert sum(each.num_graphs for each in drawn) == number
    for block, each in enumerate(drawn):
        alone = model.sample(number=each.num_graphs, generator=blocks.block_generator(seed, block))
        assert torch.equal(each.pos, alone.pos)
    first = model.sample(number=min(number, size), generator=torch.Generator().manual_seed(seed))
    assert torch.equal(drawn[0].pos, first.pos)
    values = torch.cat([each.pos for each in drawn])
    assert len(values.unique()) == len(values)


@pytest.mark.slow
def test_several_processes_give_the_same_file(run, test_file, tmp_path):
    options = {"like": test_file, "batch_size": 20, "recipe": "toy_recipes:tiny", "seed": 5}
    for processes in (1, 2):
        sample(str(run), str(tmp_path / f"{processes}.h5"), processes=processes, **options)
    one, two = (read_clouds(tmp_path / f"{processes}.h5")[0] for processes in (1, 2))
    for name, value in pc.attributes(one).items():
        assert torch.equal(value, two[name]), name
    assert torch.equal(one.ptr, two.ptr)


def test_a_run_that_is_sampled_again_is_read_again(tmp_path, test_file):
    folder, options = tmp_path / "run", {**FAST, "samples": 0, "data": [test_file]}
    generated = []
    for steps in (1, 2):
        train("tiny", output=str(folder), **{**options, "steps": steps})
        sample(str(folder / "checkpoints/last.ckpt"), str(tmp_path / "a.h5"), number=5)
        generated.append(read_clouds(tmp_path / "a.h5")[0].pos)
    assert generated[0].shape != generated[1].shape or not torch.equal(*generated)


# --- a user's own recipe, and images --------------------------------------------------------------


def test_a_users_own_recipe(tmp_path, test_file):
    run = str(tmp_path / "run")
    name = "toy_recipes:tiny"
    train(name, output=run, data=[test_file], **{**FAST, "samples": 0})
    with pytest.raises(FileError, match="names the recipe 'toy_recipes:tiny'"):
        sample(run, str(tmp_path / "a.h5"), number=3)
    sample(run, str(tmp_path / "a.h5"), number=3, recipe=name)
    with pytest.raises(ArgumentError, match="toy_recipes has no 'huge'"):
        sample(run, str(tmp_path / "a.h5"), number=3, recipe="toy_recipes:huge")


def test_models_on_a_grid_write_it_and_images(tmp_path, test_file):
    run, small = str(tmp_path / "run"), {"channels": 2, "grid": GRID}
    train("image-vae", small, output=run, data=[test_file], **{**FAST, "samples": 0})
    sample(run, str(tmp_path / "a.h5"), number=5)
    sample(run, str(tmp_path / "a.npz"), number=5)
    sample(run, str(tmp_path / "a.npy"), number=5)
    with CloudFile(tmp_path / "a.h5") as file:
        grid = pcgen.grids.Grid.from_dict(file.attrs["grid"])
        clouds, made_by = file.read(), {k: v for k, v in file.attrs.items() if k != "grid"}
    with open_file(tmp_path / "a.npz") as images:
        assert images.grid == grid
        assert images.attrs == made_by
        block = images.read()
    assert torch.equal(block.image, pcgen.images.cloud_to_image(clouds, grid))
    assert np.array_equal(np.load(tmp_path / "a.npy"), block.image.numpy())
    # What generated the events goes on with them through other files.
    convert(str(tmp_path / "a.npz"), str(tmp_path / "b.h5"), to_format="images")
    convert(str(tmp_path / "b.h5"), str(tmp_path / "c.h5"))
    with CloudFile(tmp_path / "c.h5") as file:
        assert file.attrs == {**made_by, "grid": grid.to_dict()}


GRID = "eta_rel:-0.4:0.4:8,phi_rel:-0.4:0.4:8:rad"


def test_models_of_points_write_no_images(run, tmp_path):
    with pytest.raises(ArgumentError, match=r"a\.png: got the format of images, but this model"):
        sample(str(run), str(tmp_path / "a.png"), number=3)
    with pytest.raises(ArgumentError, match=r"a\.npz: got the format of images, but this model"):
        sample(str(run), str(tmp_path / "a.npz"), number=3, to_format="npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("points", ["-1", "1e30", "1.5", "nan"])
def test_numbers_of_points_in_a_table_are_whole(tmp_path, points):
    (tmp_path / "a.csv").write_text(f"points\n3\n{points}\n")
    with pytest.raises(DataError, match=f"points of event 1 is '{points}', expected a"):
        of_table(str(tmp_path / "a.csv"), TWO)


def test_no_more_processes_are_counted_than_draw(run, tmp_path, capsys):
    output = str(tmp_path / "a.h5")
    assert main(["sample", str(run), output, "--number", "4", "--processes", "1000"]) == 0
    assert "1 threads; start-up" in re.sub(r"\d+ threads", "1 threads", capsys.readouterr().out)


def test_a_device_without_numbers_is_refused(run, tmp_path):
    with pytest.raises(ArgumentError, match="device: got 'meta', expected one that works"):
        sample(str(run), str(tmp_path / "a.h5"), number=2, device="meta")
