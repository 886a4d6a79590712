"""Hits in a tracker: circles, efficiency, noise, dead modules, and the files of hits and truth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize

from pcgen.datasets import tracks as module
from pcgen.datasets.tracker import (
    RADII,
    Events,
    TrackerSettings,
    generate_tracks,
    module_of,
    observed,
)
from pcgen.datasets.tracks import observed_modules, simulate_tracks
from pcgen.errors import DataError, FileError
from pcgen.io import CloudFile
from pcgen.tools import cli

IDEAL: dict[str, Any] = {"resolution": (0.0, 0.0), "efficiency": 1.0, "noise": 0.0, "dead": 0.0}


def of_event(events: Events, event: int) -> tuple[np.ndarray[Any, Any], ...]:
    """Positions, layers and particles of the hits of an event."""
    first = int(events.sizes[:event].sum())
    rows = slice(first, first + int(events.sizes[event]))
    return events.pos[rows].astype(float), events.layer[rows], events.particle[rows]


def by_particle(events: Events) -> list[tuple[int, np.ndarray[Any, Any]]]:
    """Row of the particle among all of them, and its hits."""
    found, before = [], 0
    for event, number in enumerate(events.particles):
        pos, _, particle = of_event(events, event)
        found += [(before + k, pos[particle == k + 1]) for k in range(number)]
        before += number
    return found


def test_hits_lie_on_circles_of_the_radius_of_their_momentum() -> None:
    """A circle is fitted to the hits of each particle, without knowing that it meets the axis."""
    settings = TrackerSettings(**IDEAL, pt=(0.5, 5.0), field=3.0)
    events, compared = generate_tracks(0, 0, 20, settings), 0
    for row, hits in by_particle(events):
        if len(hits) < 6:
            continue
        x, y = hits[:, 0], hits[:, 1]
        # x² + y² = a x + b y + c, a linear problem.
        a, b, c = np.linalg.lstsq(np.stack([x, y, np.ones_like(x)], 1), x**2 + y**2, rcond=None)[0]
        radius = math.sqrt(c + (a**2 + b**2) / 4)
        assert radius == pytest.approx(1e3 * float(events.pt[row]) / (0.3 * 3.0), rel=3e-3)
        compared += 1
        # Positive particles turn clockwise in a field along z: the centre is to their right.
        direction = float(events.phi[row])
        right = math.sin(direction) * a / 2 - math.cos(direction) * b / 2
        assert math.copysign(1, right) == float(events.charge[row])
    assert compared > 100


def test_hits_advance_along_the_beam_with_the_arc() -> None:
    settings = TrackerSettings(**IDEAL, pt=(1.0, 5.0))
    events = generate_tracks(1, 0, 10, settings)
    for row, hits in by_particle(events):
        radius = 1e3 * float(events.pt[row]) / (0.299792458 * settings.field)
        rho = np.hypot(hits[:, 0], hits[:, 1])
        arc = 2 * radius * np.arcsin(rho / (2 * radius))
        z = float(events.z0[row]) + arc * math.sinh(float(events.eta[row]))
        assert hits[:, 2] == pytest.approx(z, abs=0.02)
        assert rho == pytest.approx([RADII[k] for k in range(len(hits))], rel=1e-6)


def test_particles_that_curl_or_leave_the_barrel_have_no_further_hits() -> None:
    slow = TrackerSettings(**IDEAL, pt=(0.2, 0.2), eta=0.1, field=2.0)
    events = generate_tracks(0, 0, 10, slow)
    reach = 2 * 1e3 * 0.2 / (0.299792458 * 2.0)  # the diameter, 667 mm
    expected = sum(radius < reach for radius in RADII)
    assert {len(hits) for _, hits in by_particle(events)} == {expected}
    short = TrackerSettings(**IDEAL, half_length=300.0, eta=2.0)
    events = generate_tracks(0, 0, 20, short)
    assert np.abs(events.pos[:, 2]).max() <= 300
    assert 0 < len({len(hits) for _, hits in by_particle(events)}) <= 11


def test_efficiency_noise_and_resolution() -> None:
    settings = TrackerSettings(
        tracks=20, pt=(5.0, 50.0), eta=0.5, efficiency=0.9, noise=3.0, dead=0.0,
        resolution=(0.5, 2.0),
    )  # fmt: skip
    events = generate_tracks(2, 0, 200, settings)
    real = events.particle > 0
    crossed = 10 * int(events.particles.sum())
    error = math.sqrt(0.9 * 0.1 / crossed)
    assert real.sum() / crossed == pytest.approx(0.9, abs=4 * error)
    noise = int((~real).sum())
    assert noise == pytest.approx(200 * 10 * 3, abs=4 * math.sqrt(200 * 10 * 3))
    assert np.bincount(events.layer[~real]).std() < 100  # the same for all layers
    z = events.pos[~real, 2]
    assert z.std() == pytest.approx(2400 / math.sqrt(12), rel=0.03)

    across, along = [], []
    for row, hits in by_particle(events):
        radius = 1e3 * float(events.pt[row]) / (0.299792458 * 2.0 * float(events.charge[row]))
        rho = np.hypot(hits[:, 0], hits[:, 1])
        turn = np.arcsin(rho / (2 * radius))
        angle = np.arctan2(hits[:, 1], hits[:, 0]) - float(events.phi[row]) + turn
        across += list(rho * np.sin(angle))
        z = float(events.z0[row]) + 2 * radius * turn * math.sinh(float(events.eta[row]))
        along += list(hits[:, 2] - z)
    assert np.std(across) == pytest.approx(0.5, rel=0.02)
    assert np.std(along) == pytest.approx(2.0, rel=0.02)
    assert abs(np.mean(across)) < 4 * 0.5 / math.sqrt(len(across))


def test_momenta_are_log_uniform_and_numbers_are_poisson() -> None:
    events = generate_tracks(3, 0, 500, TrackerSettings(tracks=4.0))
    assert events.particles.mean() == pytest.approx(4, abs=4 * 2 / math.sqrt(500))
    assert events.particles.var() == pytest.approx(4, rel=0.3)
    share = np.log(events.pt / 0.5) / math.log(20)
    assert share.mean() == pytest.approx(0.5, abs=4 / math.sqrt(12 * len(share)))
    assert np.abs(events.eta).max() <= 1
    assert abs(events.charge.mean()) < 0.1


def test_dead_modules_have_no_hits_and_the_others_have_some() -> None:
    settings = TrackerSettings(sectors=8, rings=4, dead=0.2, noise=20.0)
    events, working = generate_tracks(5, 0, 100, settings), observed(settings, 5)
    assert (~working).sum() == round(0.2 * 10 * 8 * 4)
    sector, ring = module_of(events.pos.astype(float), settings)
    image = np.zeros(settings.modules, dtype=int)
    np.add.at(image, (events.layer, sector, ring), 1)
    assert image[~working].sum() == 0
    assert (image[working] > 0).all()
    # Without them the other hits are the same.
    alive = generate_tracks(5, 0, 100, TrackerSettings(sectors=8, rings=4, dead=0.0, noise=20.0))
    sector, ring = module_of(alive.pos.astype(float), settings)
    kept = working[alive.layer, sector, ring]
    assert np.array_equal(alive.pos[kept], events.pos)
    assert not np.array_equal(observed(settings, 5), observed(settings, 6))


def test_modules_are_equal_parts_of_a_layer() -> None:
    settings = TrackerSettings(sectors=4, rings=2, half_length=10.0)
    pos = np.array([[-5, -1, -9], [1, -5, 9], [5, 1, -1], [-1, 5, 1]], dtype=float)
    sector, ring = module_of(pos, settings)
    assert sector.tolist() == [0, 1, 2, 3]
    assert ring.tolist() == [0, 1, 0, 1]


def test_an_event_depends_on_seed_and_number_alone() -> None:
    whole = generate_tracks(7, 0, 9, TrackerSettings())
    parts = [generate_tracks(7, first, n, TrackerSettings()) for first, n in ((0, 4), (4, 5))]
    for name, value in whole._asdict().items():
        assert np.array_equal(value, np.concatenate([getattr(p, name) for p in parts])), name
    assert not np.array_equal(whole.pt[:5], generate_tracks(8, 0, 9, TrackerSettings()).pt[:5])


# --- files ----------------------------------------------------------------------------------------

WORDS = "--number 30 --tracks 5 --dead 0.1 --sectors 16 --rings 8 --seed 4 --processes 1"


def test_hits_and_truth_are_two_files_of_the_same_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.h5"
    words = f"{path} {WORDS} --pt 1:1 --field 1.5 --radii 50 100 200 --half-length 500"
    words += " --resolution 0.1 0.5 --efficiency 0.9 --noise 1 --eta 0.5 --progress false"
    assert cli.main(["simulate", "tracks", *words.split()]) == 0
    with CloudFile(path) as one, CloudFile(tmp_path / "t-truth.h5") as two:
        hits, truth, attrs, schema = one.read(), two.read(), one.attrs, one.schema
        assert [axis.name for axis in two.schema.axes] == ["eta", "phi", "z0"]
    assert schema.layers == ("50", "100", "200")
    assert torch.equal(hits.y, truth.y)
    assert torch.equal(truth.y[:, 0], truth.ptr.diff().float())
    assert torch.equal(truth.weight, torch.ones(len(truth.weight)))
    assert set(truth.x.unique().tolist()) == {-1.0, 1.0}
    radius = hits.pos[:, :2].norm(dim=1)
    assert torch.allclose(radius, torch.tensor([50.0, 100.0, 200.0])[hits.layer])
    assert bool((hits.x[:, 0] <= hits.y[hits.batch, 0]).all())
    working = observed_modules(attrs)
    assert tuple(working.shape) == (3, 16, 8)
    assert int((~working).sum()) == 38  # a tenth
    settings = TrackerSettings(radii=(50.0, 100, 200), half_length=500.0, sectors=16, rings=8)
    sector, ring = module_of(hits.pos.double().numpy(), settings)
    assert bool(working[hits.layer, sector, ring].all())
    assert attrs["simulation"]["field"] == 1.5
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"{path}: 30 events, {len(hits.pos)} hits, ")
    assert printed[1].startswith(f"{tmp_path}/t-truth.h5: 30 events, {len(truth.pos)} particles, ")


def test_one_and_two_processes_write_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 4)
    contents = []
    for processes in (1, 2):
        path = tmp_path / f"{processes}.h5"
        written = simulate_tracks(path, number=10, processes=processes, progress=False)
        contents.append([each.read_bytes() for each in written])
    assert contents[0] == contents[1]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "1-truth.h5", "1.h5", "2-truth.h5", "2.h5",
    ]  # fmt: skip


def test_events_without_particles_are_there(tmp_path: Path) -> None:
    settings = TrackerSettings(**{**IDEAL, "tracks": 0.5})
    hits, truth = simulate_tracks(tmp_path / "a.h5", number=20, settings=settings, progress=False)
    with CloudFile(hits) as one, CloudFile(truth) as two:
        assert len(one) == len(two) == 20
        assert int(one.sizes().min()) == 0
        assert int(two.sizes().min()) == 0


def test_a_lost_truth_is_written_again(tmp_path: Path) -> None:
    hits, truth = simulate_tracks(tmp_path / "a.h5", number=5, progress=False)
    before = truth.read_bytes()
    truth.unlink()
    simulate_tracks(hits, number=5, progress=False)
    assert truth.read_bytes() == before
    with pytest.raises(FileError, match=r"a.h5: holds other data"):
        simulate_tracks(hits, number=6, progress=False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--pt 5:1", "pt: got 5 to 1 GeV, expected 0.01 to 100000"),
        ("--pt much", "pt: got 'much', expected LOW:HIGH in GeV, or one number"),
        ("--radii 50 40", "radii: got 50 40, expected positive rising numbers of mm"),
        ("--efficiency 1.5", "efficiency: got 1.5, expected 0 to 1"),
        ("--dead -0.5", "dead: got -0.5, expected 0 to 1"),
        ("--sectors 0", "sectors: got 0, expected 1 to"),
        ("--half-length 0", "half_length: got 0.0, expected 1 to"),
        ("--noise -1", "noise: got -1.0, expected 0 to"),
        ("--tracks -1", "tracks: got -1.0, expected 0 to"),
        ("--resolution -1 1", "resolution: got -1.0, expected 0 to"),
        ("--number 0", "number: got 0, expected >= 1"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["simulate", "tracks", str(tmp_path / "a.h5"), *words.split()]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_files_without_modules_are_named() -> None:
    for attrs in ({}, {"modules": 3}, {"modules": {"radii_mm": [1], "sectors": 2, "rings": 2}}):
        with pytest.raises(DataError, match=r"modules: got .* expected those of a file of hits"):
            observed_modules(attrs)
    beyond = {"radii_mm": [1], "sectors": 2, "rings": 2, "dead": [[0, 5, 0]]}
    with pytest.raises(DataError, match="IndexError"):
        observed_modules({"modules": beyond})


def test_fits_recover_momenta_from_smeared_hits() -> None:
    """The relative error of pT grows with pT, as σ/L² has it (Gluckstern)."""
    errors = []
    for pt in (2.0, 20.0):
        settings = TrackerSettings(
            tracks=10, pt=(pt, pt), noise=0.0, efficiency=1.0, dead=0.0, resolution=(0.1, 0.1)
        )
        events = generate_tracks(0, 0, 40, settings)
        found = []
        for row, hits in by_particle(events):
            if len(hits) < 10:
                continue
            rho, angle = np.hypot(hits[:, 0], hits[:, 1]), np.arctan2(hits[:, 1], hits[:, 0])
            angle = angle - float(events.phi[row])
            angle -= 2 * np.pi * np.round(angle / (2 * np.pi))
            fit, _ = optimize.curve_fit(
                lambda r, bent, start: start - np.arcsin(np.clip(r * bent / 2, -1, 1)),
                rho, angle, p0=(1e-4, 0.0), sigma=1 / rho,
            )  # fmt: skip
            found.append(0.299792458e-3 * 2.0 / abs(fit[0]) / pt - 1)
        errors.append(np.std(found))
    assert errors[1] / errors[0] == pytest.approx(10, rel=0.25)
