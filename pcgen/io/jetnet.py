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
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.errors import ArgumentError, DataError, FileError
from pcgen.io.beside import classes
from pcgen.io.hdf5 import native, opened, values_of
from pcgen.io.hdf5_door import attribute, contents, data_set, listed, reading
from pcgen.io.image_source import floats
from pcgen.io.source import CloudSource
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

    def close(self) -> None:
        self._file.close()

    def sizes(self) -> Tensor:
        """Number of particles of each jet [B]; the masks are read once and counted."""
        if self._sizes is None:
            starts = range(0, len(self), _BLOCK)
            counted = [self._present(start, min(start + _BLOCK, len(self))) for start in starts]
            rows = [torch.from_numpy(present.sum(1)) for present in counted]
            self._sizes = torch.cat(rows) if rows else torch.zeros(0, dtype=torch.long)
        return self._sizes

    def _present(self, start: int, stop: int) -> np.ndarray[Any, Any]:
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

    def _masked(self, mask: np.ndarray[Any, Any], start: int) -> np.ndarray[Any, Any]:
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

    def _refuse_nan(self, particles: np.ndarray[Any, Any], start: int) -> None:
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

    def _check_padding(
        self, values: np.ndarray[Any, Any], present: np.ndarray[Any, Any], start: int
    ) -> None:
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


def _check_counts(
    present: np.ndarray[Any, Any], counts: np.ndarray[Any, Any], start: int, path: Path
) -> None:
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
    found = [data_set(file, name, path) for name in ("particle_features", "jet_features")]
    particles, jets = found
    if particles is None or jets is None:
        raise FileError(
            f"{path}: got the data sets {listed(file, path)}, "
            f"expected JetNet's particle_features and jet_features"
        )
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
