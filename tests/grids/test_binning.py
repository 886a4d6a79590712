"""The CaloChallenge's XML: what is read, and what is refused with line, attribute and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcgen.errors import FileError
from pcgen.grids.binning import Rings, read_binning

LAYERS = """<Layer id="0" r_edges="0,5,10" n_bin_alpha="4"/>
<Layer id="1" r_edges="0" n_bin_alpha="1"/>
<Layer id="7" r_edges="0, 2.5,8" n_bin_alpha="1"/>"""


def write(tmp_path: Path, layers: str = LAYERS, name: str = "photon", more: str = "") -> Path:
    path = tmp_path / "binning.xml"
    path.write_text(f'{more}<Bins>\n<Bin pid="22" name="{name}">\n{layers}\n</Bin></Bins>')
    return path


def test_layers_without_voxels_are_left_out(tmp_path: Path) -> None:
    expected = [Rings(0, (0.0, 5.0, 10.0), 4), Rings(7, (0.0, 2.5, 8.0), 1)]
    assert read_binning(write(tmp_path)) == expected
    assert read_binning(write(tmp_path), "photon") == expected


def test_the_particle_is_chosen_by_name(tmp_path: Path) -> None:
    path = tmp_path / "two.xml"
    two = "".join(
        f'<Bin name="{name}"><Layer id="0" r_edges="0,1" n_bin_alpha="{sectors}"/></Bin>'
        for name, sectors in (("photon", 1), ("pion", 3))
    )
    path.write_text(f"<Bins>{two}</Bins>")
    assert read_binning(path, "pion")[0].sectors == 3
    with pytest.raises(FileError, match=r"got the particles photon, pion, expected one particle"):
        read_binning(path)
    with pytest.raises(FileError, match=r"expected 'muon' once"):
        read_binning(path, "muon")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ('id="0" r_edges="0,x" n_bin_alpha="1"', r"line 3: r_edges: got '0,x', expected rising"),
        ('id="0" r_edges="0,5,5" n_bin_alpha="1"', r"r_edges: got '0,5,5'"),
        ('id="0" r_edges="-1,5" n_bin_alpha="1"', r"r_edges: got '-1,5'"),
        ('id="0" r_edges="0,nan" n_bin_alpha="1"', r"r_edges: got '0,nan'"),
        ('id="0" r_edges="0,inf" n_bin_alpha="1"', r"r_edges: got '0,inf'"),
        ('id="0" r_edges="0,5" n_bin_alpha="0"', r"n_bin_alpha: got '0', expected an integer of"),
        ('id="0" r_edges="0,5" n_bin_alpha="1.5"', r"n_bin_alpha: got '1.5'"),
        ('id="one" r_edges="0,5" n_bin_alpha="1"', r"id: got 'one'"),
        ('id="0" r_edges="0,5"', r"got the attributes id, r_edges, expected n_bin_alpha"),
        ('id="0" r_edges="0" n_bin_alpha="1"', r"got no layer of at least two r_edges"),
    ],
)
def test_bad_layers_are_refused(tmp_path: Path, layer: str, message: str) -> None:
    with pytest.raises(FileError, match=message):
        read_binning(write(tmp_path, f"<Layer {layer}/>"))


def test_a_layer_that_comes_twice_is_refused(tmp_path: Path) -> None:
    layer = '<Layer id="2" r_edges="0,1" n_bin_alpha="1"/>\n'
    with pytest.raises(FileError, match=r"line 4: id: got '2', expected an integer of at least 3"):
        read_binning(write(tmp_path, 2 * layer))


def test_files_that_are_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "binning.xml"
    with pytest.raises(FileError, match=r"binning\.xml: no such file"):
        read_binning(path)
    for text, message in (
        ("", "is no XML"),
        ("<Bins><Bin", "is no XML"),
        ("<html/>", "got <html>, expected <Bins>"),
        ("<Bins><Layer/></Bins>", "got <Layer>, expected <Bin>"),
        ("<Bins><Bin pid='22'/></Bins>", "got the attributes pid, expected name"),
        ("<Bins/>", "got the particles none"),
    ):
        path.write_text(text)
        with pytest.raises(FileError, match=message):
            read_binning(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused_before_they_are_expanded(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "bomb.xml"
    levels = "".join(f'<!ENTITY a{k} "{10 * f"&a{k - 1};"}">' for k in range(1, 10))
    text = f'<!DOCTYPE Bins [<!ENTITY a0 "boom">{levels}]><Bins>&a9;</Bins>'
    path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding))
    with pytest.raises(FileError, match="got a document type 'Bins', expected none"):
        read_binning(path)
