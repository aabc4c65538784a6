"""The table says what the rows say."""

from __future__ import annotations

import pytest

from diverloop.rl.study.arms import FROZEN, ORACLE, REWARD, SHUFFLED_REWARD, Arm
from diverloop.rl.study.figures import Row
from diverloop.rl.study.summary import as_markdown, reward_over_shuffled, summarise


def rows():
    def row(person, arm, accuracy, held):
        return Row(
            person=person, group="g", name="n", session=0, arm=arm, held=held, accuracy=accuracy,
            n=10, promotions=2, rollbacks=1,
        )  # fmt: skip

    found = []
    for person, base in (("a", 0.5), ("b", 0.6)):
        found += [
            row(person, FROZEN, base, False),
            row(person, ORACLE, base + 0.2, False),
            row(person, REWARD, base + 0.1, True),
            row(person, SHUFFLED_REWARD, base + 0.04, True),
        ]
    return found


def arm(name, held=True):
    return Arm(name=name, make=lambda head: None, told="nothing", held=held)


ARMS = (arm(FROZEN, False), arm(REWARD), arm(SHUFFLED_REWARD), arm(ORACLE, False))


def test_every_arm_that_was_tried_has_a_line():
    entries = summarise(rows(), ARMS)
    assert [(one["arm"], one["held"]) for one in entries] == [
        (FROZEN, False), (REWARD, True), (SHUFFLED_REWARD, True), (ORACLE, False),
    ]  # fmt: skip
    reward = entries[1]
    assert reward["recovered"]["value"] == pytest.approx(0.5)
    assert reward["sessions"] == reward["loss"] == 2
    text = as_markdown(entries)
    assert len(text.splitlines()) == 2 + len(entries)
    assert "| reward | on | 0.65" in text


def test_reward_is_compared_with_shuffled_reward_session_by_session():
    over = reward_over_shuffled(rows(), True)
    assert over.value == pytest.approx(0.06)
    assert over.low == pytest.approx(over.high) == pytest.approx(0.06)
