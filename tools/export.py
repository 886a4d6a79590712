"""``pcgen export``: the generator of a trained model as ONNX, for C++ and other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pcgen.bounds import STEPS
from pcgen.errors import ArgumentError, DataError, at_least
from pcgen.tools.onnx_tensors import (
    free_axes,
    from_noise_of,
    given_by_the_user,
    inputs_of,
    outputs_of,
    points_of,
    total_of,
)
from pcgen.tools.trained import trained

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from torch import Tensor

    from pcgen.models.base import GenerativeModel
    from pcgen.models.cardinality import Drawn

TOLERANCE = 1e-4
"""Largest difference from PyTorch: of coordinates in their scale, of weights in their total."""

_EVENTS = 24
"""Events that are compared."""
_KNOWN = (
    "points-flow, -flow-student, -flow-map or -flow-gan (encoder epic, pointnet or attention), "
    "points-gan, "
    "points-vae, points-latent-gan or -flow (any encoder but list)"
)


def export(
    run: str,
    output: str,
    *,
    solver: Literal["euler", "midpoint", "heun"] | None = None,
    steps: int | None = None,
    pace: float | None = None,
    events: int | None = None,
    seed: int = 0,
    recipe: str | None = None,
) -> None:
    """Write a trained model to give away: its generator as ONNX, or its weights.

    Weights (.safetensors) hold what pcgen needs to sample the model, nothing rounded, and serve
    wherever a run does.

    An ONNX graph takes standard normal noise, the number of points of each event, its class and
    conditions, and gives points in physical units. Beside it, as NAME.cardinality.onnx, lies a
    graph that draws number of points, total and centre of an event of given class and conditions,
    from one uniform number. Batch size and largest number of points are free. Both graphs are run
    by onnxruntime and compared with PyTorch before they appear; nothing is written if they differ.

    The recipes points-flow, points-flow-student, -map and -gan (epic, pointnet, attention),
    points-gan, points-vae, points-latent-gan and points-latent-flow can be exported as ONNX.

    Args:
        run: Folder of a run, one of its checkpoints (.ckpt), weights, or the name of a model that
            ships with pcgen.
        output: File to write (.onnx or .safetensors), in place of one of that name.
        solver: Of a flow, how its trajectories are followed in the graph: euler (one evaluation of
            the network a step), midpoint or heun (two). By default midpoint.
        steps: Steps of that solver, by default the integration_steps of the training.
        pace: How much denser the steps are near the data, as in pcgen sample.
        events: Of weights: how many training events, drawn at random, give their sizes and totals
            to what is generated, at least one. By default all that the run has, up to 131,072; less
            is a smaller file, and gives less of the data away.
        seed: Of the events that are compared.
        recipe: The user's own recipe, module:function, where the run was trained with one.
    """
    target = Path(output)
    if target.suffix not in (".onnx", ".safetensors"):
        expected = "expected .onnx or .safetensors"
        raise ArgumentError(f"{output}: got the ending {target.suffix!r}, {expected}")
    if target.suffix == ".safetensors" and (solver, steps, pace) != (None, None, None):
        raise ArgumentError("solver, steps, pace: play no part in weights, expected none")
    if target.suffix == ".onnx" and events is not None:
        raise ArgumentError(f"events: got {events}, expected none for .onnx, which keeps all")
    if events is not None:
        at_least(1, events=events)
    if not 0 <= seed < 2**63:
        raise ArgumentError(f"seed: got {seed}, expected 0 <= seed < 2**63")
    STEPS.allow(steps=steps)

    from rich.console import Console

    from pcgen.escaping import terminal
    from pcgen.io import atomic, check_output
    from pcgen.loading import find, write_weights
    from pcgen.tools import onnx_graph
    from pcgen.tools.provenance import provenance

    check_output(target, run=run)
    if target.suffix == ".safetensors":
        write_weights(run, target, recipe=recipe, events=events)
        size = target.stat().st_size / 2**20
        Console(soft_wrap=True).print(terminal(f"{target}: {size:.1f} MB"))
        return
    onnx_graph.require_onnx()
    checkpoint = find(run)
    model = trained(checkpoint, recipe, rule=solver, steps=steps, pace=pace).eval()
    check_exportable(model, run)
    law = target.with_suffix(".cardinality.onnx")
    facts = _facts(model, provenance(checkpoint))
    with atomic(target) as file, atomic(law) as beside:
        of_points = _write_generator(model, file, facts, seed)
        of_law = _write_law(model, beside, facts, seed)
    console = Console(soft_wrap=True)
    for line in (*_described(target, of_points), *_described(law, of_law)):
        console.print(terminal(line))


def check_exportable(model: GenerativeModel, run: str) -> None:
    """Refuse a model that is no function of noise, or whose networks no graph can hold.

    Raises:
        ArgumentError: naming what it is, and which models can be exported.
    """
    from pcgen.models.autoencoder import Autoencoder
    from pcgen.models.base import FromNoise
    from pcgen.models.flow import FlowMatching
    from pcgen.models.gan import GAN
    from pcgen.models.latent import LatentModel
    from pcgen.models.paths import followed
    from pcgen.models.priors import Mixture
    from pcgen.models.representations import Points
    from pcgen.nn import EdgeConvField, ListField, MLPDecoder

    codec = model.autoencoder if isinstance(model, LatentModel) else model
    decoder = codec.decoder if isinstance(codec, Autoencoder) else None
    network = model.field if isinstance(model, FlowMatching) else getattr(decoder, "field", decoder)
    network = model.generator if isinstance(model, GAN) else network
    got = ""
    if not isinstance(model.representation, Points):
        got = f"a model of {type(model.representation).__name__.lower()}"
    elif model.context_schema is not None:
        got = "a model that generates events from others"
    elif isinstance(model, Autoencoder) and not model.can_sample:
        got = "a plain autoencoder, which has no prior"
    elif isinstance(model, LatentModel) and isinstance(model.prior, Mixture):
        got = f"the prior {type(model.prior).__name__}, whose codes are no function of noise"
    elif isinstance(network, EdgeConvField | ListField | MLPDecoder):
        got = f"the network {type(network).__name__}"
    elif not isinstance(model, FromNoise):
        got = f"a {type(model).__name__}, which has no from_noise"
    if got:
        raise ArgumentError(f"{run}: got {got}, expected a model of the recipes {_KNOWN}")
    if any(paths.solver.rule == "adaptive" for paths in followed(model)):
        raise ArgumentError(
            "solver: got adaptive, whose steps depend on the event, expected euler, midpoint or "
            "heun"
        )


class Written(NamedTuple):
    """What a graph takes and gives, a line each, and how far it is from PyTorch."""

    inputs: dict[str, str]
    outputs: dict[str, str]
    difference: str


def _described(path: Path, written: Written) -> list[str]:
    """Lines on a file."""
    size = path.stat().st_size / 2**20
    lines = [f"{path}: {size:.1f} MB, {written.difference}"]
    for word, values in (("takes", written.inputs), ("gives", written.outputs)):
        lines += [f"  {word} {name:9s} {meaning}" for name, meaning in values.items()]
    return lines


def _facts(model: GenerativeModel, origin: dict[str, Any]) -> dict[str, Any]:
    """What is stored with both graphs."""
    from pcgen.models.paths import followed

    facts = {**origin, "schema": model.schema.to_dict(), "classes_trained": list(model.classes)}
    if (seen := model.condition_range) is not None:
        facts["condition_range"] = [end.tolist() for end in seen]
    for paths in followed(model):
        solver = paths.solver
        facts["solver"] = {"rule": solver.rule, "steps": solver.steps, "pace": solver.pace}
    return facts


def _write_generator(
    model: GenerativeModel, file: Path, facts: dict[str, Any], seed: int
) -> Written:
    """Write the generator and compare it with PyTorch.

    Raises:
        DataError: the two differ.
    """
    import torch

    from pcgen.models.padded import PaddedGenerator
    from pcgen.tools import onnx_graph

    inputs, outputs = inputs_of(model), outputs_of(model)
    generator = torch.Generator().manual_seed(seed)
    every = _events(model, generator)
    example = _tensors(model, _take(every, slice(4, 7)), list(inputs), generator)
    facts = {**facts, "inputs": inputs, "outputs": outputs}
    twin = PaddedGenerator(model)
    onnx_graph.write(twin, example, list(outputs), free_axes(inputs | outputs), file, facts)
    graph, far = onnx_graph.Graph(file), {"pos": 0.0}
    # All in one batch, and alone: a size of 0, of 1, of 2 and the largest.
    for rows in (slice(None), *(slice(row, row + 1) for row in range(4))):
        drawn = _take(every, rows)
        given = _tensors(model, drawn, list(inputs), generator)
        for name, value in _differences(model, drawn, given, graph(given)).items():
            far[name] = max(far.get(name, 0.0), value)
    worst = max(far.values())
    if not worst <= TOLERANCE:
        raise DataError(
            f"{run_of(facts)}: the graph differs from PyTorch by {worst:.1e}, expected at most "
            f"{TOLERANCE}; nothing was written"
        )
    line = ", ".join(f"{value:.1e} of {_SCALES[name]}" for name, value in far.items())
    return Written(inputs, outputs, f"largest difference from PyTorch {line}")


_SCALES = {
    "pos": "the scale of the coordinates",
    "weight": "the total",
    "x": "the scale of the features",
}


def run_of(facts: dict[str, Any]) -> str:
    """The checkpoint, as facts name it."""
    return str(facts["model"])


def _events(model: GenerativeModel, generator: Any) -> Drawn:
    """What is drawn for some events: the first four of 0, 1, 2 and the most points."""
    import torch

    from pcgen.models.request import Request

    drawn = points_of(model).cardinality.draw(Request(_EVENTS), generator)
    most = int(points_of(model).cardinality.sizes.max())
    sizes = torch.cat([torch.tensor([0, 1, 2, max(most, 3)]), drawn.sizes[4:]])
    return drawn._replace(sizes=sizes)


def _take(drawn: Drawn, rows: slice) -> Drawn:
    given = {name: value for name, value in drawn._asdict().items() if value is not None}
    return drawn._replace(**{name: value[rows] for name, value in given.items()})


def _tensors(
    model: GenerativeModel, drawn: Drawn, names: list[str], generator: Any
) -> dict[str, Tensor]:
    """A value for each input: noise, and what was drawn."""
    import torch

    channels = from_noise_of(model).noise_channels
    number, longest = len(drawn.sizes), max(1, int(drawn.sizes.max()))
    values = {
        "noise": torch.randn(number, longest, channels.point, generator=generator),
        "code": torch.randn(number, channels.code, generator=generator),
        "size": drawn.sizes,
        **drawn._asdict(),
    }
    return {name: values[name].contiguous() for name in names}


def _differences(
    model: GenerativeModel, drawn: Drawn, given: dict[str, Tensor], found: dict[str, Any]
) -> dict[str, float]:
    """Largest difference of each output from what PyTorch generates of the same noise.

    Raises:
        DataError: a mask is wrong, or an absent point is not 0.
    """
    import torch

    from pcgen import clouds as cl
    from pcgen.models.cardinality import wrapped

    present = torch.arange(given["noise"].shape[1]) < drawn.sizes[:, None]
    start = cl.make(given["noise"][present], drawn.sizes)
    code = given.get("code", given["noise"].new_zeros(len(present), 0))
    with torch.no_grad():
        clouds = from_noise_of(model).from_noise(start, code, drawn)
    got = {name: torch.from_numpy(value) for name, value in found.items()}
    if not torch.equal(got["mask"], present) or any(
        bool(value[~present].any()) for name, value in got.items() if name != "mask"
    ):
        raise DataError("mask: the graph has other points than PyTorch; nothing was written")
    standardize = points_of(model).standardize
    scales = {"pos": standardize.pos.std, "x": standardize.x.std, "weight": None}
    far = {}
    for name in (name for name in got if name != "mask"):
        off = got[name][present].double() - clouds[name].double()
        if name == "pos":
            off = wrapped(off, model.schema)
        total = torch.where(drawn.total > 0, drawn.total, 1.0)[clouds.batch]
        scale = scales[name]
        off = off / (total if scale is None else scale)
        # NaN compares as no number: it must not pass for a small difference.
        far[name] = float(torch.where(off.isnan(), torch.inf, off.abs()).max()) if len(off) else 0.0
    return far


def _write_law(model: GenerativeModel, file: Path, facts: dict[str, Any], seed: int) -> Written:
    """Write the law of size, total and centroid, and compare it with PyTorch.

    Raises:
        DataError: the two differ in more than one of a hundred events.
    """
    import torch

    from pcgen.models.cardinality import Cardinality
    from pcgen.models.padded import DrawFromUniform
    from pcgen.models.request import Request
    from pcgen.tools import onnx_graph

    points, generator = points_of(model), torch.Generator().manual_seed(seed)
    inputs = {"chance": "[batch] float32, uniform from 0 to 1", **given_by_the_user(model)}
    outputs = {
        "size": "[batch] int64, number of points",
        "total": total_of(model) if model.schema.weight is not None else "[batch] float32, 1",
        "centroid": f"[batch, {len(model.schema.axes)}] float32, weighted mean of pos",
    }
    if points.log_spread is not None:
        outputs["spread"] = "[batch] float32, root of the weighted mean squared distance from it"
    assert isinstance(points.cardinality, Cardinality)  # no contexts: check_exportable
    twin = DrawFromUniform(points.cardinality)
    drawn = points.cardinality.draw(Request(200), generator)
    every = {"chance": torch.rand(200, generator=generator), "y": drawn.y, "label": drawn.label}
    given = {name: value for name in inputs if (value := every[name]) is not None}
    facts = {**facts, "inputs": inputs, "outputs": outputs}
    few = {name: value[:3] for name, value in given.items()}
    onnx_graph.write(twin, few, list(outputs), free_axes(inputs | outputs), file, facts)
    graph = onnx_graph.Graph(file)
    with torch.no_grad():
        expected = twin(**given)._asdict()
    same = torch.ones(200, dtype=torch.bool)
    for rows in (slice(None), slice(0, 1)):
        found = graph({name: value[rows] for name, value in given.items()})
        for name in outputs:
            close = torch.isclose(
                torch.from_numpy(found[name]), expected[name][rows], rtol=TOLERANCE
            )
            same[rows] &= close if close.dim() == 1 else close.all(1)
    wrong = int((~same).sum())
    if wrong > 2:  # neighbours at the same distance may change places by rounding
        raise DataError(
            f"{run_of(facts)}: the graph of the cardinality differs from PyTorch in {wrong} of 200 "
            "events, expected none; nothing was written"
        )
    return Written(inputs, outputs, f"{200 - wrong} of 200 events as PyTorch draws them")
