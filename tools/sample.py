"""``pcgen sample``: events from a trained model, into a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from pcgen.errors import ArgumentError
from pcgen.schema import Schema

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    import torch
    from torch_geometric.data import Batch

_FIRST = 32
"""Events that are drawn before the clock starts."""


def sample(
    run: str,
    output: str,
    *,
    number: int = 1000,
    batch_size: int = 500,
    seed: int = 0,
    device: str = "auto",
    classes: list[str] | None = None,
    condition: dict[str, float] | None = None,
    points: int | None = None,
    recipe: str | None = None,
) -> None:
    """Generate events with a trained model.

    What is not asked for (class, condition, number of points) is drawn as in the training data. The
    events depend on seed, number and batch size, and not on the device but for its rounding.

    Args:
        run: Folder of a run, or one of its checkpoints (.ckpt).
        output: File to write; its ending says the format (.h5, .hdf5, .ply, .pcd, .xyz).
        number: Events to generate, at least one.
        batch_size: Events generated at a time.
        seed: Of all randomness.
        device: Where to compute: auto, cpu, cuda.
        classes: Only these classes in turn, [g, t] say.
        condition: Value of each condition of the model, in its unit: {jet_pt: 1000} for jets of
            1000 GeV. Outside the range of the training data events are extrapolated.
        points: Number of points of each event.
        recipe: The user's own recipe that the model was trained with, module:function.
    """
    import torch
    from rich.console import Console

    from pcgen.io import cloud_writer
    from pcgen.loading import find, load
    from pcgen.models.request import beyond, by_name, in_turn

    if number < 1 or batch_size < 1:
        raise ArgumentError(
            f"number, batch_size: got {number}, {batch_size}, expected at least one event and "
            "batches of at least one"
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    checkpoint = find(run)
    model = load(checkpoint, recipe=recipe, device=device)
    label = None if classes is None else in_turn(model.schema, classes, number)
    y = None if condition is None else by_name(model.schema, condition)
    console = Console(soft_wrap=True, highlight=False)

    def draw(start: int, size: int, generator: torch.Generator) -> tuple[Batch, float]:
        began = time.perf_counter()
        clouds = model.sample(
            sizes=points,
            y=y,
            label=None if label is None else label[start : start + size],
            number=size,
            generator=generator,
        ).to("cpu")
        return clouds, time.perf_counter() - began

    # The first events wait for kernels to be loaded and threads to start: they are not counted.
    _, start_up = draw(0, min(_FIRST, number), torch.Generator())
    if warning := beyond(model.schema, y, model.condition_range):
        console.print(warning, markup=False)
    generator = torch.Generator().manual_seed(seed)
    facts = {"model": str(checkpoint), "seed": seed, "batch_size": batch_size}
    seconds = 0.0
    with cloud_writer(output, model.schema, attrs=facts) as file:
        for start in range(0, number, batch_size):
            clouds, spent = draw(start, min(batch_size, number - start), generator)
            seconds += spent
            file.append(clouds)
    rate = _rate(model.schema, number, seconds)
    console.print(
        f"{Path(output)}: {rate} (batch size {batch_size}, {_where(device)}; "
        f"start-up {start_up:.2f} s is not counted)"
    )


def _rate(schema: Schema, number: int, seconds: float) -> str:
    """The throughput; writing and loading do not count."""
    from pcgen.metrics.observables import is_jet

    word = "jets" if is_jet(schema) else "events"
    rate = number / max(seconds, 1e-9)
    return f"{number} {word} in {seconds:.2f} s, {rate:.0f} {word} per second"


def _where(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads" if device == "cpu" else device
