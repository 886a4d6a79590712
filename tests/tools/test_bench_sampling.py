"""Padded twins give the numbers of the ragged networks, whose times are compared with theirs."""

from __future__ import annotations

import time

import pytest
import torch

from pcgen.nn import EPiCField
from pcgen.tools.benchmarks import padded, sampling
from pcgen.tools.benchmarks.measure import Limits
from pcgen.tools.cli import main

CASES = {case.name.partition(",")[0]: case for case in sampling.cases(quick=True)}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sizes", [[3, 0, 9, 1, 7], [4]])
def test_a_padded_twin_gives_the_same_numbers(name, sizes):
    case = CASES[name]
    for contest in (case.sampled, case.learnt):
        sides = contest(sampling.jets_of(torch.tensor(sizes), 9, *case.channels))
        ours, theirs = (call() for call in sides.calls)
        assert ours.shape == (sum(sizes), 3)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_a_padded_twin_has_the_same_gradients(name):
    case = CASES[name]
    sides = case.learnt(sampling.jets_of(torch.tensor([3, 5, 1]), 6, *case.channels))
    for call in sides.calls:
        call().square().mean().backward()
    ours, theirs = (dict(network.named_parameters()) for network in sides.networks)
    assert len(ours) == len(theirs)
    for key, parameter in ours.items():
        other = theirs[key.replace(".linear.", ".")]
        assert parameter.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(parameter.grad, other.grad, rtol=1e-3, atol=1e-6)


def test_what_lies_in_the_padding_reaches_nothing():
    jets = sampling.jets_of(torch.tensor([2, 5]), 6, 3, 7)
    twin = padded.PaddedEPiCField(EPiCField(3, condition_channels=7, hidden=8, layers=2))
    dense, mask = jets.padded()
    time_of_each = torch.rand(2)
    clean = twin(dense, mask, time_of_each, jets.condition)
    other = twin(torch.where(mask > 0, dense, 1e3), mask, time_of_each, jets.condition)
    torch.testing.assert_close(clean, other)
    messages = padded.PaddedMessages((3, 3))
    torch.testing.assert_close(
        messages(dense, mask), messages(torch.where(mask > 0, dense, 7.0), mask)
    )


def test_pairs_are_those_of_each_cloud():
    pairs = padded.Pairs(torch.tensor([2, 0, 1]))
    assert list(zip(pairs.to.tolist(), pairs.by.tolist(), strict=True)) == [
        (0, 0), (0, 1), (1, 0), (1, 1), (2, 2),
    ]  # fmt: skip
    assert pairs.ptr.tolist() == [0, 2, 4, 5]


def test_lengths_are_those_of_jets():
    thirty, full = (sampling.lengths(200, longest) for longest in sampling.LONGEST)
    assert int(thirty.max()) == 30
    assert 28 < float(thirty.double().mean()) < 30
    assert 50 < float(full.double().mean()) < 65
    assert torch.equal(full.clamp(max=30), thirty)


def test_the_slower_side_is_found_and_threads_are_put_back():
    def slow() -> torch.Tensor:
        until = time.process_time() + 0.01
        while time.process_time() < until:
            pass
        return torch.zeros(1)

    sides = sampling.Sides((lambda: torch.zeros(1), slow), (torch.nn.Linear(1, 1),) * 2)
    limits = Limits(60.0, 2.0**30, time.monotonic() + 60, 3, "cpu")
    before = torch.get_num_threads()
    with sampling.one_thread():
        assert torch.get_num_threads() == 1
        found = sampling.measured(sides, limits, learn=False)
    assert torch.get_num_threads() == before
    assert found.ratio > 10


def test_the_section_through_the_command_line(tmp_path, capsys):
    output = tmp_path / "a.md"
    words = ["bench", "--which", "sampling", "--quick", "--repeats", "1", "--output", str(output)]
    assert main(words) == 0, capsys.readouterr().err
    text = output.read_text()
    assert "## Sampling" in text
    rows = [line for line in text.splitlines() if line.startswith(("| EPiC", "| MPGAN"))]
    assert len(rows) == 3 * 2 * 3
    for row in rows:
        *_, ragged, other, ratio = row.strip("| ").split(" | ")
        assert min(float(ragged), float(other), float(ratio)) > 0


def test_penalties_through_the_command_line(tmp_path, capsys):
    output = tmp_path / "a.md"
    words = ["bench", "--which", "games", "--quick", "--repeats", "1", "--output", str(output)]
    assert main(words) == 0, capsys.readouterr().err
    rows = [line.strip("| ").split(" | ") for line in output.read_text().splitlines()
            if line.startswith(("| points-gan", "| image-gan", "| sites-gan"))]  # fmt: skip
    assert [row[1] for row in rows].count("none") == 3
    assert all(float(row[3]) > 0 for row in rows)
    assert all(float(row[3]) == 1 for row in rows if row[1] == "none")
