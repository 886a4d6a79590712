"""The machine in words, and the versions of what ran on it."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import torch

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "numba",
    "POT",
    "torch-scatter",
    "torch-cluster",
    "pykeops",
    "geomloss",
    "pytorch3d",
    "chamferdist",
    "wasserstein",
    "energyflow",
    "jetnet",
)


def describe(device: str) -> str:
    """Processor, cores and memory, and the GPU where one was used."""
    words = f"{_processor()}, {torch.get_num_threads()} threads on {os.cpu_count()} cores, "
    words += f"{total_memory() / 2**30:.0f} GiB of memory, {platform.system()}"
    if device.startswith("cuda"):
        words += f"; {torch.cuda.get_device_name(device)}"
    return words


def versions() -> str:
    """Python and the packages that take part, the missing ones too."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join([f"Python {platform.python_version()}", *found])


def total_memory() -> int:
    """Memory of the machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available_memory() -> int:
    """Memory that can still be taken, in bytes."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    return total_memory() // 2


def process_memory(field: str) -> int | None:
    """A field of this process's status in bytes, VmRSS or VmHWM; None where it is not given."""
    file = Path("/proc/self/status")
    if not file.exists():
        return None
    for line in file.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    return None


def load() -> float:
    """Processes that wanted to run in the last minute; far above 0 the times say little."""
    return os.getloadavg()[0]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
