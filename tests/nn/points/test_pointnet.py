"""PointNet: critical points, the two transforms and their penalty."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from pcgen import clouds as pc
from pcgen.nn import PointNet, TransformNet, orthogonality
from pcgen.ops.segments import segment_max
from pcgen.testing import random_clouds

clouds_of = partial(random_clouds, axes=3, weight=False, dtype=torch.float64)


def test_repeated_points_do_not_change_a_maximum() -> None:
    net, clouds = PointNet(3, 5).double(), clouds_of([6])
    twice = pc.make(torch.cat([clouds.pos, clouds.pos[:4]]), [10])
    torch.testing.assert_close(net(twice), net(clouds))


def test_critical_points_determine_the_code() -> None:
    """Theorem 2 of the paper: at most as many points as pooled features matter."""
    net, clouds = PointNet(3, 5, hidden=(8, 6)).double(), clouds_of([200])
    features = net.features(clouds)
    critical = features.argmax(0).unique()
    assert len(critical) <= 6
    few = pc.make(clouds.pos[critical], [len(critical)])
    torch.testing.assert_close(net(few), net(clouds))


@pytest.mark.parametrize("channels", [2, 3])
def test_transforms_start_as_the_identity(channels: int) -> None:
    clouds = pc.make(torch.randn(7, channels), [4, 0, 3])
    net = PointNet(channels, 5, transform=True)
    plain = PointNet(channels, 5)
    plain.load_state_dict(net.state_dict(), strict=False)
    torch.testing.assert_close(net(clouds), plain(clouds))
    assert torch.equal(net.penalty(clouds), torch.zeros(3))
    assert torch.equal(plain.penalty(clouds), torch.zeros(3))


def test_transform_multiplies_each_point_by_the_matrix_of_its_cloud() -> None:
    net, clouds = PointNet(3, 5, transform=True).double(), clouds_of([4, 0, 3])
    with torch.no_grad():
        for turn in (net.turn_input, net.turn_features):
            turn.head.out.weight.normal_()
    matrix = net.turn_input(clouds.pos, clouds.ptr)
    assert (matrix[0] - matrix[2]).abs().max() > 1e-3
    turned = torch.stack([p @ matrix[b] for p, b in zip(clouds.pos, clouds.batch, strict=True)])
    lifted = net.lift(turned)
    matrix = net.turn_features(lifted, clouds.ptr)
    lifted = torch.stack([p @ matrix[b] for p, b in zip(lifted, clouds.batch, strict=True)])
    pooled = segment_max(net.mlp(lifted), clouds.ptr)
    torch.testing.assert_close(net(clouds), net.head(pooled))
    torch.testing.assert_close(net.penalty(clouds), orthogonality(matrix))


def test_orthogonality_in_closed_form() -> None:
    angle = torch.tensor(0.3)
    rotation = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    matrices = torch.stack([rotation, 2 * torch.eye(2), torch.zeros(2, 2)])
    # |I - 4 I|^2 / 2 = 9 and |I|^2 / 2 = 1 in two dimensions.
    torch.testing.assert_close(orthogonality(matrices), torch.tensor([0.0, 9.0, 1.0]))


def test_transform_of_an_empty_cloud_is_a_matrix() -> None:
    matrix = TransformNet(3)(torch.zeros(0, 3), torch.tensor([0, 0]))
    assert torch.equal(matrix, torch.eye(3)[None])
