"""Does it keep silent when it should, and is what it promises kept? As JSON.

    DIVERLOOP_DATA=... python tests/bench/abstention.py [--part all|selective|faults|events]

``selective``: a model is fitted on some runs as `diverloop.calibration.fit_model` does it (motor
imagery and execution of EEGMMIDB S001; conditioned by the loop, filter-bank covariance, logistic
regression, temperature from held-out trials), or by a time course and a linear discriminant (key
presses of sp1s; flashes of g.tec). Thresholds are taken from its held-out trials, and other runs
are judged. ``across runs`` is the same model with temperature and thresholds from trials that were
decoded by a model of the other calibration run, instead of other blocks of time. ``gain_80`` is the
accuracy of the surest 80 % of trials less that of all; ``conformal`` the error among decided trials
for each promise, null without a threshold, and what share is decided; ``sets`` how many prediction
sets hold the truth; ``ece`` before and after the temperature, with what a perfect predictor would
show on as few trials; ``go_no_go`` the verdict on the calibration.

``faults``: the signal of imagery run 8 is spoilt before it is conditioned, and passes the same
stages as a live one: bad-channel detection, masks, encoder, adapter. ``auroc`` is the area under
the curve of `Outliers`' distance, spoilt against recorded windows of runs 8 and 10; ``output`` is
the share of spoilt windows on which a class is answered: by the adapter alone, with `Outliers`,
with the threshold of the mean promise at 0.2 as well, and if two of three windows must agree on
top. Rows that the bad-channel detection has masked are not looked at: a fault that was masked is no
longer there to be far. Windows without an embedding (the encoder refuses flat lines) are answered
by nobody; ``auroc`` counts them as infinitely far. ``refused`` are recorded windows that are too
far: of the last third of calibration with limits from its first two thirds, and of the other runs.

``events``: rest and movement as asynchronous use. Windows of 2 s every 0.1 s of runs 8 and 10, a
class is any movement, rest is idle. The threshold is picked on the calibration runs, decoded by
models that have not seen the run in question.

Nothing was chosen on what is reported: margin, components and tail of `Outliers` were chosen on
execution runs 3, 5 (fit) and 7, 9 (judged), whose faults are not reported here. Execution counts in
``selective``, where there was nothing to choose. ``across runs`` was added after a look at what is
reported: thresholds from blocks of time had broken their promise on later runs.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import confidence_cases as cases
import numpy as np
from decoding_tasks import load_task
from numpy.typing import NDArray

from diverloop.adapters.agreement import Agreement, AgreementConfig
from diverloop.adapters.calibration import fit_temperature
from diverloop.adapters.choosing import Candidate, Fitted, choose
from diverloop.adapters.conformal import ConformalConfig, ConformalSets, selective_threshold
from diverloop.adapters.cross_validation import CrossValidation, FitConfig
from diverloop.adapters.event_scores import (
    EventRun,
    Stretch,
    activations_of,
    event_curve,
    event_scores,
    nmcc,
)
from diverloop.adapters.folds import Trials, recording_folds
from diverloop.adapters.linear import LinearAdapter
from diverloop.adapters.outliers import Outliers, noise_like
from diverloop.adapters.permutation import go_no_go, permute_accuracy, permute_auc
from diverloop.adapters.rates import auc, auc_interval, selective_gain
from diverloop.adapters.reliability import calibration_error
from diverloop.adapters.weights import Reading
from diverloop.fit_plan import FitPlan
from diverloop.gathering import Gathered, gather
from diverloop.hardware.recordings import Recording, read_recording
from diverloop.hardware.replay import ReplayConfig, ReplaySource
from diverloop.runtime.catalog import find
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.collection import Collected, TrialSpan, collect
from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import StreamSpec, Window
from diverloop.runtime.prototype_head import softmax
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.training_sources import TrainingSource

Floats = NDArray[np.float64]
FISTS_FEET, LEFT_RIGHT = ("both_fists", "both_feet"), ("left_fist", "right_fist")
STOP_S = 4.1


# --- models --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a calibration made, with what it saw."""

    gathered: Gathered
    fitted: Fitted[Any]
    windows: Floats
    places: NDArray[np.int64]

    def heard(self, recording: Recording, step_s: float = 0.5) -> Collected:
        """Windows inside trials of another recording, conditioned as the model's own."""
        plan, clock = self.gathered.plan, VirtualClock()
        return collect(
            source(recording, clock),
            StreamConditioner(plan.conditioning, self.gathered.arrays),
            clock,
            window=replace(plan.window, step_s=step_s),
            span=plan.span,
        )


