"""``pcgen evaluate``: how far generated events are from real ones, beside real against real."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pcgen.bounds import REPEATS
from pcgen.errors import ArgumentError, at_least
from pcgen.schema import Schema
from pcgen.tools.answers import evaluate_answers
from pcgen.tools.evaluation_files import quantities, remarks, store, write_json
from pcgen.tools.meaning import check_comparable, check_points
from pcgen.tools.notes import in_common, left_out, trained_on
from pcgen.tools.selection import Range, ranges, select
from pcgen.tools.shower_files import shower_pair

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from torch import Tensor
    from torch_geometric.data import Batch

    from pcgen import metrics
    from pcgen.datasets.loading import CloudDataset

ProtocolName = Literal[
    "pcgen",
    "mpgan2021",
    "jetnet-0.2.5",
    "fpcd",
    "epic",
    "calochallenge",
    "pointflow",
    "conditional",
    "image",
    "response",
]
TAKES = {
    "pcgen": ("repeats", "subset", "training", "classifier"),
    "mpgan2021": ("particlenet", "statistics"),
    "calochallenge": ("geometry", "data_set"),
    "conditional": ("context", "responses", "answers", "subset"),
    "image": ("grid",),
}


def _fixed(name: str) -> metrics.Protocol:
    from pcgen.metrics import protocols

    protocol: metrics.Protocol = getattr(protocols, name)()
    return protocol


FIXED = {
    "mpgan2021": partial(_fixed, "mpgan2021"),
    "jetnet-0.2.5": partial(_fixed, "jetnet"),
    "fpcd": partial(_fixed, "fpcd"),
    "epic": partial(_fixed, "epic"),
    "pointflow": partial(_fixed, "pointflow"),
    "response": partial(_fixed, "response"),
}
"""The protocols that take no options."""


def evaluate(
    real: str,
    generated: str,
    *,
    output: str | None = None,
    protocol: ProtocolName = "pcgen",
    split: Literal["train", "validation", "test", "all"] = "test",
    classes: list[str] | None = None,
    between: list[str] | None = None,
    repeats: int | None = None,
    subset: int | None = None,
    permutations: int = 200,
    training: str | None = None,
    classifier: str | None = None,
    particlenet: str | None = None,
    statistics: str | None = None,
    geometry: str | None = None,
    data_set: Literal["1-photons", "1-pions", "2", "3"] | None = None,
    context: str | None = None,
    responses: str | None = None,
    answers: int | None = None,
    grid: str | None = None,
    seed: int = 0,
    dask: str | None = None,
) -> None:
    """Compare generated events with real ones, beside the real-against-real floor.

    A protocol fixes scores, sample sizes, batches and cuts. Each score is printed with its floor
    (real against real, as many events), its distance from the floor in standard deviations and its
    permutation p-value; the histograms are drawn.

    Answers of a model that generates events from others (pcgen sample --context, several to each)
    are compared with the truth of each input by the protocol conditional: energy score, coverage,
    calibration, response and resolution, beside the mean of all truths and a copy of the input.

    Args:
        real: File of real events.
        generated: File of generated events, in the same units.
        output: Folder for evaluation.json, the table (txt, md, tex) and histograms.png; by default
            beside the generated file, named after it.
        protocol: What to score, and how.
        split: Part of the real events to compare with: test, validation, train or all.
        classes: Compare the events of these classes only.
        between: Compare the events within a range of a condition only, jet_pt=900:1000 say.
        repeats: Random halvings of the real events, at least 2 (pcgen's own protocol: 10).
        subset: Events on each side of coverage, MMD and 1-NN accuracy, or of the earth mover's
            distances of answers; 0 leaves them out (pcgen's own protocol and conditional: 100).
        permutations: Random cuts of the permutation tests; 0 leaves them out.
        training: File of real events whose training split the generator was trained on: copies,
            overfitting, misspecification and outliers are looked for too (pcgen's own protocol).
        classifier: Run of points-classifier, whose logits a second two-sample test takes as
            features of the events (pcgen's own protocol).
        particlenet: File with the weights of jetnet's ParticleNet, for FPND (mpgan2021).
        statistics: File (.npz, mu and sigma) with its activations on real jets, for FPND.
        geometry: For the CaloChallenge's protocol, a file of the calorimeter (.xml, .npz, .json);
            by default that which both files store.
        data_set: Which of the CaloChallenge's data sets, for its protocol; by default threshold and
            limits of the histograms are those of the real showers.
        context: File of what the events are generated from, for the protocol conditional: response
            and resolution, and the copy.
        responses: File of repeated responses of the detector to each input, whose scores are the
            floors of the protocol conditional (pcgen simulate jets --responses).
        answers: Answers to each input; by default as the generated file states it.
        grid: Cells of the images of protocol image, as ``name:low:high:cells`` for each axis.
        seed: Seed of everything random.
        dask: Address of a Dask scheduler, tcp://10.0.0.1:8786 say, whose workers compute the
            distances of coverage, MMD and 1-NN accuracy; local for a cluster of this machine,
            local:4 for one of four processes. The scores do not depend on it.
    """
    _check_options(
        protocol,
        repeats=repeats,
        subset=subset,
        training=training,
        classifier=classifier,
        particlenet=particlenet,
        statistics=statistics,
        geometry=geometry,
        data_set=data_set,
        context=context,
        responses=responses,
        answers=answers,
        grid=grid,
    )
    REPEATS.allow(repeats=repeats, answers=answers)
    REPEATS.check(permutations, "permutations", ArgumentError)
    at_least(2, repeats=repeats)
    at_least(0, permutations=permutations, subset=subset)
    if not 0 <= seed < 2**32:
        raise ArgumentError(f"seed: got {seed}, expected 0 to 2**32 - 1")
    within = ranges(between or ())
    if protocol == "calochallenge" and (classes is not None or within):
        raise ArgumentError(
            "classes, between: got values, protocol calochallenge takes all showers"
        )
    if protocol == "image" and grid is None:
        raise ArgumentError(
            "grid: got none, expected the cells of protocol image, eta_rel:-1:1:24,... say"
        )
    if (particlenet is None) != (statistics is None):
        raise ArgumentError(
            f"particlenet, statistics: got {particlenet} and {statistics}, expected both or none"
        )

    import torch
    from rich.console import Console
    from rich.progress import Progress

    from pcgen import clouds as pc
    from pcgen import metrics, plotting, report
    from pcgen.cluster import connected
    from pcgen.datasets import open_clouds
    from pcgen.io.atomic import output_folder
    from pcgen.metrics import protocols
    from pcgen.tools.doubts import doubts

    path = Path(generated)
    with output_folder(output or path.with_name(f"{path.stem}-evaluation")) as folder:
        if protocol == "conditional":
            notes = evaluate_answers(
                real,
                generated,
                folder=folder,
                split=split,
                classes=classes,
                within=within,
                subset=subset,
                context=context,
                responses=responses,
                answers=answers,
                seed=seed,
            )
            for line in (*notes, f"written: {folder}"):
                print(line)
            return
        if protocol == "calochallenge":
            events, fake, calorimeter, facts = shower_pair(real, generated, geometry, data_set)
            kept, schema, notes = torch.arange(fake.num_graphs), calorimeter.schema, []
            chosen = protocols.calochallenge(calorimeter, facts)
        else:
            truth = open_clouds(real, split, classes=classes, check=False)
            events, schema = truth.load(), truth.schema
            events = pc.select(events, select(events, schema, None, within, real))
            fake, other, kept, attrs = _generated(generated, schema, classes, within)
            notes = left_out(events, fake, schema, other)
            notes += trained_on(truth.digests()[0], Path(real).name, split, attrs)
            learnt = None if classifier is None else _features(classifier, schema, real)
            chosen = _protocol(
                protocol, schema, repeats, subset, particlenet, statistics, grid, learnt
            )
        for clouds, file in ((events, real), (fake, generated)):
            check_points(pc.sizes(clouds), file)
        notes += doubts(events, fake, schema)
        notes += in_common(real, generated, events, fake)
        known = None if training is None else _training(training, schema)
        machines = nullcontext() if dask is None else connected(dask)
        with machines as cluster, Progress(transient=True) as bar:
            task = bar.add_task("scores", total=1.0)
            result = metrics.evaluate(
                events,
                fake,
                schema,
                protocol=chosen,
                permutations=permutations,
                seed=seed,
                progress=lambda done: bar.update(task, completed=done),
                workers=None if cluster is None else cluster.in_order,
            )
        # Numbers of events are those of the file, whatever classes were requested.
        broken = (result.broken[0], tuple(kept[[*result.broken[1]]].tolist()))
        result = replace(result, broken=broken)
        chosen_events = ", ".join([split, *(classes or ()), *(between or ())])
        title = f"{path.name} against {Path(real).name} ({chosen_events}), protocol {protocol}"
        table = report.text_table({path.stem: result}, title)
        Console().print(table)
        for line in (*notes, *remarks(result)):
            print(line)
        store(folder, {path.stem: result}, table)
        if known is not None:
            _look_further(folder, known, events, fake, schema, seed)
        values = [quantities(metrics.whole_events(side), schema) for side in (events, fake)]
        histograms = plotting.histograms(values[0], {path.stem: values[1]})
        plotting.save(histograms, folder / "histograms.png")
    print(f"written: {folder}")


def _check_options(protocol: str, **options: str | int | None) -> None:
    """Refuse what a protocol fixes or knows nothing of, rather than pass over it."""
    takes = TAKES.get(protocol, ())
    for name, value in options.items():
        if value is not None and name not in takes:
            own = f"it takes {' and '.join(takes)}" if takes else "it fixes everything"
            raise ArgumentError(f"{name}: got {value}, protocol {protocol} takes none; {own}")


def _protocol(
    name: str,
    schema: Schema,
    repeats: int | None,
    subset: int | None,
    particlenet: str | None,
    statistics: str | None,
    grid: str | None,
    features: metrics.protocols.Features | None = None,
) -> metrics.Protocol:
    from pcgen.metrics import jets, protocols

    if name == "pcgen":
        requested = {"repeats": repeats, "subset": subset}
        given = {k: v for k, v in requested.items() if v is not None}
        return protocols.pcgen(schema, **given, features=features)
    if name == "image":
        from pcgen.grids import Grid

        return protocols.image(Grid.parse(grid or "", schema.axes))
    if particlenet is not None and statistics is not None:
        net, real = jets.load_particlenet(particlenet), jets.load_statistics(statistics)
        return protocols.mpgan2021(net, real)
    return FIXED[name]()


def _features(run: str, schema: Schema, path: str) -> metrics.protocols.Features:
    """The logits of a trained classifier.

    Raises:
        ArgumentError: the run is of no classifier.
        DataError: it was trained on clouds that mean something else.
    """
    from pcgen.tools.classify import check_known, open_classifier

    model = open_classifier(run)
    check_known(model, schema, path)
    return model.scores


def _generated(
    path: str, real: Schema, classes: list[str] | None, within: list[Range]
) -> tuple[Batch, Schema, Tensor, dict[str, Any]]:
    """Generated events, their schema, their numbers in the file and what the file records.

    Broken ones stay, to be reported.
    """
    import torch

    from pcgen import clouds as pc
    from pcgen.datasets.voxel_clouds import open_events

    with open_events(path) as source:
        clouds, schema, attrs = source.read(check=False), source.schema, source.attrs
    clouds = pc.cast(clouds, torch.get_default_dtype())  # as those of the data set are
    check_comparable(real, schema, path)
    kept = select(clouds, schema, classes, within, path)
    return pc.select(clouds, kept), schema, kept, attrs


def _training(path: str, schema: Schema) -> CloudDataset:
    """The events that a generator was trained on, not read yet; refused before anything is scored.

    Raises:
        DataError: they mean something else than the real ones.
        FileError: the file cannot be read.
    """
    from pcgen.datasets import open_clouds

    events = open_clouds(path, "train")
    check_comparable(schema, events.schema, path)
    return events


def _look_further(
    folder: Path, training: CloudDataset, test: Batch, generated: Batch, schema: Schema, seed: int
) -> None:
    """What scores do not show: print it, and write trust.json."""
    from pcgen import metrics
    from pcgen.metrics.evaluation import json_values

    known = training.load()
    test, generated = metrics.whole_events(test), metrics.whole_events(generated)
    found = metrics.trust.assess(known, test, generated, schema, seed=seed)
    for sentence in found.sentences:
        print(sentence)
    write_json(folder / "trust.json", json_values(asdict(found)))
