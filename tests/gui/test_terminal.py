from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from diverloop.gui.terminal import TerminalView, render
from diverloop.gui.view_state import SEIZURE, ViewState, plain_line
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.messages import (
    Channel,
    Command,
    Decision,
    Embedding,
    Event,
    EventKind,
    StageTimes,
    StreamSpec,
    Turn,
)
from diverloop.runtime.quality import Quality
from diverloop.runtime.telemetry import Score

SPEC = StreamSpec(
    name="BioSemi", rate_hz=512.0, channels=tuple(Channel(name=f"E{row}") for row in range(64))
)
TIMES = StageTimes(
    due_ns=0, arrived_ns=8_000_000, conditioned_ns=9_000_000, cut_ns=9_000_000,
    encoded_ns=12_000_000, decided_ns=12_000_000, fed_back_ns=12_000_000, acted_ns=12_500_000,
)  # fmt: skip


SUSPECTED = Event(
    kind=EventKind.SEIZURE,
    text="Research guard, not a diagnosis: seizure-like activity in T3, T5 and 4 more.",
)
MASKED = Quality(
    channels=("Fp1", "Cz", "T8"),
    scores=np.array([0.1, 0.9, 0.2], np.float32),
    causes=("flat", "", "noisy"),
    usable=np.array([False, True, False]),
)


def turn(classes=("left hand", "right hand"), label="left hand", selected=False, reason=""):
    chances = np.linspace(3, 1, len(classes))
    return Turn(
        decision=Decision(
            classes=classes,
            probabilities=chances / chances.sum() if label else chances * np.nan,
            label=label,
            reason=reason,
        ),
        command=Command(label=label, strength=0.5, selected=selected),
        times=TIMES,
        embedding=Embedding(values=np.zeros(2)),
    )


def shown(state, width=80, ascii_only=False):
    """What the screen says, as text without any colour."""
    console = Console(record=True, width=width, height=24, file=io.StringIO(), color_system=None)
    console.print(render(state, ascii_only=ascii_only))
    return console.export_text()


def state_after(*messages):
    state = ViewState(session="bedside 4")
    for message in messages:
        state.take(message, 0)
    return state


class Scripted:
    """A subscriber that hands out messages; waiting takes time on the virtual clock alone."""

    lost = 0
    unreadable = 0

    def __init__(self, clock, messages):
        self._clock = clock
        self._messages = list(messages)

    def poll(self, timeout_ms):
        if self._messages:
            self._clock.advance(1_000_000)
            return self._messages.pop(0)
        self._clock.advance(timeout_ms * 1_000_000)
        return None


class Interrupted(Scripted):
    def poll(self, timeout_ms):
        raise KeyboardInterrupt


def ran(messages, frames, subscriber=Scripted, **console):
    """Run a view for so many frames; return what it wrote."""
    clock, file = VirtualClock(), io.StringIO()
    screen = Console(file=file, width=80, height=24, **console)
    left = iter(range(frames))
    view = TerminalView(subscriber(clock, messages), screen, session="bedside 4", clock=clock)
    view.run(until=lambda: next(left, None) is None)
    return file.getvalue()


def test_every_screen_says_that_this_is_not_a_medical_device():
    for state in (ViewState(), state_after(SPEC, turn())):
        assert "INVESTIGATIONAL, NOT A MEDICAL DEVICE" in shown(state)


def test_the_screen_tells_session_guard_decision_source_latency_and_accuracy():
    guard = Event(kind=EventKind.GUARD, text="armed by a person")
    gap = Event(kind=EventKind.GAP, text="The amplifier lost 40 samples.", count=40)
    score = Score(hits=34, trials=40, interval=(0.71, 0.93), meaning="cued trials")
    text = shown(state_after(SPEC, turn(), guard, gap, score))
    for words in (
        "bedside 4", "guard: armed by a person", "LEFT HAND", "showing left hand",
        "64 channels at 512 Hz: BioSemi", "1 gap (40 samples lost)",
        "last event: The amplifier lost 40", "34 of 40: 85 % (71 to 93 %)", "cued trials",
        "deadlines missed  0", "windows skipped   0", "as seen by this view",
    ):  # fmt: skip
        assert words in text


def test_the_decided_class_is_marked_by_more_than_colour():
    lines = shown(state_after(turn())).splitlines()
    assert any("> left hand" in line and "0.75" in line for line in lines)
    assert any("  right hand" in line and "0.25" in line for line in lines)
    assert any("  evidence" in line and "0.50" in line for line in lines)


def test_a_bar_is_as_long_as_its_probability():
    lines = shown(state_after(turn())).splitlines()
    left = next(line for line in lines if "> left hand" in line)
    right = next(line for line in lines if "  right hand" in line)
    assert (left.count("█"), right.count("█")) == (15, 5)


def test_an_abstention_says_why():
    text = shown(state_after(turn(label=None, reason="channel C3 is flat")))
    assert "NEUTRAL" in text
    assert "neutral: channel C3 is flat" in text


def test_a_selection_is_said():
    assert "selected: left hand" in shown(state_after(turn(selected=True)))


