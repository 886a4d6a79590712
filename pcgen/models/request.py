"""What a user may ask a model for, in the forms that are handy, as tensors that fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as cl
from pcgen.errors import ArgumentError, DataError
from pcgen.schema import Schema


class Request(NamedTuple):
    """Requested clouds: how many, and what is fixed about them.

    Attributes:
        number: B.
        sizes: [B] or None.
        y: [B, C] or None.
        label: [B] or None.
        context: B clouds that the requested ones are generated from, or None.
    """

    number: int
    sizes: Tensor | None = None
    y: Tensor | None = None
    label: Tensor | None = None
    context: Batch | None = None


def resolve(
    schema: Schema,
    sizes: Tensor | Sequence[int] | int | None,
    y: Tensor | Sequence[Any] | float | None,
    label: Tensor | Sequence[Any] | int | str | None,
    number: int | None,
    device: torch.device,
) -> Request:
    """Tensors of one length B from tensors, lists or single values that hold for every cloud.

    Args:
        schema: Of the clouds.
        sizes: Points of each cloud [B].
        y: Condition [B, C]; where C is 1, numbers [B] will do.
        label: Classes [B], by number or name.
        number: B; not needed where another argument gives it. What has length 1 is for all clouds.
        device: Of the result.

    Raises:
        ArgumentError: the arguments are of different length, a size is negative, a condition is
            not finite, a class is unknown, or the schema has no such thing.

    >>> from pcgen.schema import Quantity
    >>> schema = Schema((Quantity("x"),), condition=(Quantity("pt", "GeV"),), labels=("q", "t"))
    >>> request = resolve(schema, None, 1000.0, "t", 3, torch.device("cpu"))
    >>> request.y.tolist(), request.label.tolist()
    ([[1000.0], [1000.0], [1000.0]], [1, 1, 1])
    """
    if y is not None and not schema.condition:
        raise ArgumentError("y: got a condition, expected none: the clouds of this model have none")
    if label is not None and not schema.labels:
        raise ArgumentError("label: got a class, expected none: the clouds of this model have none")
    given = {
        "sizes": None if sizes is None else _integers("sizes", sizes),
        "y": None if y is None else _condition(schema, y),
        "label": None if label is None else _classes(schema, label),
    }
    count = _number({n: len(v) for n, v in given.items() if v is not None}, number)
    smallest = given["sizes"]
    if smallest is not None and bool((smallest < 0).any()):
        raise ArgumentError(f"sizes: got {int(smallest.min())}, expected numbers >= 0")
    spread = {
        n: None if v is None else v.to(device).expand(count, *v.shape[1:]) for n, v in given.items()
    }
    return Request(count, spread["sizes"], spread["y"], spread["label"])


def with_context(
    request: Request, schema: Schema, context_schema: Schema | None, context: Batch | None
) -> Request:
    """The request with contexts, and what they state of the class and the condition.

    Class and condition are those of the contexts where these have the same ones and the request
    does not fix them.

    Args:
        request: For B clouds.
        schema: Of the clouds.
        context_schema: Of the contexts; None where the model takes none.
        context: B clouds, or None.

    Raises:
        ArgumentError: there are contexts and the model takes none, or the other way round, or
            other than B.
        DataError: the contexts have other attributes than those that the model was made for.
    """
    if context_schema is None or context is None:
        if context is None and context_schema is None:
            return request
        got, expected = ("none", "one") if context is None else ("one", "none")
        why = "generates events from others" if context is None else "takes no context"
        raise ArgumentError(f"context: got {got}, expected {expected}: this model {why}")
    if context.num_graphs != request.number:
        raise ArgumentError(
            f"context: got {context.num_graphs} clouds, expected one for each of the "
            f"{request.number} events"
        )
    check_context(context, context_schema)
    y, label = request.y, request.label
    if label is None and schema.labels and schema.labels == context_schema.labels:
        label = context.get("label")
    if y is None and schema.condition and context.get("y") is not None:
        names = [(each.name, each.unit) for each in context_schema.condition]
        wanted = [(each.name, each.unit) for each in schema.condition]
        if set(wanted) <= set(names):
            y = context.y[:, [names.index(each) for each in wanted]]
    return request._replace(context=context, y=y, label=label)


def check_context(context: Batch, schema: Schema) -> None:
    """Refuse contexts that lack what their schema states of points.

    Raises:
        DataError: naming the attribute.
    """
    expected = {"pos": len(schema.axes), "x": len(schema.features)}
    for name, columns in expected.items():
        found = 0 if context.get(name) is None else context[name].shape[1]
        if columns and found != columns:
            raise DataError(f"context: got {found} columns of {name}, expected {columns}")
    wanted = {"weight": schema.weight is not None, "layer": bool(schema.layers)}
    for name, needed in wanted.items():
        if needed and context.get(name) is None:
            raise DataError(f"context: got clouds without {name}, expected it as in training")


def repeated(context: Batch, answers: int) -> Batch:
    """Each context as often as there are answers to it, one after the other.

    Raises:
        ArgumentError: ``answers`` is not positive.

    >>> some = cl.make(torch.tensor([[0.0], [1.0]]), [1, 1])
    >>> repeated(some, 2).pos.flatten().tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    if answers < 1:
        raise ArgumentError(f"answers: got {answers}, expected a positive number")
    if answers == 1:
        return context
    return cl.select(context, torch.arange(context.num_graphs).repeat_interleave(answers))


