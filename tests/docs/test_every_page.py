"""What README and docs show is run: every Python block and every command line, page by page.

The blocks of a page run in their order, in one folder and one namespace, as a reader would run
them. A page of docs/ joins by being there. What the test changes, so that this takes seconds:

- the jets that ship with pcgen are ``JETS_OF_EACH`` of each class, of ``PARTICLES`` particles;
- the numbers of ``SMALL`` replace those of a command, and those of ``IN_PYTHON`` those of a call;
- models that ship with pcgen are small flows, fitted and not trained;
- studies that come with the source train no row, other rows have no process of their own, ``pcgen
  bench`` measures nothing and no window opens: options are read and checked, and what they would do
  at length has tests of its own;
- published protocols of ``pcgen evaluate`` take a few events.

pip, make, apt-get and git are not run: extras, targets, packages and files must be there.
"""

from __future__ import annotations

import configparser
import contextlib
import dataclasses
import functools
import io
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import stand_in
import torch

from pcgen import clouds as pc
from pcgen import shipped, viewing
from pcgen.datasets import jets, sample_jets
from pcgen.io import write_clouds
from pcgen.recipes import RECIPES
from pcgen.tools import cli, options

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    *("README.md", "CONTRIBUTING.md", "SECURITY.md"),
    *(p.relative_to(ROOT).as_posix() for p in sorted((ROOT / "docs").rglob("*.md"))),
]

JETS_OF_EACH, PARTICLES = 300, 12
SMALL = {
    "--steps": "4",
    "--number": "40",
    "--processes": "1",
    "--batch-size": "16",
}
OF_COMMAND = {
    "simulate jets": {"--number": "48"},  # of each class
    "simulate electrons": {"--number": "400"},
    "train": {"--samples": "30", "--validate-events": "30"},
    "resume": {"--steps": "6"},
    "compare": {"--settings": "budget.steps=4"},
    "evaluate": {"--permutations": "3"},
}
"""Further numbers of single commands; they are added where the page does not give them."""
ADDED = ("--samples", "--validate-events", "--permutations", "--settings")
IN_PYTHON = {"steps": 4, "number": 40}

NOT_RUN = ("text", "math", "cpp")
COMMAND = re.compile(r"(?: {4}|\t)\s*(?:\$ )?(?:pcgen|make|pip|python3?|sudo|apt-get|git) ")


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    line: int
    text: str


class Ran(NamedTuple):
    """What the blocks of a page leave behind."""

    namespace: dict[str, Any]
    printed: str


def fenced(page: str) -> tuple[list[Block], list[str]]:
    """The blocks of a page, and its lines outside of them."""
    blocks, outside, lines = [], [], []
    language, start = None, 0
    for number, line in enumerate(page.splitlines(), 1):
        fence = line.strip().startswith("```")
        if language is None and fence:
            language, start, lines = line.strip()[3:].strip(), number + 1, []
        elif language is not None and fence:
            blocks.append(Block(language, start, "\n".join(lines) + "\n"))
            language = None
        elif language is None:
            outside.append(line)
        else:
            lines.append(line)
    assert language is None, f"the block of line {start - 1} is not closed"
    return blocks, outside


def commands(text: str) -> list[list[str]]:
    """The words of each command line; comments are none, and a backslash joins lines.

    >>> commands("pcgen info a.h5  # what is in it\\npcgen view \\\\\\n    'a b.h5'\\n")
    [['pcgen', 'info', 'a.h5'], ['pcgen', 'view', 'a b.h5']]
    """
    joined = re.sub(r"\\\n\s*", " ", text)
    return [words for line in joined.splitlines() if (words := shlex.split(line, comments=True))]


def command_of(words: list[str]) -> str:
    """The name of the command of ``pcgen``."""
    found = [n for n in cli.COMMANDS if words[1 : 1 + len(n.split())] == n.split()]
    assert found, f"{shlex.join(words)}: no command of pcgen"
    return found[0]


def smaller(words: list[str]) -> list[str]:
    """The same command line with the numbers of the test."""
    name = command_of(words)
    numbers = SMALL | OF_COMMAND.get(name, {})
    words = [numbers.get(before, word) for before, word in zip(["", *words], words, strict=False)]
    for option in ADDED:
        if option in numbers and option not in words:
            words += [option, numbers[option]]
    return words


def run_command(words: list[str]) -> str:
    """Run a command line, or check one that is not pcgen's; what it prints."""
    if words[0] != "pcgen":
        CHECKED[words[0]](words)
        return ""
    target = None
    if words[-2:-1] == [">"]:
        words, target = words[:-2], Path(words[-1])
    assert not {"|", ">", "<", "&&", ";", "&"} & set(words), f"{words}: not for one process"
    printed, complaint = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complaint):
        try:
            code: Any = cli.main(smaller(words)[1:])
        except SystemExit as stop:
            code = stop.code
    assert not code, f"{shlex.join(words)}: status {code}\n{complaint.getvalue()}"
    if target is not None:
        target.write_text(printed.getvalue())
    return printed.getvalue()


