"""SSVEP: which of several flickers is looked at."""

from __future__ import annotations

from ..runtime.collection import TrialSpan
from ..runtime.signal.bad_channels import BadChannelConfig
from ..runtime.signal.condition_config import ConditionConfig
from ..runtime.windows import WindowConfig
from .task import Task, Way

FLICKER = ConditionConfig(high_pass_hz=4.0, order=2, bad_channels=BadChannelConfig())
"""Everything above slow rhythms, as the amplifier gives it: few electrodes, all at the back."""

SSVEP = Task(
    name="ssvep",
    title="SSVEP",
    span=TrialSpan(classes=("8", "10", "12", "15"), start_s=0.5, stop_s=4.5),
    window=WindowConfig(length_s=2.0, step_s=0.2),
    ways=lambda classes: (
        Way(encoder="fbcca", conditioning=FLICKER),
        Way(encoder="trca", conditioning=FLICKER, classifier="lda"),
    ),
    simulator={"task": "ssvep", "snr": 2.0},
)
"""Flickers of different frequencies; markers name the frequency in hertz."""
