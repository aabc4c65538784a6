"""Sentences for people, strict JSON for programs, a terminal left as it was found."""

from __future__ import annotations

import io
import json
import math
import re

import pytest
import typer
from rich.console import Console

from diverloop import console
from diverloop.runtime.doctor import Finding
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.latency import LatencyBook


@pytest.fixture
def book() -> LatencyBook:
    book = LatencyBook()
    book.count_refused("tried out", 2)
    book.count_skipped(1)
    return book


def drawn(what: object) -> str:
    file = io.StringIO()
    Console(file=file, width=120).print(what)
    return file.getvalue()


def test_an_error_of_ours_is_one_sentence_and_status_2(capsys):
    with pytest.raises(typer.Exit) as ended, console.plain_errors(json_wanted=False):
        raise ConfigError("The key [a] is wrong: mend it.")
    assert ended.value.exit_code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert " ".join(err.split()) == "Cannot go on. The key [a] is wrong: mend it."


def test_an_error_of_the_file_system_names_the_file(capsys, tmp_path):
    with pytest.raises(typer.Exit) as ended, console.plain_errors(json_wanted=True):
        (tmp_path / "gone" / "file").open("w")
    assert ended.value.exit_code == 2
    told = json.loads(capsys.readouterr().out)
    assert told["error"] == "FileNotFoundError"
    assert str(tmp_path / "gone" / "file") in told["message"]


def test_an_error_of_the_system_that_is_about_no_file_names_none(capsys):
    with pytest.raises(typer.Exit), console.plain_errors(json_wanted=True):
        raise OSError(98, "Address already in use")
    told = json.loads(capsys.readouterr().out)
    assert told["message"].startswith("Address already in use: check")


def test_a_block_without_any_reward_is_told_like_the_others():
    parts = [{"reward_rate": rate} for rate in (None, 0.0, 0.55, None)]
    assert console.course_sentence({"parts": parts}) == (
        "Rewarded, block by block: 0%, 55% of the time."
    )
    assert console.course_sentence({"parts": parts[:1]}) == "No block was finished."


def test_an_error_nobody_thought_of_is_not_hidden():
    with pytest.raises(ZeroDivisionError), console.plain_errors(json_wanted=True):
        _ = 1 / 0


def test_json_has_no_nan(capsys):
    console.print_json({"a": math.nan, "b": [1.5, math.inf]})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "a": None,
        "b": [1.5, None],
    }


def judged(accuracy: float, loss: float, name: str) -> dict:
    told = {"accuracy": accuracy, "interval": (accuracy - 0.1, accuracy + 0.05), "chance": 0.8}
    return {"name": name, "accuracy": {**told, "n": 50}, "loss": loss}


def test_the_table_of_a_fit_fits_a_small_screen_and_says_what_guessing_would_give():
    file = io.StringIO()
    compared = (judged(0.86, 0.31, "xdawn"), judged(0.84, 0.35, "evoked_epoch"))
    table = console.compared_table(compared, "xdawn")
    Console(file=file, width=80).print(table)
    lines = file.getvalue().splitlines()
    assert any("xdawn" in line and "0.31" in line and "chosen" in line for line in lines)
    text = " ".join(file.getvalue().split())
    assert "Always saying the commonest class: accuracy 0.80." in text
    assert "less is better" in text
    assert "nats" not in text


def test_what_is_printed_of_a_fit_says_what_will_serve(capsys, monkeypatch):
    monkeypatch.setattr(console, "out", Console(width=200))
    scores = {
        "cross_validation": judged(0.86, 0.31, "xdawn")["accuracy"],
        "verdict": "Go: [it] can be told.",
        "served": "What serves was not judged here.",
    }
    console.tell_scores(scores)
    told = capsys.readouterr().out.splitlines()
    assert told == [
        "The model, left-out trials: accuracy 0.86 (95 % interval 0.76 to 0.91; chance 0.80), 50 "
        "trials.",
        "Go: [it] can be told.",
        "What serves was not judged here.",
    ]


def test_the_latency_table_ends_with_what_went_wrong(book):
    text = " ".join(drawn(console.latency_table(book.report())).split())
    assert "3 windows due: 0 decoded, 1 skipped as too late, 2 refused." in text
    assert "Deadlines missed: 0. Samples lost: 0." in text
    assert "effective" in text


def test_findings_are_marked_in_words_and_their_brackets_are_no_markup():
    findings = (
        Finding(name="rate", ok=True, got="says [red]250 Hz"),
        Finding(name="losses", ok=False, got="many", advice="Use a cable."),
        Finding(name="signal", ok=None, got="fair"),
    )
    text = drawn(console.findings_table(findings, "The stream 'amp'"))
    for line in (r"good .* rate .* says \[red\]250 Hz", r"bad .* losses .* Use a cable\."):
        assert re.search(line, text)
    assert re.search("note .* signal", text)
    assert "The stream 'amp'" in text


def test_the_pace_of_a_replay_is_said_in_words(book):
    text = console.pace_sentence(book.report(), signal_s=120.0, wall_s=1.5)
    assert text == (
        "3 windows due: 0 decoded, 1 skipped as too late, 2 refused. 120.0 s of signal passed in "
        "1.5 s, 80 times faster than real time."
    )


def test_the_terminal_gets_its_screen_and_its_cursor_back(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(console, "out", Console(file=file, force_terminal=True))
    console.restore_terminal()
    assert "\x1b[?1049l" in file.getvalue()
    assert "\x1b[?25h" in file.getvalue()


def test_what_is_no_terminal_gets_no_control_codes(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(console, "out", Console(file=file))
    console.restore_terminal()
    assert file.getvalue() == ""


def test_the_progress_bar_leaves_standard_output_alone(capsys):
    with console.progress_bar("trying out") as step:
        step("first", 1, 2)
        step("second", 2, 2)
    assert capsys.readouterr().out == ""