def check_pip(words: list[str]) -> None:
    """What is installed is the folder or the name of setup.cfg, with extras of it."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert words[1] == "install"
    for word in words[2:]:
        assert word.startswith("-") or word.split("[")[0] in (".", setup["metadata"]["name"]), word
        for extra in re.findall(r"\[([\w,]+)\]", word):
            assert set(extra.split(",")) <= set(setup["options.extras_require"]), word


def check_make(words: list[str]) -> None:
    """Targets are those of the Makefile."""
    for target in [word for word in words[1:] if "=" not in word]:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target


def check_packages(words: list[str]) -> None:
    """Packages of the system are those that ``make system`` installs."""
    known = re.search(r"^PACKAGES\s*:= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert known is not None
    assert set(words[words.index("install") + 1 :]) <= set(known[1].split())


CHECKED: dict[str, Callable[[list[str]], None]] = {
    "pip": check_pip,
    "make": check_make,
    "apt-get": check_packages,
    "sudo": lambda words: CHECKED[words[1]](words[1:]),
}


def write_block(block: Block) -> bool:
    """Write a block to the file that its first line names, ``# my_recipes.py`` say, if it does."""
    named = re.match(r"# ([\w/]+\.(?:py|yaml))\n", block.text)
    if named:
        Path(named[1]).write_text(block.text)
    return named is not None


def run_python(block: Block, page: str, namespace: dict[str, Any]) -> None:
    """Run a block, or write it to the file that its first line names (:func:`write_block`).

    As in a session of Python, modules of the current folder are found.
    """
    if write_block(block):
        return
    text = block.text
    for name, number in IN_PYTHON.items():
        text = re.sub(rf"\b{name}=\d+", f"{name}={number}", text)
    # Empty lines in front give errors the line of the page.
    code = compile("\n" * (block.line - 1) + text, page, "exec")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path.cwd()))
        exec(code, namespace)


def run_page(page: str) -> Ran:
    """Run all blocks of a page in the current folder."""
    namespace: dict[str, Any] = {"__name__": "page"}
    printed = io.StringIO()
    for block in fenced((ROOT / page).read_text(encoding="utf-8"))[0]:
        with contextlib.redirect_stdout(printed):
            if block.language == "python":
                run_python(block, page, namespace)
            elif block.language == "yaml":
                assert write_block(block), f"line {block.line}: names no file"
            elif block.language == "sh":
                for words in commands(block.text):
                    print(run_command(words))
    return Ran(namespace, printed.getvalue())


@pytest.fixture(scope="session")
def few_jets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a few of the shipped jets of each class."""
    every = sample_jets("all")
    kept = [
        rows[:: len(rows) // JETS_OF_EACH][:JETS_OF_EACH]
        for rows in (torch.nonzero(every.load().label == k)[:, 0] for k in range(3))
    ]
    clouds = pc.heaviest(every.gather(torch.cat(kept)), PARTICLES)
    path: Path = tmp_path_factory.mktemp("shipped") / "jets.h5"
    write_clouds(path, clouds, every.schema)
    return path


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of shipped models, with what takes their place."""
    path: Path = tmp_path_factory.mktemp("models")
    # Arguments are those of the models that ship.
    stand_in.ship(path, shift=5.0, squash=0.75, centre=True, excess=True)
    stand_in.ship(path, "jets-student", recipe="points-flow-student")
    stand_in.ship(path, "jets-latent", recipe="points-latent-flow", rescale=True)
    return path


