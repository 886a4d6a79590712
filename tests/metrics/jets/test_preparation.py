"""Cuts of published protocols: what they leave, and what they refuse."""

from __future__ import annotations

import math

import pytest
import torch

from pcgen import clouds as pc
from pcgen.errors import DataError
from pcgen.io import JETS
from pcgen.metrics.jets.kinematics import clipped, mass, recentred, relative
from pcgen.schema import Quantity, Schema


def jets(y=None):
    pos = torch.tensor([[0.1, 0.0], [0.3, -0.2], [0.0, 0.5], [-0.7, 0.1]], dtype=torch.double)
    weight = torch.tensor([100.0, 50.0, 20.0, 20.0], dtype=torch.double)
    return pc.make(pos, [2, 0, 2], weight=weight, y=y)


def test_relative_weights_are_over_the_pt_of_the_whole_jet():
    pt = torch.tensor([[200.0], [0.0], [80.0]], dtype=torch.double)
    assert relative(jets(pt), JETS).weight.tolist() == [0.5, 0.25, 0.25, 0.25]
    alone = relative(jets(), JETS)
    whole = jets()
    vector = math.hypot(100 + 50 * math.cos(0.2), 50 * math.sin(0.2))
    assert alone.weight[0].item() == pytest.approx(100 / vector)
    assert mass(alone)[0].item() == pytest.approx(mass(whole)[0].item() / vector)


def test_relative_weights_need_jets_with_a_pt():
    with pytest.raises(DataError, match=r"jet_pt of event 2: got 0\.0, expected a number > 0"):
        relative(jets(torch.tensor([[1.0], [1.0], [0.0]], dtype=torch.double)), JETS)
    with pytest.raises(DataError, match="got axes x, y, expected jets"):
        relative(jets(), Schema((Quantity("x"), Quantity("y")), Quantity("e")))


def test_recentred_jets_have_their_mean_at_the_origin():
    moved = recentred(jets())
    for event in (0, 2):
        cloud = moved[event]
        assert (cloud.weight[:, None] * cloud.pos).sum(0).tolist() == pytest.approx([0, 0])
    again = recentred(moved)
    torch.testing.assert_close(again.pos, moved.pos)


def test_clipping_bounds_coordinates_and_weights():
    cut = clipped(jets(), distance=0.25, weight=30.0)
    assert cut.pos.abs().max().item() == 0.25
    assert cut.weight.tolist() == [100.0, 50.0, 30.0, 30.0]


def test_absolute_jets_become_relative_to_their_axis():
    absolute = Schema((Quantity("eta"), Quantity("phi", "rad", 2 * math.pi)), Quantity("pt", "GeV"))
    moved = pc.replace(jets(), pos=jets().pos + torch.tensor([1.5, 3.0], dtype=torch.double))
    found, still = relative(moved, absolute), relative(jets(), absolute)
    torch.testing.assert_close(found.pos, still.pos)
    torch.testing.assert_close(found.weight, still.weight)
    assert found.pos.abs().max() < 0.8
    torch.testing.assert_close(mass(found), mass(relative(jets(), JETS)))
