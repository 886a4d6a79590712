"""``pcgen papers``: the claims run, a verdict is what the numbers say, and tables are written."""

from __future__ import annotations

import csv
import importlib
import math
from pathlib import Path

import pytest
import torch

from pcgen.errors import ArgumentError
from pcgen.tools.claims import (
    bars,
    chain,
    codes,
    dirac,
    frozen,
    games,
    gaussians,
    hybrid,
    occupancy,
    pulses,
    ring,
    sensing,
    shapes,
    stacked,
    toys,
    wasserstein,
)
from pcgen.tools.claims.claim import Claim
from pcgen.tools.claims.several import Networks, per_seed
from pcgen.tools.cli import main
from pcgen.tools.papers import FAMILIES, papers


def claim(values: list[float], threshold: float, *, above: bool) -> Claim:
    return Claim("f", "text", "paper", "1", lambda seeds, quick: values, threshold, above)


def test_the_median_decides_and_nothing_that_is_not_a_number_passes() -> None:
    assert claim([0.0, 0.5, 9.0], 0.5, above=False).check(range(3), False).holds
    assert not claim([0.0, 0.6, 0.6], 0.5, above=False).check(range(3), False).holds
    assert claim([0.0, 0.5, 9.0], 0.5, above=True).check(range(3), False).holds
    assert not claim([math.nan], 0.5, above=True).check([0], False).holds
    assert not claim([math.nan], 0.5, above=False).check([0], False).holds
    row = claim([1.0, 3.0], 5.0, above=True).check([0, 1], False).row
    assert (row["ours"], row["spread"], row["threshold"]) == ("2", "1 to 3", ">= 5")
    assert row["verdict"] == "FAIL"
    row = claim([999.0, 999.0, 0.12345], 5.0, above=True).check([0], False).row
    assert (row["ours"], row["spread"]) == ("999", "0.123 to 999")


def test_every_family_has_claims_of_its_name() -> None:
    for name in FAMILIES:
        found = importlib.import_module(f"pcgen.tools.claims.{name}").CLAIMS
        assert len(found) >= 3
        assert {each.family for each in found} == {name}
    assert len({each.text + each.family for name in FAMILIES for each in importlib.import_module(
        f"pcgen.tools.claims.{name}").CLAIMS}) == 54 + 26 + 11 + 9 + 6 + 6  # fmt: skip


def test_quick_run_types_every_claim_and_writes_both_tables(tmp_path: Path, capsys) -> None:
    target = tmp_path / "papers"
    words = ["papers", "games", "dirac", "frozen", "ring", "gaussians", "stacked", "occupancy",
             "--quick", "--seeds", "2"]  # fmt: skip
    assert main([*words, "--output", str(target)]) == 0
    out = capsys.readouterr().out
    assert "quick: the verdicts mean nothing" in out
    with target.with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 49
    held = sum(row["verdict"] == "pass" for row in rows)
    assert f"{held} of 49 claims hold" in out
    page = target.with_suffix(".md").read_text()
    assert page.count("\n| ") == 49 - 1 + 1
    assert all(row["claim"] in page and row["claim"] in out for row in rows)


def test_quick_run_types_every_claim_of_chains_bars_and_the_hybrid(capsys) -> None:
    assert main(["papers", "chain", "bars", "hybrid", "--quick", "--seeds", "1"]) == 0
    out = capsys.readouterr().out
    assert "of 11 claims hold" in out
    for each in (*chain.CLAIMS, *bars.CLAIMS, *hybrid.CLAIMS):
        assert each.text in out


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match="names: got 'chess', expected some of games, dirac"):
        papers(["chess"])
    with pytest.raises(ArgumentError, match=r"output: got 'a.pdf', expected .md, .csv or a name"):
        papers(["games"], output="a.pdf")
    with pytest.raises(ArgumentError, match="seeds: got 0, expected >= 1"):
        papers(["games"], seeds=0)


# --- what the claims measure ----------------------------------------------------------------------


def test_networks_of_several_seeds_do_not_see_each_other() -> None:
    both, one = Networks([3, 8], (2, 5, 1)), Networks([8], (2, 5, 1))
    rows = torch.randn(6, 2)
    torch.testing.assert_close(both(torch.cat([rows, rows]))[6:], one(rows))
    sides = [torch.optim.Adam(net.parameters(), 1e-2) for net in (both, one)]
    for _ in range(3):
        for net, optimiser, x in zip((both, one), sides, (torch.cat([-rows, rows]), rows),
                                     strict=True):  # fmt: skip
            optimiser.zero_grad()
            per_seed(net(x).square(), range(net.number)).sum().backward()
            optimiser.step()
    torch.testing.assert_close(both(torch.cat([rows, rows]))[6:], one(rows))


