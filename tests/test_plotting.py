"""Pictures show the numbers they are given, say what the axes are, and leave no global state."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from pcgen import clouds as cloud
from pcgen.errors import ArgumentError, FileError
from pcgen.grids import Grid
from pcgen.plotting import event_displays, histograms, learning_curves, mean_images, save
from pcgen.plotting.histograms import binned, choose_edges
from pcgen.schema import Quantity, Schema

MASS = Quantity("mass", "GeV", symbol="jet mass")
NUMBER = Quantity("multiplicity")
SCHEMA = Schema(
    axes=(Quantity("x", "mm"), Quantity("y", "mm"), Quantity("z", "cm")),
    weight=Quantity("energy", "GeV", symbol="$E$"),
    labels=("photon", "pion"),
)


def drawn(figure: Figure, panel: int = 0) -> Axes:
    figure.draw_without_rendering()
    return figure.axes[panel]


def steps(axes: Axes) -> dict[str, np.ndarray]:
    patches = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
    return {str(p.get_label()): np.asarray(p.get_data().values) for p in patches}


def names(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def clear_of_curves(figure: Figure) -> bool:
    """Whether no legend and no title lies on a panel, nor beyond the figure."""
    figure.draw_without_rendering()
    panels = [axes.get_window_extent() for axes in figure.axes]
    legends = [axes.get_legend() for axes in figure.axes]
    written = [*figure.legends, *(legend for legend in legends if legend)]
    written += [axes.title for axes in figure.axes if axes.title.get_text()]
    boxes = [each.get_window_extent() for each in written]
    inner = [panel.padded(-1) for panel in panels]
    apart = not any(box.overlaps(panel) for box in boxes for panel in inner)
    page = figure.bbox.padded(1)
    return apart and all(page.x0 <= box.x0 and box.x1 <= page.x1 for box in boxes)


def test_densities_and_ratio_agree_with_numpy() -> None:
    real, fake = torch.randn(4000) + 100, 1.3 * torch.randn(1000) + 100
    figure = histograms({MASS: real}, {"GAN": {MASS: fake}}, bins=20)
    upper, lower = drawn(figure), figure.axes[1]
    edges, logarithmic = choose_edges(real.double().numpy(), 20)
    assert not logarithmic
    expected, _ = np.histogram(real, edges)
    np.testing.assert_allclose(steps(upper)["real"], expected / 4000 / np.diff(edges))
    counts, _ = np.histogram(fake, edges)
    np.testing.assert_allclose(steps(upper)["GAN"], counts / 1000 / np.diff(edges))
    share = 100 * (1 - counts.sum() / 1000)
    assert upper.get_title(loc="right") == f"off the axis: GAN {share:.1f} %"
    assert names(figure) == ["real", "GAN"]
    assert clear_of_curves(figure)
    ratio = lower.containers[0].lines[0].get_ydata()
    np.testing.assert_allclose(ratio[8:12], (counts / expected * 4)[8:12])
    bar = lower.containers[0].lines[2][0].get_segments()[10]
    spread = 4 * math.sqrt(counts[10]) / expected[10]
    assert bar[1, 1] - bar[0, 1] == pytest.approx(2 * spread)
    assert lower.get_xlabel() == "jet mass [GeV]"
    assert upper.get_ylabel() == "density [1/GeV]"


def test_a_density_sums_to_what_is_on_the_axis() -> None:
    values = np.concatenate([np.linspace(0, 1, 90), np.full(10, 7.0)])
    result = binned(values, np.linspace(0, 1, 6))
    assert result.outside == pytest.approx(0.1)
    assert (result.density * 0.2).sum() == pytest.approx(0.9)
    np.testing.assert_allclose(result.error, np.sqrt(result.density * 0.2 * 100) / (100 * 0.2))


def test_bins_follow_the_values() -> None:
    integers = np.array([3.0, 4.0, 4.0, 9.0])
    edges, _ = choose_edges(integers, 40)
    assert edges.tolist() == [2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5]
    wide, _ = choose_edges(np.arange(1000.0), 40)
    assert np.all(np.diff(wide) == np.round(np.diff(wide)))
    assert len(wide) <= 42
    energies = np.geomspace(1e-3, 1e3, 5000)
    edges, logarithmic = choose_edges(energies, 30)
    assert logarithmic
    assert np.ptp(np.diff(np.log(edges))) < 1e-12
    positive, _ = choose_edges(np.abs(np.sin(np.arange(1.0, 500.0))), 10)
    assert positive[0] >= 0
    constant, _ = choose_edges(np.full(5, 0.25), 4)
    assert constant[0] < 0.25 < constant[-1]
    empty, _ = choose_edges(np.array([]), 4)
    assert len(empty) == 5


def test_panels_for_each_quantity_and_empty_generators() -> None:
    real = {MASS: torch.rand(50).exp() ** 8, NUMBER: torch.randint(0, 9, (50,))}
    fake = {MASS: torch.zeros(0), NUMBER: torch.randint(0, 99, (9,))}
    figure = histograms(real, {"a": fake, "b": real}, title="title")
    assert len(figure.axes) == 4
    assert drawn(figure).get_xscale() == "log"
    assert figure.axes[3].get_xlabel() == "multiplicity"
    assert figure.get_suptitle() == "title"


def test_missing_quantities_are_named() -> None:
    with pytest.raises(ArgumentError, match=r"missing \[\('GAN', 'mass'\)\]"):
        histograms({MASS: torch.ones(3)}, {"GAN": {NUMBER: torch.ones(3)}})
    with pytest.raises(ArgumentError, match="got 0 real quantities"):
        histograms({}, {})


def events() -> Any:
    return cloud.make(
        torch.arange(18.0).view(6, 3),
        [3, 0, 2, 1],
        weight=torch.tensor([5.0, 0.0, 20.0, 1.0, 2.0, 1e-9]),
        label=torch.tensor([1, 0, 7, 0]),
    )


def test_event_displays_show_every_point() -> None:
    figure = event_displays({"real": events(), "VAE": events()}, SCHEMA, number=3, axes=(2, 0))
    panel = drawn(figure)
    marks: Any = panel.collections[0]
    # Heaviest first, so that light points are drawn over them.
    np.testing.assert_allclose(marks.get_offsets(), [[8, 6], [2, 0], [5, 3]])
    area = marks.get_sizes()
    assert area[0] / area[1] == pytest.approx(4.0)
    assert area[2] > 0
    assert panel.get_title() == "real, event 0 (pion)\n3 points, sum 25 GeV"
    assert figure.axes[1].get_title() == "real, event 1 (photon)\n0 points, sum 0 GeV"
    assert figure.axes[2].get_title().startswith("real, event 2\n")
    assert (figure.axes[3].get_xlabel(), panel.get_ylabel()) == ("z [cm]", "x [mm]")
    assert figure.axes[-1].get_ylabel() == "$E$ [GeV]"
    assert len({axes.get_xlim() for axes in figure.axes[:6]}) == 1


def test_event_displays_of_uneven_samples_lines_and_bare_points() -> None:
    line = Schema(axes=(Quantity("t", "ns"),))
    bare = cloud.make(torch.rand(5, 1), [2, 3])
    figure = event_displays({"a": bare, "b": cloud.select(bare, [0])}, line, title="times")
    panel = drawn(figure)
    assert panel.get_ylabel() == "weight (1/n)"
    assert figure.axes[2].get_xlabel() == "t [ns]"
    assert [axes.get_visible() for axes in figure.axes[:4]] == [True, True, True, False]
    assert panel.get_title() == "a, event 0\n2 points"


def test_event_displays_of_nothing() -> None:
    empty = cloud.make(torch.zeros(0, 3), [0, 0])
    assert drawn(event_displays({"real": empty}, SCHEMA)).get_title().endswith("sum 0 GeV")


@pytest.mark.parametrize("axes", [(0, 0), (0, 3), (-1, 0)])
def test_bad_axes_of_events(axes: tuple[int, int]) -> None:
    with pytest.raises(ArgumentError, match="expected two different numbers from 0 to 2"):
        event_displays({"real": events()}, SCHEMA, axes=axes)


@pytest.mark.parametrize(("first", "number"), [(4, 1), (-1, 1), (0, 0)])
def test_events_that_are_not_there(first: int, number: int) -> None:
    with pytest.raises(ArgumentError, match=r"events of 'real'.*the first below 4"):
        event_displays({"real": events()}, SCHEMA, first=first, number=number)


def test_mean_images_average_and_sum_over_what_is_not_shown() -> None:
    grid = Grid.parse("layers=ECAL/HCAL,x:0:2:2:mm,y:0/1/5/6:mm,z:0:1:2:cm")
    image = torch.rand(7, *grid.shape)
    energy = Quantity("energy", "GeV")
    figure = mean_images({"real": image, "VAE": 2 * image}, grid, energy, axes=(1, 0))
    panels = figure.axes
    drawn(figure)
    for column, factor in enumerate((1, 2)):
        for layer in (0, 1):
            mesh: Any = panels[2 * layer + column].collections[0]
            # Rows of a mesh are the vertical axis, here x.
            expected = factor * image.mean(0)[layer].sum(2)
            np.testing.assert_allclose(mesh.get_array(), expected, rtol=1e-5)
    assert panels[1].get_title() == "VAE, ECAL"
    assert (panels[2].get_xlabel(), panels[2].get_ylabel()) == ("y [mm]", "x [mm]")
    assert panels[-1].get_ylabel() == "mean energy [GeV] per cell"


def test_mean_images_of_one_axis_are_steps() -> None:
    grid = Grid.parse("t:0/1/2/7:ns")
    image = torch.rand(4, 3)
    panel = drawn(mean_images({"real": image}, grid, Quantity("charge"), title="pulse"))
    np.testing.assert_allclose(steps(panel)["real"], image.mean(0), rtol=1e-6)
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("t [ns]", "mean charge")


def test_mean_images_refuse_what_does_not_fit() -> None:
    grid, energy = Grid.parse("x:0:1:2,y:0:1:3"), Quantity("E")
    assert drawn(mean_images({"dark": torch.zeros(1, 2, 3)}, grid, energy)).get_title() == "dark"
    with pytest.raises(ArgumentError, match=r"images of 'real': got \(1, 3, 2\)"):
        mean_images({"real": torch.ones(1, 3, 2)}, grid, energy)
    with pytest.raises(ArgumentError, match="B ≥ 1"):
        mean_images({"real": torch.ones(0, 2, 3)}, grid, energy)
    with pytest.raises(ArgumentError, match="axes: got"):
        mean_images({"real": torch.ones(1, 2, 3)}, grid, energy, axes=(0, 2))


def test_learning_curves_read_a_log_with_gaps(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    rows = [f"{k},{-k},{'' if k % 2 else 10.0**-k},{k}" for k in range(10)]
    file.write_text("\n".join(["step,critic/loss,generator/loss,seconds", *rows]))
    figure = learning_curves(file, title="run")
    panel = drawn(figure)
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "loss of critic",
        "loss of generator",
        "time [s]",
    ]
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "log", "linear"]
    np.testing.assert_allclose(panel.lines[0].get_ydata(), -np.arange(10.0))
    np.testing.assert_allclose(figure.axes[1].lines[0].get_xdata(), [0, 2, 4, 6, 8])
    assert panel.get_xlabel() == "step"


def test_scores_have_panels_and_units_of_their_own_and_no_legend_hides_a_line(
    tmp_path: Path,
) -> None:
    file = tmp_path / "metrics.csv"
    columns = (
        "step,critic/w,critic/gp,gradient/critic,lr/critic,validation/score,validation/w1_mass"
    )
    file.write_text("\n".join([columns, *(f"{k},1,2,3,4,5,{k}" for k in range(9))]))
    figure = learning_curves(file, labels={"validation/w1_mass": "$W_1$ of mass [GeV]"})
    expected = ["loss of critic", "gradient norm", "learning rate", "validation: score"]
    assert [axes.get_ylabel() for axes in figure.axes] == [*expected, "$W_1$ of mass [GeV]"]
    figure.draw_without_rendering()
    assert all(axes.get_legend() is not None for axes in figure.axes[:3])
    assert clear_of_curves(figure)
    assert all(axes.get_legend() is None for axes in figure.axes[3:])


def test_the_running_mean_of_a_constant_is_that_constant(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("\n".join(["step,loss", *(f"{k},3.5" for k in range(500))]))
    line = drawn(learning_curves(file)).lines[1]
    np.testing.assert_allclose(line.get_ydata(), 3.5)


@pytest.mark.parametrize(
    "text", ["", "step,loss\n1,two\n", "loss\n1\n", "step\n1\n", "a,step\n1\n"]
)
def test_bad_logs_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text(text)
    with pytest.raises(FileError, match=r"metrics\.csv: (cannot be read as a log|got the columns)"):
        learning_curves(file)
    with pytest.raises(FileError, match=r"no\.csv: cannot be read"):
        learning_curves(tmp_path / "no.csv")


def test_pictures_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    figure = histograms({MASS: torch.rand(9)}, {})
    for ending, magic in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")):
        save(figure, tmp_path / f"a.{ending}")
        assert (tmp_path / f"a.{ending}").read_bytes().startswith(magic)
    with pytest.raises(ArgumentError, match=r"got ending '\.xyz', expected one of .*png"):
        save(figure, tmp_path / "a.xyz")
    with pytest.raises(FileError, match="cannot be written"):
        save(figure, tmp_path / "nowhere" / "a.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "a.svg"]
