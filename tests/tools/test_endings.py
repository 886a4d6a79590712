"""How a command ends: by a signal, by a refusal of the system, by lack of memory."""

from __future__ import annotations

import errno
import inspect
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pcgen.errors import FileError, Terminated
from pcgen.tools import cli


@pytest.fixture
def ended_by(monkeypatch):
    """The exit status of the command where its work is a function."""

    def run(function) -> int:
        monkeypatch.setattr(cli, "_dispatch", lambda argv: function())
        return cli.main(["info"])

    return run


def raising(error: BaseException):
    def function():
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a/b.h5"), "a/b.h5: Permission denied"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "c"), "c: File name too long"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (FileError("a: is bad, expected a good one"), "a: is bad, expected a good one"),
        (MemoryError(), "not enough memory (memory is full), expected smaller"),
        (RuntimeError("DefaultCPUAllocator: can't\nallocate"), "not enough memory (DefaultCPU"),
        (torch.OutOfMemoryError("CUDA out of memory"), "not enough memory (CUDA out of memory)"),
    ],
)
def test_what_the_system_refuses_is_one_line(ended_by, capsys, error, line):
    assert ended_by(raising(error)) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"pcgen: {line}")
    assert message.count("\n") == 1


@pytest.mark.parametrize("error", [RuntimeError("a fault"), OSError("no number"), KeyError("a")])
def test_faults_of_the_program_are_not_hidden(ended_by, error):
    with pytest.raises(type(error)):
        ended_by(raising(error))


def test_memory_that_is_not_there_names_the_numbers_and_leaves_nothing(
    tmp_path, monkeypatch, capsys
):
    pytest.importorskip("open3d")
    monkeypatch.setenv("PCGEN_MAX_POINTS", str(10**12))
    words = f"simulate shapes {tmp_path / 'a.h5'} --points 100000000000 --number 2 --classes box"
    assert cli.main([*words.split(), "--processes", "1", "--progress", "false"]) == 1
    message = capsys.readouterr().err
    found = re.fullmatch(
        r"pcgen: not enough memory with --points 100000000000, --number 2, --processes 1 "
        r"\(([\d.]+) GB wanted, the machine has ([\d.]+)\), expected a smaller number\n",
        message,
    )
    assert found is not None, message
    assert float(found[1]) > float(found[2])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        "sample nowhere OUT.h5",
        "sample nowhere FILE/a_%05d.ply",
        "invert nowhere none.h5 OUT.h5",
        "classify nowhere none.h5 OUT.csv",
        "export nowhere OUT.onnx",
        "evaluate none.h5 none.h5 --output FILE/below",
        "train points-vae --data none.h5 --output FILE",
        "convert none.h5 OUT.h5",
        "view none.h5 --output OUT.html",
        "compare none.yaml --report FILE/a.md",
        "papers games --output OUT.md",
        "bench OUT.md",
    ],
)
def test_outputs_that_cannot_be_written_are_named_before_the_inputs(
    tmp_path, monkeypatch, capsys, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    words = words.replace("OUT", "missing/a").replace("FILE", "file")
    assert cli.main(words.split()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(("pcgen: missing/a.", "pcgen: file"))
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_training_that_fails_before_a_checkpoint_leaves_nothing(tmp_path, capsys):
    words = "train points-vae --max-points 4 --hidden 4 --layers 1 --steps 40 --lr 1e30 --clip null"
    words += " --warmup 0 --accelerator cpu --progress false --validate-events 8 --batch-size 4"
    assert cli.main([*words.split(), "--output", str(tmp_path / "a" / "run")]) == 1
    assert "what is saved is from before this step" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    # With a checkpoint the run stays, and so does a folder that was there, but empty.
    (tmp_path / "empty").mkdir()
    kept = [*words.split(), "--output", str(tmp_path / "empty"), "--checkpoint-every", "1"]
    assert cli.main(kept[:-2]) == 1
    assert list((tmp_path / "empty").iterdir()) == []
    assert cli.main(kept) == 1
    assert (tmp_path / "empty" / "checkpoints" / "last.ckpt").exists()


def test_sigterm_ends_like_ctrl_c(ended_by, capsys):
    before = signal.getsignal(signal.SIGTERM)
    cleaned = []

    def work():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            cleaned.append(True)

    assert ended_by(work) == 143
    assert cleaned
    assert capsys.readouterr().err == "pcgen: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) is before
    assert ended_by(raising(Terminated("interrupted at step 3"))) == 143
    assert capsys.readouterr().err == "pcgen: interrupted at step 3\n"
    assert ended_by(raising(KeyboardInterrupt())) == 130


def test_a_terminated_training_is_saved_and_leaves_nothing_else(tmp_path):
    command = [sys.executable, "-m", "pcgen.tools", "train", "points-vae", "--hidden", "4"]
    command += ["--layers", "1", "--latent-dim", "2", "--max-points", "4", "--steps", "100000"]
    command += ["--batch-size", "2", "--output", str(tmp_path / "run"), "--accelerator", "cpu"]
    command += ["--log-every", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()  # the first line of progress: steps are being done
        assert line.startswith("step "), line
        os.kill(process.pid, signal.SIGTERM)
        _, message = process.communicate(timeout=100)
    assert process.returncode == 143, message
    assert message.splitlines()[-1].startswith("pcgen: interrupted at step ")
    assert (tmp_path / "run/checkpoints/last.ckpt").is_file()
    assert not list((tmp_path / "run").rglob(".*"))


@pytest.mark.parametrize("seed", [2**63, 2**64, 2**70, -(2**70), -1])
@pytest.mark.parametrize("command", ["train", "sample", "convert", "evaluate", "simulate"])
def test_seeds_out_of_range_are_one_line(tmp_path, capsys, monkeypatch, command, seed):
    from pcgen.datasets.jets import SAMPLE

    monkeypatch.chdir(tmp_path)
    words = {
        "train": ["train", "points-vae", "--max-points", "4"],
        "sample": ["sample", "run", "a.h5"],
        "convert": ["convert", str(SAMPLE), "a.h5"],
        "evaluate": ["evaluate", str(SAMPLE), str(SAMPLE)],
        "simulate": ["simulate", "jets", "a.h5"],
    }[command]
    assert cli.main([*words, f"--seed={seed}"]) == 1
    message = capsys.readouterr().err
    assert f"seed: got {seed}, expected" in message or f"got {seed}" in message
    assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_page_of_the_docs_lists_every_status():
    page = Path(__file__).parents[2] / "docs" / "when-something-goes-wrong.md"
    listed = {int(status) for status in re.findall(r"^\| (\d+) \|", page.read_text(), re.MULTILINE)}
    functions = (cli.main, cli._failed, cli._misused, cli._dispatch)
    endings = re.findall(r"return .*", "\n".join(map(inspect.getsource, functions)))
    returned = {int(status) for ending in endings for status in re.findall(r"\b\d+\b", ending)}
    assert listed == returned | {128 + signal.SIGKILL}
