"""MNE-Realtime's own client and epochs, against our server, our sink and a session's messages."""

from __future__ import annotations

import builtins
import math
import threading

import numpy as np
import pytest

pytest.importorskip("mne", reason="needs the extra mne-realtime")

from diverloop.hardware import mne_realtime_view as subject
from diverloop.hardware.decision_row import DecisionRow
from diverloop.hardware.fieldtrip_server import FieldTripServer
from diverloop.hardware.fieldtrip_sink import FieldTripSink, FieldTripSinkConfig
from diverloop.hardware.fieldtrip_wire import Header, names_chunk
from diverloop.hardware.mne_realtime_view import (
    STIM_CHANNEL,
    SessionClient,
    epochs_view,
    info_of,
    load_mne_realtime,
)
from diverloop.runtime.conformance import check_watcher
from diverloop.runtime.errors import ConfigError, SourceUnavailable
from diverloop.runtime.messages import (
    Channel,
    Chunk,
    Command,
    Decision,
    Marker,
    StreamSpec,
)

RATE_HZ = 200.0
CHANNELS = (Channel(name="C3"), Channel(name="C4"), Channel(name="AUX", kind="misc"))
SPEC = StreamSpec(name="made", rate_hz=RATE_HZ, channels=CHANNELS)
CODES = {"left": 1, "right": 2}


@pytest.fixture
def library():
    try:
        return load_mne_realtime()
    except ConfigError:
        pytest.skip("needs the extra mne-realtime")


# ---------------------------------------------------------------- their client, our server


class Receiving:
    """Their client, with an end: it lists all its buffers beforehand, some 10^8 without one."""

    def __init__(self, library, port: int, info, size: int) -> None:
        self.client = library.FieldTripClient(
            info=info, host="127.0.0.1", port=port, wait_max=10, buffer_size=size, tmax=60.0,
            verbose="ERROR",
        )  # fmt: skip

    def __enter__(self):
        return self.client.__enter__()

    def __exit__(self, *error):
        self.client.__exit__(*error)


def ramp(first: int, n_times: int, stim: dict[int, int]) -> np.ndarray:
    """Rows whose channels hold the sample's number in microvolts, and codes on the last."""
    numbers = np.arange(first, first + n_times)
    rows = np.repeat(numbers[:, None] * 1e-6, 4, axis=1)
    rows[:, 3] = [stim.get(number, 0) for number in numbers]
    return rows.astype("<f4")


@pytest.fixture
def server():
    made = FieldTripServer(port=0)
    names = ("C3", "C4", "AUX", STIM_CHANNEL)
    made.buffer.put_header(Header(n_channels=4, rate_hz=RATE_HZ, chunks=(names_chunk(names),)))
    yield made
    made.close()


def test_their_client_reads_our_server(library, server):
    server.buffer.put_rows(ramp(0, 50, {}))
    with Receiving(library, server.port, info_of(CHANNELS, RATE_HZ), 10) as client:
        assert client.ch_names == ["C3", "C4", "AUX", STIM_CHANNEL]
        assert client.get_measurement_info()["sfreq"] == RATE_HZ
        data = client.get_data_as_epoch(n_samples=20).get_data(copy=False)
        np.testing.assert_allclose(data[0, 0], np.arange(30, 50) * 1e-6, rtol=1e-6)


def test_epochs_are_cut_while_our_server_is_fed(library, server):
    codes, cut = {20: 1, 60: 2, 90: 1}, threading.Event()
    with Receiving(library, server.port, info_of(CHANNELS, RATE_HZ), 10) as client:
        epochs = epochs_view(client, CODES, 0.0, 0.045, baseline=None, isi_max=10.0)
        keep = epochs._append_epoch_to_queue

        def note(*epoch) -> None:
            keep(*epoch)
            if len(epochs._events) == 3:
                cut.set()

        epochs._append_epoch_to_queue = note
        epochs.start()
        receiving = client._recv_thread
        for first in range(0, 120, 7):
            server.buffer.put_rows(ramp(first, 7, codes))
        assert cut.wait(20.0)
        epochs.stop()
        server.buffer.put_rows(ramp(126, 20, {}))  # their thread looks whether to end when it gets
        receiving.join(20.0)
        assert not receiving.is_alive()
    assert epochs.events[:, 0].tolist() == [20, 60, 90]
    assert epochs.events[:, 2].tolist() == [1, 2, 1]
    assert epochs.get_data().shape == (3, 4, 10)
    np.testing.assert_allclose(epochs.get_data()[1, 0], np.arange(60, 70) * 1e-6, rtol=1e-5)
    np.testing.assert_allclose(epochs["left"].average(picks="all").data[0, 0], 55e-6, rtol=1e-5)


def test_their_client_reads_our_decisions(library):
    labels = DecisionRow(("left", "right")).labels
    sink = FieldTripSink(FieldTripSinkConfig(port=0, rate_hz=10.0))
    sink.open(SPEC, ("left", "right"))
    for stop in (200, 220, 240):
        one = Decision(
            classes=("left", "right"), probabilities=np.array([0.9, 0.1]), label="left",
            stop_sample=stop,
        )  # fmt: skip
        sink.act(one, Command(label="left", strength=0.5))
    info = info_of(tuple(Channel(name=label, kind="misc") for label in labels), 10.0, stim="")
    with Receiving(library, sink.port, info, 10) as client:
        assert tuple(client.ch_names) == labels
        data = client.get_data_as_epoch(n_samples=3).get_data(copy=False)[0]
        events = client.ft_client.getEvents()
    assert data[labels.index("stop_sample")].tolist() == [200.0, 220.0, 240.0]
    assert data[labels.index("p:left")].tolist() == [0.9] * 3
    assert [(event.type, event.value, event.sample) for event in events] == [
        (b"command", b"left", 0)
    ]
    sink.close()


