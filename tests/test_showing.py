"""Which picture a session or a calibration fills the participant's screen with."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from diverloop.gui.participant.flicker import FlickerPicture
from diverloop.gui.participant.gauge import Gauge
from diverloop.gui.participant.imagery import Imagery
from diverloop.gui.participant.instruction import Instruction
from diverloop.gui.participant.speech import SpeechScreen
from diverloop.gui.participant.speller import SpellerPicture
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.paradigms.neurofeedback import NeurofeedbackPlan
from diverloop.runtime.paradigms.speller import SpellerPlan
from diverloop.runtime.session import PartConfig, SessionConfig
from diverloop.showing import Asked, picture_for, picture_of

from .modelled import fitted, saved

ROOT = Path(__file__).resolve().parents[1]


def session(kind: str = "lsl", operator: str = "") -> SessionConfig:
    source = PartConfig(kind=kind, settings=None)
    return SessionConfig(name="made", source=source, model=Path("any"), operator=operator)


def card(task: str, *classes: str, **plan: object):
    """Of a model for a task."""
    config = {"plan": plan} if plan else {}
    made = fitted().card
    return replace(made, task=task, classes=classes or made.classes, adapter_config=config)


def test_motor_imagery_cues_and_feeds_back_for_the_classes_of_the_model():
    picture = picture_of(session(), card("motor_imagery"), Asked(style="ball", language="ko"))
    assert isinstance(picture, Imagery)
    assert (picture.config.style, picture.config.cues) == ("ball", "stream")
    assert picture.config.trials.classes == fitted().card.classes
    own = picture_of(session(), card("motor_imagery"), Asked(calibrate=True))
    assert own.config.cues == "own"


def test_a_speller_shows_the_plan_that_the_model_was_fitted_for():
    made = card("p300_speller", **asdict(SpellerPlan(soa_s=0.2)))
    picture = picture_of(session(), made, Asked(text="HELLO"))
    assert isinstance(picture, SpellerPicture)
    assert picture.config.plan.soa_s == 0.2
    assert (picture.config.mode, picture.config.text) == ("copy", tuple("HELLO"))
    free = picture_of(session(), made, Asked())
    assert (free.config.mode, free.config.text) == ("free", ())


def test_flicker_is_that_of_the_classes_and_locked_like_the_session():
    picture = picture_of(session(), card("ssvep", "8", "10"), Asked())
    assert isinstance(picture, FlickerPicture)
    assert picture.show.plan.frequencies_hz == (8.0, 10.0)
    assert picture.show.classes == ("8", "10")
    dangerous = card("ssvep", "16", "20")
    with pytest.raises(ConfigError, match="locked"):
        picture_of(session(), dangerous, Asked())
    with pytest.raises(ConfigError, match="names no operator"):
        picture_of(session(), dangerous, Asked(unlock="a study of it, approved"))
    unlocked = picture_of(session(operator="op-2"), dangerous, Asked(unlock="approved"))
    assert unlocked.show.plan.unlock.operator == "op-2"


def test_neurofeedback_and_speech_have_screens_of_their_own():
    plan = NeurofeedbackPlan(block_s=30.0)
    gauge = picture_of(session(), card("neurofeedback", **asdict(plan)), Asked())
    assert isinstance(gauge, Gauge)
    assert gauge.config.plan == plan
    assert picture_of(session(), card("neurofeedback"), Asked()).config.plan is None
    speech = picture_of(session(), card("speech"), Asked(text="Good morning"))
    assert isinstance(speech, SpeechScreen)
    assert speech.config.prompt == "Good morning"


def test_a_task_that_shows_nothing_is_refused_in_words():
    with pytest.raises(ConfigError, match="shows the participant nothing"):
        picture_of(session(), card("error_potential"), Asked())


def test_a_file_is_a_calibration_or_a_session(tmp_path):
    guide = picture_for(ROOT / "calibrations" / "simulated-motor-imagery.toml", Asked())
    assert isinstance(guide, Instruction)
    assert guide.plan.words["left"] == "Squeeze your left hand"
    path = ROOT / "calibrations" / "simulated-motor-imagery.toml"
    assert picture_for(path, Asked(language="ko")).scene.instruction == "곧 시작합니다."
    text = (ROOT / "sessions" / "simulated-motor-imagery.toml").read_text(encoding="utf-8")
    bundle = saved(tmp_path)
    path = tmp_path / "session.toml"
    path.write_text(text.replace("../models/demo-motor_imagery.bundle", bundle.as_posix()), "utf-8")
    assert isinstance(picture_for(path, Asked()), Imagery)
    with pytest.raises(ConfigError):
        picture_for(tmp_path / "gone.toml", Asked())
