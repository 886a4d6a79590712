"""Worker processes: every call once, errors come through, nobody is left behind."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest

from pcgen.datasets.workers import run


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_every_call_gives_its_result(processes: int) -> None:
    arguments = [(float(i), 2.0) for i in range(4)]
    results = dict(run(math.pow, arguments, processes))
    assert results == {0: 0.0, 1: 1.0, 2: 4.0, 3: 9.0}


def test_the_work_is_done_elsewhere_unless_one_process_is_requested() -> None:
    here = [pid for _, pid in run(os.getpid, [(), ()], 1)]
    there = [pid for _, pid in run(os.getpid, [(), ()], 2)]
    assert here == [os.getpid()] * 2
    assert os.getpid() not in there


@pytest.mark.parametrize("processes", [1, 2])
def test_what_libraries_print_is_not_heard(
    processes: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert dict(run(os.write, [(1, b"banner"), (1, b"banner")], processes)) == {0: 6, 1: 6}
    os.write(1, b"heard")
    assert capfd.readouterr().out == "heard"


def test_nothing_to_do_starts_nothing() -> None:
    assert list(run(math.sqrt, [], 4)) == []


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_a_worker_is_raised_here(processes: int) -> None:
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        list(run(math.sqrt, [(-1.0,), (-1.0,)], processes))


def test_a_worker_needs_no_torch() -> None:
    code = (
        "import sys; import pcgen.datasets.workers, pcgen.datasets.pythia; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
