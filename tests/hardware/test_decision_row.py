"""One row of numbers for a decision and a command."""

from __future__ import annotations

import math

import numpy as np

from diverloop.hardware.decision_row import FIXED, VELOCITY, DecisionRow
from diverloop.runtime.messages import Command, Decision

CLASSES = ("left", "right")


def decision(label: str | None = "right") -> Decision:
    return Decision(
        classes=CLASSES, probabilities=np.array([0.25, 0.75]), label=label, stop_sample=200,
        epoch=3, lsl_corrected_s=12.5,
    )  # fmt: skip


def test_every_number_stands_below_its_label():
    row = DecisionRow(CLASSES)
    moving = Command(label="left", strength=0.5, selected=True, velocity=(-0.4, 0.3))
    values = row.fill(decision(), moving)
    assert row.labels == (*FIXED, "p:left", "p:right", *VELOCITY)
    assert values.tolist() == [200, 12.5, 3, 1, 0, 0.5, 1, 0.25, 0.75, -0.4, 0.3, 0]


def test_what_a_row_said_before_is_gone_from_the_next():
    row = DecisionRow(CLASSES)
    row.fill(decision(), Command(label="left", velocity=(1.0, 1.0, 1.0)))
    assert row.fill(decision(None), Command(label=None))[-3:].tolist() == [0, 0, 0]


def test_the_farewell_is_neutral_and_at_rest_and_rests_on_no_sample():
    row = DecisionRow(CLASSES)
    row.fill(decision(), Command(label="left", strength=1.0, velocity=(1.0,)))
    last = dict(zip(row.labels, row.farewell().tolist(), strict=True))
    assert (last["stop_sample"], last["decided"], last["commanded"]) == (-1, -1, -1)
    assert [last[name] for name in ("strength", "selected", *VELOCITY)] == [0] * 5
    assert all(math.isnan(last[name]) for name in ("lsl_time", "epoch", "p:left", "p:right"))
