"""``pcgen bench`` on tiny problems, and the rules by which cells are measured or left out."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import torch

from pcgen.errors import ArgumentError, FileError
from pcgen.ops.lattice import active_sites
from pcgen.ops.rulebooks import submanifold
from pcgen.tools import bench
from pcgen.tools.benchmarks import (
    chamfer,
    lattice,
    loading,
    machine,
    markdown,
    measure,
    scores,
    segments,
    startup,
    transport,
)
from pcgen.tools.benchmarks.measure import Case, Contender, Limits, Run, compare
from pcgen.tools.cli import COMMANDS, main


def limits(seconds=60.0, memory=2**30, left=60.0, repeats=2):
    return Limits(seconds, memory, time.monotonic() + left, repeats, "cpu")


def sleeper(seconds):
    """Takes ``seconds`` for a problem of size 1."""

    def prepare(size):
        x = torch.ones(2, requires_grad=True)

        def forward():
            time.sleep(seconds * size)
            return 2 * x

        return Run(forward, (x,))

    return prepare


def cases(*sizes):
    return [Case(f"{size}", float(size), lambda size=size: size) for size in sizes]


def quiet(_):
    pass


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--device abacus", "device: got 'abacus', expected one that works"),
        ("--device meta", "device: got 'meta', expected one that works"),
        ("--peers nowhere/python", "peers: got nowhere/python, expected a Python that can be run"),
    ],
)
def test_what_cannot_be_measured_on_is_refused_at_once(tmp_path, capsys, option, message):
    words = f"bench {tmp_path}/a.md --which transport --quick --repeats 1 {option}"
    assert main(words.split()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())


def test_a_cell_that_would_take_too_long_is_not_run():
    contenders = [Contender("fast", sleeper(0.0), "ours"), Contender("slow", sleeper(0.1))]
    table = compare(cases(100, 1), contenders, limits(seconds=8), quiet)
    assert list(table) == ["100", "1"]
    assert 0.1 <= table["1"]["slow"].forward <= table["1"]["slow"].total
    assert table["100"]["slow"].reason.startswith("not run (about")
    assert not table["100"]["fast"].reason


def test_a_cell_that_would_take_too_much_memory_is_not_run():
    contender = Contender("big", sleeper(0.0), bytes_per_work=2**21)
    table = compare(cases(1, 2**12), [contender], limits(), quiet)
    assert not table["1"]["big"].reason
    assert table["4096"]["big"].reason == "not run (needs 8 GiB)"


def test_nothing_is_begun_that_would_end_after_the_deadline():
    table = compare(cases(1, 20), [Contender("slow", sleeper(0.05))], limits(left=0.5), quiet)
    assert table["20"]["slow"].reason.endswith("no time left)")


def test_what_is_compiled_in_a_first_run_does_not_count(monkeypatch):
    monkeypatch.setattr(measure, "LONG", 0.2)
    runs = []

    def prepare(size):
        def forward():
            runs.append(size)
            time.sleep(0.3 if len(runs) == 1 else 0.05 * size)
            return torch.zeros(1)

        return Run(forward)

    table = compare(cases(1, 8), [Contender("compiled", prepare)], limits(), quiet)
    assert 0.05 <= table["1"]["compiled"].total < 0.3
    # The second problem is as long as expected: one run is enough.
    assert runs == [1, 1, 8]


def test_a_part_of_a_problem_counts_as_all_of_it():
    contender = Contender("part", sleeper(0.02), share=0.1)
    assert compare(cases(1), [contender], limits(), quiet)["1"]["part"].total >= 0.2


def test_who_is_missing_or_fails_is_reported_and_ours_may_not_fail():
    def broken(_):
        raise RuntimeError("no\nluck")

    contenders = [
        Contender("absent", sleeper(0.0), module="no_such_module_of_anybody"),
        Contender("elsewhere", sleeper(0.0), devices=("cuda",)),
        Contender("broken", broken),
    ]
    row = compare(cases(1), contenders, limits(), quiet)["1"]
    assert [r.reason for r in row.values()] == [
        "not installed",
        "not on this device",
        "failed (RuntimeError: no luck)",
    ]
    with pytest.raises(RuntimeError, match="no"):
        compare(cases(1), [Contender("ours", broken, "ours")], limits(), quiet)


def test_the_peak_of_memory_is_seen():
    def prepare(_):
        def forward():
            torch.ones(2**24).sum()  # 64 MiB that are gone when the run ends
            return torch.zeros(1)

        return Run(forward)

    memory = compare(cases(1), [Contender("big", prepare)], limits(), quiet)["1"]["big"].memory
    if memory is None:
        pytest.skip("this system does not give the peak of a process")
    assert 0.9 * 2**26 < memory < 3 * 2**26


def test_all_chamfer_contenders_compute_the_same():
    for problem in (chamfer.normal(3, 20, "cpu"), chamfer.jets(3, "cpu")):
        expected, gradient = None, None
        for contender in chamfer.contenders():
            if contender.kind == "limit" or contender.missing("cpu") or contender.name == "KeOps":
                continue
            run = contender.prepare(problem)
            value = run.forward()
            grad = torch.autograd.grad(value.sum(), run.leaves[0])[0].sum()
            expected, gradient = (value, grad) if expected is None else (expected, gradient)
            torch.testing.assert_close(value, expected)
            torch.testing.assert_close(grad, gradient, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("reduction", segments.REDUCTIONS)
@pytest.mark.parametrize("columns", [1, 5])
def test_all_segment_contenders_compute_the_same(reduction, columns):
    problem = segments.normal(3, 20, columns, "cpu")
    everybody = [c for c in segments.contenders(reduction) if not c.missing("cpu")]
    names = {c.name for c in everybody}
    assert {"pcgen"} < names
    assert ("pcgen, plain torch" in names) == (reduction in ("sum", "mean"))
    direction = torch.randn(60 if reduction == "softmax" else 3, columns)
    found = []
    for contender in everybody:
        run = contender.prepare(problem)
        value = run.forward()
        found.append((value, torch.autograd.grad((value * direction).sum(), run.leaves[0])[0]))
    for value, gradient in found[1:]:
        torch.testing.assert_close(value, found[0][0])
        torch.testing.assert_close(gradient, found[0][1])


def test_segments_are_compared_for_each_size():
    names = [case.name for case in segments.cases("cpu", quick=False)]
    assert len(set(names)) == len(names) == 12
    problem = segments.cases("cpu", quick=True)[1].make()
    assert problem.value.shape == (120, 8)
    assert problem.ptr.tolist() == [0, 30, 60, 90, 120]


@pytest.mark.slow
def test_a_quick_run_of_segments_shows_ratios_for_each_reduction(tmp_path):
    path = tmp_path / "benchmarks.md"
    bench.bench(str(path), which="segments", quick=True, repeats=1, budget=60)
    text = path.read_text()
    assert [f"### {name}" in text for name in segments.REDUCTIONS] == [True] * 4
    rows = [line for line in text.splitlines() if line.startswith("| B=4, n=30, C=8 | ")]
    assert len(rows) == 2 * len(segments.REDUCTIONS)


@pytest.mark.parametrize("make", [transport.jets, transport.uniform])
def test_exact_transport_contenders_compute_the_same(make):
    problem = make(2, 12, "cpu")
    everybody = [*transport.jet_contenders(True), *transport.uniform_contenders()]
    names = {"POT emd2", "network simplex on all cores"}
    if make is transport.uniform:
        names |= {"SciPy assignment + gather", "SciPy assignment, solver alone"}
    expected = transport._ours(0.0)(problem).forward()
    found = [c for c in everybody if c.name in names]
    assert len({c.name for c in found}) == len(names)
    for contender in found:
        value = contender.prepare(problem).forward()
        torch.testing.assert_close(value.float(), expected, atol=1e-6, rtol=1e-5)


def test_jets_have_the_requested_size_and_weights_of_sum_one():
    for points in (30, 150):
        pairs = transport.jets(4, points, "cpu")
        assert pairs.x.shape == (4, points, 2)
        torch.testing.assert_close(pairs.weight_y.sum(1), torch.ones(4))
    assert int(scores.hardest(20, 30).ptr.diff().max()) == 30


def test_wrong_neighbours_at_an_offset():
    ours, cdist = chamfer.wrong_neighbours(1000.0)
    assert ours == 0
    assert cdist > 0.5


@pytest.mark.slow
def test_a_quick_run_writes_the_tables_and_keeps_the_notes(tmp_path):
    path = tmp_path / "benchmarks.md"
    bench.bench(str(path), which="neighbours", quick=True, repeats=1)
    with path.open("a") as file:
        file.write("Read this.\n")
    bench.bench(str(path), which="transport", quick=True, repeats=1, budget=60)
    text = path.read_text()
    assert text.endswith("Read this.\n")
    assert text.index("## Nearest clouds") < text.index("## Earth mover")
    assert f"pcgen bench --output {path} --which neighbours" in text
    assert "network simplex" in text
    assert f"pcgen bench --output {path} --which transport" in text
    assert machine.versions() in text


@pytest.mark.slow
def test_a_quick_run_of_chamfer_shows_ratios(tmp_path):
    path = tmp_path / "benchmarks.md"
    bench.bench(str(path), which="chamfer", quick=True, repeats=1, budget=60)
    lines = path.read_text().splitlines()
    row = next(line for line in lines if line.startswith("| B=4, n=30 | "))
    assert len(row.split("|")) > 4
    assert any("fastest peer" in line for line in lines)


def test_attention_is_measured_beside_all_products_in_memory(tmp_path):
    path = tmp_path / "benchmarks.md"
    bench.bench(str(path), which="attention", quick=True, repeats=1)
    text = path.read_text()
    assert text.count("|  | pcgen | written out |") == 2
    assert text.count("| B=4, n=30 |") == 2


@pytest.mark.slow
def test_small_batches_are_beside_the_raw_solver(tmp_path):
    path = tmp_path / "benchmarks.md"
    bench.bench(str(path), which="small", quick=True, repeats=1, budget=60)
    text = path.read_text()
    row = text[text.index("with backward over the solver") :].splitlines()[2]
    assert row.startswith("| B=2 | ")
    assert row.count("[") == 5
    assert "| B=2, jets | " in text


@pytest.mark.slow
def test_start_up_is_measured_beside_the_imports(tmp_path):
    path = tmp_path / "benchmarks.md"
    bench.bench(str(path), which="startup", quick=True, repeats=1)
    lines = path.read_text().splitlines()
    rows = {line.split(" | ")[0][2:]: line.split(" | ")[1:] for line in lines if line[:3] == "| p"}
    assert set(rows) == {f"pcgen {next(iter(COMMANDS))} --help", "pcgen info jets.h5"}
    (torch_row,) = (line for line in lines if line.startswith("| import torch |"))
    assert float(torch_row.split("|")[3]) == 1.0


def test_programs_of_start_up_take_turns_and_the_median_counts(monkeypatch):
    given = {"a": iter([3.0, 1.0, 2.0]), "b": iter([5.0, 9.0, 7.0])}
    order = []

    def took(command):
        order.append(command[-1])
        return next(given[command[-1]])

    monkeypatch.setattr(startup, "cpu_seconds", took)
    calls = {"first": ["a"], "second": ["b"]}
    assert startup.measured(calls, limits(repeats=3), quiet) == {"first": 2.0, "second": 7.0}
    assert order == ["a", "b"] * 3
    given["a"], given["b"] = iter([1.0]), iter([2.0])
    assert startup.measured(calls, limits(left=-1, repeats=3), quiet) == {
        "first": 1.0,
        "second": 2.0,
    }


def test_start_up_counts_the_work_of_a_program_and_of_its_children():
    # Each works until its own clock of CPU time stands at 0.2 s, however busy the machine is.
    work = "import time\nwhile time.process_time() < 0.2: pass"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"
    for code in (work, child):
        assert startup.cpu_seconds([sys.executable, "-c", code]) >= 0.2


def test_every_program_of_start_up_is_one_that_runs(tmp_path):
    calls = startup.programs(tmp_path, False)
    assert {f"pcgen {name} --help" for name in COMMANDS} < set(calls)
    assert all(Path(call[3]).exists() for name, call in calls.items() if "jets.h5" in name)


def test_what_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="budget: got -1"):
        bench.bench(str(tmp_path / "b.md"), budget=-1)
    foreign = tmp_path / "letter.md"
    foreign.write_text("Dear all")
    with pytest.raises(FileError, match=r"letter\.md: exists and is not by pcgen bench"):
        bench.bench(str(foreign))
    assert foreign.read_text() == "Dear all"


def test_numbers_are_short():
    assert [markdown.number(v) for v in (0.0, 1.5e-5, 0.25, 99.94, 12345.6)] == [
        "0",
        "1.5e-05",
        "0.250",
        "99.9",
        "12346",
    ]


def test_a_quick_run_of_active_sites_shows_where_dense_layers_win(tmp_path):
    path = tmp_path / "benchmarks.md"
    bench.bench(str(path), which="lattice", quick=True, repeats=1, budget=60)
    lines = path.read_text().splitlines()
    rows = [line for line in lines if line.startswith("| 16 x 16, jets | ")]
    assert len(rows) >= 5
    assert all(len(row.split("|")) >= 8 for row in rows)
    assert any("took no part: not installed" in line for line in lines) or "spconv" in str(lines)


def test_active_sites_are_as_many_as_requested_and_jets_cluster():
    problems = [lattice.draw((32, 32), jets, "cpu") for jets in (False, True)]
    close = []
    for problem in problems:
        cell, ptr = problem.sites[0.03]
        assert ptr.diff().tolist() == [round(0.03 * 32 * 32)] * lattice.EVENTS
        close.append(len(submanifold(active_sites(cell, ptr, (32, 32)), 3).source))
    assert close[1] > 3 * close[0]


def test_crossover_is_where_the_times_are_equal():
    def table(power):
        row = {name: measure.Result(total=2.0) for name in lattice.DENSE}
        times = {o: 20.0 * o**power for o in lattice.OCCUPANCIES}
        row |= {lattice.named("pcgen", o): measure.Result(total=t) for o, t in times.items()}
        return {"case": row}

    assert lattice.crossover(table(1), "case") == pytest.approx(0.1)
    assert lattice.crossover(table(3), "case") is None
    assert lattice.crossover(table(0), "case") == 0.005


def test_scores_are_timed_and_a_missing_peer_is_reported(tmp_path):
    path = tmp_path / "scores.md"
    bench.bench(str(path), which="evaluation", quick=True, repeats=1, budget=60)
    text = path.read_text()
    assert "| EFP, 36 of both sets |" in text
    assert "jetnet was not run" in text


def test_jetnets_numbers_stand_beside_ours(tmp_path):
    """A stand-in for its Python, which prints what the script would."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho '{\"W1M\": [12.5, 0.25]}'\n")
    python.chmod(0o755)
    path = tmp_path / "scores.md"
    bench.bench(str(path), which="evaluation", quick=True, repeats=1, peers=str(python))
    row = next(line for line in path.read_text().splitlines() if line.startswith("| W1M |"))
    assert row.split("|")[4:6] == [" 12.5 ", " 0.25 "]


def test_loaders_deliver_the_same_clouds(tmp_path):
    (case,) = loading._jets(tmp_path, quick=True)
    stored = case.make()
    ours, theirs = (c.prepare(stored).forward() for c in loading.LOADERS[:2])
    assert len(ours) == len(theirs) == 2
    assert ours.sum() == theirs.sum() == len(stored.clouds.pos)


def test_the_section_of_loading_is_typed(tmp_path, capsys):
    output = tmp_path / "benchmarks.md"
    words = ["bench", "--which", "loading", "--quick", "--repeats", "1", "--output", str(output)]
    assert main(words) == 0
    text = output.read_text()
    for name in ("PyG DataLoader", "read", "images to clouds", "clouds to images"):
        assert f"| {name} |" in text
