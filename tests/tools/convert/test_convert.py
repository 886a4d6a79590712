"""pcgen convert: between all formats, in blocks, conserving energy."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from toy_files import GRID, TEXT, assert_same, files

from pcgen import clouds, io
from pcgen.conversion import Converted, blocks, file_to_file
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.grids import Grid
from pcgen.images import Outside, image_to_cloud
from pcgen.schema import Quantity, Schema
from pcgen.tools.cli import main
from pcgen.tools.convert import convert


@pytest.mark.parametrize("block", [1, 3, 100])
@pytest.mark.parametrize("between", ["a.h5", "a.npz", "images.h5", "e_%03d.ply", "p", "e_%d.xyz"])
def test_image_to_another_format_and_back_is_the_identity(here, image, between, block):
    """Through clouds, images and point files, whatever the block."""
    format = {"images.h5": "images", "p": "pcd"}.get(between)
    convert("image.npy", between, grid=TEXT, block=block, to_format=format)
    convert(between, "back.npy", block=block, grid=TEXT)
    np.testing.assert_array_equal(np.load("back.npy"), image.numpy())
    if not between.startswith("e_") and between != "p":  # these know their grid
        convert(between, "again.npy", block=block)
        np.testing.assert_array_equal(np.load("again.npy"), image.numpy())


def test_images_become_the_clouds_of_image_to_cloud(here, image):
    done = convert("image.npy", "a.h5", grid=TEXT, threshold=1.5, weight="energy [MeV]", block=2)
    expected = image_to_cloud(image, Grid.parse(TEXT), threshold=1.5)
    read, schema = io.read_clouds("a.h5")
    assert_same(read, expected)
    assert schema.weight == Quantity("energy", "MeV")
    assert [axis.name for axis in schema.axes] == ["eta_rel", "phi_rel"]
    assert done == Converted(7, len(expected.pos), format="clouds")


@pytest.mark.parametrize("target", ["a.h5", "a.npz"])
def test_blocks_of_large_images_have_fewer_events(here, image, monkeypatch, target):
    sizes, read = [], io.ImageSource.read

    def counted(self, start, stop, **options):
        sizes.append(stop - start)
        return read(self, start, stop, **options)

    monkeypatch.setattr(io.ImageSource, "read", counted)
    monkeypatch.setattr(blocks, "CELLS", 2 * 20 + 1)
    convert("image.npy", target, grid=TEXT)
    assert sizes == [2, 2, 2, 1]
    monkeypatch.setattr(blocks, "CELLS", 1)
    convert("image.npy", f"one-{target}", grid=TEXT)
    assert sizes[4:] == [1] * 7
    # Clouds are as large in memory as the images that they become.
    if target == "a.h5":
        convert(target, "back.npy", grid=TEXT)
        np.testing.assert_array_equal(np.load("back.npy"), image.numpy())


def test_jitter_depends_on_the_seed_and_not_on_the_block(here, image):
    for name, seed, block in (("a.h5", 1, 100), ("b.h5", 1, 2), ("c.h5", 2, 100)):
        convert("image.npy", name, grid=TEXT, jitter=True, seed=seed, block=block)
    a, b, c = (io.read_clouds(name)[0] for name in ("a.h5", "b.h5", "c.h5"))
    assert_same(a, b)
    assert not torch.equal(a.pos, c.pos)
    # Points stay in their cells: the image is the same.
    convert("c.h5", "back.npy")
    np.testing.assert_array_equal(np.load("back.npy"), image.numpy())


@pytest.mark.parametrize("name", ["b.h5", "b.hdf5", "e_%02d.ply", "e_%02d.pcd", "e_%02d.xyz"])
def test_clouds_to_another_format_and_back(here, jets, name):
    convert("jets.h5", name, block=2)
    convert(name, "back.h5", block=3)
    back, schema = io.read_clouds("back.h5")
    assert schema == io.JETS
    assert back.ptr.tolist() == jets.ptr.tolist()
    assert torch.equal(back.y, jets.y)
    assert torch.equal(back.label, jets.label)
    if name != "b.hdf5":  # JetNet sorts particles and keeps fractions of pT
        assert_same(back, jets)
    torch.testing.assert_close(clouds.total(back), clouds.total(jets))


@pytest.mark.parametrize("target", ["a.npy", "a.npz", "images.h5"])
def test_clouds_become_images_of_the_same_energy(here, jets, target):
    format = "images" if target == "images.h5" else None
    done = convert("jets.h5", target, grid=TEXT, to_format=format, block=2)
    with io.open_file(target) as source:
        images, grid, schema = source.read(), source.grid, source.schema
    torch.testing.assert_close(images.image.sum((1, 2)), clouds.total(jets))
    assert done.points == int((images.image > 0).sum())
    if target != "a.npy":
        assert grid == GRID  # with the period that the schema knows
        assert schema == io.JETS
        assert torch.equal(images.y, jets.y)
        assert torch.equal(images.label, jets.label)


def test_points_outside_are_refused_dropped_or_clipped_and_counted(here, capsys):
    pos = torch.tensor([[0.0, 0.0], [0.1, 0.1], [0.5, 0.0], [-0.7, 0.0]])
    weight = torch.tensor([1.0, 2.0, 4.0, 8.0])
    io.write_clouds("a.h5", clouds.make(pos, [1, 0, 3], weight=weight), io.JETS)
    with pytest.raises(DataError, match=r"a\.h5: 2 points of event 2 are outside the grid"):
        convert("a.h5", "a.npy", grid=TEXT, block=1)
    assert files(here) == ["a.h5"]
    done = convert("a.h5", "a.npy", grid=TEXT, outside="drop")
    assert (done.outside, done.outside_weight) == (2, 12)
    assert np.load("a.npy").sum((1, 2)).tolist() == [1, 0, 2]
    assert "2 of weight 12 were outside and dropped" in capsys.readouterr().out
    convert("a.h5", "b.npy", grid=TEXT, outside="clip")
    assert np.load("b.npy").sum((1, 2)).tolist() == [1, 0, 14]


def test_layers_keep_their_order_and_are_never_guessed(here):
    axes, layers = (Quantity("eta"), Quantity("phi", "rad", 6.5)), ("ECAL", "HCAL")
    schema = Schema(axes, Quantity("E", "GeV"), layers=layers)
    batch = clouds.make(
        torch.tensor([[0.5, 0.5], [1.5, 0.5]]),
        [2],
        weight=torch.tensor([1.0, 2.0]),
        layer=torch.tensor([1, 0]),
    )
    io.write_clouds("a.h5", batch, schema)
    text = "eta:0:2:2,phi:0:1:1"
    convert("a.h5", "a.npz", grid=text)
    with io.open_file("a.npz") as source:
        assert source.grid.layers == layers
        assert source.read().image.tolist() == [[[[0], [2]], [[1], [0]]]]
    convert("a.npz", "b.h5")
    back, found = io.read_clouds("b.h5")
    assert found == schema
    assert sorted(zip(back.layer.tolist(), back.weight.tolist(), strict=True)) == [(0, 2), (1, 1)]
    with pytest.raises(ArgumentError, match="layers HCAL, ECAL, expected ECAL, HCAL in this order"):
        convert("a.h5", "b.npz", grid=f"layers=HCAL/ECAL,{text}")


def test_three_dimensions_are_projected_on_the_axes_of_the_grid(here):
    schema = Schema(tuple(Quantity(name, "mm") for name in "xyz"), Quantity("E", "GeV"))
    pos = torch.tensor([[0.5, 7.0, 1.5], [1.5, 8.0, 0.5]])
    io.write_clouds("a.ply", clouds.make(pos, [2], weight=torch.tensor([1.0, 2.0])), schema)
    convert("a.ply", "a.npz", grid="z:0:2:2,x:0:2:2")
    with io.open_file("a.npz") as source:
        assert source.read().image.tolist() == [[[0, 2], [1, 0]]]
        assert [axis.unit for axis in source.grid.axes] == ["mm", "mm"]


def test_pictures_become_clouds_and_are_made_of_them(here, jets):
    grey = np.zeros((4, 5), dtype=np.uint16)
    grey[0, 3] = 40_000
    Image.fromarray(grey).save("grey.png")
    convert("grey.png", "a.h5", weight="charge [e]")
    read, schema = io.read_clouds("a.h5")
    assert read.pos.tolist() == [[3.5, 3.5]]  # fourth column, uppermost row
    assert read.weight.tolist() == [40_000]
    assert schema.axes[0].unit == "px"
    convert("jets.h5", "e_%03d.png", grid=TEXT)
    convert("e_%03d.png", "back.h5")
    back, schema = io.read_clouds("back.h5")
    assert schema == io.JETS
    assert torch.equal(back.label, jets.label)
    torch.testing.assert_close(clouds.total(back), clouds.total(jets), rtol=1e-4, atol=0)
    Image.fromarray(np.zeros((4, 5, 4), dtype=np.uint8)).save("figure.png")
    with pytest.raises(FileError, match=r"figure\.png: got a picture of mode RGBA"):
        convert("figure.png", "b.h5")


def test_the_grid_of_the_readme_is_that_of_jets(here):
    """What the README and the error say makes clouds that mean the same as the shipped jets."""
    np.save("many.npy", np.ones((2, 25, 25)))
    with pytest.raises(ArgumentError) as caught:
        convert("many.npy", "a.h5")
    text = str(caught.value).split("--grid ")[1]
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    assert readme.count(text) == 2
    assert text in (convert.__doc__ or "")
    convert("many.npy", "a.h5", grid=text, weight="pt [GeV]")
    schema = io.read_clouds("a.h5")[1]
    meaning = [(q.name, q.unit, q.period) for q in (*io.JETS.axes, io.JETS.weight)]
    assert [(q.name, q.unit, q.period) for q in (*schema.axes, schema.weight)] == meaning


def test_one_event(here, image, jets):
    convert("image.npy", "a.xyz", grid=TEXT, event=5)
    read, _ = io.read_clouds("a.xyz")
    torch.testing.assert_close(read.weight.sum(), image[5].sum())
    with pytest.raises(ArgumentError, match="event: got 7, expected 0 to 6"):
        convert("image.npy", "b.xyz", grid=TEXT, event=7)
    with pytest.raises(ArgumentError, match=r"more than one event.* b_%05d\.xyz"):
        convert("image.npy", "b.xyz", grid=TEXT)
    convert("jets.h5", "c.h5", event=2)
    assert_same(io.read_clouds("c.h5")[0], clouds.select(jets, [2]))


def test_jetnet_takes_as_many_particles_as_the_largest_jet_has(here, jets):
    convert("jets.h5", "a.hdf5")
    convert("jets.h5", "b.hdf5", particles=3)
    convert("jets.h5", "a.npz", grid=TEXT)
    convert("a.npz", "c.hdf5", block=2)
    largest = max(clouds.sizes(image_to_cloud(io.open_file("a.npz").read().image, GRID)).tolist())
    for name, particles in (("a.hdf5", 9), ("b.hdf5", 3), ("c.hdf5", largest)):
        with h5py.File(name) as file:
            assert file["particle_features"].shape == (5, particles, 4)
    np.save("image.npy", np.ones((2, 5, 4), dtype=np.float32))
    with pytest.raises(ArgumentError, match=r"expected eta_rel, phi_rel .*rad.* and GeV"):
        convert("image.npy", "d.hdf5", grid=TEXT)


@pytest.mark.parametrize("source", ["jets.h5", "image.npy"])
def test_the_most_energetic_points_are_kept(here, jets, image, source):
    grid = ["--grid", TEXT] if source == "image.npy" else []
    assert main(["convert", source, "all.h5", *grid]) == 0
    assert main(["convert", source, "few.h5", *grid, "--max-points", "3"]) == 0
    whole, few = io.read_clouds(here / "all.h5")[0], io.read_clouds(here / "few.h5")[0]
    assert torch.equal(clouds.sizes(few), clouds.sizes(whole).clamp(max=3))
    for each in range(whole.num_graphs):
        weights = [c.weight[c.ptr[each] : c.ptr[each + 1]] for c in (whole, few)]
        expected = weights[0].sort(descending=True).values[: len(weights[1])]
        assert torch.equal(weights[1].sort(descending=True).values, expected)
    if source == "jets.h5":
        # JetNet's layout is padded to what is left, not to what was there.
        assert main(["convert", source, "few.hdf5", "--max-points", "4"]) == 0
        with h5py.File(here / "few.hdf5") as file:
            assert file["particle_features"].shape[1] == 4


def test_class_of_a_jetnet_file(here, jets):
    convert("jets.h5", "jets.hdf5")
    with h5py.File("jets.hdf5", "r+") as file:
        del file["label"]
    convert("jets.hdf5", "a.h5")
    assert "label" not in io.read_clouds("a.h5")[0]
    convert("jets.hdf5", "b.h5", label="z")
    assert io.read_clouds("b.h5")[0].label.tolist() == [4] * 5


def test_command_line(here, image, capsys):
    words = ["image.npy", "a.h5", "--grid", TEXT, "--threshold", "0.5", "--jitter", "--seed", "3"]
    assert main(["convert", *words]) == 0
    assert "a.h5: 7 events" in capsys.readouterr().out
    assert main(["convert", "a.h5", "points", "--to-format", "ply"]) == 0
    assert len(files(here / "points")) == 7
    assert main(["convert", "none.h5", "b.h5"]) == 1
    assert capsys.readouterr().err == "pcgen: none.h5: no such file\n"


def test_the_choices_of_the_command_are_those_of_the_library():
    # Written twice, so that help needs no torch.
    assert get_args(file_to_file.Outside) == get_args(Outside)
