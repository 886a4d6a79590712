"""The documentation site: it builds without a warning, and needs nothing of the network."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the extra docs builds the site")

ROOT = Path(__file__).parents[2]
MODULES = [
    (page.stem, name)
    for page in sorted((ROOT / "docs" / "api").glob("*.md"))
    for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
]
APART = {
    "pcgen.bounds",
    "pcgen.escaping",
    "pcgen.periods",
    "pcgen.plain_yaml",
    "pcgen.shipped",
}
"""Modules and packages that are the command line, or serve others."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as by ``make docs``: a warning ends it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def public_names(module: str) -> list[str]:
    """``__all__`` of a module, read from its source; none where it has none."""
    path = ROOT.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for statement in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(statement.value)
            return names
    return []


def text_of(page: Path) -> str:
    """What a page shows as running text: without code and formulas."""
    (article,) = re.findall(r"<article.*?</article>", page.read_text(encoding="utf-8"), re.DOTALL)
    plain = re.sub(r"<(pre|code|math)\b.*?</\1>", "", article, flags=re.DOTALL)
    return re.sub(r"<[^>]+>", "", plain)


def test_no_page_fetches_anything_from_the_network(site: Path) -> None:
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 25
    fetched = (
        r'<(?:script|link|img|iframe)[^>]*(?:src|href)="?(?:https?:)?//[^">]*|url\(["\']?https?:'
    )
    for page in pages:
        found = re.findall(fetched, page.read_text(encoding="utf-8"))
        assert found == [], page.name


def test_every_file_that_a_page_loads_is_there(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = r'<(?:script|link|img)[^>]*(?:src|href)="?([^">?#]+)'
        for name in re.findall(loaded, page.read_text(encoding="utf-8")):
            if page.name != "404.html":  # its links are absolute
                assert (page.parent / name).exists(), f"{page.name}: {name}"


@pytest.mark.parametrize(("page", "module"), MODULES)
def test_every_public_name_is_on_the_page(page: str, module: str, site: Path) -> None:
    shown = (site / "api" / f"{page}.html").read_text(encoding="utf-8")
    for name in [module, *(f"{module}.{public}" for public in public_names(module))]:
        assert f'id="{name}"' in shown, name


def test_recipes_are_shown_with_the_options_of_the_glossary(site: Path) -> None:
    text = " ".join((site / "api" / "train.html").read_text(encoding="utf-8").split())
    assert text.count("is that of a training cloud, and take the spread as a condition.") > 10


def test_the_reference_has_every_module() -> None:
    found = {
        f"pcgen.{path.stem}"
        for path in (ROOT / "pcgen").iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").is_file()) and path.stem != "__init__"
    }
    shown = {".".join(name.split(".")[:2]) for _, name in MODULES}
    assert found - shown == APART


def test_docstrings_leave_no_markup_behind(site: Path) -> None:
    for page in (site / "api").glob("*.html"):
        text = text_of(page)
        for markup in (
            r":(?:func|class|meth|mod|data|attr|math):",
            "``",
            r"\.\. math",
            ">>>",
            "====",
        ):
            assert re.findall(rf".*{markup}.*", text) == [], page.name


def test_formulas_of_every_page_are_mathml(site: Path) -> None:
    for page in site.glob("*.html"):
        assert re.findall(r"\$\$.*|\$\\.*|\\\(.*", text_of(page)) == [], page.name
    assert (site / "metrics.html").read_text(encoding="utf-8").count("<math ") > 20


@pytest.mark.parametrize("name", ["docstrings", "formulas", "pages"])
def test_examples_of_the_extensions(name: str) -> None:
    path = ROOT / "docs" / "extensions" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"extension_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = doctest.testmod(module)
    assert result.failed == 0
