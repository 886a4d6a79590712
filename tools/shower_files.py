"""Two files of showers for the CaloChallenge's protocol: in one calorimeter, in the same units."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pcgen.errors import ArgumentError, DataError
from pcgen.schema import Schema

# Heavy modules are imported in the functions that use them: help needs none of them.
if TYPE_CHECKING:
    from torch_geometric.data import Batch

    from pcgen.grids import Calorimeter
    from pcgen.io import CloudSource
    from pcgen.metrics.showers import ChallengeData


class ShowerPair(NamedTuple):
    """What is compared.

    Attributes:
        real: Showers as clouds, in MeV and mm.
        generated: In the same calorimeter.
        calorimeter: Of both.
        facts: Threshold and limits of the histograms.
    """

    real: Batch
    generated: Batch
    calorimeter: Calorimeter
    facts: ChallengeData


def shower_pair(
    real: str, generated: str, geometry: str | None, data_set: str | None
) -> ShowerPair:
    """Read two files of showers, or of clouds in a calorimeter, of any format.

    Args:
        real: File of real showers.
        generated: File of generated showers.
        geometry: File of the calorimeter; None: what the files store.
        data_set: One of the CaloChallenge's, whose facts are taken; None: those that the real
            showers have.

    Raises:
        ArgumentError: no calorimeter is known, or clouds have other coordinates or units.
        DataError: the files have different calorimeters, or points are outside of it.
        FileError: a file cannot be read.
    """
    from pcgen.io import read_calorimeter
    from pcgen.metrics.showers import CALOCHALLENGE

    known = None if data_set is None else CALOCHALLENGE[data_set]
    given = None
    if geometry is not None:
        xml = geometry.lower().endswith(".xml")
        given = read_calorimeter(geometry, known.particle if known and xml else None)
    truth, fake = (_side(path, given) for path in (real, generated))
    if truth[1] != fake[1]:
        raise DataError(
            f"{generated}: got a calorimeter of {fake[1].voxels} voxels, expected that of {real} "
            f"with {truth[1].voxels}, cell by cell"
        )
    showers, calorimeter = truth
    return ShowerPair(showers, fake[0], calorimeter, known or _facts(showers, calorimeter))


def _side(path: str, given: Calorimeter | None) -> tuple[Batch, Calorimeter]:
    """All showers of a file, and the calorimeter: that which is given, or that of the file."""
    from pcgen.datasets.voxel_clouds import open_events

    with open_events(path, calorimeter=given) as source:
        calorimeter = given or source.calorimeter
        if calorimeter is None:
            raise ArgumentError(
                f"geometry: got none and {path} does not store its calorimeter, expected a file of "
                "it: --geometry binning_dataset_2.xml say"
            )
        return _placed(source, calorimeter), calorimeter


def _placed(source: CloudSource, calorimeter: Calorimeter) -> Batch:
    """All showers of a file as the calorimeter's schema means them.

    Raises:
        ArgumentError: the incident energy is not known.
        DataError: points are outside the calorimeter.
    """
    from pcgen import clouds as pc
    from pcgen.images import in_calorimeter, shower_overflow
    from pcgen.images.showers import INCIDENT

    _check_incident(source.schema, source)
    blocks = (in_calorimeter(b, source.schema, calorimeter) for b in source.blocks())
    showers = pc.concat(blocks)
    out = shower_overflow(showers, calorimeter).points
    if bool(out.any()):
        event = int(out.nonzero()[0])
        raise DataError(
            f"{source.path}: {int(out[event])} points of event {event} are outside the "
            "calorimeter; pcgen convert --to calochallenge --outside clip puts them into the "
            "nearest voxel"
        )
    if showers.get("y") is None:
        raise DataError(f"{source.path}: got showers without {INCIDENT}, expected it as y")
    return showers


def _check_incident(schema: Schema, source: CloudSource) -> None:
    from pcgen.images.showers import INCIDENT

    names = [each.name for each in schema.condition]
    if INCIDENT not in names:
        raise ArgumentError(
            f"{source.path}: got the conditions {', '.join(names) or 'none'}, expected {INCIDENT} "
            "among them"
        )


def _facts(real: Batch, calorimeter: Calorimeter) -> ChallengeData:
    """Threshold and limits that showers of no data set of the challenge have."""
    from pcgen.metrics.showers import own_facts, showers_of

    return own_facts(showers_of(real, calorimeter), calorimeter)