def in_turn(
    schema: Schema, classes: Sequence[str], number: int | None, label: object = None
) -> Tensor:
    """Numbers [B] of classes that are named and taken in turn; ``label`` must not be given too.

    >>> in_turn(Schema((), labels=("g", "q", "t")), ["t", "g"], 3).tolist()
    [2, 0, 2]
    """
    if label is not None or isinstance(classes, str):
        got = f"{classes!r} beside label" if label is not None else repr(classes)
        raise ArgumentError(f"classes: got {got}, expected a list of names and no label")
    unknown = [name for name in classes if name not in schema.labels]
    if unknown or not classes:
        known = ", ".join(schema.labels) or "none (this model has no classes)"
        raise ArgumentError(
            f"classes: got {', '.join(unknown) or 'none'}, expected some of {known}"
        )
    numbers = torch.tensor([schema.labels.index(name) for name in classes])
    if number is None:
        return numbers
    return numbers[torch.arange(max(number, 0)) % len(numbers)]


def by_name(schema: Schema, condition: Mapping[str, float], y: object = None) -> Tensor:
    """Values [1, C] in the order of the schema; ``y`` must not be given too.

    >>> from pcgen.schema import Quantity
    >>> schema = Schema((), condition=(Quantity("E"), Quantity("eta")))
    >>> by_name(schema, {"eta": 2, "E": 5}).tolist()
    [[5.0, 2.0]]
    """
    if y is not None:
        raise ArgumentError("condition: got both condition and y, expected one of them")
    names = [quantity.name for quantity in schema.condition]
    if sorted(condition) != sorted(names):
        known = ", ".join(f"{q.name} [{q.unit or '1'}]" for q in schema.condition) or "none"
        raise ArgumentError(
            f"condition: got {', '.join(condition) or 'none'}, expected a value for each of {known}"
        )
    return _condition(schema, [[float(condition[name]) for name in names]], "condition")


def check_positive(schema: Schema, y: Tensor | None, seen: tuple[Tensor, Tensor] | None) -> None:
    """Refuse a condition [B, C] of 0 or less where the training split has positive ones only.

    Momenta and energies are such conditions, angles are not.
    """
    if y is None or seen is None or not len(y):
        return
    wrong = (seen[0] > 0) & (y.amin(0) <= 0)
    if bool(wrong.any()):
        column = int(wrong.nonzero()[0])
        q = schema.condition[column]
        raise ArgumentError(
            f"{q.name}: got {float(y[:, column].min()):g} {q.unit}, expected a positive number as "
            f"in training ({_span(seen, column)} {q.unit})"
        )


