"""The page of a comparison, with its figures and tables of numbers, all from the rows.

A page is a list of blocks. A word stands for a block without options, and a dictionary has its
kind among its keys:

================ ===============================================================================
``text: ...``    Markdown, with settings and facts of the rows in braces (:func:`_names`)
``file: ...``    a file of Markdown beside the study, as it is
``section: ...`` a heading and ``blocks``; it is left out where none of its ``rows`` are there
``labels: F``    the values of a factor that occur, and what they are called
``answers``      what was expected, and what the rows answer
``scores: {}``   a table of scores, under those of real events (``floors``, or none: false)
``costs: {}``    a table of what training and sampling took
``curves: {}``   a table of learning curves at equal steps, ``among`` the values of a factor
``figure: ...``  a picture (:class:`.figures.Picture`)
``troubles``     rows that diverged or failed
================ ===============================================================================

``rows`` of a block are values of factors; those of its section are its own where it has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from pcgen import plotting
from pcgen.errors import ArgumentError, DataError
from pcgen.io import atomic
from pcgen.io.atomic import make_folder, writable
from pcgen.tools.comparison import figures, questions, tables
from pcgen.tools.comparison.results import (
    TABLES,
    Cell,
    Names,
    Result,
    cells,
    matches,
    read,
    summary,
    write_tables,
)
from pcgen.tools.comparison.study import Study
from pcgen.tools.comparison.study_file import built

_DPI, _COLOURS = 100, 64  # small files: a page and its pictures are kept with a project


def write(
    folder: Path, study: Study, settings: Mapping[str, Any], page: Path | None = None
) -> Path:
    """Write the page of the rows that are done.

    Args:
        folder: Of the comparison.
        study: Questions and labels.
        settings: What all rows share.
        page: Where to write it, ``report.md`` in the folder by default. Pictures and numbers go
            into a folder beside it, of the same name without ending.

    Returns:
        The page.

    Raises:
        ArgumentError: a block is not one of those above, or names what rows do not have.
        DataError: no row is done yet.
        FileError: a row's file is damaged, or the page cannot be written.
    """
    results = read(folder, list(study.factors))
    if not results:
        raise DataError(f"{folder}: got no row that is done, expected at least one")
    page = page or folder / "report.md"
    beside = make_folder(page.with_suffix(""))
    write_tables(beside, results, list(study.factors))
    writer = _Writer(study, results, cells(results, study.factors), settings, beside)
    blocks = [f"# {study.title}"]
    for k, block in enumerate(study.page or _usual(study)):
        blocks += writer.block(f"page[{k}]", block, None)
    with atomic(page) as temporary:
        temporary.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return page


@dataclass(frozen=True)
class _Writer:
    """Makes Markdown of the blocks of a page."""

    study: Study
    results: Sequence[Result]
    there: Sequence[Cell]
    settings: Mapping[str, Any]
    folder: Path

    def block(self, place: str, block: Any, rows: Mapping[str, Any] | None) -> list[str]:
        """The paragraphs of a block; none where there is nothing to show."""
        given = {block: {}} if isinstance(block, str) else block
        kinds: dict[str, Callable[..., list[str]]] = {
            "text": self._text,
            "file": self._file,
            "section": self._section,
            "labels": self._labels,
            "answers": self._answers,
            "scores": self._scores,
            "costs": self._costs,
            "curves": self._curves,
            "figure": self._figure,
            "troubles": self._troubles,
        }
        kind = next((k for k in given if k in kinds), None) if isinstance(given, dict) else None
        if kind is None:
            raise ArgumentError(f"{place}: got {block!r}, expected one of {', '.join(kinds)}")
        own = dict(given) if kind == "figure" else {k: v for k, v in given.items() if k != kind}
        if kind in ("scores", "costs", "curves"):
            own |= given[kind] or {}
        elif kind != "figure":
            own["what"] = given[kind]
        own["rows"] = own.get("rows") if own.get("rows") is not None else rows
        try:
            return kinds[kind](place, **own)
        except (TypeError, KeyError) as error:
            raise ArgumentError(f"{place}: {kind}: {error}") from error

    def _cells(self, rows: Mapping[str, Any] | None) -> list[Cell]:
        """Rows that were trained, those of all factors or of some."""
        return [c for c in self.there if not c.floor and matches(c.factors, rows or {})]

    def _floors(self, wanted: Mapping[str, Any] | bool | None, there: Sequence[Cell]) -> list[Cell]:
        """Real events at the values that some rows have, of factors that both share."""
        if not isinstance(wanted, Mapping):
            return []
        found = [c for c in self.there if c.floor and matches(c.factors, wanted)]
        for name in self.study.factors:
            values = {cell.factors[name] for cell in there}
            if any(cell.factors[name] in values for cell in found):
                found = [cell for cell in found if cell.factors[name] in values]
        return found

    def _text(self, place: str, what: str, rows: Any) -> list[str]:
        known = _names(self.study, self.results, self.settings, self.folder.name)
        here = [each for cell in self._cells(rows) for each in cell.results]
        return [str(what).strip("\n").format_map(Names(known, here))]

    def _file(self, place: str, what: str, rows: Any) -> list[str]:
        file = self.study.file.parent / what
        with writable(file):
            return [file.read_text(encoding="utf-8").strip("\n")]

    def _section(self, place: str, what: str, blocks: Sequence[Any], rows: Any) -> list[str]:
        if rows is not None and not self._cells(rows):
            return []
        inner = [
            text
            for k, block in enumerate(blocks)
            for text in self.block(f"{place}: blocks[{k}]", block, rows)
        ]
        return [f"## {what}", *inner]

    def _labels(self, place: str, what: str, rows: Any) -> list[str]:
        there = {cell.factors[what] for cell in self._cells(rows)}
        known = {k: v for k, v in self.study.factors[what].items() if k in there and v}
        return ["\n".join(f"- `{value}`: {label}" for value, label in known.items())] * bool(known)

    def _answers(self, place: str, what: Any, rows: Any) -> list[str]:
        blocks = []
        for each in self.study.questions:
            found = questions.answer(each, self._cells(rows), self.study.factors)
            blocks.append(
                f"**{each.name}: {found.verdict}.**\n"
                f"- Expected before the run: {each.text}\n"
                f"- Rows: {found.because}."
            )
        return blocks

    def _scores(
        self,
        place: str,
        rows: Any,
        columns: Mapping[str, str] | None = None,
        heads: Mapping[str, str] | None = None,
        floors: Mapping[str, Any] | bool | None = None,
        sort: Sequence[str] = (),
    ) -> list[str]:
        there = self._sorted(rows, sort)
        names = columns or self.study.scores or tables.scores_of(there)
        real = None if floors is None else self._floors(floors, there)
        return [tables.scores(there, names, self._heads(heads), real)] * bool(there and names)

    def _costs(
        self,
        place: str,
        rows: Any,
        columns: Mapping[str, str] | None = None,
        heads: Mapping[str, str] | None = None,
        sort: Sequence[str] = (),
    ) -> list[str]:
        there = self._sorted(rows, sort)
        names = columns or tables.COSTS
        return [tables.costs(there, names, self._heads(heads))] * bool(there)

    def _curves(
        self,
        place: str,
        rows: Any,
        among: str | None = None,
        heads: Mapping[str, str] | None = None,
        sort: Sequence[str] = (),
    ) -> list[str]:
        there = self._sorted(rows, sort)
        return [tables.at_equal(there, among, self._heads(heads))] * bool(there)

    def _figure(self, place: str, rows: Any, **own: Any) -> list[str]:
        picture = built(place, figures.Picture, {**own, "rows": rows or {}})
        there = self._cells(rows)
        if not there:
            return []
        real = self._floors(picture.floors, there)
        file = self.folder / picture.file
        plotting.save(figures.draw(picture, there, real, self.study.factors), file, dpi=_DPI)
        with Image.open(file) as image, atomic(file) as temporary:
            image.convert("RGB").quantize(_COLOURS).save(temporary, format="png", optimize=True)
        return [f"![{picture.caption}]({self.folder.name}/{picture.file})"]

    def _troubles(self, place: str, what: Any, rows: Any) -> list[str]:
        stopped = sum(each.number("nonfinite") > 0 for each in self.results)
        broken = [each for each in self.results if each.number("broken") > 0]
        shown = ", ".join(f"`{r.name}` ({r.number('broken'):.1%})" for r in broken) or "none"
        lines = (
            f"A training stops at the first loss or gradient that is not finite: {stopped} did. "
            "Rows with generated events that were not finite, which are left out of its scores: "
            f"{shown}."
        )
        found = tables.troubles(self.results)
        return [lines, found] if found else [lines]

    def _sorted(self, rows: Any, by: Sequence[str]) -> list[Cell]:
        """Cells, the values of some factors first in the order of the lines."""
        orders = {name: list(self.study.factors[name]) for name in by}
        there = self._cells(rows)
        return sorted(there, key=lambda c: [orders[n].index(c.factors[n]) for n in by])

    def _heads(self, heads: Mapping[str, str] | None) -> Mapping[str, str]:
        return heads or {name: name for name in self.study.factors}


def _names(
    study: Study, results: Sequence[Result], settings: Mapping[str, Any], beside: str
) -> dict[str, Any]:
    """What the texts of a page may name in braces: settings, and facts of the rows."""
    trained = [each for each in results if not each.floor]
    seconds, steps = settings.get("seconds"), settings.get("steps")
    known = [v for v in (each.number("cpu_seconds") for each in trained) if v == v]
    spent = ""
    if seconds is not None and known:
        middle = summary(known)
        assert middle is not None
        spent = (
            "How many steps the budget pays for is estimated from the first few, and in the end "
            f"trainings took {min(known):.3g} to {max(known):.3g} CPU-seconds "
            f"(median {middle.median:.3g}). "
        )
    length = f"{steps} steps"
    if seconds is not None:
        length = f"{seconds:g} CPU-seconds of training (validation and reading are not counted)"
    machines = dict.fromkeys(str(r.values["machine"]) for r in trained if r.values.get("machine"))
    most = settings.get("max_points")
    return {
        **settings,
        "rows": len(trained),
        "length": length,
        "spent": spent,
        "files": ", ".join(f"`{name}`" for name in _flat(settings.get("files", []))),
        "cut": "" if most is None else f", the {most} hardest of each event",
        "machine": "; ".join(machines) or settings.get("machine", "an unknown machine"),
        "links": ", ".join(f"[{name}]({beside}/{name})" for name in TABLES.values()),
        "undertrained": tables.UNDERTRAINED,
        "rose": tables.ROSE,
    }


def _flat(names: Sequence[Any]) -> list[str]:
    """Names in lists of them, where rows differ."""
    each = [name if isinstance(name, list) else [name] for name in names]
    return list(dict.fromkeys(name for some in each for name in some))


_MARKS = """\
Numbers are medians [quartiles] over all seeds that have them.

