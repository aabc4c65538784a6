"""Windows and markers of a simulated speaker, as the loop cuts them, for `speech`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diverloop.hardware.simulated_speech import SimulatedSpeaker, SimulatedSpeakerConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.feedback import EvidenceFeedback
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import LoopConfig, Stages
from diverloop.runtime.messages import Decision, Embedding, Marker
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.windows import WindowConfig

WINDOW = WindowConfig(length_s=0.08, step_s=0.08)


def conditioning(line_hz: float = 50.0) -> ConditionConfig:
    return ConditionConfig(
        line_hz=line_hz, envelopes_hz=((70.0, 150.0),), envelope_hz=25.0, rate_hz=100.0
    )


@dataclass(frozen=True)
class Heard:
    """Conditioned windows in order, where they end in the stream, and the task's markers."""

    windows: np.ndarray  # (n_windows, n_rows, n_times)
    stops: np.ndarray  # (n_windows,)
    firsts: np.ndarray  # (n_windows,) of the conditioned stream
    markers: list[Marker]
    rate_hz: float


class _Keeper:
    classes, epoch = ("none", "neither"), 0

    def __init__(self) -> None:
        self.windows, self.stops, self.firsts, self.markers = [], [], [], []

    def open(self, spec, n_times):
        pass

    def encode(self, window):
        self.windows.append(window.samples.astype(np.float32))
        self.stops.append(window.stop_sample)
        self.firsts.append(window.conditioned_first)
        return Embedding(values=np.zeros(1))

    def decide(self, embedding, window):
        return Decision(
            classes=self.classes, probabilities=np.full(2, np.nan), label=None, reason="kept"
        )

    def close(self):
        pass


class _Overheard:
    def __init__(self, source, keeper):
        self._source, self._keeper = source, keeper

    def __getattr__(self, name):
        return getattr(self._source, name)

    def read(self, wanted, until_ns):
        chunk = self._source.read(wanted, until_ns)
        if chunk is not None:
            self._keeper.markers += chunk.markers
        return chunk


def listen(config: SimulatedSpeakerConfig) -> Heard:
    """Run the loop over a speaker and keep every window."""
    clock, keeper = VirtualClock(), _Keeper()
    source = SimulatedSpeaker(config, clock)
    stages = Stages(
        source=_Overheard(source, keeper),
        conditioner=StreamConditioner(conditioning(config.line_hz)),
        encoder=keeper,
        adapter=keeper,
        feedback=EvidenceFeedback(),
    )
    Loop(stages, clock=clock, window=WINDOW, config=LoopConfig(deadline_s=60.0)).run()
    return Heard(
        np.stack(keeper.windows), np.array(keeper.stops), np.array(keeper.firsts), keeper.markers,
        config.rate_hz,
    )  # fmt: skip
