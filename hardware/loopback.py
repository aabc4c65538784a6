"""A software loop-back: what LSL, this machine and the source add between a task and the loop.

No device and no screen are in it, so it is the floor of every other measurement. Both senders are
processes of their own, and what comes back has passed the source that a session uses.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pylsl

from ..runtime.errors import SourceUnavailable
from ..runtime.messages import Chunk
from ..runtime.stages import Clock
from ..runtime.timing import TimingReport, Tolerances
from ..runtime.timing_capture import TimingCapture
from ..runtime.timing_figures import Spread, spread_of
from .flip_outlet import lsl_ahead_s
from .loopback_sender import CHANNEL, LABEL, READY, LoopbackConfig
from .lsl_inlet import LslConfig, LslSource

_SOON_S = 0.5
_AFTER_S = 0.5
_WAIT_S = 20.0
_READ_NS = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopbackReport:
    """What a loop-back came to.

    Parameters
    ----------
    config : LoopbackConfig
        What was sent.
    markers : TimingReport
        Edges in the signal against markers, as the source placed them.
    transport : Spread
        From the moment a piece's last sample existed to its arrival here.
    n_samples, n_lost : int
        Samples received, and those that never came.
    """

    config: LoopbackConfig
    markers: TimingReport
    transport: Spread
    n_samples: int
    n_lost: int

    def to_json(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "config": asdict(self.config),
            "markers": self.markers.to_json(),
            "transport": asdict(self.transport),
            "n_samples": self.n_samples,
            "n_lost": self.n_lost,
        }


def measure_loopback(
    config: LoopbackConfig,
    clock: Clock,
    *,
    tolerances: Tolerances | None = None,
    on_progress: Callable[[float], None] = lambda at_s: None,
) -> LoopbackReport:
    """Start both senders, read them as a session would, and compare.

    Parameters
    ----------
    config : LoopbackConfig
        What is sent.
    clock : Clock
        The machine's monotonic clock.
    tolerances : Tolerances, optional
        What is good enough.
    on_progress : callable
        Told how many seconds have passed.

    Returns
    -------
    report : LoopbackReport
        Of one run.

    Raises
    ------
    SourceUnavailable
        If the senders do not start, or their streams are not found.
    RecordingError
        If too little of what was sent came back.
    """
    name = config.name
    settings = LslConfig(name=name, source_id=name, markers=f"{name}-markers", wait_s=_WAIT_S)
    source = LslSource(settings, clock)
    with _senders(config) as begin:
        source.open()
        try:
            capture = TimingCapture(source.spec, CHANNEL, LABEL)
            ahead_s = lsl_ahead_s(clock)
            begin(pylsl.local_clock() + _SOON_S)
            taken = _Taken(capture, ahead_s)
            stop_ns = clock.now_ns() + round((_SOON_S + config.seconds + _AFTER_S) * 1e9)
            size = max(1, round(config.chunk_s * config.rate_hz))
            while (now_ns := clock.now_ns()) < stop_ns:
                chunk = source.read(size, min(stop_ns, now_ns + _READ_NS))
                if chunk is not None:
                    taken.take(chunk)
                on_progress(capture.seconds)
        finally:
            source.close()
    return taken.report(config, tolerances)


class _Taken:
    """What has come, and how late."""

    def __init__(self, capture: TimingCapture, lsl_ahead_s: float) -> None:
        self._capture = capture
        self._ahead_s = lsl_ahead_s
        self._late_s: list[float] = []
        self._n = self._stop = 0

    def take(self, chunk: Chunk) -> None:
        self._capture.add(chunk)
        if chunk.samples.shape[1]:
            self._late_s.append(chunk.arrived_ns / 1e9 + self._ahead_s - chunk.lsl_corrected_s)
            self._n += chunk.samples.shape[1]
            self._stop = chunk.stop_sample

    def report(self, config: LoopbackConfig, tolerances: Tolerances | None) -> LoopbackReport:
        markers = self._capture.report(tolerances=tolerances)
        return LoopbackReport(
            config=config,
            markers=markers,
            transport=spread_of(np.array(self._late_s)),
            n_samples=self._n,
            n_lost=self._stop - self._n,
        )


@contextmanager
def _senders(config: LoopbackConfig) -> Iterator[Callable[[float], None]]:
    """Both processes, ready; what is given tells them when to begin."""
    module = f"{__package__}.loopback_sender"
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module, role, config.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for role in ("signal", "markers")
    ]

    def begin(at_s: float) -> None:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{at_s!r}\n")
            process.stdin.flush()

    try:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline().strip() != READY:
                raise SourceUnavailable(
                    f"A sender of the loop-back did not start (status {process.wait()}): look at "
                    f"what it wrote above, and try `diverloop doctor`."
                )
        yield begin
    finally:
        for process in processes:
            process.terminate()
            process.communicate()
