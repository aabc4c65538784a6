"""A made-up session with everything in it that a report can show, and the parts to make others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from diverloop.hardware.montage import scalp_position_m
from diverloop.runtime.card import Card, CardData, CardInput, CardWindow
from diverloop.runtime.messages import (
    Channel,
    Chunk,
    Command,
    Decision,
    Event,
    EventKind,
    Marker,
    StageTimes,
    StreamSpec,
    Turn,
)
from diverloop.runtime.record.contents import Note, Record
from diverloop.runtime.record.manifest import Manifest
from diverloop.runtime.record.report import Judged, Performance, ReliabilityBin, Score

NAMES = tuple("Fp1 Fp2 F7 F3 Fz F4 T7 C3 Cz C4 T8 P3 Pz P4 O1 O2".split())  # noqa: SIM905
RATE_HZ = 250.0
CLASSES = ("left", "right")
START_NS = 5_000_000_000


def stream(names=NAMES, rate_hz=RATE_HZ, kind="eeg", placed=True) -> StreamSpec:
    """A stream with places where the labels are of the 10-10 system."""
    channels = tuple(
        Channel(name=n, kind=kind, position_m=scalp_position_m(n) if placed else None)
        for n in names
    )
    return StreamSpec(name="made-up", rate_hz=rate_hz, channels=channels)


def chunks_of(signal: np.ndarray, lost=(), size: int = 500) -> Callable[[], Iterator[Chunk]]:
    """Cut a signal into chunks that leave out what was lost."""

    def give() -> Iterator[Chunk]:
        edges = sorted({0, signal.shape[1], *(edge for pair in lost for edge in pair)})
        for first, stop in pairwise(edges):
            if any(a <= first < b for a, b in lost):
                continue
            for start in range(first, stop, size):
                piece = signal[:, start : min(start + size, stop)]
                yield Chunk(samples=piece, first_sample=start, arrived_ns=0)

    return give


def noise(n_channels: int, n_times: int, seed: int = 0) -> np.ndarray:
    """Noise of 10 microvolts whose power falls with frequency, as that of a brain does."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal((n_channels, n_times)), axis=1)
    spectrum /= np.maximum(np.arange(spectrum.shape[1]), 10) ** 0.6
    signal = np.fft.irfft(spectrum, n_times, axis=1)
    return (10 * signal / signal.std()).astype(np.float32)


@dataclass
class Script:
    """What happens in the made-up session; change a field to change the session."""

    n_trials: int = 40
    trial_s: float = 9.0
    pause_s: float = 15.0
    n_blocks: int = 4
    lost: tuple[tuple[int, int], ...] = ((20_000, 20_450), (52_000, 52_300), (80_000, 80_300))
    noisy: str = "F7"
    noisy_from_s: float = 185.0
    seed: int = 3
    cue_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        per_block = self.n_trials // self.n_blocks
        at_s = 8.0
        for trial in range(self.n_trials):
            if trial and trial % per_block == 0:
                at_s += self.pause_s
            self.cue_s.append(at_s)
            at_s += self.trial_s + rng.uniform(-0.5, 0.5)
        self.labels = [CLASSES[i] for i in rng.permutation(self.n_trials) % 2]
        self.n_times = round((at_s + 4) * RATE_HZ)

    def block_of(self, trial: int) -> str:
        return f"block {trial // (self.n_trials // self.n_blocks) + 1}"


