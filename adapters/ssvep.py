"""SSVEP: which of several flickers is looked at."""

from __future__ import annotations

from ..runtime.collection import TrialSpan
from ..runtime.signal.bad_channels import BadChannelConfig
from ..runtime.signal.condition_config import ConditionConfig
from ..runtime.windows import WindowConfig
from .task import Task, Way, joined

FLICKER = ConditionConfig(high_pass_hz=3.0, line_hz=50.0, order=2, bad_channels=BadChannelConfig())
"""Above slow rhythms, without mains hum, no reference: few electrodes, all at the back.

Without the notch four points are lost at 1 s; where mains has 60 Hz, say so."""

TOGETHER = joined(
    Way(encoder="fbcca", conditioning=FLICKER, settings={"n_bands": 5}, classifier="lda"),
    Way(encoder="flicker_covariance", conditioning=FLICKER, classifier="lda"),
)
"""How well each flicker is followed, and with which electrodes."""

SSVEP = Task(
    name="ssvep",
    title="SSVEP",
    span=TrialSpan(classes=("8", "10", "12", "15"), start_s=0.5, stop_s=4.5),
    window=WindowConfig(length_s=2.0, step_s=0.2),
    ways=lambda classes: (
        TOGETHER,
        Way(encoder="fbcca", conditioning=FLICKER, settings={"n_bands": 5}),
        Way(
            encoder="fbcca",
            name="fbcca_by_band",
            conditioning=FLICKER,
            settings={"n_bands": 5, "per_band": True},
            classifier="lda",
        ),
    ),
    simulator={"task": "ssvep", "snr": 3.0},
)
"""Flickers of different frequencies; markers name the frequency in hertz."""