def test_a_movement_is_said_with_its_speed_and_its_axes():
    moving = Command(label="left hand", strength=0.5, velocity=(-0.4, 0.3))
    text = shown(state_after(replace(turn(), command=moving)))
    assert "moving left hand at 0.50 (-0.40, +0.30)" in text
    assert "speed" in text
    assert "evidence" not in text
    state = state_after(replace(turn(), command=moving))
    assert "; moving left hand at 0.50 (-0.40, +0.30); " in plain_line(state)


def test_standing_still_is_said_and_why():
    still = Command(label=None, reason="standing still: no way", velocity=(0.0, 0.0))
    assert "neutral: standing still: no way" in shown(state_after(replace(turn(), command=still)))
    assert "; standing still; " in plain_line(state_after(replace(turn(), command=still)))


def test_stage_times_are_in_milliseconds():
    lines = shown(state_after(turn())).splitlines()
    assert any("total" in line and line.count("12.5") == 3 for line in lines)
    assert any("encode" in line and line.count("3.0") == 3 for line in lines)


@pytest.mark.parametrize("seizure", [(), (SUSPECTED,)], ids=["usual", "seizure"])
@pytest.mark.parametrize("n_classes", [1, 2, 6, 40])
def test_everything_fits_a_terminal_of_80_by_24(n_classes, seizure):
    classes = tuple(f"a class with a rather long name, number {n}" for n in range(n_classes))
    long = "a sentence that goes on and on " * 20
    state = state_after(
        SPEC, *[turn(classes, classes[0], reason=long)] * 70,
        Event(kind=EventKind.GUARD, text=long), Event(kind=EventKind.GAP, text=long, count=10**9),
        Score(hits=10**6, trials=10**6, interval=(0.9, 1.0), meaning=long), MASKED, *seizure,
    )  # fmt: skip
    state.now_ns = 10**12  # long silent: the line of warnings is there too
    lines = shown(state).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for words in ("evidence", "signal: 0.40, masked: Fp1 (flat)", "last event: "):
        assert words in text
    assert (SEIZURE in text) == bool(seizure)
    assert "INVESTIGATIONAL" in text


def test_classes_beyond_the_sixth_are_counted():
    classes = tuple(f"target {n}" for n in range(40))
    assert "and 34 more" in shown(state_after(turn(classes, "target 0")))


def test_a_decided_class_beyond_the_sixth_is_in_the_label():
    classes = tuple(f"target {n}" for n in range(40))
    assert "TARGET 39" in shown(state_after(turn(classes, "target 39")))


def test_brackets_in_a_text_are_text_and_not_markup():
    event = Event(kind=EventKind.RATE, text="The rate [red] is odd.")
    assert "The rate [red] is odd." in shown(state_after(event))


def test_a_terminal_without_unicode_gets_ascii_bars():
    text = shown(state_after(turn()), ascii_only=True)
    assert "#" * 15 + "....." in text
    assert "█" not in text


def test_before_the_first_message_the_screen_asks_the_right_questions():
    text = shown(ViewState())
    assert "NOTHING YET" in text
    assert "is the session running" in text
    assert "no trial judged yet" in text


def test_without_a_terminal_there_is_a_plain_line_every_five_seconds():
    lines = ran([SPEC, turn()], frames=101, force_terminal=False).splitlines()
    assert len(lines) == 3  # after 0.1, 5.1 and 10.1 s
    assert all(line.startswith("decision LEFT HAND (0.75)") for line in lines)


def test_in_a_terminal_there_is_a_screen():
    text = ran([SPEC, turn()], frames=2, force_terminal=True)
    assert "LEFT HAND" in text
    assert "\x1b[?1049h" in text  # a screen of its own, given back at the end
    assert "\x1b[?1049l" in text


def test_a_flood_of_messages_does_not_keep_the_screen_from_being_drawn():
    text = ran([turn()] * 100_000, frames=1, force_terminal=True)
    assert "LEFT HAND" in text


def test_closing_the_view_says_that_the_session_goes_on():
    text = ran([], frames=9, subscriber=Interrupted, force_terminal=False)
    assert text == "The view was closed; the session goes on.\n"


def test_the_source_panel_tells_how_good_the_signal_is_and_what_is_masked():
    text = " ".join(shown(state_after(SPEC, turn(), MASKED)).replace("│", " ").split())
    assert "signal: 0.40, masked: Fp1 (flat), T8" in text
    assert "(noisy)" in text
    assert "signal:" not in shown(state_after(SPEC, turn()))


def test_a_suspected_seizure_is_red_and_the_first_line_and_says_what_to_do():
    state = state_after(SPEC, turn(), SUSPECTED)
    lines = shown(state).splitlines()
    assert lines[0].strip() == SEIZURE
    assert "a person has to reset" in SEIZURE
    assert "seizure-like activity in T3, T5" in lines[1]
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    console.print(render(state))
    first = console.file.getvalue().splitlines()[0]
    assert first.startswith("\x1b[1;37;41m")  # bold, white on red
    assert SEIZURE in first


def test_the_alarm_goes_when_a_person_has_reset_the_guard():
    reset = Event(kind=EventKind.GUARD, text="The guard went from stopped to disarmed.")
    text = shown(state_after(SPEC, turn(), SUSPECTED, reset))
    assert SEIZURE not in text
    assert "last 60 windows" in text
