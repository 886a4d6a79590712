from __future__ import annotations

import re

import h5py
import numpy as np
import pytest
import torch

from pcgen import clouds as pc
from pcgen.grids import Grid
from pcgen.io import JETS, write_clouds
from pcgen.schema import Quantity, Schema
from pcgen.tools import cli
from pcgen.tools.convert import convert


def test_a_file_of_clouds_shows_sizes_units_and_classes(tmp_path, capsys):
    path = tmp_path / "jets.h5"
    jets = pc.make(
        torch.zeros(4, 2),
        [3, 0, 1],
        weight=torch.ones(4),
        y=torch.ones(3, 1),
        label=torch.tensor([0, 1, 2]),
    )
    write_clouds(path, jets, JETS)
    assert cli.main(["info", str(path)]) == 0
    text = capsys.readouterr().out
    assert "train 1, validation 1, test 1" in text
    assert "0 to 3, mean 1.3" in text
    assert "phi_rel [rad, period 2pi]" in text
    assert "g: 1, q: 1, t: 1" in text
    assert "w" not in re.findall(r"classes.*", text)[0].split(":")


def test_lattice_clouds_and_images_show_their_grid(tmp_path, capsys):
    text = "x:0.0:2.0:2:mm,y:0.0:3.0:3"
    np.save(tmp_path / "a.npy", np.ones((4, 2, 3)))
    for name in ("a.h5", "a.npz", "e_%d.png"):
        convert(str(tmp_path / "a.npy"), str(tmp_path / name), grid=text)
        assert cli.main(["info", str(tmp_path / name)]) == 0
        assert text in capsys.readouterr().out, name
    assert cli.main(["info", str(tmp_path / "a.npy")]) == 0
    printed = capsys.readouterr().out
    assert "2 x 3" in printed
    assert "not known" in printed


def test_a_long_grid_is_shown_whole(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    text = "eta_rel:-0.4:0.4:25,phi_rel:-0.4:0.4:25:rad:2pi"
    np.save(tmp_path / "a.npy", np.ones((1, 25, 25)))
    convert(str(tmp_path / "a.npy"), str(tmp_path / "a.h5"), grid=text)
    assert cli.main(["info", str(tmp_path / "a.h5")]) == 0
    cells = re.findall(r"│([^│]*)│\n", capsys.readouterr().out)
    assert text in "".join(cell.strip() for cell in cells)


def test_a_run_shows_data_steps_score_and_what_it_was_trained_on(tmp_path, capsys):
    words = "train points-vae --latent-dim 2 --hidden 8 --layers 1 --classes [g,t] --max-points 5"
    words += " --steps 2 --batch-size 8 --validate-events 20 --samples 0 --output"
    run = str(tmp_path / "run")
    assert cli.main([*words.split(), run]) == 0
    capsys.readouterr()
    assert cli.main(["info", run]) == 0
    text = capsys.readouterr().out
    for row in (r"steps +│ 2 of 2", r"best validation score +│ \d", r"data +│ .*jets\.h5",
                r"classes in training +│ g, t ", r"jet_pt in training +│ 8\d\d.* to 1\d+ GeV",
                r"latent_dim +│ 2 "):  # fmt: skip
        assert re.search(row, text), row


def test_a_folder_that_is_no_run(tmp_path, capsys):
    assert cli.main(["info", str(tmp_path)]) == 1
    assert "no run here" in capsys.readouterr().err
    (tmp_path / "config.json").write_text("{}")
    assert cli.main(["info", str(tmp_path)]) == 1
    assert "without a checkpoint yet" in capsys.readouterr().err


def test_what_is_not_there_is_one_line(tmp_path, capsys):
    assert cli.main(["info", str(tmp_path / "no.h5")]) == 1
    assert "no such file or folder" in capsys.readouterr().err


def test_a_corrupt_checkpoint_is_one_line(tmp_path, capsys):
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"not a checkpoint")
    assert cli.main(["info", str(path)]) == 1
    assert str(path) in capsys.readouterr().err


def printed(path, capsys):
    assert cli.main(["info", str(path)]) == 0
    return " ".join(re.sub("[│┌┐└┘─┬┴]", " ", capsys.readouterr().out).split())


