from __future__ import annotations

import json
import math
from dataclasses import replace

import h5py
import pytest
import torch

from pcgen import clouds as pc
from pcgen.datasets import sample_jets
from pcgen.io import JETS, write_clouds
from pcgen.metrics import Evaluation, Score
from pcgen.schema import Quantity, Schema
from pcgen.tools import cli
from pcgen.tools.evaluation_files import remarks


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Real jets, other real jets, and the first with their energies halved."""
    folder = tmp_path_factory.mktemp("evaluate")
    jets = sample_jets("all").read(0, 300)
    write_clouds(folder / "real.h5", pc.select(jets, slice(0, 200)), JETS)
    other = pc.select(jets, slice(200, 300))
    write_clouds(folder / "other.h5", other, JETS)
    write_clouds(folder / "soft.h5", pc.replace(other, weight=other.weight / 2), JETS)
    return folder


def evaluate(folder, name, *options):
    words = ["evaluate", str(folder / "real.h5"), str(folder / name), "--split", "all"]
    return cli.main([*words, "--repeats", "3", "--subset", "10", *options])


def test_scores_are_printed_and_stored_beside_their_floors(files, tmp_path, capsys):
    assert evaluate(files, "other.h5", "--output", str(tmp_path / "out")) == 0
    printed = capsys.readouterr().out
    assert "W1 mass [GeV]" in printed
    stored = json.loads((tmp_path / "out" / "evaluation.json").read_text())["other"]
    scores = {score["name"]: score for score in stored["scores"]}
    assert {"W1 mass", "W1 pt", "W1 girth", "W1 multiplicity", "W1 point pt"} <= scores.keys()
    assert {"COV-EMD", "MMD-CD", "1-NNA-EMD"} <= scores.keys()
    assert all(math.isfinite(score["floor"]) for score in scores.values())
    assert stored["events"] == [200, 100]
    assert "W1 mass" in (tmp_path / "out" / "table.txt").read_text()
    assert (tmp_path / "out" / "histograms.png").read_bytes().startswith(b"\x89PNG")


def test_half_the_energy_is_seen_in_mass_and_pt(files):
    assert evaluate(files, "soft.h5") == 0
    stored = json.loads((files / "soft-evaluation" / "evaluation.json").read_text())["soft"]
    z = {score["name"]: score["z"] for score in stored["scores"]}
    assert z["W1 pt"] > 10
    assert z["W1 mass"] > 3
    assert abs(z["W1 girth"]) < 5


def test_events_of_double_precision_have_the_same_scores(files, tmp_path):
    other = pc.cast(sample_jets("all").read(200, 300), torch.float64)
    write_clouds(files / "double.h5", other, JETS)
    stored = []
    for name in ("other", "double"):
        assert evaluate(files, f"{name}.h5", "--output", str(tmp_path / name)) == 0
        stored.append(json.loads((tmp_path / name / "evaluation.json").read_text())[name])
    assert stored[0] == stored[1]


def test_other_units_are_refused(files, tmp_path, capsys):
    axes = (Quantity("eta_rel"), Quantity("phi_rel", "rad", 2 * math.pi))
    schema = Schema(axes, weight=Quantity("pt", "MeV"))
    path = tmp_path / "mev.h5"
    write_clouds(path, pc.make(torch.zeros(2, 2), [2], weight=torch.ones(2)), schema)
    assert cli.main(["evaluate", str(files / "real.h5"), str(path), "--split", "all"]) == 1
    assert "mev.h5: got weight pt [MeV], expected pt [GeV]" in capsys.readouterr().err
    straight = Schema((axes[0], Quantity("phi_rel", "rad")), weight=Quantity("pt", "GeV"))
    write_clouds(path, pc.make(torch.zeros(2, 2), [2], weight=torch.ones(2)), straight)
    assert evaluate(files, str(path)) == 1
    assert "expected eta_rel, phi_rel [rad] with period 2pi" in capsys.readouterr().err
    assert evaluate(files, "other.h5", "--training", str(path)) == 1
    assert "mev.h5: got axes eta_rel, phi_rel [rad]" in capsys.readouterr().err


def test_what_generated_events_lack_is_printed(files, tmp_path, capsys):
    jets = pc.select(sample_jets("all").read(0, 300), slice(200, 300))
    bare = Schema(JETS.axes, JETS.weight)
    write_clouds(tmp_path / "bare.h5", pc.replace(jets, y=None, label=None), bare)
    assert evaluate(files, str(tmp_path / "bare.h5"), "--subset", "0") == 0
    printed = capsys.readouterr().out
    assert "generated events have no condition (real: jet_pt), which is left out" in printed
    assert "generated events have no classes (real: g, q, t), which are left out" in printed
    gluons = pc.select(jets, jets.label == 0)
    write_clouds(tmp_path / "gluons.h5", gluons, JETS)
    assert evaluate(files, str(tmp_path / "gluons.h5"), "--subset", "0") == 0
    printed = capsys.readouterr().out
    assert "generated events have none of class q, t, real ones have" in printed
    assert "left out" not in printed
    assert evaluate(files, str(tmp_path / "gluons.h5"), "--subset", "0", "--classes", "[g]") == 0
    assert "none of class" not in capsys.readouterr().out


def test_layers_that_generated_events_lack_are_named(files, tmp_path, capsys):
    jets = sample_jets("all").read(0, 100)
    layered = replace(JETS, layers=("ECAL", "HCAL"))
    real = pc.replace(jets, layer=torch.arange(len(jets.pos)) % 2)
    write_clouds(tmp_path / "real.h5", real, layered)
    fakes = {"none": (jets, JETS), "first": (pc.replace(real, layer=real.layer * 0), layered)}
    printed = {}
    for name, (fake, schema) in fakes.items():
        write_clouds(tmp_path / f"{name}.h5", fake, schema)
        assert evaluate(tmp_path, f"{name}.h5", "--subset", "0", "--permutations", "0") == 0
        printed[name] = capsys.readouterr().out
    line = "generated events have no layers (real: ECAL, HCAL), which no score compares"
    assert line in printed["none"].splitlines()
    assert "no layers" not in printed["first"]
    assert "W1 pt in ECAL [GeV]" in printed["first"]
    assert "W1 pt in" not in printed["none"]


def test_conditions_of_another_meaning_are_refused(files, tmp_path, capsys):
    schema = replace(JETS, condition=(Quantity("jet_pt", "TeV"),))
    write_clouds(tmp_path / "tev.h5", sample_jets("all").read(0, 40), schema)
    assert evaluate(files, str(tmp_path / "tev.h5")) == 1
    assert "tev.h5: got condition jet_pt [TeV], expected jet_pt" in capsys.readouterr().err


@pytest.mark.parametrize(
    "protocol",
    ["pcgen", "image --grid eta_rel:-0.4:0.4:8,phi_rel:-0.4:0.4:8", "conditional --answers 1"],
)
def test_events_that_are_all_empty_are_refused_by_their_file(files, tmp_path, capsys, protocol):
    jets = sample_jets("all").read(0, 200)
    none = pc.make(torch.zeros(0, 2), [0] * 200, weight=torch.zeros(0), y=jets.y, label=jets.label)
    write_clouds(tmp_path / "empty.h5", none, JETS)
    empty, out = str(tmp_path / "empty.h5"), tmp_path / "out"
    for real, generated in ((files / "real.h5", empty), (empty, files / "real.h5")):
        words = ["evaluate", str(real), str(generated), "--split", "all", "--output", str(out)]
        assert cli.main([*words, "--protocol", *protocol.split()]) == 1
        error = f"{empty}: got 200 events without a point, expected some with one"
        assert error in capsys.readouterr().err
    assert not out.exists()


def test_a_score_that_is_no_number_is_explained():
    score = Score("response pt 1 to 2 GeV", "", 1.0, math.nan, 1.0, 0.1, None, 2, 1)
    lines = remarks(Evaluation("conditional", (score,), (2, 2), 0, 0))
    assert lines == ["nan: fewer than two events for response pt 1 to 2 GeV"]


def test_a_missing_file_and_a_bad_folder_are_one_line(files, tmp_path, capsys):
    assert evaluate(files, "nothing.h5") == 1
    blocked = tmp_path / "file"
    blocked.touch()
    assert evaluate(files, "other.h5", "--output", str(blocked / "below")) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "nothing.h5" in lines[0]
    assert f"{blocked / 'below'}: cannot be written (Not a directory)" in lines[1]


def test_broken_events_of_the_generated_file_are_reported_by_number(files, tmp_path, capsys):
    jets = sample_jets("all").read(0, 40)
    path = tmp_path / "broken.h5"
    write_clouds(path, jets, JETS)
    with h5py.File(path, "r+") as file:
        file["weight"][int(jets.ptr[7])] = math.nan
    assert (
        cli.main(["evaluate", str(files / "real.h5"), str(path), "--split", "all", "--subset", "0"])
        == 0
    )
    assert (
        "generated events with NaN or infinite values, left out: 7 (1)" in capsys.readouterr().out
    )
    stored = json.loads((tmp_path / "broken-evaluation" / "evaluation.json").read_text())["broken"]
    assert stored["broken"] == [[], [7]]
    assert stored["events"] == [200, 39]
    assert "NaN" not in (tmp_path / "broken-evaluation" / "evaluation.json").read_text()


def test_only_the_chosen_classes_are_compared(files, tmp_path):
    out = tmp_path / "gluons"
    assert evaluate(files, "other.h5", "--output", str(out), "--classes", "[g]") == 0
    jets = sample_jets("all").read(0, 300)
    number = int((jets.label[:200] == 0).sum()), int((jets.label[200:] == 0).sum())
    stored = json.loads((out / "evaluation.json").read_text())["other"]
    assert tuple(stored["events"]) == number


def test_a_training_file_that_is_missing_is_refused_before_anything_is_scored(files, tmp_path):
    out = tmp_path / "out"
    assert evaluate(files, "real.h5", "--training", "no.h5", "--output", str(out)) == 1
    assert not out.exists()


def test_a_training_file_is_searched_for_copies(files, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--training", str(files / "real.h5"), "--subset", "0", "--output", str(out)]
    assert evaluate(files, "real.h5", *options[:2], *options[4:]) == 0
    printed = capsys.readouterr().out
    assert "generated events are copies of training events" in printed
    stored = json.loads((out / "trust.json").read_text())
    assert len(stored["memorisation"]["copies"]) > 100
    assert len(stored["diagnoses"]) == 3


def test_protocols_refuse_what_they_fix_and_what_is_too_small(files, capsys):
    assert evaluate(files, "other.h5", "--protocol", "mpgan2021") == 1
    assert (
        "repeats: got 3, protocol mpgan2021 takes none; it takes particlenet and statistics"
        in capsys.readouterr().err
    )
    words = ["evaluate", str(files / "real.h5"), str(files / "other.h5"), "--split", "all"]
    assert cli.main([*words, "--protocol", "jetnet-0.2.5"]) == 1
    assert "expected at least 100000 and 50000 for protocol jetnet-0.2.5" in capsys.readouterr().err
    assert cli.main([*words, "--protocol", "calochallenge"]) == 1
    assert "does not store its calorimeter, expected a file of it" in capsys.readouterr().err
    assert cli.main([*words, "--particlenet", "weights.pt"]) == 1
    assert "particlenet: got weights.pt, protocol pcgen takes none" in capsys.readouterr().err
    one = ["--protocol", "mpgan2021", "--particlenet", "weights.pt"]
    assert cli.main([*words, *one]) == 1
    assert "got weights.pt and None, expected both or none" in capsys.readouterr().err


def test_broken_real_events_are_left_out_and_reported_too(files, tmp_path, capsys):
    jets = sample_jets("all").read(0, 60)
    path = tmp_path / "real.h5"
    write_clouds(path, jets, JETS)
    with h5py.File(path, "r+") as file:
        file["pos"][int(jets.ptr[3]), 0] = math.inf
    words = ["evaluate", str(path), str(files / "other.h5"), "--split", "all", "--subset", "0"]
    assert cli.main([*words, "--output", str(tmp_path / "out")]) == 0
    assert "real events with NaN or infinite values, left out: 3 (1)" in capsys.readouterr().out


def test_simulated_jets_are_proposed_for_jets_alone(files, tmp_path, capsys):
    schema = Schema((Quantity("x", "cm"), Quantity("y", "cm")), Quantity("energy", "GeV"))
    clouds = pc.make(torch.rand(40, 2), [2] * 20, weight=torch.rand(40))
    write_clouds(tmp_path / "showers.h5", clouds, schema)
    showers = [str(tmp_path / "showers.h5")] * 2
    for protocol in ("mpgan2021", "jetnet-0.2.5", "fpcd", "epic", "pointflow"):
        words = ["evaluate", *showers, "--split", "all", "--protocol", protocol]
        assert cli.main(words) == 1
        printed = capsys.readouterr().err
        assert "simulate jets" not in printed
        assert "outside=" not in printed
        if protocol != "pointflow":
            assert "schema: got axes x, y, expected jets" in printed
