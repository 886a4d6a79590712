"""JetNet's layout of jets in HDF5: one class a file, 30 or 150 particles a jet, zero padded.

Kansal et al., "Particle Cloud Generation with Message Passing Generative Adversarial Networks",
NeurIPS 2021, arXiv:2106.11535.

=================== ========= ==============================================================
dataset             shape     columns
=================== ========= ==============================================================
/particle_features  [N, P, 4] eta_rel, phi_rel, pt_rel, mask (1 particle, 0 padding); the mask
                              may be missing: then rows of zeros are padding
/jet_features       [N, 4]    pt [GeV], eta, mass [GeV], number of particles (compared with
                              the particles, of which P are stored at most; zeros: not stated)
=================== ========= ==============================================================

As clouds: pos = (eta_rel, phi_rel), weight = pt_rel · pt in GeV, y = [pt]. Written files hold the
classes in a further data set ``label`` [N] (order g, q, t, w, z, or these names), which other
readers pass over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io.atomic import atomic
from pcgen.io.beside import classes
from pcgen.io.hdf5 import Hdf5Output, native, opened, values_of
from pcgen.io.hdf5_door import attribute, contents, data_set, needed, reading
from pcgen.io.image_source import floats
from pcgen.io.source import Array, CloudSink, CloudSource
from pcgen.schema import Quantity, Schema

JETS = Schema(
    axes=(
        Quantity("eta_rel", symbol=r"$\eta^\mathrm{rel}$"),
        Quantity("phi_rel", "rad", 2 * math.pi, r"$\phi^\mathrm{rel}$"),
    ),
    weight=Quantity("pt", "GeV", symbol=r"$p_T$"),
    condition=(Quantity("jet_pt", "GeV", symbol=r"$p_T^\mathrm{jet}$"),),
    labels=("g", "q", "t", "w", "z"),
    description="particles of jets, relative to the jet axis",
)

_BLOCK = 4096


class JetNetFile(CloudSource):
    """A file in JetNet's layout, read as clouds with the schema :data:`JETS`.

    Args:
        path: File.
        label: Class of its jets, one of g, q, t, w, z. None: the data set ``label`` or the
            attribute ``class`` where the file has one, otherwise the file's name where its first
            or last part is a class with or without a number (``g.hdf5``, ``t150.hdf5``,
            ``R04_q.hdf5``); jets of no known class have no ``label``.

    Raises:
        ArgumentError: the label is none of the classes.
        FileError: the file is missing, truncated, or has other data sets or shapes.
        DataError: the class of a jet is no whole number and no name of a class; reading: mask,
            particles and number of particles disagree; names the event.
    """

    def __init__(self, path: str | Path, label: str | None = None) -> None:
        self.path, self.schema = Path(path), JETS
        if label is not None and label not in JETS.labels:
            raise ArgumentError(f"label: got {label!r}, expected one of {', '.join(JETS.labels)}")
        self._requested = label
        with opened(path) as self._file:
            self._particles, self._jets = _data_sets(self._file, self.path)
            self._labels = None if label else _labels(self._file, self.path, len(self))
            self._class = label or (_class(self._file, self.path) if self._labels is None else None)
            known = {"particle_features", "jet_features", "label"}
            self.passed_over = contents(self._file, known, self.path)
        self.attrs: dict[str, Any] = {"layout": "JetNet", "particles": self._particles.shape[1]}
        self._sizes: Tensor | None = None
        self._stated: bool | None = None

    def __reduce__(self) -> tuple[type[JetNetFile], tuple[Path, str | None]]:
        return JetNetFile, (self.path, self._requested)

    def __len__(self) -> int:
        return int(self._particles.shape[0])

    def sizes(self) -> Tensor:
        """Number of particles of each jet [B]; the masks are read once and counted."""
        if self._sizes is None:
            starts = range(0, len(self), _BLOCK)
            counted = [self._present(start, min(start + _BLOCK, len(self))) for start in starts]
            rows = [torch.from_numpy(present.sum(1)) for present in counted]
            self._sizes = torch.cat(rows) if rows else torch.zeros(0, dtype=torch.long)
        return self._sizes

    def _present(self, start: int, stop: int) -> Array:
        """Which rows are particles [B, P]; as many in a jet as the file itself states."""
        with reading(self.path):
            counts = self._jets[start:stop, 3]
            if self._particles.shape[2] == 3:
                particles = self._particles[start:stop]
                self._refuse_nan(particles, start)
                present = (particles != 0).any(2)
            else:
                present = self._masked(self._particles[start:stop, :, 3], start)
        if self._counted():
            _check_counts(present, counts, start, self.path)
        return present

    def _masked(self, mask: Array, start: int) -> Array:
        """Where a mask [b, P] is 1; it must be 0 or 1."""
        bad = ((mask != 0) & (mask != 1)).any(1)
        if bad.any():
            event = int(bad.argmax())
            raise DataError(
                f"{self.path}: mask of event {start + event} is not 0 or 1, "
                f"expected 1 for a particle and 0 for padding in the fourth column"
            )
        return mask == 1

    def _counted(self) -> bool:
        """Whether the file states how many particles a jet has: the column is not left at zero."""
        if self._stated is None:
            with reading(self.path):
                self._stated = bool((self._jets[:, 3] != 0).any())
        return self._stated

    def _refuse_nan(self, particles: Array, start: int) -> None:
        """NaN is neither a particle nor, without a mask, padding."""
        bad = np.isnan(particles).any((1, 2))
        if bad.any():
            raise DataError(
                f"{self.path}: particle_features of event {start + int(bad.argmax())} holds NaN, "
                "expected zeros as padding, or a mask (1 particle, 0 padding) as fourth column"
            )

    def _read(self, start: int, stop: int) -> Batch:
        with reading(self.path):
            values = native(self._particles[start:stop], f"{self.path}: particle_features")
            jets = floats(self._jets[start:stop], self.path).numpy()
        if values.dtype.kind not in "biuf":
            raise DataError(
                f"{self.path}: got values of type {values.dtype}, expected real numbers"
            )
        if values.shape[2] == 3:
            self._refuse_nan(values, start)
            present = (values != 0).any(2)
        else:
            present = self._masked(values[:, :, 3], start)
        self._check_padding(values, present, start)
        if self._counted():
            _check_counts(present, jets[:, 3], start, self.path)
        particles, pt = floats(values[present], self.path), torch.from_numpy(jets[:, 0])
        sizes = torch.from_numpy(present.sum(1))
        return convention.make(
            particles[:, :2].contiguous(),
            sizes,
            weight=particles[:, 2] * torch.repeat_interleave(pt, sizes),
            y=pt[:, None],
            label=self._label(start, stop),
        )

    def _check_padding(self, values: Array, present: Array, start: int) -> None:
        """Rows of padding hold zeros."""
        hidden = (values[:, :, :3] != 0).any(2) & ~present
        if hidden.any():
            event, particle = (int(place) for place in np.argwhere(hidden)[0])
            raise DataError(
                f"{self.path}: particle {particle} of event {start + event} is "
                f"{values[event, particle, :3].tolist()} under the mask 0, expected zeros as "
                "padding"
            )

    def _label(self, start: int, stop: int) -> Tensor | None:
        if self._class is not None:
            return torch.full((stop - start,), JETS.labels.index(self._class))
        return None if self._labels is None else self._labels[start:stop]


def _check_counts(present: Array, counts: Array, start: int, path: Path) -> None:
    """Refuse jets [B] whose stated number of particles is not that of their rows [B, P]."""
    found, room = present.sum(1), present.shape[1]
    wrong = (counts != found) & ~((counts > room) & (found == room))
    if wrong.any():
        event = int(wrong.argmax())
        raise DataError(
            f"{path}: event {start + event} has {found[event]} particles, expected "
            f"{counts[event]:g} as jet_features states (fourth column)"
        )


def _data_sets(file: h5py.File, path: Path) -> tuple[h5py.Dataset, h5py.Dataset]:
    names = ("particle_features", "jet_features")
    particles, jets = needed(file, names, path, "JetNet's")
    if particles.ndim != 3 or particles.shape[2] not in (3, 4):
        raise FileError(
            f"{path}: particle_features has shape {particles.shape}, "
            f"expected [N, P, 4] of eta_rel, phi_rel, pt_rel, mask"
        )
    if jets.shape != (particles.shape[0], 4):
        raise FileError(
            f"{path}: jet_features has shape {jets.shape}, "
            f"expected {(particles.shape[0], 4)} of pt, eta, mass, number of particles"
        )
    return particles, jets


def _labels(file: h5py.File, path: Path, jets: int) -> Tensor | None:
    """Class of each jet, where the file holds them: numbers in the schema's order, or names."""
    data = data_set(file, "label", path)
    if data is None:
        return None
    return classes(values_of(data, path), jets, f"{path}: label", JETS.labels)[0]


def _class(file: h5py.File, path: Path) -> str | None:
    """Class of all jets of the file, where the file or its name states it."""
    stored = attribute(file, "class", path)
    if stored in JETS.labels:
        return stored
    parts = re.split(r"[_\-. ]", path.stem)
    for part in (parts[0], parts[-1]):
        match = re.fullmatch(r"([gqtwz])\d*", part)
        if match:
            return match[1]
    return None


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


def _padded(block: Batch, fraction: Tensor, particles: int) -> Array:
    """[B, P, 4], particles in falling order of pT, then zeros."""
    order = torch.argsort(fraction, descending=True, stable=True)
    order = order[torch.argsort(block.batch[order], stable=True)]
    rank = torch.arange(len(order), device=order.device) - block.ptr[block.batch]
    kept = rank < particles
    rows = torch.cat([block.pos, fraction[:, None], torch.ones_like(fraction)[:, None]], 1)
    dense = fraction.new_zeros(block.num_graphs, particles, 4)
    dense[block.batch[kept], rank[kept]] = rows[order][kept]
    return _array(dense)


def _array(value: Tensor) -> Array:
    return value.detach().cpu().numpy()