def beyond(schema: Schema, y: Tensor | None, seen: tuple[Tensor, Tensor] | None) -> str:
    """One line on a condition [B, C] that training did not see; empty where it saw all.

    >>> from pcgen.schema import Quantity
    >>> pt = Schema((), condition=(Quantity("pt", "GeV"),))
    >>> beyond(pt, torch.tensor([[9e3]]), (torch.tensor([800.0]), torch.tensor([1600.0])))
    'pt: 9000 GeV is outside the 800 to 1600 GeV of the training split, events are extrapolated'
    """
    if y is None or seen is None or not len(y):
        return ""
    for column, q in enumerate(schema.condition):
        for value in y[:, column].aminmax():
            if not seen[0][column] <= value <= seen[1][column]:
                unit = f" {q.unit}" if q.unit else ""
                return (
                    f"{q.name}: {float(value):g}{unit} is outside the {_span(seen, column)}{unit} "
                    "of the training split, events are extrapolated"
                )
    return ""


def _span(seen: tuple[Tensor, Tensor], column: int) -> str:
    return " to ".join(f"{float(end[column]):.4g}" for end in seen)


def _number(lengths: dict[str, int], number: int | None) -> int:
    """B, from arguments of length B or 1."""
    if number is None and not lengths:
        raise ArgumentError(
            "sample: got no number of clouds, expected number=1000 for example, or sizes, y "
            "or label for each of them"
        )
    given = lengths if number is None else {**lengths, "number": number}
    several = {length for name, length in given.items() if length != 1 or name == "number"}
    if not given or len(several) > 1 or min(given.values()) < 0:
        found = ", ".join(f"{length} by {name}" for name, length in given.items()) or "no number"
        raise ArgumentError(f"clouds to sample: got {found}, expected one number >= 0")
    return several.pop() if several else 1


def _integers(name: str, value: Any) -> Tensor:
    """[B] or [1]."""
    try:
        number = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(f"{name}: got {value!r}, expected integers") from error
    kind = number.dtype
    whole = not kind.is_floating_point and not kind.is_complex and kind != torch.bool
    if number.dim() > 1 or (not whole and number.numel()):
        raise ArgumentError(f"{name}: got {kind} {tuple(number.shape)}, expected integers [B]")
    return number.long().reshape(-1)


def _condition(schema: Schema, value: Any, name: str = "y") -> Tensor:
    """[B, C] or [1, C]."""
    columns = len(schema.condition)
    try:
        given = torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(f"{name}: got {value!r}, expected numbers [B, {columns}]") from error
    y = given.to(torch.get_default_dtype())
    if columns == 1 and y.dim() <= 1:
        y = y.reshape(-1, 1)
    elif y.dim() == 1:
        y = y[None]
    if y.dim() != 2 or y.shape[1] != columns:
        names = ", ".join(quantity.name for quantity in schema.condition)
        raise ArgumentError(f"{name}: got {tuple(y.shape)}, expected [B, {columns}] ({names})")
    wrong = ~y.isfinite()
    if bool(wrong.any()):
        row, column = wrong.nonzero()[0].tolist()
        got = f"{schema.condition[column].name} {given.reshape(y.shape)[row, column]:g}"
        most = torch.finfo(y.dtype).max
        raise ArgumentError(
            f"{name}: got {got}, expected a finite number between -{most:.2g} and {most:.2g}"
        )
    return y


def _classes(schema: Schema, value: Any) -> Tensor:
    """[B] or [1]; names become numbers."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Tensor) and isinstance(names, Sequence):
        names = [_class(schema, name) if isinstance(name, str) else name for name in names]
    label = _integers("label", names)
    if len(label) and (int(label.min()) < 0 or int(label.max()) >= len(schema.labels)):
        raise ArgumentError(
            f"label: got values from {int(label.min())} to {int(label.max())}, "
            f"expected 0 to {len(schema.labels) - 1} ({', '.join(schema.labels)})"
        )
    return label


def _class(schema: Schema, name: str) -> int:
    if name not in schema.labels:
        raise ArgumentError(f"label: got {name!r}, expected one of {', '.join(schema.labels)}")
    return schema.labels.index(name)
