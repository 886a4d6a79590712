"""DGCNN against loops over points; maxima with one gradient per tie."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import EdgeConv
from torch_geometric.nn.aggr import MaxAggregation

from pcgen import clouds as pc
from pcgen.errors import ArgumentError
from pcgen.nn import DGCNN
from pcgen.nn.mlp import LEAKY, Norm, stack, weight_normed
from pcgen.nn.points.edgeconv import FirstMax, largest_message
from pcgen.ops.neighbors import knn_graph, knn_rows
from pcgen.ops.segments import segment_max


def by_hand(net: DGCNN, clouds: Batch) -> Tensor:
    """The code of each cloud by loops: neighbours from all distances, maxima over a list."""
    codes = []
    for b in range(clouds.num_graphs):
        cloud = clouds[b]
        x = torch.cat([cloud.pos, cloud.x], 1)
        space, outputs = cloud.pos, []
        for convolution in net.convolutions:
            distance = torch.cdist(space, space)
            rows = []
            for i in range(len(x)):
                near = distance[i].argsort(stable=True)[: net.k]
                messages = [convolution.nn(torch.cat([x[i], x[j] - x[i]])) for j in near]
                rows.append(torch.stack(messages).amax(0))
            x = torch.stack(rows)
            outputs.append(x)
            space = x if net.dynamic else space
        features = net.embed(torch.cat(outputs, 1))
        pooled = torch.cat([features.amax(0), features.mean(0)])
        codes.append(net.head(pooled[None])[0])
    return torch.stack(codes)


@pytest.mark.parametrize("dynamic", [True, False])
@settings(max_examples=20)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.integers(1, 5))
def test_it_is_the_one_of_the_paper(dynamic: bool, sizes: list[int], k: int) -> None:
    torch.manual_seed(0)
    net = DGCNN(3, 2, k=k, dynamic=dynamic, hidden=(6, 8), embedding=7, head=(5,)).double()
    n = sum(sizes)
    clouds = pc.make(torch.randn(n, 2).double(), sizes, x=torch.randn(n, 1).double())
    torch.testing.assert_close(net(clouds), by_hand(net, clouds))


NETWORKS = {
    "layer norm": lambda: stack(6, (5,), LEAKY, nn.LayerNorm),
    "norm without weights": lambda: stack(
        6, (5,), LEAKY, lambda c: nn.LayerNorm(c, elementwise_affine=False)
    ),
    "no norm": lambda: stack(6, (5,)),
    "no bias": lambda: nn.Sequential(nn.Linear(6, 5, bias=False), nn.LayerNorm(5), nn.ReLU()),
    "falling activation": lambda: stack(6, (5,), nn.GELU),
    "falling leaky": lambda: stack(6, (5,), lambda: nn.LeakyReLU(-0.5)),
    "batch norm": lambda: stack(6, (5,), LEAKY, nn.BatchNorm1d),
    "two layers": lambda: stack(6, (7, 5), LEAKY, nn.LayerNorm),
    "weight norm": lambda: stack(6, (5,), LEAKY, nn.LayerNorm, weight_normed),
}


@pytest.mark.parametrize("kind", NETWORKS)
@settings(max_examples=15)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 5))
def test_messages_and_gradients_are_pygs(kind: str, sizes: list[int], k: int) -> None:
    torch.manual_seed(0)
    net = NETWORKS[kind]().double().eval()
    ours, pygs = EdgeConv(net, aggr=FirstMax()), EdgeConv(net, aggr="max")
    for parameter in net.parameters():
        nn.init.normal_(parameter)  # of both signs, the weights of norms too
    pos, ptr = torch.randn(sum(sizes), 2), torch.tensor([0, *sizes]).cumsum(0)
    x = torch.randn(sum(sizes), 3, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(sum(sizes), 5, dtype=torch.float64)
    inputs = (x, *net.parameters())
    got = largest_message(ours, x, knn_rows(pos, ptr, k))
    expected = pygs(x, knn_graph(pos, k, ptr=ptr, loop=True))
    torch.testing.assert_close(got, expected)
    for a, b in zip(
        torch.autograd.grad((got * direction).sum(), inputs),
        torch.autograd.grad((expected * direction).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize("norm", [None, nn.LayerNorm])
def test_second_derivatives_for_gradient_penalties(norm: Norm | None) -> None:
    net = DGCNN(3, 1, k=3, dynamic=False, hidden=(4, 4), embedding=4, head=(4,), norm=norm)
    net = net.double()
    pos, sizes = torch.randn(6, 2).double(), [2, 4]

    def code(x: Tensor) -> Tensor:
        return net(pc.make(pos, sizes, x=x))

    x = torch.randn(6, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(code, x)
    assert torch.autograd.gradgradcheck(code, x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    net = DGCNN(2, 3, k=3, dynamic=False, hidden=(8, 8), embedding=8, head=(8,))
    clouds = pc.make(torch.randn(9, 2), [4, 5])
    expected = net(clouds)
    code = net.to(dtype)(pc.replace(clouds, pos=clouds.pos.to(dtype)))
    assert code.dtype == dtype
    torch.testing.assert_close(code.float(), expected, atol=0.1, rtol=0.1)


def test_dynamic_and_static_graphs_differ() -> None:
    clouds = pc.make(torch.randn(30, 3), [30])
    net = DGCNN(3, 2, k=4)
    code = net(clouds)
    net.dynamic = False
    assert (net(clouds) - code).abs().max() > 1e-5


def test_a_lonely_point_is_not_lost() -> None:
    net = DGCNN(2, 4, k=5)
    lonely = pc.make(torch.tensor([[0.3, -0.2], [1.0, 2.0]]), [1, 1, 0])
    code = net(lonely)
    assert (code[0] - code[1]).abs().max() > 1e-4
    assert (code[0] - code[2]).abs().max() > 1e-4
    assert torch.isfinite(code).all()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_first_max_has_the_values_of_pyg(degrees: list[int]) -> None:
    index = torch.repeat_interleave(torch.arange(len(degrees)), torch.tensor(degrees))
    message = torch.randn(len(index), 3)
    got = FirstMax()(message, index, dim_size=len(degrees))
    assert torch.equal(got, MaxAggregation()(message, index, dim_size=len(degrees)))
    ptr = torch.tensor([0, *degrees]).cumsum(0)
    assert torch.equal(FirstMax()(message, ptr=ptr), segment_max(message, ptr))


def test_ties_send_the_gradient_to_the_first() -> None:
    message = torch.tensor([[1.0], [2.0], [2.0], [0.0], [0.0]], requires_grad=True)
    FirstMax()(message, torch.tensor([0, 0, 0, 1, 1]), dim_size=2).sum().backward()
    assert message.grad is not None
    assert message.grad.flatten().tolist() == [0.0, 1.0, 0.0, 1.0, 0.0]


def test_first_max_refuses_what_it_cannot_sort_out() -> None:
    with pytest.raises(ValueError, match="not sorted"):
        FirstMax()(torch.zeros(2, 1), torch.tensor([1, 0]), dim_size=2)
    with pytest.raises(ArgumentError, match="FirstMax: got no target"):
        FirstMax().forward(torch.zeros(2, 1))
