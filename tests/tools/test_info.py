from __future__ import annotations

import torch

from pcgen import clouds as pc
from pcgen.io import JETS, write_clouds
from pcgen.tools import cli


def test_a_file_of_clouds_tells_sizes_units_and_classes(tmp_path, capsys):
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
    assert "0 to 3, mean 1.3" in text
    assert "phi_rel [rad, period 6.283]" in text
    assert "g, q, t, w, z" in text


def test_what_is_not_there_is_one_line(tmp_path, capsys):
    assert cli.main(["info", str(tmp_path / "no.h5")]) == 1
    assert "no such file or folder" in capsys.readouterr().err


def test_a_corrupt_checkpoint_is_one_line(tmp_path, capsys):
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"not a checkpoint")
    assert cli.main(["info", str(path)]) == 1
    assert str(path) in capsys.readouterr().err
