from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from pcgen import clouds as pc
from pcgen import report
from pcgen.errors import ArgumentError, DataError
from pcgen.metrics import Evaluation, Score, evaluate, protocols
from pcgen.metrics.jets.kinematics import relative
from pcgen.schema import Quantity, Schema

JETS = Schema((Quantity("eta_rel"), Quantity("phi_rel", "rad", 2 * math.pi)), Quantity("pt", "GeV"))


def jets(number, width=0.1, seed=0, mean_size=8):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.poisson(torch.full((number,), float(mean_size)), generator=generator).long()
    n = int(sizes.sum())
    pos = width * torch.randn(n, 2, generator=generator)
    return pc.make(pos, sizes, weight=50 * torch.rand(n, generator=generator))


def test_the_same_distribution_scores_its_floor():
    result = evaluate(
        jets(800, seed=1),
        jets(400, seed=2),
        JETS,
        protocol=protocols.pcgen(JETS, repeats=6, subset=60),
    )
    for score in result.scores:
        assert abs(score.z) < 5, score
        assert math.isfinite(score.value)
    names = {score.name for score in result.scores}
    assert {"W1 mass", "W1 pt", "W1 girth", "W1 multiplicity", "W1 point eta_rel"} <= names
    assert {"COV-CD", "MMD-CD", "1-NNA-EMD"} <= names


def test_a_wrong_generator_is_seen_by_the_scores_it_concerns():
    result = evaluate(
        jets(800, seed=1),
        jets(400, width=0.2, seed=2),
        JETS,
        protocol=protocols.pcgen(JETS, repeats=6, subset=60),
    )
    z = {score.name: score.z for score in result.scores}
    assert z["W1 mass"] > 5
    assert z["W1 girth"] > 5
    assert z["1-NNA-EMD"] > 3
    assert abs(z["W1 multiplicity"]) < 5


def test_is_reproducible_and_writes_plain_values():
    real, fake = jets(60, seed=1), jets(30, seed=2)
    first = evaluate(real, fake, JETS, protocol=protocols.pcgen(JETS, repeats=2, subset=10), seed=3)
    assert first == evaluate(
        real, fake, JETS, protocol=protocols.pcgen(JETS, repeats=2, subset=10), seed=3
    )
    assert first != evaluate(
        real, fake, JETS, protocol=protocols.pcgen(JETS, repeats=2, subset=10), seed=4
    )
    assert json.loads(json.dumps(first.to_dict()))["events"] == [60, 30]


def test_empty_events_are_counted_and_left_out_of_pairs():
    real = pc.concat([jets(40, seed=1), pc.make(torch.zeros(0, 2), [0], weight=torch.zeros(0))])
    result = evaluate(
        real, jets(20, seed=2), JETS, protocol=protocols.pcgen(JETS, repeats=2, subset=5)
    )
    assert result.weightless[0] >= 1
    assert {s.events for s in result.scores} == {20, 5}


def test_progress_reaches_one():
    seen = []
    evaluate(
        jets(40),
        jets(20, seed=1),
        JETS,
        protocol=protocols.pcgen(JETS, repeats=2, subset=4),
        progress=seen.append,
    )
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_bad_input_is_named():
    real = jets(20)
    with pytest.raises(ArgumentError, match="repeats, subset: got 1"):
        protocols.pcgen(JETS, repeats=1)
    with pytest.raises(DataError, match="got 1 real and 20 generated, expected at least 20 and 10"):
        evaluate(pc.select(real, [0]), real, JETS)
    broken = pc.replace(real, weight=real.weight.clone().index_fill(0, torch.tensor([3]), -1.0))
    with pytest.raises(DataError, match="weight of event 0: got a negative value"):
        evaluate(real, broken, JETS)


def test_broken_events_are_named_and_not_scored():
    real, fake = jets(60, seed=1), jets(30, seed=2)
    weight = fake.weight.clone()
    weight[fake.ptr[4]] = torch.nan
    pos = fake.pos.clone()
    pos[fake.ptr[9], 1] = torch.inf
    protocol = protocols.pcgen(JETS, repeats=2, subset=0)
    broken = evaluate(real, pc.replace(fake, weight=weight, pos=pos), JETS, protocol=protocol)
    assert broken.broken == ((), (4, 9))
    left = pc.select(fake, [k for k in range(30) if k not in (4, 9)])
    assert broken.scores == evaluate(real, left, JETS, protocol=protocol).scores


