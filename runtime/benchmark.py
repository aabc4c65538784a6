"""What the loop itself costs: the product's loop around stages that do nothing.

The source hands over samples at once, so the figures are work and no waiting: receiving, the
ring, cutting, feedback, guard, messages, publishing. Run it on a quiet machine.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .clock import MonotonicClock
from .errors import ConfigError
from .feedback import EvidenceFeedback
from .loop import Loop
from .loop_config import LoopConfig, Stages
from .messages import Channel, Chunk, Decision, Embedding, StreamSpec, Window
from .realtime import RealtimeConfig, realtime
from .signal.condition_config import ConditionConfig
from .signal.conditioning import StreamConditioner
from .windows import WindowConfig

FILTERS = ConditionConfig(reference="average", bands_hz=((8.0, 30.0),))
"""Conditioning of a case that is `conditioned`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkCase:
    """One stream to measure.

    Parameters
    ----------
    n_channels : int
        Rows, 1 to 4096.
    rate_hz : float
        Sampling rate, 100 to 40000 Hz.
    length_s, step_s : float
        Window and step.
    n_windows : int
        How many to measure, after a tenth as many to warm up.
    conditioned : bool
        With average reference and one band-pass, or as the samples come.
    """

    n_channels: int = 64
    rate_hz: float = 1000.0
    length_s: float = 1.0
    step_s: float = 0.05
    n_windows: int = 2000
    conditioned: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (
            ("n_channels", 1, 4096),
            ("rate_hz", 100, 40000),
            ("n_windows", 10, 10_000_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"bench {name} must be in [{low}, {high}], got {value}.")


def run_case(case: BenchmarkCase, condition: ConditionConfig | None = None) -> dict[str, Any]:
    """Measure one case.

    Parameters
    ----------
    case : BenchmarkCase
        What to measure.
    condition : ConditionConfig, optional
        Other conditioning than the case names.

    Returns
    -------
    figures : dict
        The case, ``stages`` with their quantiles in milliseconds, and ``p50_us`` and ``p99_us``
        of the whole pass from the samples' arrival to the sink.
    """
    window = WindowConfig(length_s=case.length_s, step_s=case.step_s)
    if condition is None:
        condition = FILTERS if case.conditioned else ConditionConfig()
    _one_run(case, condition, window, max(1, case.n_windows // 10))
    report = _one_run(case, condition, window, case.n_windows)
    whole = next(row for row in report["stages"] if row["name"] == "loop")
    return {
        **asdict(case),
        "p50_us": 1e3 * whole["p50_ms"],
        "p99_us": 1e3 * whole["p99_ms"],
        "stages": report["stages"],
    }


def _one_run(
    case: BenchmarkCase, condition: ConditionConfig, window: WindowConfig, n_windows: int
) -> dict[str, Any]:
    clock = MonotonicClock()
    n_samples = round(case.rate_hz * (case.length_s + (n_windows - 1) * case.step_s))
    idle = _Idle()
    stages = Stages(
        source=_AtOnce(case, n_samples, clock),
        conditioner=StreamConditioner(condition),
        encoder=idle,
        adapter=idle,
        feedback=EvidenceFeedback(),
    )
    # A lead longer than a step: all of its samples are taken in at once, and all work is counted.
    config = LoopConfig(deadline_s=60.0, lead_s=1.0)
    loop = Loop(stages, clock=clock, window=window, config=config)
    with realtime(RealtimeConfig()):
        return loop.run().to_json()


class _AtOnce:
    """A source that never waits: a few seconds of noise, over and over."""

    def __init__(self, case: BenchmarkCase, n_samples: int, clock: MonotonicClock) -> None:
        rng = np.random.default_rng(0)
        table_length = round(4 * case.rate_hz)
        self._table = rng.standard_normal((case.n_channels, table_length)).astype(np.float32)
        channels = tuple(Channel(name=f"ch{row}") for row in range(case.n_channels))
        self.spec = StreamSpec(name="benchmark", rate_hz=case.rate_hz, channels=channels)
        self._n_samples = n_samples
        self._next = 0
        self._clock = clock

    @property
    def ended(self) -> bool:
        return self._next >= self._n_samples

    def open(self) -> None:
        self._next = 0

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        first = self._next
        count = min(wanted, self._n_samples - first, self._table.shape[1] // 2)
        self._next += count
        at = first % (self._table.shape[1] - count)
        samples = self._table[:, at : at + count].copy()
        return Chunk(samples=samples, first_sample=first, arrived_ns=self._clock.now_ns())

    def close(self) -> None:
        pass


class _Idle:
    """An encoder and adapter without work of their own."""

    classes = ("yes", "no")
    epoch = 0
    _values = np.zeros(1)
    _probabilities = np.array([0.6, 0.4])

    def open(self, spec: StreamSpec, n_times: int) -> None:
        pass

    def encode(self, window: Window) -> Embedding:
        return Embedding(values=self._values)

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        return Decision(
            classes=self.classes,
            probabilities=self._probabilities,
            label="yes",
            first_sample=window.first_sample,
            stop_sample=window.stop_sample,
        )

    def close(self) -> None:
        pass
