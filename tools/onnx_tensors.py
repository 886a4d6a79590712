"""The tensors that graphs of a generator take and give, in words: what goes into each ONNX file."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from pcgen.models.base import FromNoise, GenerativeModel
    from pcgen.models.representations import Points


def points_of(model: GenerativeModel) -> Points:
    """The representation of a model of points."""
    from pcgen.models.representations import Points

    assert isinstance(model.representation, Points)
    return model.representation


def from_noise_of(model: GenerativeModel) -> FromNoise:
    """The model as what :func:`pcgen.tools.export.check_exportable` has found it to be."""
    return cast("FromNoise", model)


def inputs_of(model: GenerativeModel) -> dict[str, str]:
    """Name of each input of the generator, and what it is."""
    points, schema = points_of(model), model.schema
    channels = from_noise_of(model).noise_channels
    axes = ", ".join(f"{axis.name} [{axis.unit or '1'}]" for axis in schema.axes)
    found = {
        "noise": f"[batch, points, {channels.point}] float32, standard normal",
        "code": f"[batch, {channels.code}] float32, standard normal" if channels.code else "",
        "size": "[batch] int64, number of points, at most points",
        "total": total_of(model) if schema.weight is not None else "",
        "centroid": f"[batch, {len(schema.axes)}] float32, {axes}" if points.recentre else "",
        "spread": "[batch] float32, as centroid" if points.log_spread is not None else "",
        **given_by_the_user(model),
    }
    return {name: meaning for name, meaning in found.items() if meaning}


def given_by_the_user(model: GenerativeModel) -> dict[str, str]:
    """Class and conditions, which whoever generates decides."""
    schema, found = model.schema, {}
    if schema.condition:
        names = ", ".join(f"{q.name} [{q.unit or '1'}]" for q in schema.condition)
        found["y"] = f"[batch, {len(schema.condition)}] float32, {names}"
    if schema.labels:
        trained = ", ".join(f"{schema.labels.index(name)} {name}" for name in model.classes)
        found["label"] = f"[batch] int64, class: {trained}"
    return found


def total_of(model: GenerativeModel) -> str:
    """What the total of an event is."""
    weight = model.schema.weight
    assert weight is not None
    return f"[batch] float32, sum of {weight.name} [{weight.unit or '1'}]"


def outputs_of(model: GenerativeModel) -> dict[str, str]:
    """Name of each output of the generator, and what it is."""
    schema = model.schema
    axes = ", ".join(f"{axis.name} [{axis.unit or '1'}]" for axis in schema.axes)
    found = {"pos": f"[batch, points, {len(schema.axes)}] float32, {axes}"}
    if schema.weight is not None:
        unit = schema.weight.unit or "1"
        found["weight"] = f"[batch, points] float32, {schema.weight.name} [{unit}]"
    if schema.features:
        names = ", ".join(f"{each.name} [{each.unit or '1'}]" for each in schema.features)
        found["x"] = f"[batch, points, {len(schema.features)}] float32, {names}"
    return found | {"mask": "[batch, points] bool, false where there is no point"}


def free_axes(meanings: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """The free axes of inputs or outputs, from their descriptions."""
    free = {"[batch, points": ("batch", "points"), "[batch": ("batch",)}
    return {
        n: next(a for start, a in free.items() if m.startswith(start)) for n, m in meanings.items()
    }
