"""Rows of the fault matrix: what befalls the stages of a loop, and the processes beside it."""

from __future__ import annotations

from typing import Any

from ..runtime.messages import EventKind
from .row import BUSY, Row

_K = EventKind


def _within(name: str, group: str, done: str, must: str, **more: Any) -> Row:
    return Row(name=name, group=group, done=done, must=must, act=more.pop("act", name), **more)


DECODER = (
    _within(
        "encoder-throws",
        "decoder",
        "The encoder raises an error for fifteen windows.",
        "They are neutral, it is told once, decoding goes on.",
        told=(_K.FAILED,),
        most=2,
        replays=False,
    ),
    _within(
        "adapter-throws",
        "decoder",
        "The adapter raises an error for fifteen windows.",
        "They are neutral, it is told once, decoding goes on.",
        told=(_K.FAILED,),
        most=2,
        replays=False,
    ),
    _within(
        "encoder-says-nan",
        "decoder",
        "The encoder gives NaN for fifteen windows.",
        "They are neutral, decoding goes on.",
        replays=False,
    ),
    _within(
        "decoder-late",
        "decoder",
        "Five windows take 0.45 s each to decode, with steps of 0.1 s.",
        "Newer windows are taken, older ones skipped and counted; what came too late is told.",
        told=(_K.MISSED, _K.LATE),
        most=6,
    ),
)

OUTPUT = (
    _within(
        "sink-throws",
        "output",
        "A sink raises an error fifteen times.",
        "For the sinks behind it nothing was done, it is told once, the loop goes on.",
        told=(_K.FAILED,),
        most=2,
    ),
    _within(
        "sink-refuses",
        "output",
        "A sink does nothing fifteen times, though it was asked to.",
        "What was really done is on record beside what was asked.",
    ),
)

WATCHERS = (
    _within(
        "watcher-throws",
        "watchers",
        "A watcher raises an error.",
        "It is told once, nobody else notices.",
        told=(_K.OVERFLOW,),
        most=1,
    ),
    _within(
        "watcher-without-memory",
        "watchers",
        "A watcher asks for more memory than there is.",
        "It is told once, nobody else notices.",
        told=(_K.OVERFLOW,),
        most=1,
    ),
    _within(
        "watcher-hangs",
        "watchers",
        "A watcher does not come back.",
        "It is left behind at the end, nobody else notices.",
        settings={"length_s": 6.0, "close_limit_s": 0.5},
    ),
)

LEARNER = (
    _within(
        "nan-weights",
        "learner",
        "A learner offers weights that are NaN.",
        "They are refused in a sentence, the old ones decide.",
        told=(_K.PROMOTED,),
    ),
    _within(
        "absurd-gain",
        "learner",
        "A learner offers weights of 1e308.",
        "They are refused in a sentence, the old ones decide.",
        told=(_K.PROMOTED,),
    ),
    _within(
        "other-classes",
        "learner",
        "A learner offers weights that speak of other classes.",
        "They are refused in a sentence, the old ones decide.",
        told=(_K.PROMOTED,),
    ),
    _within(
        "older-epoch",
        "learner",
        "A learner offers weights of an epoch that is over.",
        "They are refused in a sentence, the old ones decide.",
        told=(_K.PROMOTED,),
    ),
    _within(
        "other-features",
        "learner",
        "A learner offers weights for another number of features.",
        "They are refused in a sentence, the old ones decide.",
        told=(_K.PROMOTED,),
    ),
    _within(
        "unknown-kind",
        "learner",
        "A learner offers an adapter of a kind that nobody knows.",
        "It is refused in a sentence before the loop hears of it.",
    ),
    _within(
        "flood-of-promotions",
        "learner",
        "A learner offers 300 sets of old weights.",
        "They are refused, and people are told once.",
        told=(_K.PROMOTED,),
        most=1,
    ),
)

PERSONS = (
    _within(
        "emergency-stop",
        "persons",
        "The emergency stop is pressed.",
        "Nothing passes any more, to the end.",
    ),
    _within(
        "stop-while-late",
        "persons",
        "The emergency stop is pressed while the decoder hangs for 0.8 s.",
        "Nothing passes any more, not even what was being decoded.",
        may=(_K.STALE, _K.FRESH),
    ),
)


