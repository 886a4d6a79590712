"""``pcgen sample``: events from a trained model, into a file."""

from __future__ import annotations

import dataclasses
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pcgen.bounds import EVENTS, POINTS, PROCESSES, STEPS
from pcgen.errors import ArgumentError
from pcgen.formats import Writable, written_format
from pcgen.tools.trained import device_of

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from pcgen.models.base import GenerativeModel
    from pcgen.models.request import Request
    from pcgen.schema import Schema

_FIRST = 32
"""Events that are drawn before the clock starts."""
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
            0.5 for shorter ones at the beginning. By default 1, of points-flow-student its
            teacher_pace.
        to_format: Format of the output where the ending misleads, as in pcgen convert; arrays are
            clouds as flat arrays in .npz, images is HDF5 of images.
        particles: Particles per jet in JetNet's layout, those of highest transverse momentum; by
            default as many as the largest jet can have.
        multi_hit: In showers, points that share a voxel add up (sum, the default), or the hottest
            keeps it and each other one goes to the nearest free cell of its layer (shift) or to a
            random free cell of its ring (distinct).
        recipe: The user's own recipe, module:function, where the run was trained with one.
    """
    source_of_each = {"like": like, "conditions": conditions}
    fixed = {"classes": classes, "condition": condition, "points": points}
    EVENTS.allow(number=number, answers=answers, batch_size=batch_size)
    POINTS.allow(points=points)
    STEPS.allow(steps=steps)
    PROCESSES.allow(processes=processes)
    if not 0 <= seed < 2**63:
        raise ArgumentError(f"seed: got {seed}, expected 0 <= seed < 2**63")
    chosen = written_format(output, to_format)
    if particles is not None and chosen != "jetnet":
        raise ArgumentError(
            f"particles: got {particles} for the format {chosen}, expected it with jetnet alone"
        )
    if multi_hit is not None and chosen != "calochallenge":
        raise ArgumentError(
            f"multi_hit: got {multi_hit} for the format {chosen}, expected it with calochallenge"
        )
    _check_together(number, source_of_each, fixed, split, context, answers)

    import torch
    from rich.console import Console

    from pcgen.cluster import connected
    from pcgen.escaping import terminal
    from pcgen.io import check_output
    from pcgen.loading import find
    from pcgen.models.blocks import part
    from pcgen.models.request import beyond
    from pcgen.tools import mixing
    from pcgen.tools.drawing import Origin, drawn_blocks, timed
    from pcgen.tools.progress import Counter
    from pcgen.tools.provenance import calorimeter_of, provenance
    from pcgen.tools.sample_file import SampleFile, largest, output_format
    from pcgen.tools.validation import generates_layers

    check_output(output, chosen, run=run, context=context, **source_of_each)
    device = device_of(device)
    rule = {"rule": solver, "steps": steps, "tolerance": tolerance, "pace": pace}
    own = tuple((name, value) for name, value in rule.items() if value is not None)
    origin = Origin(str(find(run)), recipe, device, torch.get_num_threads(), own)
    # A device that the workers of a cluster have, this machine need not have.
    model = (origin if dask is None else dataclasses.replace(origin, device="cpu")).model
    if context is None and model.context_schema is None:
        request = _request(model, number, source_of_each, fixed, split)
    else:
        request = _of_contexts(model, number, context, fixed, split, answers or 1)
    grid = getattr(getattr(model, "representation", None), "grid", None)
    facts = {**provenance(Path(origin.checkpoint)), "seed": seed, "batch_size": batch_size}
    facts |= {name: Path(each).name for name, each in source_of_each.items() if each is not None}
    facts |= {} if like is None and context is None else {"split": split or "all"}
    facts |= {} if context is None else {"context": Path(context).name, "answers": answers or 1}
    facts |= {"solver": dict(own)} if own else {}
    facts |= {} if multi_hit is None else {"multi_hit": multi_hit}
    # A file must not claim layers that a model does not generate.
    keeps = generates_layers(model)
    schema = model.schema if keeps else dataclasses.replace(model.schema, layers=())
    most = largest(model, request) if particles is None else particles
    cells = calorimeter_of(Path(origin.checkpoint)) if grid is None else grid
    shared = (multi_hit or "sum", torch.Generator().manual_seed(seed))
    chosen = output_format(output, to_format, grid)
    file = SampleFile(output, chosen, schema, cells, request.number, most, facts, shared)
    # The first events wait for kernels to be loaded and threads to start: they are not counted.
    first = part(request, slice(0, min(_FIRST, request.number)))
    start_up = timed(model, first, torch.Generator())[1]
    console = Console(soft_wrap=True)
    if warning := beyond(model.schema, request.y, model.condition_range):
        console.print(terminal(warning))
    seconds = 0.0
    processes = min(processes, -(-request.number // batch_size))  # a block is drawn by one
    counter = Counter("events", request.number)
    with nullcontext() if dask is None else connected(dask) as cluster:
        blocks = drawn_blocks(origin, request, batch_size, seed, cluster or processes)
        with file, counter, closing(blocks):
            for clouds, spent in blocks:
                seconds += spent
                file.append(clouds)
                counter.advance(clouds.num_graphs)
    if dask is None:
        workers = f", {processes} processes" if processes > 1 else ""
        where = f"{_where(device)}{workers}; start-up {start_up:.2f} s is not counted"
    else:
        processes, where = 1, f"{device} of the workers of {dask}, of all workers together"
    rate = _rate(model.schema, request.number, seconds / processes)
    console.print(terminal(f"{Path(output)}: {rate} (batch size {batch_size}, {where})"))
    if line := mixing.report(model, seed):
        console.print(terminal(line))


def _check_together(
    number: int | None,
    sources: dict[str, str | None],
    fixed: dict[str, Any],
    split: str | None,
    context: str | None,
    answers: int | None,
) -> None:
    """Refuse options that exclude or need each other.

    Raises:
        ArgumentError: naming them.
    """
    given = [name for name, value in {**sources, **fixed}.items() if value is not None]
    if context is not None:
        if others := [name for name in given if name in sources]:
            raise ArgumentError(
                f"context: got {', '.join(others)} too, expected one of them; the file of contexts "
                "gives class and condition of each event"
            )
        return
    if answers is not None:
        raise ArgumentError(f"answers: got {answers} without context, expected one")
    others = [name for name in given if name not in ("like", "points")]
    if split is not None and "like" not in given:
        raise ArgumentError(f"split: got {split} without like, expected like, a file of events")
    if "like" in given and others:
        raise ArgumentError(
            f"like: got {', '.join(others)} too, expected one of them; like gives class and "
            "condition of each event"
        )
    if "conditions" in given and (len(given) > 1 or number is not None):
        others = [name for name in given if name != "conditions"] or ["number"]
        raise ArgumentError(
            f"conditions: got {', '.join(others)} too, expected one of them; a column of the table "
            "gives it for each event"
        )


def _request(
    model: GenerativeModel,
    number: int | None,
    sources: dict[str, str | None],
    fixed: dict[str, Any],
    split: str | None,
) -> Request:
    """What each event is drawn for: from a file, or the same for all."""
    import torch

    from pcgen.models.request import Request, by_name, in_turn, resolve
    from pcgen.tools import conditions as fixed_by

    schema, like, table = model.schema, sources["like"], sources["conditions"]
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
    path: str | None,
    fixed: dict[str, Any],
    split: str | None,
    answers: int,
) -> Request:
    """What each event is drawn for where events are generated from others.

    Raises:
        ArgumentError: there is no context.
    """
    import torch

    from pcgen.models.request import by_name, in_turn, repeated, resolve, with_context
    from pcgen.tools import conditions as fixed_by

    if path is None:
        raise ArgumentError(
            "context: got none for a model that generates events from others, expected --context "
            "FILE, a file of those"
        )
    schema = model.schema
    each = fixed_by.contexts_of(path, split or "all", model, number)
    count = each.num_graphs * answers
    EVENTS.check(count, "answers", ArgumentError)
    contexts = repeated(each, answers)
    condition, classes = fixed["condition"], fixed["classes"]
    y = None if condition is None else by_name(schema, condition)
    label = None if classes is None else in_turn(schema, classes, count)
    request = resolve(schema, fixed["points"], y, label, count, torch.device("cpu"))
    return with_context(request, schema, model.context_schema, contexts)


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
