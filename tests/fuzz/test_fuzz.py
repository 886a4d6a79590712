"""No file makes a reader fail otherwise than with an error of pcgen, run on, or read wrongly.

``make fuzz`` tries 10,000 inputs for each reader (``PCGEN_FUZZ=N pytest tests/fuzz``), an ordinary
run a few. Inputs are read in a child process with a limit of memory and time; a child that does not
answer is ended, and a new one goes on behind that input. ``python tests/fuzz/test_fuzz.py READER
FIRST STOP FOLDER`` reads some inputs again and leaves the last one in the folder.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fuzz_reading
import pytest
from fuzz_samples import FILES, HDF5, sample

from pcgen.errors import FileError, PcgenError

SECONDS = 10  # of the processor for one input, in Python
GRACE = 20  # more, until a child counts as stuck in a library
MEMORY = 2 << 30  # bytes above the start
HEAD = (
    "| reader | inputs | error of pcgen | read | other | seconds |",
    "|---|---|---|---|---|---|",
)
INPUTS = int(os.environ.get("PCGEN_FUZZ", "50"))


class Endless(BaseException):
    """An input takes longer than it may; no reader catches this."""


def verdict(reader: str, path: Path, outside: bool) -> str:
    """What becomes of one input: "ours", "read", or what must not be."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        fuzz_reading.read(reader, path)
    except PcgenError as error:
        if _lacks_memory(error):
            return f"large: {str(error)[:200]!r}"
        return "ours" if "\n" not in str(error) else f"several lines: {str(error)[:200]!r}"
    except Endless:
        return "endless"
    except AssertionError as error:
        return f"different: {error!r:.200}"
    except MemoryError:
        return "large"
    except Exception as error:
        return f"foreign: {error!r:.200}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "outside: read what is not in the file" if outside else "read"


def _lacks_memory(error: BaseException | None) -> bool:
    """Whether an error comes from a lack of memory, whatever it was turned into."""
    while error is not None:
        if isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def child(reader: str, first: int, stop: int, folder: Path) -> None:
    """Try inputs ``first`` to ``stop`` of a reader, one line of standard output each."""
    from mutations import mutated

    def late(*_: Any) -> None:
        raise Endless

    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries in C print there what they find wrong
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, late)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for each in FILES if reader == "all" else [reader]:
        data = sample(each, folder)
        path = folder / FILES[each]
        for number in range(first, stop):
            dice = random.Random(f"{each} {number}")
            try:
                outside = mutated(each, data, dice, path)
            except Exception as error:
                print(f"{each} {number} not made {error!r:.200}", file=answers, flush=True)
                continue
            text = verdict(each, path, outside).replace("\n", " ")
            print(each, number, text, file=answers, flush=True)


def judged(reader: str, first: int, stop: int, folder: Path) -> list[tuple[str, int, str]]:
    """Verdicts of a range of inputs, with a new child behind each input that stops one."""
    found: list[tuple[str, int, str]] = []
    while first < stop:
        words = [sys.executable, __file__, reader, str(first), str(stop), str(folder)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            seen = len(found)
            for line in _lines(process):
                name, number, text = line.rstrip("\n").split(" ", 2)
                found.append((name, int(number), text))
        if process.returncode == 0:
            return found
        last = found[-1][1] if len(found) > seen else first - 1
        kind = "stuck" if process.returncode == -signal.SIGKILL else "crash"
        found.append((reader, last + 1, f"{kind} ({process.returncode})"))
        if reader == "all":
            return found
        first = last + 2
    return found


def _lines(process: subprocess.Popen[str]) -> Any:
    """Lines of a child, which is ended when none comes for too long."""
    import threading

    assert process.stdout is not None
    start = GRACE * 3  # the child imports torch first
    while True:
        clock = threading.Timer(start, process.kill)
        clock.start()
        line = process.stdout.readline()
        clock.cancel()
        if not line:
            return
        yield line
        start = SECONDS + GRACE


def _table(found: list[tuple[str, int, str]]) -> str:
    counts = Counter((name, text.split(":")[0].split(" ")[0]) for name, _, text in found)
    return "\n".join(f"{name}: {kind} {n}" for (name, kind), n in sorted(counts.items()))


def _check(found: list[tuple[str, int, str]]) -> None:
    # What the HDF5 library itself never returns from is beyond Python: SECURITY.md, "time".
    bad = [each for each in found if each[2] not in ("ours", "read") and "not made" not in each[2]]
    stuck = [each for each in bad if each[0] in HDF5 and each[2].startswith("stuck")]
    wrong = [each for each in bad if each not in stuck]
    assert not wrong, f"{_table(found)}\n" + "\n".join(map(str, wrong[:20]))
    assert len(stuck) <= len(found) // 500, f"{_table(found)}\n{stuck[:20]}"
    assert sum(text == "ours" for *_, text in found) > len(found) // 5, _table(found)
    assert sum(text == "read" for *_, text in found) > len(found) // 100, _table(found)


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.skipif("PCGEN_FUZZ" in os.environ, reason="the long run has a test for each reader")
def test_a_few_inputs_of_every_reader(tmp_path: Path) -> None:
    _check(judged("all", 0, INPUTS, tmp_path))


@pytest.mark.slow
@pytest.mark.skipif("PCGEN_FUZZ" not in os.environ, reason="make fuzz runs this")
@pytest.mark.parametrize("reader", FILES)
def test_many_inputs(reader: str, tmp_path: Path, rows: list[str]) -> None:
    start = time.monotonic()
    found = judged(reader, 0, INPUTS, tmp_path)
    rows.append(row(reader, found, time.monotonic() - start))
    _check(found)


@pytest.fixture(scope="module")
def rows() -> Iterator[list[str]]:
    """Rows of the table of docs/robustness.md, which is printed when all readers are done."""
    found: list[str] = []
    yield found
    if found:
        print("\n".join(["", *HEAD, *found]))


def row(reader: str, found: list[tuple[str, int, str]], seconds: float) -> str:
    """What became of the inputs of a reader."""
    made = [text for *_, text in found if not text.startswith("not made")]
    ours, read = made.count("ours"), made.count("read")
    numbers = (len(made), ours, read, len(made) - ours - read, round(seconds))
    return " | ".join([f"| {reader}", *(f"{number:,}" for number in numbers)]) + " |"


def _of_memory() -> FileError:
    error = FileError("a: damaged")
    error.__cause__ = MemoryError()
    return error


class _TwoLinesError(FileError):
    def __str__(self) -> str:
        return "a:\ntwo"


def test_the_judge_knows_every_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(error: BaseException) -> Any:
        def read(reader: str, path: Path) -> None:
            raise error

        return read

    expected = [
        (FileError("a: one line"), "ours"),
        (_TwoLinesError(), "several"),
        (Endless(), "endless"),
        (KeyError("x"), "foreign"),
        (MemoryError(), "large"),
        (_of_memory(), "large"),
        (AssertionError("x"), "different"),
    ]
    for error, kind in expected:
        monkeypatch.setattr(fuzz_reading, "read", raising(error))
        assert verdict("npy", tmp_path, False).startswith(kind)
    monkeypatch.setattr(fuzz_reading, "read", lambda reader, path: None)
    assert [verdict("npy", tmp_path, each)[:7] for each in (False, True)] == ["read", "outside"]


if __name__ == "__main__":
    name, begin, end, where = sys.argv[1:] if len(sys.argv) == 5 else [*sys.argv[1:], ""]
    child(name, int(begin), int(end), Path(where or tempfile.mkdtemp()))
