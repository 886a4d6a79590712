"""From one model to another: parameters and scalings that a run starts with."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

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
            ``"autoencoder.encoder"``; ``"decoder.field=field"`` where the source has it under
            another name. Its condition may have further columns, which the network ignores at
            first: the field of a flow starts that of its map. A source that is such a part itself
            (:attr:`~pcgen.models.base.GenerativeModel.as_part`) is taken whole. None: all.
        name: Of the source, for errors.

    Raises:
        ArgumentError: one of them has no such part, or none with parameters; or the model cannot
            be trained from it.
        CheckpointError: tensors differ in name or shape, naming the first.
    """
    if part is None:
        fit(name, model, source.state_dict())
        model.begins_with(source, None, None)
        return
    mine, _, theirs = part.partition("=")
    to = _part(model, mine, "the model to train")
    whole = source.as_part is not None and (theirs or mine) == source.as_part
    pairs: dict[str, tuple[nn.Module, nn.Module]] = {
        part: (to, source if whole else _part(source, theirs or mine, name))
    }
    if model.representation is not None and source.representation is not None:
        pairs["representation"] = (model.representation, source.representation)
    for which, (target, of) in pairs.items():
        fit(f"{name}, {which}", target, _widened(of.state_dict(), target))
    model.begins_with(source, mine, theirs or mine)


def _widened(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """A state for a module that takes more columns: zeros behind those that the source had.

    What networks see beside an event, the condition, stands last. Where it has grown the network
    starts as the one that did not see what is new.
    """
    wider, mine = dict(state), module.state_dict()
    for name, value in state.items():
        shape = mine[name].shape if name in mine else value.shape
        if value.dim() == len(shape) == 2 and value.shape[0] == shape[0]:
            wider[name] = functional.pad(value, (0, max(shape[1] - value.shape[1], 0)))
    return wider


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
