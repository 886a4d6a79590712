"""Files: clouds (ragged HDF5, JetNet, PLY, PCD, XYZ, npz, HepMC3), images and showers.

Everything is read and written in blocks, so that a file may be larger than memory, and written
atomically: a file appears complete, or not at all. Values are checked on the way in and out.
"""

from __future__ import annotations

from pcgen.io.atomic import atomic, atomic_folder
from pcgen.io.calochallenge import ShowerFile, read_showers
from pcgen.io.clouds_file import CloudFile, CloudWriter
from pcgen.io.formats import (
    CloudFormat,
    Format,
    ImageFormat,
    cloud_writer,
    image_writer,
    open_cloud_file,
    open_file,
    read_clouds,
    read_format,
    write_clouds,
    written_format,
)
from pcgen.io.image_source import Images, ImageSink, ImageSource
from pcgen.io.jetnet import JETS, JetNetFile
from pcgen.io.source import CloudSink, CloudSource

__all__ = [
    "JETS",
    "CloudFile",
    "CloudFormat",
    "CloudSink",
    "CloudSource",
    "CloudWriter",
    "Format",
    "ImageFormat",
    "ImageSink",
    "ImageSource",
    "Images",
    "JetNetFile",
    "ShowerFile",
    "atomic",
    "atomic_folder",
    "cloud_writer",
    "image_writer",
    "open_cloud_file",
    "open_file",
    "read_clouds",
    "read_format",
    "read_showers",
    "write_clouds",
    "written_format",
]
