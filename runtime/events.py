"""What can happen to a stream or to the loop, apart from samples; part of `messages`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EventKind(StrEnum):
    """What can happen to a stream or to the loop, apart from samples."""

    GAP = "gap"  # samples were lost
    DUPLICATE = "duplicate"  # samples came twice, the second time was dropped
    REORDERED = "reordered"  # samples came in the wrong order and were put back
    CLOCK_STEP = "clock_step"  # the sender's clock jumped, no sample was lost
    JITTER = "jitter"  # time stamps scatter more than a sample
    RATE = "rate"  # the true rate is not the nominal one
    NOT_A_NUMBER = "not_a_number"  # NaN or infinity in the samples
    SOURCE_LOST = "source_lost"
    SOURCE_BACK = "source_back"
    IMPOSTOR = "impostor"  # another stream answers to the name of the pinned one: refused
    STALE = "stale"  # nothing new for too long: output is neutral
    FRESH = "fresh"  # data flows again
    MASKED = "masked"  # a stream beside the signal brings nothing: masked, or there again
    PROMOTED = "promoted"  # another set of weights decides from here on
    RECORDER = "recorder"  # the recorder lags, was restarted, or cannot write
    LATE = "late"  # windows were skipped, because a newer one was complete
    MISSED = "missed"  # a decision came after its deadline
    OVERFLOW = "overflow"  # a watcher was too slow, messages to it were dropped
    GUARD = "guard"  # the guard changed its state
    STOPPED = "stopped"  # a person pressed the emergency stop
    BREAK = "break"  # the participant has been at it for long
    WATCHDOG = "watchdog"  # it made the outputs safe, was lost, or is back
    SENT = "sent"  # at the end: what became of the commands that were handed to the outputs
    BAD_CHANNEL = "bad_channel"  # electrodes were masked, or are good again
    SPIKE = "spike"  # research guard: spike-like discharge, windows that touch it are left out
    SEIZURE = "seizure"  # research guard: seizure-like activity, output stops until a person clears
    RIPPLE = "ripple"  # research guard: high-frequency oscillation
    BLANKED = "blanked"  # a stimulation pulse: its artefact is left out
    CLEANED = "cleaned"  # artefact removal changed more of the signal than it may
    LISTENING = "listening"  # a speech decoder began to listen, or stopped
    SECOND_STAGE = "second_stage"  # a language model elsewhere is gone, is back, or refuses
    CORRECTED = "corrected"  # what was decided before was read otherwise since
    STIMULATION = "stimulation"  # a train was asked for, denied, delivered, or went wrong
    FAILED = "failed"  # a decoder or a sink raised an error; the loop went on without it
    ENGINE = "engine"  # what runs the student, and that another took over
    LEARNER = "learner"  # it died, hung or said nonsense; or whether the decoder may change


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to the stream or to the loop.

    Parameters
    ----------
    kind : EventKind
        What happened.
    text : str
        One sentence for a person: what was seen and what was done about it.
    sample : int
        Stream index at which it happened, or -1 if it has no place in the stream.
    count : int
        How many samples, windows or messages it concerns.
    at_ns : int
        Loop time at which it was noticed.
    lasting : bool
        True if nothing that comes after it can be decoded: output stays neutral to the end.
    """

    kind: EventKind
    text: str
    sample: int = -1
    count: int = 0
    at_ns: int = 0
    lasting: bool = False
