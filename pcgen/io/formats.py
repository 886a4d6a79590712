"""Which layout a file has: its ending decides for those to be written, its content for HDF5."""

from __future__ import annotations

from pathlib import Path

from torch_geometric.data import Batch

from pcgen.io.clouds_file import CloudFile, CloudWriter
from pcgen.io.hdf5 import open_hdf5
from pcgen.io.jetnet import JetNetFile, is_jetnet
from pcgen.io.source import CloudSource
from pcgen.schema import Schema


def open_cloud_file(path: str | Path, *, label: str | None = None) -> CloudSource:
    """Open a file of clouds, pcgen's own or JetNet's, whichever it is by its content.

    Args:
        path: File.
        label: Class of all jets of a JetNet file; None: told by the file or its name.

    Raises:
        FileError: the file is missing, truncated or of another layout.
    """
    with open_hdf5(path) as file:
        jets = is_jetnet(file)
    return JetNetFile(path, label) if jets else CloudFile(path)


def read_clouds(path: str | Path, *, label: str | None = None) -> tuple[Batch, Schema]:
    """All clouds of a file and what they mean.

    Raises:
        FileError: the file is missing, truncated or of another layout.
        DataError: a value is NaN, infinite or a negative weight.
    """
    with open_cloud_file(path, label=label) as source:
        return source.read(), source.schema


def write_clouds(path: str | Path, clouds: Batch, schema: Schema) -> None:
    """Write all clouds to a pcgen cloud file, at once or not at all.

    Raises:
        FileError: the file cannot be written.
        DataError: a value is NaN, infinite or a negative weight, or disagrees with the schema.
    """
    with CloudWriter(path, schema) as writer:
        writer.append(clouds)
