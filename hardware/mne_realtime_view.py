"""Epochs in MNE-Realtime while they are measured: a view for people who analyse with MNE.

MNE-Realtime is discontinued: its last release, 0.3.0, is of October 2023, it warns when it is
imported, and its successor is MNE-LSL. Of it, `FieldTripClient`, ``RtEpochs`` and ``MockRtClient``
work with the MNE of today; ``RtEpochs.get_data`` needs the override that is made here, and
``LSLClient`` does not work with current pylsl (``AttributeError: module 'pylsl' has no attribute
'pylsl'``). Whoever has LSL uses MNE-LSL.

It is a view, and no part of a loop: it polls, and it keeps every epoch in memory.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError, SourceUnavailable
from ..runtime.messages import Channel, Chunk, Message, StreamSpec

STIM_CHANNEL = "STI 014"
"""Where ``RtEpochs`` looks for events unless told otherwise."""

_KINDS = {"eeg": "eeg", "ecog": "ecog", "seeg": "seeg", "lfp": "dbs", "eog": "eog", "emg": "emg"}
_VOLTS = 1e-6  # in a microvolt
_POLL_S = 0.005  # RtEpochs sleeps that long between two looks

Receiver = Callable[[NDArray[np.float64]], Any]
"""Takes a buffer of shape (n_channels, n_times) in volts, the stim channel last."""


def load_mne_realtime() -> ModuleType:
    """Import MNE-Realtime without its warning, which this module's own text repeats.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "MNE-realtime is discontinued", FutureWarning)
            import mne_realtime
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"MNE-Realtime is not installed ({error.name} is missing): pip install "
            f'"diverloop[mne-realtime]".'
        ) from error
    return mne_realtime  # type: ignore[no-any-return]


def info_of(channels: tuple[Channel, ...], rate_hz: float, stim: str = STIM_CHANNEL) -> Any:
    """A measurement info for MNE: the channels of a stream and, last, one for events.

    Parameters
    ----------
    channels : tuple of Channel
        Rows; what is no voltage becomes ``misc``.
    rate_hz : float
        Sampling rate.
    stim : str
        Name of the channel for events; empty for none.

    Returns
    -------
    info : mne.Info
        As ``RtEpochs`` and `FieldTripClient` want it.

    Raises
    ------
    ConfigError
        If a channel has the name of the one for events.
    """
    import mne

    names = [channel.name for channel in channels]
    if stim in names:
        raise ConfigError(
            f"The stream has a channel {stim!r} already: give the one for events another name, "
            f'for example stim = "STI 101".'
        )
    kinds = [_KINDS.get(channel.kind, "misc") for channel in channels]
    if stim:
        names, kinds = [*names, stim], [*kinds, "stim"]
    return mne.create_info(names, rate_hz, kinds, verbose="ERROR")


def epochs_view(
    client: Any, event_id: int | Mapping[str, int], tmin_s: float, tmax_s: float, **settings: Any
) -> Any:
    """Epochs that fill up while a client receives.

    Parameters
    ----------
    client : FieldTripClient or SessionClient
        Where buffers come from.
    event_id : int or mapping of str to int
        Codes on the stim channel that make an epoch.
    tmin_s, tmax_s : float
        From where to where around an event.
    **settings
        Other arguments of ``mne_realtime.RtEpochs``.

    Returns
    -------
    epochs : mne_realtime.RtEpochs
        Not started yet; one whose ``get_data`` works with MNE 1.6 and later, which can be averaged
        once it is stopped, and which drops an epoch that holds a gap (reason ``GAP``).
    """
    codes = event_id if isinstance(event_id, int) else dict(event_id)
    usual = {"stim_channel": STIM_CHANNEL, "sleep_time": _POLL_S, "verbose": "ERROR"}
    return _view_class()(client, codes, tmin_s, tmax_s, **usual | settings)


@cache
def _view_class() -> type:
    """The class cannot be there before the library is, which is imported when it is needed."""
    real_time_epochs: Any = load_mne_realtime().RtEpochs

    class RtEpochsView(real_time_epochs):  # type: ignore[misc]
        """``RtEpochs`` for the MNE of today."""

        drop_log: tuple[tuple[str, ...], ...]
        _n_bad: int

        def _get_data(
            self, out: bool = True, picks: Any = None, item: Any = None, **others: Any
        ) -> Any:
            # MNE 1.6 began to pass `copy`, 1.13 `exclude`: RtEpochs knows neither.
            known = {key: others[key] for key in ("units", "tmin", "tmax") if key in others}
            return super()._get_data(out=out, picks=picks, item=item, **known)

        def __next__(self, *args: Any, **others: Any) -> Any:
            # Stopped, RtEpochs ends an iteration with an error, so that it could not be averaged.
            if not self._started and self._current >= len(self._epoch_queue):
                raise StopIteration
            return super().__next__(*args, **others)

        next = __next__

        def _append_epoch_to_queue(
            self, epoch: NDArray[np.float64], event_samp: int, event_id: int
        ) -> None:
            if np.isfinite(epoch).all():
                super()._append_epoch_to_queue(epoch, event_samp, event_id)
            else:
                self.drop_log = (*self.drop_log, ("GAP",))
                self._n_bad += 1

    return RtEpochsView


