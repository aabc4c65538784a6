"""Boards through BrainFlow: its synthetic one, played files, and a Cyton on a wire."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("brainflow")

from diverloop.hardware.brainflow_board import (
    COUNTERS,
    BrainFlowClient,
    BrainFlowConfig,
    BrainFlowSource,
    _library,
)
from diverloop.hardware.recordings import read_recording
from diverloop.hardware.simulated_cyton import N_CHANNELS, STEP_UV, SimulatedCyton
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.conformance import check_source
from diverloop.runtime.errors import (
    ConfigError,
    LinkLost,
    SchemaMismatch,
    SourceUnavailable,
    UnknownName,
)
from diverloop.runtime.messages import EventKind

from ..data import recording_path

COUNTING_UV = np.repeat(np.arange(2000.0)[None], N_CHANNELS, axis=0)
CLOCK = MonotonicClock()
CYTON_ROWS, MARKER_ROW, STAMP_ROW = 24, 23, 22


@pytest.fixture
def opened():
    sources = []

    def make(**settings) -> BrainFlowSource:
        source = BrainFlowSource(BrainFlowConfig(**settings), CLOCK)
        sources.append(source)
        source.open()
        return source

    yield make
    for source in sources:
        source.close()


def read(source, wanted: int, within_s: float = 10.0):
    """Chunks until so many samples are there."""
    chunks, deadline_ns = [], CLOCK.now_ns() + round(within_s * 1e9)
    while sum(chunk.samples.shape[1] for chunk in chunks) < wanted:
        assert CLOCK.now_ns() < deadline_ns, f"{wanted} samples never came"
        chunk = source.read(1, CLOCK.now_ns() + 100_000_000)
        if chunk is not None:
            chunks.append(chunk)
    return chunks


def receive_for_ever(client):
    while True:
        client.receive(0.2)


def events_of(chunks):
    return [event.kind for chunk in chunks for event in chunk.events]


def played(folder, table) -> dict[str, str]:
    """Settings that play a table, shape (n_rows, n_times), as if a Cyton had recorded it."""
    from brainflow.data_filter import DataFilter

    path = folder / "played.csv"
    DataFilter.write_file(np.ascontiguousarray(table, float), str(path), "w")
    return {"board": "playback_file_board", "master_board": "CYTON_BOARD", "file": str(path)}


def cyton_table(signal, lost=()) -> np.ndarray:
    """Eight rows of signal as the library writes a Cyton's, without the packages that were lost."""
    table = np.zeros((CYTON_ROWS, signal.shape[1]))
    table[0] = np.arange(signal.shape[1]) % 256
    table[1:9] = signal
    table[STAMP_ROW] = 1e9 + 1e-4 * np.arange(signal.shape[1])  # a file is played by its stamps
    return np.delete(table, list(lost), axis=1)


# ----------------------------------------------------------------- the library's synthetic board


def test_the_synthetic_board_conforms():
    source = BrainFlowSource(BrainFlowConfig(board="Synthetic_Board"), CLOCK)
    check_source(source, CLOCK, seconds=0.5)


def test_a_board_says_what_it_is(opened):
    source = opened(board="SYNTHETIC_BOARD", serial_number="17", others=True)
    spec = source.spec
    assert (spec.name, spec.source_id) == ("brainflow-synthetic", "SYNTHETIC_BOARD:17")
    assert (spec.rate_hz, spec.channel_names[:3]) == (250.0, ("Fz", "C3", "Cz"))
    kinds = [channel.kind for channel in spec.channels]
    assert kinds[:16] == ["eeg"] * 16
    assert set(kinds[16:]) == {"misc"}
    assert spec.sent.dtype == "<f8"


def test_its_byte_of_a_counter_goes_round_without_a_gap(opened):
    chunks = read(opened(board="SYNTHETIC_BOARD"), 300)
    assert events_of(chunks) == []
    assert [chunk.first_sample for chunk in chunks] == [
        0, *np.cumsum([chunk.samples.shape[1] for chunk in chunks])[:-1]
    ]  # fmt: skip


