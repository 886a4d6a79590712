"""Events of HepMC3 and HepMC2 as a table: a row for each event, lists for its particles.

================== ============================================================
column             what
================== ============================================================
px, py, pz, e      momentum and energy in GeV, whichever unit the event has
generated_mass     in GeV
pid, status        particle type (PDG) and status; 1 is a final particle
event_number       of the event
================== ============================================================
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pcgen.bounds import check_unpacked
from pcgen.errors import FileError, require
from pcgen.io.source import existing_file
from pcgen.io.tables.table import CHUNK_BYTES, Column, Table, Values, joined

_MOMENTA = ("px", "py", "pz", "e", "generated_mass")
_EVENTS = 1000  # of a chunk, at most
_PARTICLES = CHUNK_BYTES // 100
_BLOCK = 1 << 20


class HepmcTable(Table):
    """A file of HepMC events, read from its beginning on.

    Args:
        path: File, HepMC3 (Asciiv3) or HepMC2 (IO_GenEvent), also packed by gzip.

    Raises:
        FileError: it is missing, damaged or no such file.
        MissingExtraError: pyhepmc is not installed.
    """

    from_start = True

    def __init__(self, path: str | Path) -> None:
        self.path = existing_file(path)
        self._hepmc = require("pyhepmc", "hepmc")
        self._rows: int | None = None
        self.columns = {name: Column("float64", 1) for name in _MOMENTA}
        self.columns |= {"pid": Column("int32", 1), "status": Column("int32", 1)}
        self.columns |= {"event_number": Column("int64")}

    def rows(self) -> int:
        """Number of events: of lines that begin with ``E``."""
        if self._rows is None:
            stored, size, number, before = self.path.stat().st_size, 0, 0, b"\n"
            packed = self.path.suffix.lower() == ".gz"
            try:
                with (gzip.open if packed else open)(self.path, "rb") as file:
                    while block := file.read(_BLOCK):
                        size += len(block)
                        check_unpacked(size, stored, str(self.path))
                        number += (before[-2:] + block).count(b"\nE ")
                        before = before[-2:] + block[-2:]
            except (OSError, EOFError) as error:
                raise FileError(f"{self.path}: cannot be read ({error})") from error
            self._rows = number
        return self._rows

    def stream(self, names: Sequence[str], start: int) -> Iterator[dict[str, Values]]:
        held: list[dict[str, Values]] = []
        particles, given = 0, False
        for row, event in enumerate(self._events()):
            if row < start:
                continue
            held.append({name: _values(name, event) for name in names})
            particles += len(event.particles)
            if len(held) == _EVENTS or particles > _PARTICLES:
                yield {name: joined([each[name] for each in held]) for name in names}
                held, particles, given = [], 0, True
        if not held and not given:
            held = [{name: self._nothing(name) for name in names}]
        if held:
            yield {name: joined([each[name] for each in held]) for name in names}

    def _nothing(self, name: str) -> Values:
        depth = self.columns[name].depth
        return Values(np.zeros(0), np.zeros(1, np.int64) if depth else None)

    def _events(self) -> Iterator[Any]:
        number = 0
        try:
            with self._quiet():
                file = self._hepmc.open(str(self.path))
            with file:
                events = iter(file)
                while True:
                    with self._quiet():
                        event = next(events, None)
                    if event is None:
                        return
                    yield event
                    number += 1
        except (OSError, RuntimeError, ValueError, TypeError, EOFError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise FileError(
                f"{self.path}: event {number} cannot be read as HepMC ({reason})"
            ) from error

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """The library prints what it finds wrong; that becomes an error here."""
        setup = self._hepmc.Setup
        names = ("print_errors", "print_warnings", "debug_level")
        before = {name: getattr(setup, name) for name in names}
        try:
            for name in names:
                setattr(setup, name, 0)
            yield
        finally:
            for name, value in before.items():
                setattr(setup, name, value)


def _values(name: str, event: Any) -> Values:
    """A column of one event; momenta are converted to GeV."""
    if name == "event_number":
        return Values(np.array([event.event_number]))
    values = np.array(getattr(event.numpy.particles, name))
    if name in _MOMENTA and event.momentum_unit.name == "MEV":
        values = values / 1000
    return Values.of_sizes(values, np.array([len(values)]))
