"""Options of the command line: from signatures, words and configurations."""

from __future__ import annotations

import pytest
from toy_command import seen

from pcgen.tools import cli

pytestmark = pytest.mark.usefixtures("toy_command")


def test_options_come_from_the_signature(capsys):
    assert cli.main(["do", "it", "file", "--threshold", "0.5", "--mode=b"]) == 0
    assert capsys.readouterr().out == "file - 0.5 b False\n"


def test_formats_are_overruled_by_from_and_to(tmp_path, capsys):
    assert cli.main(["convert", "x.bin", "y.bin", "--from", "npy", "--to=clouds"]) == 1
    assert "x.bin" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--names g", {"names": ["g"]}),
        ("--names g q t", {"names": ["g", "q", "t"]}),
        ("--names g,q,t", {"names": ["g", "q", "t"]}),
        ("--names g --names q t", {"names": ["g", "q", "t"]}),
        ("--names [g,q]", {"names": ["g", "q"]}),
        ("--names [g, q] --raw", {"names": ["g", "q"]}),
        ("--names ['g, q', 1]", {"names": ["g, q", "1"]}),
        ("--names=[a:b#.h5,1e3,null]", {"names": ["a:b#.h5", "1e3", "null"]}),
        ("--names []", {"names": []}),
        ("--names null", {"names": None}),
        ("--cells 8 16", {"cells": [8, 16]}),
        ("--cells [8,16]", {"cells": [8, 16]}),
        ("--edges -1 1e-3", {"edges": (-1.0, 0.001)}),
        ("--edges [0,2]", {"edges": (0.0, 2.0)}),
        ("--count g=1", {"count": {"g": 1}}),
        ("--count g=1 q=2", {"count": {"g": 1, "q": 2}}),
        ("--count g=1,q=2", {"count": {"g": 1, "q": 2}}),
        ("--count g=1 --count q=2", {"count": {"g": 1, "q": 2}}),
        ("--count {g: 1}", {"count": {"g": 1}}),
        ("--count {g:1,q:2}", {"count": {"g": 1, "q": 2}}),
        ("--count g: 1", {"count": {"g": 1}}),
        ("--count.g 1 --count.q=2", {"count": {"g": 1, "q": 2}}),
        ("--phases {a: {lr: 1} , b: {lr: 2}} --raw", {"phases": {"a": {"lr": 1}, "b": {"lr": 2}}}),
        ("--phases critic.lr=1e-4", {"phases": {"critic": {"lr": 1e-4}}}),
        ("--phases.critic.lr 1e-4", {"phases": {"critic": {"lr": 1e-4}}}),
        ("--phases {critic: {lr: 1, clip: null}}", {"phases": {"critic": {"lr": 1, "clip": None}}}),
        ("--phases a.lr=1 --phases a.clip=2", {"phases": {"a": {"lr": 1, "clip": 2}}}),
    ],
)  # fmt: skip
def test_lists_and_dictionaries_are_written_bare_or_as_in_yaml(words, expected):
    assert cli.main(["do", "it", "file", *words.split(" ")]) == 0
    assert expected.items() <= seen[-1].items()


@pytest.mark.parametrize("word", ["1", "1e3", "true", "[a", "{a", "a: b", "-", "-1", "a,b"])
def test_text_is_taken_as_it_is(word, capsys):
    assert cli.main(["do", "it", "--", word, word]) == 0
    assert capsys.readouterr().out == f"{word} {word} 0.0 a False\n"


def test_words_without_an_option_stand_anywhere(capsys):
    assert cli.main(["do", "it", "--mode", "b", "file", "--raw", "other"]) == 0
    assert cli.main(["do", "it", "--names", "g", "t", "--", "file", "--other"]) == 0
    assert capsys.readouterr().out == "file other 0.0 b True\nfile --other 0.0 a False\n"
    assert seen[-1]["names"] == ["g", "t"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "got nothing, expected options"),
        ("[1, 2]", "got a list, expected options"),
        ("threshold: [", "got what is not YAML"),
        ("when: 2020-99-99", "got what is not YAML"),
        ("a: " + "[" * 5000, "got what is not YAML"),
        ("threshold: !!python/name:os.system", "got what is not YAML"),
        ("treshold: 1", "unknown option 'treshold', did you mean threshold?"),
        ("--threshold: 1", "unknown option '--threshold', did you mean threshold?"),
        ("config: a.yaml", "unknown option 'config'"),
        ("threshold: .nan", "--threshold: got nan, expected a finite number"),
        ("edges: [0, .inf]", "--edges: got [0, inf], expected a finite number"),
        ("second: ''", "--second: got nothing, expected text"),
        ("threshold: {a: 1}", "--threshold: got {'a': 1}, expected a number"),
        ("count: [1]", "--count: got [1], expected NAME=NUMBER"),
        ("how_many: true", "--how-many: got True, expected a whole number"),
        ("how_many:", "--how-many: got None, expected a whole number"),
        ("source: 1", "source: got 1, expected text"),
    ],
)
def test_a_bad_configuration_is_one_line(text, error, tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(SystemExit) as stop:
        cli.main(["do", "it", "file", "--config", str(path)])
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"pcgen do it: --config {path}: {error}")


def test_what_is_not_text_is_no_configuration(tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SystemExit):
        cli.main(["do", "it", "file", "--config", str(path)])
    assert "got what is not YAML" in capsys.readouterr().err


def test_words_go_before_configurations_and_later_ones_before_earlier(tmp_path, capsys):
    for name, text in {"a": "threshold: 1\nmode: b\nnames: [x]", "b": "threshold: 2"}.items():
        (tmp_path / name).write_text(text)
    files = ["--config", str(tmp_path / "a"), f"--config={tmp_path / 'b'}"]
    assert cli.main(["do", "it", "file", "--names", "y", *files]) == 0
    assert cli.main(["do", "it", "file", "--threshold", "3", *files]) == 0
    assert capsys.readouterr().out == "file - 2.0 b False\nfile - 3.0 b False\n"
    assert [each["names"] for each in seen[-2:]] == [["y"], ["x"]]


def test_a_flag_needs_no_value(capsys):
    assert cli.main(["do", "it", "file", "--raw", "--mode", "b"]) == 0
    assert cli.main(["do", "it", "file", "--raw", "false"]) == 0
    assert cli.main(["do", "it", "file", "--raw", "off"]) == 0
    assert capsys.readouterr().out == "file - 0.0 b True\n" + 2 * "file - 0.0 a False\n"


def test_a_flag_that_may_be_none_takes_null():
    assert cli.main(["do", "it", "--maybe", "null", "file"]) == 0
    assert seen[-1]["maybe"] is None
    assert cli.main(["do", "it", "--maybe", "file"]) == 0
    assert seen[-1]["maybe"] is True


def test_an_argument_with_a_default_may_stand_after_the_others(capsys):
    assert cli.main(["do", "it", "file", "other", "--mode", "b"]) == 0
    assert cli.main(["do", "it", "file", "--second", "other"]) == 0
    assert capsys.readouterr().out == "file other 0.0 b False\nfile other 0.0 a False\n"


def test_a_printed_configuration_can_be_read_back(capsys, tmp_path):
    with pytest.raises(SystemExit):
        cli.main(["do", "it", "file", "--threshold", "0.25", "--print_config"])
    path = tmp_path / "config.yaml"
    path.write_text(capsys.readouterr().out)
    assert cli.main(["do", "it", "file", "--config", str(path)]) == 0
    assert "0.25" in capsys.readouterr().out