def test_dirac_gan_is_that_of_the_paper_step_by_step() -> None:
    """ψ and θ by hand: f'(t) = σ(t) at t = ψ θ, and R1 is λ ψ²."""
    psi, theta = (math.sqrt(2) * f(dirac._angle(4)) for f in (math.sin, math.cos))
    largest = 0.0
    for _ in range(40):
        psi -= dirac.RATE * (theta / (1 + math.exp(-psi * theta)) + 2 * 0.5 * psi)
        theta += dirac.RATE * psi / (1 + math.exp(psi * theta))
        largest = max(largest, abs(theta))
    (got,) = dirac.farthest(dirac.ADVERSARIES["R1"], [4], True)
    assert got == pytest.approx(largest, rel=1e-4)


def test_modes_are_counted_on_the_truth_and_on_a_collapse() -> None:
    draw = torch.Generator().manual_seed(0)
    samples = ring.ring(5000, draw)
    assert ring.modes(samples) == 7
    assert samples.norm(dim=1).mean() == pytest.approx(1, abs=0.01)
    assert ring.modes(samples[:1].expand(5000, 3)) == 1
    assert ring.modes(torch.zeros(5000, 3)) == 0
    few = samples.clone()
    few[19:] = 0.0
    assert ring.modes(few) == 0
    assert toys.quality(samples, ring.centres(), ring.WIDTH) > 0.99
    assert toys.quality(few, ring.centres(), ring.WIDTH) == pytest.approx(19 / 5000)


def test_other_modes_are_counted_where_they_are() -> None:
    draw = torch.Generator().manual_seed(0)
    lattice = gaussians.lattice(5000, draw)
    assert toys.found(lattice, gaussians.centres(), gaussians.WIDTH) == 25
    left = lattice[lattice[:, 0] < -0.3]
    assert toys.found(left, gaussians.centres(), gaussians.WIDTH) == 10
    assert sorted(gaussians.centres()[:, 0].unique().mul(1.414).round().tolist()) == [
        -2, -1, 0, 1, 2]  # fmt: skip
    numbers = stacked.numbers(26000, draw)
    assert stacked.found(numbers) == 1000
    same = numbers.clone()
    same[:, :2] = stacked.places()[3]
    assert stacked.found(same) == 100
    same[:, 4:] = 0.0  # cannot be read
    assert stacked.found(same) == 0


@pytest.mark.parametrize("modes", ["none", "reg-gan", "mdgan"])
def test_toys_train_each_seed_as_it_would_be_alone(modes: str) -> None:
    """Losses of several seeds do not mix, in any phase: no seed moves with another's data."""
    toy = toys.Toy(ring.ring, 3, hidden=(4,), noise=2, batch=5)
    gan = toys.model(toy, [3, 8], ring.ADVERSARIES["r1"], modes)
    for phase in gan.phases():
        rows = ring.ring(10, torch.Generator().manual_seed(0))
        gradients = []
        for scale in (1.0, 5.0):
            other = rows.clone()
            other[5:] *= scale
            torch.manual_seed(0)
            loss = torch.stack(list(phase.loss(other).values())).sum()
            gradients.append(torch.autograd.grad(loss, phase.parameters()))
        assert all(torch.equal(a[0], b[0]) for a, b in zip(*gradients, strict=True))
        if phase.name != "generator" or modes == "reg-gan":
            assert not all(torch.equal(a[1], b[1]) for a, b in zip(*gradients, strict=True))


def test_identities_hold_without_any_training() -> None:
    assert games.saturating_slope([0], False)[0] == pytest.approx(1 / (1 + math.exp(20)))
    assert games.other_slope([0], False)[0] == pytest.approx(1, abs=1e-8)
    assert occupancy.slope(True, [0], False)[0] == pytest.approx(-2, abs=0.05)
    assert occupancy.snr_at_64([0], False)[0] < 0.05
    real, generated = frozen.curves([1, 2])
    assert real.shape == generated.shape == (256, 10)
    centred = real[:128] - real[:128].mean(0)
    assert int((torch.linalg.svdvals(centred) > 1e-3).sum()) == 2


