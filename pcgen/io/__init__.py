"""Files of clouds, images and showers, in the formats of :data:`pcgen.formats.FORMATS`.

Everything is read and written in blocks, so that a file may be larger than memory, and written
atomically: a file appears complete, or not at all. Values are checked on the way in and out.
"""

from __future__ import annotations

from pcgen.formats import FORMATS, written_format
from pcgen.io.atomic import atomic, atomic_folder
from pcgen.io.calochallenge import ShowerFile, ShowerWriter, read_showers
from pcgen.io.clouds_file import CloudFile, CloudWriter
from pcgen.io.files import (
    check_output,
    cloud_writer,
    image_writer,
    open_cloud_file,
    open_file,
    read_clouds,
    read_format,
    shower_writer,
    write_clouds,
)
from pcgen.io.geometry import read_calorimeter, write_calorimeter
from pcgen.io.image_source import Images, ImageSink, ImageSource, ShowerSink, ShowerSource
from pcgen.io.jetnet import JETS, JetNetFile
from pcgen.io.source import CloudSink, CloudSource

__all__ = [
    "FORMATS",
    "JETS",
    "CloudFile",
    "CloudSink",
    "CloudSource",
    "CloudWriter",
    "ImageSink",
    "ImageSource",
    "Images",
    "JetNetFile",
    "ShowerFile",
    "ShowerSink",
    "ShowerSource",
    "ShowerWriter",
    "atomic",
    "atomic_folder",
    "check_output",
    "cloud_writer",
    "image_writer",
    "open_cloud_file",
    "open_file",
    "read_calorimeter",
    "read_clouds",
    "read_format",
    "read_showers",
    "shower_writer",
    "write_calorimeter",
    "write_clouds",
    "written_format",
]
