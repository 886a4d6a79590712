"""A command that is killed at any moment is finished by the same command, as if nothing had been.

Each command runs once to its end; then again and again, in new folders, each time ended by SIGKILL
at a random moment of its work and taken up by the same command. What it leaves must equal the
uninterrupted result: byte for byte, or value for value where files hold times. ``make fuzz`` kills
each command 20 times (``PCGEN_KILLS=N pytest tests/fuzz/test_kills.py``), an ordinary run twice.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from toy_runs import differences
from warm import Warm, messages

from pcgen import clouds, io
from pcgen.datasets.jets import sample_jets
from pcgen.errors import FileError
from pcgen.io import JETS, write_clouds
from pcgen.schema import Quantity, Schema
from pcgen.training import checkpoint

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads processes as Linux does")

KILLS = int(os.environ.get("PCGEN_KILLS", "2"))
TIMES = re.compile("seconds|ms_per|us_per|memory")
EVENTS, NEVER = 300, -1
PLANE = Schema((Quantity("x", "mm"), Quantity("y", "mm")))
RUN = (
    "train points-vae --hidden 8 --layers 1 --latent-dim 2 --data ../../inputs/jets.h5 "
    "--output run --steps 30 --batch-size 16 --checkpoint-every 4 --validate-every 6 --keep 2 "
    "--log-every 3 --validate-events 30 --samples 50 --accelerator cpu"
)
COMPARE = "compare ../../inputs/study.yaml --output study --progress false"
STUDY = """
title: Killed
data: {files: jets.h5, max_points: 16, within: "eta_rel:-0.4:0.4:1,phi_rel:-0.4:0.4:1"}
grid: eta_rel:-0.4:0.4:16,phi_rel:-0.4:0.4:16
protocol: {name: pcgen, repeats: 2, subset: 0}
budget: {steps: 12}
events: 30
train: {validate_events: 20, batch_size: 16}
rows:
  - {name: epic, recipe: points-vae, options: {hidden: 8}}
  - {name: real, real: validation}