def signal_of(script: Script) -> np.ndarray:
    """Noise, an alpha rhythm behind, a mu rhythm that falls opposite the imagined hand."""
    n = script.n_times
    signal = noise(len(NAMES), n, script.seed)
    time_s = np.arange(n) / RATE_HZ
    rng = np.random.default_rng(script.seed + 1)
    wander = np.cumsum(rng.standard_normal((2, n)), axis=1) * 0.02
    places = np.array([scalp_position_m(name) for name in NAMES])
    spread = {
        source: np.exp(-(np.linalg.norm(places - scalp_position_m(source), axis=1) ** 2) / 0.0016)
        for source in ("C3", "C4", "Pz")
    }
    alpha = 9 * np.sin(2 * np.pi * 9.6 * time_s + wander[0])
    signal += (spread["Pz"][:, None] * alpha).astype(np.float32)
    for source, hand, phase in (("C3", "right", 0.0), ("C4", "left", 1.0)):
        strength = np.full(n, 14.0)
        for cue_s, label in zip(script.cue_s, script.labels, strict=True):
            depth = 0.65 if label == hand else 0.15
            during = (time_s > cue_s + 0.6) & (time_s < cue_s + 4.6)
            strength[during] *= 1 - depth
        strength = np.convolve(strength, np.hanning(101) / np.hanning(101).sum(), "same")
        rhythm = strength * np.sin(2 * np.pi * 11 * time_s + wander[1] + phase)
        signal += (spread[source][:, None] * rhythm).astype(np.float32)
    bad = NAMES.index(script.noisy)
    late = time_s > script.noisy_from_s
    signal[bad, late] += 60 * rng.standard_normal(late.sum()).astype(np.float32)
    signal[NAMES.index("T8"), round(60 * RATE_HZ) : round(200 * RATE_HZ)] = 0.0
    return signal


def turns_of(script: Script, armed: list[tuple[float, float]]) -> list[Turn]:
    """Five decisions a second: mostly right during a trial, neutral where signal was lost."""
    rng = np.random.default_rng(script.seed + 2)
    found = []
    step = round(0.2 * RATE_HZ)
    for stop in range(round(2 * RATE_HZ), script.n_times, step):
        first, at_s = stop - round(2 * RATE_HZ), stop / RATE_HZ
        due_ns = START_NS + round(at_s * 1e9)
        hole = any(first < b and a < stop for a, b in script.lost)
        trial = int(np.searchsorted(script.cue_s, at_s - 1.0)) - 1
        since_s = at_s - script.cue_s[trial] if trial >= 0 else math.inf
        lean = 0.6 if since_s < 5.5 else 0.0
        if trial % 7 == 3:
            lean *= -1  # every seventh trial goes wrong
        towards = 1 if trial >= 0 and script.labels[trial] == "right" else -1
        logit = towards * lean * 3 + rng.normal(0, 0.7)
        p = 1 / (1 + math.exp(-logit))
        unsure = max(p, 1 - p) < 0.6
        label = None if hole or unsure else CLASSES[p > 0.5]
        allowed = any(a <= at_s < b for a, b in armed)
        late_ms = 60.0 if rng.random() < 0.004 else float(rng.gamma(3, 1.2))
        stages_ms = (0.3, 0.5, 0.05, 3 + late_ms, 0.2, 0.05, 0.1)
        marks = [due_ns]
        for stage_ms in stages_ms:
            marks.append(marks[-1] + round(stage_ms * 1e6))
        probabilities = np.array([math.nan] * 2 if hole else [1 - p, p])
        reason = "the window touches lost samples" if hole else "not sure enough" if unsure else ""
        found.append(
            Turn(
                decision=Decision(
                    classes=CLASSES,
                    probabilities=probabilities,
                    label=label,
                    reason=reason,
                    first_sample=first,
                    stop_sample=stop,
                    epoch=0 if at_s < 210 else 1,
                ),
                command=Command(label=label if allowed else None, strength=0.8),
                times=StageTimes(
                    due_ns=marks[0],
                    arrived_ns=marks[1],
                    conditioned_ns=marks[2],
                    cut_ns=marks[3],
                    encoded_ns=marks[4],
                    decided_ns=marks[5],
                    fed_back_ns=marks[6],
                    acted_ns=marks[7],
                ),
            )
        )
    return found


def at_ns(second_s: float) -> int:
    """The loop's clock at a second of the session."""
    return START_NS + round(second_s * 1e9)


