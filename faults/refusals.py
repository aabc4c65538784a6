"""Faults that are refused before a session starts, or found when it is over."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..assembly import assemble, open_model
from ..hardware.simulator import SimulatedParticipant, SimulatorConfig
from ..keeping import keep
from ..proving import verify
from ..runtime.bundle import load_bundle, save_bundle
from ..runtime.clock import VirtualClock
from ..runtime.errors import DiverloopError
from ..runtime.messages import Channel, StreamSpec
from ..runtime.record.signing import load_or_create_key
from ..runtime.session import PartConfig, SessionConfig, read_session
from ..runtime.units import microvolts_per
from .checks import Finding, Result, sentence_fault
from .lsl import confined
from .matrix import Row
from .rig import CLASSES, PEOPLE, Rig, model_by_hand

Case = tuple[str, Callable[[], object]]

SESSION = """\
[session]
name = "good"
[source]
kind = "simulator"
[model]
bundle = "good.bundle"
"""


def refused(row: Row, folder: Path) -> Result:
    """Every case of a row has to be refused in one sentence.

    Parameters
    ----------
    row : Row
        Its act names the cases.
    folder : Path
        Empty.

    Returns
    -------
    result : Result
        One finding for each case.
    """
    findings, said = [], []
    for name, act in CASES[row.act](folder):
        try:
            act()
        except DiverloopError as error:
            said.append(str(error))
            findings.append(Finding(question=name, wrong=sentence_fault(str(error))))
        else:
            findings.append(Finding(question=name, wrong="it was not refused"))
    return Result(row=row, findings=tuple(findings), said=tuple(said))


# --- models ------------------------------------------------------------------------------------


def _saved(folder: Path) -> Path:
    path = folder / "good.bundle"
    save_bundle(model_by_hand(), path)
    return path


def _copy(good: Path, name: str) -> Path:
    return Path(shutil.copytree(good, good.with_name(f"{name}.bundle")))


def _spoil(file: Path, place: float) -> None:
    data = bytearray(file.read_bytes())
    data[int(place * (len(data) - 1))] ^= 0xFF
    file.write_bytes(data)


def _corrupt_models(folder: Path) -> Iterator[Case]:
    good = _saved(folder)
    for name, place in (("begin", 0.0), ("middle", 0.5), ("end", 1.0)):
        bad = _copy(good, f"weights-{name}")
        _spoil(bad / "weights.safetensors", place)
        yield f"a byte at the {name} of the weights", partial(load_bundle, bad)
    short = _copy(good, "short")
    weights = short / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    yield "weights cut short", lambda: load_bundle(short)
    garbage = _copy(good, "garbage")
    (garbage / "card.json").write_bytes(b"\xff\x00{")
    yield "a card that is no JSON", lambda: load_bundle(garbage)
    bare = _copy(good, "bare")
    (bare / "card.json").write_text("{}")
    yield "a card that says nothing", lambda: load_bundle(bare)
    gone = _copy(good, "gone")
    (gone / "weights.safetensors").unlink()
    yield "no weights at all", lambda: load_bundle(gone)
    edited = _copy(good, "edited")
    text = (edited / "card.json").read_text()
    (edited / "card.json").write_text(text.replace('"left"', '"up"'))
    sha256 = load_bundle(good).card.sha256
    yield "an edited card, where its hash is known", lambda: load_bundle(edited, sha256=sha256)


def _started(person: SimulatorConfig) -> Callable[[], object]:
    """A session whose participant is another than the model's."""
    session = SessionConfig(
        name="wrong",
        source=PartConfig(kind="simulator", settings=person),
        model=Path("none.bundle"),
    )

    def start() -> object:
        model = open_model(model_by_hand())
        return assemble(session, clock=VirtualClock(), model=model, armed=True).run()

    return start


def _other_streams(folder: Path) -> Iterator[Case]:
    yield "another montage", _started(replace(PEOPLE, montage="seeg4x10"))
    yield "another rate", _started(replace(PEOPLE, rate_hz=500.0))
    model = open_model(model_by_hand())
    spec = SimulatedParticipant(SimulatorConfig(montage="eeg8"), VirtualClock()).spec
    first, *others = spec.channels

    def accept(*channels: Channel) -> Callable[[], object]:
        changed: StreamSpec = replace(spec, channels=channels)
        return lambda: model.accept(changed)

    yield "a channel that is missing", accept(*others)
    yield "a channel with another name", accept(replace(first, name="X9"), *others)
    yield "a channel that is there twice", accept(first, first, *others)
    yield "a channel of another kind", accept(replace(first, kind="emg"), *others)


