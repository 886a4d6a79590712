"""On a GPU everything is as on the CPU: rows, values and gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ragged_clouds import Problem, problem, problems, table

from pcgen.ops import segments
from pcgen.ops._kernels import neighbors_cluster, neighbors_torch
from pcgen.ops.chamfer_distance import chamfer, density_aware
from pcgen.ops.neighbors import knn_graph, radius_graph
from pcgen.ops.sampling import farthest_points

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
PERIODS = st.sampled_from([None, 2.5])


def there(case: Problem) -> Problem:
    return Problem(*(tensor.cuda() for tensor in case))


@given(case=problems(largest=300), k=st.sampled_from([1, 4]), length=PERIODS)
def test_neighbours(case, k, length):
    period = [None] * (case.x.shape[1] - 1) + [length]
    assert torch.equal(
        table(there(case), k, period=period).row.cpu(), table(case, k, period=period).row
    )
    moved, ptr = case.x.cuda(), case.ptr_x.cuda()
    for graph, size in ((knn_graph, k), (radius_graph, 1.0)):
        expected = graph(case.x, size, ptr=case.ptr_x, period=period)
        assert torch.equal(graph(moved, size, ptr=ptr, period=period).cpu(), expected)
    expected = farthest_points(case.x, case.ptr_x, number=5, period=period)
    got = farthest_points(moved, ptr, number=5, period=period)
    assert torch.equal(got.row.cpu(), expected.row)


@given(case=problems(largest=300))
def test_torch_cluster(case):
    pytest.importorskip("torch_cluster")
    zeros = [0.0] * case.x.shape[1]
    expected = neighbors_torch.search(*case, 3, zeros)
    assert torch.equal(neighbors_cluster.search(*there(case), 3, zeros).cpu(), expected)


@pytest.mark.parametrize("loss", [chamfer, lambda *a: density_aware(*a, alpha=1.0)])
def test_losses_and_gradients(loss):
    case = problem([150, 0, 30, 1], [150, 0, 7, 40])
    results = []
    for these in (case, there(case)):
        x = these.x.clone().requires_grad_()
        value = loss(x, *these[1:])
        value.sum().backward()
        results.append((value.detach().cpu(), x.grad.cpu()))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_devices_may_not_be_mixed():
    case = problem([3], [4])
    with pytest.raises(ValueError, match="got cpu, cuda:0, cpu, cpu, expected one device"):
        chamfer(case.x, case.y.cuda(), *case[2:])


def test_segment_extremes():
    value = torch.randn(1000, 3).round(decimals=1)
    ptr = torch.tensor([0, 10, 10, 400, 1000])
    gradients = []
    for device in ("cpu", "cuda"):
        moved = value.to(device).requires_grad_()
        segments.segment_max(moved, ptr.to(device)).sum().backward()
        gradients.append(moved.grad.cpu())
    assert torch.equal(*gradients)
