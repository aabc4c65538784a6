"""Dareplane: the ring buffer that its modules read streams with, asked every millisecond.

A `StreamWatcher` is what a Dareplane module has for a signal; the window is what it holds whenever
a step has come. It says how much is new since it was last asked, not where a window has to end:
what came too much is decoded with it, and is off the grid.
"""

from __future__ import annotations

import threading

import pylsl
from dareplane_utils.stream_watcher.lsl_stream_watcher import StreamWatcher
from decoding import N_OUT, Decoder, task_here


def main() -> None:
    task = task_here()
    decode = Decoder(task)
    watcher = StreamWatcher(task.stream, buffer_size_s=task.n_window / task.rate_hz)
    watcher.connect_to_stream()
    outlet = pylsl.StreamOutlet(
        pylsl.StreamInfo(task.out, "peer", N_OUT, pylsl.IRREGULAR_RATE, "double64", task.out)
    )
    pause, n_seen = threading.Event(), 0
    while True:
        watcher.update()
        if watcher.n_new < task.n_step:
            pause.wait(0.001)
            continue
        n_seen += watcher.n_new
        watcher.n_new = 0
        if n_seen >= task.n_window:
            outlet.push_sample(decode(watcher.unfold_buffer()))


if __name__ == "__main__":
    main()
