"""``pcgen simulate``: make data sets with an event generator."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def simulate_jets(
    output: str,
    *,
    classes: list[str] | None = None,
    number: int = 2000,
    radius: float = 0.4,
    pt_min: float = 800.0,
    pt_max: float = 1600.0,
    parton_pt_min: float = 990.0,
    parton_pt_max: float = 1010.0,
    seed: int = 0,
    processes: int | None = None,
    progress: bool = True,
) -> None:
    """Simulate jets of proton-proton collisions at 13 TeV with Pythia 8 and anti-kT.

    Every jet is written as the cloud of all its visible particles: pseudorapidity and azimuth
    relative to the jet axis, transverse momentum in GeV; with the jet's transverse momentum and
    class. There is no detector and no pile-up. About 150 jets are generated per second and core.

    The run can be interrupted at any time: the same command continues it. The jets depend on the
    seed and the options of physics, not on the number of processes.

    Please cite Pythia (arXiv:2203.11601) and FastJet (arXiv:1111.6097).

    Args:
        output: File to write, ending in .h5 or .hdf5.
        classes: Which jets: g (gluon), q (light quark: u, d, s), t (top), w (W boson), z (Z boson),
            as g q t (the default) or gqt; t, w and z decay to quarks.
        number: Jets of each class.
        radius: Radius R of the anti-kT algorithm.
        pt_min: Smallest transverse momentum of a jet in GeV.
        pt_max: Largest transverse momentum of a jet in GeV.
        parton_pt_min: Smallest transverse momentum in GeV of the two partons (or bosons) of the
            hard collision; the window must overlap that of the jets.
        parton_pt_max: Largest transverse momentum in GeV of the two partons (or bosons).
        seed: Seed of all random numbers.
        processes: Worker processes; by default one for each core that may be used.
        progress: Draw a progress bar.
    """
    from pcgen.datasets.pythia import JetSettings

    settings = JetSettings(radius, pt_min, pt_max, parton_pt_min, parton_pt_max)
    path = simulate(
        output,
        number=number,
        classes="gqt" if classes is None else "".join(classes),
        settings=settings,
        seed=seed,
        processes=len(os.sched_getaffinity(0)) if processes is None else processes,
        progress=progress,
    )
    print(_summary(path))


def simulate(output: str, **options: Any) -> Path:
    """:func:`pcgen.datasets.jets.simulate`, imported here: help needs no torch."""
    from pcgen.datasets import simulate

    return simulate(output, **options)


def _summary(path: Path) -> str:
    from pcgen.io import CloudFile

    with CloudFile(path) as file:
        return (
            f"{path}: {len(file)} jets, {int(file.sizes().sum())} particles, "
            f"{path.stat().st_size / 1e6:.1f} MB ({file.schema.description})"
        )
