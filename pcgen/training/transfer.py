"""From one model to another: parameters and scalings that a run starts with."""

from __future__ import annotations

from torch import nn

from pcgen.errors import ArgumentError
from pcgen.models.base import GenerativeModel
from pcgen.training.checkpoint import fit

_DEPTH = 2  # of the parts that an error lists


def take(
    model: GenerativeModel, source: GenerativeModel, part: str | None = None, *, name: str = "start"
) -> None:
    """Give a model the parameters and scalings of another one.

    Scalings (the representation) come with a part too: its parameters know no other units.

    Args:
        model: Changed in place.
        source: Trained.
        part: Module of both whose parameters are taken, by its name in the model: ``"field"``,
            ``"autoencoder.encoder"``. None: all.
        name: Of the source, for errors.

    Raises:
        ArgumentError: one of them has no such part, or none with parameters.
        CheckpointError: tensors differ in name or shape, naming the first.
    """
    if part is None:
        fit(name, model, source.state_dict())
        return
    pairs = {part: (_part(model, part, "the model to train"), _part(source, part, name))}
    if model.representation is not None and source.representation is not None:
        pairs["representation"] = (model.representation, source.representation)
    for which, (mine, theirs) in pairs.items():
        fit(f"{name}, {which}", mine, theirs.state_dict())


def _part(model: nn.Module, part: str, owner: str) -> nn.Module:
    parts = {
        name: module
        for name, module in model.named_modules()
        if name and any(True for _ in module.parameters())
    }
    if part not in parts:
        known = ", ".join(each for each in parts if each.count(".") < _DEPTH)
        raise ArgumentError(f"start_part: got {part!r}, expected a part of {owner}: {known}")
    return parts[part]
