"""The command line: a notice, strict JSON, errors in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from diverloop import __version__, cli, demo
from diverloop.runtime.bundle import load_bundle
from diverloop.runtime.decision_log import read_decisions
from diverloop.runtime.doctor import Finding
from diverloop.runtime.errors import ConfigError

from .modelled import fitted, saved, write_npz

NOTICE = "investigational, not a medical device"
COMMANDS = sorted(
    command.name or command.callback.__name__.replace("_", "-")
    for command in cli.app.registered_commands
)

SESSION = """
[session]
name = "test"
[source]
kind = "simulator"
classes = ["left", "right"]
duration_s = 3.2
[model]
bundle = "{bundle}"
"""


def call(*arguments: object) -> Any:
    """A command in this process; an error that nobody thought of fails the test."""
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def strict(text: str) -> dict[str, Any]:
    """One JSON object without NaN, and nothing else."""
    found = json.loads(text, parse_constant=pytest.fail)
    assert isinstance(found, dict)
    return found


def told(*arguments: object) -> dict[str, Any]:
    """What a command that works prints with --json."""
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return strict(result.stdout)


def refused(*arguments: object) -> dict[str, str]:
    """What a command that cannot go on prints with --json; without it, one sentence."""
    plain, machine = call(*arguments), call(*arguments, "--json")
    assert plain.exit_code == machine.exit_code == 2
    error = strict(machine.stdout)
    assert set(error) == {"error", "message"}
    assert plain.stdout == "" or arguments[0] == "demo"  # which says first what it will do
    assert "".join(plain.stderr.split()) == "".join(f"Cannot go on.{error['message']}".split())
    assert "Traceback" not in plain.stderr
    return error


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A bundle, a session and a recording that fit together."""
    folder = tmp_path_factory.mktemp("cli")
    bundle = saved(folder)
    (folder / "session.toml").write_text(SESSION.format(bundle=bundle.as_posix()))
    write_npz(folder / "run.npz", seconds=60.0)
    return folder


def test_help_tells_that_this_is_no_medical_device():
    result = call("--help")
    assert result.exit_code == 0
    assert NOTICE in " ".join(result.stdout.replace("│", " ").split())
    for command in COMMANDS:
        assert command in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_all_that_end_by_themselves_have_json(command):
    click_command = typer.main.get_command(cli.app).commands[command]
    options = {option for parameter in click_command.params for option in parameter.opts}
    for_as_long_as_wanted = ("watch", "hold", "monitor", "console", "screen")
    assert ("--json" in options) is (command not in for_as_long_as_wanted)
    assert call(command, "--help").exit_code == 0


def test_version_is_told():
    assert NOTICE in " ".join(call("version").stdout.split())
    assert told("version")["diverloop"] == __version__


def test_doctor_tells_its_findings(monkeypatch):
    # The real check confines LSL for the rest of the process, so here it is replaced.
    monkeypatch.setattr(
        "diverloop.hardware.lsl_check.check_lsl", lambda: Finding(name="LSL", ok=True, got="fine")
    )
    findings = told("doctor", "--quick")["findings"]
    assert findings[-1]["name"] == "LSL"
    assert len(findings) > 3
    assert "This machine" in call("doctor", "--quick").stdout


def test_what_there_is_to_do_stands_last(monkeypatch):
    bad = Finding(name="LSL", ok=False, got="no [network]", advice="Switch it on.")
    monkeypatch.setattr("diverloop.hardware.lsl_check.check_lsl", lambda: bad)
    lines = call("doctor", "--quick").stdout.rstrip().splitlines()
    assert lines[-2] == "To do before a session"
    assert lines[-1].split() == ["bad", "LSL", "no", "[network].", "Switch", "it", "on."]


