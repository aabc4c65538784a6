"""Recordings for `confidence.py`, conditioned as the product does it, and what can go wrong there.

A case is made from the raw signal of the recordings that are judged, at their own rate, and then
passes through `StreamConditioner` like them: noise that an amplifier with 160 Hz could not have
delivered is not judged here. Windows are cut at the same places in all cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diverloop.runtime.messages import Channel, Chunk, StreamSpec
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.signal.filters import SosFilter, band_pass

Floats = NDArray[np.float64]

RATE_HZ = 500.0
WINDOW = 1000
TEMPORAL = ("T7", "T8", "T9", "T10", "FT7", "FT8", "TP7", "TP8", "F7", "F8", "TP9", "TP10")
_FLOOR_UV, _HUM_UV = 1.0, 200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One recording, raw: samples (n_channels, n_times) in microvolts, and its events."""

    name: str
    rate_hz: float
    channels: tuple[str, ...]
    positions_mm: Floats
    raw: Floats
    events: tuple[tuple[int, str], ...]
    line_hz: float
    letters: NDArray[np.int64]

    @property
    def n_times(self) -> int:
        """Samples of the conditioned signal."""
        return int(self.raw.shape[1] * RATE_HZ / self.rate_hz)

    def events_of(self, kept: NDArray[np.bool_]) -> Take:
        """The same signal with some of its events."""
        events = tuple(event for event, keep in zip(self.events, kept, strict=True) if keep)
        return replace(self, events=events, letters=self.letters[kept])


def load(path: Path, line_hz: float, scale: float = 1.0, kinds: Sequence[str] = ("eeg",)) -> Take:
    """A recording with its brain channels, without what the Muse calls AUX."""
    file = np.load(path, allow_pickle=False)
    keep = np.isin(file["ch_types"], kinds) & (file["ch_names"] != "AUX")
    raw = (file["data"] * file["scale"][:, None] + file["offset"][:, None])[keep] * scale
    events = zip(file["ev_sample"].tolist(), file["ev_label"].tolist(), strict=True)
    letters = file["letter_of_event"] if "letter_of_event" in file else np.zeros(0, np.int64)
    return Take(
        name=path.stem,
        rate_hz=float(file["fs"]),
        channels=tuple(file["ch_names"][keep].tolist()),
        positions_mm=1000 * np.asarray(file["ch_pos"][keep], np.float64),
        raw=np.asarray(raw, np.float64),
        events=tuple((int(at), str(label)) for at, label in events),
        line_hz=line_hz,
        letters=np.unique(letters, return_inverse=True)[1],
    )


def to_uv(takes: Sequence[Take], typical_uv: float) -> tuple[Take, ...]:
    """Recordings without a unit, scaled alike: the median channel of the first gets that RMS."""
    gain = typical_uv / float(np.median(conditioned(takes[0])[:, 2000:].std(axis=1)))
    return tuple(replace(take, raw=take.raw * gain) for take in takes)


def conditioned(take: Take, raw: Floats | None = None) -> Floats:
    """Signal as a decoder gets it: 0.5 Hz, notches, average reference, 500 Hz; causal."""
    raw = take.raw if raw is None else raw
    plan = ConditionConfig(
        high_pass_hz=0.5, line_hz=take.line_hz, reference="average", rate_hz=RATE_HZ
    )
    conditioner = StreamConditioner(plan)
    channels = tuple(Channel(name=name) for name in take.channels)
    conditioner.open(StreamSpec(name=take.name, rate_hz=take.rate_hz, channels=channels))
    starts = range(0, raw.shape[1], 4000)
    pieces = (Chunk(samples=raw[:, a : a + 4000], first_sample=a, arrived_ns=0) for a in starts)
    return np.concatenate([conditioner.process(piece).samples for piece in pieces], axis=1)


def cut(signal: Floats, first: int, stop: int, step: int) -> Floats:
    """Windows of 2 s, shape (n, n_channels, 1000), float32."""
    starts = range(first, stop - WINDOW + 1, step)
    return np.stack([signal[:, a : a + WINDOW] for a in starts]).astype(np.float32)


# --- what can go wrong: (rng, take) -> raw signal ------------------------------------------------


def white_noise(rng: np.random.Generator, take: Take) -> Floats:
    """As much as the recording's own, every channel by itself."""
    return rng.standard_normal(take.raw.shape) * _rms(take)


def pink_noise(rng: np.random.Generator, take: Take) -> Floats:
    """Power falls with the frequency, as it does in the brain; every channel by itself."""
    spectrum = np.fft.rfft(rng.standard_normal(take.raw.shape), axis=1)
    frequency_hz = np.fft.rfftfreq(take.raw.shape[1], 1 / take.rate_hz)
    noise = np.fft.irfft(
        spectrum / np.sqrt(np.maximum(frequency_hz, 0.5)), take.raw.shape[1], axis=1
    )
    return np.asarray(noise / noise.std(axis=1, keepdims=True) * _rms(take))


