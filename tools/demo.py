"""``pcgen demo``: the main job, end to end, on the jets that ship with pcgen.

First what trained generators do: those that ship with pcgen generate jets in seconds. Then how one
is trained: jets become calorimeter images, images become clouds, clouds train three small
generators, and these generate jets. All are judged beside their floors and looked at. The page
shows where they are still far from the floor.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pcgen.bounds import EVENTS
from pcgen.errors import at_least
from pcgen.schema import Schema
from pcgen.tools.convert import convert
from pcgen.tools.evaluation_files import quantities, store
from pcgen.tools.sample import sample
from pcgen.tools.train import train

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from torch_geometric.data import Batch

    from pcgen.grids import Grid
    from pcgen.metrics import Evaluation

GRID = "eta_rel:-0.4:0.4:25,phi_rel:-0.4:0.4:25"
"""25 x 25 cells over the jet, as in the jet-image literature (arXiv:1511.05190)."""

SHIPPED = ("jets-flow", "jets-student")
HARDEST = 30
"""Particles of a jet of these models, at most."""

_SETS = {"encoder": "edgeconv", "rescale": True, "reconstruction": "spectral"}
"""Of the autoencoders: the encoder that wins at equal CPU-seconds (docs/benchmarks.md, Encoders);
the spread of a jet, and with it its mass, is drawn and not smeared by the decoder; soft particles
are part of the objective."""
_PATHS = {
    "coupling": "optimal",
    "shift": 5.0,
    "squash": 0.75,
    "centre": True,
    "excess": True,
    "identity": True,
    "rescale": True,
    "integration_steps": 8,
}
"""Of the flow: those of the shipped one (docs/fidelity.md), and the spread as above."""


class Own(NamedTuple):
    """A generator that the demo trains.

    Attributes:
        recipe: Its name.
        options: Of the recipe.
        share: Steps of training for each of ``--steps``.
    """

    recipe: str
    options: dict[str, Any]
    share: int


OWN = {
    "flow": Own("points-flow", _PATHS, 4),  # its steps are fast
    "latent GAN": Own("points-latent-gan", _SETS, 2),  # half of them for its autoencoder
    "VAE": Own("points-vae", _SETS, 1),
}

GIVEN = ("W1 multiplicity", "W1 pt", "W1 mass", "W1 width")
"""Scores of what all three draw from the training jets: size, energy, centre and width."""

_KEY = "In brackets the class: g gluon, q light quark, t top quark, w and z boson."
"""What the classes of the jets are."""

PARTICLES, PIXELS = "floor: particles", "floor: pixelised"


def demo(
    output: str = "results/demo", *, number: int = 2000, steps: int = 800, seed: int = 0
) -> None:
    """The main job, end to end, on the shipped jets: a few minutes on two cores.

    The models that ship with pcgen generate jets, which are compared with real ones. Then jets
    become 25 x 25 calorimeter images, images become clouds, clouds train a flow, a latent GAN and a
    VAE, all make jets, and these are compared with real ones beside two floors: real against real
    as particles, and as the pixelised clouds that the models were trained on.

    Args:
        output: Folder for all that is written; index.html shows it all. A second call goes on
            where the first was interrupted.
        number: Jets to generate with each model; with the shipped ones half of them.
        steps: Training steps of the VAE; the latent GAN takes twice, the flow four times as many.
        seed: Seed of everything random.
    """
    EVENTS.allow(number=number)
    at_least(1, steps=steps)

    from rich.console import Console

    from pcgen import report
    from pcgen.datasets.jets import sample_jets
    from pcgen.datasets.loading import open_clouds
    from pcgen.grids import Grid
    from pcgen.images import snap
    from pcgen.io import read_clouds
    from pcgen.io.atomic import make_folder

    start, console = time.monotonic(), Console()
    folder = make_folder(output)
    console.rule("1. models that ship with pcgen: generate jets")
    shipped = _shipped(folder, max(number // 2, 1), seed)
    console.print(report.text_table(shipped, f"the {HARDEST} hardest particles"))
    console.rule("2. jets to images to clouds")
    cells = _cells(folder, seed)
    for name, own in OWN.items():
        console.rule(f"3. {name}: train on the clouds, generate {number} jets")
        run, total = str(folder / own.recipe), own.share * steps
        train(own.recipe, dict(own.options), data=[str(cells)], output=run, steps=total, seed=seed)
        sample(run, str(_generated(folder, own.recipe)), number=number, seed=seed)
    console.rule("4. judge, beside the floors")
    grid = Grid.parse(GRID, sample_jets().schema.axes)
    particles, schema = sample_jets("test").load(), sample_jets().schema
    real = snap(open_clouds(cells, "test").load(), grid)
    fakes = {n: read_clouds(_generated(folder, own.recipe))[0] for n, own in OWN.items()}
    lost = {name: _lost(fake, grid) for name, fake in fakes.items()}
    fakes = {name: snap(fake, grid, outside="drop") for name, fake in fakes.items()}
    evaluations, floors = _judge(particles, real, fakes, schema, seed)
    for name, evaluation in evaluations.items():
        console.print(report.text_table({name: evaluation}, f"{name}, on the grid"))
    store(folder, evaluations, report.text_table(evaluations, floors=floors), floors)
    console.rule("5. look")
    _draw(folder, {"real": real, **fakes}, particles, grid, schema)
    _page(folder, shipped, evaluations, floors, lost, steps)
    print(f"done in {time.monotonic() - start:.0f} s, look at {folder / 'index.html'}")


def _shipped(folder: Path, number: int, seed: int) -> dict[str, Evaluation]:
    """Jets of the models that ship with pcgen: generated, judged, drawn."""
    from pcgen import metrics, plotting, viewing
    from pcgen.datasets.jets import sample_jets
    from pcgen.io import read_clouds
    from pcgen.metrics import protocols

    test = sample_jets("test", max_points=HARDEST)
    real, schema = test.load(), test.schema
    fakes = {}
    for name in SHIPPED:
        sample(name, str(_generated(folder, name)), number=number, seed=seed)
        fakes[name] = read_clouds(_generated(folder, name))[0]
    values = {name: quantities(fake, schema) for name, fake in fakes.items()}
    figure = plotting.histograms(quantities(real, schema), values, real_name="real")
    plotting.save(figure, folder / "shipped-histograms.png")
    figure = viewing.picture({"real": real, **fakes}, schema, event=0)
    plotting.save(figure, folder / "shipped.png")
    protocol = protocols.pcgen(schema, subset=60)
    return {
        name: metrics.evaluate(real, fake, schema, protocol=protocol, permutations=0, seed=seed)
        for name, fake in fakes.items()
    }


def _cells(folder: Path, seed: int) -> Path:
    """The shipped jets as images, and these as clouds: the file of the clouds."""
    from pcgen.datasets.jets import SAMPLE

    images, cells = folder / "images.npz", folder / "cells.h5"
    convert(str(SAMPLE), str(images), grid=GRID, outside="drop")
    convert(str(images), str(cells), jitter=True, seed=seed)
    return cells


def _generated(folder: Path, recipe: str) -> Path:
    return folder / f"{recipe}.h5"


def _lost(clouds: Batch, grid: Grid) -> float:
    """Fraction of the energy that is outside the grid."""
    from pcgen import clouds as pc
    from pcgen.images import overflow

    return (overflow(clouds, grid).weight.sum() / pc.total(clouds).sum()).item()


def _judge(
    particles: Batch, real: Batch, fakes: Mapping[str, Batch], schema: Schema, seed: int
) -> tuple[dict[str, Evaluation], dict[str, Evaluation]]:
    """Evaluations of the generators, and those whose floors the table shows."""
    from pcgen import metrics
    from pcgen.metrics import protocols

    protocol = protocols.pcgen(schema, subset=60)
    evaluations = {
        name: metrics.evaluate(real, fake, schema, protocol=protocol, seed=seed)
        for name, fake in fakes.items()
    }
    # Only the floor of this one is looked at: real jets against real jets, as particles.
    alone = metrics.evaluate(
        particles, particles, schema, protocol=protocol, permutations=0, seed=seed
    )
    return evaluations, {PARTICLES: alone, PIXELS: next(iter(evaluations.values()))}


def _draw(
    folder: Path, samples: Mapping[str, Batch], particles: Batch, grid: Grid, schema: Schema
) -> None:
    """All figures of the page."""
    from pcgen import plotting, viewing
    from pcgen.images import cloud_to_image

    values = {name: quantities(clouds, schema) for name, clouds in samples.items()}
    truth = values.pop("real")
    values["real, as particles"] = quantities(particles, schema)
    figure = plotting.histograms(truth, values, real_name="real, on the grid")
    plotting.save(figure, folder / "histograms.png")
    images = {name: cloud_to_image(clouds, grid) for name, clouds in samples.items()}
    weight = schema.weight
    if weight is not None:
        plotting.save(plotting.mean_images(images, grid, weight), folder / "mean-images.png")
    plotting.save(plotting.event_displays(samples, schema), folder / "events.png")
    for event in range(2):
        figure = viewing.picture(samples, schema, event=event)
        plotting.save(figure, folder / f"jets-{event}.png")
    viewing.page(samples, schema, number=5).save(folder / "jets.html")


def _page(
    folder: Path,
    shipped: Mapping[str, Evaluation],
    evaluations: Mapping[str, Evaluation],
    floors: Mapping[str, Evaluation],
    lost: Mapping[str, float],
    steps: int,
) -> None:
    """index.html: what was generated, how close it is, pictures, and at the end all scores."""
    from pcgen import report

    views = [
        report.figure(
            f"jets-{event}.png", f"A real and three generated jets, drawn by Open3D. {_KEY}"
        )
        for event in range(2)
    ]
    curves = [
        report.figure(
            f"{own.recipe}/figures/learning-curves.png",
            f"Losses and scores of the {name}, {steps * own.share} steps.",
        )
        for name, own in OWN.items()
    ]
    ready = f"A real jet and one of each model, as their {HARDEST} hardest particles. {_KEY}"
    sections = {
        "Models that ship": [
            report.bullets(_ready(shipped)),
            report.figure("shipped.png", ready),
            report.figure("shipped-histograms.png", "Observables of jets and of particles."),
        ],
        "Models trained here, in short": [
            report.bullets(_short(evaluations, lost, steps)),
            views[0],
        ],
        "Histograms": [
            report.figure(
                "histograms.png",
                "Observables of jets and particles, and their ratio to the real ones on the grid.",
            )
        ],
        "Jets": [
            report.link("jets.html", "Turn these jets in the browser."),
            views[1],
            report.figure("events.png", f"Further events. {_KEY}"),
        ],
        "Mean images": [report.figure("mean-images.png", "Mean energy of each cell.")],
        "Training": curves,
        "Scores and floors": [
            *_scores(evaluations, floors),
            report.details("All scores of the models that ship", [report.html_table(shipped)]),
        ],
    }
    report.write_page(folder / "index.html", "pcgen demo: jets, real and generated", sections)


def _ready(shipped: Mapping[str, Evaluation]) -> list[str]:
    """Lines on the models that ship."""
    from pcgen import report

    real, generated = next(iter(shipped.values())).events
    return [
        f"{generated} jets were generated by each model, as {HARDEST} particles at most, and are "
        f"compared with {real} real jets that no model was trained on. jets-flow took an hour of "
        "training on one core, and jets-student, which generates in one evaluation, half an hour "
        "more: docs/fidelity.md; pcgen info NAME shows a card.",
        *report.summary(shipped),
    ]


def _short(
    evaluations: Mapping[str, Evaluation], lost: Mapping[str, float], steps: int
) -> list[str]:
    """Six lines: what was generated, how close each is, what is given, was dropped, is missing."""
    from pcgen import report

    real = next(iter(evaluations.values())).events[0]
    numbers = " and ".join(
        f"{each.events[1]} by a {name} after {steps * OWN[name].share} steps of training"
        for name, each in evaluations.items()
    )
    *closeness, missing = report.summary(evaluations, GIVEN)
    dropped = ", ".join(f"{name} {fraction:.2%}" for name, fraction in lost.items())
    return [
        f"Jets were generated as clouds of calorimeter cells, {numbers}, the last two with "
        f"EdgeConv encoders, and are compared with {real} real jets that no model was trained "
        "on. The number of cells, the energy, the centre and the width of a jet, and with it its "
        "mass, are those of a training jet; all else is generated.",
        *closeness,
        f"Energy generated outside the 25 x 25 cells and dropped: {dropped}.",
        missing,
    ]


def _scores(evaluations: Mapping[str, Evaluation], floors: Mapping[str, Evaluation]) -> list[str]:
    """The table of all scores, and how to read it."""
    from pcgen import report

    scores = next(iter(evaluations.values())).scores
    events = [score.events for score in scores]
    read = (
        f"Mean and standard deviation over random halvings of the test jets, {events[0]} jets a "
        f"side ({events[-1]} for scores over pairs). A floor is what real jets score against other "
        "real jets; a generator can be no better. z is the distance from the floor of pixelised "
        "jets in standard deviations (more than 3 is marked, and there the generator still "
        "differs from the truth), p the probability of such a score or a worse one for a perfect "
        "generator. COV is better when higher, 1-NNA and AUC are best at 0.5, all others are "
        "better when lower."
    )
    table = report.html_table(evaluations, floors=floors)
    return [
        report.paragraph(_far(evaluations)),
        report.details(f"All {len(scores)} scores", [table, report.paragraph(read)]),
    ]


def _far(evaluations: Mapping[str, Evaluation]) -> str:
    """One sentence per generator on where it is still far from the floor."""
    from pcgen import report

    sentences = []
    for name, evaluation in evaluations.items():
        far = [score.name for score in evaluation.scores if report.far(score)]
        where = f"far from the floor in {', '.join(far)}" if far else "far from no floor"
        sentences.append(f"The {name} is {where}.")
    return " ".join(sentences)