def test_quick_run_of_codes(tmp_path: Path) -> None:
    target = tmp_path / "codes.csv"
    words = ["papers", "codes", "--quick", "--seeds", "1", "--output", str(target)]
    assert main(words) == 0
    with target.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["family"] for row in rows] == ["codes"] * 9
    inverse = next(row for row in rows if "error of the inverse" in row["claim"])
    assert inverse["verdict"] == "pass"


def test_largest_likelihood_is_that_of_the_fitted_normal_where_no_column_is_left_out() -> None:
    """With as many columns as but one, probabilistic PCA is the full normal distribution."""
    x = torch.randn(50, 3, dtype=torch.float64) @ torch.randn(3, 3, dtype=torch.float64)
    law = torch.distributions.MultivariateNormal(x.mean(0), torch.cov(x.T, correction=0))
    torch.testing.assert_close(codes._ppca(x, 2), law.log_prob(x).mean())


def test_quick_run_of_inverse_problems(tmp_path: Path, capsys) -> None:
    target = tmp_path / "inverse.csv"
    words = ["papers", "sensing", "recovery", "pulses", "completion", "--quick", "--seeds", "1"]
    assert main([*words, "--output", str(target)]) == 0
    with target.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["family"] for row in rows} == {"sensing", "recovery", "pulses", "completion"}
    assert len(rows) == 26


def test_hits_of_a_pulse_are_joined_and_matched() -> None:
    truth = torch.zeros(1, pulses.BINS)
    truth[0, 20], truth[0, 60] = 0.5, 0.8
    assert pulses.score(truth, truth) == (1.0, 1.0, 0.0)
    found = torch.zeros(1, pulses.BINS)
    found[0, 20:22] = 0.3  # one hit of 0.6 at 10.25 samples
    found[0, 100] = 0.2
    found[0, 10] = 0.05  # below the lowest amplitude
    assert pulses.hits(found[0].tolist()) == [
        pytest.approx((10.25, 0.6)), pytest.approx((50.0, 0.2))
    ]  # fmt: skip
    assert pulses.score(found, truth) == pytest.approx((0.5, 0.5, 0.2), abs=1e-6)
    matrix = pulses.dictionary()
    assert float(matrix.amax()) == pytest.approx(1.0, abs=0.01)
    shape = matrix / matrix.norm(dim=0)
    assert float((shape[:, 20] * shape[:, 21]).sum()) > 0.98


def test_signals_of_the_random_generator_are_sparse_and_of_norm_1() -> None:
    made, draw = sensing.network(5)
    signals = made(torch.randn(2000, sensing.NOISE, generator=draw))
    assert float((signals > 0).double().mean()) == pytest.approx(sensing.ACTIVE, abs=0.03)
    assert float(signals.norm(dim=1).mean()) == pytest.approx(1, abs=0.1)
    assert bool(sensing.signals(1, False)[1].any(1).all())


@pytest.mark.slow
def test_wasserstein_claims_run_and_lines_are_as_far_as_they_are() -> None:
    assert wasserstein.transport_error([0, 1], True) == pytest.approx([0, 0], abs=1e-5)
    for each in wasserstein.CLAIMS:
        assert all(math.isfinite(value) for value in each.measure([0, 1], True))


@pytest.mark.slow
def test_claims_on_shapes_run_and_are_of_the_models_that_they_name() -> None:
    found = shapes.scores(0, True)
    models = ("r-GAN", "l-GAN", "mixture", "flow", "truth")
    assert set(found) == {f"{name} {distance}" for name in models for distance in ("CD", "EMD")}
    assert all(0 <= value <= 100 for value in found.values())
    (gap,) = shapes.CLAIMS[0].measure([0], True)
    assert gap == found["r-GAN CD"] - found["l-GAN CD"]
    (off,) = shapes.CLAIMS[-1].measure([0], True)
    assert off == abs(found["truth CD"] - 50)


def test_quick_run_of_sets(tmp_path: Path) -> None:
    target = tmp_path / "sets.csv"
    assert main(["papers", "sets", "--quick", "--seeds", "1", "--output", str(target)]) == 0
    with target.open() as file:
        assert [row["family"] for row in csv.DictReader(file)] == ["sets"] * 6


def test_the_square_of_the_claims_of_sets_is_one() -> None:
    from pcgen.tools.claims.sets import square

    corners = square(32)
    assert torch.equal(corners.abs().amax(1), torch.ones(32))
    sides = [(corners[:, axis] == end).sum().item() for axis in (0, 1) for end in (-1, 1)]
    assert sides == [8] * 4
    assert torch.allclose(corners.sum(0), torch.zeros(2), atol=1e-5)
