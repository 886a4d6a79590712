"""``from pcgen.ops import chamfer, ...`` gives functions, and loads no compiler."""

from __future__ import annotations

import inspect
import subprocess
import sys
from types import ModuleType

import pytest

from pcgen import ops


@pytest.mark.parametrize("name", ops.__all__)
def test_names_are_functions_and_classes_with_a_docstring(name: str) -> None:
    found = getattr(ops, name)
    assert not isinstance(found, ModuleType)
    assert callable(found)
    assert inspect.getdoc(found)


def test_no_module_hides_behind_a_function() -> None:
    """A submodule of the name of a function would take its place once it is imported."""
    modules = {name for name in sys.modules if name.startswith("pcgen.ops.")}
    assert not modules & {f"pcgen.ops.{name}" for name in ops.__all__}


def test_compilers_and_solvers_wait_until_they_are_needed() -> None:
    code = "import pcgen.ops, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"numba", "scipy", "ot", "torch_geometric"}
