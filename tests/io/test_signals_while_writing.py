"""A signal that comes while HDF5 writes ends the program once, and after the write."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from pcgen.errors import Terminated
from pcgen.io import hdf5


def test_a_signal_waits_until_the_rows_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, sent = hdf5._Bytes.write, []

    def write(self: hdf5._Bytes, data: memoryview) -> int:
        if not sent:
            sent.append(os.getpid())
            os.kill(os.getpid(), signal.SIGTERM)
        return inner(self, data)

    def terminate(number: int, frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    path = tmp_path / "a.h5"
    try:
        with hdf5.Hdf5Output(path) as output:
            monkeypatch.setattr(hdf5._Bytes, "write", write)
            with pytest.raises(Terminated):
                output.extend("x", np.arange(1_000_000.0))
        assert sent
        assert signal.getsignal(signal.SIGTERM) is terminate
        with hdf5.open_hdf5(path) as file:
            assert np.array_equal(file["x"][:], np.arange(1_000_000.0))
    finally:
        signal.signal(signal.SIGTERM, before)
