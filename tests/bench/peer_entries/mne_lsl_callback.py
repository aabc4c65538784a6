"""MNE-LSL: decodes in a callback of ``StreamLSL``, its quickest documented way.

The callback gets each piece that was acquired; windows are cut on the exact grid from an array of
our own, because the stream's ring is read by time.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from decoding import N_OUT, Decoder, Newest, task_here
from mne_lsl.lsl import StreamInfo, StreamOutlet
from mne_lsl.stream import StreamLSL


class Windows:
    """Cuts windows from pieces, and pushes what is decoded."""

    def __init__(self) -> None:
        self._task = task_here()
        self._decode, self._n_seen = Decoder(self._task), 0
        self._newest = Newest(self._task)
        out = StreamInfo(self._task.out, "peer", N_OUT, 0, "float64", self._task.out)
        self._outlet = StreamOutlet(out)

    def __call__(self, data: np.ndarray, stamps: np.ndarray, _: Any) -> tuple[Any, Any]:
        place = 0
        while place < len(data):
            wanted = self._task.n_step - (self._n_seen - self._task.n_window) % self._task.n_step
            n = min(wanted, len(data) - place)
            self._newest.add(data[place : place + n])
            place, self._n_seen = place + n, self._n_seen + n
            ahead = self._n_seen - self._task.n_window
            if ahead >= 0 and ahead % self._task.n_step == 0:
                self._outlet.push_sample(self._decode(self._newest.window()))
        return data, stamps


def main() -> None:
    stream = StreamLSL(bufsize=2.0, name=task_here().stream)
    stream.connect(timeout=30.0)
    stream.add_callback(Windows())  # the sender begins a second later
    threading.Event().wait()


if __name__ == "__main__":
    main()
