"""Planning a training from the command line."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from diverloop.cli import app

BOUNDS = '[protocol]\ntask = "neurofeedback"\n'


def report(participant: str, *, up: float) -> str:
    names = ("baseline:eyes_open:pre", "block:1", "block:2", "block:3", "transfer:1")
    parts = [
        {"part": name, "measure": up * (name[0] == "t"), "reward_rate": 0.6, "scale": 1.0}
        for name in names
    ]
    return json.dumps({"course": {"participant": participant, "parts": parts}})


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "bounds.toml").write_text(BOUNDS)

    def run(*more: str) -> tuple[int, dict]:
        path, bounds = tmp_path / "private" / "p07.json", tmp_path / "bounds.toml"
        done = CliRunner().invoke(
            app, ["plan", str(path), "--bounds", str(bounds), "--json", *more]
        )
        return done.exit_code, json.loads(done.stdout)

    return run


def test_sessions_are_planned_noted_and_planned_again(plan, tmp_path):
    code, told = plan("--participant", "P07")
    assert code == 0
    assert told["next"] == {"difficulty": 0.65, "block_s": 120.0}
    assert told["settings"]["adapter.plan"]["n_blocks"] == 15
    for number in range(3):
        path = tmp_path / f"report{number}.json"
        path.write_text(report("P07", up=0.1 * number))
        ended = ["--ended", f"2026-03-0{number + 1}T10:00:00+00:00"]
        code, told = plan("--note", str(path), "--tired", "3", *ended)
        assert code == 0
        assert told["sessions"] == number + 1
    assert any(sentence.startswith("Not before 2026-03-04") for sentence in told["sentences"])
    code, told = plan("--note", str(path))
    assert code != 0
    assert "counted already, as session 3" in told["message"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "give --participant"),
        (("--participant", "P07", "--tired", "3"), "add --note"),
        (("--participant", "P07", "--note", "REPORT"), "Nothing was planned"),
        (
            ("--participant", "P07", "--note", "REPORT", "--difficulty", "0.6", "--block-s", "90"),
            "'P08'",
        ),
    ],
)
def test_what_cannot_be_planned_is_told_in_one_sentence(plan, tmp_path, more, words):
    (tmp_path / "report.json").write_text(report("P08", up=0.0))
    code, told = plan(*(str(tmp_path / "report.json") if one == "REPORT" else one for one in more))
    assert code != 0
    assert words in told["message"]
