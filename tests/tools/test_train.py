from __future__ import annotations

import dataclasses
import json
import re

import pytest
import torch
from PIL import Image
from toy_recipes import FAST

import pcgen
from pcgen import clouds as pc
from pcgen.datasets.jets import sample_jets
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io import JETS, read_clouds, write_clouds
from pcgen.metrics import observables
from pcgen.models.autoencoder import Autoencoder
from pcgen.schema import Quantity, Schema
from pcgen.standardize import Standardize
from pcgen.tools import train as tool
from pcgen.tools.cli import main
from pcgen.tools.train import train
from pcgen.tools.training_data import spread
from pcgen.tools.validation import Validation
from pcgen.training import checkpoint

pytestmark = pytest.mark.usefixtures("tiny_recipe")


def test_a_run_folder_holds_everything(run):
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    expected = {"config.json", "environment.json", "metrics.csv", "checkpoints/last.ckpt",
                "checkpoints/best.ckpt", "checkpoints/step-00000004.ckpt", "samples/samples.h5",
                "figures/learning-curves.png"}  # fmt: skip
    assert expected <= files
    assert any(name.startswith("tensorboard/") for name in files)
    assert not any(".tmp" in name for name in files)
    config = json.loads((run / "config.json").read_text())
    assert config["recipe"] == "tiny"
    assert config["arguments"] == {"latent_dim": 3}
    assert config["batch_size"] == 16
    assert config["data"][0].endswith("jets.h5")
    assert config["events"] == len(sample_jets("train"))


def test_the_curves_of_a_run_are_drawn(run):
    file = run / "figures" / "learning-curves.png"
    dot, labels = file.read_bytes(), {"validation/w1_mass": "$W_1$ of mass [GeV]"}
    tool._draw_curves.of_a_run(run, labels)
    with Image.open(file) as picture:
        assert min(picture.size) > 300
    file.write_bytes(dot)


def test_what_is_fitted_sees_the_training_split_only(run):
    model = pcgen.load(run)
    assert isinstance(model, Autoencoder)
    clouds = sample_jets("train", max_points=8).load()
    fitted = Standardize(JETS).fit(clouds)
    for name, value in fitted.state_dict().items():
        assert torch.allclose(
            value, model.representation.standardize.state_dict()[name], rtol=1e-4
        ), name
    assert int(model.representation.cardinality.stored) == len(clouds.ptr) - 1


def test_the_best_checkpoint_has_the_lowest_validation_score(run):
    text = (run / "metrics.csv").read_text().splitlines()
    rows = [dict(zip(text[0].split(","), line.split(","), strict=True)) for line in text[1:]]
    scores = {int(row["step"]): float(row["validation/score"]) for row in rows}
    best = checkpoint.read(run / "checkpoints" / "best.ckpt")
    assert best.step == min(scores, key=lambda step: scores[step])
    assert best.best == min(scores.values())
    assert {"validation/w1_mass", "validation/w1_multiplicity"} <= set(rows[0])


def test_the_same_command_goes_on(tmp_path, few, capsys):
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    options = {**FAST, "data": [str(few)], "schedule": "constant"}
    train("tiny", output=str(whole), **options)
    train("tiny", output=str(pieces), **{**options, "steps": 2})
    torch.manual_seed(9)
    train("tiny", output=str(pieces), **options)
    states = [checkpoint.read(folder / "checkpoints/last.ckpt") for folder in (whole, pieces)]
    for name, value in states[0].model.items():
        assert torch.equal(value, states[1].model[name]), name
    assert re.search(r"trained: .*\.ckpt \(step \d, validation score", capsys.readouterr().out)


def test_another_option_needs_another_folder(run):
    with pytest.raises(ArgumentError, match=r"another configuration \(batch_size 16 -> 8\)"):
        train("tiny", {"latent_dim": 3}, output=str(run), **{**FAST, "batch_size": 8})
    with pytest.raises(ArgumentError, match=r"\(arguments\.latent_dim 3 -> 2\)"):
        train("tiny", {"latent_dim": 2}, output=str(run), **FAST)


def test_only_what_differs_is_named_and_long_values_are_left_out(run, few):
    with pytest.raises(ArgumentError) as caught:
        train("tiny", {"latent_dim": 3}, data=[str(few)], output=str(run), **{**FAST, "lr": 1e-4})
    found = re.search(r"configuration \((.*)\), expected", str(caught.value))
    assert found is not None
    assert set(found[1].split(", ")) == {"data", "events 6312 -> 140",
                                     "optimiser.lr 0.005 -> 0.0001"}  # fmt: skip


def test_a_refused_training_leaves_nothing_and_the_corrected_one_runs(tmp_path, few):
    empty, output = tmp_path / "empty.h5", tmp_path / "run"
    jets = pc.select(sample_jets("all", max_points=8).read(0, 50), torch.arange(50))
    write_clouds(empty, pc.make(torch.zeros(0, 2), [0] * 50, weight=torch.zeros(0),
                                y=jets.y, label=jets.label), JETS)  # fmt: skip
    with pytest.raises(DataError, match=r"empty\.h5: got \d+ events without a point"):
        train("tiny", data=[str(empty)], output=str(output), **FAST)
    assert not output.exists()
    # A run that was killed before its first checkpoint may be started with other options.
    (output / "checkpoints").mkdir(parents=True)
    (output / "config.json").write_text(json.dumps({"batch_size": 1}))
    train("tiny", data=[str(few)], output=str(output), **FAST)
    assert json.loads((output / "config.json").read_text())["batch_size"] == 16


