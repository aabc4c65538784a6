"""A mapped source: other rows for the decoder, the device's own rows on disk, exact replays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.hardware.mapped import MappedSource, mapped_as, mapped_spec
from diverloop.hardware.mapping import MappedChannel, MappingConfig, text_of
from diverloop.hardware.read_xdf import read
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.conformance import check_source
from diverloop.runtime.errors import ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, Chunk, StreamSpec
from diverloop.runtime.montage_config import MontageConfig
from diverloop.runtime.received import Received, Sent
from diverloop.runtime.record.reading import TapeReader
from diverloop.runtime.record.xdf_read import NumericSamples, XdfReader

from ..runtime.record.taped import MANIFEST, Trial, World, over_the_pipe, replay, run, write

SPEC = StreamSpec(
    name="amp",
    rate_hz=250.0,
    channels=tuple(Channel(name=name) for name in ("E1", "E2", "E3", "E4")),
    sent=Sent(dtype="<i2", microvolts=(0.1, 0.1, 0.1, 0.1)),
)
MAPPING = MappingConfig(
    positions="standard",
    drop=("E2",),
    channels=(
        MappedChannel(device="E4", name="Cz", factor=-1.0),
        MappedChannel(device="E1", name="C3", bad=True),
        MappedChannel(device="E3", name="EMG", kind="emg", factor=1 / 3),
    ),
)
TURNED = MappingConfig(
    channels=(
        MappedChannel(device="C4", name="right", factor=0.3),
        MappedChannel(device="C3", name="left", bad=True),
        MappedChannel(device="Cz", name="middle", factor=-1.7),
    )
)


class Amplifier:
    """Gives the chunks it was given."""

    ended = False

    def __init__(self, spec: StreamSpec = SPEC) -> None:
        self.spec, self.n_closed = spec, 0
        self.values = np.arange(40, dtype="<i2").reshape(10, 4)

    def open(self) -> None:
        pass

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        if not wanted:
            return None
        return Chunk(
            samples=self.spec.sent.to_microvolts(self.values),
            first_sample=0,
            arrived_ns=5,
            received=(Received(values=self.values, stamps_s=np.arange(10.0), first_row=0),),
            rows=((0, 10),),
        )

    def close(self) -> None:
        self.n_closed += 1


def test_rows_are_chosen_ordered_named_scaled_and_placed():
    source = MappedSource(Amplifier(), MAPPING)
    source.open()
    spec = source.spec
    assert spec.channel_names == ("Cz", "C3", "EMG")
    assert [c.kind for c in spec.channels] == ["eeg", "eeg", "emg"]
    assert [c.bad for c in spec.channels] == [False, True, False]
    assert spec.channels[0].position_m == pytest.approx((0, 0, 0.095), abs=1e-9)
    assert spec.channels[2].position_m is None
    chunk = source.read(1, 0)
    raw = np.arange(40, dtype=np.float32).reshape(10, 4).T * np.float32(0.1)
    np.testing.assert_allclose(chunk.samples, [-raw[3], raw[0], raw[2] / 3], rtol=1e-6)
    assert chunk.samples.dtype == np.float32


def test_what_was_received_is_untouched_and_makes_the_same_signal_to_the_bit():
    amplifier = Amplifier()
    source = MappedSource(amplifier, MAPPING)
    source.open()
    chunk = source.read(1, 0)
    (received,) = chunk.received
    assert received.values is amplifier.values
    again = source.spec.sent.to_microvolts(received.values)
    np.testing.assert_array_equal(again, chunk.samples)
    assert source.spec.sent.n_rows == 3
    assert "<label>E2</label>" in source.spec.sent.description


def test_nothing_and_the_end_pass_through():
    amplifier = Amplifier()
    source = MappedSource(amplifier, MAPPING)
    assert source.read(0, 0) is None
    assert not source.ended
    source.close()
    source.close()
    assert amplifier.n_closed == 2


def test_it_conforms_around_a_simulated_participant():
    clock = VirtualClock()
    inner = SimulatedParticipant(SimulatorConfig(montage="eeg8", duration_s=5.0), clock)
    names = inner.spec.channel_names
    mapping = MappingConfig(
        channels=tuple(MappedChannel(device=name, name=f"x{name}") for name in names[::-1])
    )
    source = MappedSource(inner, mapping)
    check_source(source, clock)
    assert source.spec.channel_names == tuple(f"x{name}" for name in names[::-1])
    assert source.spec.sent is None


@pytest.mark.parametrize("form", ["plain", "f4", "i2"])
def test_a_session_behind_a_mapping_replays_exactly(tmp_path, form):
    trial = Trial(seed=3, form=form, n_packets=80)
    session = run(trial, behind=lambda source: MappedSource(source, TURNED))
    path = write(tmp_path / "recording.xdf", session.sent)
    outcome = replay(path, trial)
    assert outcome.lines == session.lines
    assert outcome.comparison.first is None
    (spec,) = session.all(StreamSpec)
    assert spec.channel_names == ("right", "left", "middle")


@pytest.mark.parametrize("form", ["f4", "i2"])
def test_the_file_holds_the_devices_rows_and_who_reads_it_gets_the_mapped_ones(tmp_path, form):
    mapping = replace(TURNED, channels=TURNED.channels[:2], drop=("Cz",))
    trial = Trial(seed=3, form=form, n_packets=60, faults=0, jumps=0)
    two = [c for c in run_two(trial, mapping, tmp_path) if isinstance(c, Chunk)]
    assert {len(chunk.samples) for chunk in two} == {2}
    again = read(tmp_path / "r.xdf", stream=None, assume_unit=None)
    assert again.spec.channel_names == ("right", "left")
    signal = np.concatenate([chunk.samples for chunk in two], axis=1)
    np.testing.assert_array_equal(again.samples[:, : signal.shape[1]], signal)
    raw = next(part for part in XdfReader(tmp_path / "r.xdf") if isinstance(part, NumericSamples))
    assert raw.values.shape[1] == 3
    assert b"<label>Cz</label>" in (tmp_path / "r.xdf").read_bytes()


def run_two(trial: Trial, mapping: MappingConfig, folder):
    """Chunks of a recording with fewer rows than the device sends."""
    clock = VirtualClock()
    source = MappedSource(World(trial, clock, np.random.default_rng(trial.seed)), mapping)
    source.open()
    sent = [MANIFEST, over_the_pipe(source.spec)]
    live = []
    while not source.ended:
        chunk = source.read(1, clock.now_ns() + 10**9)
        if chunk is not None:
            live.append(chunk)
            sent.append(over_the_pipe(replace(chunk, samples=np.zeros((2, 0), np.float32))))
    entries = list(TapeReader(write(folder / "r.xdf", sent, finished=True)))
    kept = [entry for entry in entries if isinstance(entry, Chunk)]
    for was, now in zip(live, kept, strict=True):
        np.testing.assert_array_equal(was.samples, now.samples)
    return entries


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("E1", "E2", "E3"), "E4: missing"),
        (("E1", "E2", "E3", "E4", "E5"), "E5: extra"),
        (("a", "b", "c", "d", "e", "f"), "and 7 more"),
    ],
)
def test_another_stream_is_refused_with_what_is_different(names, says):
    other = replace(
        SPEC,
        channels=tuple(Channel(name=name) for name in names),
        sent=Sent(dtype="<i2", microvolts=(1.0,) * len(names)),
    )
    source = MappedSource(Amplifier(other), MAPPING)
    with pytest.raises(SchemaMismatch, match=says) as caught:
        source.open()
    assert "diverloop montage check" in str(caught.value)


def test_a_session_without_a_mapping_file_reads_its_source_as_it_is(tmp_path):
    amplifier = Amplifier()
    assert mapped_as(MontageConfig(), amplifier) is amplifier
    path = tmp_path / "cap.toml"
    path.write_text(text_of(MAPPING))
    mapped = mapped_as(MontageConfig(file=str(path)), amplifier)
    assert mapped.spec.channel_names == mapped_spec(SPEC, MAPPING).channel_names
    with pytest.raises(ConfigError, match="no mapping file"):
        mapped_as(MontageConfig(file=str(tmp_path / "none.toml")), amplifier)
