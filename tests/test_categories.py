"""Features that are kinds: one-hot for networks, decided by the largest column, scored as kinds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcgen import clouds as pc
from pcgen import metrics
from pcgen.categories import decided, relaxed, widths
from pcgen.errors import DataError
from pcgen.io import read_clouds, write_clouds
from pcgen.metrics import protocols
from pcgen.schema import Quantity, Schema
from pcgen.standardize import Standardize
from pcgen.tools import cli

KIND = Quantity("pid", categories=("photon", "charged", "neutral"))
TIME = Quantity("time", "ns")
HITS = Schema((Quantity("x", "mm"),), Quantity("energy", "GeV"), features=(TIME, KIND))


def hits(number: int, seed: int = 0) -> pc.Batch:
    """Photons at x > 0, others at x < 0, one neutral in four; photons have twice the energy."""
    random = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 6, (number,), generator=random)
    points = int(sizes.sum())
    right = torch.rand(points, generator=random) < 0.5
    neutral = torch.rand(points, generator=random) < 0.25
    x = torch.where(right, 1.0, -1.0) + 0.1 * torch.randn(points, generator=random)
    kind = torch.where(right, 0, torch.where(neutral, 2, 1)).float()
    energy = torch.where(right, 2.0, 1.0) * (1 + 0.1 * torch.rand(points, generator=random))
    time = torch.randn(points, generator=random)
    return pc.make(x[:, None], sizes, weight=energy, x=torch.stack([time, kind], 1))


@given(kinds=st.lists(st.integers(0, 2), max_size=8))
def test_what_is_relaxed_is_decided_again(kinds):
    x = torch.tensor([[0.5 * k, float(k)] for k in kinds]).view(-1, 2)
    columns = relaxed(x, HITS.features)
    assert columns.shape == (len(kinds), sum(widths(HITS.features)))
    assert torch.equal(columns[:, 1:].sum(1), torch.ones(len(kinds)))
    assert torch.equal(decided(columns, HITS.features), x)


@pytest.mark.parametrize("value", [-1.0, 3.0, 0.5, float("nan")])
def test_a_value_that_is_no_category_is_refused(value):
    with pytest.raises(DataError, match=r"pid of point 1: .* 0 to 2 \(photon, charged, neutral\)"):
        relaxed(torch.tensor([[0.0, 1.0], [0.0, value]]), HITS.features)


def test_standardised_clouds_come_back_and_categories_have_one_scale():
    clouds = hits(500)
    standardize = Standardize(HITS).fit(clouds)
    seen = standardize(clouds)
    assert seen.x.shape[1] == 1 + 3 + 1
    assert standardize.point_features == 1 + 1 + 3 + 1
    assert len(standardize.x.std[1:].unique()) == 1
    assert seen.x[:, 1:4].square().mean() == pytest.approx(1.0, rel=1e-5)
    back = standardize.inverse(seen, pc.total(clouds))
    torch.testing.assert_close(back.x[:, 0], clouds.x[:, 0])
    assert torch.equal(back.x[:, 1], clouds.x[:, 1])


def test_scores_count_the_categories_and_compare_their_spectra():
    real = hits(600)
    other = hits(600, 1)
    swapped = other.x.clone()
    swapped[:, 1] = torch.where(other.x[:, 1] == 0, 1.0, torch.where(other.x[:, 1] == 1, 0.0, 2.0))
    wrong = pc.replace(other, x=swapped)
    protocol = protocols.pcgen(HITS, subset=0)
    found = [
        {s.name: s for s in metrics.evaluate(
            real, side, HITS, protocol=protocol, permutations=0).scores}
        for side in (other, wrong)
    ]  # fmt: skip
    counts = [f"W1 number of pid {name}" for name in KIND.categories]
    spectra = [f"W1 point energy of pid {name}" for name in KIND.categories]
    for name in (*counts, *spectra):
        assert abs(found[0][name].z) < 4
    for name in (*counts[:2], *spectra[:2]):
        assert found[1][name].value > 2.5 * found[1][name].floor
    assert abs(found[1][spectra[2]].z) < 4  # neutrals were left as they are
    assert not any(name == "W1 point pid" for name in found[0])


def test_a_flow_generates_categories_where_they_belong(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_clouds("hits.h5", hits(2000), HITS)
    train = ["train", "points-flow", "--data", "hits.h5", "--output", "run", "--hidden", "32",
             "--layers", "2", "--steps", "300", "--lr", "0.003", "--samples", "0",
             "--validate-events", "50", "--ema", "0.98", "--progress", "false"]  # fmt: skip
    assert not cli.main(train)
    assert not cli.main(["sample", "run", "fake.h5", "--number", "600", "--seed", "1"])
    fake, schema = read_clouds("fake.h5")
    assert schema == HITS
    kind, right = fake.x[:, 1], fake.pos[:, 0] > 0
    assert set(kind.unique().tolist()) <= {0.0, 1.0, 2.0}
    assert ((kind == 0) == right).float().mean() > 0.7  # after 300 steps; 0.5 by chance
    assert (kind == 2).float().mean() == pytest.approx(0.125, abs=0.05)
    capsys.readouterr()
    assert not cli.main(["info", "fake.h5"])
    assert "pid (photon, charged, neutral)" in capsys.readouterr().out