class SessionClient:
    """Makes of a running session what ``RtEpochs`` takes for a client.

    It is a watcher: give it to a session, or hand it what a `TelemetrySubscriber` polls. Receivers
    are called from the thread that calls `watch`.

    ``RtEpochs`` finds events on a channel and loses its place when buffers differ in length; so
    markers are written on a channel of their own, and buffers are cut anew, all of one length.
    A gap is NaN, so that whoever counts samples counts right.

    Parameters
    ----------
    codes : mapping of str to int
        Marker label -> code on the stim channel, 1 or more; other labels are left out.
    buffer_s : float
        Length of a buffer, 0.001 to 10 s.
    late_s : float
        How long signal is held back for markers that come after their samples, 0 to 10 s.
    """

    lossless = True
    verbose = "ERROR"

    def __init__(
        self, codes: Mapping[str, int], *, buffer_s: float = 0.1, late_s: float = 0.2
    ) -> None:
        if not codes or min(codes.values()) < 1:
            raise ConfigError(f"codes must name a label and whole numbers from 1, got {codes!r}.")
        if not (0.001 <= buffer_s <= 10 and 0 <= late_s <= 10):
            raise ConfigError(
                f"buffer_s must be in [0.001, 10] s and late_s in [0, 10] s, got {buffer_s} s and "
                f"{late_s} s."
            )
        self._codes, self._buffer_s, self._late_s = dict(codes), buffer_s, late_s
        self._spec: StreamSpec | None = None
        self._receivers: list[Receiver] = []
        self._first = -1  # stream index of the first sample that is held back
        self._coming: list[tuple[int, int]] = []  # codes whose sample has not come yet
        self.n_too_late = 0
        """Markers whose sample had been handed over already."""

    def watch(self, message: Message) -> None:
        """Take a message; all but the stream's description and its chunks are passed over."""
        if isinstance(message, StreamSpec):
            self._begin(message)
        elif isinstance(message, Chunk) and self._spec is not None:
            self._add(message)

    def close(self) -> None:
        """Hand over what is held back, but for what does not fill a buffer."""
        if self._spec is not None:
            self._hand_over(keep=0)

    # -------------------------------------------------------------------- what RtEpochs calls

    def get_measurement_info(self) -> Any:
        """Channels and rate as MNE writes them; raises `SourceUnavailable` before the first."""
        if self._spec is None:
            raise SourceUnavailable(
                "No stream has been watched yet: make epochs after the session has begun."
            )
        return info_of(self._spec.channels, self._spec.rate_hz)

    def register_receive_callback(self, receiver: Receiver) -> None:
        """Call this with every buffer from now on."""
        if receiver not in self._receivers:
            self._receivers.append(receiver)

    def unregister_receive_callback(self, receiver: Receiver) -> None:
        """Call it no more."""
        if receiver in self._receivers:
            self._receivers.remove(receiver)

    def start_receive_thread(self, nchan: int) -> None:
        """Nothing to start: who calls `watch` has a thread."""

    def stop_receive_thread(self, stop_measurement: bool = False) -> None:
        """Nothing to stop; the session goes on."""

    # ------------------------------------------------------------------------------ buffers

    def _begin(self, spec: StreamSpec) -> None:
        if self._spec is not None and spec.schema == self._spec.schema:
            return  # telemetry repeats it for newcomers
        info_of(spec.channels, spec.rate_hz)  # refuses what it cannot hold, before anything comes
        self._spec, self._first, self._coming = spec, -1, []
        self._size = max(1, round(self._buffer_s * spec.rate_hz))
        self._held = np.zeros((spec.n_channels + 1, 0))
        volts = [_VOLTS if channel.kind in _KINDS else 1.0 for channel in spec.channels]
        self._scale = np.array(volts)[:, None]

    def _add(self, chunk: Chunk) -> None:
        assert self._spec is not None
        if chunk.samples.shape[1]:
            if self._first < 0:
                self._first = chunk.first_sample
            self._fill_gap(chunk.first_sample - self._first - self._held.shape[1])
            self._append(chunk.samples * self._scale)
        self._coming += [
            (marker.sample, self._codes[marker.label])
            for marker in chunk.markers
            if marker.label in self._codes
        ]
        self._write_codes()
        self._hand_over(keep=round(self._late_s * self._spec.rate_hz))

    def _fill_gap(self, n_lost: int) -> None:
        """A gap may be long: no more of it is held at once than ten buffers."""
        while n_lost > 0:
            n_times = min(n_lost, 10 * self._size)
            self._append(np.full((len(self._held) - 1, n_times), math.nan))
            self._hand_over(keep=0)
            n_lost -= n_times

    def _append(self, samples: NDArray[np.float64]) -> None:
        rows = np.concatenate([samples, np.zeros((1, samples.shape[1]))])
        self._held = np.concatenate([self._held, rows], axis=1)

    def _write_codes(self) -> None:
        end = self._first + self._held.shape[1]
        for sample, code in self._coming:
            if self._first <= sample < end:
                self._held[-1, sample - self._first] = code
            elif sample < self._first:
                self.n_too_late += 1
        self._coming = [(sample, code) for sample, code in self._coming if sample >= end]

    def _hand_over(self, keep: int) -> None:
        while self._held.shape[1] >= keep + self._size:
            ready, self._held = self._held[:, : self._size].copy(), self._held[:, self._size :]
            self._first += self._size
            for receiver in tuple(self._receivers):
                receiver(ready)
