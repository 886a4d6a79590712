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


def run(*words: str) -> str:
    """What Python prints, in a process of its own: here kernels belong to the interpreter."""
    environment = {name: v for name, v in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_command_compiles_all_kernels_for_sm_80(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    run("-m", "pcgen.tools", "bench", "--output", str(page), "--which", "kernels", "--quick")
    rows = [line.split(" | ") for line in page.read_text().splitlines() if " | sm_" in line]
    assert [row[0][2:] for row in rows] == [variant.title for variant in kernels.variants()]
    for _, target, registers, spilled, shared, seconds in rows:
        assert target == "sm_80"
        assert 0 < int(registers) <= 128
        assert int(spilled) == 0
        assert int(shared) >= 0
        assert float(seconds.rstrip(" |")) > 0


@pytest.mark.slow
def test_all_kernels_compile_for_sm_90() -> None:
    code = (
        "from pcgen.tools.benchmarks import kernels\n"
        "for variant, _, found in kernels.every((90,)):\n"
        "    assert 0 < found.registers <= 128 and not found.spilled, variant.title\n"
        "    print(variant.title)\n"
    )
    assert run("-c", code).splitlines() == [variant.title for variant in kernels.variants()]