def _units(folder: Path) -> Iterator[Case]:
    for unit in ("counts", "", "MV", "uVrms", "µ"):
        yield f"the unit {unit!r}", partial(microvolts_per, unit)


# --- session files -----------------------------------------------------------------------------


def _corrupt_sessions(folder: Path) -> Iterator[Case]:
    texts = {
        "bytes that are no text": b"\xff\xfe\x00\x80",
        "text that is no TOML": b"[session\nname = ",
        "an empty file": b"",
        "a table that nobody knows": SESSION.encode() + b"[sesion]\nx = 1\n",
        "a key that nobody knows": SESSION.encode() + b"[loop]\nstale = 1\n",
        "a value out of range": SESSION.encode() + b"[loop]\nstale_s = 9\n",
        "a value of another type": SESSION.encode() + b'[loop]\nstale_s = "soon"\n',
        "a source that nobody knows": SESSION.replace("simulator", "telepathy").encode(),
        "NaN for a limit": SESSION.encode() + b"[guard]\nmin_quality = nan\n",
    }
    for place, (name, data) in enumerate(texts.items()):
        path = folder / f"{place}.toml"
        path.write_bytes(data)
        yield name, partial(read_session, path)
    yield "a file that is not there", lambda: read_session(folder / "none.toml")


# --- where it is kept --------------------------------------------------------------------------


def _no_place(folder: Path) -> Iterator[Case]:
    taken = folder / "taken"
    taken.write_text("a file, where a folder is wanted")
    session = SessionConfig(
        name="none",
        source=PartConfig(kind="simulator", settings=PEOPLE),
        model=Path("none.bundle"),
    )

    def start() -> None:
        model = open_model(model_by_hand())
        with keep(session, model, VirtualClock(), taken, live=False, armed=False):
            pass

    yield "no folder can be made", start


def _damaged(folder: Path) -> Iterator[Case]:
    """What was recorded is spoilt afterwards: looking at it must say so."""
    rig = Rig(Row(name="good", group="recording", done="", must=""), folder / "good")
    rig.run()
    good = rig.keeping.folder

    def look(copy: Path, signed_by: str = "") -> None:
        found = verify(copy, signed_by)
        if not found.ok:
            raise DiverloopError(found.audit.first_fault or found.recording_fault)

    for what in ("audit.jsonl", "recording.xdf"):
        file = next((path for path in good.iterdir() if path.name == what), None)
        if file is None:
            file = max(good.glob(f"*{what[-5:]}"), key=lambda path: path.stat().st_size)
        for name, place in (("begin", 0.02), ("middle", 0.5), ("end", 0.98)):
            copy = Path(shutil.copytree(good, folder / f"{what}-{name}"))
            _spoil(copy / file.name, place)
            yield f"a byte near the {name} of {file.name}", partial(look, copy)
    cut = Path(shutil.copytree(good, folder / "cut"))
    recording = cut / "recording.xdf"
    recording.write_bytes(recording.read_bytes()[: recording.stat().st_size // 2])
    yield "half a recording", lambda: look(cut)
    load_or_create_key()
    yield "a log that another key has signed", lambda: look(good, "0000 0000 0000 0000")


def _same_outputs(folder: Path) -> Iterator[Case]:
    from ..hardware.lsl_outlet import LslSink, LslSinkConfig

    spec = SimulatedParticipant(PEOPLE, VirtualClock()).spec
    config = LslSinkConfig(name=f"faults-{uuid.uuid4().hex}")
    first, second = LslSink(config), LslSink(config)
    with confined(folder), closing(first), closing(second):
        first.open(spec, CLASSES)
        yield "the second of two outputs", partial(second.open, spec, CLASSES)


CASES: Mapping[str, Callable[[Path], Iterator[Case]]] = {
    "corrupt-models": _corrupt_models,
    "other-streams": _other_streams,
    "units": _units,
    "corrupt-sessions": _corrupt_sessions,
    "no-place": _no_place,
    "outputs": _same_outputs,
    "damaged": _damaged,
}
"""Cases by the name of a row's act; each is what it is, and what must raise."""


def started_twice(row: Row, folder: Path) -> Result:
    """Two sessions of one name begin in the same second, in the same folder."""
    rigs = [Rig(row, folder / "both") for _ in range(2)]
    outcomes = [rig.run() for rig in rigs]
    places = {outcome.folder for outcome in outcomes}
    proofs = [verify(place) for place in places if place is not None]
    return Result(
        row=row,
        findings=(
            Finding(question="a folder each", wrong="" if len(places) == 2 else "they share one"),
            Finding(
                question="verifies",
                wrong=" ".join(text for one in proofs if not one.ok for text in one.sentences()),
            ),
        ),
    )
