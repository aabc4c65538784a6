"""Every labelled data set as a decoding task: windows to fit on, windows to judge on.

All signal passes through the product's own causal conditioner, from the first sample of a
recording to the last, and is cut afterwards: 500 Hz, high-pass 0.5 Hz (second order), notch at the
mains where the recording reaches that far, average reference where there are 16 scalp channels or
more, no reference otherwise. Windows that begin before the filters have settled are left out, and
so are training windows that overlap a window to be judged. Nothing is zero-phase, and nothing is
learnt from what comes later; recordings without a unit are scaled so that the median channel has
10 uV (root mean square) in the windows *to fit on*.

Beside the broadband windows every task holds the same stretches in the bands that a covariance
decoder would be given (`Task.banded_train`), filtered before the cut as well.

A window of a task about flashes begins 0.2 s before the flash and ends 0.8 s after it, because a
model that reads whole seconds needs one; all methods get the same samples. Groups are trials; where
windows overlap, as with flashes, a group is a stretch of 8 s, because neighbours share samples.
Folds and intervals go by group.

`decoding_plans.PLANS` names the tasks; ``family/part`` marks parts that belong together.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from decoding_plans import PLANS, Plan
from numpy.typing import NDArray

from diverloop.hardware.recordings import Recording, read_recording
from diverloop.runtime.messages import Chunk, StreamSpec
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner, rows_to_keep
from diverloop.runtime.signal.resampling import BlockResampler

RATE_HZ = 500
FEW_CHANNELS = 16
"""With fewer the average is no reference: it takes out what is to be decoded."""

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing to decode, of one person.

    `windows_*` are (n, n_channels, n_times) in microvolts at 500 Hz, `banded_*` the same stretches
    as (n, n_bands * n_channels, n_times) at a rate of their own, `y_*` classes counted from 0,
    `groups_*` what must not be torn apart, `positions_mm` (n_channels, 3) with NaN where unknown,
    `subtypes` 0 grid, 1 strip, 2 depth, -1 none. `rival` says which covariance suits: ``"power"``
    (each band's) or ``"evoked"`` (xDAWN).
    """

    name: str
    subject: str
    modality: str
    windows_train: Floats
    y_train: Ints
    groups_train: Ints
    windows_test: Floats
    y_test: Ints
    groups_test: Ints
    banded_train: Floats
    banded_test: Floats
    n_bands: int
    positions_mm: Floats
    subtypes: Ints
    channel_names: tuple[str, ...]
    classes: tuple[str, ...]
    chance: float
    score: str
    rival: str
    referenced: bool

    @property
    def family(self) -> str:
        """Tasks that belong together share it."""
        return self.name.split("/")[0]

    @property
    def evoked(self) -> bool:
        """Whether it matters *when* something happens in a window."""
        return self.rival == "evoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Windows of one recording, in order; `first` in conditioned samples."""

    windows: Floats
    banded: Floats
    y: Ints
    groups: Ints
    events: Ints
    first: Ints

    def of(self, keep: NDArray[np.bool_]) -> Cut:
        """Some of them."""
        return Cut(**{one.name: getattr(self, one.name)[keep] for one in fields(self)})


def condition(
    recording: Recording, plan: Plan, *, bands_hz: tuple[tuple[float, float], ...] = ()
) -> tuple[Floats, StreamSpec, int]:
    """Brain channels of a whole recording as the loop would condition them.

    Returns the signal, its spec (500 Hz; with bands the recording's own rate up to 500 Hz), and how
    many samples at the beginning are not to be trusted.
    """
    rate_hz = recording.spec.rate_hz
    channels = [recording.spec.channels[row] for row in rows_to_keep((), recording.spec)]
    scalp = sum(channel.kind == "eeg" for channel in channels) >= FEW_CHANNELS
    config = ConditionConfig(
        reference="average" if scalp else "none",
        high_pass_hz=0.0 if bands_hz else plan.high_pass_hz,
        line_hz=plan.line_hz if not bands_hz and 2.2 * plan.line_hz < rate_hz else 0.0,
        order=2,
        bands_hz=bands_hz,
        rate_hz=min(rate_hz, RATE_HZ) if bands_hz else RATE_HZ,
    )
    conditioner = StreamConditioner(config)
    spec = conditioner.open(recording.spec)
    samples = np.nan_to_num(recording.samples)
    done = conditioner.process(Chunk(samples=samples, first_sample=0, arrived_ns=0))
    return done.samples.astype(np.float32), spec, conditioner.settle_samples