def test_phases_have_options_of_their_own(tmp_path, few):
    phases = {"reconstruction": {"lr": 1e-5, "warmup": 0, "schedule": "constant"}}
    train("tiny", output=str(tmp_path / "run"), data=[str(few)], phases=phases, **FAST)
    header, *_, row = (tmp_path / "run/metrics.csv").read_text().splitlines()
    column = header.split(",").index("lr/reconstruction")
    assert float(row.split(",")[column]) == 1e-5


def test_a_plain_autoencoder_is_judged_by_its_reconstructions(tmp_path, few):
    train("tiny", {"sampled": False}, data=[str(few)], output=str(tmp_path / "run"), **FAST)
    assert checkpoint.read(tmp_path / "run/checkpoints/best.ckpt").best is not None
    assert list((tmp_path / "run/samples").iterdir()) == []


def test_real_clouds_score_better_than_generated_ones(run):
    real = sample_jets("validation", max_points=8).read(0, 60)

    class Perfect(torch.nn.Module):
        schema = JETS
        context_schema = None

        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def sample(self, *, y, label, number, generator):
            assert torch.equal(y, real.y[:number])
            assert torch.equal(label, real.label[:number])
            return pc.select(real, torch.arange(number))

    assert Validation(real)(Perfect())["score"] == 0.0
    scores = Validation(real)(pcgen.load(run))
    assert scores["score"] > 0.1
    assert scores == Validation(real)(pcgen.load(run))
    names = {f"w1_{quantity.name}" for quantity in observables(real, JETS)}
    of_codes = {"active_units", "information", "code_mmd", "blur", "hit_count_bias"}
    assert set(scores) == {"score", *names, *of_codes}


def test_validation_looks_at_events_from_all_over_the_split():
    held_out = sample_jets("validation")
    chosen = spread(held_out, 40)
    assert chosen.num_graphs == 40
    assert set(chosen.label.tolist()) == {0, 1, 2}
    few = spread(sample_jets("validation", classes=["t"]), 10**6)
    assert torch.equal(few.pos, sample_jets("validation", classes=["t"]).load().pos)
    with pytest.raises(ArgumentError, match="validate_events: got 0"):
        spread(held_out, 0)


def test_unknown_recipes_and_arguments_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"recipe: got 'huge', expected .*one of .*tiny"):
        train("huge", output=str(tmp_path / "run"), **FAST)
    with pytest.raises(ArgumentError, match=r"recipe tiny: .*width"):
        train("tiny", {"width": 3}, output=str(tmp_path / "run"), **FAST)
    with pytest.raises(ArgumentError, match="classes: got b, expected some of g, q, t"):
        train("tiny", output=str(tmp_path / "run"), classes=["b"], **FAST)
    with pytest.raises(FileError, match=r"no\.h5"):
        train("tiny", data=[str(tmp_path / "no.h5")], output=str(tmp_path / "run"), **FAST)
    assert list(tmp_path.iterdir()) == []


def test_clouds_of_another_meaning_are_refused(tmp_path):
    other = Schema((Quantity("x", "mm"), Quantity("y", "mm")), Quantity("E", "GeV"))
    file = tmp_path / "showers.h5"
    write_clouds(file, pc.make(torch.rand(30, 2), [1] * 30, weight=torch.ones(30)), other)
    with pytest.raises(DataError, match=r"showers\.h5: got axes x \[mm\], y \[mm\], expected "):
        train("tiny", data=[str(file)], output=str(tmp_path / "run"), **FAST)
    turned = dataclasses.replace(JETS.axes[1], period=None)
    straight = dataclasses.replace(JETS, axes=(JETS.axes[0], turned))
    write_clouds(file, sample_jets("all").read(0, 30), straight)
    with pytest.raises(DataError, match=r"expected eta_rel, phi_rel \[rad\] with period 2pi"):
        train("tiny", data=[str(file)], output=str(tmp_path / "run"), **FAST)
    assert not (tmp_path / "run").exists()


def test_the_command_line_reaches_every_option(tmp_path, few, capsys):
    words = ["train", "tiny", "--latent-dim", "3", "--data", f"[{few}]", "--steps", "2",
             "--output", str(tmp_path / "run"), "--batch-size", "8", "--betas", "[0.5, 0.9]",
             "--phases", "{reconstruction: {lr: 0.01, warmup: 0}}", "--classes", "[g, t]",
             "--accelerator", "cpu", "--validate-events", "10", "--ema", "null"]  # fmt: skip
    assert main(words) == 0, capsys.readouterr().err
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["optimiser"]["betas"] == [0.5, 0.9]
    assert config["phases"] == {"reconstruction": {"lr": 0.01, "warmup": 0}}
    assert config["classes"] == ["g", "t"]
    assert config["ema"] is None
    assert config["arguments"]["latent_dim"] == 3
    output = str(tmp_path / "a.hdf5")
    words = ["sample", str(tmp_path / "run"), output, "--number", "4", "--classes", "[t]"]
    assert main([*words, "--condition", "{jet_pt: 1000}"]) == 0, capsys.readouterr().err
    assert read_clouds(output)[0].num_graphs == 4


def test_a_recipe_that_takes_a_schema_gets_that_of_the_clouds(tmp_path):
    other = dataclasses.replace(JETS, labels=("up", "down"))
    file, output = tmp_path / "spins.h5", tmp_path / "run"
    jets = sample_jets("all", max_points=8).read(0, 100)
    write_clouds(file, pc.replace(jets, label=jets.label % 2), other)
    small = {"latent_dim": 2, "hidden": 8, "layers": 1, "schema": None}
    train("points-vae", small, data=[str(file)], output=str(output), **FAST)
    assert pcgen.load(output).schema.labels == ("up", "down")
    assert read_clouds(output / "samples/samples.h5")[1].labels == ("up", "down")
