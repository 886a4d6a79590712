"""Clouds of jets written in JetNet's layout (:mod:`pcgen.io.jetnet`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import ArgumentError, DataError
from pcgen.io.atomic import atomic
from pcgen.io.hdf5 import Hdf5Output
from pcgen.io.jetnet import JETS
from pcgen.io.source import CloudSink
from pcgen.schema import Schema


class JetNetWriter(CloudSink):
    """Writes jets in JetNet's layout; use it in a ``with`` statement.

    Particles are sorted by pT. The jet's pt is the condition ``jet_pt`` where there is one,
    otherwise that of the particles' vector sum; its mass is ``jet_mass``, otherwise that of the sum
    of massless particles (some percent below the true one); its eta is ``jet_eta``, otherwise 0,
    since clouds are relative to the jet axis.
    Further features, layers and cells have no place in this layout and are left out.

    Args:
        path: File.
        schema: Must have the axes eta_rel and phi_rel in rad, and a weight in GeV.
        particles: P; of jets with more, those of highest pT are kept.

    Raises:
        ArgumentError: the clouds are not jets, a condition is not in GeV, or P is not positive.
    """

    def __init__(self, path: str | Path, schema: Schema, *, particles: int) -> None:
        self.path, self.schema, self._particles = Path(path), schema, particles
        check_jets(path, schema, "JetNet's layout")
        for quantity in schema.condition:
            if quantity.name in ("jet_pt", "jet_mass") and quantity.unit not in ("", "GeV"):
                raise ArgumentError(
                    f"{path}: got {quantity.name} in {quantity.unit}, expected GeV for JetNet's "
                    "layout"
                )
        if not set(schema.labels) <= set(JETS.labels):
            raise ArgumentError(
                f"{path}: got the classes {', '.join(schema.labels)}, "
                f"expected JetNet's {', '.join(JETS.labels)}"
            )
        if not 1 <= particles < 2**31:
            raise ArgumentError(f"particles: got {particles}, expected 1 to 2**31 - 1")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with atomic(self.path) as temporary, Hdf5Output(temporary) as self._file:
            self._file.extend("particle_features", np.zeros((0, self._particles, 4), np.float32))
            self._file.extend("jet_features", np.zeros((0, 4), np.float32))
            yield

    def _append(self, block: Batch) -> int:
        names = [quantity.name for quantity in self.schema.condition]
        y = block.get("y")
        known = {} if y is None else dict(zip(names, y.unbind(1), strict=True))
        weight = convention.weights(block)
        pt, mass = _pt_and_mass(block.pos, weight, block.batch, block.num_graphs)
        pt = known.get("jet_pt", pt)
        empty = (pt <= 0) & (convention.sizes(block) > 0)
        if empty.any():
            event = int(empty.nonzero()[0])
            raise DataError(
                f"{self.path}: jet pt of event {self.written + event} is {float(pt[event])}, "
                f"expected a positive one, since the particles are stored as its fractions"
            )
        eta, mass = known.get("jet_eta", torch.zeros_like(pt)), known.get("jet_mass", mass)
        jets = [pt, eta, mass, convention.sizes(block)]
        self._file.extend(
            "jet_features", _array(torch.stack([column.to(pt) for column in jets], 1))
        )
        self._file.extend(
            "particle_features",
            _padded(block, weight / pt[block.batch], self._particles),
        )
        if block.get("label") is not None:
            order = [JETS.labels.index(name) for name in self.schema.labels or JETS.labels]
            self._file.extend("label", _array(torch.tensor(order)[block.label.cpu()]))
        return block.num_graphs


def check_jets(path: str | Path, schema: Schema, layout: str) -> None:
    """Refuse clouds that are no particles of jets.

    Raises:
        ArgumentError: naming their axes and weight, and the layout that needs others.
    """
    axes = [(axis.name, axis.unit) for axis in schema.axes]
    unit = schema.weight.unit if schema.weight else "nothing"
    if axes != [(axis.name, axis.unit) for axis in JETS.axes] or unit != "GeV":
        raise ArgumentError(
            f"{path}: got clouds with axes {[axis.label for axis in schema.axes]} and a weight "
            f"in {unit!r}, expected eta_rel, phi_rel [rad] and GeV for {layout}"
        )


def _pt_and_mass(pos: Tensor, pt: Tensor, batch: Tensor, jets: int) -> tuple[Tensor, Tensor]:
    """Transverse momentum and mass [B] of the sum of massless particles.

    The mass does not change when a jet is moved along the beam and around it, so coordinates
    relative to the jet axis serve as well as absolute ones.
    """
    eta, phi = pos.double().unbind(1)
    pt = pt.double()
    momenta = [pt * phi.cos(), pt * phi.sin(), pt * eta.sinh(), pt * eta.cosh()]
    zeros = pt.new_zeros(jets)
    px, py, pz, energy = (zeros.index_add(0, batch, momentum) for momentum in momenta)
    mass2 = energy**2 - px**2 - py**2 - pz**2
    return torch.hypot(px, py).float(), mass2.clamp(min=0).sqrt().float()


def _padded(block: Batch, fraction: Tensor, particles: int) -> np.ndarray[Any, Any]:
    """[B, P, 4], particles in falling order of pT, then zeros."""
    order = torch.argsort(fraction, descending=True, stable=True)
    order = order[torch.argsort(block.batch[order], stable=True)]
    rank = torch.arange(len(order), device=order.device) - block.ptr[block.batch]
    kept = rank < particles
    rows = torch.cat([block.pos, fraction[:, None], torch.ones_like(fraction)[:, None]], 1)
    dense = fraction.new_zeros(block.num_graphs, particles, 4)
    dense[block.batch[kept], rank[kept]] = rows[order][kept]
    return _array(dense)


def _array(value: Tensor) -> np.ndarray[Any, Any]:
    return value.detach().cpu().numpy()
