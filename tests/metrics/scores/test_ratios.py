"""Response and resolution where they are known, bin by bin."""

from __future__ import annotations

import pytest
import torch

from pcgen.errors import ArgumentError
from pcgen.metrics.scores import bin_edges, ratios


def test_of_a_known_smearing() -> None:
    draw = torch.Generator().manual_seed(0)
    reference = 1 + 9 * torch.rand(30_000, generator=draw)
    noise = torch.randn(30_000, 2, generator=draw)
    # The response falls with g and the resolution is 10 % below 5 and 20 % above.
    width = torch.where(reference < 5, 0.1, 0.2)[:, None]
    values = reference[:, None] * (1.1 - 0.01 * reference[:, None] + width * noise)
    found = ratios(reference, values, torch.tensor([1.0, 5.0, 10.0]))
    for k, (mean, spread) in enumerate([(1.07, 0.1), (1.025, 0.2)]):
        assert found.mean[k].item() == pytest.approx(mean, abs=4 * found.mean_error[k].item())
        assert found.spread[k].item() == pytest.approx(spread, rel=0.03)
    assert found.spread_error[0].item() == pytest.approx(0.1 / (2 * 13_300) ** 0.5, rel=0.2)


def test_bins_hold_equally_many() -> None:
    reference = torch.cat([torch.zeros(10), torch.arange(1, 31).float()])
    edges = bin_edges(reference, 3)
    assert (edges[0].item(), edges[-1].item()) == (1, 30)
    counts = torch.histogram(reference[10:].double(), edges).hist
    assert counts.tolist() == [10, 10, 10]
    assert len(bin_edges(torch.ones(5), 3)) == 2
    with pytest.raises(ArgumentError, match="bins: got 3 of 0 positive values"):
        bin_edges(torch.zeros(5), 3)


def test_what_has_no_reference_is_left_out() -> None:
    found = ratios(torch.tensor([0.0, 2.0]), torch.tensor([[5.0], [4.0]]), torch.tensor([2.0, 2.0]))
    assert (found.mean.tolist(), found.spread.tolist()) == ([2.0], [0.0])
