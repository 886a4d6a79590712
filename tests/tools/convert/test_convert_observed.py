"""``pcgen convert --observe`` and ``--hide``: the two parts of an event."""

from __future__ import annotations

import pytest
import torch
from toy_pairs import SCHEMA, equal, pairs

from pcgen import clouds as pc
from pcgen.conversion.observing import observing
from pcgen.errors import ArgumentError
from pcgen.io import read_clouds, write_clouds
from pcgen.tools import cli

EVENTS = pc.replace(pairs(60, 1), context=None)


@pytest.fixture
def file(tmp_path):
    write_clouds(tmp_path / "e.h5", EVENTS, SCHEMA)
    return str(tmp_path / "e.h5")


@pytest.mark.parametrize("words", ["x=:0", "0.3", "layer=front", "x=-0.5:0.5 y=0: 0.7 layer=back"])
def test_what_is_seen_and_what_is_hidden_are_the_whole(words, file, tmp_path) -> None:
    for option in ("observe", "hide"):
        call = f"convert {file} {tmp_path}/{option}.h5 --{option} {words} --seed 4 --block 7"
        assert cli.main(call.split()) == 0
    seen, hidden = (read_clouds(tmp_path / f"{name}.h5")[0] for name in ("observe", "hide"))
    assert torch.equal(pc.sizes(seen) + pc.sizes(hidden), pc.sizes(EVENTS))
    for k in range(60):
        both = torch.cat([seen[k].pos, hidden[k].pos])
        assert both[both[:, 0].argsort()].tolist() == (
            EVENTS[k].pos[EVENTS[k].pos[:, 0].argsort()].tolist()
        )
    assert 0 < len(seen.pos) < len(EVENTS.pos)
    # The random numbers do not depend on the blocks.
    assert cli.main(f"convert {file} {tmp_path}/b.h5 --observe {words} --seed 4".split()) == 0
    assert equal(read_clouds(tmp_path / "b.h5")[0], seen)


def test_windows_layers_and_shares_hold() -> None:
    draw = torch.Generator().manual_seed(0)
    window = observing(["x=-0.5:0.5"], None, SCHEMA)(EVENTS, draw)
    assert window.pos[:, 0].min() >= -0.5
    assert window.pos[:, 0].max() < 0.5
    assert observing(["layer=back"], None, SCHEMA)(EVENTS, draw).layer.unique().tolist() == [1]
    assert len(observing(["1"], None, SCHEMA)(EVENTS, draw).pos) == len(EVENTS.pos)
    assert len(observing(None, ["1"], SCHEMA)(EVENTS, draw).pos) == 0


@pytest.mark.parametrize(
    ("observe", "hide", "message"),
    [
        (["z=:0"], None, "observe: got 'z=:0', expected one of x, y, layer, or a share"),
        (["x=0"], None, "expected NAME=LOW:HIGH"),
        (["x=1:0"], None, "expected NAME=LOW:HIGH"),
        (None, ["1.5"], "hide: got '1.5', expected NAME=LOW:HIGH, layer=NAME/NAME or a share"),
        (["many"], None, "or a share, 0 to 1"),
        (["layer=top"], None, "got the layer 'top', expected some of front/back"),
        (["0.5"], ["0.5"], "observe, hide: got both"),
    ],
)
def test_words_that_are_none_of_these_are_refused(observe, hide, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        observing(observe, hide, SCHEMA)


def test_images_are_not_observed_in_part(file, tmp_path, capsys) -> None:
    grid = "--grid layers=front/back,x:-2:2:4,y:-2:2:4"
    assert cli.main(f"convert {file} {tmp_path}/i.npz {grid} --observe 0.5".split()) == 1
    assert "observe: was given, but plays no part" in capsys.readouterr().err
