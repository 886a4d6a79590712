"""CONTRIBUTING's file format: its file and its entry, put into a copy of pcgen, suffice."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

SCRIPT = """
from pcgen.tools.cli import main
assert main(["info", "a.hits"]) == 0
assert main(["convert", "a.hits", "a.h5"]) == 0
assert main(["view", "a.hits", "--output", "a.html"]) == 0
assert main(["convert", "damaged.hits", "b.h5"]) == 1
assert main(["convert", "a.hits", "b.hits"]) == 1
main(["convert", "--help"])

from pcgen import io
clouds, schema = io.read_clouds("a.h5")
assert clouds.ptr.tolist() == [0, 2, 2, 3]
assert clouds.pos.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
assert clouds.weight.tolist() == [0.5, 0.25, 2]
assert schema.weight.label == "energy [MeV]"
"""


@pytest.fixture(scope="module")
def pcgen_with_hits(tmp_path_factory):
    """A copy of the package with the example of the page; the folder to import it from."""
    section = PAGE[PAGE.index("## To add a file format") :]
    reader = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    entry = re.search(r"```text\n(.*?)```", section, re.DOTALL)
    assert reader is not None
    assert entry is not None
    folder = tmp_path_factory.mktemp("copy")
    copy = folder / "pcgen"
    shutil.copytree(ROOT / "pcgen", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "io/hit_lines.py").write_text(reader[1], encoding="utf-8")
    table = copy / "formats.py"
    text = table.read_text(encoding="utf-8")
    start = "FORMATS: dict[str, Layout] = {\n"
    assert start in text
    table.write_text(text.replace(start, start + entry[1]), encoding="utf-8")
    return folder


def test_one_file_and_one_entry_make_a_format(pcgen_with_hits, tmp_path):
    (tmp_path / "a.hits").write_text("0,1,2,3,0.5\n2,7,8,9,2\n0,4,5,6,0.25\n")
    (tmp_path / "damaged.hits").write_text("0,1,2,three,0.5\n")
    place = {**os.environ, "PYTHONPATH": str(pcgen_with_hits)}
    words = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=tmp_path, env=place, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "a.h5: 3 events, 3 points" in done.stdout
    damaged, unwritten = done.stderr.splitlines()
    assert damaged.startswith("pcgen: damaged.hits: ")
    assert damaged.endswith("expected lines of event,x,y,z,energy")
    assert unwritten.startswith("pcgen: b.hits: got the ending '.hits', expected one of .h5, .hdf5")
    assert re.search(r"--from\s+\{hits,clouds,", done.stdout)