def disconnected(rng: np.random.Generator, take: Take) -> Floats:
    """No cap: 1 uV of the amplifier's own noise."""
    return rng.standard_normal(take.raw.shape) * _FLOOR_UV


def half_floating(rng: np.random.Generator, take: Take) -> Floats:
    """Half of the electrodes in the air: noise and 200 uV of mains hum, before the notch."""
    raw = take.raw.copy()
    lost = rng.choice(len(raw), (len(raw) + 1) // 2, replace=False)
    time_s = np.arange(raw.shape[1]) / take.rate_hz
    hum = np.sin(2 * np.pi * (take.line_hz * time_s + rng.random((len(lost), 1)) * 0.1))
    raw[lost] = _FLOOR_UV * rng.standard_normal((len(lost), raw.shape[1])) + _HUM_UV * hum
    return raw


def emg_bursts(rng: np.random.Generator, take: Take, strength: float = 5.0) -> Floats:
    """Bursts of 0.3 to 1 s from 20 to 200 Hz (or what the amplifier passes) at the temples."""
    raw = take.raw.copy()
    rows = [row for row, name in enumerate(take.channels) if name in TEMPORAL]
    chosen = rows or rng.choice(len(raw), -(-len(raw) // 4), replace=False).tolist()
    high_hz = min(200.0, 0.45 * take.rate_hz)
    band = SosFilter(band_pass(20.0, high_hz, 4, take.rate_hz))
    muscle = band.process(rng.standard_normal((len(chosen), raw.shape[1])))
    muscle /= muscle.std(axis=1, keepdims=True)
    raw[chosen] += strength * _rms(take)[chosen] * muscle * _bursts(rng, take)
    return raw


def gain_10x(rng: np.random.Generator, take: Take) -> Floats:
    """Microvolts that are not."""
    return 10 * take.raw


def sides_swapped(rng: np.random.Generator, take: Take) -> Floats:
    """The cap the wrong way round, left for right; where no place is known, nothing changes."""
    return take.raw[mirror(take)]


CASES: dict[str, Callable[[np.random.Generator, Take], Floats]] = {
    "white_noise": white_noise,
    "pink_noise": pink_noise,
    "disconnected": disconnected,
    "half_floating": half_floating,
    "emg_burst": emg_bursts,
    "gain_10x": gain_10x,
    "emg_burst_1x (not gross)": lambda rng, take: emg_bursts(rng, take, 1.0),
    "sides_swapped (semantic)": sides_swapped,
}
MATCHED = ("white_noise", "pink_noise")
"""Noise whose RMS is made that of the very window it stands for, channel by channel."""


def derangement(rng: np.random.Generator, n: int) -> NDArray[np.intp]:
    """A random order that leaves nothing in its place."""
    while True:
        order = rng.permutation(n)
        if (order != np.arange(n)).all():
            return order


def mirror(take: Take) -> list[int]:
    """Row of the channel on the other side, for each row."""
    x, *rest = take.positions_mm.T
    if not np.isfinite(take.positions_mm).all():
        return list(range(len(take.raw)))
    across = np.stack([-x, *rest], axis=1)
    away = np.linalg.norm(across[:, None] - take.positions_mm[None], axis=2)
    return [int(row) for row in away.argmin(axis=1)]


def matched(noise: Floats, windows: Floats, times: float) -> Floats:
    """Noise windows with `times` the RMS of the windows they stand for, channel by channel."""
    wanted = times * windows.std(axis=2, keepdims=True)
    return np.asarray(noise / noise.std(axis=2, keepdims=True) * wanted, np.float32)


def wrong_montage(rng: np.random.Generator, windows: Floats) -> Floats:
    """Every plug in a wrong socket, in every window otherwise; referencing does not see it."""
    n = windows.shape[1]
    return np.stack([window[derangement(rng, n)] for window in windows])


def other_modality(windows: Floats, foreign: Floats) -> Floats:
    """Windows of another kind of signal with the same number of rows and the same total RMS."""
    picked = foreign[np.arange(len(windows)) % len(foreign)]
    picked = picked[:, np.arange(windows.shape[1]) % picked.shape[1]]
    size = float(np.median(windows.std(axis=(1, 2)))) / float(np.median(picked.std(axis=(1, 2))))
    return np.asarray(picked * size, np.float32)


def _rms(take: Take) -> Floats:
    """Of each channel above 0.5 Hz, without its largest moments, shape (n_channels, 1)."""
    usual = np.median(np.abs(conditioned(take)[:, 2000:]), axis=1, keepdims=True) / 0.6745
    return np.asarray(usual, np.float64)


def _bursts(rng: np.random.Generator, take: Take) -> Floats:
    """1 in a burst and 0 between, soft at the edges; none of the pauses lasts a second."""
    gate, at = np.zeros(take.raw.shape[1]), 0
    while at < len(gate):
        on, off = (round(rng.uniform(*s) * take.rate_hz) for s in ((0.3, 1.0), (0.3, 0.9)))
        burst = gate[at : at + on]
        burst[:] = np.hanning(on + 2)[1:-1][: len(burst)] ** 0.25
        at += on + off
    return gate


# --- which recordings ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """Recordings to calibrate on, to judge, and of another kind; spans are shares of each."""

    name: str
    fit: tuple[Take, ...]
    judge: tuple[Take, ...]
    foreign: tuple[Take, ...]
    fit_span: tuple[float, float] = (0.0, 1.0)
    judge_span: tuple[float, float] = (0.0, 1.0)
    fit_step_s: float = 1.0
    judge_step_s: float = 2.0

    def judged(self, take: Take, signal: Floats) -> Floats:
        """Windows to judge."""
        return windows_of(take, signal, self.judge_span, self.judge_step_s)

    @property
    def two_sided(self) -> bool:
        """Whether every electrode has a partner on the other side, or is in the middle."""
        partner = mirror(self.judge[0])
        moved = partner != list(range(len(partner)))
        return moved and sorted(partner) == list(range(len(partner)))


def windows_of(take: Take, signal: Floats, span: tuple[float, float], step_s: float) -> Floats:
    """Windows inside a share of a recording, behind the 4 s that the filters need to settle."""
    first, stop = (round(share * take.n_times) for share in span)
    return cut(signal, max(2000, first), min(stop, signal.shape[1]), round(step_s * RATE_HZ))


def imagery(data: Path, runs: Sequence[str]) -> tuple[Take, ...]:
    """Runs of EEGMMIDB."""
    return tuple(load(data / "mi" / f"eegmmidb_S001_R{run}.npz", 60.0) for run in runs)


def gtec(data: Path, subject: int) -> Take:
    """One participant's speller."""
    return load(data / "p300" / f"gtec_S{subject}.npz", 50.0)


def muse(data: Path, session: int) -> tuple[Take, ...]:
    """Runs of a session of the Muse's P300."""
    found = sorted((data / "p300").glob(f"muse_M1_ses{session}_run*.npz"))
    return tuple(load(path, 60.0) for path in found)


def emotiv(data: Path, session: str) -> tuple[Take, ...]:
    """Runs of a session of the Emotiv's speller."""
    found = sorted((data / "p300").glob(f"emotiv_E1_ses{session}_run*.npz"))
    return tuple(load(path, 50.0) for path in found)


def ssvep(data: Path) -> Iterator[tuple[str, tuple[Take, ...]]]:
    """Participants with their runs, scaled to 15 uV: their unit is not known."""
    for name in ("X01", "X03", "X04", "X07", "X10", "X12"):
        found = sorted((data / "ssvep").glob(f"exo_{name}_run*.npz"))
        yield name, to_uv([load(path, 50.0) for path in found], 15.0)


def data_sets(data: Path, tuning: bool) -> Iterator[DataSet]:
    """What is reported, or what settings were chosen on."""
    halves: Any = {"fit_span": (0.0, 0.6), "judge_span": (0.6, 1.0)}
    ecog = to_uv([load(data / "ecog" / "berlin_B1_buttonpress.npz", 50.0, kinds=("ecog",))], 50.0)
    runs = imagery(data, ("03", "05", "07", "09") if tuning else ("04", "06", "08", "10"))
    name = "EEGMMIDB execution" if tuning else "EEGMMIDB imagery"
    yield DataSet(name=name, fit=runs[:2], judge=runs[2:], foreign=ecog)
    for subject in (1,) if tuning else (2, 3):
        take = gtec(data, subject)
        yield DataSet(name=f"g.tec G{subject}", fit=(take,), judge=(take,), foreign=ecog, **halves)
    if tuning:
        fit, judge = emotiv(data, "D"), emotiv(data, "E")
        yield DataSet(name="Emotiv E1", fit=fit, judge=judge, foreign=ecog)
        return
    yield DataSet(name="Muse M1", fit=muse(data, 1), judge=muse(data, 2), foreign=ecog)
    for name, takes in ssvep(data):
        yield DataSet(name=f"SSVEP {name}", fit=takes[:-1], judge=takes[-1:], foreign=ecog)
    steps: Any = {"fit_step_s": 0.125, "judge_step_s": 0.25}
    yield DataSet(name="ECoG B1", fit=ecog, judge=ecog, foreign=runs[2:], **halves, **steps)
