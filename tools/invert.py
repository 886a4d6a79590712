"""``pcgen invert``: events that a trained generator finds for what little was measured of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pcgen.bounds import EVENTS, REPEATS, STEPS
from pcgen.errors import ArgumentError, DataError, at_least
from pcgen.formats import written_format
from pcgen.tools import measured
from pcgen.tools.trained import device_of, trained

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch_geometric.data import Batch

    from pcgen.images.measurements import Measurement
    from pcgen.models.inverse import Descent
    from pcgen.models.noise_to_image import NoiseToImage
    from pcgen.tools.measured import Measured


def invert(
    run: str,
    events: str,
    output: str,
    *,
    measure: str = "pooled:4",
    grid: str | None = None,
    restarts: int = 10,
    iterations: int = 1000,
    rate: float = 0.01,
    prior: float = 0.001,
    deviation: float | None = None,
    tolerance: float = 0.1,
    noise: float = 0.0,
    number: int | None = None,
    split: Literal["train", "validation", "test", "all"] = "all",
    batch_size: int = 16,
    seed: int = 0,
    device: str = "auto",
    solver: Literal["euler", "midpoint", "heun"] | None = None,
    steps: int | None = None,
    pace: float | None = None,
    recipe: str | None = None,
) -> None:
    """Find the events of a trained generator that agree with few measurements of real ones.

    The noise that the generator starts from is searched for by gradient descent from several random
    starts (compressed sensing with a generative model); the answer with the smallest misfit is
    written. Printed are the share of starts that reach the measurements and, where the file has
    whole events, the error of their images beside that of the LASSO, which knows no generator. An
    answer is one of many that agree: another seed gives another one.

    Args:
        run: Folder of a run, one of its checkpoints (.ckpt), weights (.safetensors), or the name of
            a model that ships with pcgen; of points, points in layers (showers-flow), or images.
        events: File of whole events, clouds or images, which are measured first; or of images of as
            many cells as there are measurements, which are these.
        output: File to write, in place of one of that name: clouds (.h5 and others), or images
            (.npz, .npy, .png), by its ending.
        measure: What is measured of an image. pooled:4 are sums of 4 x 4 cells, project:eta the
            profile along an axis (project:eta,phi both), random:64 sums with random factors,
            dead:FILE.npy all cells but the dead ones (true in the file), dead:0.2 the same for a
            random fifth of the cells.
        grid: Cells of the images, eta_rel:-0.4:0.4:20,phi_rel:-0.4:0.4:20 say; not needed where the
            model or the file has them.
        restarts: Random starts of each event.
        iterations: Steps of Adam from each.
        rate: Its learning rate.
        prior: Weight of the mean square of the noise beside the relative squared misfit.
        deviation: Weight of a sparse deviation of the image from what the generator can make
            (Sparse-Gen), 0.1 say; none by default.
        tolerance: Misfit, relative to the measurements, within which a start has succeeded.
        noise: Standard deviation of noise that is added to what is measured of whole events, in the
            unit of a cell.
        number: Of the first so many events; all by default.
        split: Part of the events: train, validation, test or all.
        batch_size: Events at a time; memory holds so many times the restarts.
        seed: Of all randomness.
        device: Where to compute: auto, cpu, cuda.
        solver: Of a flow, how its trajectories are followed, as in pcgen sample: euler, midpoint or
            heun.
        steps: Steps of that solver; few of them make every iteration cheap.
        pace: How much denser the steps are near the data, as in pcgen sample.
        recipe: The user's own recipe, module:function, where the run was trained with one.
    """
    EVENTS.allow(number=number, batch_size=batch_size)
    REPEATS.allow(restarts=restarts, iterations=iterations)
    STEPS.allow(steps=steps)
    at_least(0, noise=noise)
    if not 0 <= seed < 2**63:
        raise ArgumentError(f"seed: got {seed}, expected 0 <= seed < 2**63")
    measured.kind_of(measure)
    chosen = written_format(output)

    from pcgen.io import check_output
    from pcgen.loading import find
    from pcgen.models.inverse import Descent
    from pcgen.models.noise_to_image import NoiseToImage
    from pcgen.tools.progress import Counter
    from pcgen.tools.provenance import provenance

    descent = Descent(restarts, iterations, rate, prior, deviation, tolerance)
    check_output(output, chosen, run=run, events=events)
    checkpoint, device = find(run), device_of(device)
    model = trained(checkpoint, recipe, device, rule=solver, steps=steps, pace=pace)
    cells = measured.grid_of(model, events, grid)
    operator = measured.measurement_of(measure, cells, seed)
    generator = NoiseToImage(model, cells)
    known = measured.read(events, split, number, model.schema, cells, operator)
    if not bool(known.y.any()):
        raise DataError(
            f"{events}: got {len(known.y)} events of which every measurement is 0, expected some "
            "with energy in the cells"
        )
    known = _with_noise(known, noise, seed)
    facts = {**provenance(checkpoint), "seed": seed, "events": Path(events).name,
             "measure": measure, "restarts": restarts, "iterations": iterations}  # fmt: skip
    parts: list[_Part] = []
    with Counter("events", len(known.y)) as counter:
        for first in range(0, len(known.y), batch_size):
            rows = slice(first, min(first + batch_size, len(known.y)))
            parts.append(_block(generator, operator, known, rows, descent, seed, device))
            counter.advance(rows.stop - first)
    _write(output, parts, generator, facts, deviation is not None)
    _print(output, operator, known, parts, descent)


class _Part(NamedTuple):
    """Answers for a block of events, on the CPU."""

    clouds: Batch
    image: Tensor
    misfit: Tensor
    succeeded: Tensor


def _with_noise(known: Measured, noise: float, seed: int) -> Measured:
    import torch

    if not noise:
        return known
    if known.truth is None:
        raise ArgumentError(
            f"noise: got {noise} for a file of measurements, expected 0: they have their own"
        )
    draw = torch.Generator().manual_seed(seed)
    return known._replace(y=known.y + noise * torch.randn(known.y.shape, generator=draw))


def _block(
    generator: NoiseToImage,
    operator: Measurement,
    known: Measured,
    rows: slice,
    descent: Descent,
    seed: int,
    device: str | torch.device,
) -> _Part:
    """Search for some of the events; each has randomness of its own, by its number."""
    import torch

    from pcgen import clouds as cl
    from pcgen.models.blocks import block_generator
    from pcgen.models.inverse import invert as search
    from pcgen.models.noise_to_image import Given

    events = range(rows.start, rows.stop)
    given = Given(*(None if each is None else each[rows] for each in known.given))
    draws = [block_generator(seed, event) for event in events]
    start = generator.start(given, len(events), descent.restarts, draws)
    answers = search(operator, known.y[rows].to(device), generator, start, descent)
    with torch.no_grad():
        clouds = cl.select(generator.clouds(answers.noise.rows), answers.chosen)
    return _Part(
        clouds.to("cpu"),
        answers.image.nan_to_num().clamp(min=0).cpu(),
        answers.misfit.cpu(),
        answers.succeeded.cpu(),
    )


def _write(
    output: str,
    parts: list[_Part],
    generator: NoiseToImage,
    facts: dict[str, Any],
    deviates: bool,
) -> None:
    """Clouds of the generator, those of the images' cells where these deviate, or images."""
    from pcgen import io
    from pcgen.clouds import sizes
    from pcgen.formats import FORMATS
    from pcgen.images import image_to_cloud
    from pcgen.tools.sample_file import output_format

    grid, schema = generator.grid, generator.model.schema
    chosen = output_format(output, None, grid)
    if FORMATS[chosen].kind == "images":
        total = sum(len(part.image) for part in parts)
        with io.image_writer(output, total, grid, schema, format=chosen, attrs=facts) as images:
            for part in parts:
                y, label = part.clouds.get("y"), part.clouds.get("label")
                images.append(io.Images(part.image, y, label))
        return
    if deviates and schema.features:
        raise ArgumentError(
            f"deviation: got features ({schema.features[0].name}), which cells do not have, "
            "expected images as output"
        )
    found = [
        image_to_cloud(p.image, grid, y=p.clouds.get("y"), label=p.clouds.get("label"))
        if deviates
        else p.clouds
        for p in parts
    ]
    most = max([1, *(int(sizes(each).max()) for each in found)])
    facts = {**facts, "grid": grid.to_dict()} if deviates else facts
    with io.cloud_writer(output, schema, format=chosen, attrs=facts, particles=most) as file:
        for each in found:
            file.append(each)


