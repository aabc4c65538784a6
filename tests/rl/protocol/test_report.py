from __future__ import annotations

import json

import pytest

from diverloop.rl.protocol.bounds import Dose
from diverloop.rl.protocol.report import outcome_of, read_report
from diverloop.runtime.errors import ConfigError

DOSE = Dose(difficulty=0.6, block_s=120.0)


def part(name: str, measure: float | None, rate: float | None = None) -> dict:
    return {"part": name, "measure": measure, "reward_rate": rate, "scale": 2.0}


PARTS = [
    part("baseline:eyes_open:pre", 1.0),
    part("baseline:eyes_closed:pre", 5.0),
    part("block:1", 3.0, 0.6),
    part("block:2", 2.5, 0.2),
    part("transfer:1", 2.0),
    part("block:3", 2.0, 0.6),
    part("transfer:2", 3.0),
    part("baseline:eyes_open:post", 9.0),
]
REPORT = {"course": {"arm": "sham", "participant": "P07", "parts": PARTS, "changes": []}}


def test_progress_is_what_transfer_blocks_show_above_rest():
    outcome = outcome_of(REPORT, "neurofeedback", DOSE, participant="P07", report_sha256="x")
    assert outcome.probe == pytest.approx((2.5 - 1.0) / 2.0)
    assert outcome.fatigue == pytest.approx((3.0 - 2.0) / 2.0)
    assert outcome.frustration == pytest.approx(1 / 3)
    assert (outcome.dose, outcome.report_sha256) == (DOSE, "x")


def test_what_the_person_said_counts_where_it_is_more_than_the_signs():
    outcome = outcome_of(REPORT, "neurofeedback", DOSE, tired=0.9, frustrated=0.1)
    assert (outcome.fatigue, outcome.frustration) == (0.9, pytest.approx(1 / 3))


@pytest.mark.parametrize("missing", ["baseline:", "transfer:", "block:"])
def test_a_session_without_probe_is_practice_without_a_figure(missing):
    parts = [one for one in PARTS if not one["part"].startswith(missing)]
    report = {"course": {**REPORT["course"], "parts": parts}}
    assert outcome_of(report, "neurofeedback", DOSE).probe is None


def test_a_part_in_which_nothing_was_measured_counts_for_nothing():
    report = {"course": {**REPORT["course"], "parts": [*PARTS, part("transfer:3", None)]}}
    assert outcome_of(report, "neurofeedback", DOSE).probe == pytest.approx(0.75)


@pytest.mark.parametrize("scale", [0.0, None])
def test_without_a_spread_at_rest_nothing_is_put_in_figures(scale):
    parts = [{**one, "scale": scale} for one in PARTS]
    outcome = outcome_of({"course": {**REPORT["course"], "parts": parts}}, "neurofeedback", DOSE)
    assert (outcome.probe, outcome.fatigue) == (None, 0.0)


def test_parts_that_were_tampered_with_are_refused():
    for broken in ({"part": "block:1"}, 3, {"part": 7}, part("baseline:x:pre", "much")):
        report = {"course": {**REPORT["course"], "parts": [broken, *PARTS]}}
        with pytest.raises(ConfigError, match="unchanged"):
            outcome_of(report, "neurofeedback", DOSE)


def test_the_report_of_somebody_else_or_of_another_task_is_refused():
    with pytest.raises(ConfigError, match="of participant 'P07'"):
        outcome_of(REPORT, "neurofeedback", DOSE, participant="P08")
    with pytest.raises(ConfigError, match="no blocks"):
        outcome_of({"course": None}, "neurofeedback", DOSE)


def test_imagery_is_probed_by_kappa_of_a_run_without_feedback():
    report = {"course": None, "accuracy": {"kappa": 0.4}}
    assert outcome_of(report, "motor_imagery", DOSE).probe == 0.4
    assert outcome_of({"accuracy": None}, "motor_imagery", DOSE).probe is None
    with pytest.raises(ConfigError, match="no number, got 'good': name an unchanged"):
        outcome_of({"accuracy": {"kappa": "good"}}, "motor_imagery", DOSE)


def test_a_file_that_is_no_report_is_refused(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(REPORT))
    report, sha256 = read_report(path)
    assert report == REPORT
    assert len(sha256) == 64
    for text, words in (("{", "not JSON"), ("{}", "no report"), ("[]", "no report")):
        path.write_text(text)
        with pytest.raises(ConfigError, match=words):
            read_report(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_report(tmp_path / "missing.json")
