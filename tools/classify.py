"""``pcgen classify``: the classes of events by a trained classifier, and how well it names them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pcgen.errors import ArgumentError, DataError
from pcgen.tools.meaning import check_meaning, check_points
from pcgen.tools.trained import trained

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch_geometric.data import Batch

    from pcgen.models.classifier import Classifier
    from pcgen.schema import Schema

ENDINGS = (".h5", ".hdf5", ".csv", ".npz")


def classify(
    run: str,
    data: str,
    output: str | None = None,
    *,
    split: Literal["train", "validation", "test", "all"] = "test",
    missing: list[float] | None = None,
    device: str = "auto",
    seed: int = 0,
    recipe: str | None = None,
) -> None:
    """Name the classes of events with a trained classifier, and score it where they are known.

    Of each class against the others: accuracy, AUC with its 95 % interval, and background rejection
    at signal efficiencies of 30 % and 50 %. Then the accuracy once a share of the points of each
    event is taken away at random, as by dead channels.

    Args:
        run: Folder of a run of points-classifier, one of its checkpoints (.ckpt), or weights
            (.safetensors).
        data: File of events.
        output: File of scores to write, in place of one of that name: the probability of each class
            for each event, and the true class where it is known (.h5, .npz or .csv).
        split: Part of the events: test, validation, train or all.
        missing: Shares of the points that are taken away, 0.25, 0.5 and 0.75 by default.
        device: Where to compute: auto, cpu, cuda.
        seed: Of the points that are taken away.
        recipe: The function that builds a model of your own recipe, module:function.
    """
    shares = [0.25, 0.5, 0.75] if missing is None else missing
    if any(not 0 <= share < 1 for share in shares):
        raise ArgumentError(f"missing: got {shares}, expected shares of at least 0 and below 1")
    if output is not None and Path(output).suffix.lower() not in ENDINGS:
        raise ArgumentError(f"output: got {output!r}, expected a name in {', '.join(ENDINGS)}")

    from rich.console import Console

    from pcgen.datasets import open_clouds
    from pcgen.escaping import terminal
    from pcgen.io import check_output

    if output is not None:
        check_output(output, run=run, data=data)
    model = open_classifier(run, device, recipe)
    events = open_clouds(data, split)
    check_known(model, events.schema, data)
    check_points(events.sizes(), data)
    clouds = events.load()
    label = _labels(model, clouds, events.schema.labels, data)
    probability = model.probabilities(clouds)
    console = Console(soft_wrap=True)
    for line in _lines(model, clouds, label, probability, shares, seed):
        console.print(terminal(line), highlight=False)
    if output is not None:
        _write(Path(output), label, probability, model)
        console.print(terminal(f"written: {output}"))


def open_classifier(run: str, device: str = "auto", recipe: str | None = None) -> Classifier:
    """The trained model of a run.

    Raises:
        ArgumentError: it is no classifier.
    """
    from pcgen.models.classifier import Classifier

    model = trained(run, recipe, device)
    if not isinstance(model, Classifier):
        raise ArgumentError(
            f"run: got the model {type(model).__name__}, expected a classifier (recipe "
            "points-classifier)"
        )
    return model


def check_known(model: Classifier, schema: Schema, path: str) -> None:
    """Refuse events that mean something else; their classes are compared by name, y not at all.

    Raises:
        DataError: naming what differs.
    """
    why, fields = "in the training of the classifier", ("axes", "weight", "features")
    check_meaning(model.schema, schema, path, why, fields)


def _labels(model: Classifier, clouds: Batch, names: tuple[str, ...], path: str) -> Tensor | None:
    """True classes by the numbers of the model; None where they are not known.

    Raises:
        DataError: an event is of a class that the model does not have.
    """
    import torch

    label = clouds.get("label")
    if label is None:
        return None
    known = model.schema.labels
    number = torch.tensor([known.index(name) if name in known else -1 for name in names] or [-1])
    found: Tensor = number[label]
    if bool((found < 0).any()):
        other = names[int(label[found < 0][0])] if names else "without name"
        raise DataError(f"{path}: got an event of class {other}, expected {', '.join(known)}")
    return found


def _lines(
    model: Classifier,
    clouds: Batch,
    label: Tensor | None,
    probability: Tensor,
    shares: list[float],
    seed: int,
) -> list[str]:
    """What is printed: scores, or how many events are given each class."""
    import torch

    from pcgen.metrics.scores.classification import EFFICIENCIES, class_accuracy, class_scores

    names, number = model.schema.labels, len(probability)
    if label is None:
        counts = torch.bincount(probability.argmax(1), minlength=len(names)).tolist()
        pairs = zip(names, counts, strict=True)
        return [f"{number} events: " + ", ".join(f"{name} {count}" for name, count in pairs)]
    whole = class_accuracy(probability, label)
    lines, few = [f"{number} events, accuracy {_of(whole)}"], []
    width = max(len("class"), *(len(name) for name in names))
    head = "".join(f"  1/eB at eS={100 * each:.0f} %" for each in EFFICIENCIES)
    lines.append(f"{'class':{width}}  events  accuracy  AUC (95 %)             {head}")
    for name, score in zip(names, class_scores(probability, label), strict=True):
        if not score.events[0]:
            continue
        interval = f"{score.auc:.4f} ({score.low:.4f} to {score.high:.4f})"
        rejections = "".join(f"  {_rejection(r, score.events[1]):>15}" for r in score.rejection)
        start = f"{name:{width}}  {score.events[0]:6d}  {score.accuracy:8.4f}"
        lines.append(f"{start}  {interval:23}{rejections}")
        if min(score.events) < 2:
            few.append(name)
    if few:
        lines.append(
            f"nan ({', '.join(few)}): a class needs two events of its own and two of others"
        )
    draw = torch.Generator().manual_seed(seed)
    for share in shares:
        fewer = model.probabilities(without(clouds, share, draw))
        lines.append(
            f"without {100 * share:.3g} % of the points: {_of(class_accuracy(fewer, label))}"
        )
    return lines


def without(clouds: Batch, share: float, generator: torch.Generator) -> Batch:
    """The clouds without a random share of the points of each; one point at least stays."""
    import torch

    from pcgen import clouds as pc

    key = torch.rand(len(clouds.pos), generator=generator)
    kept = ((1 - share) * pc.sizes(clouds)).round().clamp(min=1)
    return pc.select_points(clouds, pc.ranks(clouds, key) < kept[clouds.batch])


def _of(accuracy: Any) -> str:
    return f"{accuracy.value:.4f} ± {accuracy.error:.4f}"


def _rejection(value: float, background: int) -> str:
    """More than the number of events where none of the background passes."""
    return f"> {background}" if value == float("inf") else f"{value:.3g}"


def _write(path: Path, label: Tensor | None, probability: Tensor, model: Classifier) -> None:
    """The scores of each event, in the order of the events."""
    import h5py
    import numpy as np

    from pcgen.io import atomic

    names = model.schema.labels
    arrays: dict[str, Any] = {"event": np.arange(len(probability))}
    arrays |= {} if label is None else {"label": label.numpy()}
    arrays |= {"probability": probability.numpy()}
    with atomic(path) as temporary:
        if path.suffix.lower() == ".csv":
            temporary.write_text(_table(arrays, names), encoding="utf-8")
        elif path.suffix.lower() == ".npz":
            with temporary.open("wb") as file:
                np.savez(file, **arrays, classes=np.array(names))
        else:
            with h5py.File(temporary, "w") as target:
                for name, value in arrays.items():
                    target[name] = value
                target.attrs["classes"] = list(names)


def _table(arrays: dict[str, Any], names: tuple[str, ...]) -> str:
    """The same as lines of text, with classes by their names."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    first = [name for name in arrays if name != "probability"]
    writer.writerow([*first, *(f"p_{name}" for name in names)])
    for event, scores in enumerate(arrays["probability"].tolist()):
        known = [names[arrays["label"][event]]] if "label" in arrays else []
        writer.writerow([event, *known, *(f"{score:.6g}" for score in scores)])
    return text.getvalue()