def events_of(script: Script, turns: list[Turn], stop_s: float) -> list[Event]:
    """The guard's life, the gaps, a lost source, late decisions, a promotion."""

    def told(kind: EventKind, second_s: float, text: str, count: int = 0) -> Event:
        sample = round(second_s * RATE_HZ)
        return Event(kind=kind, text=text, sample=sample, count=count, at_ns=at_ns(second_s))

    found = [
        told(EventKind.GUARD, 0.0, "The guard is disarmed."),
        told(EventKind.GUARD, 6.0, "The guard went from disarmed to armed."),
        told(EventKind.GUARD, stop_s, "The guard went from armed to stopped."),
        told(EventKind.GUARD, stop_s + 14, "The guard went from stopped to disarmed."),
        told(EventKind.GUARD, stop_s + 17, "The guard went from disarmed to armed."),
        told(EventKind.PROMOTED, 210.0, "Weights of epoch 1 decide from here on."),
        told(EventKind.SOURCE_LOST, 208.0, "The stream 'made-up' is gone; looking for it."),
        told(EventKind.SOURCE_BACK, 209.2, "The stream 'made-up' is back."),
    ]
    for first, stop in script.lost:
        text = f"{stop - first} samples were lost."
        found.append(told(EventKind.GAP, stop / RATE_HZ, text, stop - first))
    for turn in turns:
        took_ms = (turn.times.acted_ns - turn.times.due_ns) / 1e6
        if took_ms > 40:
            text = f"A decision came {took_ms - 40:.1f} ms after its deadline."
            found.append(told(EventKind.MISSED, turn.decision.stop_sample / RATE_HZ, text, 1))
    return sorted(found, key=lambda event: event.at_ns)


def card_of(spec: StreamSpec, task: str = "motor_imagery", classes=CLASSES) -> Card:
    """A model's card with the scores that fitting leaves in it."""
    return Card(
        task=task,
        classes=classes,
        encoder="filterbank_covariance",
        adapter="linear",
        encoder_config={"n_components": 12},
        adapter_config={},
        conditioning={},
        input=CardInput.of(spec),
        conditioned_rows=spec.channel_names,
        window=CardWindow(length_s=2.0, step_s=0.2, n_times=500),
        reference="average",
        band=(8.0, 30.0),
        trained_on=(CardData(data_id="x", name="calibration run 1", seconds=300.0, n_trials=38),),
        scores={
            "n_trials": 38,
            "cross_validation": {
                "n": 38, "n_correct": 29, "accuracy": 29 / 38, "interval": [0.608, 0.870],
                "chance": 0.5, "p_value": 0.00083, "kappa": 0.53,
            },
            "leave_one_recording_out": {
                "n": 38, "n_correct": 27, "accuracy": 27 / 38, "interval": [0.552, 0.830],
                "chance": 0.5, "p_value": 0.007,
            },
        },
        versions={"diverloop": "0.1.0"},
        created_utc="2026-11-20T09:12:44+00:00",
        weights_sha256="e67f61a014bf5c0aa4520bd8bdda5bd58125162580ecc7a5e24aab8632536d4d",
    )  # fmt: skip


def wilson(right: int, n: int) -> tuple[float, float]:
    """95 % score interval."""
    if not n:
        return (0.0, 1.0)
    z, share = 1.959964, right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def score_of(name: str, trials: list[Judged]) -> Score:
    """Score trials as whoever calls the report would."""
    answered = [trial for trial in trials if trial.predicted is not None]
    right, n = sum(t.predicted == t.cue for t in answered), len(answered)
    p_value = sum(math.comb(n, k) for k in range(right, n + 1)) / 2**n
    share = right / n if n else 0.0
    entropy = sum(-p * math.log2(p) for p in (share, 1 - share) if p)
    return Score(
        name=name,
        n=n,
        n_correct=right,
        accuracy=share,
        interval=wilson(right, n),
        chance=0.5,
        p_value=p_value,
        n_abstained=len(trials) - n,
        itr_bits_per_min=max(0.0, (1 - entropy) * 60 / 9) if share > 0.5 else 0.0,
    )


