"""An interactive page: events side by side in the browser, without a server or a network."""

from __future__ import annotations

import html
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch_geometric.data import Batch

from pcgen.errors import at_least
from pcgen.escaping import hypertext, label, markup
from pcgen.grids import Calorimeter
from pcgen.io import atomic
from pcgen.schema import Schema
from pcgen.viewing.profiles import Profile, are_showers, hues, profiles, stairs
from pcgen.viewing.scene import COLOURS, Frame, Scene, frame_of, scene_of

_HEIGHT, _PROFILES = 640, 260
"""Of the scenes, and of the profiles below them, in pixels."""
_NARROW, _LONG = 460, 270
"""Least width of a scene, and length of its box, about: sizes of points are in pixels."""
_LINES = {"gridcolor": "rgb(225,225,225)", "linecolor": "rgb(120,120,120)", "showline": True}
"""Of the axes of profiles."""
_LEGEND, _NAMES = 0.31, 45
"""Height of the legend of the profiles, and of the names of their axes in pixels."""
_AWAY = 1.2
"""Distance of the camera at which the names of the axes are seen."""


@dataclass(frozen=True)
class Page:
    """An HTML page that needs nothing but itself; a notebook shows it inline.

    Attributes:
        html: The page.
    """

    html: str

    def save(self, path: str | Path) -> None:
        """Write the page.

        Raises:
            FileError: it cannot be written.
        """
        with atomic(path) as temporary:
            temporary.write_text(self.html, encoding="utf-8")

    def _repr_html_(self) -> str:
        # A frame of its own keeps the page's scripts and styles away from the notebook's.
        text = html.escape(self.html, quote=True)
        size = f'width="100%" height="{_HEIGHT + 80}" frameborder="0"'
        return f'<iframe srcdoc="{text}" {size}></iframe>'


def in_notebook() -> bool:
    """Whether this runs in a notebook, which shows a page inline."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def page(
    samples: Mapping[str, Batch],
    schema: Schema,
    *,
    first: int = 0,
    number: int = 10,
    calorimeter: Calorimeter | None = None,
) -> Page:
    """Events of all samples side by side, to turn and to zoom, with a slider over the events.

    Below showers are their profiles, as in :func:`~pcgen.viewing.picture`.

    Args:
        samples: Clouds by the name of their origin, ``{"real": ..., "generated": ...}``.
        schema: What the numbers mean.
        first: First event.
        number: Events on the page, fewer where a sample has fewer.
        calorimeter: Its layers are drawn faintly, and are the bins of the profile in depth.

    Raises:
        ArgumentError: the number is not positive, a sample has no event ``first``, or has not the
            axes of the schema.
    """
    at_least(1, number=number)
    last = min([first + number, *(batch.num_graphs for batch in samples.values())])
    events = range(first, last) or [first]
    frame = frame_of(samples, schema, events, calorimeter)
    profiled = are_showers(schema, samples)
    figure = _figure(len(samples), profiled)
    titles: list[list[dict[str, Any]]] = []
    traces: list[tuple[Any, int, int]] = []
    for event in events:
        scenes = [scene_of(name, batch, schema, frame, event) for name, batch in samples.items()]
        titles.append(_titles(scenes))
        traces = [
            (trace, 1, 2 * place + 1)
            for place, scene in enumerate(scenes)
            for trace in _traces(scene, frame, schema)
        ]
        if profiled:
            found = profiles(samples, schema, frame, event, calorimeter)
            traces += [
                (curve, 2, place * len(samples) + 1)
                for place, profile in enumerate(found)
                for curve in _curves(profile, legend=place == 0)
            ]
        for trace, row, column in traces:
            figure.add_trace(trace.update(visible=event == events[0]), row, column)
    if profiled:
        for place, profile in enumerate(found):
            at = {"row": 2, "col": place * len(samples) + 1}
            figure.update_xaxes(title_text=hypertext(label(profile.axis)), **_LINES, **at)
            scale = "log" if place and profile.decades else "linear"
            figure.update_yaxes(
                title_text=hypertext(label(frame.shade)), type=scale, **_LINES, **at
            )
    figure.update_scenes(_scene(frame, len(samples)))
    figure.update_layout(
        height=_HEIGHT + (_PROFILES if profiled else 0),
        margin={"l": 60 if profiled else 0, "r": 0, "t": 60, "b": 60 if profiled else 0},
        # Between the scenes and the profiles: the slider is below.
        legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": _LEGEND},
        showlegend=profiled,
        plot_bgcolor="white",
        coloraxis=_colours(frame),
        annotations=titles[0],
        sliders=[_slider(events, titles, len(traces), _NAMES if profiled else 0)],
    )
    width = f"min-width: {_NARROW * len(samples)}px"
    text = figure.to_html(include_plotlyjs=True, full_html=True)
    return Page(text.replace("<body>", f'<body style="margin: 0; {width}">', 1))


def _figure(number: int, profiled: bool) -> Any:
    """Places for ``number`` scenes, and below them for two profiles."""
    from plotly.subplots import make_subplots

    scenes = [{"type": "scene", "colspan": 2}, None] * number
    if not profiled:
        return make_subplots(1, 2 * number, specs=[scenes])
    curves = [{"type": "xy", "colspan": number}, *[None] * (number - 1)] * 2
    heights = [_HEIGHT, _PROFILES]
    return make_subplots(
        2, 2 * number, specs=[scenes, curves], row_heights=heights, vertical_spacing=0.06
    )


def _curves(profile: Profile, *, legend: bool) -> list[Any]:
    """The event's profile of each sample and, dashed, that of all its events."""
    from plotly import graph_objects

    found = []
    for name, colour in zip(profile.event, hues(len(profile.event)), strict=True):
        title = hypertext(name)
        for kind, values, dash in (
            ("", profile.event[name], "solid"),
            (", mean of all", profile.mean[name], "dash"),
        ):
            x, y = stairs(profile.edges, values)
            line = {"color": colour, "dash": dash, "width": 1.5}
            found.append(
                graph_objects.Scatter(
                    x=x, y=y, mode="lines", line=line, name=title + kind, showlegend=legend
                )
            )
    return found


