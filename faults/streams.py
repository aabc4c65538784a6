"""Rows of the fault matrix: what befalls a stream, and what is refused before it is read."""

from __future__ import annotations

from typing import Any

from ..hardware.faulty_link import LinkFault
from ..runtime.messages import EventKind
from .row import AT_S, BUSY, Row

_K = EventKind


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
        replays=False,  # a session in which nothing is decoded proves nothing
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


def _refused(name: str, group: str, done: str, must: str, act: str, **more: Any) -> Row:
    return Row(name=name, group=group, done=done, must=must, how="refused", act=act, **more)


_BEFORE = "The session is refused before it starts, in one sentence."

START = (
    _refused(
        "unknown-unit",
        "start",
        "A channel names a unit that is none, or no unit.",
        _BEFORE,
        "units",
    ),
    _refused(
        "other-stream",
        "start",
        "The stream has another montage or rate, or a channel is missing, renamed, there twice or "
        "of another kind.",
        _BEFORE,
        "other-streams",
    ),
    Row(
        name="channels-exchanged",
        group="start",
        done="The sender lists two channels in the other order.",
        must="They are found by their names, and no decision changes. Cables that are exchanged "
        "under the same names cannot be told by anybody.",
        calm=True,
        settings={"order": (1, 0, 2, 3, 4, 5, 6, 7)},
    ),
    _refused(
        "corrupt-model",
        "model",
        "A model's files are spoilt, cut short, edited or missing.",
        _BEFORE,
        "corrupt-models",
    ),
    Row(
        name="unlike-calibration",
        group="model",
        done="From some moment on the signal is unlike all that the model was calibrated on, as "
        "with an amplifier at ten times its gain.",
        must="No class is answered, and the reason is said. Another person whose signal looks like "
        "the first one's cannot be told by anybody.",
        act="unlike-calibration",
        replays=False,
    ),
    _refused(
        "corrupt-session-file",
        "start",
        "The session file is damaged in ten ways.",
        _BEFORE,
        "corrupt-sessions",
    ),
    _refused(
        "no-place",
        "start",
        "The folder for recordings cannot be made.",
        _BEFORE,
        "no-place",
    ),
    Row(
        name="double-start",
        group="start",
        done="Two sessions of one name begin in the same second.",
        must="Each has a folder of its own, and both verify.",
        how="twice",
        short=False,
    ),
    _refused(
        "double-output",
        "start",
        "Two sessions on one machine send under the same name.",
        "The second is refused before it starts, in one sentence.",
        "outputs",
        short=False,
    ),
    _refused(
        "damaged-recording",
        "recording",
        "Log and recording are spoilt, cut short or signed by another key afterwards.",
        "Verification says which, and vouches for nothing.",
        "damaged",
        short=False,
    ),
    Row(
        name="gpu-lost",
        group="decoder",
        done="The engine stops in the middle of a session (stand-ins: no GPU is needed).",
        must="The spare takes over within a hop, and says so.",
        act="gpu-lost",
        told=(_K.ENGINE,),
    ),
)


def _lsl(name: str, done: str, must: str, told: tuple[EventKind, ...], **settings: Any) -> Row:
    return Row(
        name=name, group="stream", done=done, must=must, how="lsl", told=told, most=2,
        may=(*BUSY, _K.CLOCK_STEP, _K.GAP, _K.JITTER), short=False,
        settings={"dies_s": 3.0, "length_s": 9.0, **settings},
    )  # fmt: skip


LSL = (
    _lsl(
        "sender-dies",
        "The process that sends over LSL goes and does not come back.",
        "Output is neutral, and the session waits for it.",
        (_K.SOURCE_LOST, _K.STALE),
        length_s=7.0,
    ),
    _lsl(
        "sender-returns",
        "The LSL sender goes and is back after a second and a half.",
        "The outage is a gap, and decoding goes on behind it.",
        (_K.SOURCE_LOST, _K.STALE, _K.SOURCE_BACK, _K.FRESH),
        back_s=4.5,
    ),
    _lsl(
        "sender-returns-otherwise",
        "The LSL sender is back with a channel of another name.",
        "It is refused in a sentence, and output stays neutral.",
        (_K.SOURCE_LOST, _K.STALE),
        back_s=4.5,
        renamed=True,
    ),
)
