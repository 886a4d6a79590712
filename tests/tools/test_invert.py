"""``pcgen invert``: what is written and printed, from events, images and measurements."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from pcgen import clouds as pc
from pcgen.errors import ArgumentError, DataError
from pcgen.grids import Grid
from pcgen.images import cloud_to_image
from pcgen.io import JETS, Images, image_writer, open_file, read_clouds, write_clouds
from pcgen.tools.cli import main
from pcgen.tools.measured import measurement_of
from pcgen.tools.train import train

GRID = "eta_rel:-0.4:0.4:8,phi_rel:-0.4:0.4:8:rad"
QUICK = ["--restarts", "2", "--iterations", "3", "--number", "5"]


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory, few: Path) -> str:
    """A run of a small flow of points."""
    folder = tmp_path_factory.mktemp("invert") / "flow"
    train("points-flow", {"hidden": 8, "layers": 1, "integration_steps": 2}, data=[str(few)],
          output=str(folder), steps=2, batch_size=8, samples=0, validate_events=8,
          accelerator="cpu", progress=False)  # fmt: skip
    return str(folder)


def images_of(few: Path) -> tuple[torch.Tensor, Grid, torch.Tensor, torch.Tensor]:
    jets = read_clouds(few)[0]
    grid = Grid.parse(GRID, JETS.axes)
    return cloud_to_image(jets, grid, outside="drop"), grid, jets.y, jets.label


@pytest.mark.parametrize("measure", ["pooled:2", "dead:0.3", "project:eta_rel,phi_rel", "random:9"])
def test_events_are_measured_and_answered(measure, flow, few, tmp_path, capsys) -> None:
    output = tmp_path / "out.h5"
    words = ["invert", flow, str(few), str(output), "--measure", measure, "--grid", GRID, *QUICK]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert re.search(r"5 events from \d+ measurements of 64 cells", out)
    assert re.search(r"starts within 0\.1 of the measurements: \d+\.\d%; events with one: ", out)
    assert re.search(r"generator [\d.]+, non-negative LASSO [\d.]+", out)
    clouds, schema = read_clouds(output)
    jets = read_clouds(few)[0]
    assert (clouds.num_graphs, schema) == (5, JETS)
    assert clouds.label.tolist() == jets.label[:5].tolist()
    torch.testing.assert_close(clouds.y, jets.y[:5])
    with open_file(output) as file:
        assert file.attrs["measure"] == measure
    once = output.read_bytes()
    assert main(words) == 0
    assert torch.equal(read_clouds(output)[0].pos, clouds.pos)
    assert len(once) == len(output.read_bytes())


def test_blocks_of_events_do_not_change_the_answers(flow, few, tmp_path) -> None:
    found = []
    for size in ("2", "5"):
        words = ["invert", flow, str(few), str(tmp_path / f"{size}.h5"), "--grid", GRID, *QUICK]
        assert main([*words, "--batch-size", size]) == 0
        found.append(read_clouds(tmp_path / f"{size}.h5")[0])
    torch.testing.assert_close(found[0].pos, found[1].pos, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found[0].weight, found[1].weight, rtol=1e-2, atol=1e-2)


def test_images_and_measurements_are_taken_as_they_are(flow, few, tmp_path, capsys) -> None:
    image, grid, y, label = images_of(few)
    with image_writer(tmp_path / "whole.npz", 4, grid, JETS) as file:
        file.append(Images(image[:4], y[:4], label[:4]))
    coarse = Grid.parse(GRID.replace(":8", ":4"), JETS.axes)
    pooled = image.unflatten(1, (4, 2)).unflatten(3, (4, 2)).sum((2, 4))
    with image_writer(tmp_path / "coarse.npz", 4, coarse, JETS) as file:
        file.append(Images(pooled[:4], y[:4], label[:4]))
    answers = []
    for name in ("whole", "coarse"):
        out = tmp_path / f"{name}-out.h5"
        words = ["invert", flow, str(tmp_path / f"{name}.npz"), str(out), "--measure", "pooled:2"]
        assert main([*words, "--grid", GRID, *QUICK]) == 0
        assert ("LASSO" in capsys.readouterr().out) is (name == "whole")
        answers.append(read_clouds(out)[0])
    torch.testing.assert_close(answers[0].pos, answers[1].pos, rtol=1e-4, atol=1e-5)
    # The grid of a file of images serves where none is given, and images can be the output.
    words = ["invert", flow, str(tmp_path / "whole.npz"), str(tmp_path / "out.npz"), *QUICK]
    assert main([*words, "--measure", "dead:0.2"]) == 0
    with open_file(tmp_path / "out.npz") as found:
        assert found.read().image.shape == (4, 8, 8)


def test_a_sparse_deviation_gives_points_at_cells(flow, few, tmp_path) -> None:
    output = tmp_path / "out.h5"
    words = ["invert", flow, str(few), str(output), "--grid", GRID, "--deviation", "0.01", *QUICK]
    assert main(words) == 0
    pos = read_clouds(output)[0].pos
    cells = (pos + 0.4) / 0.1
    torch.testing.assert_close(cells, cells.floor() + 0.5, rtol=0, atol=1e-3)


def test_operators_as_they_are_typed(tmp_path) -> None:
    grid = Grid.parse("layers=a/b,x:0:1:4,y:0:1:6")
    assert measurement_of("pooled:2", grid, 0).number == 2 * 2 * 3
    assert measurement_of("project:layer,y", grid, 0).number == 2 + 6
    assert measurement_of("random:7", grid, 0).number == 7
    assert measurement_of("dead:0", grid, 0).number == 48
    dead = np.zeros((2, 4, 6), dtype=bool)
    dead[0, 0] = True
    np.save(tmp_path / "dead.npy", dead)
    assert measurement_of(f"dead:{tmp_path / 'dead.npy'}", grid, 0).number == 42
    np.save(tmp_path / "dead.npy", dead[0])
    with pytest.raises(DataError, match=r"got bool \(4, 6\), expected booleans \(2, 4, 6\)"):
        measurement_of(f"dead:{tmp_path / 'dead.npy'}", grid, 0)
    for text in ("pooled", "pooled:0", "pooled:x", "random:1.5", "dead:", "project:", "blur:2"):
        with pytest.raises(ArgumentError, match=f"measure: got '{text}', expected pooled:CELLS"):
            measurement_of(text, grid, 0)
    with pytest.raises(ArgumentError, match="expected a fraction from 0 and below 1"):
        measurement_of("dead:1", grid, 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "grid: got none, and neither"),
        (f"--grid {GRID} --measure project:r", "project: got 'r', expected some of eta_rel"),
        (f"--grid {GRID} --measure dead:none.npy", "none.npy: no such file"),
        (f"--grid {GRID} --restarts 0", "restarts: got 0, expected >= 1"),
        (f"--grid {GRID} --tolerance 0", "tolerance: got 0.0, expected a positive number"),
        (f"--grid {GRID} --number 0", "number: got 0, expected >= 1"),
        (f"--grid {GRID} --seed -1", "seed: got -1, expected 0 <= seed"),
        (f"--grid {GRID} --noise -1", "noise: got -1.0, expected >= 0"),
        ("--grid x:0:1:4", "axes of grid: got 'x'"),
    ],
)
def test_refusals_are_one_line(words, said, flow, few, tmp_path, capsys) -> None:
    assert main(["invert", flow, str(few), str(tmp_path / "o.h5"), *words.split()]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "o.h5").exists()


def test_events_without_energy_in_the_cells_are_refused(flow, few, tmp_path, capsys) -> None:
    clouds, schema = read_clouds(few)
    none = pc.select_points(clouds, torch.zeros(len(clouds.pos), dtype=torch.bool))
    write_clouds(tmp_path / "empty.h5", none, schema)
    far = "eta_rel:5:6:4,phi_rel:-0.4:0.4:4"
    for file, grid in ((tmp_path / "empty.h5", GRID), (few, far)):
        words = ["invert", flow, str(file), str(tmp_path / "o.h5"), "--grid", grid]
        assert main(words) == 1
        error = f"{file}: got 200 events of which every measurement is 0, expected some with energy"
        assert error in capsys.readouterr().err
    assert not (tmp_path / "o.h5").exists()


def test_other_cells_and_noise_on_measurements_are_refused(flow, few, tmp_path, capsys) -> None:
    image, _, _, _ = images_of(few)
    np.save(tmp_path / "a.npy", image[:3, :2].numpy())
    words = ["invert", flow, str(tmp_path / "a.npy"), str(tmp_path / "o.h5"), "--grid", GRID]
    assert main(words) == 1
    assert "expected (8, 8) as in the grid, or the 4 values that are measured" in (
        capsys.readouterr().err
    )
    np.save(tmp_path / "a.npy", image[:3, :1, :4].numpy() + 1)
    assert main([*words, "--noise", "1"]) == 1
    assert "noise: got 1.0 for a file of measurements" in capsys.readouterr().err