def _traces(scene: Scene, frame: Frame, schema: Schema) -> list[Any]:
    from plotly import graph_objects

    x, y, z = scene.values.T
    columns = list(zip(schema.axes, scene.values.T, strict=False))
    if frame.weight:
        columns.append((frame.weight, scene.weight))
    words = [
        [f"{markup(q.name)} = {v:.4g} {markup(q.unit)}".rstrip() for v in column]
        for q, column in columns
    ]
    text = ["<br>".join(each) for each in zip(*words, strict=True)]
    shade = np.log10(np.maximum(scene.weight, frame.scale.vmin or 0.0)) if frame.weight else z
    marker = {"size": 2 * _LONG * scene.radii, "color": shade, "coloraxis": "coloraxis"}
    marker |= {"line": {"width": 0}, "opacity": 0.95}
    points = graph_objects.Scatter3d(
        x=x,
        y=y,
        z=z,
        mode="markers",
        marker=marker,
        text=text,
        hoverinfo="text",
        showlegend=False,
    )
    if frame.rims:
        return [points, _rims(frame)]
    if not frame.lift:
        return [points]
    line = {"color": "rgb(180,180,180)", "width": 2}
    low, gap = np.full_like(z, frame.low[2]), np.full_like(z, np.nan)
    ends = [np.stack(each, 1).ravel() for each in ((x, x, gap), (y, y, gap), (low, z, gap))]
    return [
        points,
        graph_objects.Scatter3d(
            x=ends[0],
            y=ends[1],
            z=ends[2],
            mode="lines",
            line=line,
            hoverinfo="skip",
            showlegend=False,
        ),
    ]


def _rims(frame: Frame) -> Any:
    """The layers as one faint line with gaps."""
    from plotly import graph_objects

    gap = np.full((1, 3), np.nan)
    x, y, z = np.concatenate([part for rim in frame.rims for part in (rim, gap)]).T
    line = {"color": "rgb(215,215,215)", "width": 1.5}
    return graph_objects.Scatter3d(
        x=x, y=y, z=z, mode="lines", line=line, hoverinfo="skip", showlegend=False
    )


def _titles(scenes: Sequence[Scene]) -> list[dict[str, Any]]:
    """Text above each scene."""
    return [
        {
            "text": "<br>".join(map(hypertext, scene.title.splitlines())),
            "x": (place + 0.5) / len(scenes),
            "y": 1.0,
            "xref": "paper",
            "yref": "paper",
            "xanchor": "center",
            "yanchor": "bottom",
            "showarrow": False,
            "font": {"size": 15},
        }
        for place, scene in enumerate(scenes)
    ]


def _scene(frame: Frame, number: int) -> dict[str, Any]:
    """Axes and camera of each of so many scenes."""
    # The camera's opening is upright: narrow panels are seen from farther away.
    away = _AWAY * max(1.0, number / 2)
    scene: dict[str, Any] = {
        "aspectmode": "manual",
        "aspectratio": dict(zip("xyz", frame.size.tolist(), strict=True)),
        "camera": {
            "eye": {"x": -1.15 * away, "y": -1.5 * away, "z": 0.7 * away},
            "center": {"x": 0, "y": 0, "z": -0.12},
        },
    }
    for k, axis in enumerate(frame.axes):
        scene[f"{'xyz'[k]}axis"] = {
            "title": {"text": "" if axis.name == "nothing" else hypertext(label(axis))},
            "range": [float(frame.low[k]), float(frame.high[k])],
            "tickvals": [place for place, _ in frame.ticks[k]],
            "ticktext": [hypertext(text) for _, text in frame.ticks[k]],
            "backgroundcolor": "rgb(248,248,248)",
            "gridcolor": "rgb(215,215,215)",
        }
    return scene


def _colours(frame: Frame) -> dict[str, Any]:
    low, high = frame.scale.vmin or 0.0, frame.scale.vmax or 1.0
    bar: dict[str, Any] = {"title": {"text": hypertext(label(frame.shade))}, "len": 0.7}
    if frame.weight:
        low, high = float(np.log10(low)), float(np.log10(high))
        # 1 and 3 of each decade; 3 is where half a decade ends.
        halves = np.arange(2 * np.floor(low), 2 * np.ceil(high) + 1) / 2
        marks = [float(mark) for mark in halves if low <= mark <= high]
        bar |= {"tickvals": marks, "ticktext": [f"{float(f'{10**mark:.1g}'):g}" for mark in marks]}
    return {"colorscale": COLOURS.capitalize(), "cmin": low, "cmax": high, "colorbar": bar}


def _slider(
    events: Sequence[int], titles: Sequence[list[dict[str, Any]]], traces: int, gap: int
) -> dict[str, Any]:
    """The slider over the events, ``gap`` pixels below the figure."""
    steps = []
    for place, event in enumerate(events):
        seen = [number // traces == place for number in range(traces * len(events))]
        arguments = [{"visible": seen}, {"annotations": titles[place]}]
        steps.append({"method": "update", "args": arguments, "label": str(event)})
    return {
        "steps": steps,
        "currentvalue": {"prefix": "event "},
        "pad": {"l": 40, "r": 40, "t": gap, "b": 10},
    }
