"""Names of samples, classes, layers, columns and quantities are written as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text

from pcgen import clouds as cloud
from pcgen.grids import Grid
from pcgen.plotting import event_displays, histograms, learning_curves, mean_images, save
from pcgen.schema import Quantity, Schema

ODD = ["$t$", "$\\frac{", "_new_", "5 $", "a\\b", "{x}^2"]


def seen(figure: Figure, tmp_path: Path) -> str:
    """All that stands on a picture, as a reader sees it: no part of it is a formula."""
    save(figure, tmp_path / "a.png", dpi=40)
    found = [text for text in figure.findobj(Text) if text.get_visible()]
    parts = [text._preprocess_math(text.get_text()) for text in found]
    plain = [part.replace(r"\$", "$") for part, kind in parts if kind is False or r"\$" in part]
    return " ".join(part for text in plain for part in text.splitlines())


@pytest.mark.parametrize("name", ODD)
def test_samples_of_any_name_are_in_the_legend(name: str, tmp_path: Path) -> None:
    quantity = Quantity(name, "$")
    real = {quantity: torch.rand(50)}
    figure = histograms(real, {name: real}, real_name=f"real {name}", title=f"title {name}")
    text = seen(figure, tmp_path)
    for expected in (f"real {name}", f"title {name}", f"{name} [$]", "density [1/$]"):
        assert expected in text
    assert [each.get_text().replace(r"\$", "$") for each in figure.legends[0].get_texts()] == [
        f"real {name}",
        name,
    ]


@pytest.mark.parametrize("name", ODD)
def test_classes_and_layers_of_any_name_are_written(name: str, tmp_path: Path) -> None:
    schema = Schema((Quantity(name), Quantity("y")), Quantity("E", symbol=name), labels=(name,))
    clouds = cloud.make(torch.rand(3, 2), [3], weight=torch.rand(3), label=torch.tensor([0]))
    text = seen(event_displays({name: clouds}, schema, title=name), tmp_path)
    assert f"{name}, event 0 ({name})" in text
    grid = Grid((Quantity("x"), Quantity(name)), ((0.0, 1.0), (0.0, 1.0, 2.0)), layers=(name,))
    images = {name: torch.rand(2, *grid.shape)}
    text = seen(mean_images(images, grid, schema.weight or schema.axes[0], title=name), tmp_path)
    assert f"{name}, {name}" in text


@pytest.mark.parametrize("name", ODD)
def test_columns_of_a_log_and_runs_of_any_name_are_written(name: str, tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text(f"step,a/{name},validation/{name}\n1,2,3\n2,3,4\n")
    text = seen(learning_curves(file, title=name, labels={"validation/x": "$"}), tmp_path)
    assert f"validation: {name}" in text
    assert text.count(name) >= 3


def test_symbols_may_be_formulae_and_broken_ones_are_written_as_they_are(tmp_path: Path) -> None:
    for symbol, expected in (
        ("$p_T$", "$p_T$ [GeV]"),
        ("$p_", r"\$p_ [GeV]"),
        ("$\\x$", r"\$\x\$"),
    ):
        figure = histograms({Quantity("pt", "GeV", symbol=symbol): torch.rand(9)}, {})
        seen(figure, tmp_path)
        assert figure.axes[1].get_xlabel().startswith(expected)


def test_long_names_stay_on_the_figure_and_off_the_panels(tmp_path: Path) -> None:
    long = {f"{'very_long_folder/' * 9}{k}.h5": {Quantity("x"): torch.rand(50)} for k in range(4)}
    figure = histograms({Quantity("x"): torch.rand(50)}, long)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert figure.bbox.x0 <= box.x0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= figure.bbox.y1 + 1
    assert box.y0 >= figure.axes[0].get_window_extent().y1 - 1
