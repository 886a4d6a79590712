"""``import pcgen`` is instant: the heavy libraries are imported where they are used."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {
    "torch",
    "open3d",
    "torch_geometric",
    "matplotlib",
    "h5py",
    "pythia8mc",
    "lightning_fabric",
    "distributed",
}


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_loads_no_heavy_library():
    assert not loaded_by("import pcgen") & HEAVY
    # The help of pcgen convert is the docstring of the library's function.
    assert not loaded_by("import pcgen.formats; from pcgen import convert") & HEAVY


def test_the_check_can_fail():
    assert "h5py" in loaded_by("import pcgen.io") & HEAVY


def test_open3d_pythia_and_dask_wait_until_they_are_needed():
    modules = loaded_by(
        "import pcgen.viewing, pcgen.plotting, pcgen.metrics, pcgen.datasets.jets, "
        "pcgen.conversion.blocks"
    )
    assert not modules & {"open3d", "pythia8mc", "distributed"}


def test_completion_shows_what_is_imported_when_used() -> None:
    import pcgen
    import pcgen.datasets

    for package in (pcgen, pcgen.datasets):
        assert set(package.__all__) <= set(dir(package))
        assert "__name__" in dir(package)
