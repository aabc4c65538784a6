"""The floor: answers each packet that ends a window, and decodes nothing. On pylsl."""

from __future__ import annotations

import time

import numpy as np
import pylsl
from decoding import N_OUT, N_SCORES, task_here


def main() -> None:
    task = task_here()
    (found,) = pylsl.resolve_byprop("name", task.stream, timeout=30.0)
    inlet = pylsl.StreamInlet(found, max_buflen=10, processing_flags=0)
    outlet = pylsl.StreamOutlet(
        pylsl.StreamInfo(task.out, "peer", N_OUT, pylsl.IRREGULAR_RATE, "double64", task.out)
    )
    rows = np.empty((task.n_step, task.n_channels), np.float32)
    n_seen = 0
    while True:
        _, stamps = inlet.pull_chunk(
            timeout=5.0, max_samples=task.n_step - n_seen % task.n_step, dest_obj=rows
        )
        n_seen += len(stamps)
        if stamps and n_seen >= task.n_window and (n_seen - task.n_window) % task.n_step == 0:
            last, now_s = rows[len(stamps) - 1, 0], time.monotonic()
            row = [*[0.0] * N_SCORES, last - task.n_window + 1, last, now_s, now_s]
            outlet.push_sample(row)


if __name__ == "__main__":
    main()
