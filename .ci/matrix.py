"""The wheel, with the oldest and the newest that it allows: ``python .ci/matrix.py dist/*.whl``.

One row installs the lower bounds of setup.cfg on the oldest Python there is, the others the newest
packages on each Python. Each row is an empty environment, in which modules are imported, a model
that ships samples, and tests run. A table comes at the end; the status is 1 if a row failed.

    --rows oldest 3.13    these rows alone (oldest, or a version for the newest packages)
    --tests PATH ...      other tests than TESTS
    --keep                the environments stay, in build/matrix
"""

from __future__ import annotations

import argparse
import configparser
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "matrix"
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
TESTS = (
    *("tests/test_clouds.py", "tests/test_load.py", "tests/grids", "tests/images", "tests/io"),
    *("tests/nn/points", "tests/models", "tests/tools/test_shipped.py"),
)
EXTRAS = "export,hepmc,uproot,parquet,dask"
SHOWN = ("torch", "torch-geometric", "numpy", "numba", "open3d", "jsonargparse")
IMPORTS = """
import importlib, pkgutil, pcgen
for module in pkgutil.walk_packages(pcgen.__path__, "pcgen."):
    if not module.name.endswith(("__main__", "_triton", "jetnet_peer")):
        importlib.import_module(module.name)
"""


class Row(NamedTuple):
    """What one environment showed."""

    name: str
    python: str
    versions: str
    steps: dict[str, str]


def interpreters() -> dict[str, str]:
    """The Pythons of this machine by version, those of pyenv too."""
    places = [*os.get_exec_path(), *map(str, Path.home().glob(".pyenv/versions/*/bin"))]
    found: dict[str, str] = {}
    for version in PYTHONS:
        for place in places:
            command = Path(place) / f"python{version}"
            check = [str(command), "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]
            if command.exists() and version not in found:
                done = subprocess.run(check, capture_output=True, text=True, check=False)
                if done.stdout.strip() == version:
                    found[version] = str(command)
    return found


def lower_bounds() -> list[str]:
    """What setup.cfg requires, with ``==`` in the place of ``>=``; tools of lint left out."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    lines = [
        setup["options"]["install_requires"],
        extras["export"],
        extras["hepmc"],
        extras["uproot"],
        extras["parquet"],
        extras["dask"],
    ]
    names = [re.sub(r"\[.*?\]", "", line) for line in "\n".join(lines).split("\n") if line.strip()]
    tests = [line for line in extras["test"].split("\n") if re.match("pytest|hypothesis", line)]
    return [line.replace(">=", "==") for line in (*names, *tests)]


def run(command: list[str], log: Path) -> str:
    """``ok`` or ``FAILED``, with the seconds; what it prints goes to a file."""
    start = time.monotonic()
    with log.open("a") as out:
        out.write(f"\n$ {' '.join(command)}\n")
        out.flush()
        done = subprocess.run(command, stdout=out, stderr=out, cwd=log.parent, check=False)
    word = "ok" if done.returncode == 0 else "FAILED"
    return f"{word} {time.monotonic() - start:.0f} s"


def try_row(name: str, python: str, wheel: Path, tests: list[str], keep: bool) -> Row:
    """One environment, from empty to tested."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log, bounds = folder / "log.txt", folder / "bounds.txt"
    bounds.write_text("\n".join(lower_bounds() if name == "oldest" else []) + "\n")
    home = folder / "env" / "bin"
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    pytest = [str(home / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default"]
    pip = [str(home / "pip"), "install", "--progress-bar", "off"]
    steps = {
        "environment": [python, "-m", "venv", str(home.parent)],
        "pip": [*pip, "-U", "pip"],
        "install": [*pip, "-c", str(bounds), f"{wheel}[{EXTRAS}]", "pytest", "hypothesis"],
        "imports": [str(home / "python"), "-c", IMPORTS],
        "sample": [str(home / "pcgen"), "sample", "jets-flow", "jets.h5", "--number", "50"],
        "tests": [*pytest, *tests],
    }
    results: dict[str, str] = {}
    for step, command in steps.items():
        results[step] = run(command, log)
        print(f"{name}: {step} {results[step]}", flush=True)
        if step in ("environment", "install") and "FAILED" in results[step]:
            break
    listed = subprocess.run(
        [str(home / "pip"), "freeze"], capture_output=True, text=True, check=False
    )
    at = dict(line.split("==") for line in listed.stdout.lower().splitlines() if "==" in line)
    if not keep:
        shutil.rmtree(folder / "env", ignore_errors=True)
    versions = ", ".join(f"{each} {at[each]}" for each in SHOWN if each in at)
    return Row(name, Path(python).name, versions, results)


def main() -> int:
    """The rows one after the other, and the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--rows", nargs="+", default=[])
    parser.add_argument("--tests", nargs="+", default=list(TESTS))
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    found = interpreters()
    rows = options.rows or ["oldest", *found]
    pythons = {"oldest": next(iter(found.values()), ""), **found}
    missing = [name for name in rows if not pythons.get(name)]
    if missing:
        print(f"no Python here for {', '.join(missing)}; found: {', '.join(found)}")
        return 2
    tried = [
        try_row(name, pythons[name], options.wheel.resolve(), options.tests, options.keep)
        for name in rows
    ]
    print("\n| packages | python | install | imports | sample | tests | versions |")
    print("|---|---|---|---|---|---|---|")
    for row in tried:
        packages = "lower bounds" if row.name == "oldest" else "newest"
        cells = [
            row.steps.get(step, "not run") for step in ("install", "imports", "sample", "tests")
        ]
        print(f"| {packages} | {row.python} | {' | '.join(cells)} | {row.versions} |")
    print(f"logs: {FOLDER.relative_to(ROOT)}/*/log.txt")
    return int(any("FAILED" in result for row in tried for result in row.steps.values()))


if __name__ == "__main__":
    sys.exit(main())