"""


@dataclass(frozen=True)
class Case:
    """A command that is killed.

    Attributes:
        words: The command line.
        finish: Another command that finishes it too, every second time.
        atomic: Whether a file under its final name is complete, always. Files of a run grow.
        files: The numbered files that it writes; a part of them must be refused.
    """

    words: str
    finish: str | None = None
    atomic: bool = True
    files: str | None = None


CASES = {
    "simulate": Case("simulate jets a.h5 --classes g,q --number 10 --processes 1 --progress false"),
    "simulate showers": Case(
        "simulate showers a.h5 --number 1200 --geometry stack --energy 1:5 --processes 1 "
        "--progress false"
    ),
    "convert to a file": Case(
        "convert ../../inputs/jets.h5 a.npz --grid eta_rel:-0.4:0.4:64,phi_rel:-0.4:0.4:64 "
        "--outside drop --block 16"
    ),
    "convert to many files": Case(
        "convert ../../inputs/jets.h5 e_%05d.ply", atomic=False, files="e_%05d.ply"
    ),
    "convert to a folder": Case(
        "convert ../../inputs/jets.h5 new/e_%05d.pcd", files="new/e_%05d.pcd"
    ),
    "train": Case(RUN, finish="resume run", atomic=False),
    "sample": Case("sample ../../inputs/run s.h5 --number 4000 --batch-size 100"),
    "evaluate": Case(
        "evaluate ../../inputs/real.h5 ../../inputs/made.h5 --output scores --split all "
        "--repeats 2 --subset 20 --permutations 20"
    ),
    "compare": Case(COMPARE, atomic=False),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kills")


@pytest.fixture(scope="module")
def warm(base: Path) -> Iterator[Warm]:
    """The warm process, with what the commands read."""
    (base / "tmp").mkdir()
    inputs = base / "inputs"
    inputs.mkdir()
    jets = sample_jets("all", max_points=12)
    write_clouds(inputs / "jets.h5", jets.read(0, EVENTS), JETS)
    (inputs / "study.yaml").write_text(STUDY)
    generator = torch.Generator().manual_seed(0)
    for name in ("real", "made"):
        pos = torch.randn(EVENTS * 5, 2, generator=generator)
        write_clouds(inputs / f"{name}.h5", clouds.make(pos, [5] * EVENTS), PLANE)
    process = Warm(base / "tmp")
    process.rehearse(inputs, RUN.replace("../../inputs/", ""))
    yield process
    process.close()


@dataclass
class Trials:
    """A command that was run to its end, and is killed in one new folder after the other.

    Attributes:
        expected: The content of the folder after the uninterrupted command.
        seconds: What that takes.
        changes: How many changes to folders it makes.
        early: How often the command had ended before it was killed.
    """

    case: Case
    warm: Warm
    base: Path
    expected: dict[str, Any]
    seconds: float
    changes: int
    number: int = 0
    early: int = 0

    def folder(self) -> Path:
        """Of the next trial."""
        self.number += 1
        folder = self.base / str(self.number)
        folder.mkdir()
        return folder

    def kill(self, share: float) -> Path:
        """The folder of a command that was killed after this share of its time."""
        while True:
            folder, began = self.folder(), time.monotonic()
            process = self.warm.start(folder, self.case.words)
            time.sleep(max(began + share * self.seconds - time.monotonic(), 0))
            os.kill(process, signal.SIGKILL)
            status, seconds = self.warm.wait()
            if status == -signal.SIGKILL:
                return folder
            assert status == 0, messages(folder)
            assert list(changed(self.expected, content(folder))) == []
            # It was faster this time: so is the measure from now on.
            self.seconds, self.early = min(self.seconds, seconds), self.early + 1
            assert self.early < 20 + KILLS, "it is never killed"

    def kill_at(self, change: int) -> Path:
        """The folder of a command that was killed before a change to a folder."""
        folder = self.folder()
        self.warm.start(folder, self.case.words, change)
        status, _ = self.warm.wait()
        assert status == -signal.SIGKILL, messages(folder)
        return folder

    def check(self, folder: Path, words: str) -> None:
        """What is left is whole or refused, and finished as if nothing had been."""
        check_killed(folder, self.case, self.expected)
        self.warm.start(folder, words)
        status, _ = self.warm.wait()
        # A complete set of files is never replaced: the command was killed after its work.
        done = self.case.files is not None and "files are there already" in messages(folder)
        assert status == 0 or done, messages(folder)
        assert list(changed(self.expected, content(folder))) == [], messages(folder)
        left = [file for file in folder.rglob("*") if file.name.startswith(".")]
        assert left + list((self.base.parent / "tmp").iterdir()) == [], messages(folder)


@pytest.fixture(scope="module", params=CASES)
def trials(request: pytest.FixtureRequest, base: Path, warm: Warm) -> Trials:
    if request.param == "simulate":
        pytest.importorskip("pythia8mc")
    case, folder = CASES[request.param], base / request.param.replace(" ", "-")
    for name in ("rehearsal", "whole"):
        (folder / name).mkdir(parents=True)
    warm.rehearse(folder / "rehearsal", case.words)
    seconds = warm.run(folder / "whole", case.words, NEVER)
    changes = int(messages(folder / "whole").split("changes: ")[1])
    expected = content(folder / "whole")
    assert list(changed(content(folder / "rehearsal"), expected)) == []
    return Trials(case, warm, folder, expected, seconds, changes)


def test_a_command_killed_at_any_moment_is_finished(trials: Trials) -> None:
    dice = random.Random(trials.case.words)
    for kill in range(KILLS):
        folder = trials.kill((kill + dice.random()) / KILLS)
        trials.check(folder, finishing(trials.case, folder, kill))
    print(f"{trials.base.name}: {KILLS} kills within {trials.seconds:.2f} s, {trials.early} early")


@pytest.mark.slow
@pytest.mark.skipif("PCGEN_KILLS" not in os.environ, reason="make fuzz runs this")
def test_a_command_killed_at_any_change_to_a_folder_is_finished(trials: Trials) -> None:
    """Moments that are too short to be hit by chance."""
    dice = random.Random(trials.case.words)
    chosen = dice.sample(range(trials.changes), min(KILLS, trials.changes))
    for kill, change in enumerate(chosen):
        folder = trials.kill_at(change)
        trials.check(folder, finishing(trials.case, folder, kill))
    print(f"{trials.base.name}: {len(chosen)} kills at {trials.changes} changes to folders")


def finishing(case: Case, folder: Path, kill: int) -> str:
    """The command that finishes it: the same, or every second time another one."""
    # Before the configuration is there, there is no run to go on with.
    begun = (folder / "run" / "config.json").exists()
    return case.finish if case.finish is not None and kill % 2 and begun else case.words


def check_killed(folder: Path, case: Case, expected: dict[str, Any]) -> None:
    """What a killed command leaves under final names is whole, or is refused."""
    for name, value in content(folder).items():
        # Reading them has checked that they are whole; of a run it is not yet the last state.
        assert not case.atomic or name not in expected or value == expected[name], name
    if case.files is None or not (folder / case.files).parent.exists():
        return
    try:
        with io.open_file(folder / case.files) as source:
            number = len(source)
    except FileError as error:
        refused = re.search(rf"no such files|holds \d+ of {EVENTS} files", str(error))
        number = EVENTS if refused else -1
    assert number == EVENTS


# --- what files hold ------------------------------------------------------------------------------


def content(folder: Path) -> dict[str, Any]:
    """What the files of a folder hold, without times, by name; hidden ones are none of them."""
    found = {}
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(folder))
        if file.is_file() and not any(part.startswith(".") for part in file.parts):
            value = next((read for end, read in READ if re.search(end, name)), Path.read_bytes)
            if value is not None:
                found[name] = value(file)
    return found


def changed(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """Names of what differs, is missing or is too much."""
    for name in {**expected, **found}:
        if name not in found or name not in expected:
            yield f"{name}: {'missing' if name in expected else 'too much'}"
        else:
            yield from (f"{name}: {each}" for each in differences(expected[name], found[name]))


def without_times(value: Any) -> Any:
    """A tree of plain values without the entries that are times."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if not TIMES.search(str(k))}
    if isinstance(value, list):
        return [without_times(each) for each in value]
    return value


