from __future__ import annotations

import json
from dataclasses import replace

import pytest

from diverloop.rl.protocol.bounds import Dose
from diverloop.rl.protocol.history import History, Outcome, read_history, write_history
from diverloop.runtime.errors import ConfigError

DOSE = Dose(difficulty=0.65, block_s=120.0)
FIRST = Outcome(
    dose=DOSE, probe=0.2, fatigue=0.1, ended_utc="2026-03-01T09:30:00+00:00", report_sha256="a"
)
SECOND = Outcome(dose=DOSE, ended_utc="2026-03-02T09:30:00+00:00", report_sha256="b")
HISTORY = History(participant="P07", task="neurofeedback", outcomes=(FIRST, SECOND), planned=DOSE)


def test_what_was_written_is_read_back(tmp_path):
    path = tmp_path / "p07.json"
    write_history(path, HISTORY)
    assert read_history(path) == HISTORY
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_was_changed_is_refused(tmp_path):
    path = tmp_path / "p07.json"
    write_history(path, HISTORY)
    told = json.loads(path.read_text())
    told["outcomes"][0]["probe"] = 0.9
    path.write_text(json.dumps(told))
    with pytest.raises(ConfigError, match="its hash is another"):
        read_history(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "sha256": 2}', "nonsense"])
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "p07.json"
    write_history(path, HISTORY)
    path.write_text(text)
    with pytest.raises(
        ConfigError, match=r"no protocol file|its hash is another|has format 1, this"
    ):
        read_history(path)


def test_another_persons_file_is_refused():
    HISTORY.belongs("P07", "neurofeedback")
    with pytest.raises(ConfigError, match="belongs to 'P07'"):
        HISTORY.belongs("P08", "neurofeedback")
    with pytest.raises(ConfigError, match="is of neurofeedback"):
        HISTORY.belongs("P07", "motor_imagery")
    with pytest.raises(ConfigError, match="pseudonym"):
        History(participant=" ", task="neurofeedback")


def test_no_report_counts_twice_and_sessions_come_in_order():
    with pytest.raises(ConfigError, match="as session 2"):
        HISTORY.with_outcome(replace(FIRST, report_sha256="b"))
    with pytest.raises(ConfigError, match="in order"):
        HISTORY.with_outcome(replace(FIRST, report_sha256="c"))
    later = replace(FIRST, report_sha256="c", ended_utc="2026-03-03T09:30:00+00:00")
    assert HISTORY.with_outcome(later).outcomes[-1] == later


def test_rest_is_kept_between_sessions():
    assert HISTORY.not_before(20.0) == "2026-03-03T05:30:00+00:00"
    assert History(participant="P07", task="neurofeedback").not_before(20.0) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"probe": float("nan")}, {"fatigue": 1.2}, {"frustration": -0.1}, {"ended_utc": "today"},
        {"ended_utc": "2026-03-01T09:30:00"},
    ],
)  # fmt: skip
def test_an_outcome_that_cannot_be_is_refused(changes):
    with pytest.raises(ConfigError, match="must"):
        replace(FIRST, **changes)
