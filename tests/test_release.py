"""What is released: one version and one name everywhere, and a wheel that holds what it needs."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections import Counter
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from setuptools import Distribution

import pcgen
from pcgen.errors import DISTRIBUTION

ROOT = Path(__file__).parents[1]
SOURCES = {
    (installed / path.relative_to(folder)).as_posix(): path
    for folder, installed in (
        (ROOT / "pcgen", Path("pcgen")),
        (ROOT / "datasets", Path("pcgen/datasets")),
        (ROOT / "tools", Path("pcgen/tools")),
    )
    for path in folder.rglob("*.py")
}
"""Every source file, by its place in the wheel."""
WEIGHTS = sorted((ROOT / "pcgen" / "shipped").glob("*.safetensors"))
SKIPPED = {".git", ".venv", "build", "dist", "results", "runs"}


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def wheel() -> set[str]:
    """What setuptools copies into a wheel, by setup.cfg."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        distribution = Distribution({"script_name": "setup.py"})
        distribution.parse_config_files(["setup.cfg"])
        build = distribution.get_command_obj("build_py")
        build.ensure_finalized()
        outputs = build.get_outputs(include_bytecode=False)
        return {Path(each).relative_to(build.build_lib).as_posix() for each in outputs}


def test_the_matrix_runs_tests_that_are_there() -> None:
    tree = ast.parse((ROOT / ".ci" / "matrix.py").read_text(encoding="utf-8"))
    paths = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and str(node.value).startswith("tests/")
    ]
    assert len(paths) > 5
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d\S*)\] - (\S+)$", changes, re.MULTILINE)[0]
    assert released == (citation["version"], citation["date-released"])
    assert citation["version"] == pcgen.__version__


def test_one_name_everywhere(setup: configparser.ConfigParser) -> None:
    assert setup["metadata"]["name"] == DISTRIBUTION
    texts = [
        path
        for pattern in ("*.md", "*.py", "*.cfg", "*.yml", "Makefile")
        for path in ROOT.rglob(pattern)
        if not SKIPPED & set(path.relative_to(ROOT).parts) and path != Path(__file__)
    ]
    assert len(texts) > 300
    for path in texts:
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"pip install [^\n#]*?['\" ](pcgen[\w-]*)", text)
        named += re.findall(r"(?<![\w.])(pcgen[\w-]*)\[[a-z]+(?:,[a-z]+)*\](?!\()", text)
        assert set(named) <= {DISTRIBUTION}, path


def test_the_environment_has_the_name() -> None:
    assert metadata.metadata(DISTRIBUTION)["Name"] == DISTRIBUTION


def test_the_wheel_holds_code_data_weights_and_their_licences(wheel: set[str]) -> None:
    for name in (
        "pcgen/py.typed",
        "pcgen/tools/cli.py",
        "pcgen/datasets/jets.py",
        "pcgen/datasets/samples/jets.h5",
        "pcgen/datasets/samples/README.md",
        "pcgen/datasets/samples/showers.h5",
        "pcgen/datasets/detectors/cms.yaml",
        *(f"pcgen/shipped/{path.name}" for path in WEIGHTS),
        *(f"pcgen/shipped/{path.stem}.md" for path in WEIGHTS),
    ):
        assert name in wheel
    assert {name for name in SOURCES if "/studies/" not in name} <= wheel
    assert not [name for name in wheel if "/studies/" in name]
    assert any("/studies/" in name for name in SOURCES)
    assert all(name.startswith("pcgen/") for name in wheel)


def test_what_ships_has_a_licence(setup: configparser.ConfigParser) -> None:
    assert setup["metadata"]["license"] == "MIT"
    assert (ROOT / setup["metadata"]["license_files"].strip()).read_text().startswith("MIT License")
    cards = [*(path.with_suffix(".md") for path in WEIGHTS), ROOT / "datasets/samples/README.md"]
    assert len(cards) > 1
    for card in cards:
        assert "\n## Licence\n" in card.read_text(encoding="utf-8"), card


def test_every_import_is_a_requirement(setup: configparser.ConfigParser) -> None:
    """What is imported but not required is there by luck, and not in an empty environment.

    Benchmarks import other packages where these are there, to measure them.
    """
    options, extras = setup["options"]["install_requires"], setup["options.extras_require"]
    lines = [*options.split(), *(line for text in extras.values() for line in text.splitlines())]
    required = {normal(re.split(r"[<>=\[;]", line)[0]) for line in lines if line.strip()}
    homes = metadata.packages_distributions()
    for path in [path for name, path in SOURCES.items() if "/benchmarks/" not in name]:
        for name in imported(path) - {"pcgen", "IPython", *sys.stdlib_module_names}:
            found = {normal(each) for each in homes.get(name, [name])}
            assert found & required, f"{path}: {name}"


def test_every_extra_reaches_the_metadata(setup: configparser.ConfigParser) -> None:
    """Setuptools drops keys of setup.cfg that are options of an installation, "root" for one."""
    found = Distribution()
    found.parse_config_files([str(ROOT / "setup.cfg")])
    found.finalize_options()
    declared = set(setup["options.extras_require"])
    assert declared <= set(found.extras_require)
    sources = [path.read_text(encoding="utf-8") for path in SOURCES.values()]
    named = {name for text in sources for name in re.findall(r'require\("[\w.]+", "(\w+)"\)', text)}
    assert named
    assert named <= declared


def normal(name: str) -> str:
    """A name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def imported(path: Path) -> set[str]:
    """The first parts of what a file imports when it runs."""
    names = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_no_two_files_of_tests_have_one_name():
    """pytest imports a test by the name of its file alone."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("*.py"))
    assert [n for n, number in names.items() if number > 1 and n.startswith("test_")] == []
