"""A loop by hand on pylsl: blocking pulls into one array, a window where a step is complete."""

from __future__ import annotations

import numpy as np
import pylsl
from decoding import N_OUT, Decoder, Newest, task_here


def main() -> None:
    task = task_here()
    decode = Decoder(task)
    (found,) = pylsl.resolve_byprop("name", task.stream, timeout=30.0)
    inlet = pylsl.StreamInlet(found, max_buflen=10, processing_flags=0)
    outlet = pylsl.StreamOutlet(
        pylsl.StreamInfo(task.out, "peer", N_OUT, pylsl.IRREGULAR_RATE, "double64", task.out)
    )
    piece = np.empty((task.n_step, task.n_channels), np.float32)
    newest, n_seen, wanted = Newest(task), 0, task.n_step
    while True:
        _, stamps = inlet.pull_chunk(timeout=5.0, max_samples=wanted, dest_obj=piece)
        if not stamps:
            continue
        newest.add(piece[: len(stamps)])
        n_seen += len(stamps)
        behind = (n_seen - task.n_window) % task.n_step
        wanted = task.n_step - behind
        if n_seen >= task.n_window and behind == 0:
            outlet.push_sample(decode(newest.window()).tolist())


if __name__ == "__main__":
    main()
