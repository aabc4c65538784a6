"""Turns for the tests of sinks: two classes, and what is commanded of them."""

from __future__ import annotations

import math

import numpy as np

from diverloop.runtime.messages import Channel, Command, Decision, StreamSpec

SPEC = StreamSpec(name="amp", rate_hz=100.0, channels=(Channel(name="C3"),), source_id="serial-1")
CLASSES = ("left", "right")
LIMIT_S = 10.0
NEUTRAL = Command(label=None, reason="nothing stands out")
LEFT = Command(label="left", strength=0.5, velocity=(-0.4, 0.3))
RIGHT = Command(label="right", strength=0.75)
CHOSEN = Command(label="left", strength=1.0, selected=True)
CHOSEN_RIGHT = Command(label="right", strength=1.0, selected=True)


def decision(label: str | None = "left", stop: int = 200) -> Decision:
    sure = {"left": (0.9, 0.1), "right": (0.25, 0.75), None: (math.nan, math.nan)}[label]
    return Decision(
        classes=CLASSES,
        probabilities=np.array(sure),
        label=label,
        reason="" if label else "tried out",
        first_sample=stop - 100,
        stop_sample=stop,
        epoch=3,
        lsl_corrected_s=12.5 if label else math.nan,
    )
