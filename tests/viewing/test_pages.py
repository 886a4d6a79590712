"""The page for the browser."""

from __future__ import annotations

import html
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from events_to_view import ENERGY, JET, SHOWER, jets

from pcgen import clouds as cloud
from pcgen.errors import ArgumentError, FileError
from pcgen.schema import Quantity, Schema
from pcgen.viewing import in_notebook, page


def test_the_page_is_complete_and_steps_through_events(tmp_path: Path) -> None:
    made = page({"real": jets(), "VAE <b>": jets()}, JET, number=5)
    made.save(tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert text == made.html
    assert not re.search(r"<(script|link)[^>]+(src|href)=", text)
    assert "VAE <b>" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "energy = " in text
    # On a narrow screen the page is moved sideways.
    assert '<body style="margin: 0; min-width: 920px">' in text
    assert "[rad]" in text
    with pytest.raises(FileError, match="cannot be written"):
        made.save(tmp_path / "nowhere" / "a.html")


def plotted(monkeypatch: pytest.MonkeyPatch, *arguments: Any, **options: Any) -> Any:
    import plotly.basedatatypes

    kept: list[Any] = []
    monkeypatch.setattr(
        plotly.basedatatypes.BaseFigure, "to_html", lambda self, **_: kept.append(self) or ""
    )
    page(*arguments, **options)
    return kept[0]


def test_the_slider_shows_one_event_of_each_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = jets()
    figure = plotted(monkeypatch, {"a": batch, "b": batch}, JET, first=0, number=9)
    steps = figure.layout.sliders[0].steps
    assert [step.label for step in steps] == ["0", "1"]
    # Points and stems, of two samples, of two events.
    assert len(figure.data) == 8
    assert [list(step.args[0]["visible"]) for step in steps] == [
        [True] * 4 + [False] * 4,
        [False] * 4 + [True] * 4,
    ]
    assert [trace.visible for trace in figure.data] == [True] * 4 + [False] * 4
    assert steps[1].args[1]["annotations"][1]["text"].startswith("b, event 1<br>10 points")
    order = torch.argsort(-batch.weight[:10])
    np.testing.assert_allclose(figure.data[0].x, batch.pos[:10, 0][order])
    np.testing.assert_allclose(figure.data[0].marker.color, batch.weight[:10][order].log10(), 1e-5)
    assert figure.data[0].text[0].endswith(f"energy = {float(batch.weight[:10].max()):.4g} GeV")
    assert figure.layout.coloraxis.colorbar.title.text == "E [GeV]"
    axes = figure.layout.scene
    assert axes.yaxis.title.text == "φ [rad]"
    assert axes.zaxis.title.text == "log<sub>10</sub>(E/GeV)"


def test_a_page_of_points_that_only_count(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = Schema(axes=SHOWER.axes)
    figure = plotted(monkeypatch, {"a": cloud.make(torch.rand(4, 3), [4])}, schema)
    assert len(figure.data) == 1
    np.testing.assert_array_equal(figure.data[0].marker.color, figure.data[0].z)
    assert figure.layout.coloraxis.colorbar.title.text == "z [mm]"
    with pytest.raises(ArgumentError, match="events of 'a': got 5"):
        page({"a": cloud.make(torch.rand(4, 3), [4])}, schema, first=5)


def test_a_notebook_shows_the_page_in_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    text = page({"a": jets()}, JET, number=1)._repr_html_()
    assert text.startswith('<iframe srcdoc="&lt;')
    assert "<script" not in text
    assert not in_notebook()

    class ZMQInteractiveShell:
        pass

    class FakeIPython:
        @staticmethod
        def get_ipython() -> Any:
            return ZMQInteractiveShell()

    monkeypatch.setitem(__import__("sys").modules, "IPython", FakeIPython)
    assert in_notebook()


def test_names_of_any_kind_are_shown_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = "</script><b>$x$&amp;"
    schema = Schema((Quantity(odd, odd), Quantity("y")), ENERGY, labels=(odd,), layers=(odd,))
    batch = cloud.make(
        torch.rand(3, 2),
        [3],
        weight=torch.rand(3),
        label=torch.tensor([0]),
        layer=torch.tensor([0, 0, 0]),
    )
    text = page({odd: batch}, schema).html
    assert text.count("</script>") == text.count("<script")
    figure = plotted(monkeypatch, {odd: batch}, schema)
    shown = html.escape(odd)
    scene = figure.layout.scene
    assert figure.layout.annotations[0].text.startswith(f"{shown}, event 0 ({shown})<br>")
    assert scene.xaxis.title.text == f"{shown} [{shown}]"
    assert scene.zaxis.ticktext == (shown,)
    assert figure.data[0].text[0].startswith(f"{shown} = ")


def test_narrow_scenes_are_seen_from_farther_away(monkeypatch: pytest.MonkeyPatch) -> None:
    away = []
    for number in (1, 3, 4):
        samples = {str(k): jets() for k in range(number)}
        eye = plotted(monkeypatch, samples, JET).layout.scene.camera.eye
        away.append(math.hypot(eye.x, eye.y, eye.z))
    assert away[0] < away[1] < away[2]


@pytest.mark.parametrize("number", [0, -1])
def test_a_page_has_events(number: int) -> None:
    with pytest.raises(ArgumentError, match=f"number: got {number}, expected >= 1"):
        page({"real": jets()}, JET, number=number)
