"""What a run is trained on: files, what is chosen of them, and whether they are still the same."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pcgen.errors import ArgumentError, DataError
from pcgen.tools.meaning import check_points

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from torch_geometric.data import Batch

    from pcgen.datasets.loading import CloudDataset
    from pcgen.models.base import GenerativeModel
    from pcgen.training import RunFolder


class Data(NamedTuple):
    """What a run is trained on: its files, what was chosen of them, and two splits.

    Attributes:
        files: Of the events.
        classes: That were chosen.
        max_points: Of each event.
        train: The training split.
        held_out: The validation split.
        contexts: Files of what each event is generated from; None for none of their own.
    """

    files: list[str]
    classes: list[str] | None
    max_points: int | None
    train: CloudDataset
    held_out: CloudDataset
    contexts: list[str] | None = None

    def facts(self) -> dict[str, Any]:
        """Entries of a run's configuration on files of contexts; none where there are none."""
        if self.contexts is None or self.train.contexts is None:
            return {}
        names = [Path(file).name for file in self.contexts]
        return {"context": names, "context_digests": self.train.contexts.digests()}


def open_data(
    files: Sequence[str],
    classes: list[str] | None = None,
    max_points: int | None = None,
    contexts: Sequence[str] | None = None,
) -> Data:
    """The training and the validation split of files, which become absolute paths.

    Raises:
        ArgumentError: there is no file.
        DataError: there is no event with a point, or the contexts are of other events.
        FileError: a file cannot be read.
    """
    from pcgen.datasets.loading import open_clouds

    if not files:
        raise ArgumentError("data: got no file, expected at least one")
    paths = [os.path.realpath(path) for path in files]
    others = None if contexts is None else [os.path.realpath(path) for path in contexts]
    train, held_out = (
        open_clouds(paths, split, classes=classes, max_points=max_points, context=others)
        for split in ("train", "validation")
    )
    check_points(train.sizes(), ", ".join(paths))
    return Data(paths, classes, max_points, train, held_out, others)


def spread(clouds: CloudDataset, number: int) -> Batch:
    """At most so many clouds from all over a data set, whose file may be sorted by class.

    Raises:
        ArgumentError: the number is not positive.
    """
    import torch

    if number < 1:
        raise ArgumentError(f"validate_events: got {number}, expected >= 1")
    chosen = torch.linspace(0, len(clouds) - 1, min(number, len(clouds)), dtype=torch.float64)
    return clouds.gather(chosen.round().long())


def unlikely(clouds: CloudDataset) -> list[str]:
    """Axes whose coordinates exceed their period, in events from all over a data set."""
    from pcgen.periods import beyond_period, reach
    from pcgen.tools.validation import SAMPLED

    some = spread(clouds, SAMPLED)
    return beyond_period(reach(some.pos), clouds.schema, "training events")


def resolved(
    function: Callable[..., GenerativeModel], arguments: Mapping[str, Any], data: CloudDataset
) -> dict[str, Any]:
    """Arguments of a recipe: ``schema``, ``context_schema``, ``grid`` and ``calorimeter`` (plain
    dictionaries, a text), where not given, are those of the data; a grid goes before a calorimeter.

    The model is then built once, and a run or a checkpoint records what it was made for.
    """
    takes = inspect.signature(function).parameters
    contexts = data.context_schema
    grid = None if data.grid is None else str(data.grid)
    cells = None if data.calorimeter is None else data.calorimeter.to_dict()
    if "grid" in takes and (grid is not None or arguments.get("grid") is not None):
        cells = None
    own = {"schema": data.schema.to_dict(), "grid": grid, "calorimeter": cells}
    own["context_schema"] = None if contexts is None else contexts.to_dict()
    missing = {k: v for k, v in own.items() if k in takes and arguments.get(k) is None}
    return {**arguments, **{k: v for k, v in missing.items() if v is not None}}


def check_data(
    run: RunFolder, files: Sequence[str], digests: Sequence[str], key: str = "digests"
) -> bool:
    """Refuse to go on with other events than those that a run was started with.

    Args:
        run: A run, begun or not.
        files: Of now.
        digests: Of these files.
        key: Entry of the configuration with those of the start.

    Returns:
        Whether they are known to be the same events; older runs do not know it.

    Raises:
        DataError: naming the first file that differs, and both digests.
    """
    stored = run.config().get(key) if run.begun else None
    if not isinstance(stored, list) or len(stored) != len(digests):
        return False
    for file, now, before in zip(files, digests, stored, strict=True):
        if now != before:
            raise DataError(
                f"{file}: got events of digest {now}, expected those of digest {before} that "
                f"{run.path} was started with: the file was replaced, or is another one"
            )
    return True


def same_data(run: RunFolder, files: Sequence[str], digests: Sequence[str]) -> bool:
    """Whether a run goes on with its own events, which may have another place by now.

    Other files are an option that differs, which is named beside the others that do.

    Raises:
        DataError: the same files hold other events.
    """
    stored = run.config() if run.begun else {}
    if stored.get("data") != list(files) and stored.get("digests") != list(digests):
        return False
    return check_data(run, files, digests)


def check_context(
    recipe: str,
    function: Callable[..., GenerativeModel],
    data: Sequence[str] | None,
    context: Sequence[str] | None,
) -> None:
    """Refuse files of contexts where the recipe takes none, or nothing is said of the events.

    Raises:
        ArgumentError: naming the recipes that take one.
    """
    if context is None:
        return
    if "context_schema" not in inspect.signature(function).parameters:
        raise ArgumentError(
            f"context: got {', '.join(context)} for the recipe {recipe}, which takes none, "
            f"expected one of {', '.join(_with_contexts())}"
        )
    if data is None:
        raise ArgumentError(
            f"context: got {', '.join(context)} without data, expected the files of the same "
            "events too"
        )


def check_needs_none(recipe: str, function: Callable[..., GenerativeModel]) -> None:
    """Refuse data without contexts where the recipe generates events from them.

    Raises:
        ArgumentError: saying what is missing.
    """
    if "context_schema" in inspect.signature(function).parameters:
        raise ArgumentError(
            f"context: got none for the recipe {recipe}, which generates each event from another, "
            "expected --context FILE, with the same events in the same order"
        )


def _with_contexts() -> list[str]:
    from pcgen.recipes import RECIPES

    return [n for n, f in RECIPES.items() if "context_schema" in inspect.signature(f).parameters]
