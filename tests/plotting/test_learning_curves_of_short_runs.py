"""Learning curves of runs of one or a few logged steps can be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pcgen.plotting import learning_curves

COLUMNS = ["critic/loss", "critic/gp", "generator/loss", "lr/critic", "seconds", "validation/score"]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_each_value_of_a_short_run_is_marked(number: int, tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    rows = [",".join(map(str, [50 * k, *range(k, k + len(COLUMNS))])) for k in range(1, number + 1)]
    file.write_text("\n".join([",".join(["step", *COLUMNS]), *rows]))
    figure = learning_curves(file)
    figure.draw_without_rendering()
    assert len(figure.axes) == 5
    for panel in figure.axes:
        marked = [line for line in panel.lines if line.get_marker() not in ("", "None")]
        assert len(marked) == len(panel.lines) / 2
        box = panel.get_window_extent()
        for line in marked:
            assert line.get_alpha() is None
            places = panel.transData.transform(np.stack(line.get_data(), 1))
            assert len(places) == number
            assert all(box.contains(*place) for place in places)
        shown = [float(text.get_text().replace("−", "-")) for text in panel.get_xticklabels()]
        assert all(step == round(step) for step in shown)


def test_columns_without_values_have_no_panel_and_lone_ones_a_marker(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    rows = [f"{k},{k},,{5 if k == 70 else ''}" for k in range(100)]
    file.write_text("\n".join(["step,loss,validation/score,validation/w1", *rows]))
    figure = learning_curves(file)
    figure.draw_without_rendering()
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "validation: w1"]
    assert [axes.lines[1].get_marker() for axes in figure.axes] == ["", "o"]
