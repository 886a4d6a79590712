"""What scores do not show is found where it was planted, and named."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from pcgen import clouds as pc
from pcgen.datasets import sample_jets
from pcgen.io import JETS
from pcgen.metrics.trust import assess, assessment


@pytest.fixture(scope="module")
def jets():
    return sample_jets("all").read(0, 900)


def test_fresh_events_are_trusted(jets):
    parts = (pc.select(jets, slice(k, k + 300)) for k in (0, 300, 600))
    found = assess(*parts, JETS)
    assert found.memorisation.copies == ()
    assert abs(found.memorisation.score) < 4
    assert not any(diagnosis.found for diagnosis in found.diagnoses)
    assert json.loads(json.dumps(asdict(found)))["outliers"]["beyond"] == found.outliers.beyond


def test_copies_and_outliers_are_named(jets):
    training, test, fresh = (pc.select(jets, slice(k, k + 300)) for k in (0, 300, 600))
    start, stop = fresh.ptr[7], fresh.ptr[8]
    pos = fresh.pos.clone()
    pos[start:stop] *= 5.0
    copied = pc.concat([pc.replace(fresh, pos=pos), pc.select(training, [3, 4])])
    found = assess(training, test, copied, JETS)
    assert set(found.memorisation.copies) == {300, 301}
    assert found.outliers.events[0] == 7
    assert found.outliers.trimmed < found.outliers.score / 2
    assert any("2 generated events are copies" in line for line in found.sentences)
    assert any("events 7" in line for line in found.sentences)


def test_there_is_no_all_clear_above_a_list_of_copies(jets):
    """A few copies among many events move no test of all events."""
    training, test, fresh = (pc.select(jets, slice(k, k + 300)) for k in (0, 300, 600))
    found = assess(training, test, pc.concat([fresh, pc.select(training, [5])]), JETS)
    assert found.memorisation.copies == (300,)
    verdict = found.diagnoses[0].verdict
    assert found.sentences[0] == verdict
    assert verdict.startswith("Signs of overfitting: 1 generated events are copies of training")
    assert found.diagnoses[0].found
    # Where test events equal training events as well, a copy shows nothing.
    test = pc.concat([test, pc.select(training, [6])])
    found = assess(training, test, pc.concat([fresh, pc.select(training, [5])]), JETS)
    assert found.sentences[0].startswith("Overfitting is undecided: 1 generated events are copies")
    assert not found.diagnoses[0].found


def test_copies_are_found_among_all_training_events(jets, monkeypatch):
    monkeypatch.setattr(assessment, "EVENTS", 100)
    training, test, fresh = (pc.select(jets, slice(k, k + 300)) for k in (0, 300, 600))
    copied = pc.concat([fresh, pc.select(training, range(0, 300, 10))])
    assert assess(training, test, copied, JETS).memorisation.copies == tuple(range(300, 330))


def test_is_reproducible(jets):
    parts = [pc.select(jets, slice(k, k + 100)) for k in (0, 100, 200)]
    assert assess(*parts, JETS, seed=3) == assess(*parts, JETS, seed=3)
