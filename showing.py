"""Which picture fills the participant's screen: that of a session's task, or a calibration's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .flicker_lock import allow
from .hardware.simulated_speller import items_of
from .runtime.card import Card
from .runtime.errors import ConfigError
from .runtime.guide_file import read_guide
from .runtime.paradigms.flicker import FlickerPlan, Unlock
from .runtime.paradigms.neurofeedback import NeurofeedbackPlan
from .runtime.paradigms.profiles import Profile, profile_named
from .runtime.paradigms.speller import SpellerPlan
from .runtime.session import SessionConfig, read_session, session_bundle
from .runtime.settings import build

if TYPE_CHECKING:
    from .gui.participant.picture import Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the person at the machine chose for the screen.

    Parameters
    ----------
    language : str
        ``"en"`` or ``"ko"``.
    style : str
        Feedback of motor imagery: ``"bar"``, ``"ball"`` or ``"arrow"``.
    text : str
        What is to be spelled or said; empty to let the person choose.
    calibrate : bool
        Whether the screen itself points at what is to be attended, trial by trial.
    refresh_hz : float
        Of the display.
    unlock : str
        Why flicker is shown that the participant's profile refuses; empty if none is.
    """

    language: str = "en"
    style: str = "bar"
    text: str = ""
    calibrate: bool = False
    refresh_hz: float = 60.0
    unlock: str = ""


def picture_for(path: Path, asked: Asked, overrides: Mapping[str, str] | None = None) -> Picture:
    """Make the picture for a session file, or for the file of a guided calibration.

    Parameters
    ----------
    path : Path
        A TOML file; one with a table ``calibration`` is a guide.
    asked : Asked
        What was chosen.
    overrides : mapping of str to str, optional
        Other values for the file's, as ``session.name``.

    Returns
    -------
    picture : Picture
        Not begun.

    Raises
    ------
    ConfigError
        If the file, its model, or what was asked cannot be shown, or must not be.
    """
    from .gui.participant.instruction import Instruction

    if _is_guide(path):
        return Instruction(read_guide(path, overrides).plan, asked.language)
    session = read_session(path, overrides)
    return picture_of(session, session_bundle(session).card, asked)


def picture_of(session: SessionConfig, card: Card, asked: Asked) -> Picture:
    """Make the picture of a session whose model is known.

    Parameters
    ----------
    session : SessionConfig
        Checked settings.
    card : Card
        Of its model: it knows the task.
    asked : Asked
        What was chosen.

    Returns
    -------
    picture : Picture
        Not begun.
    """
    match card.task:
        case "motor_imagery":
            return _imagery(card, asked)
        case "p300_speller":
            return _speller(session, card, asked)
        case "ssvep":
            return _flicker(session, card, asked)
        case "speech":
            return _speech(asked)
        case "neurofeedback":
            return _gauge(card, asked)
    raise ConfigError(
        f"The task {card.task!r} shows the participant nothing: there is a screen for "
        f"motor_imagery, p300_speller, ssvep, speech and neurofeedback."
    )


def _imagery(card: Card, asked: Asked) -> Picture:
    from .gui.participant.imagery import Imagery, ImageryConfig
    from .gui.participant.trials import TrialsConfig

    cues = "own" if asked.calibrate else "stream"
    trials = TrialsConfig(classes=card.classes)
    return Imagery(
        ImageryConfig(style=asked.style, cues=cues, trials=trials, language=asked.language)
    )


def _speller(session: SessionConfig, card: Card, asked: Asked) -> Picture:
    from .gui.participant.speller import SpellerPicture
    from .gui.participant.spelling_course import SpellingConfig

    plan = build(SpellerPlan, _settings(card), "adapter.plan")
    mode = "calibrate" if asked.calibrate else "copy" if asked.text else "free"
    config = SpellingConfig(
        profile=_profile(session, card, asked),
        plan=plan,
        mode=mode,
        text=tuple(items_of(asked.text, plan.items)) if asked.text else (),
        unlock=_unlock(session, asked),
    )
    return SpellerPicture(config, asked.language)


def _flicker(session: SessionConfig, card: Card, asked: Asked) -> Picture:
    from .adapters.ssvep import frequencies_of
    from .gui.participant.flicker import FlickerPicture
    from .gui.participant.flicker_course import FlickerShow

    profile = _profile(session, card, asked)
    plan = FlickerPlan(
        frequencies_hz=frequencies_of(card.classes),
        contrast=session.flicker.contrast,
        refresh_hz=asked.refresh_hz,
        profile=profile,
        unlock=_unlock(session, asked),
    )
    mode = "calibrate" if asked.calibrate else "free"
    show = FlickerShow(plan=plan, profile=profile, classes=card.classes, mode=mode)
    return FlickerPicture(show, asked.language)


def _speech(asked: Asked) -> Picture:
    from .gui.participant.speech import SpeechScreen, SpeechScreenConfig

    return SpeechScreen(SpeechScreenConfig(prompt=asked.text, language=asked.language))


def _gauge(card: Card, asked: Asked) -> Picture:
    from .gui.participant.gauge import Gauge, GaugeConfig

    plan = build(NeurofeedbackPlan, _settings(card), "adapter.plan") if _settings(card) else None
    start = int(card.adapter_config.get("starts_at_sample", 0))
    return Gauge(GaugeConfig(plan=plan, starts_at_sample=start, language=asked.language))


def _profile(session: SessionConfig, card: Card, asked: Asked) -> Profile:
    """Whose eyes it is for; the lock is that of the session, so both refuse the same."""
    return profile_named(allow(session, card, unlock=_unlock(session, asked)).profile)


def _unlock(session: SessionConfig, asked: Asked) -> Unlock | None:
    if not asked.unlock:
        return None
    if not session.operator.strip():
        raise ConfigError(
            "An unlock of flicker needs to know who takes responsibility, and the session names "
            'no operator: write operator = "PSEUDONYM" into its table [session].'
        )
    return Unlock(operator=session.operator, reason=asked.unlock)


def _settings(card: Card) -> Mapping[str, Any]:
    """Of the plan that the model was fitted for."""
    plan: Mapping[str, Any] = card.adapter_config.get("plan") or {}
    return plan


def _is_guide(path: Path) -> bool:
    try:
        return "calibration" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # the session's reader says in words what is wrong with it
