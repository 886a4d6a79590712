"""Cards of detectors: those that ship, and errors that name the field."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pcgen.datasets.cards import FOLDER, SHIPPED, Card, read_card
from pcgen.errors import ArgumentError, FileError


def test_numbers_of_cms() -> None:
    card = read_card("cms")
    assert (card.name, card.field, card.radius, card.half_length) == ("cms", 3.8, 1.29, 3.0)
    assert card.hadron.resolution[1] == (1.5, 0.10, 1.7e-3)
    assert card.electron.efficiency[0] == (1.5, (0.1, 1.0, 100.0), (0.73, 0.95, 0.99))
    assert card.muon.efficiency[1] == (2.5, (0.1, 1.0), (0.70, 0.98))
    assert (card.ecal.threshold, card.ecal.significance) == (0.5, 2.0)
    assert (card.hcal.threshold, card.hcal.significance) == (1.0, 1.0)
    # (2.16 + 5.6 (|eta| - 2)^2) of Delphes as a polynomial.
    shape = card.ecal.resolution[1].shape
    for eta in (1.6, 2.0, 2.4):
        assert sum(c * eta**k for k, c in enumerate(shape)) == pytest.approx(
            2.16 + 5.6 * (eta - 2) ** 2
        )


def test_numbers_of_atlas() -> None:
    card = read_card("atlas")
    assert (card.field, card.radius, card.half_length) == (2.0, 1.15, 3.51)
    assert card.hcal.resolution[0] == (1.7, 1.59, 0.5205, 0.0302, (1.0,))
    assert card.hcal.significance == 2.0
    assert set(card.hcal.sectors[:26]) == {36}
    assert card.hcal.edges[1] == pytest.approx(0.1)


@pytest.mark.parametrize("name", SHIPPED)
def test_towers_of_cards_that_ship(name: str) -> None:
    card = read_card(name)
    ecal, hcal = card.ecal, card.hcal
    assert ecal.edges[1] == pytest.approx(0.0174)
    assert 2 * math.pi / ecal.sectors[0] == pytest.approx(math.radians(1))
    for towers in (ecal, hcal):
        assert len(towers.edges) == len(towers.sectors) + 1
        assert towers.edges[-1] == pytest.approx(5.0, abs=0.11)
        assert towers.resolution[-1].eta >= towers.edges[-1] - 0.11
    if name == "cms":
        ring = hcal.edges.index(1.653) - 1
        assert (hcal.sectors[ring], hcal.sectors[ring + 1], hcal.sectors[-1]) == (72, 36, 18)
        assert hcal.edges[5] == pytest.approx(0.435)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    text = (FOLDER / "cms.yaml").read_text().replace("field: 3.8", "field: 1.5")
    (tmp_path / "mine.yaml").write_text(text)
    card, cms = read_card(tmp_path / "mine.yaml"), read_card("cms")
    assert (card.name, card.field, card.data["field"]) == ("mine", 1.5, 1.5)
    assert card.hcal == cms.hcal


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("field"), "got radius, half_length, tracks, towers, expected field, rad"),
        (lambda c: c.update(colour=1), "towers, colour, expected field"),
        (lambda c: c.update(radius=-1), ": radius: got -1, expected a number from 0.001"),
        (
            lambda c: c.update(field=1e9),
            ": field: got 1000000000.0, expected a number from -100 to",
        ),
        (lambda c: c.update(tracks=[]), ": tracks: got [], expected hadron, electron, muon"),
        (
            lambda c: c["tracks"]["muon"]["resolution"][1].update(slope="x"),
            ": tracks.muon.resolution[1].slope: got x, expected a number from 0",
        ),
        (
            lambda c: c["tracks"]["hadron"]["efficiency"][0].update(efficiency=[0.5, 1.5]),
            ": tracks.hadron.efficiency[0].efficiency[1]: got 1.5, expected a number from 0 to 1",
        ),
        (
            lambda c: c["tracks"]["hadron"]["efficiency"][0].update(above=[1.0, 0.1]),
            ": tracks.hadron.efficiency[0].above: got [1.0, 0.1], expected 2 rising numbers",
        ),
        (
            lambda c: c["tracks"]["electron"]["resolution"].reverse(),
            ": tracks.electron.resolution: got eta [2.5, 1.5, 0.5], expected rising ones",
        ),
        (
            lambda c: c["towers"]["ECAL"]["cells"][0].update(number=0),
            ": towers.ECAL.cells[0].number: got 0, expected a whole number from 1",
        ),
        (
            lambda c: c["towers"]["HCAL"]["cells"][1]["edges"].insert(0, 1.0),
            ": towers.HCAL.cells[1]: got {'edges': [1.0, 1.74,",
        ),
        (
            lambda c: c["towers"]["HCAL"].update(resolution=5),
            ": towers.HCAL.resolution: got 5, expected a list",
        ),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, change: Change, message: str) -> None:
    data = yaml.safe_load((FOLDER / "cms.yaml").read_text())
    change(data)
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    with pytest.raises(FileError, match=re.escape(message)) as caught:
        read_card(tmp_path / "a.yaml")
    assert str(caught.value).startswith(str(tmp_path / "a.yaml"))
    assert "\n" not in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"detector: got 'lhcb', expected cms, atlas or a file"):
        read_card("lhcb")
    with pytest.raises(FileError, match=r"missing.yaml: no such file"):
        read_card(tmp_path / "missing.yaml")
    (tmp_path / "a.yaml").write_text("a: [1")
    with pytest.raises(FileError, match=r"a.yaml: is no YAML .*, expected a card of a detector"):
        read_card(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("just words")
    with pytest.raises(FileError, match=r"b.yaml: got just words, expected field, radius"):
        read_card(tmp_path / "b.yaml")


def test_a_card_is_a_value() -> None:
    assert read_card("cms") == read_card("cms")
    assert isinstance(read_card("atlas"), Card)
