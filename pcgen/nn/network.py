"""What all networks have in common with those of PyG: ``reset_parameters`` and ``extra_repr``.

``reset_parameters`` draws the parameters again, as the constructor did: after the same
``torch.manual_seed`` a network that was reset is equal to a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized


class Network(nn.Module):
    """A module that prints its sizes, and whose parameters can be drawn again; abstract.

    Networks that start otherwise than their layers do extend :meth:`reset_parameters`.

    Attributes:
        shown: Names of the attributes that are printed, where they are neither 0, False nor None.
        former_names: How names of tensors began in files of earlier versions, and begin now.
    """

    shown: ClassVar[tuple[str, ...]] = ()
    former_names: ClassVar[Mapping[str, str]] = {}

    def reset_parameters(self) -> None:
        """Draw all parameters again."""
        reset(self)

    def extra_repr(self) -> str:
        """Sizes of the network, for ``print``."""
        values = {name: getattr(self, name) for name in self.shown}
        return ", ".join(f"{name}={value}" for name, value in values.items() if value)

    def rename_former(self, state: dict[str, Any], prefix: str) -> None:
        """Give the tensors of this network, in a stored state, their present names.

        Args:
            state: Names and tensors; changed in place.
            prefix: How all names of this network begin.
        """
        for former, now in self.former_names.items():
            for name in [each for each in state if each.startswith(prefix + former)]:
                state[prefix + now + name.removeprefix(prefix + former)] = state.pop(name)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        self.rename_former(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *rest)


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
