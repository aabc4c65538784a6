"""Streams beside the signal are recorded as they came, and a replay makes the same windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.assembly import open_adapter
from diverloop.runtime.beside import Company
from diverloop.runtime.beside_config import BesideConfig
from diverloop.runtime.errors import RecordingError
from diverloop.runtime.fanout import DirectFanOut
from diverloop.runtime.guard import Signal
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import LoopConfig, Stages
from diverloop.runtime.messages import Aside, Channel, Chunk, Embedding, StreamSpec
from diverloop.runtime.received import Received, Sent
from diverloop.runtime.record.asides import FIRST_BESIDE, AsideLayout, AsideRows
from diverloop.runtime.record.compare import Comparer
from diverloop.runtime.record.exact import ExactReplay, ReplayedSink, ReplayedSource
from diverloop.runtime.record.tape import Tape
from diverloop.runtime.record.xdf_read import NumericSamples, XdfReader
from diverloop.runtime.record.xdf_write import XdfWriter
from diverloop.runtime.signal.conditioning import StreamConditioner

from .taped import (
    BAND,
    Ledger,
    Means,
    Postbox,
    RestlessClock,
    Trial,
    World,
    _feedback,
    weights,
    write,
)

GAZE = StreamSpec(
    name="tracker", rate_hz=60.0, measured=True,
    channels=(Channel(name="x", kind="gaze"), Channel(name="y", kind="gaze")),
)  # fmt: skip
AUDIO = StreamSpec(
    name="microphone", rate_hz=1000.0, channels=(Channel(name="left", kind="audio"),),
    sent=Sent(dtype="<i2", microvolts=(1.0,)),
)  # fmt: skip
CONFIGS = (
    BesideConfig(role="gaze", append=("x", "y"), fill="linear", stale_s=0.1),
    BesideConfig(role="audio"),
)
TRIAL = Trial(seed=4, form="f4", n_packets=120, condition=BAND, promotions=0.0)


class Sided(World):
    """The world, with a gaze that comes and goes and a microphone beside it."""

    def __init__(self, trial: Trial, clock: RestlessClock) -> None:
        super().__init__(trial, clock, np.random.default_rng(trial.seed))
        self._clock_ns, self._dice = clock, np.random.default_rng(99)
        self._last_s = [clock.now_ns() / 1e9] * 2
        self._counts = [0, 0]

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        chunk = super().read(wanted, until_ns)
        now_s = self._clock_ns.now_ns() / 1e9
        beside = [] if 1.0 < now_s % 3 < 1.6 else [*self._rows(0, GAZE, now_s)]
        beside += self._rows(1, AUDIO, now_s)
        if not beside:
            return chunk
        if chunk is None:
            chunk = Chunk(
                samples=np.zeros((3, 0), np.float32), first_sample=-1,
                arrived_ns=self._clock_ns.now_ns(),
            )  # fmt: skip
        return replace(chunk, beside=tuple(beside))

    def _rows(self, place: int, spec: StreamSpec, now_s: float) -> list[Aside]:
        n = int((now_s - self._last_s[place]) * spec.rate_hz)
        if not n or self._dice.random() < 0.3:
            return []
        stamps_s = self._last_s[place] + (1 + np.arange(n)) / spec.rate_hz
        self._last_s[place] = float(stamps_s[-1])
        values = self._dice.normal(0, 50, (n, spec.n_channels))
        first, self._counts[place] = self._counts[place], self._counts[place] + n
        rows = Received(
            values=values.astype(spec.sent.dtype if spec.sent else "<f4"),
            stamps_s=stamps_s + 700.0, first_row=first, offset_s=-700.0 + place * 1e-3,
        )  # fmt: skip
        now_ns = self._clock_ns.now_ns()
        return [Aside(place=place, arrived_ns=now_ns, rows=rows, spec=None if first else spec)]


class Hears(Means):
    """An encoder whose features show all that a window and what is beside it hold."""

    beside = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple] = []

    def encode(self, window) -> Embedding:
        values = window.samples[:3].astype(np.float64).mean(axis=1)
        usable = np.ones(5, bool) if window.usable is None else window.usable
        self.seen.append((usable.tolist(), [one.presence for one in window.beside]))
        values += window.samples[3:][usable[3:]].sum() / 1e3
        values += sum(float(one.samples.sum() + one.at_s.sum()) for one in window.beside) / 1e4
        return Embedding(values=values)


def stages(source, sinks=()) -> tuple[Stages, Hears]:
    encoder = Hears()
    made = Stages(
        source=source, conditioner=StreamConditioner(TRIAL.condition), encoder=encoder,
        adapter=weights(1), feedback=_feedback(), sinks=sinks,
    )  # fmt: skip
    return Company(CONFIGS).attend(made), encoder


@pytest.fixture(scope="module")
def session():
    """A session with two streams beside it: what was sent to the recorder, and what came out."""
    clock = RestlessClock(np.random.default_rng(0), 0.01)
    box, ledger = Postbox(), Ledger()
    tape = Tape(clock, box.post)
    tape.guard.tell(Signal.PERSON_ARMS)
    made, encoder = stages(tape.source(Sided(TRIAL, clock)))
    loop = Loop(
        made, clock=tape.clock, window=TRIAL.window, config=LoopConfig(deadline_s=60.0),
        guard=tape.guard, fanout=DirectFanOut((box, ledger)),
    )  # fmt: skip
    loop.run()
    return box.sent, ledger.lines, encoder.seen


def test_a_session_with_streams_beside_it_replays_exactly(session, tmp_path):
    sent, lines, seen = session
    tape = ExactReplay(write(tmp_path / "recording.xdf", sent, finished=True), open_adapter)
    comparer, ledger = Comparer(tape), Ledger()
    made, encoder = stages(ReplayedSource(tape), (ReplayedSink(tape),))
    Loop(
        made, clock=tape, window=TRIAL.window, config=LoopConfig(deadline_s=60.0),
        guard=tape.guard, fanout=DirectFanOut((comparer, ledger)), promotions=tape.promotions,
    ).run()  # fmt: skip
    found = comparer.result()
    assert found.first is None, found.sentence()
    assert found.ok
    assert found.n_bit_equal == found.n_decoded > 50
    assert ledger.lines == lines
    assert encoder.seen == seen


def test_the_session_above_saw_its_streams_present_masked_and_back(session):
    _, lines, seen = session
    assert {tuple(usable[3:]) for usable, _ in seen} == {(True, True), (False, False)}
    assert any(presence[1] == "present" for _, presence in seen)
    assert sum("'gaze' beside the signal" in line for line in lines) >= 2


def test_rows_lie_in_the_file_as_they_were_received(session, tmp_path):
    sent, _, _ = session
    path = write(tmp_path / "recording.xdf", sent, finished=True)
    for place in range(2):
        came = [a.rows for c in sent if isinstance(c, Chunk) for a in c.beside if a.place == place]
        parts = [
            part for part in XdfReader(path)
            if isinstance(part, NumericSamples) and part.stream_id == FIRST_BESIDE + place
        ]  # fmt: skip
        for name in ("values", "stamps_s"):
            kept = np.concatenate([getattr(part, name) for part in parts])
            np.testing.assert_array_equal(kept, np.concatenate([getattr(r, name) for r in came]))


def test_rows_of_a_stream_that_nobody_described_are_refused(tmp_path):
    writer = XdfWriter(tmp_path / "a.xdf")
    layout = AsideLayout(writer, lambda act: act(), lambda *_: None, set())
    rows = Received(values=np.zeros((1, 2), "<f4"), stamps_s=np.zeros(1), first_row=0)
    with pytest.raises(RecordingError, match="before its description"):
        layout.put(Aside(place=0, arrived_ns=0, rows=rows), 0.0)
    writer.close()


def test_rows_that_the_file_lacks_are_asked_for_in_vain(tmp_path):
    writer = XdfWriter(tmp_path / "a.xdf")
    layout = AsideLayout(writer, lambda act: act(), lambda *_: None, set())
    rows = Received(values=np.zeros((3, 2), "<f4"), stamps_s=np.arange(3.0), first_row=0)
    entry = layout.put(Aside(place=0, arrived_ns=0, rows=rows, spec=GAZE), 0.0)
    writer.close()
    kept = AsideRows()
    kept.add(FIRST_BESIDE, rows.values[:2], rows.stamps_s[:2], whole=True)
    with pytest.raises(RecordingError, match="rows 0 to 3 of stream 0"):
        kept.take(entry)
