"""Files: clouds (pcgen's ragged HDF5, JetNet, PLY, PCD, XYZ), images (npy, npz, HDF5, PNG).

Everything is read and written in blocks, so that a file may be larger than memory, and written
atomically: a file appears complete, or not at all.
"""

from __future__ import annotations

from pcgen.io.atomic import atomic, atomic_folder
from pcgen.io.clouds_file import CloudFile, CloudWriter
from pcgen.io.formats import open_cloud_file, read_clouds, write_clouds
from pcgen.io.jetnet import JETS, JetNetFile
from pcgen.io.source import CloudSink, CloudSource

__all__ = [
    "JETS",
    "CloudFile",
    "CloudSink",
    "CloudSource",
    "CloudWriter",
    "JetNetFile",
    "atomic",
    "atomic_folder",
    "open_cloud_file",
    "read_clouds",
    "write_clouds",
]