def test_a_marker_lies_on_the_sample_with_which_it_came(opened):
    source = opened(board="SYNTHETIC_BOARD")
    chunks = read(source, 10)
    source._client._session.insert_marker(7.0)
    while not any(chunk.markers for chunk in chunks):
        chunks += read(source, 1)
    (marker,) = chunks[-1].markers
    assert marker.label == "7"
    assert chunks[-1].first_sample <= marker.sample < chunks[-1].stop_sample


# --------------------------------------------------------------------------------- a played file


@pytest.mark.data
def test_a_recording_that_is_played_back_comes_with_the_same_values_in_order(tmp_path, opened):
    recording = read_recording(recording_path("p300/gtec_S1.npz"))
    signal = recording.samples[:, 1000:2000]
    chunks = read(opened(**played(tmp_path, cyton_table(signal))), 1000)
    # The library writes six decimals: of what is larger than 8 uV none is lost in float32.
    got = np.concatenate([chunk.samples for chunk in chunks], axis=1)
    np.testing.assert_allclose(got, signal, rtol=0, atol=1e-6)
    assert events_of(chunks) == []


def test_what_the_counter_of_a_played_file_leaves_out_is_a_gap(tmp_path, opened):
    signal = np.repeat(np.arange(600.0)[None], 8, axis=0)
    lost = [*range(100, 110), *range(250, 260)]  # the second across the counter's end
    chunks = read(opened(**played(tmp_path, cyton_table(signal, lost))), 580)
    assert events_of(chunks).count(EventKind.GAP) == 2
    for chunk in chunks:
        np.testing.assert_array_equal(
            chunk.samples[0], np.arange(chunk.first_sample, chunk.stop_sample)
        )


def test_a_package_that_came_twice_is_dropped(tmp_path, opened):
    table = cyton_table(np.repeat(np.arange(100.0)[None], 8, axis=0))
    table = np.insert(table, 40, table[:, 40], axis=1)
    chunks = read(opened(**played(tmp_path, table)), 100)
    got = np.concatenate([chunk.samples[0] for chunk in chunks])
    np.testing.assert_array_equal(got, np.arange(100.0))
    assert EventKind.DUPLICATE in events_of(chunks)


def test_a_file_that_ends_is_silent_and_is_not_played_again(tmp_path, opened):
    source = opened(**played(tmp_path, cyton_table(np.ones((8, 50)))), silence_s=0.5)
    read(source, 50)
    assert source.read(1, CLOCK.now_ns() + 700_000_000) is None


# ------------------------------------------------------------ a Cyton on a wire of its own making


@pytest.fixture
def cyton(tmp_path):
    with SimulatedCyton(tmp_path / "ttyUSB0", CLOCK, COUNTING_UV) as board:
        yield board


def on_wire(board, **settings):
    return {"board": "CYTON_BOARD", "serial_port": str(board._port)} | settings


def as_sent(chunk) -> np.ndarray:
    """Which sample of `COUNTING_UV` each column is, by its value and not by its index."""
    return np.round(chunk.samples[0]).astype(int)


def test_a_cyton_sends_its_signal_to_half_a_count(tmp_path, opened):
    signal = np.random.default_rng(0).normal(0, 30, (8, 100))
    with SimulatedCyton(tmp_path / "ttyUSB0", CLOCK, signal) as board:
        source = opened(**on_wire(board))
        assert source.spec.channel_names == ("Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2")
        chunks = read(source, 60)
    got = np.concatenate([chunk.samples for chunk in chunks], axis=1)[:, :60]
    np.testing.assert_allclose(got, signal[:, :60], rtol=0, atol=0.51 * STEP_UV)


def test_a_cyton_that_misbehaves_loses_what_it_lost_and_no_sample_is_at_another_ones_place(
    cyton, opened
):
    source = opened(**on_wire(cyton))
    chunks = read(source, 20)
    cyton.lose(5)
    chunks += read(source, 20)
    cyton.halve()
    chunks += read(source, 20)
    cyton.hold(0.6)  # more than half a turn of the counter
    chunks += read(source, 170)
    cyton.lose(256)  # a whole turn, of which the numbers say nothing
    chunks += read(source, 20)
    offset = as_sent(chunks[0])[0]
    for chunk in chunks:
        if chunk.samples.shape[1]:
            expected = offset + np.arange(chunk.first_sample, chunk.stop_sample)
            np.testing.assert_array_equal(as_sent(chunk), expected)
    gaps = [event.count for c in chunks for event in c.events if event.kind is EventKind.GAP]
    # The halved package takes the next one with it: its bytes fill the half that is missing.
    assert gaps == [5, 2, 256]


