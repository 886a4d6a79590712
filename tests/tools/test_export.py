"""``pcgen export``: the graphs, run by onnxruntime, are the model of the run."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

import pcgen
from pcgen import clouds as pc
from pcgen import recipes
from pcgen.errors import ArgumentError
from pcgen.models.cardinality import wrapped
from pcgen.models.request import Request
from pcgen.ops.ode import Integrator
from pcgen.tools import cli
from pcgen.tools import export as tool

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

TRAINING = (
    "--steps 4 --batch-size 16 --max-points 8 --samples 0 --validate-events 8 --accelerator cpu"
)
NETWORK = "--hidden 8 --layers 1"
RUNS = {
    "flow": f"points-flow {NETWORK} --integration-steps 2",
    "options": f"points-flow {NETWORK} --integration-steps 2 --shift 5 --squash 0.75 --centre "
    "--excess --rescale",
    "attention": f"points-flow --encoder attention {NETWORK} --integration-steps 1",
    "pointnet": f"points-flow --encoder pointnet {NETWORK} --integration-steps 1",
    "gan": f"points-gan {NETWORK} --latent-dim 3",
    "map": f"points-flow-map {NETWORK} --integration-steps 2",
    "student": f"points-flow-student {NETWORK} --integration-steps 2",
    "latent flow": f"points-latent-flow {NETWORK} --latent-dim 3 --width 8",
    "latent": f"points-latent-gan {NETWORK} --latent-dim 3 --width 8",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, few):
    """Trains a run when it is first requested."""
    folder = tmp_path_factory.mktemp("export")

    def trained(name):
        place = folder / name
        if not place.exists():
            words = f"train {RUNS[name]} {TRAINING} --progress false"
            assert cli.main([*words.split(), "--data", str(few), "--output", str(place)]) == 0
        return place

    return trained


@pytest.fixture(scope="module")
def graphs(runs, tmp_path_factory):
    """Exports a run with some words when it is first requested; the file."""
    folder = tmp_path_factory.mktemp("graphs")

    def exported(name, *words):
        target = folder / f"{'-'.join([name, *words])}.onnx"
        if not target.exists():
            assert cli.main(["export", str(runs(name)), str(target), *words]) == 0
        return target

    return exported


def opened(target):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(target), options, providers=["CPUExecutionProvider"])


def compare(session, model, sizes, longest, seed=0):
    """Largest difference from PyTorch: in the scale of the coordinates, and of the totals."""
    generator = torch.Generator().manual_seed(seed)
    drawn = model.representation.cardinality.draw(Request(len(sizes)), generator)
    drawn = drawn._replace(sizes=torch.tensor(sizes))
    channels = model.noise_channels
    values = {"noise": torch.randn(len(sizes), longest, channels.point, generator=generator)}
    values["code"] = torch.randn(len(sizes), channels.code, generator=generator)
    values |= {"size": drawn.sizes, **drawn._asdict()}
    given = {each.name: values[each.name].numpy() for each in session.get_inputs()}
    names = [each.name for each in session.get_outputs()]
    found = dict(zip(names, map(torch.from_numpy, session.run(None, given)), strict=True))
    present = torch.arange(longest) < drawn.sizes[:, None]
    assert torch.equal(found["mask"], present)
    rows = pc.make(values["noise"][present], drawn.sizes)
    with torch.no_grad():
        expected = model.from_noise(rows, values["code"], drawn)
    assert len(expected.pos) == sum(sizes)
    off = wrapped(found["pos"][present] - expected.pos, model.schema)
    scale = float(model.representation.standardize.pos.std[0])
    share = (found["weight"][present] - expected.weight) / drawn.total[expected.batch]
    return [float(x.abs().max()) if x.numel() else 0.0 for x in (off / scale, share)]


@pytest.mark.parametrize(
    ("name", "words", "solver"),
    [
        ("flow", (), Integrator("midpoint", 2)),
        ("flow", ("--solver", "euler", "--steps", "3"), Integrator("euler", 3)),
        ("flow", ("--pace", "0.5"), Integrator("midpoint", 2, pace=0.5)),
        ("options", ("--solver", "heun"), Integrator("heun", 2)),
        ("attention", (), Integrator("midpoint", 1)),
        ("pointnet", (), Integrator("midpoint", 1)),
        ("gan", (), None),
        ("latent", (), None),
        ("map", (), None),
        ("map", ("--steps", "1"), Integrator(steps=1)),
        ("latent flow", (), None),
    ],
)
def test_the_graph_is_the_model(runs, graphs, name, words, solver):
    session = opened(graphs(name, *words))
    model = pcgen.load(runs(name))
    if solver is not None:
        model.paths.solver = solver
    # In one batch with padding of several lengths, and alone: sizes of 0, 1, some and the most.
    for sizes, longest in [([0, 1, 5, 8, 3], 8), ([0, 1, 5, 8, 3], 11), ([0], 1), ([1], 1),
                           ([5], 5), ([8], 8), ([0, 0], 1)]:  # fmt: skip
        assert max(compare(session, model, sizes, longest)) < 1e-4, (sizes, longest)


def test_another_solver_is_another_graph(runs, graphs):
    session = opened(graphs("flow", "--solver", "euler", "--steps", "3"))
    assert max(compare(session, pcgen.load(runs("flow")), [8, 8], 8)) > 1e-3


def test_the_law_draws_what_the_model_draws(runs, graphs):
    law = opened(graphs("options", "--solver", "heun").with_suffix(".cardinality.onnx"))
    assert [each.name for each in law.get_inputs()] == ["chance", "y", "label"]
    assert [each.name for each in law.get_outputs()] == ["size", "total", "centroid", "spread"]
    cardinality = pcgen.load(runs("options")).representation.cardinality
    first = cardinality.draw(Request(250), torch.Generator().manual_seed(1))
    wanted = Request(250, None, first.y + 1.0, first.label)
    expected = cardinality.draw(wanted, torch.Generator().manual_seed(2))
    chance = torch.rand(250, generator=torch.Generator().manual_seed(2))
    given = {"chance": chance, "y": wanted.y, "label": wanted.label}
    found = law.run(None, {name: value.numpy() for name, value in given.items()})
    for got, name in zip(found, ("sizes", "total", "centroid", "spread"), strict=True):
        np.testing.assert_allclose(got, getattr(expected, name).numpy(), rtol=1e-6, err_msg=name)


def test_the_file_states_what_it_takes_and_names_no_place(runs, graphs):
    target = graphs("flow")
    for file in (target, target.with_suffix(".cardinality.onnx")):
        graph = onnx.load(str(file))
        (entry,) = graph.metadata_props
        facts = json.loads(entry.value)
        assert entry.key == "pcgen"
        assert facts["model"] == "flow/best.ckpt"
        (("flow", (), Integrator("midpoint", 2)),)
        (("flow", ("--solver", "euler", "--steps", "3"), Integrator("euler", 3)),)
        (("flow", ("--pace", "0.5"), Integrator("midpoint", 2, pace=0.5)),)
        assert list(facts["inputs"]) == [each.name for each in graph.graph.input]
        assert list(facts["outputs"]) == [each.name for each in graph.graph.output]
        data = file.read_bytes()
        for place in (runs("flow").parent, target.parent, sys.prefix):
            assert str(place).encode() not in data


@pytest.mark.usefixtures("tiny_recipe")
def test_a_decoder_with_noise_of_its_own(run, tmp_path, capsys):
    assert cli.main(["export", str(run), str(tmp_path / "a.onnx")]) == 0
    assert "largest difference from PyTorch" in capsys.readouterr().out
    session = opened(tmp_path / "a.onnx")
    assert max(compare(session, pcgen.load(run), [0, 3, 8], 8)) < 1e-4


def test_nothing_is_written_where_graph_and_model_differ(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tool, "TOLERANCE", -1.0)
    assert cli.main(["export", str(runs("gan")), str(tmp_path / "a.onnx")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("pcgen: gan/best.ckpt: the graph differs from PyTorch by ")
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("made", "got"),
    [
        (lambda: recipes.points_flow("edgeconv", 8, 1), "the network EdgeConvField"),
        (lambda: recipes.points_flow("list", 8, 1), "the network ListField"),
        (lambda: recipes.points_gan("list", 3), "the network MLPDecoder"),
        (lambda: recipes.points_autoencoder(), "a plain autoencoder, which has no prior"),
        (lambda: recipes.points_latent_mixture(), "the prior Mixture, whose codes are no function"),
    ],
)
def test_other_models_are_refused_by_name(made, got):
    with pytest.raises(ArgumentError, match=rf"^a: got {got}.*, expected .* recipes points-flow, "):
        tool.check_exportable(made(), "a")


@pytest.mark.parametrize(
    ("name", "words", "status", "message"),
    [
        ("flow", "a.foo", 1, "pcgen: {}a.foo: got the ending '.foo', expected .onnx"),
        ("flow", "a.onnx --steps 0", 1, "pcgen: steps: got 0, expected >="),
        ("flow", "a.onnx --seed -1", 1, "pcgen: seed: got -1, expected 0 <= seed < 2**63"),
        ("gan", "a.onnx --steps 3", 1, "pcgen: steps: got values for a GAN, which follows no"),
        ("flow", "a.onnx --solver adaptive", 2, "pcgen export: --solver: got adaptive, expected"),
    ],
)
def test_wrong_words_are_one_line(runs, tmp_path, capsys, name, words, status, message):
    target, *rest = words.split()
    words = ["export", str(runs(name)), str(tmp_path / target), *rest]
    capsys.readouterr()
    try:
        code = cli.main(words)
    except SystemExit as stop:
        code = stop.code
    assert code == status
    assert capsys.readouterr().err.startswith(message.format(f"{tmp_path}/"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["onnx", "onnxruntime"])
def test_a_missing_package_names_its_extra(runs, tmp_path, capsys, monkeypatch, module):
    place = runs("gan")
    monkeypatch.setitem(sys.modules, module, None)
    capsys.readouterr()
    assert cli.main(["export", str(place), str(tmp_path / "a.onnx")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"pcgen: {module} is needed here and could not be imported")
    assert error.endswith("(pcgen's extra 'export')\n")


def test_weights_sample_what_the_run_samples(runs, tmp_path, capsys):
    target = tmp_path / "mine.safetensors"
    assert cli.main(["export", str(runs("flow")), str(target)]) == 0
    assert f"{target}: " in capsys.readouterr().out
    drawn = [
        pcgen.load(each).sample(number=20, generator=torch.Generator().manual_seed(0))
        for each in (runs("flow"), target)
    ]
    assert torch.equal(drawn[0].pos, drawn[1].pos)
    assert cli.main(["export", str(target), str(tmp_path / "a.onnx")]) == 0
    capsys.readouterr()
    assert cli.main(["export", str(runs("flow")), str(target), "--steps", "2"]) == 1
    assert capsys.readouterr().err.startswith("pcgen: solver, steps, pace: play no part in weights")
