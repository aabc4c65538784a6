"""Our entry in the side-by-side benchmark: the product's own loop on the benchmark's task.

The harness sets PB_IN, PB_IN_SRC, PB_OUT, PB_C, PB_FS, PB_WIN_S and PB_STEP_S, puts its
``common.py`` on the path (the decode function every entry shares) and expects one float64
sample of 8 channels per window: four scores, the index of the window's last sample (channel 0
of that sample), 1 for a window without a splice, and when decoding began and ended.

What runs is `diverloop.runtime.loop.Loop` with the product's LSL source, real-time settings,
ring, windows, feedback and guard; no conditioning, because the task has none. Only the decode
function and the eight numbers are the benchmark's.

A window that the loop refuses, because samples were lost in it, is a neutral decision: it is sent
as four NaN. Nothing spliced was decoded, so its splice flag is 1, and both decode times are the
moment of sending. Before the first decoded window nothing is sent, so that a neutral decision
does not make the start look faster than it was; nor is the neutral state of a stream gone stale,
which belongs to no window.
"""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pylsl
from common import N_DEC, OUT_NAME, OUT_TYPE, C, Decoder, K  # the harness's own file

from diverloop.hardware.lsl_inlet import LslConfig, LslSource
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.feedback import EvidenceFeedback, FeedbackConfig
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import Stages
from diverloop.runtime.messages import Command, Decision, Embedding, StreamSpec, Window
from diverloop.runtime.realtime import RealtimeConfig, realtime
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.windows import WindowConfig


class HarnessEncoder:
    """The decode function that every entry shares, on the loop's window."""

    def __init__(self) -> None:
        self._decode = Decoder()

    def open(self, spec: StreamSpec, n_times: int) -> None:
        assert spec.n_channels == C

    def encode(self, window: Window) -> Embedding:
        return Embedding(values=self._decode(window.samples.T))

    def close(self) -> None:
        pass


class HarnessAdapter:
    """Turns the four scores into probabilities, as any adapter would, and keeps the vector."""

    classes = tuple(f"output {k}" for k in range(K))
    epoch = 0

    def __init__(self) -> None:
        self.vector = np.full(N_DEC, np.nan)

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        self.vector = embedding.values
        probabilities = np.exp(embedding.values[:K])
        probabilities /= probabilities.sum()
        return Decision(
            classes=self.classes,
            probabilities=probabilities,
            label=self.classes[int(probabilities.argmax())],
            first_sample=window.first_sample,
            stop_sample=window.stop_sample,
        )


class HarnessSink:
    """One vector of eight numbers per window."""

    def __init__(self, adapter: HarnessAdapter) -> None:
        self._adapter = adapter
        self._offset: float | None = None

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        info = pylsl.StreamInfo(OUT_NAME, OUT_TYPE, N_DEC, 0, "double64", OUT_NAME)
        self._outlet = pylsl.StreamOutlet(info)

    def act(self, decision: Decision, command: Command) -> Command:
        if decision.label is not None:
            vector = self._adapter.vector
            self._offset = vector[4] - decision.stop_sample
            self._outlet.push_sample(vector)
        elif self._offset is not None and decision.first_sample < decision.stop_sample:
            now = time.monotonic()
            last = decision.stop_sample + self._offset
            self._outlet.push_sample([*[float("nan")] * K, last, 1.0, now, now])
        return command

    def close(self) -> None:
        del self._outlet


def main() -> None:
    clock = MonotonicClock()
    adapter = HarnessAdapter()
    source = LslSource(
        LslConfig(name=os.environ["PB_IN"], source_id=os.environ["PB_IN_SRC"], markers=""), clock
    )
    stages = Stages(
        source=source,
        conditioner=StreamConditioner(),
        encoder=HarnessEncoder(),
        adapter=adapter,
        feedback=EvidenceFeedback(FeedbackConfig()),
        sinks=(HarnessSink(adapter),),
    )
    window = WindowConfig(
        length_s=float(os.environ["PB_WIN_S"]), step_s=float(os.environ["PB_STEP_S"])
    )
    loop = Loop(stages, clock=clock, window=window)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.stop())
    with realtime(RealtimeConfig(lock_memory=True)):  # as sessions/lsl-motor-imagery.toml
        loop.run()


if __name__ == "__main__":
    main()
