"""``pcgen train`` and ``pcgen sample`` with ``--context``, to the scores; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest
import torch
from toy_pairs import CONTEXT, SCHEMA, equal, pairs, truths, write_pairs

import pcgen
from pcgen import clouds as pc
from pcgen.io import read_clouds, write_clouds
from pcgen.tools import cli

SMALL = (
    "--hidden 8 --context-layers 1 --layers 1 --batch-size 8 --validate-events 8 "
    "--validate-every 4 --checkpoint-every 2 --accelerator cpu --progress false"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[str, str]:
    return write_pairs(tmp_path_factory.mktemp("pairs"), 120)


@pytest.fixture(scope="module")
def run(tmp_path_factory, files) -> str:
    folder = str(tmp_path_factory.mktemp("runs") / "flow")
    words = f"train points-context-flow --data {files[0]} --context {files[1]} {SMALL}"
    assert cli.main(f"{words} --steps 4 --samples 5 --output {folder}".split()) == 0
    return folder


def fails(words: str, capsys) -> str:
    capsys.readouterr()
    assert cli.main(words.split()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_run_records_its_contexts_and_answers_to_some(run, files) -> None:
    config = json.loads((Path(run) / "config.json").read_text())
    assert config["context"] == [files[1]]
    assert len(config["context_digests"]) == 1
    assert config["arguments"]["context_schema"]["weight"]["name"] == "energy"
    assert read_clouds(f"{run}/samples/samples.h5")[0].num_graphs == 5
    model = pcgen.load(run)
    assert (model.schema.layers, model.context_schema) == (SCHEMA.layers, CONTEXT)


def test_resuming_is_exact(run, files, tmp_path) -> None:
    words = f"train points-context-flow --data {files[0]} --context {files[1]} {SMALL} --samples 0"
    assert cli.main(f"{words} --steps 6 --output {tmp_path}/whole".split()) == 0
    assert cli.main(f"{words} --steps 6 --output {tmp_path}/halves --log-every 1".split()) == 0
    for name in ("last.ckpt", "best.ckpt", "step-00000006.ckpt"):
        (tmp_path / "halves" / "checkpoints" / name).unlink()
    moved = tmp_path / "moved.h5"
    moved.write_bytes(Path(files[1]).read_bytes())
    again = f"resume {tmp_path}/halves --context {moved} --progress false"
    assert cli.main(again.split()) == 0
    one, other = (pcgen.load(tmp_path / name / "checkpoints" / "last.ckpt").state_dict()
                  for name in ("whole", "halves"))  # fmt: skip
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_other_contexts_are_not_gone_on_with(run, tmp_path, capsys) -> None:
    write_clouds(tmp_path / "other.h5", truths(120, 5), CONTEXT)
    line = fails(f"resume {run} --steps 8 --context {tmp_path}/other.h5", capsys)
    assert "got events of digest" in line
    assert "other.h5" in line


def test_answers_in_order_whatever_the_number_of_processes(run, files, tmp_path) -> None:
    words = f"sample {run} {{}} --context {files[1]} --split test --answers 3 --batch-size 7"
    assert cli.main(words.format(tmp_path / "one.h5").split()) == 0
    assert cli.main(f"{words.format(tmp_path / 'two.h5')} --processes 2".split()) == 0
    one, other = (read_clouds(tmp_path / name)[0] for name in ("one.h5", "two.h5"))
    assert equal(one, other)
    truth, _ = read_clouds(files[1])
    from pcgen.datasets.splits import split_index

    chosen = split_index(120, "test")
    assert torch.equal(one.y, truth.y[chosen].repeat_interleave(3, 0))
    with h5py.File(tmp_path / "one.h5") as file:
        attrs = json.loads(file.attrs["attrs"])
    assert (attrs["answers"], attrs["context"], attrs["split"]) == (3, "truth.h5", "test")
    fixed = f"{words.format(tmp_path / 'few.h5')} --number 4 --points 2 --classes b"
    assert cli.main(fixed.split()) == 0
    few, _ = read_clouds(tmp_path / "few.h5")
    assert (pc.sizes(few).tolist(), few.label.tolist()) == ([2] * 12, [1] * 12)


def test_answers_are_judged(run, files, tmp_path, capsys) -> None:
    made = f"{tmp_path}/a.h5"
    assert cli.main(f"sample {run} {made} --context {files[1]} --answers 4".split()) == 0
    events, _ = read_clouds(files[0])
    rows = torch.arange(120).repeat_interleave(2)
    write_clouds(tmp_path / "again.h5", pc.select(events, rows), SCHEMA, attrs={"answers": 2})
    words = f"evaluate {files[0]} {made} --protocol conditional --context {files[1]} --split all"
    assert cli.main(f"{words} --responses {tmp_path}/again.h5 --subset 5".split()) == 0
    text = capsys.readouterr().out
    assert "4 answers of a.h5 to each of 120 events" in " ".join(text.split())
    assert "repeated responses of the detector" in text
    folder = tmp_path / "a-evaluation"
    assert {path.name for path in folder.iterdir()} >= {"evaluation.json", "answers.png"}
    scores = json.loads((folder / "evaluation.json").read_text())["a"]["scores"]
    (score,) = [each for each in scores if each["name"] == "energy score"]
    assert score["floor"] == pytest.approx(0, abs=1e-6)  # the truth itself, twice
    assert score["value"] > 0
    # The answers to one split alone, as many as a number says.
    part = f"sample {run} {tmp_path}/p.npz --to-format arrays --context {files[1]} --split test"
    assert cli.main(f"{part} --answers 2".split()) == 0
    some = f"evaluate {files[0]} {tmp_path}/p.npz --protocol conditional --answers 2"
    assert cli.main(f"{some} --classes a --subset 0 --between pt=:1e9".split()) == 0
    line = fails(f"evaluate {files[0]} {tmp_path}/p.npz --protocol conditional --answers 3", capsys)
    assert "answers (3 to each), expected as many to each of the 120 events, or of the" in line
    line = fails(f"evaluate {files[0]} {made} --context {files[1]}", capsys)
    assert "protocol pcgen takes none" in line
    few = tmp_path / "few.h5"
    write_clouds(few, truths(7), CONTEXT)
    line = fails(f"{words} --subset 0".replace(files[1], str(few)), capsys)
    assert "got 7 contexts, expected one for each of the 120 events" in line


def test_what_does_not_fit_is_refused_in_a_line(run, files, tmp_path, capsys) -> None:
    events, truth = files
    out = f"--output {tmp_path}/r {SMALL} --steps 2 --samples 0"
    flow = "train points-context-flow"
    assert "expected --context FILE" in fails(f"{flow} --data {events} {out}", capsys)
    line = fails(f"train points-vae --data {events} --context {truth}", capsys)
    assert "which takes none, expected one of points-context-flow, points-context-gan, " in line
    assert "without data" in fails(f"{flow} --context {truth} {out}", capsys)
    write_clouds(tmp_path / "few.h5", truths(7), CONTEXT)
    line = fails(f"{flow} --data {events} --context {tmp_path}/few.h5 {out}", capsys)
    assert "got 7 events, expected the 120" in line
    assert "expected --context" in fails(f"sample {run} {tmp_path}/x.h5 --number 3", capsys)
    line = fails(f"sample {run} {tmp_path}/x.h5 --context {events}", capsys)
    assert "got weight signal [ADC], expected energy [GeV] as the model was trained for" in line
    line = fails(f"sample {run} {tmp_path}/x.h5 --context {truth} --like {events}", capsys)
    assert "got like too, expected one of them" in line
    line = fails(f"sample {run} {tmp_path}/x.h5 --context {truth} --number 400", capsys)
    assert "expected 1 to the 120 events" in line
    line = fails(f"sample {run} {tmp_path}/x.h5 --context {truth} --answers 0", capsys)
    assert "answers: got 0, expected >= 1" in line
    line = fails(f"sample jets-student {tmp_path}/x.h5 --answers 3", capsys)
    assert "answers: got 3 without context" in line
    line = fails(f"sample jets-student {tmp_path}/x.h5 --context {truth}", capsys)
    assert "takes no context" in line
    assert "generates events from others" in fails(f"export {run} {tmp_path}/x.onnx", capsys)
    assert not (tmp_path / "r").exists()


def test_one_file_of_pairs_is_enough(tmp_path) -> None:
    write_clouds(tmp_path / "p.h5", pairs(60), SCHEMA, context_schema=CONTEXT)
    words = f"train points-set-generation --data {tmp_path}/p.h5 {SMALL} --steps 2 --samples 3"
    assert cli.main(f"{words} --output {tmp_path}/run".split()) == 0
    words = f"sample {tmp_path}/run {tmp_path}/a.h5 --context {tmp_path}/p.h5 --number 6"
    assert cli.main(words.split()) == 0
    assert read_clouds(tmp_path / "a.h5")[0].num_graphs == 6
    # Recipes without contexts pass over them.
    words = f"train points-vae --data {tmp_path}/p.h5 --hidden 4 --steps 2 --batch-size 8"
    words += f" --validate-events 4 --samples 0 --accelerator cpu --output {tmp_path}/vae"
    assert cli.main(words.split()) == 0


def test_a_gan_begins_from_a_flow_and_is_no_graph_either(run, files, tmp_path, capsys) -> None:
    words = f"train points-context-gan --data {files[0]} --context {files[1]} {SMALL} --samples 0"
    start = f"--start {run} --start-part generator.field=field --steps 1"
    start += " --phases generator.lr=1e-12"
    assert cli.main(f"{words} {start} --output {tmp_path}/gan".split()) == 0
    flow, gan = pcgen.load(run).field, pcgen.load(tmp_path / "gan").generator.field
    theirs = flow.state_dict()
    for name, value in gan.state_dict().items():
        torch.testing.assert_close(value, theirs[name])
    answers = f"{tmp_path}/a.h5"
    assert (
        cli.main(f"sample {tmp_path}/gan {answers} --context {files[1]} --answers 2".split()) == 0
    )
    assert read_clouds(answers)[0].num_graphs == 240
    line = fails(f"export {tmp_path}/gan {tmp_path}/x.onnx", capsys)
    assert "generates events from others" in line
