"""The faults that are tried, as data: what is done, and what must happen.

A row says what is done in one sentence, what must happen in another, and how a machine tells:
which kinds of event must be told, each at least once and seldom; where a sentence must refuse.
`fault_trials` runs the rows, `docs/faults.md` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .hardware.faulty_link import LinkFault
from .runtime.messages import EventKind

AT_S, LENGTH_S = 4.0, 10.0
"""When a fault of the stream begins, and how long a session of the campaign lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault.

    Parameters
    ----------
    name : str
        In a word or two, with hyphens.
    group : str
        What it befalls: ``"stream"``, ``"model"``, ``"decoder"``, ``"output"``, ``"recording"``,
        ``"watchers"``, ``"learner"``, ``"machine"``, ``"persons"`` or ``"start"``.
    done : str
        What is done, in one sentence.
    must : str
        What must happen, in one sentence.
    how : str
        Which trial runs it, a name that `fault_trials` knows.
    faults : tuple of LinkFault
        What befalls the link, if anything does.
    act : str
        What else is done, a name that the trial knows.
    told : tuple of EventKind
        Kinds that must be told.
    may : tuple of EventKind
        Kinds that may be told besides.
    most : int
        How often each kind may be told at most.
    calm : bool
        Whether every decision must be that of a session without the fault.
    commands : bool
        Whether commands must pass, at least before the fault.
    replays : bool
        Whether the recorded session must replay exactly.
    short : bool
        Whether it belongs to the short form.
    pending : str
        Why it cannot be tried yet; empty if it can.
    settings : mapping
        More for the trial.
    """

    name: str
    group: str
    done: str
    must: str
    how: str = "loop"
    faults: tuple[LinkFault, ...] = ()
    act: str = ""
    told: tuple[EventKind, ...] = ()
    may: tuple[EventKind, ...] = ()
    most: int = 1
    calm: bool = False
    commands: bool = True
    replays: bool = True
    short: bool = True
    pending: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def _link(kind: str, length_s: float = 1.0, size: float = 0.0) -> tuple[LinkFault, ...]:
    return (LinkFault(kind=kind, at_s=AT_S, length_s=length_s, size=size),)


STREAM = (
    Row(
        name="loss",
        group="stream",
        done="A second of packets is lost on the way.",
        must="Output is neutral until the filters have settled behind the hole.",
        faults=_link("drop"),
        told=(EventKind.GAP, EventKind.STALE, EventKind.FRESH),
    ),
    Row(
        name="short-loss",
        group="stream",
        done="Three packets are lost, shorter than the stream takes to be called stale.",
        must="No window is cut across the hole.",
        faults=_link("drop", 0.06),
        told=(EventKind.GAP,),
    ),
    Row(
        name="duplicates",
        group="stream",
        done="Ten packets come twice.",
        must="The second copies are dropped, and no decision changes.",
        faults=_link("twice", 0.2),
        told=(EventKind.DUPLICATE,),
        calm=True,
    ),
    Row(
        name="reordering",
        group="stream",
        done="Ten packets come in pairs, the later one first.",
        must="They are put back in their place, and no decision changes.",
        faults=_link("swap", 0.2),
        told=(EventKind.REORDERED,),
        calm=True,
    ),
    Row(
        name="jitter",
        group="stream",
        done="Time stamps scatter by 20 ms for two seconds.",
        must="Samples are counted, not placed by their stamps, and no decision changes.",
        faults=_link("jitter", 2.0, 0.02),
        told=(EventKind.JITTER,),
        calm=True,
    ),
    Row(
        name="clock-step",
        group="stream",
        done="The sender's clock jumps by half an hour.",
        must="No index jumps, and no decision changes.",
        faults=_link("step", 1e9, 1800.0),
        told=(EventKind.CLOCK_STEP,),
        calm=True,
    ),
    Row(
        name="clock-step-back",
        group="stream",
        done="The sender's clock jumps back by five seconds.",
        must="No index jumps, and no decision changes.",
        faults=_link("step", 1e9, -5.0),
        told=(EventKind.CLOCK_STEP,),
        calm=True,
    ),
    Row(
        name="rate-off",
        group="stream",
        done="The amplifier runs 0.1 % fast.",
        must="It is told, decoding goes on, and no sample is taken for lost.",
        faults=(LinkFault(kind="rate", size=0.001),),
        told=(EventKind.RATE,),
        calm=True,
    ),
    Row(
        name="rate-wrong",
        group="stream",
        done="The amplifier runs 2 % fast.",
        must="Output stays neutral to the end: filters and windows mean something else.",
        faults=(LinkFault(kind="rate", size=0.02),),
        told=(EventKind.RATE,),
        most=2,
        commands=False,
        settings={"neutral_after_s": 0.0},
    ),
    Row(
        name="stale",
        group="stream",
        done="Packets are held back for a second, and then come all at once.",
        must="Output is neutral after stale_s, and no sample is lost.",
        faults=_link("stall"),
        told=(EventKind.STALE, EventKind.FRESH),
        may=(EventKind.LATE, EventKind.MISSED, EventKind.JITTER),
    ),
    Row(
        name="source-returns",
        group="stream",
        done="The sender dies and is back after two seconds, with another clock.",
        must="The outage is a gap, measured by this machine's clock; decoding goes on behind it.",
        faults=_link("away", 2.0),
        told=(
            EventKind.SOURCE_LOST,
            EventKind.STALE,
            EventKind.SOURCE_BACK,
            EventKind.CLOCK_STEP,
            EventKind.GAP,
            EventKind.FRESH,
        ),
    ),
    Row(
        name="nan",
        group="stream",
        done="One channel is NaN for half a second.",
        must="The samples count as lost, the channel is named, and no filter keeps the NaN.",
        faults=_link("nan", 0.5),
        told=(EventKind.NOT_A_NUMBER,),
    ),
    Row(
        name="infinity",
        group="stream",
        done="One channel is infinite for half a second.",
        must="The samples count as lost, the channel is named, and no filter keeps it.",
        faults=_link("inf", 0.5),
        told=(EventKind.NOT_A_NUMBER,),
    ),
    Row(
        name="dead-electrode",
        group="stream",
        done="One channel falls silent.",
        must="It is masked and named.",
        faults=_link("flat", 1e9),
        told=(EventKind.BAD_CHANNEL,),
    ),
    Row(
        name="volts-as-microvolts",
        group="stream",
        done="The numbers are volts and the description says microvolts.",
        must="Every channel counts as flat, and nothing is commanded.",
        faults=(LinkFault(kind="scale", size=1e-6),),
        told=(EventKind.BAD_CHANNEL,),
        commands=False,
        settings={"neutral_after_s": 1.5},
    ),
    Row(
        name="nanovolts-as-microvolts",
        group="stream",
        done="The numbers are a thousand times too large.",
        must="Every channel counts as no brain, and nothing is commanded.",
        faults=(LinkFault(kind="scale", size=1e3),),
        told=(EventKind.BAD_CHANNEL,),
        commands=False,
        settings={"neutral_after_s": 1.5},
    ),
)


def _within(name: str, group: str, done: str, must: str, **more: Any) -> Row:
    return Row(name=name, group=group, done=done, must=must, act=more.pop("act", name), **more)


_K = EventKind

DECODER = (
    _within(
        "encoder-throws", "decoder", "The encoder raises an error for fifteen windows.",
        "They are neutral, it is told once, decoding goes on.",
        told=(_K.FAILED,), most=2, replays=False,
    ),
    _within(
        "adapter-throws", "decoder", "The adapter raises an error for fifteen windows.",
        "They are neutral, it is told once, decoding goes on.",
        told=(_K.FAILED,), most=2, replays=False,
    ),
    _within(
        "encoder-says-nan", "decoder", "The encoder gives NaN for fifteen windows.",
        "They are neutral, decoding goes on.", replays=False,
    ),
    _within(
        "decoder-late", "decoder", "Five windows take 0.45 s each to decode, with steps of 0.1 s.",
        "Newer windows are taken, older ones skipped and counted; what came too late is told.",
        told=(_K.MISSED, _K.LATE), most=6,
    ),
)

OUTPUT = (
    _within(
        "sink-throws", "output", "A sink raises an error fifteen times.",
        "For the sinks behind it nothing was done, it is told once, the loop goes on.",
        told=(_K.FAILED,), most=2,
    ),
    _within(
        "sink-refuses", "output", "A sink does nothing fifteen times, though it was asked to.",
        "What was really done is on record beside what was asked.",
    ),
)

WATCHERS = (
    _within(
        "watcher-throws", "watchers", "A watcher raises an error.",
        "It is told once, nobody else notices.", told=(_K.OVERFLOW,), most=1,
    ),
    _within(
        "watcher-without-memory", "watchers", "A watcher asks for more memory than there is.",
        "It is told once, nobody else notices.", told=(_K.OVERFLOW,), most=1,
    ),
    _within(
        "watcher-hangs", "watchers", "A watcher does not come back.",
        "It is left behind at the end, nobody else notices.", settings={"length_s": 6.0},
    ),
)

RECORDING = (
    _within(
        "recorder-killed", "recording", "The recorder is killed with SIGKILL.",
        "Another is started, what was not on the disk is sent again, nothing is lost.",
        act="kill-recorder", told=(_K.RECORDER,), settings={"process": True},
    ),
    _within(
        "disk-full", "recording", "The disk is full for a second and a half.",
        "It is told, nothing is lost, the recording goes on when there is room.",
        told=(_K.RECORDER,), most=2, short=False, settings={"process": True},
    ),
)

LEARNER = (
    _within(
        "nan-weights", "learner", "A learner offers weights that are NaN.",
        "They are refused in a sentence, the old ones decide.", told=(_K.PROMOTED,),
    ),
    _within(
        "absurd-gain", "learner", "A learner offers weights of 1e308.",
        "They are refused in a sentence, the old ones decide.", told=(_K.PROMOTED,),
    ),
    _within(
        "other-classes", "learner", "A learner offers weights that speak of other classes.",
        "They are refused in a sentence, the old ones decide.", told=(_K.PROMOTED,),
    ),
    _within(
        "older-epoch", "learner", "A learner offers weights of an epoch that is over.",
        "They are refused in a sentence, the old ones decide.", told=(_K.PROMOTED,),
    ),
    _within(
        "other-features", "learner", "A learner offers weights for another number of features.",
        "They are refused in a sentence, the old ones decide.", told=(_K.PROMOTED,),
    ),
    _within(
        "unknown-kind", "learner", "A learner offers an adapter of a kind that nobody knows.",
        "It is refused in a sentence before the loop hears of it.",
    ),
    _within(
        "flood-of-promotions", "learner", "A learner offers 1500 sets of old weights.",
        "They are refused, and people are told once.",
        told=(_K.PROMOTED,), most=1,
    ),
)

PERSONS = (
    _within(
        "emergency-stop", "persons", "The emergency stop is pressed.",
        "Nothing passes any more, to the end.",
    ),
    _within(
        "stop-while-late", "persons",
        "The emergency stop is pressed while the decoder hangs for 0.8 s.",
        "Nothing passes any more, not even what was being decoded.",
        may=(_K.STALE, _K.FRESH),
    ),
)

_BUSY = (_K.STALE, _K.FRESH, _K.RECORDER)


def _live(name: str, group: str, done: str, must: str, **more: Any) -> Row:
    settings = {"live": True, "length_s": 4.0, "deadline_s": 0.2, **more.pop("settings", {})}
    more = {"act": name, "may": _BUSY, "commands": False, "short": False, **more}
    return Row(name=name, group=group, done=done, must=must, settings=settings, **more)


PROCESSES = (
    _live(
        "watchdog-killed", "output", "The watchdog is killed with SIGKILL.",
        "Another is started, and nothing passes until a person arms again.",
        told=(_K.WATCHDOG,), most=2, short=True,
    ),
    _live(
        "watchdog-frozen", "output", "The watchdog is stopped with SIGSTOP.",
        "It is killed and replaced, and nothing passes until a person arms again.",
        told=(_K.WATCHDOG,), most=2,
    ),
    _live(
        "loop-hangs", "output", "The loop computes for 0.6 s without a pause.",
        "The watchdog makes the outputs neutral meanwhile, and the loop tells so.",
        told=(_K.WATCHDOG,),
    ),
    _live(
        "stop-while-hanging", "persons", "The emergency stop is pressed while the loop hangs.",
        "The outputs are safe without the loop, and nothing passes when it is back.",
        told=(_K.WATCHDOG,), most=2,
    ),
    _live(
        "viewer-killed", "watchers", "The live view is killed with SIGKILL.",
        "Nobody notices.",
    ),
    _live(
        "viewer-frozen", "watchers", "The live view is stopped with SIGSTOP.",
        "Nobody notices.",
    ),
    _live(
        "telemetry-flood", "watchers", "Rubbish is written to the telemetry port without a pause.",
        "Nobody notices.",
    ),
    _live(
        "note-flood", "watchers",
        "Rubbish, and notes with a wrong token, are sent to the recorder's port for notes.",
        "All are refused, nobody else notices.",
    ),
    _live(
        "learner-killed", "learner",
        "A learner is killed in the middle of a word (a stand-in: none is built yet).",
        "Half a promotion is none, and the loop goes on.",
    ),
    _live(
        "memory-hog", "machine", "Another process takes 200 MiB again and again.",
        "The loop goes on and loses nothing.",
    ),
    _live(
        "cpu-hogs", "machine", "As many processes as there are cores compute without a pause.",
        "What comes late is counted, nothing is lost.",
    ),
)

def _refused(name: str, group: str, done: str, must: str, act: str, **more: Any) -> Row:
    return Row(name=name, group=group, done=done, must=must, how="refused", act=act, **more)


_BEFORE = "The session is refused before it starts, in one sentence."

START = (
    _refused(
        "unknown-unit", "start", "A channel names a unit that is none, or no unit.", _BEFORE,
        "units",
    ),
    _refused(
        "other-stream", "start",
        "The stream has another montage or rate, or a channel is missing, renamed, there twice or "
        "of another kind.",
        _BEFORE, "other-streams",
    ),
    Row(
        name="channels-exchanged", group="start",
        done="The sender lists two channels in the other order.",
        must="They are found by their names, and no decision changes. Cables that are exchanged "
        "under the same names cannot be told by anybody.",
        calm=True, settings={"order": (1, 0, 2, 3, 4, 5, 6, 7)},
    ),
    _refused(
        "corrupt-model", "model", "A model's files are spoilt, cut short, edited or missing.",
        _BEFORE, "corrupt-models",
    ),
    Row(
        name="model-of-another-person", group="model",
        done="The model was fitted on somebody else.",
        must="What is unlike all of calibration is not decoded.",
        pending="Only fitted models know what calibration looked like: tried by the tests of "
        "`adapters/outliers.py` on real recordings.",
    ),
    _refused(
        "corrupt-session-file", "start", "The session file is damaged in ten ways.", _BEFORE,
        "corrupt-sessions",
    ),
    _refused(
        "no-place", "start", "The folder for recordings cannot be made.", _BEFORE, "no-place",
    ),
    Row(
        name="double-start", group="start",
        done="Two sessions of one name begin in the same second.",
        must="Each has a folder of its own, and both verify.", how="twice", short=False,
    ),
    Row(
        name="double-output", group="start",
        done="Two sessions send under the same name.", must=_BEFORE,
        pending="Not built: names of output streams are not claimed.",
    ),
    _refused(
        "damaged-recording", "recording",
        "Log and recording are spoilt, cut short or signed by another key afterwards.",
        "Verification says which, and vouches for nothing.", "damaged", short=False,
    ),
    Row(
        name="gpu-lost", group="decoder", done="The engine stops in the middle of a session.",
        must="The spare takes over within a hop, and says so.", how="gpu", told=(_K.ENGINE,),
    ),
    Row(
        name="wrong-key", group="persons",
        done="Somebody without a key, or with a wrong one, asks for an operator's action.",
        must="It is refused and logged.", pending="The control link comes with its own tests.",
    ),
    Row(
        name="control-flood", group="persons", done="The control link is flooded.",
        must="Nobody else notices.", pending="The control link comes with its own tests.",
    ),
)


def _lsl(name: str, done: str, must: str, told: tuple[EventKind, ...], **settings: Any) -> Row:
    return Row(
        name=name, group="stream", done=done, must=must, how="lsl", told=told, most=2,
        may=(*_BUSY, _K.CLOCK_STEP, _K.GAP, _K.JITTER), short=False,
        settings={"dies_s": 3.0, "length_s": 9.0, **settings},
    )  # fmt: skip


LSL = (
    _lsl(
        "sender-dies", "The process that sends over LSL goes and does not come back.",
        "Output is neutral, and the session waits for it.", (_K.SOURCE_LOST, _K.STALE),
        length_s=7.0,
    ),
    _lsl(
        "sender-returns", "The LSL sender goes and is back after a second and a half.",
        "The outage is a gap, and decoding goes on behind it.",
        (_K.SOURCE_LOST, _K.STALE, _K.SOURCE_BACK, _K.FRESH), back_s=4.5,
    ),
    _lsl(
        "sender-returns-otherwise", "The LSL sender is back with a channel of another name.",
        "It is refused in a sentence, and output stays neutral.", (_K.SOURCE_LOST, _K.STALE),
        back_s=4.5, renamed=True,
    ),
)

ROWS: tuple[Row, ...] = (
    *STREAM, *LSL, *START, *DECODER, *OUTPUT, *WATCHERS, *RECORDING, *LEARNER, *PERSONS,
    *PROCESSES,
)  # fmt: skip