def _print(
    output: str, operator: Measurement, known: Measured, parts: list[_Part], descent: Descent
) -> None:
    import torch
    from rich.console import Console

    from pcgen.escaping import terminal
    from pcgen.ops.sparse_recovery import fista

    misfit = torch.cat([part.misfit for part in parts])
    right = torch.cat([part.succeeded for part in parts])
    lines = [
        f"{Path(output)}: {len(right)} events from {operator.number} measurements of "
        f"{math.prod(operator.shape)} cells",
        f"starts within {descent.tolerance:g} of the measurements: "
        f"{float(right.double().mean()):.1%}; events with one: "
        f"{float(right.any(1).double().mean()):.1%}",
        f"relative misfit of the best start, median: {float(misfit.amin(1).median()):.3g}",
    ]
    if known.truth is not None:
        peak = operator.adjoint(known.y).flatten(1).abs().amax(1)
        lasso = fista(operator, known.y, 1e-3 * peak, nonnegative=True)
        found = torch.cat([part.image for part in parts])
        lines.append(
            "relative error of the images, median: generator "
            f"{_error(found, known.truth):.3g}, non-negative LASSO {_error(lasso, known.truth):.3g}"
        )
    for line in lines:
        Console(soft_wrap=True).print(terminal(line))


def _error(found: Tensor, truth: Tensor) -> float:
    """Median of |x' - x| / |x| over events that are not empty; NaN where all are."""
    size = truth.flatten(1).norm(dim=1)
    some = size > 0
    ratio = (found - truth).flatten(1).norm(dim=1)[some] / size[some]
    return float(ratio.median()) if bool(some.any()) else math.nan
