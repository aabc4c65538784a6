"""diverloop: the product's own loop and LSL source, with its real-time settings.

No conditioning, because the task has none; only the decode function and the eight numbers are the
task's. A window that the loop refuses, because samples were lost in it, is a neutral decision and
is sent as four NaN. The neutral state of a stream gone stale belongs to no window and is not sent,
nor is what is neutral before the first decoded window.
"""

from __future__ import annotations

import math
import signal
import time

import numpy as np
import pylsl
from decoding import N_OUT, N_SCORES, Decoder, Task, task_here

from diverloop.hardware.lsl_inlet import LslConfig, LslSource
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.feedback import EvidenceFeedback, FeedbackConfig
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import Stages
from diverloop.runtime.messages import Command, Decision, Embedding, StreamSpec, Window
from diverloop.runtime.realtime import RealtimeConfig, realtime
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.windows import WindowConfig


class TaskEncoder:
    """The decode function that every entry shares, on the loop's window."""

    def __init__(self, task: Task) -> None:
        self._decode, self._n_channels = Decoder(task), task.n_channels

    def open(self, spec: StreamSpec, n_times: int) -> None:
        assert spec.n_channels == self._n_channels

    def encode(self, window: Window) -> Embedding:
        return Embedding(values=self._decode(window.samples.T))

    def close(self) -> None:
        pass


class TaskAdapter:
    """Turns the four scores into probabilities, as any adapter would, and keeps all numbers."""

    classes = tuple(f"output {place}" for place in range(N_SCORES))
    epoch = 0

    def __init__(self) -> None:
        self.numbers = np.full(N_OUT, np.nan)

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        self.numbers = embedding.values
        scores = self.numbers[:N_SCORES].tolist()
        most = max(scores)
        weights = [math.exp(score - most) for score in scores]
        return Decision(
            classes=self.classes,
            probabilities=np.array(weights) / sum(weights),
            label=self.classes[scores.index(most)],
            first_sample=window.first_sample,
            stop_sample=window.stop_sample,
        )


class TaskSink:
    """Eight numbers for each window."""

    def __init__(self, task: Task, adapter: TaskAdapter) -> None:
        self._task, self._adapter = task, adapter
        self._offset: float | None = None

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        name = self._task.out
        info = pylsl.StreamInfo(name, "peer", N_OUT, pylsl.IRREGULAR_RATE, "double64", name)
        self._outlet = pylsl.StreamOutlet(info)

    def act(self, decision: Decision, command: Command) -> Command:
        if decision.label is not None:
            numbers = self._adapter.numbers
            self._offset = numbers[N_SCORES + 1] - decision.stop_sample
            self._outlet.push_sample(numbers.tolist())
        elif self._offset is not None and decision.first_sample < decision.stop_sample:
            now_s, last = time.monotonic(), decision.stop_sample + self._offset
            first = last - (decision.stop_sample - decision.first_sample) + 1
            self._outlet.push_sample([*[np.nan] * N_SCORES, first, last, now_s, now_s])
        return command

    def close(self) -> None:
        del self._outlet


def main() -> None:
    task, clock, adapter = task_here(), MonotonicClock(), TaskAdapter()
    stages = Stages(
        source=LslSource(LslConfig(name=task.stream, source_id=task.stream, markers=""), clock),
        conditioner=StreamConditioner(),
        encoder=TaskEncoder(task),
        adapter=adapter,
        feedback=EvidenceFeedback(FeedbackConfig()),
        sinks=(TaskSink(task, adapter),),
    )
    length_s, step_s = task.n_window / task.rate_hz, task.n_step / task.rate_hz
    loop = Loop(stages, clock=clock, window=WindowConfig(length_s=length_s, step_s=step_s))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.stop())
    with realtime(RealtimeConfig(lock_memory=True)):  # as sessions/lsl-motor-imagery.toml
        loop.run()


if __name__ == "__main__":
    main()