def performance_of(script: Script, turns: list[Turn]) -> Performance:
    """Majority of the decisions of every trial against its cue."""
    trials, sure, right = [], [], []
    for number, (cue_s, label) in enumerate(zip(script.cue_s, script.labels, strict=True)):
        during = [
            turn.decision
            for turn in turns
            if cue_s + 2 <= turn.decision.stop_sample / RATE_HZ < cue_s + 5
        ]
        named = [d.label for d in during if d.label is not None]
        predicted = max(set(named), key=named.count) if len(named) >= 6 else None
        trials.append(
            Judged(
                cue=label,
                predicted=predicted,
                onset_sample=round(cue_s * RATE_HZ),
                block=script.block_of(number),
            )
        )
        sure += [float(d.probabilities.max()) for d in during if d.label is not None]
        right += [d.label == label for d in during if d.label is not None]
    names = list(dict.fromkeys(trial.block for trial in trials))
    edges = np.linspace(0.6, 1, 6)
    place = np.clip(np.digitize(sure, edges) - 1, 0, 4)
    bins = [
        ReliabilityBin(
            confidence=float(np.mean(np.array(sure)[place == k])),
            share_right=float(np.mean(np.array(right)[place == k])),
            n=int((place == k).sum()),
        )
        for k in range(5)
        if (place == k).any()
    ]
    return Performance(
        overall=score_of("all blocks", trials),
        blocks=tuple(score_of(n, [t for t in trials if t.block == n]) for n in names),
        reliability=tuple(bins),
        trials=tuple(trials),
    )


def full_session(folder: Path, script: Script | None = None) -> tuple[Record, Performance]:
    """The whole made-up session."""
    script = script or Script()
    spec = stream()
    path = folder / "session.xdf"
    path.write_bytes(b"not read by the report but for its hash")
    end_s = script.n_times / RATE_HZ
    stop_s = min(300.0, 0.75 * end_s)
    turns = turns_of(script, [(6.0, stop_s), (stop_s + 17, end_s)])
    record = Record(
        path=path,
        spec=spec,
        n_times=script.n_times,
        chunks=chunks_of(signal_of(script), script.lost),
        manifest=Manifest(
            session="motor imagery, week 2",
            settings={
                "session": {"name": "motor imagery, week 2"},
                "loop": {"deadline_s": 0.04, "stale_s": 0.25},
                "feedback": {"select_at": 0.8, "dwell_s": 0.5},
            },
            model_sha256="0d9c7c1be2a9457ab3c1f1c0f2e9b9a1d3f4c5b6a798877665544332211ffeed",
            live=True,
            started_utc="2026-11-22T10:12:03.123456+00:00",
            started_ns=START_NS,
            participant="P-014",
            operator="OP-2",
            versions={"diverloop": "0.1.0", "numpy": "2.4.6"},
            machine={"system": "Linux 6.1", "processor": "x86_64", "cores": "8"},
        ),
        card=card_of(spec),
        markers=tuple(
            Marker(label=label, sample=round(cue_s * RATE_HZ))
            for cue_s, label in zip(script.cue_s, script.labels, strict=True)
        ),
        turns=tuple(turns),
        events=tuple(events_of(script, turns, stop_s)),
        notes=(
            Note(text="Eyes closed for the first minute", who="OP-2", at_ns=at_ns(3)),
            Note(text="Participant coughs, T8 loose", who="OP-2", at_ns=at_ns(61)),
            Note(text="Asked for a break <5 min>, stop pressed", who="OP-2", at_ns=at_ns(stop_s)),
        ),
        start_ns=START_NS,
        remarks=("The file ends without its footer: the last 0.3 s may be missing.",),
    )
    return record, performance_of(script, turns)


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> tuple[Record, Performance]:
    """A full session, made once."""
    return full_session(tmp_path_factory.mktemp("record"))


@pytest.fixture
def bare_record(tmp_path) -> Callable[..., Record]:
    """A maker of records with a signal and nothing else, as another program leaves them."""
    path = tmp_path / "foreign.xdf"
    path.write_bytes(b"foreign")

    def make(signal: np.ndarray, *, spec: StreamSpec | None = None, lost=(), **other) -> Record:
        spec = spec or stream(NAMES[: len(signal)])
        n_times = signal.shape[1]
        return Record(
            path=path, spec=spec, n_times=n_times, chunks=chunks_of(signal, lost), **other
        )

    return make
