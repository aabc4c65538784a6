"""The two processes of a software loop-back: one is an amplifier, the other a task.

Both follow one schedule in the clock that LSL has on this machine. The amplifier's channel goes up
at each scheduled moment; the task waits for that moment and writes a marker, stamped when it is
written. Nothing else is shared, so what lies between the two was added on the way.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pylsl
from numpy.typing import NDArray

from ..runtime.clock import MonotonicClock
from ..runtime.errors import ConfigError
from .flip_outlet import lsl_ahead_s
from .simulated_photodiode import PhotodiodeConfig, SimulatedPhotodiode

CHANNEL, LABEL = "square", "up"
READY = "ready"
_ON_S, _SHORTEST_S, _LONGEST_S = 0.1, 0.25, 0.6
_FIRST_S, _LAST_S = 1.0, 0.5
_LEVELS = PhotodiodeConfig(rest=0.0, on=1000.0, on_s=_ON_S, rise_s=0.0, noise=2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopbackConfig:
    """What the amplifier and the task send.

    Parameters
    ----------
    name : str
        Of the signal stream; the markers are ``<name>-markers``.
    seconds : float
        For how long, 5 to 600 s.
    rate_hz : float
        Sampling rate, 100 to 30000 Hz.
    n_channels : int
        Rows, the square wave among them, 1 to 1024.
    chunk_s : float
        Length of the pieces in which samples leave, 0.001 to 0.2 s.
    seed : int
        Of the schedule.
    """

    name: str = "diverloop-loopback"
    seconds: float = 30.0
    rate_hz: float = 1000.0
    n_channels: int = 8
    chunk_s: float = 0.01
    seed: int = 1

    def __post_init__(self) -> None:
        for name, low, high, unit in (
            ("seconds", 5, 600, " s"),
            ("rate_hz", 100, 30_000, " Hz"),
            ("n_channels", 1, 1024, ""),
            ("chunk_s", 0.001, 0.2, " s"),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} must be in [{low}, {high}]{unit}, got {value}{unit}.")

    @property
    def schedule_s(self) -> NDArray[np.float64]:
        """When the channel goes up, in seconds after the first sample; unevenly."""
        rng = np.random.default_rng(self.seed)
        most = int(self.seconds / _SHORTEST_S) + 1
        at_s = _FIRST_S + np.cumsum(rng.uniform(_SHORTEST_S, _LONGEST_S, most))
        return np.asarray(at_s[at_s < self.seconds - _LAST_S])

    def to_json(self) -> str:
        """As the processes take it on their command line."""
        return json.dumps(asdict(self))


def signal_outlet(config: LoopbackConfig) -> pylsl.StreamOutlet:
    """The amplifier's stream.

    Parameters
    ----------
    config : LoopbackConfig
        Names and rate.

    Returns
    -------
    outlet : pylsl.StreamOutlet
        The square wave is its first row.
    """
    info = pylsl.StreamInfo(
        config.name, "EEG", config.n_channels, config.rate_hz, "float32", config.name
    )
    rows = info.desc().append_child("channels")
    for number in range(config.n_channels):
        row = rows.append_child("channel")
        row.append_child_value("label", f"EEG{number}" if number else CHANNEL)
        row.append_child_value("type", "EEG" if number else "misc")
        row.append_child_value("unit", "microvolts")
    return pylsl.StreamOutlet(info, max_buffered=60)


def send_signal(
    config: LoopbackConfig, outlet: pylsl.StreamOutlet, table: NDArray[np.float32], begin_s: float
) -> None:
    """Send the signal at its deadlines, each piece when its last sample is there.

    Parameters
    ----------
    config : LoopbackConfig
        How fast.
    outlet : pylsl.StreamOutlet
        From `signal_outlet`.
    table : ndarray of float32, shape (n_times, n_channels)
        All of it.
    begin_s : float
        LSL time of its first sample.
    """
    clock = MonotonicClock()
    size = max(1, round(config.chunk_s * config.rate_hz))
    ahead_s = begin_s - lsl_ahead_s(clock)
    for first in range(0, len(table), size):
        block = table[first : first + size]
        last_s = (first + len(block) - 1) / config.rate_hz
        clock.wait_until(round((ahead_s + last_s) * 1e9))
        outlet.push_chunk(block, begin_s + last_s)


def send_markers(config: LoopbackConfig, outlet: pylsl.StreamOutlet, begin_s: float) -> None:
    """Write a marker at each scheduled moment, stamped when it is written.

    Parameters
    ----------
    config : LoopbackConfig
        The schedule.
    outlet : pylsl.StreamOutlet
        Of texts.
    begin_s : float
        LSL time of the first sample.
    """
    clock = MonotonicClock()
    ahead_s = begin_s - lsl_ahead_s(clock)
    for at_s in config.schedule_s:
        clock.wait_until(round((ahead_s + at_s) * 1e9))
        outlet.push_sample([LABEL], pylsl.local_clock())


def table_of(config: LoopbackConfig) -> NDArray[np.float32]:
    """All that the amplifier sends.

    Parameters
    ----------
    config : LoopbackConfig
        Length and schedule.

    Returns
    -------
    table : ndarray of float32, shape (n_times, n_channels)
        The square wave, spread by an anti-alias filter so that its edges lie between samples, and
        noise.
    """
    n_times = round(config.seconds * config.rate_hz)
    rng = np.random.default_rng(config.seed)
    table = rng.normal(0, 20, (n_times, config.n_channels)).astype(np.float32)
    table[:, 0] = _square(config, n_times)
    return table


def _square(config: LoopbackConfig, n_times: int) -> NDArray[np.float32]:
    wave = SimulatedPhotodiode(_LEVELS, config.rate_hz, config.schedule_s)
    size = 1 << 16
    parts = [wave.samples(at, min(at + size, n_times)) for at in range(0, n_times, size)]
    return np.concatenate(parts)


def main(arguments: list[str]) -> None:
    """Be one of the two: say when ready, begin when told, end when the pipe closes."""
    role, settings = arguments
    values: dict[str, Any] = json.loads(settings)
    config = LoopbackConfig(**values)
    if role == "signal":
        outlet, table = signal_outlet(config), table_of(config)
    else:
        name = f"{config.name}-markers"
        outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 1, 0.0, "string", name))
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    begin = sys.stdin.readline()
    if not begin.strip():
        return
    if role == "signal":
        send_signal(config, outlet, table, float(begin))
    else:
        send_markers(config, outlet, float(begin))
    sys.stdin.readline()
    del outlet


if __name__ == "__main__":
    main(sys.argv[1:])
