r"""Clouds of jets written as events of HepMC3, its text format, by pyhepmc.

Each jet is an event in GeV and mm of one vertex: the jet goes in, its particles come out.

======== ====== ====== =====================================================================
what     status PDG id four-momentum
======== ====== ====== =====================================================================
jet      2      0      sum of its particles
particle 1      0      :math:`p_T (\cos\phi, \sin\phi, \sinh\eta, \cosh\eta)`, massless
======== ====== ====== =====================================================================

with :math:`\eta = \eta_\mathrm{rel} + \eta_\mathrm{jet}` and the same for :math:`\phi`. The axis is
that of the conditions ``jet_eta`` and ``jet_phi``; it is 0 where a model has no such condition. The
kind of a particle is not generated, so its PDG id is 0, "unknown". Readers of HepMC3 take an event
without particles for the end of the file: an empty cloud is a jet and one particle of no momentum,
whose status is 3 (an entry for documentation) and not 1. Class and conditions are attributes of the
event, by their names.

Buckley et al., "The HepMC3 event record library", Comput. Phys. Commun. 260 (2021) 107310, arXiv
1912.08005.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import require
from pcgen.io.atomic import atomic
from pcgen.io.jetnet import check_jets
from pcgen.io.source import CloudSink
from pcgen.schema import Schema

_STABLE, _DECAYED, _DOCUMENTATION = 1, 2, 3
_UNKNOWN = 0


class HepMCWriter(CloudSink):
    """Writes jets as HepMC3 events; use it in a ``with`` statement.

    Args:
        path: File.
        schema: Must have the axes eta_rel and phi_rel in rad, and a weight in GeV.
        attrs: Facts on how the jets were generated; the version of pcgen among them is stored.

    Raises:
        ArgumentError: the clouds are not jets.
        MissingExtraError: pyhepmc is not installed.
    """

    def __init__(
        self, path: str | Path, schema: Schema, attrs: Mapping[str, Any] | None = None
    ) -> None:
        self.path, self.schema = Path(path), schema
        check_jets(path, schema, "HepMC3")
        self._hepmc = require("pyhepmc", "hepmc")
        self._run = self._hepmc.GenRunInfo()
        self._run.tools = [("pcgen", str((attrs or {}).get("pcgen", "")), "jets")]
        self._run.weight_names = ["Default"]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with atomic(self.path) as temporary, self._hepmc.open(str(temporary), "w") as self._file:
            yield

    def _append(self, block: Batch) -> int:
        names = [quantity.name for quantity in self.schema.condition]
        y = block.get("y")
        known = {} if y is None else dict(zip(names, y.double().unbind(1), strict=True))
        momenta = _momenta(block, known).cpu().split(convention.sizes(block).tolist())
        label = block.get("label")
        for number, momentum in enumerate(momenta):
            facts: dict[str, Any] = {name: float(value[number]) for name, value in known.items()}
            if label is not None and self.schema.labels:
                facts["class"] = self.schema.labels[int(label[number])]
            self._file.write(self._event(self.written + number, momentum, facts))
        return len(momenta)

    def _event(self, number: int, momentum: Tensor, facts: dict[str, Any]) -> Any:
        library = self._hepmc
        event = library.GenEvent(library.Units.GEV, library.Units.MM)
        event.run_info, event.event_number, event.weights = self._run, number, [1.0]
        vertex = library.GenVertex()
        total = library.FourVector(*momentum.sum(0).tolist())
        vertex.add_particle_in(library.GenParticle(total, _UNKNOWN, _DECAYED))
        status = _STABLE if len(momentum) else _DOCUMENTATION
        for row in momentum.tolist() or [[0.0] * 4]:
            particle = library.GenParticle(library.FourVector(*row), _UNKNOWN, status)
            vertex.add_particle_out(particle)
        event.add_vertex(vertex)
        event.attributes = facts
        return event


def _momenta(block: Batch, known: dict[str, Tensor]) -> Tensor:
    """Four-momenta (p_x, p_y, p_z, E) of massless particles [N, 4], in float64."""
    eta, phi = block.pos.double().unbind(1)
    eta = eta + known["jet_eta"][block.batch] if "jet_eta" in known else eta
    phi = phi + known["jet_phi"][block.batch] if "jet_phi" in known else phi
    pt = convention.weights(block).double()
    return torch.stack([pt * phi.cos(), pt * phi.sin(), pt * eta.sinh(), pt * eta.cosh()], 1)
