"""``pcgen simulate``: data sets from event generators and parametrised detectors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pcgen.bounds import EVENTS, POINTS, PROCESSES
from pcgen.errors import ArgumentError


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
    detector: list[str] | None = None,
    responses: int | None = None,
    seed: int = 0,
    processes: int | None = None,
    dask: str | None = None,
    progress: bool = True,
) -> None:
    """Simulate jets of proton-proton collisions at 13 TeV with Pythia 8 and anti-kT.

    Every jet is written as the cloud of all its visible particles: pseudorapidity and azimuth
    relative to the jet axis, transverse momentum in GeV; with the jet's transverse momentum and
    class. There is no pile-up. About 150 jets are generated per second and core.

    With --detector, what a detector measures of the same jets is a second file: jets-cms.h5 beside
    jets.h5, with the same events in the same order, as clouds of tracks and towers (layers track,
    ECAL, HCAL). Field, granularity, resolutions and thresholds are those of a card in the manner of
    Delphes (arXiv:1307.6346); particles outside of the jet, noise and material are absent.

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
        detector: Detectors that measure the jets: cms, atlas, or YAML files of their fields.
        responses: Also measure every jet so many times more, into jets-cms-responses.h5, one after
            the other: what a perfect generator of the detector would answer.
        seed: Seed of all random numbers.
        processes: Worker processes; by default one for each core that may be used.
        dask: Address of a Dask scheduler, tcp://10.0.0.1:8786 say, whose workers simulate instead;
            local for a cluster of this machine, local:4 for one of four processes.
        progress: Draw a progress bar.
    """
    _check(number, seed, processes)

    from pcgen.datasets.cards import read_card
    from pcgen.datasets.pythia import JetSettings

    settings = JetSettings(radius, pt_min, pt_max, parton_pt_min, parton_pt_max)
    paths = _simulated(
        "jets",
        output,
        number=number,
        classes="gqt" if classes is None else "".join(classes),
        settings=settings,
        detectors=[read_card(each) for each in detector or ()],
        responses=responses,
        seed=seed,
        processes=_cores() if processes is None else processes,
        dask=dask,
        progress=progress,
    )
    for path in paths:
        print(_summary(path, "jets", "particles" if path == paths[0] else "tracks and towers"))


def simulate_showers(
    output: str,
    *,
    number: int = 1000,
    particle: Literal["electron", "photon", "pion"] = "electron",
    energy: str = "1:1000",
    geometry: str = "cylinder",
    medium: str | None = None,
    thickness: list[float] | None = None,
    threshold: float = 0.01515,
    seed: int = 0,
    processes: int | None = None,
    dask: str | None = None,
    progress: bool = True,
) -> None:
    """Simulate showers in a calorimeter by parametrisations, which take milliseconds each.

    Electrons and photons follow Grindhammer and Peters (hep-ex/0001020), in homogeneous and in
    sampling calorimeters. Pions are toy hadrons: they have the mean profile of CMS's fast
    simulation, and no more. There is no transport of particles, no noise and no angle: the particle
    enters in the middle of the front. Energies are calibrated to that of the incoming particle.

    A file .hdf5 has the layout of the CaloChallenge; a file .h5 has clouds, with a point at each
    voxel with energy, its layer, the energy of the incoming particle in MeV and the particle as
    class. Both know their calorimeter. The run can be interrupted at any time: the same command
    continues it. Shower k depends on the seed and the options of physics alone.

    Args:
        output: File to write, ending in .h5 or .hdf5.
        number: Of showers.
        particle: What enters.
        energy: Least and largest energy in GeV, log-uniform between them, as 1:1000; or one energy.
        geometry: Voxels: cylinder (45 layers of 16 angles and 9 rings, as data set 2 of the
            CaloChallenge), stack (14 planar layers of unequal thickness and cells), or an XML file
            of the CaloChallenge.
        medium: What fills it: tungsten-silicon, lead-scintillator, iron-scintillator or
            lead-tungstate; by default tungsten-silicon for the cylinder and lead-scintillator for
            the stack. An XML file needs one.
        thickness: Of each layer in mm, or one number for all; by default that of the geometry. An
            XML file needs it.
        threshold: Energy in MeV which the voxels must exceed.
        seed: Seed of all random numbers.
        processes: Worker processes; by default one for each core that may be used.
        dask: Address of a Dask scheduler, tcp://10.0.0.1:8786 say, whose workers simulate instead;
            local for a cluster of this machine, local:4 for one of four processes.
        progress: Draw a progress bar.
    """
    _check(number, seed, processes)

    from pcgen.datasets.calorimeters import detector
    from pcgen.datasets.shower_blocks import ShowerSettings

    where = detector(geometry, medium=medium, thickness=thickness, particle=particle)
    settings = ShowerSettings(particle, where, _span("energy", energy), threshold)
    (path,) = _simulated(
        "showers",
        output,
        number=number,
        settings=settings,
        seed=seed,
        processes=_cores() if processes is None else processes,
        dask=dask,
        progress=progress,
    )
    print(_summary(path, "showers", "voxels with energy"))


def simulate_tracks(
    output: str,
    *,
    number: int = 1000,
    tracks: float = 10.0,
    pt: str = "0.5:10",
    eta: float = 1.0,
    field: float = 2.0,
    radii: list[float] | None = None,
    half_length: float = 1200.0,
    sectors: int = 64,
    rings: int = 16,
    resolution: tuple[float, float] = (0.02, 0.1),
    efficiency: float = 0.98,
    noise: float = 2.0,
    dead: float = 0.02,
    seed: int = 0,
    processes: int | None = None,
    dask: str | None = None,
    progress: bool = True,
) -> None:
    """Simulate the hits of charged particles in a tracker: helices through layers around the beam.

    Every event is written as the cloud of its hits (x, y, z in mm), with the layer and, as a
    feature, the number of the particle, which is 0 for noise. The particles themselves are a second
    file: tracks-truth.h5 beside tracks.h5. Dead modules have no hits, and the file states which
    modules are dead. There is no scattering, and of particles that curl the first crossing of a
    layer counts.

    The run can be interrupted at any time: the same command continues it. Event k depends on the
    seed and the options of physics alone.

    Args:
        output: File of hits to write, ending in .h5.
        number: Of events.
        tracks: Mean number of particles of an event.
        pt: Least and largest transverse momentum in GeV, log-uniform between them, as 0.5:10; or
            one.
        eta: Largest pseudorapidity.
        field: Magnetic field along the beam in T.
        radii: Of the layers in mm; by default ten, from 32 to 1020, those of TrackML's barrel.
        half_length: Of the layers in mm.
        sectors: Modules of a layer around the beam.
        rings: Modules of a layer along the beam.
        resolution: Standard deviation of a hit in mm, across the beam and along it.
        efficiency: Probability that a particle leaves a hit in a layer.
        noise: Mean number of noise hits of a layer.
        dead: Share of the modules that are dead.
        seed: Seed of all random numbers.
        processes: Worker processes; by default one for each core that may be used.
        dask: Address of a Dask scheduler, tcp://10.0.0.1:8786 say, whose workers simulate instead;
            local for a cluster of this machine, local:4 for one of four processes.
        progress: Draw a progress bar.
    """
    _check(number, seed, processes)

    from pcgen.datasets.tracker import RADII, TrackerSettings

    settings = TrackerSettings(
        tracks=tracks,
        pt=_span("pt", pt),
        eta=eta,
        field=field,
        radii=RADII if radii is None else tuple(radii),
        half_length=half_length,
        sectors=sectors,
        rings=rings,
        resolution=resolution,
        efficiency=efficiency,
        noise=noise,
        dead=dead,
    )
    hits, truth = _simulated(
        "tracks",
        output,
        number=number,
        settings=settings,
        seed=seed,
        processes=_cores() if processes is None else processes,
        dask=dask,
        progress=progress,
    )
    print(_summary(hits, "events", "hits"))
    print(_summary(truth, "events", "particles"))


def simulate_shapes(
    output: str,
    *,
    classes: list[str] | None = None,
    number: int = 200,
    points: int = 2048,
    rotation: Literal["none", "upright", "any"] = "upright",
    seed: int = 0,
    processes: int | None = None,
    dask: str | None = None,
    progress: bool = True,
) -> None:
    """Generate labelled shapes: points on the surfaces of primitives, in random proportions.

    Meshes of Open3D are stretched, sheared and turned about z at random, and points are uniform on
    their surface. Every shape has as many points, without weights; its bounding box is centred and
    has a diagonal of 1, as those of ShapeNet. Classes follow each other in turn. About 500 shapes
    are generated per second and core.

    The run can be interrupted at any time: the same command continues it. Shape k depends on the
    seed, the classes and the number of points alone.

    Args:
        output: File to write, ending in .h5 or .hdf5.
        classes: Which shapes: box, sphere, cylinder, cone, torus, mobius, tetrahedron, octahedron
            and arrow; all by default.
        number: Shapes of each class.
        points: Of each shape.
        rotation: Of each shape: about z, any, or none.
        seed: Seed of all random numbers.
        processes: Worker processes; by default one for each core that may be used.
        dask: Address of a Dask scheduler, tcp://10.0.0.1:8786 say, whose workers generate instead;
            local for a cluster of this machine, local:4 for one of four processes.
        progress: Draw a progress bar.
    """
    _check(number, seed, processes, points)
    (path,) = _simulated(
        "shapes",
        output,
        number=number,
        points=points,
        classes=classes,
        rotation=rotation,
        seed=seed,
        processes=_cores() if processes is None else processes,
        dask=dask,
        progress=progress,
    )
    print(_summary(path, "shapes", "points"))


def simulate_electrons(
    output: str,
    *,
    number: int = 100_000,
    detector: str = "cms",
    pt: str = "10:500",
    eta: float = 2.5,
    seed: int = 0,
) -> None:
    """Simulate the response of a detector to single electrons: truth, and what is measured of it.

    An event is a cloud of one point, or of none where the electron is not found as a track: p_T of
    the track and energy in the ECAL, both over the true ones. The true p_T and pseudorapidity are
    its conditions. Efficiency and resolutions are those of a card in the manner of Delphes
    (arXiv:1307.6346), log-normal around 1, so that the law of the response is known.

    Args:
        output: File to write, ending in .h5.
        number: Of electrons.
        detector: cms, atlas, or a YAML file of its fields.
        pt: Least and largest transverse momentum in GeV, log-uniform between them, as 10:500; or
            one.
        eta: Largest pseudorapidity, uniform below.
        seed: Seed of all random numbers.
    """
    _check(number, seed)
    (path,) = _simulated(
        "electrons",
        output,
        number=number,
        detector=detector,
        pt=_span("pt", pt),
        eta=eta,
        seed=seed,
    )
    print(_summary(path, "electrons", "found"))


def _check(number: int, seed: int, processes: int | None = None, points: int | None = None) -> None:
    """What needs no physics is refused before it is imported."""
    EVENTS.allow(number=number)
    POINTS.allow(points=points)
    PROCESSES.allow(processes=processes)
    if not 0 <= seed < 2**32:
        raise ArgumentError(f"seed: got {seed}, expected an integer from 0 to 2**32 - 1")


def _span(name: str, text: str) -> tuple[float, float]:
    """Two numbers with a colon between them, or one for both."""
    words = text.split(":")
    try:
        low, high = float(words[0]), float(words[-1])
    except ValueError:
        words = []
    if not 1 <= len(words) <= 2:
        raise ArgumentError(f"{name}: got {text!r}, expected LOW:HIGH in GeV, or one number")
    return low, high


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _simulated(what: str, output: str, **options: Any) -> list[Path]:
    """The files of ``pcgen.datasets.simulate_WHAT``, imported here: help needs no torch."""
    from pcgen import datasets

    written = getattr(datasets, f"simulate_{what}")(output, **options)
    return written if isinstance(written, list) else [written]


def _summary(path: Path, events: str, points: str) -> str:
    """What is in a file that was simulated."""
    from pcgen import io

    with io.open_file(path) as file:
        number, text = len(file), "" if file.schema is None else f" ({file.schema.description})"
        if isinstance(file, io.CloudSource):
            filled = int(file.sizes().sum())
        else:
            filled = sum(int((block.image > 0).sum()) for block in file.blocks(1000))
    return f"{path}: {number} {events}, {filled} {points}, {path.stat().st_size / 1e6:.1f} MB{text}"
