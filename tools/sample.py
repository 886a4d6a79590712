"""``pcgen sample``: events from a trained model, into a file."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Generator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pcgen.errors import ArgumentError, at_least
from pcgen.formats import Writable

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    import torch
    from torch_geometric.data import Batch

    from pcgen.cluster import Cluster
    from pcgen.models.base import GenerativeModel
    from pcgen.models.request import Request
    from pcgen.schema import Schema

_FIRST = 32
"""Events that are drawn before the clock starts."""
_FIXED = ("sizes", "y", "label")
"""What a request may fix of each event."""
_NUMBER = 1000
"""Events that are drawn where no number is given."""


def sample(
    run: str,
    output: str,
    *,
    number: int | None = None,
    batch_size: int = 500,
    seed: int = 0,
    device: str = "auto",
    classes: list[str] | None = None,
    condition: dict[str, float] | None = None,
    points: int | None = None,
    like: str | None = None,
    split: Literal["train", "validation", "test", "all"] | None = None,
    context: str | None = None,
    answers: int | None = None,
    conditions: str | None = None,
    processes: int = 1,
    dask: str | None = None,
    solver: Literal["euler", "midpoint", "heun", "adaptive"] | None = None,
    steps: int | None = None,
    tolerance: float | None = None,
    pace: float | None = None,
    to_format: Writable | None = None,
    particles: int | None = None,
    multi_hit: Literal["sum", "shift", "distinct"] | None = None,
    recipe: str | None = None,
) -> None:
    """Generate events with a trained model.

    What is not fixed (class, condition, number of points) is drawn as in the training data. The
    events depend on seed, number and batch size, and not on the number of processes or of a
    cluster's workers, nor, but for rounding, on the device and its number of threads.

    Args:
        run: Folder of a run, one of its checkpoints (.ckpt), weights (.safetensors), or the name of
            a model that ships with pcgen.
        output: File to write, in place of one of that name. Its ending gives the format: pcgen's
            clouds (.h5), JetNet's layout (.hdf5), HepMC3 (.hepmc), point files (.ply, .pcd, .xyz)
            or flat arrays (.npz); where the model is one of a grid also images (.npz, .npy, .png),
            and where it was trained on showers of a known calorimeter also showers, with
            --to-format calochallenge: points outside of the calorimeter go into the nearest voxel.
        number: Events to generate, at least one; by default 1000, or as many as like or conditions
            have. With context: of the first so many contexts.
        batch_size: Events generated at a time.
        seed: Of all randomness.
        device: Where to compute: auto, cpu, cuda. With dask it is that of the workers, and auto
            what this machine has.
        classes: Only these classes in turn, g t say.
        condition: Value of each condition of the model, in its unit: {jet_pt: 1000} for jets of
            1000 GeV. Outside the range of the training data events are extrapolated.
        points: Number of points of each event.
        like: File of events; each generated event has class and condition of one of them, in order,
            so that the two sets can be compared pair by pair.
        split: Part of those events, or of the contexts: train, validation, test or all, which is
            the default.
        context: Of a model that generates events from others: the file of those, clouds or images.
            The events are in their order, with their class and condition.
        answers: Events that are generated for each context, one after the other; by default 1.
        conditions: Table with a line for each event (.csv, .npz, .npy). Its columns are the
            conditions of the model by name, class and points, or some of these.
        processes: Processes that draw; each takes as many threads as this one has
            (OMP_NUM_THREADS).
        dask: Address of a Dask scheduler, tcp://10.0.0.1:8786 say, whose workers draw instead, each
            with as many threads as this process has; they see the model under the same path. local
            for a cluster of this machine, local:4 for one of four processes.
        solver: Of a flow, how its trajectories are followed: euler (one evaluation of the network a
            step), midpoint or heun (two), adaptive (as many as the tolerance needs). By default
            midpoint.
        steps: Steps of that solver, by default the integration_steps of the training.
        tolerance: Error that adaptive allows in a step, by default 0.001.
        pace: How much denser the steps are near the data than near the noise: 1 for equal steps,
            0.5 for shorter ones at the beginning. By default 1, of points-flow-student 0.3.
        to_format: Format of the output where the ending misleads, as in pcgen convert; arrays are
            clouds as flat arrays in .npz, images is HDF5 of images.
        particles: Particles per jet in JetNet's layout, those of highest transverse momentum; by
            default as many as the largest jet can have.
        multi_hit: In showers, points that share a voxel add up (sum, the default), or the hottest
            keeps it and each other one goes to the nearest free cell of its layer (shift) or to a
            random free cell of its ring (distinct).
        recipe: The user's own recipe, module:function, where the run was trained with one.
    """
    import torch

    from pcgen.cluster import connected
    from pcgen.escaping import terminal
    from pcgen.loading import find
    from pcgen.models.blocks import part
    from pcgen.models.request import beyond
    from pcgen.tools import mixing
    from pcgen.tools.progress import Counter
    from pcgen.tools.provenance import calorimeter_of, provenance
    from pcgen.tools.sample_file import SampleFile, largest, output_format
    from pcgen.tools.validation import generates_layers

    if (number is not None and number < 1) or batch_size < 1:
        raise ArgumentError(
            f"number, batch_size: got {_NUMBER if number is None else number}, {batch_size}, "
            "expected at least one event and batches of at least one"
        )
    if not 0 <= seed < 2**63 or processes < 1:
        raise ArgumentError(
            f"seed, processes: got {seed}, {processes}, expected 0 <= seed < 2**63 and processes "
            ">= 1"
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    rule = {"rule": solver, "steps": steps, "tolerance": tolerance, "pace": pace}
    own = tuple((name, value) for name, value in rule.items() if value is not None)
    source = _Source(str(find(run)), recipe, device, torch.get_num_threads(), own)
    # A device that the workers of a cluster have, this machine need not have.
    model = (source if dask is None else dataclasses.replace(source, device="cpu")).model
    source_of_each = {"like": like, "conditions": conditions}
    fixed = {"classes": classes, "condition": condition, "points": points}
    at_least(1, answers=answers)
    of_contexts = {"context": context, "answers": answers}
    request = _request(model, number, source_of_each, fixed, split, of_contexts)
    grid = getattr(getattr(model, "representation", None), "grid", None)
    facts = {**provenance(Path(source.checkpoint)), "seed": seed, "batch_size": batch_size}
    facts |= {name: Path(each).name for name, each in source_of_each.items() if each is not None}
    facts |= {} if like is None and context is None else {"split": split or "all"}
    facts |= {} if context is None else {"context": Path(context).name, "answers": answers or 1}
    facts |= {"solver": dict(own)} if own else {}
    # The first events wait for kernels to be loaded and threads to start: they are not counted.
    first = part(request, slice(0, min(_FIRST, request.number)))
    start_up = _timed(model, first, torch.Generator())[1]
    console = _console()
    if warning := beyond(model.schema, request.y, model.condition_range):
        console.print(terminal(warning))
    # A file must not claim layers that a model does not generate.
    keeps = generates_layers(model)
    schema = model.schema if keeps else dataclasses.replace(model.schema, layers=())
    seconds = 0.0
    processes = min(processes, -(-request.number // batch_size))  # a block is drawn by one
    counter = Counter("events", request.number)
    chosen = output_format(output, to_format, grid)
    if particles is not None and chosen != "jetnet":
        raise ArgumentError(
            f"particles: got {particles} for the format {chosen}, expected it with jetnet alone"
        )
    if multi_hit is not None and chosen != "calochallenge":
        raise ArgumentError(
            f"multi_hit: got {multi_hit} for the format {chosen}, expected it with calochallenge"
        )
    most = largest(model, request) if particles is None else particles
    cells = calorimeter_of(Path(source.checkpoint)) if grid is None else grid
    facts |= {} if multi_hit is None else {"multi_hit": multi_hit}
    shared = (multi_hit or "sum", torch.Generator().manual_seed(seed))
    file = SampleFile(output, chosen, schema, cells, request.number, most, facts, shared)
    with nullcontext() if dask is None else connected(dask) as cluster:
        blocks = _blocks(source, request, batch_size, seed, cluster or processes)
        with file, counter, closing(blocks):
            for clouds, spent in blocks:
                seconds += spent
                file.append(clouds)
                counter.advance(clouds.num_graphs)
    if dask is None:
        workers = f", {processes} processes" if processes > 1 else ""
        where, rest = f"{_where(device)}{workers}", f"; start-up {start_up:.2f} s is not counted"
    else:
        processes, where, rest = (
            1,
            f"{device} of the workers of {dask}",
            ", of all workers together",
        )
    rate = _rate(model.schema, request.number, seconds / processes)
    console.print(terminal(f"{Path(output)}: {rate} (batch size {batch_size}, {where}{rest})"))
    if line := mixing.report(model, seed):
        console.print(terminal(line))


def _request(
    model: GenerativeModel,
    number: int | None,
    sources: dict[str, str | None],
    fixed: dict[str, Any],
    split: str | None,
    of_contexts: dict[str, Any],
) -> Request:
    """What each event is drawn for: from a file, or the same for all.

    Raises:
        ArgumentError: options exclude each other, or do not fit the model.
    """
    import torch

    from pcgen.models.request import Request, by_name, in_turn, resolve
    from pcgen.tools import conditions as fixed_by

    schema = model.schema
    if of_contexts["context"] is not None or model.context_schema is not None:
        return _of_contexts(model, number, sources, fixed, split, of_contexts)
    if of_contexts["answers"] is not None:
        raise ArgumentError(f"answers: got {of_contexts['answers']} without context, expected one")
    given = [name for name, value in {**sources, **fixed}.items() if value is not None]
    like, table = sources["like"], sources["conditions"]
    others = [name for name in given if name not in ("like", "points")]
    if split is not None and like is None:
        raise ArgumentError(f"split: got {split} without like, expected like, a file of events")
    if like is not None and others:
        raise ArgumentError(
            f"like: got {', '.join(others)} too, expected one of them; like gives class and "
            "condition of each event"
        )
    if table is not None and (len(given) > 1 or number is not None):
        others = [name for name in given if name != "conditions"] or ["number"]
        raise ArgumentError(
            f"conditions: got {', '.join(others)} too, expected one of them; a column of the table "
            "gives it for each event"
        )
    if table is not None:
        request = fixed_by.of_table(table, schema)
    elif like is not None:
        request = fixed_by.of_events(like, split or "all", schema, number)
    else:
        count = _NUMBER if number is None else number
        condition, classes = fixed["condition"], fixed["classes"]
        y = None if condition is None else by_name(schema, condition)
        label = None if classes is None else in_turn(schema, classes, count)
        request = Request(count, None, y, label)
    sizes = request.sizes if fixed["points"] is None else fixed["points"]
    return resolve(schema, sizes, request.y, request.label, request.number, torch.device("cpu"))


def _of_contexts(
    model: GenerativeModel,
    number: int | None,
    sources: dict[str, str | None],
    fixed: dict[str, Any],
    split: str | None,
    of_contexts: dict[str, Any],
) -> Request:
    """What each event is drawn for where events are generated from others.

    Raises:
        ArgumentError: there is no context, or options exclude each other.
    """
    import torch

    from pcgen.models.request import by_name, in_turn, repeated, resolve, with_context
    from pcgen.tools import conditions as fixed_by

    others = [name for name, value in sources.items() if value is not None]
    if others:
        raise ArgumentError(
            f"context: got {', '.join(others)} too, expected one of them; the file of contexts "
            "gives class and condition of each event"
        )
    if of_contexts["context"] is None:
        raise ArgumentError(
            "context: got none for a model that generates events from others, expected --context "
            "FILE, a file of those"
        )
    schema, path, answers = model.schema, of_contexts["context"], of_contexts["answers"] or 1
    contexts = fixed_by.contexts_of(path, split or "all", model, number)
    contexts = repeated(contexts, answers)
    count = contexts.num_graphs
    condition, classes = fixed["condition"], fixed["classes"]
    y = None if condition is None else by_name(schema, condition)
    label = None if classes is None else in_turn(schema, classes, count)
    request = resolve(schema, fixed["points"], y, label, count, torch.device("cpu"))
    return with_context(request, schema, model.context_schema, contexts)


@dataclasses.dataclass(frozen=True)
class _Source:
    """Where events are drawn from: what a process needs to make the model for itself."""

    checkpoint: str
    recipe: str | None
    device: str
    threads: int
    solver: tuple[tuple[str, Any], ...]

    @functools.cached_property
    def model(self) -> GenerativeModel:
        """Made once, and never sent to another process."""
        from pcgen.loading import load
        from pcgen.recipes.find import find_recipe

        function = None if self.recipe is None else find_recipe(self.recipe)
        model = load(self.checkpoint, recipe=function, device=self.device)
        if self.solver:
            set_solver(model, dict(self.solver))
        return model

    def __reduce__(self) -> tuple[Any, ...]:
        path = str(Path(self.checkpoint).absolute())  # workers may be in another folder
        return _Source, (path, self.recipe, self.device, self.threads, self.solver)


def set_solver(model: GenerativeModel, changes: dict[str, Any]) -> None:
    """Let a flow follow its trajectories in another way than after its training.

    Raises:
        ArgumentError: the model is no flow, or an option is not one of the solver.
    """
    from pcgen.models.paths import followed

    given = ", ".join(name.replace("rule", "solver") for name in changes)
    paths, choices = followed(model), getattr(model, "choices", tuple(changes))
    if not set(changes) <= set(choices):
        raise ArgumentError(
            f"{given}: got values for a {type(model).__name__}, whose network goes the whole way, "
            f"expected {' and '.join(choices) or 'none'}"
        )
    if not paths:
        raise ArgumentError(
            f"{given}: got values for a {type(model).__name__}, which follows no trajectories, "
            "expected a model of the recipes *-flow"
        )
    solver = paths[0].solver
    rule = changes.get("rule", solver.rule)
    wrong = [
        w for w in (("steps", "pace") if rule == "adaptive" else ("tolerance",)) if w in changes
    ]
    if wrong:
        raise ArgumentError(
            f"{wrong[0]}: got {changes[wrong[0]]} for the solver {rule}, expected "
            + ("tolerance, which decides its steps" if rule == "adaptive" else "steps")
        )
    paths[0].solver = dataclasses.replace(solver, **changes)


def _blocks(
    source: _Source, request: Request, size: int, seed: int, workers: Cluster | int
) -> Generator[tuple[Batch, float], None, None]:
    """The clouds of each block, in order, and the seconds that drawing them took.

    They are drawn by this process (``workers`` is 1), by so many, or on a cluster.
    """
    import torch

    from pcgen import clouds as convention
    from pcgen.datasets.workers import in_order
    from pcgen.models.blocks import block_generator, part, ranges

    parts = (part(request, rows) for rows in ranges(request.number, size))
    if workers == 1:
        for block, each in enumerate(parts):
            yield _timed(source.model, each, block_generator(seed, block))
        return
    calls = ((_arrays(each), seed, block) for block, each in enumerate(parts))
    if isinstance(workers, int):
        results = in_order(_block, calls, workers, shared=(source,))
    else:
        results = workers.in_order(_block, calls, shared=(source,), threads=source.threads)
    with closing(results):
        for values, sizes, spent in results:
            given = {name: torch.from_numpy(value) for name, value in values.items()}
            yield convention.make(given.pop("pos"), torch.from_numpy(sizes), **given), spent


def _arrays(request: Request) -> dict[str, Any]:
    """As it is sent to a worker: tensors would go by file descriptors, of which there are few."""
    values = {name: getattr(request, name) for name in _FIXED}
    arrays = {n: None if v is None else v.clone().numpy() for n, v in values.items()}
    if request.context is None:
        return {"number": request.number, **arrays, "context": None}
    from pcgen import clouds as convention

    values = {n: v.clone().numpy() for n, v in convention.attributes(request.context).items()}
    values["sizes"] = convention.sizes(request.context).numpy()
    return {"number": request.number, **arrays, "context": values}


def _block(
    source: _Source, request: dict[str, Any], seed: int, block: int
) -> tuple[dict[str, Any], Any, float]:
    """One block, drawn in a worker: arrays of its attributes, and the sizes of its clouds."""
    import torch

    from pcgen import clouds as convention
    from pcgen.models.blocks import block_generator
    from pcgen.models.request import Request

    # As many threads as in the main process: sums of floats may depend on their number.
    torch.set_num_threads(source.threads)
    fixed = {n: None if request[n] is None else torch.tensor(request[n]) for n in _FIXED}
    context = None
    if request["context"] is not None:
        given = {n: torch.tensor(v) for n, v in request["context"].items()}
        context = convention.make(given.pop("pos"), given.pop("sizes"), **given)
    wanted = Request(request["number"], **fixed, context=context)
    clouds, spent = _timed(source.model, wanted, block_generator(seed, block))
    arrays = {name: value.numpy() for name, value in convention.attributes(clouds).items()}
    return arrays, convention.sizes(clouds).numpy(), spent


def _timed(
    model: GenerativeModel, request: Request, generator: torch.Generator
) -> tuple[Batch, float]:
    from pcgen.models.blocks import draw

    began = time.perf_counter()
    clouds = draw(model, request, generator)
    return clouds, time.perf_counter() - began


def _console() -> Any:
    from rich.console import Console

    return Console(soft_wrap=True)


def _rate(schema: Schema, number: int, seconds: float) -> str:
    """The throughput; writing and loading do not count."""
    from pcgen.metrics.jets.kinematics import is_jet

    jets = is_jet(schema) and schema.axes[0].name.endswith("_rel")
    word = "jets" if jets else "events"
    rate = number / max(seconds, 1e-9)
    return f"{number} {word} in {seconds:.2f} s, {rate:.0f} {word} per second"


def _where(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads" if device == "cpu" else device