def test_a_cyton_that_is_unplugged_is_lost_and_found_again(cyton, opened):
    source = opened(**on_wire(cyton, silence_s=0.5))
    read(source, 20)
    cyton.unplug()
    chunks = []
    while EventKind.SOURCE_LOST not in events_of(chunks):
        chunks.append(source.read(1, CLOCK.now_ns() + 2_000_000_000))
    assert "'CYTON_BOARD'" in chunks[-1].events[0].text
    cyton.plug()
    chunks = read(source, 20)
    assert EventKind.SOURCE_BACK in events_of(chunks)
    # A board takes more than a second to say that it is ready.
    assert chunks[-1].first_sample > 250


# ---------------------------------------------------------------------------- what does not work


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"board": "CYTON_BORD"}, UnknownName, "Did you mean 'CYTON_BOARD'"),
        ({"board": "CYTON_BOARD"}, ConfigError, "cannot use CYTON_BOARD with these settings"),
        (
            {"board": "CYTON_BOARD", "serial_port": "/dev/ttyNONE"},
            SourceUnavailable,
            "CYTON_BOARD does not start .UNABLE_TO_OPEN_PORT_ERROR.: check that it is plugged in",
        ),
        (
            {"board": "PLAYBACK_FILE_BOARD", "master_board": "CYTON_BOARD", "file": "/none"},
            ConfigError,
            "cannot use PLAYBACK_FILE_BOARD",
        ),
        (
            {"board": "SYNTHETIC_BOARD", "names": ("C3", "C4")},
            SchemaMismatch,
            "has 16 electrodes, but source.names gives 2",
        ),
    ],
    ids=["misspelt", "no port", "no such port", "no such file", "two names"],
)
def test_what_cannot_be_opened_is_refused_in_one_sentence(settings, error, said):
    source = BrainFlowSource(BrainFlowConfig(**settings, wait_s=0.1), CLOCK)
    with pytest.raises(error, match=said) as caught:
        source.open()
    source.close()
    assert "\n" not in str(caught.value)


def test_a_board_that_falls_silent_counts_as_lost(tmp_path):
    client = BrainFlowClient(BrainFlowConfig(board="SYNTHETIC_BOARD", silence_s=0.5), CLOCK)
    client.connect(1.0)
    client._session.stop_stream()
    with pytest.raises(LinkLost, match=r"sent nothing for 0\.5 s"):
        receive_for_ever(client)
    client.close()


def test_a_board_can_be_closed_by_another_thread_while_it_is_asked():
    client = BrainFlowClient(BrainFlowConfig(board="SYNTHETIC_BOARD"), CLOCK)
    client.connect(1.0)
    closing = threading.Timer(0.05, client.close)
    closing.start()
    with pytest.raises(LinkLost):
        receive_for_ever(client)
    closing.join()
    client.close()


def test_boards_whose_counter_is_understood_are_boards_of_the_library():
    assert COUNTERS.keys() <= {board.name for board in _library().BoardIds}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"board": ""}, "source.board is empty"),
        ({"electrodes": "meg"}, "source.electrodes is 'meg', allowed are eeg, eog, emg, ecg"),
        ({"board": "streaming_board"}, "source.master_board is empty, but STREAMING_BOARD only"),
        ({"silence_s": 0.1}, "silence_s must be in"),
        ({"ip_port": 70_000}, "ip_port must be in"),
        ({"wait_s": 0.0}, "wait_s must be in"),
    ],
    ids=["board", "kind", "master", "silence", "port", "wait"],
)
def test_settings_that_cannot_be_used_say_what_is_allowed(settings, said):
    with pytest.raises(ConfigError, match=said):
        BrainFlowConfig(**{"board": "CYTON_BOARD"} | settings)
