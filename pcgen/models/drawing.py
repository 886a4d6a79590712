"""Random numbers for models: those of :mod:`pcgen.ops.drawing`."""

from pcgen.ops.drawing import normal, uniform

__all__ = ["normal", "uniform"]
