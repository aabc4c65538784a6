"""Each picture of the participant's screen, frame by frame on a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from diverloop.gui.look import DARK, LIGHT, Look
from diverloop.gui.participant.flicker import FlickerPicture
from diverloop.gui.participant.flicker_course import FlickerShow
from diverloop.gui.participant.frame_clock import HandClock
from diverloop.gui.participant.gauge import Gauge
from diverloop.gui.participant.imagery import STYLES, Imagery, ImageryConfig
from diverloop.gui.participant.instruction import Instruction
from diverloop.gui.participant.picture import Picture
from diverloop.gui.participant.speech import SpeechScreen
from diverloop.gui.participant.speller import SpellerPicture
from diverloop.gui.participant.spelling_course import SpellingConfig
from diverloop.gui.participant.stage import Stage
from diverloop.runtime.messages import Chunk, Command, Event, EventKind, Marker, Turn
from diverloop.runtime.paradigms.flicker import FlickerPlan
from diverloop.runtime.paradigms.guided_course import Scene
from diverloop.runtime.paradigms.profiles import GENERAL

from ..gui.told import a_stream, a_turn

SIZE = (1280, 720)
ARMED = Event(kind=EventKind.GUARD, text="The guard went from disarmed to armed: a person armed.")
Steps = Callable[[Picture, HandClock], None]


def pictures(out: Path, folder: Path) -> Iterator[Path]:
    """All of them; motor imagery in every style."""
    for style in STYLES:
        made = Imagery(ImageryConfig(style=style))
        yield shown(out / f"screen-imagery-{style}.png", made, cued_left)
    korean = Imagery(ImageryConfig(language="ko"))
    yield shown(out / "screen-imagery-cue-ko.png", korean, lambda p, c: cue(p, c, "right"), LIGHT)
    yield shown(out / "screen-instruction.png", Instruction(), instructed)
    yield shown(out / "screen-neurofeedback.png", Gauge(), rewarded)
    yield shown(out / "screen-speech.png", SpeechScreen(), spoken)
    speller = SpellerPicture(SpellingConfig(profile=GENERAL, text=tuple("WATER")))
    yield shown(out / "screen-speller.png", speller, flashing)
    plan = FlickerPlan(frequencies_hz=(8.5, 10.0, 12.0, 14.0), profile=GENERAL)
    flicker = FlickerPicture(FlickerShow(plan=plan, profile=GENERAL))
    yield shown(out / "screen-flicker.png", flicker, flashing)


def shown(path: Path, picture: Picture, steps: Steps, look: Look = DARK) -> Path:
    """The last frame of some steps."""
    clock = HandClock(60.0, SIZE)
    stage = Stage(picture, clock, look=look)
    stage.show()
    steps(picture, clock)
    clock.image.save(str(path))
    stage.close()
    return path


def cue(picture: Picture, clock: HandClock, label: str) -> None:
    """An armed session, and a cue in its stream."""
    picture.take(commanded(None, 0.0))
    clock.turn()
    picture.take(
        Chunk(
            samples=np.zeros((4, 1), np.float32),
            first_sample=0,
            arrived_ns=0,
            markers=(Marker(label=label, sample=0),),
        )
    )
    clock.turn(30)


def cued_left(picture: Picture, clock: HandClock) -> None:
    """Feedback that is well on its way."""
    cue(picture, clock, "left")
    for _ in range(3):
        picture.take(commanded("left", 0.9))
        clock.turn(35)


def instructed(picture: Picture, clock: HandClock) -> None:
    """A cue of a guided calibration."""
    clock.turn()
    picture.take(
        Scene(kind="cue", instruction="Now: left", trial=3, good=2, planned=40, last="Good.")
    )
    clock.turn(3)


def rewarded(picture: Picture, clock: HandClock) -> None:
    """A gauge above its threshold."""
    picture.take(a_stream())
    picture.take(commanded("reward", 0.85, classes=("reward", "no reward")))
    clock.turn(60)


def spoken(picture: Picture, clock: HandClock) -> None:
    """A prompt, and words of different certainty."""
    picture.take(Event(kind=EventKind.LISTENING, text="The decoder listens.", count=1))
    picture.take(
        Chunk(
            samples=np.zeros((4, 1), np.float32),
            first_sample=0,
            arrived_ns=0,
            markers=(Marker(label="say:I would like some water", sample=0),),
        )
    )
    for word, sure in (("I", 0.99), ("would", 0.9), ("like", 0.7), ("some", 0.8), ("water", 0.4)):
        turn = commanded(word, 0.9, classes=(word, "other"))
        decision = replace(turn.decision, probabilities=np.array([sure, 1 - sure]))
        picture.take(replace(turn, decision=decision))
        clock.turn(2)


def flashing(picture: Picture, clock: HandClock) -> None:
    """Stimuli on, once a person has armed and begun."""
    picture.take(a_stream())
    picture.take(ARMED)
    if isinstance(picture, FlickerPicture):
        picture.start()
    for _ in range(8):
        picture.take(commanded(None, 0.0))
        clock.turn(40)


def commanded(
    label: str | None, strength: float, classes: tuple[str, ...] = ("left", "right")
) -> Turn:
    """A turn in which a command was let through."""
    turn = a_turn(500)
    decision = replace(
        turn.decision,
        classes=classes,
        label=label,
        reason="" if label else "too close to call",
        probabilities=np.full(len(classes), 1 / len(classes)),
    )
    return replace(turn, decision=decision, command=Command(label=label, strength=strength))
