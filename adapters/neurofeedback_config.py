"""Settings of the neurofeedback adapter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..runtime.errors import ConfigError
from ..runtime.paradigms.neurofeedback import NeurofeedbackPlan
from ..runtime.paradigms.sham import ARMS, assign_arm
from .reward_threshold import ThresholdConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class NeurofeedbackConfig:
    """What can be chosen about `diverloop.adapters.neurofeedback.NeurofeedbackAdapter`.

    Parameters
    ----------
    rate_hz : float
        Rate of the source: windows are placed in the plan by the count of its samples.
    starts_at_sample : int
        Stream index at which the plan begins, at least 0.
    plan : NeurofeedbackPlan
        The session.
    measure : str
        ``"power"``: a feature as it is; ``"ratio"``: one less another, the logarithm of a ratio;
        ``"probability"``: log odds of a class, from another adapter.
    feature, against : int
        Which features: band power comes band by band.
    decoder : str
        Name of the other adapter in the catalogue.
    decoder_settings : mapping
        Its settings.
    decoder_class : str
        Its class that is rewarded.
    reward : str
        ``"up"`` if the measure is to rise, ``"down"`` if it is to fall.
    threshold : ThresholdConfig
        How the threshold moves.
    start : str
        Where the first threshold comes from: ``"baseline"`` of this session, or ``"saved"``.
    baseline : str
        Which baseline, the plan's name for it.
    participant, study : str
        Pseudonym and secret for `assign_arm`.
    share_sham : float
        Chance of the sham arm, in [0, 1]; 0 where there is none.
    arm : str
        ``"assigned"``, or one of the arms where nobody is to be blind.
    sham : str
        What the sham arm follows: a ``"surrogate"`` of the person's own baseline, or the saved
        course of somebody else (``"yoked"``).
    step_s : float
        Step of courses, 0.01 to 5 s; as long as a window's step, or longer.
    min_quality : float
        Quality that the embedding must reach, in [0, 1].
    """

    rate_hz: float
    starts_at_sample: int = 0
    plan: NeurofeedbackPlan = field(default_factory=NeurofeedbackPlan)
    measure: str = "power"
    feature: int = 0
    against: int = 1
    decoder: str = ""
    decoder_settings: Mapping[str, Any] = field(default_factory=dict)
    decoder_class: str = ""
    reward: str = "up"
    threshold: ThresholdConfig = field(default_factory=ThresholdConfig)
    start: str = "baseline"
    baseline: str = "eyes_open"
    participant: str = "nobody"
    study: str = ""
    share_sham: float = 0.0
    arm: str = "assigned"
    sham: str = "surrogate"
    step_s: float = 0.1
    min_quality: float = 0.5

    def __post_init__(self) -> None:
        for name, allowed in (
            ("measure", ("power", "ratio", "probability")),
            ("reward", ("up", "down")),
            ("start", ("baseline", "saved")),
            ("arm", ("assigned", *ARMS)),
            ("sham", ("surrogate", "yoked")),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}."
                )
        for name, low, high in (
            ("rate_hz", 1, 1e6),
            ("starts_at_sample", 0, math.inf),
            ("feature", 0, math.inf),
            ("against", 0, math.inf),
            ("step_s", 0.01, 5),
            ("min_quality", 0, 1),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"{name} must be in [{low:g}, {high:g}], got {getattr(self, name):g}."
                )
        assign_arm(self.participant, self.study, self.share_sham)
        named = (bool(self.decoder), bool(self.decoder_class))
        if named != ((True, True) if self.measure == "probability" else (False, False)):
            raise ConfigError(
                f"The measure 'probability', and no other, needs decoder and decoder_class, got "
                f"{self.measure!r} with {self.decoder!r} and {self.decoder_class!r}."
            )
        if self.start == "baseline" and self.baseline not in self.plan.baselines:
            raise ConfigError(
                f"The first threshold is to come from the baseline {self.baseline!r}, the plan has "
                f"{', '.join(self.plan.baselines) or 'none'}: add it, or start from 'saved'."
            )