def source(recording: Recording, clock: Any) -> ReplaySource:
    """A recording in memory."""
    return ReplaySource(ReplayConfig(path="memory", chunk_s=0.1), clock, recording)


def runs(data: Path, names: tuple[str, ...], *, moves: bool = False) -> list[Recording]:
    """Runs of EEGMMIDB; with `moves` every movement has the same name."""
    found = []
    for name in names:
        one = read_recording(data / f"mi/eegmmidb_S001_R{name}.npz", assume_unit="uV")
        if moves:
            marks = [replace(m, label="rest" if m.label == "rest" else "move") for m in one.markers]
            one = replace(one, markers=tuple(marks))
        found.append(one)
    return found


def fit(recordings: list[Recording], classes: tuple[str, ...]) -> Model:
    """As `fit_model` does it, and with its held-out trials."""
    sources = [
        TrainingSource(name=str(n), data_id=str(n), make=lambda clock, r=r: source(r, clock))
        for n, r in enumerate(recordings)
    ]
    plan = FitPlan(span=TrialSpan(classes=classes, stop_s=STOP_S))
    gathered = gather(sources, plan, lambda what, done, of: None)
    parts = gathered.parts
    windows = np.concatenate([part.windows for part in parts])
    places = np.repeat(np.arange(len(parts)), [len(part.labels) for part in parts])
    encoder = find("encoder", plan.encoder)
    settings = encoder.Config(n_bands=len(plan.conditioning.bands_hz))
    trials = Trials.of(
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.cues for part in parts]),
        places,
        n_windows=len(windows),
    )
    candidate = Candidate(
        name=plan.encoder,
        windows=windows,
        trials=trials,
        fit_encoder=lambda some, labels: encoder.fit(some, labels, settings),
        config=FitConfig(),
    )
    fitted = choose([candidate], progress=lambda done, of: None).fitted
    return Model(gathered=gathered, fitted=fitted, windows=windows, places=places)


