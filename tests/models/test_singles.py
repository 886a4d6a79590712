"""Clouds of at most one point as rows, and the GAN that smears them."""

from __future__ import annotations

import pytest
import torch

from pcgen import clouds as pc
from pcgen.datasets.electrons import ELECTRONS
from pcgen.errors import ArgumentError, DataError
from pcgen.io import JETS
from pcgen.models.cardinality import describe
from pcgen.models.representations import Singles
from pcgen.recipes import smearing_gan
from pcgen.schema import Quantity, Schema


def electrons(sizes) -> pc.Batch:
    sizes = torch.as_tensor(sizes)
    torch.manual_seed(0)
    number = int(sizes.sum())
    y = torch.stack([10 + 90 * torch.rand(len(sizes)), torch.randn(len(sizes))], 1)
    return pc.make(1 + 0.1 * torch.randn(number, 2), sizes, y=y)


def fitted(clouds, schema=ELECTRONS) -> Singles:
    singles = Singles(schema)
    for phase in singles.phases():
        phase.prepare([clouds])
    return singles


def test_rows_are_those_of_the_points_with_the_conditions_of_their_clouds():
    clouds = electrons([1, 0, 1, 1, 0])
    singles = fitted(clouds)
    rows, condition = singles.see(clouds)
    assert (rows.shape, condition.shape) == ((3, 2), (3, 3))
    expected = singles.standardize(clouds)
    assert torch.equal(rows, expected.pos)
    assert torch.equal(condition, expected.y[[0, 2, 3]])
    assert singles.sizes(rows).tolist() == [1, 1, 1]


def test_rows_of_all_clouds_go_back_to_those_that_have_a_point():
    clouds = electrons([1, 0, 1, 1, 0])
    singles = fitted(clouds)
    rows = torch.zeros(5, 2)
    rows[[0, 2, 3]] = singles.see(clouds).event
    again = singles.clouds(rows, describe(clouds, ELECTRONS))
    assert torch.equal(again.ptr, clouds.ptr)
    torch.testing.assert_close(again.pos, clouds.pos)
    assert torch.equal(again.y, clouds.y)


def test_features_are_columns_of_the_rows():
    schema = Schema((Quantity("x"),), features=(Quantity("q"),))
    clouds = pc.make(torch.randn(3, 1), [1, 1, 0, 1], x=torch.randn(3, 1))
    singles = fitted(clouds, schema)
    assert singles.see(clouds).event.shape == (3, 2)
    again = singles.clouds(torch.randn(4, 2), describe(clouds, schema))
    assert (again.x.shape, pc.sizes(again).tolist()) == ((3, 1), [1, 1, 0, 1])


def test_what_is_no_single_point_is_refused():
    with pytest.raises(ArgumentError, match="schema: got points with the weight pt"):
        Singles(JETS)
    with pytest.raises(DataError, match="event 1: got 2 points, expected at most one"):
        fitted(electrons([1, 2]))
    singles = fitted(electrons([1, 0, 1]))
    with pytest.raises(DataError, match="got 2 without a point in a batch, expected some with one"):
        singles.see(electrons([0, 0]))


def test_the_gan_has_a_penalty_between_rows_and_the_efficiency_of_the_data():
    clouds = electrons([1, 0, 1, 1, 0] * 20)
    model = smearing_gan(hidden=8)
    for phase in model.phases():
        if phase.prepare is not None:
            phase.prepare([clouds])
    terms = model.critic_loss(clouds)
    assert set(terms) == {"critic", "penalty"}
    assert all(term.isfinite() for term in terms.values())
    assert [phase.repeat for phase in model.phases()][-2:] == [10, 1]
    made = model.sample(number=400, generator=torch.Generator().manual_seed(0))
    assert int(pc.sizes(made).max()) == 1
    assert float(pc.sizes(made).double().mean()) == pytest.approx(0.6, abs=0.08)
    with pytest.raises(ArgumentError, match="sizes: got 2, expected 0 or 1 of this model"):
        model.sample([1, 2])
