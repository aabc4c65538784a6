from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from diverloop.adapters.scores import information_transfer_rate, wilson_interval
from diverloop.adapters.spelling_scores import (
    Selection,
    accuracy_by_repetition,
    spelling_report,
)

ITEMS = ("A", "B", "C", "D")
RIGHT = Selection(wanted="A", chosen="A", probability=0.96, n_flashes=40, seconds=10.0)
WRONG = replace(RIGHT, chosen="B", probability=0.95)
NONE = replace(RIGHT, chosen=None, probability=0.4, n_flashes=120, seconds=30.0)


def test_a_report_counts_right_wrong_and_none_apart():
    report = spelling_report([RIGHT] * 7 + [WRONG] * 2 + [NONE], ITEMS)
    assert (report.n, report.n_correct, report.accuracy) == (10, 7, 0.7)
    assert report.interval == wilson_interval(7, 10)
    assert report.no_selection_rate == pytest.approx(0.1)
    assert report.error_rate == pytest.approx(0.2)
    assert report.flashes == pytest.approx(48.0)
    # 120 s in all.
    assert report.selections_per_minute == pytest.approx(5.0)
    assert report.right_per_minute == pytest.approx(3.5)
    assert report.net_per_minute == pytest.approx(2.5)
    assert json.loads(json.dumps(report.as_dict()))["n"] == 10


def test_bits_count_the_time_of_what_was_not_selected_but_not_as_an_error():
    report = spelling_report([RIGHT] * 3 + [NONE], ITEMS)
    assert report.wolpaw_bits_per_minute == pytest.approx(information_transfer_rate(1.0, 4, 20.0))


def test_certainty_is_judged_where_something_was_selected():
    sure = [replace(RIGHT, probability=0.9)] * 9 + [replace(WRONG, probability=0.9)]
    assert spelling_report([*sure, NONE], ITEMS).stopping_error == pytest.approx(0.0, abs=0.18)
    over = [replace(WRONG, probability=0.99)] * 10
    assert spelling_report(over, ITEMS).stopping_error == pytest.approx(0.99)


def test_a_report_of_nothing_selected_has_no_bits_and_no_certainty_to_judge():
    report = spelling_report([NONE, NONE], ITEMS)
    assert report.accuracy == report.wolpaw_bits_per_minute == report.mutual_bits_per_minute == 0
    assert math.isnan(report.stopping_error)


@pytest.mark.parametrize(
    ("selections", "says"),
    [
        ([], "At least 1"),
        ([replace(RIGHT, seconds=0.0)], "time"),
        ([replace(RIGHT, wanted="Z")], "Z"),
        ([replace(RIGHT, chosen="Z")], "Z"),
    ],
)
def test_what_cannot_be_scored_is_refused(selections, says):
    with pytest.raises(ValueError, match=says):
        spelling_report(selections, ITEMS)


def test_accuracy_grows_with_repetitions_and_ties_give_chance():
    evidence = np.zeros((2, 3, 4))
    evidence[0, 1:, 2] = evidence[1, 2:, 3] = 1.0
    found = accuracy_by_repetition(evidence, np.array([2, 3]))
    np.testing.assert_allclose(found, [0.25, (1 + 0.25) / 2, 1.0])


def test_a_prior_decides_where_there_is_no_evidence():
    prior = np.log([[0.7, 0.1, 0.1, 0.1]])
    assert accuracy_by_repetition(np.zeros((1, 1, 4)), np.array([0]), prior)[0] == 1.0
    assert accuracy_by_repetition(np.zeros((1, 1, 4)), np.array([1]), prior)[0] == 0.0