- {undertrained} and hollow markers: a seed is *not converged* (its validation score fell by more \
than a tenth in the second half of its training, or it has not seen every event once), diverged or \
failed; such rows support no conclusion.
- {rose}: the validation score of a seed *rose* by more than a tenth in the second half. \
*Converged* means that a score falls no more, and not that it is good."""


def _usual(study: Study) -> list[Any]:
    """The page of a study that does not describe its own."""
    first, *others = study.factors
    answers = [{"section": "Expectations and answers", "blocks": ["answers"]}]
    picture = {
        "figure": "columns",
        "file": "score.png",
        "caption": "Score by row; band: truth against truth",
        "scores": dict([*study.scores.items()][:1]) or {"score": "score"},
        "x": first,
        "colour": others[0] if others else None,
    }
    curves = {
        "figure": "curves",
        "file": "curves.png",
        "caption": "Validation score against step; dashed: not converged",
        "colour": first,
        "panels": others[:1],
    }
    cost = (
        "What it cost (medians). *To generate*: parameters without critic and encoder; *MiB*: peak "
        "memory of training and sampling above that of the data; *outside*: fraction of the "
        "generated weight outside the grid, which is lost."
    )
    return [
        *([{"text": study.text}] if study.text else []),
        {
            "text": "{rows} rows, each trained once: {length}, batches of {batch_size}, one "
            "thread, on the events of {files}{cut}. {spent}Trained on {machine}. {events} "
            "generated events are judged by the protocol {protocol}, beside what real events score "
            "against others. Raw numbers: {links}."
        },
        {"text": _MARKS},
        *(answers if study.questions else []),
        {"section": "Scores", "blocks": [picture, "scores"]},
        {"section": "What it cost", "blocks": [{"text": cost}, "costs"]},
        {"section": "Learning curves", "blocks": [curves, "curves"]},
        {"section": "Rows that diverged or failed", "blocks": ["troubles"]},
    ]
