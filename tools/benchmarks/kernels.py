"""Triton kernels, compiled ahead of time: registers, spills, shared memory, seconds.

No GPU is needed: Triton compiles for a named one, and the assembler of its wheel counts
(``ptxas -v``).
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pcgen.errors import require

TARGETS = (80, 90)
"""Compute capabilities: A100, and H100 or H200."""

F32, F64, I64, I32 = "*fp32", "*fp64", "*i64", "*i32"


@dataclass(frozen=True)
class Variant:
    """A kernel in one of the shapes in which it is launched.

    Attributes:
        module: Of :mod:`pcgen.ops._kernels`.
        name: Of the kernel in it.
        types: Of the arguments by position, but for the constants.
        constants: Compile-time constants by name.
        warps: Of a program.
    """

    module: str
    name: str
    types: tuple[str, ...]
    constants: dict[str, Any] = field(default_factory=dict)
    warps: int = 4

    @property
    def title(self) -> str:
        """Name and shape, for a table."""
        shape = ", ".join(f"{k.lower()} {v}" for k, v in self.constants.items())
        return f"{self.name.removesuffix('_kernel')} ({shape}, {self.types[0][1:]})"


def variants() -> list[Variant]:
    """Every kernel in its usual shapes: three axes, and one that goes around a circle."""
    searches = [
        Variant(
            "neighbors_triton",
            "one_kernel",
            (point, point, I64, I64, I64, I64, F64, "i32", "i32"),
            {"D": 3, "QUERIES": queries, "WIDE": wide, "PERIODIC": periodic},
            warps=queries // 32,
        )
        for point, queries, wide, periodic in (
            (F32, 64, False, False),
            (F32, 128, False, False),
            (F32, 128, True, True),
            (F64, 128, True, False),
        )
    ]
    several = Variant(
        "neighbors_triton",
        "several_kernel",
        (F32, F32, I64, I64, I64, F64, "i32", "i32"),
        {"D": 3, "QUERIES": 128},
        warps=4,
    )
    farthest = Variant(
        "farthest_triton",
        "farthest_kernel",
        (F32, I64, I64, I64, F64, I64, F64),
        {"D": 3, "POINTS": 1024},
    )
    tiles = {"D": 3, "P": 1, "BIDDERS": 16, "TILE": 64}
    bid = Variant(
        "auction_triton",
        "bid_kernel",
        (F32, F32, I64, F32, F32, F32, F32, I64, I64, I64, I64, I32, "i32"),
        tiles,
    )
    offer = Variant("auction_triton", "offer_kernel", (F64, F64, I64, F64, F64, F64, F64), tiles)
    anneal = Variant(
        "sinkhorn_triton",
        "anneal_kernel",
        (*[F32] * 13, "i32", "i32", "i32", "fp32", "fp32"),
        {"D": 3, "P": 1, "ROWS": 32, "TILE": 64},
    )
    return [*searches, several, farthest, bid, offer, anneal]


class Compiled(NamedTuple):
    """What a kernel takes of a GPU.

    Attributes:
        registers: Of a thread.
        spilled: Bytes of a thread that go to memory for lack of registers.
        shared: Bytes of shared memory of a program.
        seconds: Of compilation.
    """

    registers: int
    spilled: int
    shared: int
    seconds: float


def compile_for(variant: Variant, capability: int) -> Compiled:
    """Compile a kernel for GPUs of a compute capability, without one.

    Raises:
        MissingExtraError: Triton is not installed.
    """
    triton = require("triton", "test")
    from importlib import import_module

    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    module = import_module(f"pcgen.ops._kernels.{variant.module}")
    kernel = getattr(module, variant.name)
    free = [name for name in kernel.arg_names if name not in variant.constants]
    signature = dict(zip(free, variant.types, strict=True))
    signature |= dict.fromkeys(variant.constants, "constexpr")
    source = ASTSource(
        fn=kernel,
        signature={name: signature[name] for name in kernel.arg_names},
        constexprs={(kernel.arg_names.index(k),): v for k, v in variant.constants.items()},
    )
    with tempfile.TemporaryDirectory() as folder, triton.knobs.cache.scope():
        triton.knobs.cache.dir = folder  # nothing of an earlier run
        start = time.monotonic()
        found = triton.compile(
            source, target=GPUTarget("cuda", capability, 32), options={"num_warps": variant.warps}
        )
        seconds = time.monotonic() - start
        registers, spilled = _assembled(found.asm["ptx"], capability, Path(folder))
    return Compiled(registers, spilled, found.metadata.shared, seconds)


def _assembled(ptx: str, capability: int, folder: Path) -> tuple[int, int]:
    """Registers and spilled bytes of a thread, by the assembler that Triton brings."""
    from triton.backends.nvidia.compiler import get_ptxas

    path = folder / "kernel.ptx"
    path.write_text(ptx)
    target = re.search(r"^\.target (sm_\w+)", ptx, re.MULTILINE)
    assert target is not None
    # As Triton itself calls it.
    words = [get_ptxas(capability).path, "-v", "--regAllocOptLevel=2", f"--gpu-name={target[1]}"]
    words += [str(path), "-o", str(folder / "out")]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stderr
    registers = [int(n) for n in re.findall(r"Used (\d+) registers", printed)]
    spilled = [int(n) for n in re.findall(r"(\d+) bytes spill stores", printed)]
    return max(registers), sum(spilled)


def every(targets: tuple[int, ...] = TARGETS) -> Iterator[tuple[Variant, int, Compiled]]:
    """All kernels for all targets, one after the other."""
    for variant in variants():
        for capability in targets:
            yield variant, capability, compile_for(variant, capability)