@pytest.mark.live
def test_doctor_looks_at_this_machine():
    done = subprocess.run(
        [sys.executable, "-m", "diverloop", "doctor", "--quick", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (lsl,) = [one for one in strict(done.stdout)["findings"] if one["name"] == "LSL"]
    assert lsl["ok"], lsl


def test_bench_measures():
    figures = told("bench", "loop", "--windows", 50)
    assert 0 < figures["p50_us"] <= figures["p99_us"]


def test_fit_saves_a_bundle_that_replay_decodes_with(folder, tmp_path):
    bundle, decisions = tmp_path / "new.bundle", tmp_path / "decisions"
    fit = ("fit", folder / "run.npz", "--classes", "left, right", "--out", bundle)
    fitted_now = told(*fit)
    assert load_bundle(bundle, sha256=fitted_now["sha256"]).card.classes == ("left", "right")
    assert 0 <= fitted_now["scores"]["cross_validation"]["accuracy"] <= 1
    report = told(
        *("replay", folder / "run.npz", "--model", bundle),
        *("--decisions", decisions, "--reports", tmp_path),
    )
    assert report["counts"]["windows_due"] == len(read_decisions(decisions))
    assert report["latency"] is None
    assert report["fitted_on"] is True
    assert strict(Path(report["report"]).read_text(encoding="utf-8")) == report
    assert "a bundle is never overwritten" in refused(*fit)["message"]


def test_replay_says_how_fast_it_went_and_nothing_of_latency(folder, tmp_path):
    command = ("replay", folder / "run.npz", "--model", folder / "eeg16.bundle")
    text = " ".join(call(*command, "--reports", tmp_path).stdout.split())
    assert "60.0 s of signal passed in" in text
    assert "times faster than real time" in text
    assert "trials right" in text
    assert "p99" not in text
    assert "fitted on this recording" not in text


def test_run_decodes_live_and_stores_its_report(folder, tmp_path):
    report = told("run", folder / "session.toml", "--recordings", tmp_path)
    assert report["live"] is True
    assert report["counts"]["decoded"] > 0
    assert strict(Path(report["report"]).read_text(encoding="utf-8")) == report


def test_run_prints_its_latencies_and_nothing_of_a_decision_that_was_not_made(folder, tmp_path):
    command = ("run", folder / "session.toml", "--no-view", "--recordings", tmp_path)
    text = call(*command, "--set", "source.duration_s=0.5").stdout
    assert "Latency" in text
    assert "0 windows due" in text
    assert "First decision" not in text
    assert "Recorded:" in text


@pytest.mark.parametrize("pseudonym", ["007", "P'1", 'the "first"', "박-3"])
def test_a_pseudonym_is_taken_as_it_was_typed(folder, monkeypatch, pseudonym):
    seen = []

    def run_session(session, options):
        seen.append(session.participant)
        raise ConfigError("That is all.")

    monkeypatch.setattr(cli, "run_session", run_session)
    assert call("run", folder / "session.toml", "--participant", pseudonym).exit_code == 2
    assert seen == [pseudonym]


def test_a_value_of_a_session_can_be_replaced(folder):
    error = refused("run", folder / "session.toml", "--no-view", "--set", "source.snr=-1")
    assert error["error"] == "ConfigError"
    assert "simulator.snr must be in [0, 100], got -1" in error["message"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("run", "{folder}/gone.toml"), "There is no session file"),
        (("run", "{folder}/session.toml", "--set", "source.senr=1"), "Did you mean 'snr'?"),
        (("run", "{folder}/session.toml", "--set", "source.kind=simulater"), "'simulator'?"),
        (("run", "{folder}/session.toml", "--set", "no-equals"), "table.key=value"),
        (("run", "{folder}/session.toml", "--set", "model.bundle=gone"), "gone"),
        (("run", "{folder}/session.toml", "--decisions", "{folder}/no/file"), "no/file"),
        (("replay", "{folder}/gone.npz", "--model", "{folder}/eeg16.bundle"), "gone.npz"),
        (("replay", "{folder}/run.npz", "--model", "{folder}/gone.bundle"), "gone.bundle"),
        (("play", "{folder}/gone.npz"), "gone.npz"),
        (("play", "{folder}/run.npz", "--start-s", "5", "--stop-s", "4"), "stop_s"),
        (("fit", "{folder}/run.npz", "--classes", "left", "--out", "x.bundle"), "two labels"),
        (("fit", "{folder}/run.npz", "--classes", "up,down", "--out", "x.bundle"), "markers are"),
        (("fit", "{folder}/gone.npz", "--classes", "a,b", "--out", "x.bundle"), "gone.npz"),
        (("fit", "{folder}/run.npz", "--options", "x", "--out", "x.bundle"), "no options"),
        (("bench", "loop", "--windows", "0"), "windows"),
        (("demo", "--montage", "eeg17", "--no-view"), "eeg17"),
    ],
    ids=lambda value: " ".join(value[::2]) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_is_refused_in_one_sentence(folder, arguments, why, monkeypatch):
    monkeypatch.chdir(folder)
    error = refused(*(argument.format(folder=folder) for argument in arguments))
    assert why in error["message"]


def test_a_misspelt_key_in_a_session_is_refused_with_the_nearest(folder, tmp_path):
    text = (folder / "session.toml").read_text().replace("duration_s", "durration_s")
    (tmp_path / "wrong.toml").write_text(text)
    message = refused("run", tmp_path / "wrong.toml", "--no-view")["message"]
    assert "wrong.toml: 'durration_s' is no key of [source]. Did you mean 'duration_s'?" in message


def test_demo_decides_within_5_s_and_keeps_its_model(folder, tmp_path, monkeypatch):
    # The calibration itself is tested in test_demo.
    monkeypatch.setattr(demo, "calibrate", lambda plan, progress: fitted())
    command = ("demo", "--live-s", 6, "--long-s", 0, "--no-view", "--reports", tmp_path)
    report = told(*command, "--keep", tmp_path / "models")
    assert 2 < report["first_decision_s"] < 5
    assert report["latency"]["decoded"] > 10
    assert report["long_block"] is None
    assert load_bundle(report["bundle"]).card.classes == demo.CLASSES
    assert strict(Path(report["report"]).read_text(encoding="utf-8"))["live"]
    assert "never overwritten" in refused(*command, "--keep", tmp_path / "models")["message"]
