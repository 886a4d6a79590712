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


@torch.no_grad()
def test_a_flow_starts_the_decoder_of_a_latent_flow_which_ignores_its_code():
    torch.manual_seed(0)
    flow = fitted(encoder="epic", identity=True, **SMALL, **OPTIONS)
    latent = fitted("points-latent-flow", identity=True, **SMALL)
    take(latent, flow, "autoencoder.decoder.field=field")
    jets = sample_jets("train", max_points=8).read(0, 30)
    event, condition = flow.representation.see(jets)
    same, also = latent.representation.see(jets)
    torch.testing.assert_close(same.pos, event.pos)
    time = torch.rand(30)
    expected = flow.field(event, time, condition)
    for code in (torch.zeros(30, 16), torch.randn(30, 16)):
        found = latent.autoencoder.decoder.field(same, time, torch.cat([also, code], 1))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_what_has_shrunk_or_is_another_network_is_refused():
    flow, mapped = fitted(**SMALL, **OPTIONS), fitted("points-flow-map", **SMALL)
    with pytest.raises(CheckpointError, match="expected shape"):
        take(flow, mapped, "field")
    with pytest.raises(CheckpointError, match="expected shape"):
        take(mapped, fitted(hidden=12, layers=2, **OPTIONS), "field")
    with pytest.raises(ArgumentError, match="start_part: got 'fields'"):
        take(mapped, flow, "fields")
    with pytest.raises(ArgumentError, match="start_part: got 'fields', expected a part of start"):
        take(mapped, flow, "field=fields")