def cut(recording: Recording, plan: Plan) -> Cut:
    """Windows of a recording around the events of a plan."""
    broad, _, settle = condition(recording, plan)
    banded, spec, banded_settle = condition(recording, plan, bands_hz=plan.bands_hz)
    length, slow = round(plan.window_s * RATE_HZ), spec.rate_hz / RATE_HZ
    slow_length = int(round(length * slow, 6))
    settle = max(settle, round(banded_settle / slow))
    room_s = plan.stop_s - plan.start_s - plan.window_s
    n_steps = 1 + math.floor(room_s / plan.step_s + 1e-9)
    found: dict[str, list[Any]] = {one.name: [] for one in fields(Cut)}
    for place, marker in enumerate(recording.markers):
        if marker.label not in plan.classes:
            continue
        cue_s = marker.sample / recording.spec.rate_hz
        for step in range(n_steps):
            first = round((cue_s + plan.start_s + step * plan.step_s) * RATE_HZ)
            at = round(first * slow)
            whole = first + length <= broad.shape[1] and at + slow_length <= banded.shape[1]
            if first < settle or not whole:
                continue
            found["windows"].append(broad[:, first : first + length])
            found["banded"].append(banded[:, at : at + slow_length])
            found["y"].append(plan.classes.index(marker.label))
            found["groups"].append(int(cue_s / plan.group_s) if plan.group_s else place)
            found["events"].append(place)
            found["first"].append(first)
    return Cut(**{name: np.array(values) for name, values in found.items()})


def split_cut(
    cuts: Cut, learn: NDArray[np.bool_], judge: NDArray[np.bool_], length: int
) -> tuple[Cut, Cut]:
    """Two parts of one recording; what overlaps the second, or shares a group, leaves the first."""
    judged = cuts.first[judge]
    near = np.abs(cuts.first[:, None] - judged[None]).min(axis=1) < length
    shared = np.isin(cuts.groups, cuts.groups[judge])
    return cuts.of(learn & ~near & ~shared), cuts.of(judge)


def join(cuts: list[Cut]) -> Cut:
    """Several recordings, one behind the other; groups are kept apart."""
    found = {
        one.name: np.concatenate([getattr(cut, one.name) for cut in cuts]) for one in fields(Cut)
    }
    offsets = np.cumsum([0, *(1 + max(cut.groups, default=0) for cut in cuts)])[:-1]
    found["groups"] = np.concatenate([c.groups + o for c, o in zip(cuts, offsets, strict=True)])
    return Cut(**found)


def build(name: str, plan: Plan, data: Path) -> Task:
    """Read, condition and cut what a plan names."""
    first = _read(data / plan.train[0])
    if plan.train_share is None:
        train = join([cut(_read(data / path), plan) for path in plan.train])
        test = join([cut(_read(data / path), plan) for path in plan.test])
    else:
        everything = cut(first, plan)
        with np.load(data / plan.train[0], allow_pickle=False) as file:
            early = plan.train_share(file)[everything.events]
        length = round(plan.window_s * RATE_HZ)
        train, test = split_cut(everything, early, ~early, length)
    return assemble(name, plan, first.spec, train, test)


def assemble(name: str, plan: Plan, spec: StreamSpec, train: Cut, test: Cut) -> Task:
    """Two parts as a task, scaled if the unit is unknown."""
    gain = 1.0
    if plan.scaled_uv:
        gain = plan.scaled_uv / float(np.median(np.sqrt((train.windows**2).mean(axis=(0, 2)))))
    channels = [spec.channels[row] for row in rows_to_keep((), spec)]
    unknown = (np.nan, np.nan, np.nan)
    places = [channel.position_m or unknown for channel in channels]
    kinds = {"eeg": -1, "ecog": 1, "seeg": 2, "lfp": 2}
    scalp = sum(channel.kind == "eeg" for channel in channels)
    return Task(
        name=name,
        subject=plan.subject,
        modality="EEG" if scalp else "iEEG",
        windows_train=(gain * train.windows).astype(np.float32),
        y_train=train.y,
        groups_train=train.groups,
        windows_test=(gain * test.windows).astype(np.float32),
        y_test=test.y,
        groups_test=test.groups + 1 + train.groups.max(),
        banded_train=(gain * train.banded).astype(np.float32),
        banded_test=(gain * test.banded).astype(np.float32),
        n_bands=len(plan.bands_hz),
        positions_mm=(1000 * np.array(places)).astype(np.float32),
        subtypes=np.array([kinds[channel.kind] for channel in channels]),
        channel_names=tuple(channel.name for channel in channels),
        classes=plan.classes,
        chance=0.5 if plan.score == "auc" else 1 / len(plan.classes),
        score=plan.score,
        rival=plan.rival,
        referenced=scalp >= FEW_CHANNELS,
    )


def _read(path: Path) -> Recording:
    return read_recording(path, assume_unit="uV")


# --- what is special ---------------------------------------------------------------------------


