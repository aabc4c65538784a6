from __future__ import annotations

import tomllib
from dataclasses import replace

from diverloop.adapters.neurofeedback_config import NeurofeedbackConfig
from diverloop.rl.protocol.bounds import Dose, Limits, ProtocolBounds
from diverloop.rl.protocol.history import History, Outcome
from diverloop.rl.protocol.progress import ProgressBandit, Suggestion
from diverloop.rl.protocol.words import sentences, settings_of, toml_of
from diverloop.runtime.feedback import FeedbackConfig
from diverloop.runtime.paradigms.guided_plan import GuidedPlan
from diverloop.runtime.settings import build

BOUNDS = ProtocolBounds()
IMAGERY = ProtocolBounds(
    task="motor_imagery",
    difficulty=Limits(least=0.6, most=0.9, usual=0.8, max_change=0.05, step=0.05),
)


def test_settings_of_neurofeedback_are_those_of_its_adapter():
    dose = Dose(difficulty=0.7, block_s=150.0)
    tables = tomllib.loads(toml_of(settings_of(BOUNDS, dose)))
    config = build(NeurofeedbackConfig, {"rate_hz": 250.0, **tables["adapter"]}, "adapter")
    assert (config.threshold.target, config.plan.block_s, config.plan.n_blocks) == (0.7, 150, 12)
    assert config.plan.transfer_every == 4


def test_settings_of_imagery_are_those_of_feedback_and_calibration():
    tables = tomllib.loads(toml_of(settings_of(IMAGERY, IMAGERY.usual)))
    assert build(FeedbackConfig, tables["feedback"], "feedback").select_at == 0.8
    assert build(GuidedPlan, tables["calibration"], "calibration").block_per_class == 9


def test_the_person_in_charge_reads_what_is_asked_and_why():
    last = Outcome(dose=BOUNDS.usual, probe=0.1, ended_utc="2026-03-01T09:30:00+00:00")
    history = History(participant="P07", task="neurofeedback", outcomes=(last,))
    made = Suggestion(
        dose=Dose(difficulty=0.6, block_s=90.0), reason="It is tried.", gain=0.1, spread=0.05
    )
    told = " ".join(sentences(BOUNDS, history, made))
    assert "Session 2 of P07: 20 blocks of 90 s with 30 s between them." in told
    assert "(harder and shorter blocks)" in told
    assert "It is tried." in told
    assert "teach 0.10, give or take 0.05" in told
    assert "Not before 2026-03-02T05:30:00+00:00." in told


def test_before_the_first_session_nothing_is_said_of_progress():
    history = History(participant="P07", task="neurofeedback")
    told = sentences(BOUNDS, history, ProgressBandit(BOUNDS).suggest([]))
    assert not any("teach" in sentence or "Not before" in sentence for sentence in told)
    again = replace(history, outcomes=(Outcome(dose=BOUNDS.usual),))
    same = ProgressBandit(BOUNDS).suggest(again.outcomes)
    assert "as last time" in sentences(BOUNDS, again, same)[1]
