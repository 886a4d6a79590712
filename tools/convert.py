"""``pcgen convert``: :func:`pcgen.convert` and, in words, what it has done."""

from __future__ import annotations

from collections.abc import Iterator
from functools import wraps
from typing import Any

from pcgen import conversion


@wraps(conversion.convert)
def convert(source: str, target: str, **options: Any) -> conversion.Converted:
    from rich.console import Console

    from pcgen.escaping import terminal

    done = conversion.convert(source, target, **options)
    console = Console(soft_wrap=True)
    for line in _lines(done, target, options.get("outside")):
        console.print(terminal(line))
    return done


def _lines(done: conversion.Converted, target: str, outside: str | None) -> Iterator[str]:
    if done.format == "geometry":
        yield f"{target}: the calorimeter, {done.points} voxels"
        return
    yield "; ".join(
        [f"{target}: {_many(done.events, 'event')}, {done.points} points", *_left(done, outside)]
    )
    yield from done.doubts
    if done.passed_over:
        hint = "(--condition 'NAME [UNIT]=ARRAY' and --labels ARRAY take such arrays)"
        yield f"passed over: {', '.join(done.passed_over)} {hint}"
    if done.lost:
        yield f"lost, as {done.format} has no place for it: {', '.join(done.lost)}"


def _left(done: conversion.Converted, outside: str | None) -> Iterator[str]:
    """What is not in the target as it is in the source, and its contexts."""
    if done.context is not None:
        yield f"contexts of {done.context} points"
    if done.outside:
        verb = "dropped" if outside == "drop" else "put into the nearest cell"
        yield f"{done.outside} of weight {done.outside_weight:.6g} were outside and {verb}"
    for kind, number in (("unobserved", done.unobserved), ("negative", done.negative)):
        if number:
            yield f"{_many(number, f'{kind} cell')} gave no point"
    if done.missing:
        were = "were" if done.missing > 1 else "was"
        yield f"{done.missing} without coordinates {were} left out"
    if done.rounded:
        yield "rounded to float32 (--dtype float64 keeps all digits)"
    if done.wide:
        yield f"stored as float64, since {done.wide}"


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
