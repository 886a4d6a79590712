"""What a part of a model gives to another: also a network whose condition has grown."""

from __future__ import annotations

import pytest
import torch
from stand_in import fitted

from pcgen.datasets import sample_jets
from pcgen.errors import ArgumentError, CheckpointError
from pcgen.training.transfer import take

OPTIONS = {"shift": 5.0, "squash": 0.75, "centre": True, "excess": True}
SMALL = {"hidden": 8, "layers": 2}


@pytest.mark.parametrize("encoder", ["epic", "pointnet", "edgeconv", "attention"])
@torch.no_grad()
def test_the_field_of_a_flow_starts_its_map_at_any_distance(encoder):
    torch.manual_seed(0)
    flow = fitted(encoder=encoder, **SMALL, **OPTIONS)
    mapped = fitted("points-flow-map", encoder=encoder, **SMALL)
    for parameter in flow.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    take(mapped, flow, "field")
    jets = sample_jets("train", max_points=8).read(0, 30)
    event, condition = flow.representation.see(jets)
    begin = torch.rand(30)
    expected = flow.field(event, flow.paths.clock.reading(begin), condition)
    for end in (begin, begin + 0.5 * (1 - begin), torch.ones(30)):
        found = mapped.mean_velocity(event, begin, end, condition)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_what_has_shrunk_or_is_another_network_is_refused():
    flow, mapped = fitted(**SMALL, **OPTIONS), fitted("points-flow-map", **SMALL)
    with pytest.raises(CheckpointError, match="expected shape"):
        take(flow, mapped, "field")
    with pytest.raises(CheckpointError, match="expected shape"):
        take(mapped, fitted(hidden=12, layers=2, **OPTIONS), "field")
    with pytest.raises(ArgumentError, match="start_part: got 'fields'"):
        take(mapped, flow, "fields")
