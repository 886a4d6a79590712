"""What all networks have in common with those of PyG: ``reset_parameters`` and ``extra_repr``.

``reset_parameters`` draws the parameters again, as the constructor did: after the same
``torch.manual_seed`` a network that was reset is equal to a new one.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized


class Network(nn.Module):
    """A module that prints its sizes, and whose parameters can be drawn again; abstract.

    Networks that start otherwise than their layers do extend :meth:`reset_parameters`.

    Attributes:
        shown: Names of the attributes that are printed, where they are neither 0, False nor None.
    """

    shown: ClassVar[tuple[str, ...]] = ()

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        reset(self)

    def extra_repr(self) -> str:
        """Sizes of the network, for ``print``."""
        values = {name: getattr(self, name) for name in self.shown}
        return ", ".join(f"{name}={value}" for name, value in values.items() if value)


def reset(module: nn.Module) -> None:
    """Draw the parameters of the parts of a module again, in the order of the parts.

    As ``torch_geometric.nn.inits.reset``, and also where a weight is parametrised: there torch's
    own ``reset_parameters`` changes a copy.
    """
    for part in module.children():
        if isinstance(part, nn.Linear) and is_parametrized(part):
            _redraw(part)
        elif callable(draw := getattr(part, "reset_parameters", None)):
            draw()
        else:
            reset(part)


def _redraw(layer: nn.Linear) -> None:
    """The weight goes through the inverse of its parametrisation."""
    bias = layer.bias is not None
    plain = nn.Linear(layer.in_features, layer.out_features, bias=bias).to(layer.weight)
    with torch.no_grad():
        layer.weight = plain.weight.detach()
        if bias:
            layer.bias.copy_(plain.bias)
