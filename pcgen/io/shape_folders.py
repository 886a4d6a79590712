"""Data sets of shapes in folders: ShapeNet as points (PC15k), and ModelNet as meshes.

    ShapeNetCore.v2.PC15k/02691156/train/<id>.npy       an array [15000, 3]
    ModelNet40/airplane/train/airplane_0001.off         a mesh, of which points are sampled

A folder for each class, in it a folder for each part of the data (train, val, test), or the files
themselves. The path is the whole data set, the folder of a class or that of a part; classes are all
those of the data set in each case, so that ``*/train`` of a shell is one data set. Folders of
ShapeNet have the numbers of WordNet's synsets, which become names.

Chang et al., "ShapeNet", arXiv 1512.03012; its points are those of Yang et al., "PointFlow",
arXiv 1906.12320. Wu et al., "3D ShapeNets" (ModelNet), arXiv 1406.5670.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as convention
from pcgen.bounds import BYTES
from pcgen.errors import FileError
from pcgen.io import off
from pcgen.io.npy_array import ArrayReader, size_of
from pcgen.io.numbered import OneEventFiles
from pcgen.io.source import existing_file
from pcgen.schema import Quantity, Schema

PARTS = ("train", "val", "validation", "test")
"""Names of folders within that of a class."""

SYNSETS = {
    "02691156": "airplane", "02747177": "trash-bin", "02773838": "bag", "02801938": "basket",
    "02808440": "bathtub", "02818832": "bed", "02828884": "bench", "02843684": "birdhouse",
    "02871439": "bookshelf", "02876657": "bottle", "02880940": "bowl", "02924116": "bus",
    "02933112": "cabinet", "02942699": "camera", "02946921": "can", "02954340": "cap",
    "02958343": "car", "02992529": "cellphone", "03001627": "chair", "03046257": "clock",
    "03085013": "keyboard", "03207941": "dishwasher", "03211117": "display",
    "03261776": "earphone", "03325088": "faucet", "03337140": "file-cabinet",
    "03467517": "guitar", "03513137": "helmet", "03593526": "jar", "03624134": "knife",
    "03636649": "lamp", "03642806": "laptop", "03691459": "loudspeaker", "03710193": "mailbox",
    "03759954": "microphone", "03761084": "microwave", "03790512": "motorbike", "03797390": "mug",
    "03928116": "piano", "03938244": "pillow", "03948459": "pistol", "03991062": "flowerpot",
    "04004475": "printer", "04074963": "remote", "04090263": "rifle", "04099429": "rocket",
    "04225987": "skateboard", "04256520": "sofa", "04330267": "stove", "04379243": "table",
    "04401088": "telephone", "04460130": "tower", "04468005": "train", "04530566": "watercraft",
    "04554684": "washer",
}  # fmt: skip
"""The 55 classes of ShapeNetCore, by the number of their synset."""


@dataclass(frozen=True)
class ShapeFormat:
    """How one shape is read.

    Attributes:
        ending: Of the file's name.
        read: Points [N, 3] float32 of a file.
        count: Their number, cheaper than reading them.
    """

    ending: str
    read: Callable[[Path], Tensor]
    count: Callable[[Path], int]


class ShapeFolders(OneEventFiles):
    """Shapes in folders, or a single one, read as clouds.

    Args:
        path: The data set, one of its classes, a part of one, or a file.
        format: Of the files.

    Raises:
        FileError: there is no such file, or the first one is damaged.
    """

    def __init__(self, path: str | Path, format: ShapeFormat) -> None:
        self.path, self._format = Path(path), format
        self.attrs: dict[str, Any] = {}
        self._files, self._labels, names = _found(self.path, format.ending)
        self.schema = Schema(tuple(Quantity(axis) for axis in "xyz"), labels=names)
        format.count(self._files[0])

    def sizes(self) -> Tensor:
        """Number of points of each shape [B], without reading the points."""
        return torch.tensor([self._format.count(file) for file in self._files])

    def labels(self) -> Tensor | None:
        """Class of each shape [B], by its folder."""
        return torch.tensor(self._labels) if self.schema.labels else None

    def _read(self, start: int, stop: int) -> Batch:
        shapes = [self._format.read(file) for file in self._files[start:stop]]
        label = torch.tensor(self._labels[start:stop], dtype=torch.long)
        return convention.make(
            torch.cat([torch.zeros(0, 3), *shapes]),
            [len(each) for each in shapes],
            **({"label": label} if self.schema.labels else {}),
        )


def parts_of(folder: Path, ending: str) -> Iterator[Path]:
    """The folder of a class and those of its parts, where shapes lie in them."""
    for each in (folder, *(folder / part for part in PARTS)):
        if _shapes(each, ending):
            yield each


def _found(path: Path, ending: str) -> tuple[list[Path], list[int], tuple[str, ...]]:
    """Files, the class of each, and the names of the classes; of a single file no class."""
    if not path.is_dir():
        return [existing_file(path)], [0], ()
    # An absolute path, whose name and neighbours are known whatever it is: "." or "..", say.
    here = Path(os.path.abspath(path))
    own = here.parent if here.name in PARTS else here
    one_class = next(parts_of(own, ending), None) is not None
    root = own.parent if one_class else here
    folders = {
        folder.name: folder
        for folder in sorted(each for each in root.iterdir() if each.is_dir())
        if not folder.name.startswith(".") and next(parts_of(folder, ending), None) is not None
    }
    wanted = [own.name] if one_class else list(folders)
    files, labels = [], []
    for name in wanted:
        label = list(folders).index(name)
        parts = [here] if one_class and here != own else parts_of(folders[name], ending)
        for part in parts:
            shapes = _shapes(part, ending)
            files += shapes
            labels += [label] * len(shapes)
    if not files:
        raise FileError(
            f"{path}: got no {ending} files, expected some in it, or in a folder for each class "
            f"with folders {', '.join(PARTS[:2])} or {PARTS[3]}"
        )
    return files, labels, tuple(SYNSETS.get(name, name) for name in folders)


def _shapes(folder: Path, ending: str) -> list[Path]:
    """The files of a folder in the order of the numbers in their names."""
    try:
        found = [each for each in folder.iterdir() if each.suffix.lower() == ending]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []  # nothing that is ours: a neighbour of the folder that was given
    return sorted((file for file in found if not file.name.startswith(".")), key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """chair_2 before chair_10."""
    parts = re.split(r"(\d{1,18})", path.name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _array(path: Path) -> ArrayReader:
    """The header of an array, whose file is closed again."""
    with existing_file(path).open("rb") as file:
        return _opened(file, path)


def _opened(file: Any, path: Path) -> ArrayReader:
    array = ArrayReader(file, size_of(file), path)
    if len(array.shape) != 2 or array.shape[1] != 3:
        raise FileError(f"{path}: got an array {list(array.shape)}, expected points [N, 3]")
    return array


def _count(path: Path) -> int:
    return _array(path).shape[0]


def _points(path: Path) -> Tensor:
    with existing_file(path).open("rb") as file:
        array = _opened(file, path)
        BYTES.check(12 * array.shape[0], f"{path}: an array {list(array.shape)}")
        with np.errstate(over="ignore"):  # what is no float32 is infinite, and refused as that
            return torch.from_numpy(array.rows(0, array.shape[0]).astype(np.float32))


def _mesh_points(path: Path) -> int:
    existing_file(path)
    return off.POINTS


SHAPENET = ShapeFormat(".npy", _points, _count)
MODELNET = ShapeFormat(".off", off.sampled, _mesh_points)
# As the table of formats names them.
read_shapenet = partial(ShapeFolders, format=SHAPENET)
read_modelnet = partial(ShapeFolders, format=MODELNET)
