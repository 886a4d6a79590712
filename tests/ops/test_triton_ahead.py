"""Every Triton kernel compiles for sm_80 and sm_90, without a GPU and without its interpreter."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pcgen.ops
from pcgen.tools.benchmarks import kernels

pytest.importorskip("triton")

KERNELS = Path(pcgen.ops.__file__).parent / "_kernels"


def test_every_kernel_has_a_variant() -> None:
    """Kernels are what is launched: ``name[grid](...)``."""
    launched = set()
    for path in KERNELS.glob("*_triton.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript):
                name = node.func.value
                assert isinstance(name, ast.Name)
                launched.add((path.stem, name.id))
    assert launched == {(v.module, v.name) for v in kernels.variants()}


@pytest.mark.slow
@pytest.mark.parametrize("capability", kernels.TARGETS)
def test_all_kernels_compile(capability: int) -> None:
    """In a process of its own: here, without a GPU, kernels belong to the interpreter."""
    code = (
        "from pcgen.tools.benchmarks import kernels\n"
        f"for variant, _, found in kernels.every(({capability},)):\n"
        "    assert 0 < found.registers <= 255 and found.seconds > 0, variant.title\n"
        "    print(variant.title)\n"
    )
    environment = {name: v for name, v in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [variant.title for variant in kernels.variants()]