# --------------------------------------------------------------------- a session's messages


def chunk(first: int, n_times: int, *markers: tuple[int, str]) -> Chunk:
    """Microvolts that say their own index."""
    samples = np.repeat(np.arange(first, first + n_times, dtype=np.float32)[None, :], 3, axis=0)
    return Chunk(
        samples=samples if n_times else samples[:, :0],
        first_sample=first if n_times else -1,
        arrived_ns=0,
        markers=tuple(Marker(label=label, sample=at) for at, label in markers),
    )


def watched(*messages, **settings) -> tuple[SessionClient, np.ndarray]:
    """A client, and all that it handed over, one row a channel."""
    client = SessionClient(CODES, **{"buffer_s": 0.05, "late_s": 0.1} | settings)
    buffers = []
    client.register_receive_callback(buffers.append)
    for message in (SPEC, *messages):
        client.watch(message)
    client.close()
    assert {buffer.shape for buffer in buffers} == {(4, 10)}
    return client, np.concatenate(buffers, axis=1)


def test_chunks_of_any_length_become_buffers_of_one_in_volts():
    _, data = watched(chunk(0, 7), chunk(7, 31), chunk(38, 62))
    np.testing.assert_allclose(data[0], np.arange(100) * 1e-6)
    np.testing.assert_array_equal(data[2], np.arange(100))  # no voltage, so no volts
    assert not data[3].any()


def test_a_marker_that_comes_late_or_early_stands_at_its_sample():
    client, data = watched(
        chunk(0, 50, (80, "right")), chunk(50, 20), chunk(0, 0, (60, "left")), chunk(70, 30)
    )
    assert {int(at): int(data[3, at]) for at in np.flatnonzero(data[3])} == {60: 1, 80: 2}
    assert client.n_too_late == 0


def test_a_marker_that_comes_too_late_is_counted_and_unknown_ones_are_not():
    client, data = watched(chunk(0, 80), chunk(0, 0, (5, "left"), (6, "other")), chunk(80, 20))
    assert client.n_too_late == 1
    assert not data[3].any()


def test_a_gap_is_as_long_as_it_was_and_no_number():
    _, data = watched(chunk(0, 20), chunk(320, 30))
    assert data.shape[1] == 350
    assert np.isnan(data[:3, 20:320]).all()
    np.testing.assert_allclose(data[0, 320:], np.arange(320, 350) * 1e-6)


def test_a_description_that_is_repeated_begins_nothing_anew():
    _, data = watched(chunk(0, 15), SPEC, chunk(15, 15))
    np.testing.assert_allclose(data[0], np.arange(30) * 1e-6)


def test_it_is_a_watcher_whose_receivers_can_leave():
    client = SessionClient(CODES)
    check_watcher(client, SPEC)
    calls = []
    for _ in range(2):
        client.register_receive_callback(calls.append)
    client.unregister_receive_callback(calls.append)
    client.unregister_receive_callback(calls.append)
    client.watch(chunk(0, 200))
    assert calls == []


def test_epochs_of_a_running_session_and_none_across_a_gap(library):
    client = SessionClient(CODES, buffer_s=0.05, late_s=0.1)
    with pytest.raises(SourceUnavailable, match="after the session has begun"):
        epochs_view(client, CODES, 0.0, 0.095)
    client.watch(SPEC)
    epochs = epochs_view(client, CODES, 0.0, 0.095, baseline=None)
    epochs.start()
    client.watch(chunk(0, 60, (30, "left")))
    client.watch(chunk(60, 40, (90, "right")))
    client.watch(chunk(110, 90, (150, "right")))  # 10 samples are lost, within the second epoch
    client.close()
    epochs.stop()
    assert epochs.events.tolist() == [[30, 0, 1], [150, 0, 2]]
    assert ("GAP",) in epochs.drop_log
    np.testing.assert_allclose(epochs.get_data()[1, 0], np.arange(150, 170) * 1e-6, rtol=1e-6)


# ------------------------------------------------------------------------- what cannot be


def test_kinds_are_written_as_mne_calls_them():
    channels = tuple(Channel(name=kind, kind=kind) for kind in ("eeg", "lfp", "seeg", "gyro"))
    info = info_of(channels, RATE_HZ)
    assert info.get_channel_types() == ["eeg", "dbs", "seeg", "misc", "stim"]
    with pytest.raises(ConfigError, match="another name"):
        info_of((Channel(name=STIM_CHANNEL),), RATE_HZ)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"codes": {}}, "name a label"),
        ({"codes": {"left": 0}}, "from 1"),
        ({"codes": CODES, "buffer_s": math.nan}, "buffer_s must be in"),
        ({"codes": CODES, "late_s": -1.0}, "late_s in"),
    ],
    ids=["no code", "zero", "buffer", "late"],
)
def test_settings_that_cannot_be_used_say_what_is_allowed(settings, said):
    with pytest.raises(ConfigError, match=said):
        SessionClient(**settings)


def test_a_library_that_is_missing_is_named_with_what_to_install(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name == "mne_realtime":
            raise ModuleNotFoundError("no such thing", name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r"diverloop\[mne-realtime\]"):
        subject.load_mne_realtime()