def test_what_recipes_need_and_events_lack(tmp_path, capsys):
    path, axes = tmp_path / "a.h5", tuple(Quantity(name, "mm") for name in "xyzt")
    bare = pc.make(torch.zeros(3, 3), [2, 1])
    write_clouds(path, bare, Schema(axes[:3]))
    text = printed(path, capsys)
    assert "points-* and latent recipes any clouds" in text
    assert "image-* and sites-* recipes not: points carry no weight" in text
    assert "hits-* recipes with a --grid along x, y, z" in text
    assert "to condition on no condition, no classes" in text
    full = pc.replace(bare, weight=torch.ones(3), y=torch.ones(2, 1), label=torch.ones(2).long())
    write_clouds(path, full, Schema(axes[:3], axes[3], condition=axes[:1], labels=("e", "pi")))
    text = printed(path, capsys)
    assert "image-* and sites-* recipes with a --grid along x, y, z" in text
    assert "to condition on" not in text
    write_clouds(path, full, Schema(axes[:3], axes[3], condition=axes[:1]))
    assert "classes without names" in printed(path, capsys)
    timed = pc.replace(full, x=torch.ones(3, 1))
    schema = Schema(axes[:3], axes[3], axes[3:], axes[:1], ("e", "pi"))
    grid = Grid.regular(dict.fromkeys(axes[:3], (0, 1, 2)))
    write_clouds(path, timed, schema, grid=grid)
    assert "not: points have further features (t)" in printed(path, capsys)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.pop("pos"), "expected pos and ptr among them"),
        (lambda file: file.attrs.update(attrs="{"), "header cannot be read"),
        (lambda file: file.attrs.update(version=9), "got version 9 of pcgen-clouds, expected 1"),
        (lambda file: file.attrs.update(attrs='{"grid": "x"}'), "grid: got 'x', expected the"),
    ],
)
def test_a_damaged_file_of_pcgen_is_no_table(tmp_path, capsys, damage, message):
    path = tmp_path / "a.h5"
    write_clouds(path, pc.make(torch.zeros(3, 2), [3]), Schema(JETS.axes))
    with h5py.File(path, "r+") as file:
        damage(file)
    assert cli.main(["info", str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"pcgen: {path}: ")
    assert message in line


def test_a_file_of_no_events_trains_nothing(tmp_path, capsys):
    write_clouds(tmp_path / "a.h5", pc.make(torch.zeros(0, 2), []), Schema(JETS.axes))
    assert printed(tmp_path / "a.h5", capsys).count("not: no events") == 3


def test_showers_and_what_is_passed_over(tmp_path, capsys):
    path = tmp_path / "showers.hdf5"
    with h5py.File(path, "w") as file:
        file["showers"], file["incident_energies"] = np.ones((3, 9)), [[256.0], [1e6], [1e3]]
        file["seed"] = [1, 2, 3]
    text = printed(path, capsys)
    for part in ("showers 3", "voxels 9", "256 to 1e+06 MeV", "energy [MeV]", "passed over seed"):
        assert part in text, part
    np.savez(tmp_path / "a.npz", image=np.ones((2, 3)), label=["e", "pi"], energy=np.ones(2))
    text = printed(tmp_path / "a.npz", capsys)
    for part in ("classes e, pi", "passed over energy", "makes clouds, with --grid"):
        assert part in text, part


def test_a_class_that_is_none_is_one_line(tmp_path, capsys):
    path = tmp_path / "a.h5"
    clouds = pc.make(torch.zeros(2, 1), [1, 1], label=torch.tensor([0, 1]))
    write_clouds(path, clouds, Schema((Quantity("x"),), labels=("e", "pi")))
    with h5py.File(path, "r+") as file:
        file["label"][1] = 7
    assert cli.main(["info", str(path)]) == 1
    assert "label of event 1 is 7" in capsys.readouterr().err


def test_names_move_no_cursor(tmp_path, capsys):
    bad = "a\x1b]0;title\x07\x1b[2Jb"
    schema = Schema((Quantity(bad, bad),), Quantity(bad), labels=(bad,), description=bad)
    batch = pc.make(torch.ones(1, 1), [1], weight=torch.ones(1), label=torch.tensor([0]))
    write_clouds(tmp_path / "a.h5", batch, schema, attrs={bad: bad})
    cli.main(["info", str(tmp_path / "a.h5")])
    out = capsys.readouterr().out
    assert "title" in out
    assert not any(letter in out for letter in "\x1b\x07")
