from __future__ import annotations

import re
import sys

from toy_models import Toy
from toy_runs import fit

from pcgen.tools.progress import Counter
from pcgen.training import Reports
from pcgen.training.log import QUIET, Progress

LOSSES = {"critic/critic": -0.12345, "generator/generator": 2.0}


class Clock:
    """Moves by so many seconds whenever it is read."""

    def __init__(self, pace: float) -> None:
        self.now, self.pace = -pace, pace

    def __call__(self) -> float:
        self.now += self.pace
        return self.now


def lines(capsys, pace: float, *, steps: int = 10, done: int = 0, every: int = 1) -> list[str]:
    with Progress(steps, done, show=True, clock=Clock(pace)) as progress:
        for step in range(done + 1, steps + 1):
            progress.update(step, LOSSES if step % every == 0 else {})
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_without_a_terminal_a_line_shows_losses_and_time_left(capsys):
    shown = lines(capsys, 60.0)
    text = "critic/critic -0.1235, generator/generator 2"
    assert shown[0] == f"step 1 of 10: {text}; 9 min 0 s left"
    assert shown[-2] == f"step 9 of 10: {text}; 1 min 0 s left"
    assert shown[-1] == f"step 10 of 10: {text}; done in 10 min 0 s"
    assert len(shown) == 10


def test_lines_are_few_and_the_last_one_is_there(capsys):
    shown = lines(capsys, QUIET / 4)
    assert [line.split(":")[0] for line in shown] == [f"step {k} of 10" for k in (4, 8, 10)]
    assert [line.split()[1] for line in lines(capsys, 60.0, every=5)] == ["5", "10"]


def test_time_left_is_that_of_the_steps_of_this_start(capsys):
    shown = lines(capsys, 3600.0, steps=10, done=7)
    assert [line.split("; ")[1] for line in shown] == [
        "2 h 0 min left",
        "1 h 0 min left",
        "done in 3 h 0 min",
    ]


def test_a_terminal_shows_a_bar_with_losses(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    shown = "\n".join(lines(capsys, 60.0))
    assert "10/10" in shown
    assert "critic/critic -0.1235, generator/generator 2" in shown
    assert "step 10 of 10" not in shown


def test_nothing_is_shown_where_it_is_not_wanted(capsys):
    with Progress(2, 0, show=False, clock=Clock(60.0)) as progress:
        progress.update(1, LOSSES)
        progress.update(2, LOSSES)
    assert capsys.readouterr().err == ""


def test_a_run_reports_its_losses_and_nothing_else(tmp_path, capsys):
    fit(Toy(), tmp_path, 4, reports=Reports(log_every=2), validate=lambda model: {"score": 1.0})
    shown = capsys.readouterr().err.splitlines()
    number = r"-?[\d.e+-]+"
    wanted = rf"step 4 of 4: fit/pull {number}, fit/volume {number}; done in \d+ s"
    assert len(shown) == 1
    assert re.fullmatch(wanted, shown[0])


def test_what_is_counted_is_a_line_now_and_then(capsys):
    with Counter("events", 10, clock=Clock(QUIET / 4)) as counter:
        for _ in range(5):
            counter.advance(2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "8 of 10 events; 2 s left\n"  # the caller prints the end
