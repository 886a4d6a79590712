"""The laws hold of networks that keep them, and fail of those that break them a little."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Batch

from pcgen import clouds as pc
from pcgen import testing
from pcgen.datasets.batches import Batches
from pcgen.errors import ArgumentError
from pcgen.io import JETS
from pcgen.ops.segments import segment_sum
from pcgen.schema import Quantity, Schema
from pcgen.testing import (
    InMemory,
    assert_independent_of_batch,
    assert_permutation_equivariant,
    assert_permutation_invariant,
    clouds_of_schema,
    random_clouds,
    random_sizes,
    shuffled,
)

SIZES = [4, 0, 1, 3]


def clouds() -> Batch:
    return random_clouds(SIZES, 2, features=1, conditions=2, dtype=torch.float64)


def total(clouds: Batch, condition: Tensor) -> Tensor:
    """Sums and condition [B, 3]: keeps every law."""
    return segment_sum(clouds.pos.square().sum(1) * clouds.weight, clouds.ptr)[:, None] + condition


def relative(clouds: Batch, condition: Tensor) -> Tensor:
    """Points less the sum of their cloud, plus its condition [N, 2]: keeps every law."""
    centre = segment_sum(clouds.pos, clouds.ptr)
    return clouds.pos * clouds.x - (centre + condition)[clouds.batch]


def place(clouds: Batch) -> Tensor:
    """Place of each point in its cloud [N], which depends on the order."""
    return (torch.arange(len(clouds.pos)) - clouds.ptr[:-1][clouds.batch]).to(clouds.pos)


def test_networks_that_keep_the_laws_pass() -> None:
    given = clouds()
    assert_permutation_invariant(total, given, given.y, rtol=1e-12, atol=1e-12)
    assert_permutation_equivariant(relative, given, given.y, rtol=1e-12, atol=1e-12)
    assert_independent_of_batch(total, given, given.y, rows="clouds", rtol=1e-12, atol=1e-12)
    assert_independent_of_batch(relative, given, given.y, rows="points", rtol=1e-12, atol=1e-12)


def test_a_network_that_sees_the_order_is_not_invariant() -> None:
    def ordered(clouds: Batch, condition: Tensor) -> Tensor:
        mark = 1e-3 * place(clouds) * clouds.pos[:, 0]
        return total(clouds, condition) + segment_sum(mark, clouds.ptr)[:, None]

    given = clouds()
    with pytest.raises(AssertionError, match="rows of clouds depend on the order of points"):
        assert_permutation_invariant(ordered, given, given.y)


@pytest.mark.parametrize("attribute", ["pos", "weight", "x"])
def test_every_attribute_of_points_is_permuted(attribute: str) -> None:
    """The first point of a cloud is another one, whatever the network looks at."""

    def first(clouds: Batch) -> Tensor:
        value = clouds[attribute].reshape(len(clouds.pos), -1)
        return segment_sum(value * (place(clouds) == 0)[:, None], clouds.ptr)

    with pytest.raises(AssertionError):
        assert_permutation_invariant(first, clouds())


def test_a_palindrome_is_not_enough_for_invariance() -> None:
    """What the reversed order keeps, a random one does not: differences of neighbours."""

    def steps(clouds: Batch) -> Tensor:
        inside = (clouds.batch[1:] == clouds.batch[:-1])[:, None]
        between = (clouds.pos[1:] - clouds.pos[:-1]).abs() * inside
        ptr = (clouds.ptr - 1).clamp(0)
        return segment_sum(between, ptr)

    one = random_clouds([5], dtype=torch.float64)
    backwards = pc.make(one.pos.flip(0), [5])
    torch.testing.assert_close(steps(one), steps(backwards))
    with pytest.raises(AssertionError, match="the order of points"):
        assert_permutation_invariant(steps, one)


@pytest.mark.parametrize("wrong", ["order", "sorted"])
def test_a_network_whose_rows_stay_behind_is_not_equivariant(wrong: str) -> None:
    def field(clouds: Batch, condition: Tensor) -> Tensor:
        if wrong == "sorted":  # as a set the rows are right, but they belong to other points
            order = relative(clouds, condition)[:, 0].argsort()
            return relative(clouds, condition)[order]
        return relative(clouds, condition) + 1e-3 * place(clouds)[:, None]

    given = clouds()
    with pytest.raises(AssertionError, match="rows of points do not follow their points"):
        assert_permutation_equivariant(field, given, given.y)


def test_a_network_that_sees_other_clouds_is_not_independent() -> None:
    def of_batch(clouds: Batch, condition: Tensor) -> Tensor:
        return total(clouds, condition) - 1e-3 * clouds.pos.mean()

    given = pc.select(clouds(), [0, 2, 3])
    assert_permutation_invariant(of_batch, given, given.y)
    with pytest.raises(AssertionError, match="a cloud depends on others of its batch"):
        assert_independent_of_batch(of_batch, given, given.y, rows="clouds")

    def points_of_batch(clouds: Batch, condition: Tensor) -> Tensor:
        return relative(clouds, condition) - 1e-3 * len(clouds.pos)

    assert_permutation_equivariant(points_of_batch, given, given.y)
    with pytest.raises(AssertionError, match="a cloud depends on others"):
        assert_independent_of_batch(points_of_batch, given, given.y, rows="points")


def test_rows_that_are_missing_or_not_finite_fail() -> None:
    given = clouds()
    with pytest.raises(AssertionError, match="expected a row for each of the 4 clouds"):
        assert_permutation_invariant(relative, given, given.y)
    with pytest.raises(AssertionError, match="expected a row for each of the 8 points"):
        assert_permutation_equivariant(total, given, given.y)
    with pytest.raises(AssertionError, match="expected a row for each of the 8 points"):
        assert_independent_of_batch(total, given, given.y, rows="points")
    with pytest.raises(AssertionError, match=r"got \(\), expected a row"):
        assert_permutation_invariant(lambda clouds: clouds.pos.sum(), given)

    def mean(clouds: Batch) -> Tensor:
        """Not finite in an empty cloud."""
        return segment_sum(clouds.pos, clouds.ptr) / pc.sizes(clouds)[:, None]

    with pytest.raises(AssertionError, match="not finite"):
        assert_permutation_invariant(mean, given)


def test_clouds_that_could_show_nothing_are_refused() -> None:
    for sizes in ([], [0], [1, 0, 1]):
        few = random_clouds(sizes, conditions=2)
        with pytest.raises(ArgumentError, match="none of two points or more"):
            assert_permutation_invariant(total, few, few.y)
        with pytest.raises(ArgumentError, match="none of two points or more"):
            assert_permutation_equivariant(relative, few, torch.zeros(len(sizes), 2))
    with pytest.raises(ArgumentError, match="clouds: got 1, expected two or more"):
        assert_independent_of_batch(total, random_clouds([3]), torch.zeros(1, 2), rows="clouds")
    with pytest.raises(ArgumentError, match="rows: got events, expected clouds or points"):
        assert_independent_of_batch(total, clouds(), torch.zeros(4, 2), rows="events")


def test_shuffled_points_stay_in_their_clouds() -> None:
    given = clouds()
    other, order = shuffled(given, seed=3)
    assert other.ptr.tolist() == given.ptr.tolist()
    assert torch.equal(given.batch[order], given.batch)
    assert order.sort().values.tolist() == list(range(8))
    assert order.tolist() != list(range(8))
    for name, value in pc.attributes(given).items():
        assert torch.equal(other[name], value[order] if name in pc.POINT_ATTRIBUTES else value)


def test_random_clouds_are_those_of_their_arguments() -> None:
    sizes = random_sizes(400, 1, 6)
    assert set(sizes.tolist()) == {1, 2, 3, 4, 5}
    options = {"features": 1, "conditions": 2, "labels": 3, "layers": 2, "spread": 0.1}
    given = random_clouds(sizes, 3, **options)
    for name, value in pc.attributes(given).items():
        assert torch.equal(random_clouds(sizes, 3, **options)[name], value)
    assert not torch.equal(random_clouds(sizes, 3, seed=1).pos, random_clouds(sizes, 3).pos)
    assert torch.equal(pc.sizes(given), sizes)
    assert given.pos.shape[1] == 3
    assert given.pos.std().item() == pytest.approx(0.1, rel=0.1)
    assert 0.01 <= given.weight.min() < given.weight.max() <= 1.01
    assert given.y.shape == (400, 2)
    assert given.label[:4].tolist() == [0, 1, 2, 0]
    assert set(given.layer.tolist()) == {0, 1}
    bare = random_clouds(sizes, weight=False, dtype=torch.float64)
    assert set(pc.attributes(bare)) == {"pos"}
    assert bare.pos.dtype == torch.float64
    with pytest.raises(ArgumentError, match=r"sizes: got \[2, -1\]"):
        random_clouds([2, -1])


@pytest.mark.parametrize(
    "schema",
    [
        JETS,
        Schema(tuple(Quantity(name, "mm") for name in "xyz")),
        Schema((Quantity("x"),), None, (Quantity("t", "ns"),), layers=("ECAL", "HCAL")),
    ],
)
def test_clouds_of_a_schema_have_its_attributes(schema: Schema) -> None:
    given = clouds_of_schema(schema, SIZES)
    columns = {
        "pos": len(schema.axes),
        "weight": schema.weight is not None,
        "x": len(schema.features),
        "y": len(schema.condition),
        "label": bool(schema.labels),
        "layer": bool(schema.layers),
    }
    found = {n: v.shape[1] if v.dim() == 2 else 1 for n, v in pc.attributes(given).items()}
    assert found == {name: number for name, number in columns.items() if number}


def test_a_data_set_in_memory_gives_its_clouds() -> None:
    given = clouds()
    data = InMemory(given)
    assert len(data) == 4
    assert data.sizes().tolist() == SIZES
    assert torch.equal(data.gather(torch.tensor([3, 0])).pos, pc.select(given, [3, 0]).pos)
    passed = pc.concat(Batches(data, batch_size=2).all())
    assert torch.equal(passed.pos, given.pos)


def test_the_module_needs_no_test_runner() -> None:
    code = "import sys, pcgen.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert sorted(testing.__all__) == testing.__all__
