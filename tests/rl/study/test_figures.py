"""The figures of the study on tables that a hand can check."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.rl.study.arms import FROZEN, ORACLE
from diverloop.rl.study.figures import (
    Row,
    Table,
    by_person,
    gained,
    gravely_harmed,
    harmed,
    paired,
    recovered,
    trials_to,
    worst_loss,
)
from diverloop.rl.study.living import Course

ACCURACY = np.array([[0.6, 0.7, 0.8], [0.5, 0.44, 0.9], [0.8, 0.77, 0.82]])


def row(person, arm, accuracy, *, held=True, session=0):
    return Row(
        person=person, group="g", name="n", session=session, arm=arm, held=held,
        accuracy=accuracy, n=10, promotions=1, rollbacks=0,
    )  # fmt: skip


def test_what_is_recovered_is_a_share_of_the_loss_where_there_is_one():
    # The last session has no loss worth the name, and does not count.
    assert recovered(ACCURACY) == pytest.approx((0.1 - 0.06) / (0.2 + 0.4))
    assert math.isnan(recovered(ACCURACY[2:]))


def test_the_oracle_recovers_all_and_the_frozen_decoder_nothing():
    assert recovered(ACCURACY[:, [0, 2, 2]]) == pytest.approx(1)
    assert recovered(ACCURACY[:, [0, 0, 2]]) == 0


def test_harm_is_counted_in_sessions_and_the_worst_is_told():
    assert harmed(ACCURACY) == pytest.approx(2 / 3)
    assert gravely_harmed(ACCURACY) == pytest.approx(1 / 3)
    assert worst_loss(ACCURACY) == pytest.approx(0.06)
    assert worst_loss(ACCURACY[:1]) == 0


def test_only_sessions_of_all_three_arms_are_compared():
    rows = [
        row("a", FROZEN, 0.5, held=False), row("a", ORACLE, 0.9, held=False), row("a", "x", 0.7),
        row("b", FROZEN, 0.5, held=False), row("b", "x", 0.1),
        row("a", "x", 0.2, held=False),
    ]  # fmt: skip
    table = paired(rows, "x", True)
    assert table.accuracy.tolist() == [[0.5, 0.7, 0.9]]
    assert table.persons.tolist() == ["a"]
    assert paired(rows, "x", False).accuracy.tolist() == [[0.5, 0.2, 0.9]]


def test_an_interval_over_persons_holds_the_figure_and_narrows_with_their_number():
    rng = np.random.default_rng(0)

    def estimate(n):
        gains = rng.normal(0.1, 0.05, n)
        accuracy = np.stack([np.full(n, 0.5), 0.5 + gains, np.full(n, 0.9)], axis=1)
        return by_person(Table(accuracy=accuracy, persons=np.arange(n).astype(str)), gained)

    few, many = estimate(6), estimate(60)
    assert few.low <= few.value <= few.high
    assert many.high - many.low < few.high - few.low


def test_of_one_person_there_is_no_interval():
    found = by_person(Table(accuracy=ACCURACY, persons=np.array(["a"] * 3)), gained)
    assert found.value == pytest.approx(gained(ACCURACY))
    assert found.as_dict()["low"] is None


def course(right):
    return Course(right=np.array(right, bool), sessions=np.zeros(len(right), int))


def test_trials_to_recover_are_counted_from_the_change():
    always, never = [True] * 100, [False] * 100
    late = [True] * 20 + [False] * 30 + [True] * 50
    courses = {
        ORACLE: [course(always)] * 3, "late": [course(late)] * 3, "never": [course(never)] * 3,
    }  # fmt: skip
    assert trials_to(courses, "late", 20, width=10).value == 30 + 10
    assert math.isnan(trials_to(courses, "never", 20, width=10).value)
    assert trials_to(courses, ORACLE, 20, width=10).value == 10