def read_json(file: Path) -> Any:
    return without_times(json.loads(file.read_text()))


def read_csv(file: Path) -> Any:
    with file.open(newline="") as lines:
        return without_times(list(csv.DictReader(lines)))


def read_checkpoint(file: Path) -> Any:
    return without_times(dataclasses.asdict(checkpoint.read(file)))


def read_clouds(file: Path) -> Any:
    """All values, and all facts but those that the command line and times go into."""
    with io.open_cloud_file(file) as source:
        facts = {k: v for k, v in source.attrs.items() if k not in ("command", "model_digest")}
        return {**clouds.attributes(source.read()), **facts, "schema": source.schema.to_dict()}


def read_picture(file: Path) -> Any:
    """Its size in pixels, if it is whole."""
    with Image.open(file) as image:
        image.load()
        return image.size


READ: list[tuple[str, Callable[[Path], Any] | None]] = [
    (r"\.parts/", None),  # of a simulation that goes on
    (r"environment\.json$|tensorboard/", None),  # say when a run was started
    (r"\.log$", None),
    (r"report\.md$", None),  # has tables of times
    (r"cost\.png$|learning-curves\.png$", read_picture),  # show times
    (r"\.ckpt$", read_checkpoint),
    (r"\.json$", read_json),
    (r"\.csv$", read_csv),
    (r"samples/samples\.h5$", read_clouds),
]
