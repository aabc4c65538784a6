"""What is said of a cohort: counts, scores by subject, failures by reason."""

from __future__ import annotations

import pytest

from diverloop.cohort.engine import Ran
from diverloop.cohort_report import (
    counts_sentence,
    failure_groups,
    html_of,
    markdown_of,
    score_sentence,
    summary_of,
    write_summary,
)

RAN = Ran(items=(), keys={}, data={}, computed=("a", "b"), reused=("c",))


def row(name: str, subject: str = "", **changes):
    done = {
        "name": name,
        "subject": subject,
        "state": "done",
        "reason": "",
        "measure": "accuracy",
        "n": 10,
        "n_correct": 8,
        "duration_s": 60.0,
        "unscored": None,
        "fitted_on": False,
    }
    return {**done, **changes}


def failed(name: str, reason: str):
    nothing = {"measure": None, "n": None, "n_correct": None, "duration_s": None}
    return row(name, **nothing, state="failed", reason=reason, fitted_on=None)


def test_scores_are_those_of_subjects_and_their_mean_with_an_interval():
    rows = [row("a", "1"), row("b", "1", n_correct=6), row("c", "2", n_correct=10)]
    accuracy = summary_of(RAN, rows, "replay")["measures"]["accuracy"]
    assert [(one["subject"], one["score"]) for one in accuracy["subjects"]] == [
        ("1", 0.7),
        ("2", 1.0),
    ]
    assert accuracy["overall"]["score"] == pytest.approx(0.85)
    assert accuracy["overall"]["interval"] == [0.7, 1.0]
    assert "bootstrap over 2 subjects" in score_sentence("accuracy", accuracy)


def test_one_subject_has_an_interval_of_trials():
    accuracy = summary_of(RAN, [row("a", "1")], "replay")["measures"]["accuracy"]
    low, high = accuracy["overall"]["interval"]
    assert low < 0.8 < high
    assert "Wilson" in score_sentence("accuracy", accuracy)


def test_a_recording_of_nobody_known_stands_for_itself_and_that_is_said():
    accuracy = summary_of(RAN, [row("a"), row("b")], "replay")["measures"]["accuracy"]
    assert len(accuracy["subjects"]) == 2
    assert "or recordings without one" in score_sentence("accuracy", accuracy)


def test_a_model_is_not_judged_by_what_it_was_fitted_on():
    rows = [row("a", "1", fitted_on=True), row("b", "1", n_correct=5)]
    summary = summary_of(RAN, rows, "replay")
    assert summary["measures"]["accuracy"]["overall"]["score"] == 0.5
    assert "1 that the model was fitted on" in counts_sentence(summary)


def test_failures_are_listed_by_reason_with_every_name():
    rows = [failed("x/a.npz", "a.npz is bad."), failed("x/b.npz", "b.npz is bad."), row("c")]
    summary = summary_of(RAN, rows, "replay")
    assert failure_groups(summary) == [("FILE is bad.", ["x/a.npz", "x/b.npz"])]
    (alone,) = failure_groups(summary_of(RAN, rows[:1], "replay"))
    assert alone == ("a.npz is bad.", ["x/a.npz"])
    assert counts_sentence(summary) == (
        "3 in the cohort: 1 done, 2 failed; 2 computed now, 1 reused."
    )


def test_the_page_holds_counts_scores_and_failures(tmp_path):
    rows = [
        row("a", "1"),
        failed("b", "It is bad."),
        row("c", n=0, measure=None, unscored="No cue."),
    ]
    summary = summary_of(RAN, rows, "replay")
    write_summary(summary, tmp_path)
    page = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert page == markdown_of(summary)
    for words in ("not a medical device", "| 1 | 1 | 10 | 0.800 |", "It is bad.", "- 1: No cue."):
        assert words in page
    assert (tmp_path / "summary.json").stat().st_size > 100


def test_the_page_for_a_browser_says_the_same_and_takes_no_name_for_markup(tmp_path):
    rows = [row("a", "<b>1"), failed("<script>.npz", "It is bad & sad."), row("c", unscored="No.")]
    summary = summary_of(RAN, rows, "replay")
    write_summary(summary, tmp_path)
    page = (tmp_path / "summary.html").read_text(encoding="utf-8")
    assert page == html_of(summary)
    for words in (
        "not a medical device", counts_sentence(summary), "0.800", "&lt;b&gt;1",
        "It is bad &amp; sad.", "&lt;script&gt;.npz", "No.",
    ):  # fmt: skip
        assert words in page
    assert "<script" not in page
    assert "http" not in page