def test_scores_without_points_are_named_as_undefined():
    nothing = pc.make(torch.zeros(0, 2), [0] * 40, weight=torch.zeros(0))
    result = evaluate(jets(80), nothing, JETS, protocol=protocols.pcgen(JETS, repeats=2, subset=0))
    assert set(result.undefined) == {
        *("W1 point eta_rel", "W1 point phi_rel", "W1 point pt"),
        *("W1 lund ln kt", "W1 lund ln 1/delta"),
    }
    assert result.not_defined == (f"not defined: {', '.join(result.undefined)}",)
    assert "W1 multiplicity" in {score.name for score in result.scores}
    with pytest.raises(DataError, match="got 80 real and 0 generated that can be compared"):
        evaluate(jets(80), nothing, JETS, protocol=protocols.pcgen(JETS, repeats=2, subset=5))


@pytest.mark.parametrize(("real", "generated"), [(45, 300), (66, 34), (68, 33), (68, 34)])
def test_a_classifier_that_cannot_learn_from_so_few_events_has_no_score(real, generated):
    """Two leaves of 20 events are made of 60 % of at least 34 events on each side."""
    protocol = protocols.pcgen(JETS, repeats=2, subset=0)
    fake = jets(generated, width=1.0, seed=2)
    result = evaluate(jets(real, seed=1), fake, JETS, protocol=protocol, permutations=10)
    names = {score.name for score in result.scores}
    if min(real // 2, generated) >= 34:
        assert {"AUC", "JSD"} <= names
        assert not result.undefined
        return
    assert not {"AUC", "JSD"} & names
    assert result.undefined == ("AUC", "JSD")
    assert result.not_defined == (
        "AUC, JSD not defined: too few events, 68 real and 34 generated needed",
    )
    assert result.to_dict()["needed"] == {"AUC": 34, "JSD": 34}
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_condition_that_one_side_lacks_is_used_on_neither():
    """Relative p_T is over the condition where both have it, otherwise over the sum, on both."""
    real, fake = jets(60, seed=1), jets(30, seed=2)
    protocol = replace(protocols.pcgen(JETS, repeats=2, subset=0), prepare=relative)
    schema = replace(JETS, condition=(Quantity("jet_pt", "GeV"),))
    known = pc.replace(real, y=torch.full((60, 1), 7.0))
    one = evaluate(known, fake, schema, protocol=protocol, permutations=0)
    assert one == evaluate(real, fake, schema, protocol=protocol, permutations=0)


@pytest.mark.parametrize(
    ("value", "floor", "error", "expected"),
    [
        (1.0, 0.5, 0.0, math.inf),
        (0.5, 1.0, 0.0, -math.inf),
        (0.5, 0.5, 0.0, 0.0),
        (1.0, 0.5, 0.25, 2.0),
    ],
)
def test_scores_that_do_not_vary_are_infinitely_far_unless_they_are_equal(
    value, floor, error, expected
):
    score = Score("W1 multiplicity", "", value, error, floor, 0.0, None, 20, 2)
    assert score.z == expected


def test_infinite_distances_are_valid_json_and_marked_in_every_table():
    scores = tuple(
        Score(name, "", value, 0.0, 0.5, 0.0, None, 20, 2)
        for name, value in (("over", 1.0), ("under", 0.1), ("equal", 0.5))
    )
    result = Evaluation("pcgen", scores, (40, 20), 0, 0)
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert [float(score["z"]) for score in json.loads(text)["scores"]] == [math.inf, -math.inf, 0]
    lines = report.markdown_table({"fake": result}).splitlines()[2:]
    assert ["**+inf**" in lines[0], "**-inf**" in lines[1], "+0.0" in lines[2]] == [True] * 3
    assert report.html_table({"fake": result}).count('class="far"') == 4


def test_a_constant_number_of_points_that_is_wrong_is_a_failure():
    def hits(number, points, seed):
        generator = torch.Generator().manual_seed(seed)
        rows = number * points
        pos = torch.randn(rows, 2, generator=generator)
        return pc.make(pos, [points] * number, weight=torch.rand(rows, generator=generator))

    protocol = protocols.pcgen(JETS, repeats=2, subset=0)
    result = evaluate(hits(40, 5, 0), hits(20, 7, 1), JETS, protocol=protocol, permutations=0)
    found = {score.name: score for score in result.scores}["W1 multiplicity"]
    assert (found.value, found.floor, found.z) == (2.0, 0.0, math.inf)
