"""``from pcgen.ops import chamfer, ...`` gives functions, and loads no compiler."""

from __future__ import annotations

import inspect
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from pcgen import ops
from pcgen.errors import ArgumentError

POINTS, PTR = torch.rand(4, 2), torch.tensor([0, 4])
CALLS = {
    "chamfer": lambda x: ops.chamfer(x, POINTS),
    "earth_mover": lambda x: ops.earth_mover(POINTS, x),
    "sinkhorn_divergence": lambda x: ops.sinkhorn_divergence(x, POINTS, epsilon=1.0),
    "energy_distance": lambda x: ops.energy_distance(x, POINTS),
    "sliced": lambda x: ops.sliced(x, POINTS),
    "nearest": lambda x: ops.nearest(x, POINTS),
    "knn_graph": lambda x: ops.knn_graph(x, 2),
    "radius_graph": lambda x: ops.radius_graph(x, 0.5),
    "fps": ops.fps,
    "segment_sum": lambda x: ops.segment_sum(x, PTR),
    "segment_mean": lambda x: ops.segment_mean(x, PTR),
}


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


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("given", [np.zeros((4, 2)), [[0.0, 1.0]] * 4], ids=["array", "list"])
def test_what_is_no_tensor_is_refused_by_name(name, given) -> None:
    with pytest.raises(ArgumentError, match=r"^(x|y|value): got (ndarray|list), expected a tensor"):
        CALLS[name](given)


@pytest.mark.parametrize("given", [np.array([0, 4]), [0, 4]], ids=["array", "list"])
def test_a_pointer_that_is_no_tensor_is_refused_by_name(given) -> None:
    for call in (lambda: ops.chamfer(POINTS, POINTS, given, given),
                 lambda: ops.nearest(POINTS, POINTS, ptr_x=given, ptr_y=given),
                 lambda: ops.segment_sum(POINTS, given)):  # fmt: skip
        with pytest.raises(ArgumentError, match=r"^ptr.*: got (ndarray|list), expected a tensor"):
            call()
