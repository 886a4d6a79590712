"""PointFlow's protocol on generated shapes."""

from __future__ import annotations

import pytest
import torch

from pcgen import clouds as pc
from pcgen.errors import DataError
from pcgen.metrics import evaluate, protocols
from pcgen.schema import Quantity, Schema

SPACE = Schema((Quantity("x"), Quantity("y"), Quantity("z")))


def spheres(number, radius, seed):
    generator = torch.Generator().manual_seed(seed)
    pos = torch.randn(number, 24, 3, generator=generator)
    size = radius * (0.7 + 0.3 * torch.rand(number, 1, 1, generator=generator))
    pos = size * pos / pos.norm(dim=2, keepdim=True)
    return pc.make(pos.flatten(0, 1), [24] * number)


def test_equal_shapes_score_the_floor_and_smaller_ones_do_not():
    real = spheres(60, 0.4, 0)
    protocol = protocols.pointflow()
    same = evaluate(real, spheres(30, 0.4, 1), SPACE, protocol=protocol, permutations=99)
    other = evaluate(real, spheres(30, 0.2, 1), SPACE, protocol=protocol, permutations=99)
    names = ["JSD", "COV-CD", "MMD-CD", "1-NNA-CD", "COV-EMD", "MMD-EMD", "1-NNA-EMD"]
    assert [s.name for s in same.scores] == names
    assert all(s.p > 0.01 for s in same.scores)
    assert all(s.p <= 0.01 for s in other.scores)
    accuracy = {s.name: s.value for s in other.scores}
    assert accuracy["1-NNA-EMD"] > 0.95


def test_generated_points_outside_the_sphere_are_scored_and_clouds_in_mm_are_refused():
    protocol = protocols.pointflow(batches=2)
    real, generated = spheres(60, 0.4, 0), spheres(30, 0.4, 1)
    far = pc.replace(generated, pos=1.5 * generated.pos)
    result = evaluate(real, far, SPACE, protocol=protocol, permutations=0)
    assert {score.name for score in result.scores} >= {"JSD"}
    large = [pc.replace(side, pos=1000 * side.pos) for side in (real, generated)]
    with pytest.raises(DataError, match="expected normalised clouds"):
        evaluate(*large, SPACE, protocol=protocol, permutations=0)
