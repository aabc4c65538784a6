"""The study's command refuses what cannot be, and writes what it found."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from diverloop import study_commands, studying
from diverloop.cli import app
from diverloop.rl.study.campaign_config import CampaignConfig
from diverloop.studying import Job, do


def run(*arguments):
    return CliRunner().invoke(app, ["study", "adaptation", *arguments])


def test_a_drift_that_is_not_known_is_answered_with_those_that_are():
    found = run("--part", "simulated", "--drift", "storm", "--json")
    assert found.exit_code == 2
    assert "abrupt_recap" in json.loads(found.stdout)["message"]


def test_recordings_need_a_folder(monkeypatch):
    monkeypatch.delenv("DIVERLOOP_DATA", raising=False)
    found = run("--part", "recordings", "--json")
    assert found.exit_code == 2
    assert "--data" in json.loads(found.stdout)["message"]


def test_a_folder_that_cannot_be_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(studying, "do_all", lambda *_, **__: pytest.fail("worked"))
    (tmp_path / "study").touch()
    found = run("--part", "simulated", "--out", str(tmp_path / "study"), "--json")
    assert found.exit_code == 2
    assert "study" in json.loads(found.stdout)["message"]


def test_it_writes_table_numbers_and_figure(tmp_path, monkeypatch):
    few = CampaignConfig(people=2, n_trials=30)
    done = [do(Job(config=few, environment="MotorImagery", drift="none"))]
    monkeypatch.setattr(studying, "do_all", lambda jobs, workers, tell: done)
    found = run("--part", "simulated", "--drift", "none", "--out", str(tmp_path), "--json")
    assert found.exit_code == 0, found.output
    assert "MotorImagery, none" in json.loads(found.stdout)["parts"]
    assert (tmp_path / "adaptation.md").read_text(encoding="utf-8").startswith("# Rules of")
    assert (tmp_path / "adaptation.png").read_bytes()[:4] == b"\x89PNG"
    assert study_commands.Part.ALL == "all"
