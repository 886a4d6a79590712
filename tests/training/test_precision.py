from __future__ import annotations

import math

import pytest
import torch
import toy_gan
from torch import nn
from toy_models import Toy
from toy_runs import fit, last, rows

from pcgen.errors import ArgumentError
from pcgen.models.base import Phase
from pcgen.training import Machine, Reports


class Linear(Toy):
    """Notes in what precision its layer computes."""

    def __init__(self) -> None:
        super().__init__(lambda toy: [Phase("fit", (toy.layer,), toy.loss)])
        self.layer = nn.Linear(1, 4)
        self.dtypes: list[torch.dtype] = []

    def loss(self, clouds):
        made = self.layer(clouds.pos)
        self.dtypes.append(made.dtype)
        return {"square": made.square().mean()}


def test_bf16_computes_in_bf16_and_learns_in_float32(tmp_path):
    model = fit(Linear(), tmp_path, 30, machine=Machine("cpu", precision="bf16-mixed"))
    assert set(model.dtypes) == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(bool(p.isfinite().all()) for p in model.parameters())
    losses = [row["fit/square"] for row in rows(tmp_path)]
    assert all(math.isfinite(float(value)) for value in losses)


def test_machines_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"machine: got .*fp16 is not supported on CPU"):
        fit(Toy(), tmp_path, 4, machine=Machine("cpu", precision="16-mixed"))
    with pytest.raises(ArgumentError, match="precision: got '8-bit'"):
        Machine(precision="8-bit")
    with pytest.raises(ArgumentError, match=r"machine: got .*'dp' is not supported on CPUs"):
        fit(Toy(), tmp_path, 4, machine=Machine("cpu", devices=2, strategy="dp"))
    with pytest.raises(ArgumentError, match=r"machine: got .*'no-such'"):
        fit(Toy(), tmp_path, 4, machine=Machine("no-such"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_gpu_trains_and_goes_on(tmp_path, precision):
    machine = Machine("cuda", precision=precision)
    reports = Reports(checkpoint_every=5, progress=False)
    options = {"machine": machine, "reports": reports, "validate": None}
    toy_gan.run(str(tmp_path / "whole"), 10, **options)
    toy_gan.run(str(tmp_path / "pieces"), 5, **options)
    toy_gan.run(str(tmp_path / "pieces"), 10, **options)
    whole, pieces = last(tmp_path / "whole"), last(tmp_path / "pieces")
    assert whole.draws == pieces.draws == 60
    assert whole.scaler.keys() == pieces.scaler.keys()
    assert bool(whole.scaler) == (precision == "16-mixed")
    for name, value in whole.model.items():
        assert torch.allclose(value, pieces.model[name], atol=1e-3), name
