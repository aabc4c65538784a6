"""An LSL sender that dies, and returns as it was or as another: for fault campaigns."""

from __future__ import annotations

import threading
import time

import numpy as np
import pylsl
from numpy.typing import NDArray

from ..runtime.messages import StreamSpec


class FaultySender(threading.Thread):
    """Sends a signal over LSL, over and over, and goes away for a while.

    Parameters
    ----------
    spec : StreamSpec
        What to announce, in microvolts.
    samples : ndarray, shape (n_channels, n_times)
        The signal.
    name : str
        Of the stream.
    dies_s : float
        When it goes, in seconds from the first packet.
    back_s : float
        When it is back; infinity for never.
    renamed : bool
        Whether its first channel has another name then.
    """

    def __init__(
        self,
        spec: StreamSpec,
        samples: NDArray[np.float32],
        name: str,
        *,
        dies_s: float,
        back_s: float,
        renamed: bool = False,
    ) -> None:
        super().__init__(name="sender", daemon=True)
        self.ready = threading.Event()
        self._spec, self._rows, self._stream = spec, np.ascontiguousarray(samples.T), name
        self._dies_s, self._back_s, self._renamed = dies_s, back_s, renamed
        self._over = threading.Event()

    def finish(self) -> None:
        """Stop sending."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Send in real time until told to stop."""
        outlet: pylsl.StreamOutlet | None = self._announce(self._spec.channel_names)
        self.ready.set()
        while not outlet.have_consumers() and not self._over.wait(0.01):  # type: ignore[union-attr]
            pass
        size, rate_hz, sent, began_s = 5, self._spec.rate_hz, 0, time.monotonic()
        while not self._over.wait(max(0.0, began_s + sent / rate_hz - time.monotonic())):
            at_s = sent / rate_hz
            if self._dies_s <= at_s < self._back_s:
                outlet = None
            elif outlet is None:
                first = "X9" if self._renamed else self._spec.channel_names[0]
                outlet = self._announce((first, *self._spec.channel_names[1:]))
            if outlet is not None:
                rows = self._rows[np.arange(sent, sent + size) % len(self._rows)]
                outlet.push_chunk(np.ascontiguousarray(rows), pylsl.local_clock())
            sent += size

    def _announce(self, names: tuple[str, ...]) -> pylsl.StreamOutlet:
        info = pylsl.StreamInfo(
            self._stream, "EEG", len(names), self._spec.rate_hz, "float32", f"{self._stream}-serial"
        )
        rows = info.desc().append_child("channels")
        for name in names:
            row = rows.append_child("channel")
            for key, value in (("label", name), ("type", "EEG"), ("unit", "microvolts")):
                row.append_child_value(key, value)
        return pylsl.StreamOutlet(info)