class TimeCourse:
    """Averages over 50 ms of every channel, less the window's first fifth."""

    def encode_many(self, windows: Floats) -> Floats:
        """Features, shape (n_windows, n_channels * n_bins)."""
        n_bins = windows.shape[2] // 25
        bins = windows[:, :, : n_bins * 25].reshape(*windows.shape[:2], n_bins, 25).mean(axis=3)
        bins = bins - bins[:, :, : max(1, n_bins // 5)].mean(axis=2, keepdims=True)
        return np.asarray(bins.reshape(len(bins), -1), dtype=np.float64)


# --- selective decisions -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Probabilities of held-out calibration trials and of other runs, and their truth."""

    calibration: Floats
    calibration_truth: NDArray[np.intp]
    blocks: list[Any]
    raw: Floats
    temperature: float
    truth: NDArray[np.intp]
    windows: Floats
    windows_truth: NDArray[np.intp]

    @property
    def later(self) -> Floats:
        """Probabilities of the judged trials."""
        return softmax(self.raw / self.temperature)


def across_runs(model: Model) -> tuple[Floats, float]:
    """Scores of every calibration trial by a model of the other runs, and their temperature."""
    fitted, plan = model.fitted, model.gathered.plan
    encoder = find("encoder", plan.encoder)
    settings = encoder.Config(n_bands=len(plan.conditioning.bands_hz))
    again = CrossValidation(
        model.windows,
        fitted.trials,
        lambda some, labels: encoder.fit(some, labels, settings),
        FitConfig(costs=(fitted.report["cost"],)),
    )
    scores = again.predict(recording_folds(fitted.trials))
    return scores, fit_temperature(scores, fitted.trials.targets)


def judged_runs(model: Model, recordings: list[Recording], *, across: bool = False) -> Judged:
    """A model of runs, on other runs; with `across` it learns from runs that were left out."""
    fitted = model.fitted
    heard = [model.heard(one).whole() for one in recordings]
    places = np.repeat(np.arange(len(heard)), [len(one.labels) for one in heard])
    trials = Trials.of(
        np.concatenate([one.labels for one in heard]),
        np.concatenate([one.cues for one in heard]),
        places,
        n_windows=len(places),
    )
    features = fitted.encoder.encode_many(np.concatenate([one.windows for one in heard]))
    scores = fitted.adapter.scores(features)
    raw = [scores[trials.of_window == t].mean(axis=0) for t in range(len(trials.labels))]
    held_out, temperature = fitted.held_out, float(fitted.adapter.to_arrays()["temperature"][0])
    if across:
        held_out, temperature = across_runs(model)
    return Judged(
        calibration=softmax(held_out / temperature),
        calibration_truth=fitted.trials.targets,
        blocks=list(fitted.trials.recordings),
        raw=np.array(raw),
        temperature=temperature,
        truth=trials.targets,
        windows=softmax(scores / temperature),
        windows_truth=trials.targets[trials.of_window],
    )


def judged_task(name: str, data: Path) -> Judged:
    """A task of `decoding_tasks` by time course and linear discriminant."""
    task = load_task(name, data)
    encoder, config = TimeCourse(), FitConfig(classifier="lda", priors="observed")
    labels = np.array(task.classes)[task.y_train]
    trials = Trials.of(labels, np.arange(len(labels)), None, n_windows=len(labels))
    candidate = Candidate(
        name="time course",
        windows=task.windows_train.astype(np.float64),
        trials=trials,
        fit_encoder=lambda some, known: encoder,
        config=config,
    )
    fitted = choose([candidate], progress=lambda done, of: None).fitted
    adapter: LinearAdapter = fitted.adapter
    raw = adapter.scores(encoder.encode_many(task.windows_test.astype(np.float64)))
    temperature = float(adapter.to_arrays()["temperature"][0])
    truth = np.searchsorted(fitted.trials.classes, np.array(task.classes)[task.y_test])
    return Judged(
        calibration=softmax(fitted.held_out / temperature),
        calibration_truth=fitted.trials.targets,
        blocks=(task.groups_train // 2).tolist() if task.score == "auc" else [0] * len(labels),
        raw=raw,
        temperature=temperature,
        truth=truth,
        windows=softmax(raw / temperature),
        windows_truth=truth,
    )


def selective(one: Judged) -> dict[str, Any]:
    """All that `selective` reports of one model."""
    later, right = one.later, one.later.argmax(axis=1) == one.truth
    report = permute_accuracy(one.calibration_truth, one.calibration.argmax(axis=1), one.blocks)
    found: dict[str, Any] = {
        "fit_trials": len(one.calibration),
        "judged_trials": len(right),
        "accuracy": float(right.mean()),
        "gain_80": selective_gain(later.max(axis=1), right).as_dict(),
        "temperature": one.temperature,
        "ece": {
            "before": calibration_error(softmax(one.raw), one.truth, n_resamples=300).as_dict(),
            "after": calibration_error(later, one.truth, n_resamples=300).as_dict(),
        },
        "conformal": {},
        "sets": {},
        "go_no_go": go_no_go(report).sentence,
    }
    for alpha in (0.1, 0.2):
        for promise in ("mean", "sure"):
            config = ConformalConfig(alpha=alpha, promise=promise)
            found["conformal"][f"{promise} {alpha}"] = kept(one, config)
        for kind in ("lac", "aps"):
            sets = ConformalSets.fit(
                one.calibration, one.calibration_truth, alpha=alpha, kind=kind
            ).sets(later)
            held = sets[np.arange(len(right)), one.truth].mean()
            single = (sets.sum(axis=1) == 1).mean()
            found["sets"][f"{kind} {alpha}"] = {"held": float(held), "one_class": float(single)}
    return found


def kept(one: Judged, config: ConformalConfig) -> dict[str, Any]:
    """Whether a promise is kept on other runs, by trials and by their single windows."""
    chosen = selective_threshold(one.calibration, one.calibration_truth, config)
    if chosen.threshold is None:
        return {"threshold": None}
    found: dict[str, Any] = {"threshold": chosen.threshold, "coverage_fit": chosen.coverage}
    for name, said, truth in (
        ("trials", one.later, one.truth),
        ("windows", one.windows, one.windows_truth),
    ):
        decided = said.max(axis=1) >= chosen.threshold
        wrong = said.argmax(axis=1)[decided] != truth[decided]
        found[name] = {
            "decided": float(decided.mean()),
            "error": float(wrong.mean()) if len(wrong) else math.nan,
            "n_decided": int(decided.sum()),
        }
    return found


def pooled(parts: list[Judged]) -> dict[str, Any]:
    """Gain and calibration error of all models together; promises are kept by each on its own."""
    sure = np.concatenate([part.later.max(axis=1) for part in parts])
    right = np.concatenate([part.later.argmax(axis=1) == part.truth for part in parts])
    before = np.concatenate([softmax(part.raw).max(axis=1) for part in parts])
    found: dict[str, Any] = {
        "n": len(right),
        "accuracy": float(right.mean()),
        "gain_80": selective_gain(sure, right).as_dict(),
        "ece_before": calibration_error(before, right, n_resamples=300).as_dict(),
        "ece_after": calibration_error(sure, right, n_resamples=300).as_dict(),
    }
    for alpha in (0.1, 0.2):
        for promise in ("mean", "sure"):
            got = [kept(part, ConformalConfig(alpha=alpha, promise=promise)) for part in parts]
            counts = [one["trials"] for one in got if one["threshold"] is not None]
            n = sum(one["n_decided"] for one in counts)
            wrong = sum(one["error"] * one["n_decided"] for one in counts if one["n_decided"])
            found[f"{promise} {alpha}"] = {
                "models_with_threshold": f"{len(counts)} of {len(parts)}",
                "n_decided": n,
                "error": wrong / n if n else math.nan,
            }
    return found


def part_selective(data: Path, shared: Callable[[], Model]) -> dict[str, Any]:
    """Every model; motor tasks together, and flashes together."""
    motor = {
        "imagery, move or rest": judged_runs(shared(), runs(data, ("08", "10"), moves=True)),
        "imagery, move or rest, across runs": judged_runs(
            shared(), runs(data, ("08", "10"), moves=True), across=True
        ),
        "imagery, four classes": judged_runs(
            fit(runs(data, ("04", "06")), LEFT_RIGHT + FISTS_FEET), runs(data, ("08", "10"))
        ),
        "imagery, fists or feet": judged_runs(
            fit(runs(data, ("06",)), FISTS_FEET), runs(data, ("10",))
        ),
        "execution, fists or feet": judged_runs(
            fit(runs(data, ("05",)), FISTS_FEET), runs(data, ("09",))
        ),
        "key press": judged_task("key-press", data),
    }
    flashes = {name: judged_task(f"p300-gtec/{name}", data) for name in ("G1", "G2", "G3")}
    found = {name: selective(one) for name, one in (motor | flashes).items()}
    for name, one in flashes.items():
        area = auc_interval(one.later[:, 1], one.truth == 1)
        test = permute_auc(one.calibration_truth == 1, one.calibration[:, 1], one.blocks)
        found[name] |= {"auc": area.as_dict(), "go_no_go": go_no_go(test).sentence}
    return {
        "models": found,
        "motor, all": pooled([one for name, one in motor.items() if "across" not in name]),
        "flashes, all": pooled(list(flashes.values())),
    }


# --- faults --------------------------------------------------------------------------------------


def montage(rng: np.random.Generator, take: cases.Take) -> Floats:
    """Every plug in a wrong socket."""
    return take.raw[cases.derangement(rng, len(take.raw))]


def saturated(rng: np.random.Generator, take: cases.Take) -> Floats:
    """Clipped at 200 uV after a gain that is thirty times too large."""
    return np.clip(30 * take.raw, -200, 200)


def flat(rng: np.random.Generator, take: cases.Take) -> Floats:
    """Nothing but zeros."""
    return np.zeros_like(take.raw)


def seizure(rng: np.random.Generator, take: cases.Take) -> Floats:
    """Spike and wave three times a second, 300 uV, everywhere at another strength."""
    phase = 3 * np.arange(take.raw.shape[1]) / take.rate_hz % 1
    spike = 300 * np.exp(-(((phase - 0.15) / 0.03) ** 2))
    wave = -150 * np.sin(2 * np.pi * phase) * (phase > 0.3)
    return np.asarray(take.raw + rng.uniform(0.3, 1, (len(take.raw), 1)) * (spike + wave))


FAULTS = {
    name: cases.CASES[name]
    for name in ("white_noise", "pink_noise", "disconnected", "half_floating", "emg_burst")
} | {
    "gain_10x": cases.gain_10x,
    "wrong_montage": montage,
    "saturated": saturated,
    "seizure": seizure,
    "flat": flat,
    "emg_burst_1x (not gross)": cases.CASES["emg_burst_1x (not gross)"],
}


def part_faults(data: Path, shared: Callable[[], Model]) -> dict[str, Any]:
    """Faults in run 8, judged by a model of runs 4 and 6."""
    model = shared()
    encoder, adapter = model.fitted.encoder, model.fitted.adapter
    own = encoder.encode_many(model.windows)
    noise = encoder.encode_many(noise_like(model.windows))
    outliers = Outliers.fit(own, model.places, noise=noise)
    temperature = float(adapter.to_arrays()["temperature"][0])
    tau = selective_threshold(
        softmax(model.fitted.held_out / temperature),
        model.fitted.trials.targets,
        ConformalConfig(alpha=0.2),
    ).threshold
    recordings = runs(data, ("08", "10"), moves=True)
    recorded = np.concatenate(
        [encoder.encode_many(model.heard(each).whole().windows) for each in recordings]
    )
    early = np.arange(len(own)) < 2 * len(own) // 3
    within = Outliers.fit(own[early], model.places[early], noise=noise[early])
    usual = outliers.distances(recorded)
    rng, take = np.random.default_rng(1), cases.load(data / "mi/eegmmidb_S001_R08.npz", 60.0)
    found: dict[str, Any] = {}
    start = time.perf_counter()
    for each in own[:100]:
        outliers.distance(each)
    cost_us = 1e4 * (time.perf_counter() - start)
    for name, make in FAULTS.items():
        spoilt = replace(recordings[0], samples=make(rng, take).astype(np.float32))
        found[name] = output(model, spoilt, outliers, tau, usual, adapter)
    as_it_is = output(model, recordings[0], outliers, tau, usual, adapter)
    return {
        "windows": len(own),
        "features": own.shape[1],
        "limit": outliers.limit,
        "noise_stands_apart": bool(outliers.to_arrays()["to_noise"].any()),
        "distance_us": cost_us,
        "threshold": tau,
        "refused": {
            "last third of calibration": float(
                (~(within.distances(own[~early]) <= within.limit)).mean()
            ),
            "runs 8 and 10": float((usual > outliers.limit).mean()),
        },
        "recorded, for comparison": as_it_is,
        "cases": found,
    }


def output(
    model: Model,
    recording: Recording,
    outliers: Outliers,
    tau: float | None,
    usual: Floats,
    adapter: LinearAdapter,
) -> dict[str, Any]:
    """How far the windows are, and on how many a class is answered."""
    try:
        heard = model.heard(recording)
    except RecordingError:
        return {"windows": 0, "output": "no window came through"}
    encoder = model.fitted.encoder
    n_times = heard.windows.shape[2]
    spec: StreamSpec = heard.conditioned
    encoder.open(spec, n_times)
    distances, answers = [], []
    agreement = Agreement(AgreementConfig(k=2, n=3))
    for samples, usable in zip(heard.windows, heard.usable, strict=True):
        window = Window(
            samples=samples, first_sample=0, stop_sample=n_times, due_ns=0,
            usable=None if usable.all() else usable,
        )  # fmt: skip
        embedding = encoder.encode(window)
        decision = adapter.decide(embedding, window)
        distances.append(outliers.distance(embedding.values))
        near = distances[-1] <= outliers.limit
        sure = near and (tau is None or decision.probabilities.max() >= tau)
        gated = decision if sure else replace(decision, label=None)
        agreed = agreement.advance(gated)
        said = decision.label is not None
        answers.append((said, said and near, said and sure, agreed.label is not None))
    encoder.close()
    far = np.where(np.isinf(distances), 1e9, distances)
    shares = np.mean(answers, axis=0).tolist()
    names = ("adapter alone", "with outliers", "and threshold", "and agreement")
    return {
        "windows": len(answers),
        "all_rows_usable": float(heard.usable.all(axis=1).mean()),
        "auroc": auc(np.concatenate([usual, far]), np.arange(len(usual) + len(far)) >= len(usual)),
        "output": dict(zip(names, shares, strict=True)),
    }


# --- events --------------------------------------------------------------------------------------


def part_events(data: Path, shared: Callable[[], Model]) -> dict[str, Any]:
    """Movement against rest, as it would act."""
    model = shared()
    fitted, trials = model.fitted, model.fitted.trials
    encoder = find("encoder", model.gathered.plan.encoder)
    settings = encoder.Config(n_bands=len(model.gathered.plan.conditioning.bands_hz))
    cost = fitted.report["cost"]
    again = CrossValidation(
        model.windows, trials, lambda w, labels: encoder.fit(w, labels, settings),
        FitConfig(costs=(cost,)),
    )  # fmt: skip
    move = trials.classes.index("move")
    temperature = float(fitted.adapter.to_arrays()["temperature"][0])
    calibration = []
    for place, recording in enumerate(runs(data, ("04", "06"), moves=True)):
        others = np.flatnonzero(np.array(trials.recordings) != place)
        blind, weights = again.fit(others, (Reading(cost=cost),))
        adapter = weights.adapter(trials.classes, FitConfig(), temperature)
        calibration.append(stream(model, recording, blind, adapter, move))
    judged = [
        stream(model, recording, fitted.encoder, fitted.adapter, move)
        for recording in runs(data, ("08", "10"), moves=True)
    ]
    levels = np.linspace(0.5, 0.99, 50)
    curve = event_curve(lambda level: [acted(*one, level) for one in calibration], levels)
    found: dict[str, Any] = {}
    for most in (2.0, 4.0, 6.0):
        level, hit_rate = curve.best_within(most)
        if math.isnan(level):
            found[f"at most {most:g} per min"] = "not reached in calibration"
            continue
        scores = event_scores([acted(*one, level) for one in judged])
        truth, said = [], []
        for recording, ends_s, sure in judged:
            truth += [asked(recording, at_s) for at_s in ends_s]
            said += ["move" if p >= level else None for p in sure]
        found[f"at most {most:g} per min"] = {
            "threshold": level,
            "hit_rate_in_calibration": hit_rate,
            **scores.as_dict(),
            "nmcc": nmcc(truth, said),
        }
    there = event_curve(lambda level: [acted(*one, level) for one in judged], levels[::7])
    roc = zip(there.thresholds, there.hit_rate, there.false_per_min, strict=True)
    return {"picked on calibration": found, "curve on judged runs": [list(one) for one in roc]}


Streamed = tuple[Recording, Floats, Floats]


def stream(model: Model, recording: Recording, encoder: Any, adapter: Any, move: int) -> Streamed:
    """Ends of windows in seconds, and the probability of a movement in each."""
    plan = model.gathered.plan
    conditioner = StreamConditioner(plan.conditioning, model.gathered.arrays)
    chunks = []
    spec, clock = conditioner.open(recording.spec), VirtualClock()
    replay = source(recording, clock)
    replay.open()
    while not replay.ended:
        chunk = replay.read(1, clock.now_ns() + 10**9)
        if chunk is not None:
            chunks.append(conditioner.process(chunk).samples)
    signal = np.concatenate(chunks, axis=1)
    length, step = (round(s * spec.rate_hz) for s in (plan.window.length_s, 0.1))
    stops = np.arange(max(length, conditioner.settle_samples), signal.shape[1], step)
    windows = np.stack([signal[:, stop - length : stop] for stop in stops])
    probabilities = adapter.probabilities(encoder.encode_many(windows.astype(np.float64)))
    return recording, stops / spec.rate_hz, probabilities[:, move]


def acted(recording: Recording, ends_s: Floats, sure: Floats, level: float) -> EventRun:
    """What it would have done: five windows in a row must agree, then nothing for 2 s."""
    labels = ["move" if p >= level else None for p in sure]
    rate_hz, end_s = recording.spec.rate_hz, float(ends_s[-1])
    cues_s = [m.sample / rate_hz for m in recording.markers if m.label == "move"]
    return EventRun(
        stretches=tuple(
            Stretch(label="move", start_s=at, stop_s=at + STOP_S + 0.5)
            for at in cues_s
            if ends_s[0] <= at and at + STOP_S + 0.5 <= end_s
        ),
        activations=activations_of(
            labels, ends_s, agreement=AgreementConfig(k=5, n=5), refractory_s=2.0
        ),
        start_s=float(ends_s[0]),
        stop_s=end_s,
    )


def asked(recording: Recording, at_s: float) -> str | None:
    """What a window that ends now should say: most of it lies in a movement, or it does not."""
    rate_hz = recording.spec.rate_hz
    cues_s = [m.sample / rate_hz for m in recording.markers if m.label == "move"]
    return "move" if any(cue + 1.5 <= at_s <= cue + STOP_S + 0.5 for cue in cues_s) else None


def rounded(found: Any) -> Any:
    """To three places, NaN as null."""
    if isinstance(found, dict):
        return {key: rounded(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [rounded(value) for value in found]
    if isinstance(found, float | np.floating):
        return None if math.isnan(found) else round(float(found), 3)
    return found


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=("all", "selective", "faults", "events"), default="all")
    part, data = parser.parse_args().part, Path(os.environ["DIVERLOOP_DATA"])
    made: list[Model] = []

    def shared() -> Model:
        """Imagery of any movement or rest, runs 4 and 6; fitted when first asked for."""
        if not made:
            made.append(fit(runs(data, ("04", "06"), moves=True), ("move", "rest")))
        return made[0]

    parts = {"selective": part_selective, "faults": part_faults, "events": part_events}
    found = {name: make(data, shared) for name, make in parts.items() if part in ("all", name)}
    print(json.dumps(rounded(found), indent=1))


if __name__ == "__main__":
    main()
