"""Neurofeedback from a resting recording: what is usual for a person, and where reward begins."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from ..runtime.collection import WholeRecording
from ..runtime.errors import ConfigError
from ..runtime.messages import Samples
from ..runtime.paradigms.neurofeedback import NeurofeedbackPlan
from ..runtime.signal.bad_channels import BadChannelConfig
from ..runtime.signal.condition_config import ConditionConfig
from ..runtime.windows import WindowConfig
from .individual_peak import individual_peak
from .neurofeedback import NeurofeedbackAdapter
from .neurofeedback_config import NeurofeedbackConfig
from .task import Finished, Heard, Task, Tuned, Way

ALPHA = ConditionConfig(bands_hz=((8.0, 12.0),), order=2, bad_channels=BadChannelConfig())
"""The standard alpha band, for somebody whose own cannot be told."""

STEP_S = 0.1
"""From one judgement to the next: people notice delays of a quarter of a second."""


def _own_band(samples: Samples, rate_hz: float, usual: ConditionConfig) -> Tuned:
    """The person's own alpha band, if a peak stands out."""
    try:
        peak = individual_peak(samples, rate_hz)
    except ConfigError as error:
        return Tuned(conditioning=usual, report={"rhythm": f"The standard band is used. {error}"})
    own = replace(usual, bands_hz=(peak.band_hz,))
    return Tuned(conditioning=own, report={"rhythm": peak.text})


def _rest(heard: Heard) -> Finished:
    """Threshold and scale from a person at rest."""
    features = np.concatenate(heard.features)
    config = NeurofeedbackConfig(rate_hz=heard.parts[0].spec.rate_hz, step_s=STEP_S)
    adapter = NeurofeedbackAdapter.fit(features, config)
    return Finished(
        kind="neurofeedback",
        adapter=adapter,
        report={"threshold": adapter.threshold, "n_windows": len(features)},
    )


NEUROFEEDBACK = Task(
    name="neurofeedback",
    title="neurofeedback of the alpha rhythm",
    span=WholeRecording(start_s=0.0, stop_s=0.0),
    window=WindowConfig(length_s=0.5, step_s=STEP_S),
    ways=lambda classes: (
        Way(encoder="band_power", conditioning=ALPHA, tune=_own_band, learn=_rest),
    ),
    training_step_s=STEP_S,
    feedback={"memory_s": 0.0},
    simulator={"task": "neurofeedback"},
    brief={
        "plan": asdict(
            NeurofeedbackPlan(
                lead_in_s=2.0, baselines=(), block_s=20.0, pause_s=4.0, transfer_every=0, post=False
            )
        ),
        "start": "saved",
    },
)
"""Reward while alpha is strong; learnt from any recording at rest."""