@pytest.fixture
def folder(
    tmp_path: Path, few_jets: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The folder of a reader, with the jets where a checkout has them; nothing in it is slow."""
    from pcgen.metrics.protocol import Protocol
    from pcgen.tools import evaluate
    from pcgen.tools.benchmarks import sections
    from pcgen.tools.comparison import page, workers

    monkeypatch.setattr(jets, "SAMPLE", few_jets)
    monkeypatch.setattr(shipped, "FOLDER", models)
    (tmp_path / "datasets" / "samples").mkdir(parents=True)
    (tmp_path / "datasets" / "samples" / "jets.h5").symlink_to(few_jets)
    monkeypatch.setattr(viewing, "has_display", lambda: True)
    monkeypatch.setattr(viewing, "window", lambda *given, **options: None)

    def few(protocol: Callable[..., Protocol], *args: Any) -> Protocol:
        full = protocol(*args)
        parts = [dataclasses.replace(p, events=p.events and 4, batches=2) for p in full.parts]
        return dataclasses.replace(full, parts=tuple(parts), need=4)

    for name, protocol in evaluate.FIXED.items():
        monkeypatch.setitem(evaluate.FIXED, name, functools.partial(few, protocol))
    write, own = page.write, ROOT / "tools" / "studies"

    def few_rows(jobs: list[workers.Job], **options: Any) -> None:
        for job in jobs:
            if own not in job.home.parents:
                workers.work(job)

    def few_pages(folder: Path, study: Any, *rest: Any) -> Path:
        return folder if own in study.file.parents else write(folder, study, *rest)

    monkeypatch.setattr(workers, "run", few_rows)
    monkeypatch.setattr(page, "write", few_pages)
    shutil.copytree(ROOT / "docs" / "comparison", tmp_path / "docs" / "comparison")
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    stubs = {name: lambda *given: "## Title\n\nbody" for name in sections.SECTIONS}
    monkeypatch.setattr(sections, "SECTIONS", stubs)
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def of_metrics(ran: Ran) -> None:
    """The table and the line that the page promises."""
    number = r"\| .* ± .* \| .* ± .* \| [+-].* \| .* \|"
    assert re.search(rf"^\| W1 mass \[GeV\] {number}$", ran.printed, re.MULTILINE)
    line = r"^AUC \d\.\d+ \(\d\.\d+ to \d\.\d+\), p = "
    assert re.search(line, ran.printed, re.MULTILINE)


def of_sparsity(ran: Ran) -> None:
    """The shapes that comments beside the code promise."""
    assert ran.namespace["scores"].shape == (4, 64)
    assert ran.namespace["known"].x.shape == (4, 8, 8, 8)
    assert ran.namespace["logits"].shape == (4, 1)
    assert ran.namespace["nats"].shape == (2,)
    assert ran.namespace["images"].shape == (2, 1, 25, 25)
    assert ran.namespace["drawn"].num_graphs == 2


def of_training(ran: Ran) -> None:
    """The phases are printed as the page shows them."""
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    (shown,) = (block.text for block in fenced(page)[0] if block.language == "text")
    assert shown in ran.printed


EXPECTED = {
    "docs/metrics.md": of_metrics,
    "docs/sparsity.md": of_sparsity,
    "docs/training.md": of_training,
}


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs(page: str, folder: Path) -> None:
    ran = run_page(page)
    EXPECTED.get(page, lambda ran: None)(ran)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_has_a_known_language_and_no_command_stands_outside(page: str) -> None:
    blocks, outside = fenced((ROOT / page).read_text(encoding="utf-8"))
    for block in blocks:
        assert block.language in ("python", "sh", "yaml", *NOT_RUN), f"line {block.line}"
    assert [line for line in outside if COMMAND.match(line)] == []


def test_a_command_outside_a_block_is_found() -> None:
    page = "Text\n\n    pcgen info jets.h5\n\n- an item\n   `pcgen info`\n```sh\n    pcgen x\n```\n"
    blocks, outside = fenced(page)
    assert [line for line in outside if COMMAND.match(line)] == ["    pcgen info jets.h5"]
    assert [block.language for block in blocks] == ["sh"]


def test_commands_that_fail_fail_here(folder: Path) -> None:
    for line in ("pcgen info missing.h5", "pcgen view --wrong", "pip install '.[none]'",
                 "pip install pcgen", "make nothing", "apt-get install nothing"):  # fmt: skip
        with pytest.raises(AssertionError):
            run_command(shlex.split(line))


def options_of(name: str) -> set[str]:
    """The options of a command, those of all recipes with ``train``."""
    functions = [cli._load(cli.COMMANDS[name][0])]
    functions += RECIPES.values() if name == "train" else []
    own = {option.word for each in functions for option in options.options_of(each)}
    return own | {"help", "config", "print-config"}


@pytest.mark.parametrize("page", PAGES)
def test_commands_within_the_text_have_the_options_that_they_show(page: str) -> None:
    outside = "\n".join(fenced((ROOT / page).read_text(encoding="utf-8"))[1])
    for code in re.findall(r"`(pcgen [a-z][^`]*)`", outside):
        words = code.split()
        known = options_of(command_of(words))
        for word in words:
            if word.startswith("--"):
                option = re.split(r"[=.]", word[2:])[0].replace("_", "-")
                assert option in known, code


def anchors(page: str) -> set[str]:
    """The headings of a page as GitHub links to them.

    >>> sorted(anchors("# With pcgen\\n## Loss, and why (1)\\n"))
    ['loss-and-why-1', 'with-pcgen']
    """
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page: str) -> None:
    text = "\n".join(fenced((ROOT / page).read_text(encoding="utf-8"))[1])
    for link, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", text):
        target = (ROOT / page).parent / link if link else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{link}#{anchor}"
    for name in re.findall(r"`((?:pcgen|tests|datasets|tools|docs)/[\w./-]*)`", text):
        assert (ROOT / name).exists(), name
