"""The acceptance test of judging: honest p-values under the null, and power where jets differ.

Over 20 fixed seeds of disjoint halves of the shipped jets the p-values of every score are uniform
(Kolmogorov-Smirnov, Holm-corrected over the scores), and quark and gluon jets are distinguished.
"""

from __future__ import annotations

import pytest
import torch
from scipy.stats import kstest

from pcgen.datasets import sample_jets
from pcgen.io import JETS
from pcgen.metrics import protocols

SEEDS = 20


@pytest.fixture(scope="module")
def jets():
    return sample_jets("all").load()


@pytest.fixture(scope="module")
def comparisons(jets):
    protocol = protocols.pcgen(JETS)
    return [(part, part.build(jets, JETS)) for part in protocol.parts]


@pytest.mark.slow
def test_p_values_of_every_score_are_uniform_over_halves(jets, comparisons):
    found: dict[str, list[float]] = {}
    for seed in range(SEEDS):
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(jets.num_graphs, generator=generator)
        for part, comparison in comparisons:
            size = part.tested // 2
            a, b = order[:size], order[size : 2 * size]
            values = comparison.p_values(a, b, 99, generator).tolist()
            for measure, p in zip(comparison.measures, values, strict=True):
                if p == p:
                    found.setdefault(measure.name, []).append(p)
    assert {"W1 mass", "W1 tau21", "W1 lund ln kt", "FPD", "KPD", "AUC"} <= found.keys()
    assert {"COV-CD", "MMD-EMD", "1-NNA-EMD", "W1 point pt"} <= found.keys()
    levels = sorted((kstest(p, "uniform").pvalue, name) for name, p in found.items())
    for k, (level, name) in enumerate(levels):
        assert level * (len(levels) - k) > 0.05, (name, level, found[name])


@pytest.mark.slow
def test_quark_jets_are_distinguished_from_gluon_jets(jets, comparisons):
    gluon, quark = (torch.where(jets.label == k)[0][:600] for k in (0, 1))
    generator = torch.Generator().manual_seed(0)
    found = {}
    for _, comparison in comparisons[:3]:
        values = comparison.p_values(gluon, quark, 1199, generator).tolist()
        found |= dict(zip([m.name for m in comparison.measures], values, strict=True))
    names = ("mass", "multiplicity", "girth", "ptd", "point pt")
    for name in (*(f"W1 {name}" for name in names), "FPD", "AUC"):
        assert found[name] < 0.001, (name, found[name])
