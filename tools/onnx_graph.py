"""Functions of tensors as ONNX graphs: written by torch's tracer, run by onnxruntime.

A trace follows one example through the function and keeps its operators. Whatever the function
decides by a value, or by a length that is no shape, would be frozen as it was in the example; so a
graph is run on other examples, of other lengths, before it is given to anyone.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pcgen.errors import ArgumentError, require

OPSET = 18
"""Version of ONNX's operators; onnxruntime knows it since 1.14."""

_ADDED = ("Sinh", "Asinh")
"""Operators that ONNX has since its version 9, and torch's tracer does not know."""

Axes = Mapping[str, Sequence[str]]
"""Names of the leading axes of each input and output whose length is free."""


def require_onnx() -> None:
    """Refuse to begin where the packages of the extra are missing.

    Raises:
        MissingExtraError: naming the extra.
    """
    for module in ("onnx", "onnxruntime"):
        require(module, "export")


class _Named(nn.Module):
    """Tensors in the order of their names, for a module that takes and gives them by name."""

    def __init__(self, module: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.module, self.names = module, tuple(names)

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        found = self.module(**dict(zip(self.names, values, strict=True)))
        return tuple(value for value in found if value is not None)


def write(
    module: nn.Module,
    example: Mapping[str, Tensor],
    outputs: Sequence[str],
    axes: Axes,
    path: Path,
    facts: Mapping[str, Any],
) -> None:
    """Write a module as an ONNX file.

    Args:
        module: Takes tensors by name and returns a named tuple; what is None there is left out.
        example: A value for each input, in the order of the graph's inputs.
        outputs: Names of the outputs that are not None.
        axes: See :data:`Axes`.
        path: File.
        facts: Stored with the graph as ``pcgen``, in JSON.

    Raises:
        ArgumentError: the module has an operator that ONNX does not have.
    """
    import onnx

    added = {f"aten::{name.lower()}": name for name in _ADDED}
    for operator, name in added.items():
        torch.onnx.register_custom_op_symbolic(  # type: ignore[attr-defined]
            operator, _same(name), 9
        )
    try:
        # Warnings of the tracer: each value that is looked at, which are checks of arguments here.
        # Where it meets an operator that it does not know, it prints the whole graph.
        with torch.no_grad(), warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Named(module, list(example)).eval(),
                tuple(example.values()),
                str(path),
                dynamo=False,
                opset_version=OPSET,
                input_names=list(example),
                output_names=list(outputs),
                dynamic_axes={name: dict(enumerate(each)) for name, each in axes.items()},
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, TypeError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise ArgumentError(
            f"the model cannot be written as ONNX ({reason}), expected networks of pcgen's own"
        ) from error
    finally:
        for operator in added:
            torch.onnx.unregister_custom_op_symbolic(operator, 9)  # type: ignore[attr-defined]
    graph = onnx.load(str(path))
    graph.producer_name = "pcgen"
    del graph.metadata_props[:]
    entry = graph.metadata_props.add()
    entry.key, entry.value = "pcgen", json.dumps(dict(facts))
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


def _same(name: str) -> Any:
    """The symbolic function of an operator that has the same meaning in ONNX."""
    return lambda graph, value: graph.op(name, value)


class Graph:
    """An ONNX file in onnxruntime, on one thread of the CPU.

    Args:
        path: File.

    Raises:
        ArgumentError: onnxruntime does not take the graph.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        options.intra_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no base of their own
            reason = " ".join(str(error).split())[-200:]
            raise ArgumentError(
                f"onnxruntime does not take the graph ({reason}), expected networks of pcgen's own"
            ) from error
        self.outputs = [each.name for each in self._session.get_outputs()]

    def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, np.ndarray[Any, Any]]:
        """The outputs by name."""
        found = self._session.run(None, {name: v.numpy() for name, v in inputs.items()})
        return dict(zip(self.outputs, found, strict=True))
