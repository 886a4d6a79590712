"""``pcgen sample``: events from a trained model, into a file."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from pcgen.errors import ArgumentError
from pcgen.io import cloud_writer
from pcgen.loading import find, load
from pcgen.metrics.observables import is_jet
from pcgen.schema import Schema


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
) -> None:
    """Generate events with a trained model.

    What is not asked for (class, condition, number of points) is drawn as in the training data. The
    events depend on seed, number and batch size, and not on the device but for its rounding.

    Args:
        run: Folder of a run, or one of its checkpoints (.ckpt).
        output: File to write; its ending says the format (.h5, .hdf5, .ply, .pcd, .xyz).
        number: Events to generate.
        batch_size: Events generated at a time.
        seed: Of all randomness.
        device: Where to compute: auto, cpu, cuda.
        classes: Only these classes in turn, [g, t] say.
        condition: Value of each condition of the model, in its unit: {jet_pt: 1000} for jets of
            1000 GeV.
        points: Number of points of each event.
    """
    if number < 0 or batch_size < 1:
        raise ArgumentError(
            f"number, batch_size: got {number}, {batch_size}, expected number >= 0 and batches of "
            "at least one event"
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    checkpoint = find(run)
    model = load(checkpoint, device=device)
    label = _labels(model.schema, classes, number)
    y = _conditions(model.schema, condition)
    generator = torch.Generator().manual_seed(seed)
    facts = {"model": str(checkpoint), "seed": seed, "batch_size": batch_size}
    seconds = 0.0
    with cloud_writer(output, model.schema, attrs=facts) as file:
        for start in range(0, number, batch_size):
            size = min(batch_size, number - start)
            began = time.perf_counter()
            clouds = model.sample(
                sizes=None if points is None else torch.full((size,), points),
                y=None if y is None else y.expand(size, -1),
                label=None if label is None else label[start : start + size],
                number=size,
                generator=generator,
            ).to("cpu")
            seconds += time.perf_counter() - began
            file.append(clouds)
    _tell(model.schema, output, number, seconds, batch_size, device)


def _tell(
    schema: Schema, output: str, number: int, seconds: float, batch_size: int, device: str
) -> None:
    """The line on throughput; writing and loading do not count."""
    word = "jets" if is_jet(schema) else "events"
    rate = number / max(seconds, 1e-9)
    where = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    if device == "cpu":
        where = f"cpu, {torch.get_num_threads()} threads"
    Console(soft_wrap=True, highlight=False).print(
        f"{Path(output)}: {number} {word} in {seconds:.2f} s, {rate:.0f} {word} per second "
        f"(batch size {batch_size}, {where})"
    )


def _labels(schema: Schema, classes: list[str] | None, number: int) -> Tensor | None:
    """Classes in turn [number], or None.

    Raises:
        ArgumentError: a class is unknown.
    """
    if classes is None:
        return None
    unknown = [name for name in classes if name not in schema.labels]
    if unknown or not classes:
        known = ", ".join(schema.labels) or "none (this model has no classes)"
        raise ArgumentError(
            f"classes: got {', '.join(unknown) or 'none'}, expected some of {known}"
        )
    numbers = torch.tensor([schema.labels.index(name) for name in classes])
    return numbers[torch.arange(number) % len(numbers)]


def _conditions(schema: Schema, condition: dict[str, float] | None) -> Tensor | None:
    """Values in the order of the schema [1, C], or None.

    Raises:
        ArgumentError: a condition is missing or unknown.
    """
    if condition is None:
        return None
    names = [quantity.name for quantity in schema.condition]
    if sorted(condition) != sorted(names):
        known = ", ".join(f"{q.name} [{q.unit or '1'}]" for q in schema.condition) or "none"
        raise ArgumentError(
            f"condition: got {', '.join(condition) or 'none'}, expected a value for each of {known}"
        )
    return torch.tensor([[float(condition[name]) for name in names]])