def key_press(name: str, plan: Plan, data: Path) -> Task:
    """Epochs before a key press, 100 Hz: raised to 500 Hz causally, the first 0.1 s as baseline.

    There is no stream to filter, so nothing is: a high-pass would not settle within 0.5 s. Taken at
    their word the epochs have 1 uV, a tenth of any scalp signal, so they are scaled like the others
    without a unit.
    """
    with np.load(data / plan.train[0], allow_pickle=False) as file:
        epochs = (file["epochs"] * file["scale"]).astype(np.float64)
        y, fs = file["y"].astype(np.int64), float(file["fs"])
        names, places = file["ch_names"], 1000 * file["ch_pos"]
    epochs = epochs - epochs.mean(axis=1, keepdims=True)
    epochs -= epochs[:, :, : round(0.1 * fs)].mean(axis=2, keepdims=True)
    n_channels, n_times = epochs.shape[1:]
    raised = []
    for epoch in epochs:
        resampler = BlockResampler(fs, RATE_HZ, n_channels, n_times)
        raised.append(resampler.process(epoch))
    windows = np.array(raised, dtype=np.float32)
    early = np.arange(len(y)) < 144  # the split that others report
    gain = plan.scaled_uv / np.median(np.sqrt((windows[early] ** 2).mean(axis=(0, 2))))
    windows, epochs = (gain * windows).astype(np.float32), (gain * epochs).astype(np.float32)
    trials = np.arange(len(y))
    return Task(
        name=name, subject=plan.subject, modality="EEG",
        windows_train=windows[early], y_train=y[early], groups_train=trials[early],
        windows_test=windows[~early], y_test=y[~early], groups_test=trials[~early],
        banded_train=epochs[early], banded_test=epochs[~early], n_bands=1,
        positions_mm=places.astype(np.float32), subtypes=np.full(n_channels, -1),
        channel_names=tuple(map(str, names)), classes=plan.classes, chance=0.5,
        score=plan.score, rival=plan.rival, referenced=True,
    )  # fmt: skip


def movement(name: str, plan: Plan, data: Path) -> Task:
    """Moving or not, by windows of 1 s; one movement and the rest around it are held out."""
    recording = _read(data / plan.train[0])
    marks = [(m.sample / recording.spec.rate_hz, m.label) for m in recording.markers]
    on_s = [at for at, label in marks if label == "move_on"]
    off_s = [next((b for b, label in marks if b > a and label == "move_off"), np.inf) for a in on_s]
    ends = np.arange(plan.window_s, recording.duration_s, plan.step_s)
    moving = [any(a <= end < b for a, b in zip(on_s, off_s, strict=True)) for end in ends]
    step = recording.spec.rate_hz
    labels = [
        replace(recording.markers[0], sample=round((end - plan.window_s) * step), label=label)
        for end, label in zip(ends, np.where(moving, "move", "rest").tolist(), strict=True)
    ]
    everything = cut(replace(recording, markers=tuple(labels)), plan)
    between = [(b + a) / 2 for b, a in zip(off_s[:-1], on_s[1:], strict=True)]
    ended_s = everything.first / RATE_HZ + plan.window_s
    which = np.searchsorted(between, ended_s)
    held_out = which == int(name.split("/")[1]) - 1
    train, test = split_cut(everything, ~held_out, held_out, round(plan.window_s * RATE_HZ))
    return assemble(name, plan, recording.spec, train, test)


# --- loading ------------------------------------------------------------------------------------

_SPECIAL = {"key-press": key_press, "ecog-move": movement}


def load_task(name: str, data: Path, cache: Path | None = None) -> Task:
    """A task by its name, from a cache if it is there.

    Parameters
    ----------
    name : str
        One of `PLANS`.
    data : Path
        Folder of the recordings.
    cache : Path, optional
        Folder for what was cut, one file for each task and state of this program.
    """
    plan = PLANS[name]
    make = _SPECIAL.get(name.split("/")[0], build)
    if cache is None:
        return make(name, plan, data)
    key = hashlib.sha256(Path(__file__).read_bytes())
    key.update(Path(__file__).with_name("decoding_plans.py").read_bytes())
    for path in (*plan.train, *plan.test):
        key.update(
            f"{path} {(data / path).stat().st_size} {(data / path).stat().st_mtime}".encode()
        )
    file = cache / f"{name.replace('/', '-')}-{key.hexdigest()[:12]}.npz"
    if file.is_file():
        return _restored(file)
    task = make(name, plan, data)
    cache.mkdir(parents=True, exist_ok=True)
    arrays = {n: v for n in Task.__slots__ if isinstance(v := getattr(task, n), np.ndarray)}
    others = {n: getattr(task, n) for n in Task.__slots__ if n not in arrays}
    partial = file.with_suffix(".part.npz")
    np.savez(partial, meta=json.dumps(others), **arrays)
    partial.replace(file)
    return task


def _restored(file: Path) -> Task:
    with np.load(file, allow_pickle=False) as archive:
        meta = json.loads(str(archive["meta"]))
        arrays = {name: archive[name] for name in archive.files if name != "meta"}
    meta |= {name: tuple(meta[name]) for name in ("channel_names", "classes")}
    return Task(**meta, **arrays)
