"""The response to electrons: the laws of the card, and what is written."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcgen import clouds as pc
from pcgen.datasets import simulate_electrons
from pcgen.datasets.cards import read_card
from pcgen.datasets.electrons import ELECTRONS, electrons
from pcgen.datasets.response import tower_sigma, track_law
from pcgen.errors import ArgumentError, FileError
from pcgen.io import read_clouds
from pcgen.tools import cli


def test_response_has_the_laws_of_the_card():
    card, number = read_card("cms"), 200_000
    clouds = electrons(number, card, np.random.default_rng(1), pt=(40.0, 40.0), eta=0.4)
    truth, angle = clouds.y.double().numpy().T
    assert np.allclose(truth, 40.0)
    assert np.abs(angle).max() <= 0.4
    efficiency, width = track_law(card.electron, angle, truth)
    assert float(pc.sizes(clouds).double().mean()) == pytest.approx(efficiency.mean(), abs=0.003)
    found = pc.sizes(clouds).bool().numpy()
    energy = truth * np.cosh(angle)
    tower = tower_sigma(card.ecal, angle, energy) / energy
    for column, sigma in enumerate((width, tower)):
        pull = (clouds.pos[:, column].double().numpy() - 1) / sigma[found]
        assert pull.mean() == pytest.approx(0.0, abs=0.01)
        assert pull.std() == pytest.approx(1.0, abs=0.01)


def test_truth_is_log_uniform_and_the_responses_independent():
    clouds = electrons(100_000, read_card("cms"), np.random.default_rng(2))
    share = (clouds.y[:, 0].double().log() - np.log(10)) / np.log(50)
    assert float(share.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(share.std()) == pytest.approx(12**-0.5, abs=0.01)
    correlation = torch.corrcoef(clouds.pos.T.double())[0, 1]
    assert abs(float(correlation)) < 0.02


def test_written_events_are_those_of_the_seed(tmp_path, capsys):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate_electrons(tmp_path / f"{name}.h5", number=50, seed=seed)
    (a, schema), (b, _), (c, _) = (read_clouds(tmp_path / f"{name}.h5")[:2] for name in "abc")
    assert (schema.axes, schema.condition) == (ELECTRONS.axes, ELECTRONS.condition)
    assert torch.equal(a.pos, b.pos)
    assert not torch.equal(a.y, c.y)
    words = ["simulate", "electrons", str(tmp_path / "d.h5"), "--number", "50", "--seed", "1"]
    words += ["--pt", "20:30", "--eta", "1", "--detector", "atlas"]
    assert cli.main(words) == 0
    assert "d.h5: 50 electrons, " in capsys.readouterr().out
    found = read_clouds(tmp_path / "d.h5")[0]
    assert 20 <= float(found.y[:, 0].min()) <= float(found.y[:, 0].max()) <= 30
    assert float(found.y[:, 1].abs().max()) <= 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"output": "e.txt"}, ArgumentError, "output: got 'e.txt', expected a name that ends"),
        ({"number": 0}, ArgumentError, "number: got 0, expected >= 1"),
        ({"pt": (0.0, 5.0)}, ArgumentError, "pt: got 0:5, expected 0 < low <= high"),
        ({"eta": 0.0}, ArgumentError, "eta: got 0, expected a number in"),
        ({"seed": -1}, ArgumentError, "seed: got -1, expected an integer from 0"),
        ({"detector": "none.yaml"}, FileError, "none.yaml"),
    ],
)
def test_what_cannot_be_simulated_is_refused(options, error, message, tmp_path):
    given = {"output": tmp_path / "e.h5", "number": 5, **options}
    with pytest.raises(error, match=message):
        simulate_electrons(given.pop("output"), **given)