def _live(name: str, group: str, done: str, must: str, **more: Any) -> Row:
    settings = {"live": True, "length_s": 4.0, "deadline_s": 0.2, **more.pop("settings", {})}
    more = {"act": name, "may": BUSY, "commands": False, "short": False, **more}
    return Row(name=name, group=group, done=done, must=must, settings=settings, **more)


RECORDING = (
    _live(
        "recorder-killed",
        "recording",
        "The recorder is killed with SIGKILL.",
        "Another is started, what was not on the disk is sent again, nothing is lost.",
        told=(_K.RECORDER,),
        may=(_K.STALE, _K.FRESH),
        most=2,
        short=True,
        settings={"process": True},
    ),
    _live(
        "disk-full",
        "recording",
        "The disk is full for a second and a half.",
        "It is told, nothing is lost, the recording goes on when there is room.",
        told=(_K.RECORDER,),
        may=(_K.STALE, _K.FRESH),
        most=3,
        settings={"process": True, "length_s": 6.0},
    ),
)

DOORS = (
    _live(
        "wrong-key",
        "persons",
        "Somebody without a key, one with a wrong key and a viewer ask over the control link for "
        "what only an operator may do.",
        "All are refused and on record, and nothing changes.",
        commands=True,
    ),
    _live(
        "control-flood",
        "persons",
        "The control link is flooded by somebody with a key who reads no answer.",
        "An operator's emergency stop passes all the same, and nobody else notices.",
    ),
)

PROCESSES = (
    _live(
        "watchdog-killed",
        "output",
        "The watchdog is killed with SIGKILL.",
        "Another is started, and nothing passes until a person arms again.",
        told=(_K.WATCHDOG,),
        most=2,
        short=True,
    ),
    _live(
        "watchdog-frozen",
        "output",
        "The watchdog is stopped with SIGSTOP.",
        "It is killed and replaced, and nothing passes until a person arms again.",
        told=(_K.WATCHDOG,),
        most=2,
    ),
    _live(
        "loop-hangs",
        "output",
        "The loop computes for 0.6 s without a pause.",
        "The watchdog makes the outputs neutral meanwhile, and the loop tells so.",
        told=(_K.WATCHDOG,),
    ),
    _live(
        "stop-while-hanging",
        "persons",
        "The emergency stop is pressed while the loop hangs.",
        "The outputs are safe without the loop, and nothing passes when it is back.",
        told=(_K.WATCHDOG,),
        most=2,
    ),
    _live(
        "viewer-killed",
        "watchers",
        "The live view is killed with SIGKILL.",
        "Nobody notices.",
    ),
    _live(
        "viewer-frozen",
        "watchers",
        "The live view is stopped with SIGSTOP.",
        "Nobody notices.",
    ),
    _live(
        "telemetry-flood",
        "watchers",
        "Rubbish is written to the telemetry port without a pause.",
        "Nobody notices.",
    ),
    _live(
        "note-flood",
        "watchers",
        "Rubbish, and notes with a wrong token, are sent to the recorder's port for notes.",
        "All are refused, nobody else notices.",
    ),
    _live(
        "learner-killed",
        "learner",
        "The learner is killed with SIGKILL.",
        "Another is started from the weights that decide, which stay; it is told.",
        told=(_K.LEARNER,),
        short=True,
    ),
    _live(
        "learner-hangs",
        "learner",
        "The learner is stopped with SIGSTOP.",
        "It is killed and replaced, the weights stay; it is told.",
        told=(_K.LEARNER,),
    ),
    _live(
        "learner-rubbish",
        "learner",
        "A program in the learner's place writes 4000 random bytes, and so does the next.",
        "One is replaced, then nothing is learnt any more, the weights stay; both are told.",
        told=(_K.LEARNER,),
        most=2,
    ),
    _live(
        "learner-floods",
        "learner",
        "A program in the learner's place answers without a pause, and so does the next.",
        "One is replaced, then nothing is learnt any more, the weights stay; both are told.",
        told=(_K.LEARNER,),
        most=2,
    ),
    _live(
        "memory-hog",
        "machine",
        "Another process takes 200 MiB again and again.",
        "The loop goes on and loses nothing.",
    ),
    _live(
        "cpu-hogs",
        "machine",
        "As many processes as there are cores compute without a pause.",
        "What comes late is counted, nothing is lost.",
    ),
)
