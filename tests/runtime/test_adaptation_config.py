"""What a session says of adaptation is taken, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from diverloop.runtime.adaptation_config import AdaptationConfig
from diverloop.runtime.errors import ConfigError


def test_without_a_table_nothing_adapts():
    assert not AdaptationConfig().on
    assert AdaptationConfig(learner="reward").on


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"rewards": ("applause",)}, "adaptation.rewards knows error potential, undo"),
        ({"rewards": ("undo", "undo")}, "names one twice"),
        ({"trial": "day"}, "adaptation.trial knows selection, cue, window, got 'day'"),
        ({"permission": "anybody"}, "adaptation.permission knows clinician, session"),
        ({"trial_s": 0.0}, r"adaptation.trial_s must be in \[0.1, 60\] s, got 0.0 s"),
        ({"feedback_delay_s": 3.0}, "adaptation.feedback_delay_s must be in"),
        ({"learner": "", "rewards": ("undo",)}, "adaptation.learner names no rule"),
        ({"rewards": ("error potential",)}, "need each other"),
        ({"error_model": "a.bundle"}, "need each other"),
        (
            {"rewards": ("error potential",), "error_model": "a.bundle", "trial": "cue"},
            "set it to 'selection'",
        ),
    ],
)
def test_what_is_not_allowed_is_refused_with_what_is(changes, what):
    with pytest.raises(ConfigError, match=what):
        AdaptationConfig(**{"learner": "reward", **changes})


def test_the_error_model_is_counted_from_the_session_file():
    config = AdaptationConfig(
        learner="reward", rewards=("error potential",), error_model="errp.bundle"
    )
    assert config.beside(Path("/folder")).error_model == "/folder/errp.bundle"
    assert AdaptationConfig().beside(Path("/folder")) == AdaptationConfig()
