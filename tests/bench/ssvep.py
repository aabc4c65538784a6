"""How well attended flicker is decoded, without and with a calibration, as JSON.

    DIVERLOOP_DATA=/path/to/recordings python tests/bench/ssvep.py [--part untrained]

Parts are `untrained`, `calibrated`, `muse` and `locked`; all of them if none is named.

All signal passes through the product's causal conditioner, from the first sample of a recording to
the last, and is cut afterwards: high-pass 3 Hz and mains notch, second order; beside it bands of
2 Hz around every frequency and its double. Windows of SSVEP-exo begin 2 s after the cue, where the
flicker is steady in every subject, those of the Muse 0.3 s after it.

SSVEP-exo are the subjects X01 X03 X04 X07 X10 X12 with 13, 17 and 21 Hz.

- `untrained`: three frequencies, every window of every run, nothing is fitted. Beside the product's
  encoder stand plain canonical correlation on the same windows, and the filter bank with its
  sub-bands cut by the conditioner's causal filters. How many sub-bands (of 3, 5, 6, 7), how many
  harmonics (3, 4, 5) and the high-pass were compared on all but the last run of each subject, at 1
  and 2 s, so `last_run` holds the figures that nothing was chosen on. The product's temperature
  follows those fitted on the same earlier runs at 1 to 3 s; both are judged on the last.
- `calibrated`: fitted on the earlier runs, judged on the last, with three classes and with rest as
  a fourth. `joined` is the product's first way: scores of the filter bank and covariances around
  each flicker (`FlickerCovariance`), each read by itself, log-odds averaged; `fbcca` its second.
  `chosen` is the one that is taken by cross-validation inside the earlier runs
  (`diverloop.adapters.choosing.preferred`); temperatures come from there too. Width, shrinkage and
  harmonics of the covariances were compared in folds of the earlier runs alone. `side_by_side`
  puts both sets of features in front of one reader, `covariance` is the second part alone, and
  `narrow_covariance` the covariance of bands of 2 Hz that the conditioner filters, which ring with
  what came before the window. Beside them minimum distance to Riemannian mean on the three bands
  (Kalunga 2016), plain and re-centred; re-centring takes the mean of the whole last run, without
  labels, which no causal system could know. With three classes the untrained encoder is judged on
  the same run.

*muse*: subject V1, 30 against 20 Hz, with and without the auxiliary electrode; `calibrated` is
fitted on runs 1 and 2 and judged on 3 and 4.

*locked*: simulated participants whose flicker begins with its marker: task-related components after
three blocks, beside the filter bank, at strengths where neither is always right. Its last entry is
the same encoder on SSVEP-exo, whose flicker runs on by itself: chance is what is expected.

Intervals are percentile bootstraps at 95 %, over trials for a subject and over subjects for a mean.
Bits per minute count the window and half a second to look elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diverloop.adapters.calibration import fit_temperature, soften
from diverloop.adapters.choosing import Candidate, preferred
from diverloop.adapters.cross_validation import CrossValidation, FitConfig
from diverloop.adapters.folds import Trials, contiguous_folds
from diverloop.adapters.reliability import calibration_error
from diverloop.adapters.scores import bootstrap_ci, information_transfer_rate
from diverloop.adapters.ssvep import untrained_temperature
from diverloop.decoders.fbcca import FilterBankCca, FilterBankCcaConfig
from diverloop.decoders.filterbank_covariance import (
    FilterbankCovariance,
    FilterbankCovarianceConfig,
)
from diverloop.decoders.flicker_covariance import FlickerCovariance, FlickerCovarianceConfig
from diverloop.decoders.trca import TaskRelatedComponents, TaskRelatedComponentsConfig
from diverloop.hardware.recordings import read_recording
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.messages import Channel, Chunk, Marker, StreamSpec, Window
from diverloop.runtime.paradigms.flicker import frequency_of
from diverloop.runtime.prototype_head import softmax
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner

RUNS = {"X01": 2, "X03": 2, "X04": 2, "X07": 2, "X10": 4, "X12": 3}
EXO_HZ, MUSE_HZ = (13.0, 17.0, 21.0), (20.0, 30.0)
LENGTHS_S = (1.0, 2.0, 3.0)
SUB_BANDS_HZ = tuple((low, 88.0) for low in (8.0, 16.0, 24.0, 32.0, 40.0))
LOOK_ELSEWHERE_S = 0.5

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Windows of one subject, each (n, n_rows, n_times) with the same rows of time.

    `offset_s` is from the first possible window of a trial to this one: 0 for those that count.
    """

    broad: Floats
    narrow: Floats
    filtered: Floats
    labels: NDArray[np.str_]
    runs: NDArray[np.int64]
    trials: NDArray[np.int64]
    offset_s: Floats
    rate_hz: float

    def of(self, rows: NDArray[np.bool_]) -> Cut:
        """Some of the windows."""
        parts = {n: getattr(self, n)[rows] for n in Cut.__slots__ if n != "rate_hz"}
        return Cut(**parts, rate_hz=self.rate_hz)

    @property
    def frequencies_hz(self) -> tuple[float, ...]:
        """Those that the labels name."""
        named = {frequency_of(label) for label in self.labels.tolist()}
        return tuple(sorted(one for one in named if one is not None))


@dataclass(frozen=True, slots=True)
class _Stream:
    broad: Floats
    narrow: Floats
    filtered: Floats
    markers: Sequence[Marker]
    rate_hz: float


def _conditioned(samples: Floats, spec: StreamSpec, **settings: Any) -> Floats:
    conditioner = StreamConditioner(ConditionConfig(order=2, **settings))
    conditioner.open(spec)
    chunk = Chunk(samples=np.nan_to_num(samples), first_sample=0, arrived_ns=0)
    return conditioner.process(chunk).samples.astype(np.float64)


def _stream(
    path: Path, line_hz: float, frequencies_hz: Sequence[float], pick: tuple[str, ...]
) -> _Stream:
    recording = read_recording(path, assume_unit="uV")
    spec = recording.spec
    narrow = tuple((m * f - 1, m * f + 1) for m in (1, 2) for f in frequencies_hz)
    broad, banded, filtered = (
        _conditioned(recording.samples, spec, pick=pick, line_hz=line_hz, **settings)
        for settings in (
            {"high_pass_hz": 3.0},
            {"bands_hz": narrow},
            {"bands_hz": SUB_BANDS_HZ},
        )
    )
    return _Stream(broad, banded, filtered, recording.markers, spec.rate_hz)


def _cut(
    streams: Sequence[_Stream], start_s: float, stop_s: float, length_s: float, step_s: float
) -> Cut:
    found: dict[str, list[Any]] = {n: [] for n in Cut.__slots__ if n != "rate_hz"}
    rate_hz = streams[0].rate_hz
    n_times = round(length_s * rate_hz)
    offsets = np.arange(0, stop_s - start_s - length_s + 1e-9, step_s)
    for run, stream in enumerate(streams):
        for place, marker in enumerate(stream.markers):
            for offset_s in offsets:
                first = round(marker.sample + (start_s + offset_s) * rate_hz)
                if first + n_times > stream.broad.shape[1]:
                    continue
                for name in ("broad", "narrow", "filtered"):
                    found[name].append(getattr(stream, name)[:, first : first + n_times])
                found["labels"].append(marker.label)
                found["runs"].append(run)
                found["trials"].append(1000 * run + place)
                found["offset_s"].append(offset_s)
    return Cut(**{name: np.array(values) for name, values in found.items()}, rate_hz=rate_hz)


# --- ways to decode ------------------------------------------------------------------------------


def _fbcca(cut: Cut, **settings: Any) -> FilterBankCca:
    config = FilterBankCcaConfig(rate_hz=cut.rate_hz, frequencies_hz=cut.frequencies_hz, **settings)
    return FilterBankCca.untrained(config, cut.broad.shape[1])


def _largest(scores: Floats, cut: Cut) -> NDArray[np.bool_]:
    """Whether the largest score is that of the window's own frequency."""
    own = [cut.frequencies_hz.index(frequency_of(label) or 0.0) for label in cut.labels.tolist()]
    return scores.argmax(axis=1) == np.array(own)


def _correlations(windows: Floats, cut: Cut, n_harmonics: int = 3) -> Floats:
    """First squared canonical correlation at every frequency, by the textbook: (n, n_freq)."""
    n_times = windows.shape[2]
    time_s = np.arange(n_times) / cut.rate_hz
    orders = np.arange(1, n_harmonics + 1)
    waves = [
        np.linalg.qr(np.concatenate([np.sin(a), np.cos(a)]).T)[0]
        for a in (2 * np.pi * np.outer(orders * f, time_s) for f in cut.frequencies_hz)
    ]
    centred = windows - windows.mean(axis=2, keepdims=True)
    return np.array(
        [
            [np.linalg.norm(np.linalg.qr(one.T)[0].T @ wave, ord=2) ** 2 for wave in waves]
            for one in centred
        ]
    )


def _filtered_bank(cut: Cut) -> Floats:
    """Filter bank of Chen 2015 on sub-bands from causal filters: the baseline."""
    n_bands = len(SUB_BANDS_HZ)
    by_band = cut.filtered.reshape(len(cut.filtered), n_bands, -1, cut.filtered.shape[2])
    weights = np.arange(1.0, n_bands + 1) ** -1.25 + 0.25
    return np.einsum(
        "b,bwf->wf", weights, [_correlations(by_band[:, b], cut) for b in range(n_bands)]
    )


class _Looked:
    """An encoder of window numbers: looks up what was computed once, and fits the rest."""

    def __init__(self, scores: Floats | None, fitted: Any, windows: Floats) -> None:
        self._scores, self._fitted, self._windows = scores, fitted, windows
        sizes = [] if scores is None else [scores.shape[1]]
        self.sizes = (*sizes, *([] if fitted is None else [fitted.n_features]))

    def encode_many(self, rows: Any) -> Floats:
        parts = [] if self._scores is None else [self._scores[rows]]
        if self._fitted is not None:
            parts.append(self._fitted.encode_many(self._windows[rows]))
        return np.hstack(parts)


def _candidates(cut: Cut, learn: NDArray[np.intp], summed: Floats) -> list[Candidate]:
    """Ways, those of the product first and in order of preference; encoders of window numbers."""
    around = FlickerCovarianceConfig(rate_hz=cut.rate_hz, frequencies_hz=cut.frequencies_hz)
    narrow = FilterbankCovarianceConfig(n_bands=2 * len(cut.frequencies_hz))

    def fit_around(rows: Any) -> Any:
        return FlickerCovariance.fit(cut.broad[rows], cut.labels[rows], around)

    def fit_narrow(rows: Any) -> Any:
        return FilterbankCovariance.fit(cut.narrow[rows], None, narrow)

    read = FitConfig(classifier="lda", n_folds=6)
    ways = {
        "joined": (summed, fit_around, cut.broad, replace(read, parts=(read, read))),
        "fbcca": (summed, None, cut.broad, read),
        "side_by_side": (summed, fit_around, cut.broad, read),
        "covariance": (None, fit_around, cut.broad, read),
        "narrow_covariance": (None, fit_narrow, cut.narrow, read),
    }
    trials = Trials.of(cut.labels[learn], cut.trials[learn], cut.runs[learn], n_windows=len(learn))

    def way(scores: Floats | None, fit: Any, windows: Floats) -> Any:
        return lambda rows, _: _Looked(scores, fit and fit(rows), windows)

    return [
        Candidate(name=name, windows=learn, trials=trials, fit_encoder=way(*of), config=config)
        for name, (*of, config) in ways.items()
    ]


def _minimum_distance(cut: Cut, learn: Any, judge: Any) -> dict[str, NDArray[np.bool_]]:
    """Kalunga 2016: nearest class mean of covariances of all bands together."""
    from pyriemann.classification import MDM
    from pyriemann.estimation import Covariances

    bands = cut.narrow[:, : cut.narrow.shape[1] // 2]
    covariances = Covariances("oas").transform(bands)
    model = MDM(metric="riemann").fit(covariances[learn], cut.labels[learn])
    plain = model.predict(covariances[judge]) == cut.labels[judge]
    centred = covariances.copy()
    for run in np.unique(cut.runs):
        rows = cut.runs == run
        centred[rows] = _whitened(covariances[rows])
    model = MDM(metric="riemann").fit(centred[learn], cut.labels[learn])
    return {"mdm": plain, "mdm_recentred": model.predict(centred[judge]) == cut.labels[judge]}


def _whitened(covariances: Floats) -> Floats:
    from pyriemann.utils.mean import mean_riemann

    powers, axes = np.linalg.eigh(mean_riemann(covariances))
    root = (axes / np.sqrt(powers)) @ axes.T
    return root @ covariances @ root


# --- figures -------------------------------------------------------------------------------------


def _percent(right: NDArray[np.bool_], groups: Sequence[Any]) -> dict[str, Any]:
    low, high = bootstrap_ci(right.astype(float), list(groups), n_resamples=1000)
    return {
        "accuracy": round(100 * float(right.mean()), 1),
        "interval": [round(100 * low, 1), round(100 * high, 1)],
        "n": len(right),
    }


def _table(right: dict[str, dict[str, NDArray[np.bool_]]], n_classes: int, length_s: float) -> Any:
    """From method -> subject -> right or wrong to figures of each and their mean."""
    found = {}
    for method, by_subject in right.items():
        means = [float(one.mean()) for one in by_subject.values()]
        subjects = list(by_subject)
        # One subject says nothing about the spread between subjects.
        spread = bootstrap_ci(means, subjects) if len(means) > 1 else None
        rate = [
            information_transfer_rate(one, n_classes, length_s + LOOK_ELSEWHERE_S) for one in means
        ]
        found[method] = {
            "mean": round(100 * float(np.mean(means)), 1),
            "interval": spread and [round(100 * end, 1) for end in spread],
            "bits_per_min": round(float(np.mean(rate)), 1),
            "subjects": {name: _percent(one, range(len(one))) for name, one in by_subject.items()},
        }
    return found


def _untrained(cuts: dict[str, Cut], length_s: float, last_only: bool) -> Any:
    right: dict[str, dict[str, NDArray[np.bool_]]] = {}
    for subject, whole in cuts.items():
        cut = whole.of(
            (whole.offset_s == 0)
            & (whole.labels != "rest")
            & ((whole.runs == whole.runs.max()) | (not last_only))
        )
        for method, scores in (
            ("fbcca", _fbcca(cut).encode_many(cut.broad)),
            ("baseline_cca", _correlations(cut.broad, cut)),
            ("baseline_fbcca_filtered", _filtered_bank(cut)),
        ):
            right.setdefault(method, {})[subject] = _largest(scores, cut)
    return _table(right, len(next(iter(cuts.values())).frequencies_hz), length_s)


def _calibrated(cuts: dict[str, Cut], length_s: float, n_test_runs: int, rest: bool) -> Any:
    right: dict[str, dict[str, NDArray[np.bool_]]] = {}
    shares, bolder, targets, taken = [], [], [], {}
    rehearsed: dict[str, list[float]] = {}
    for subject, whole in cuts.items():
        cut = whole.of(np.ones(len(whole.labels), bool) if rest else whole.labels != "rest")
        late = cut.runs > cut.runs.max() - n_test_runs
        learn, judge = np.flatnonzero(~late), np.flatnonzero(late & (cut.offset_s == 0))
        summed = _fbcca(cut).encode_many(cut.broad)
        candidates = _candidates(cut, learn, summed)
        ways = [_way(each, cut, judge) for each in candidates[:2]]
        others = [_way(each, cut, judge, rehearse=False) for each in candidates[2:]]
        place = preferred([way.losses for way in ways])
        own = np.searchsorted(ways[0].classes, cut.labels[judge])
        found = {"chosen": ways[place].scores.argmax(axis=1) == own}
        found |= {way.name: way.scores.argmax(axis=1) == own for way in (*ways, *others)}
        for way in ways:
            rehearsed.setdefault(way.name, []).append(float(way.losses.mean()))
        found |= _minimum_distance(cut, learn, judge)
        if not rest:
            judged = cut.of(np.isin(np.arange(len(cut.labels)), judge))
            found["untrained_fbcca"] = _largest(summed[judge], judged)
        for method, one in found.items():
            right.setdefault(method, {})[subject] = one
        shares.append(softmax(ways[place].scores / ways[place].temperature))
        bolder.append(softmax(ways[place].scores / ways[place].bolder))
        targets.append(own)
        taken[subject] = ways[place].name
    n_classes = len(next(iter(cuts.values())).frequencies_hz) + rest
    error, bold = (
        calibration_error(np.concatenate(each), np.concatenate(targets), n_bins=10)
        for each in (shares, bolder)
    )
    return {
        "accuracy": _table(right, n_classes, length_s),
        "chosen": taken,
        "loss_in_training_runs": {k: round(float(np.mean(v)), 3) for k, v in rehearsed.items()},
        "calibration": error.as_dict(),
        "calibration_one_imagined_error": bold.as_dict(),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """A way after its fit: losses of held-out training windows, scores of those to be judged.

    `temperature` is the product's; `bolder` imagines one error among all trials together, where the
    product imagines one of every other class among each class's own trials.
    """

    name: str
    classes: NDArray[np.str_]
    losses: Floats
    temperature: float
    bolder: float
    scores: Floats


def _way(candidate: Candidate, cut: Cut, judge: NDArray[np.intp], *, rehearse: bool = True) -> _Way:
    """Held out by blocks of training trials; only first windows are judged, as they will be."""
    trials, validation = candidate.trials, CrossValidation(
        candidate.windows, candidate.trials, candidate.fit_encoder, candidate.config
    )  # fmt: skip

    everything, held_out, rows = np.arange(len(trials.labels)), [], []
    readings = validation.choose_readings(everything)

    def scores_from(chosen: NDArray[np.intp], rows: NDArray[np.intp]) -> Floats:
        encoder, weights = validation.fit(chosen, readings)
        adapter = weights.adapter(trials.classes, candidate.config)
        return adapter.scores(encoder.encode_many(rows))

    if not rehearse:
        return _Way(
            name=candidate.name,
            classes=np.array(trials.classes),
            losses=np.empty(0),
            temperature=1.0,
            bolder=1.0,
            scores=scores_from(everything, judge),
        )
    for fold in contiguous_folds(trials.labels, candidate.config.n_folds):
        firsts = candidate.windows[trials.windows_of(fold)]
        firsts = firsts[cut.offset_s[firsts] == 0]
        held_out.append(scores_from(np.setdiff1d(everything, fold), firsts))
        rows.append(firsts)
    scores, own = np.concatenate(held_out), cut.labels[np.concatenate(rows)]
    targets = np.searchsorted(np.array(trials.classes), own)
    temperature = fit_temperature(scores, targets)
    shares = softmax(scores / temperature)
    # In the same order for every way, whose losses are compared trial by trial.
    losses = -(soften(targets, shares.shape[1]) * np.log(shares)).sum(axis=1)
    return _Way(
        name=candidate.name,
        classes=np.array(trials.classes),
        losses=losses,
        temperature=temperature,
        bolder=_bolder_temperature(scores, targets),
        scores=scores_from(everything, judge),
    )


def _bolder_temperature(scores: Floats, targets: NDArray[np.integer]) -> float:
    n, n_classes = scores.shape
    wanted = np.full((n, n_classes), 1 / (n + 1) / (n_classes - 1))
    wanted[np.arange(n), targets] = n / (n + 1)
    tried = np.geomspace(0.05, 50, 200)
    losses = [-(wanted * np.log(softmax(scores / t) + 1e-300)).sum() for t in tried]
    return float(tried[int(np.argmin(losses))])


def _untrained_head(by_length: dict[float, dict[str, Cut]]) -> Any:
    """Temperature of untrained scores, judged on the last runs.

    Fitted on the earlier runs of all, and the product's, a formula that follows those at 1 to 3 s.
    """
    found = {}
    for length_s, cuts in by_length.items():
        early, late = [], []
        for whole in cuts.values():
            cut = whole.of((whole.offset_s == 0) & (whole.labels != "rest"))
            scores = _fbcca(cut).encode_many(cut.broad)
            own = np.array([cut.frequencies_hz.index(frequency_of(x)) for x in cut.labels.tolist()])
            last = cut.runs == cut.runs.max()
            early.append((scores[~last], own[~last]))
            late.append((scores[last], own[last]))
        learnt = [np.concatenate(part) for part in zip(*early, strict=True)]
        temperature = fit_temperature(*learnt)
        scores, own = (np.concatenate(part) for part in zip(*late, strict=True))
        found[f"{length_s:g} s"] = {
            name: _calibration(scores, own, one)
            for name, one in (
                ("fitted", temperature),
                ("product", untrained_temperature(length_s)),
            )
        }
    return found


def _calibration(scores: Floats, own: NDArray[np.intp], temperature: float) -> dict[str, float]:
    error = calibration_error(softmax(scores / temperature), own, n_bins=10)
    return {
        "temperature": round(temperature, 3),
        "calibration_error": round(error.error, 3),
        "expected_if_perfect": round(error.expected_if_perfect, 3),
        "p_value": round(error.p_value, 3),
    }


# --- parts ---------------------------------------------------------------------------------------


def _exo(data: Path) -> dict[str, list[_Stream]]:
    return {
        subject: [
            _stream(data / f"ssvep/exo_{subject}_run{run}.npz", 50.0, EXO_HZ, ())
            for run in range(1, n + 1)
        ]
        for subject, n in RUNS.items()
    }


def untrained(data: Path) -> dict[str, Any]:
    """Three frequencies, nothing fitted."""
    streams, found = _exo(data), {"all_runs": {}, "last_run": {}, "ms_a_window": _cost()}
    by_length = {}
    for length_s in LENGTHS_S:
        cuts = {s: _cut(runs, 2.0, 5.0, length_s, 10.0) for s, runs in streams.items()}
        by_length[length_s] = cuts
        for name, last_only in (("all_runs", False), ("last_run", True)):
            found[name][f"{length_s:g} s"] = _untrained(cuts, length_s, last_only)
    return found | {"temperature": _untrained_head(by_length)}


def calibrated(data: Path) -> dict[str, Any]:
    """Three frequencies, and these with rest, fitted on the runs before the last."""
    streams, found = _exo(data), {"three": {}, "four": {}}
    for length_s in LENGTHS_S:
        cuts = {s: _cut(runs, 2.0, 5.0, length_s, 1.0) for s, runs in streams.items()}
        for name, rest in (("three", False), ("four", True)):
            found[name][f"{length_s:g} s"] = _calibrated(cuts, length_s, 1, rest)
    return found


def muse(data: Path) -> dict[str, Any]:
    """Two frequencies, four or five dry electrodes."""
    found: dict[str, Any] = {}
    brain = ("TP9", "AF7", "AF8", "TP10")
    for name, pick in (("without_aux", brain), ("with_aux", (*brain, "AUX"))):
        runs = [
            _stream(data / f"ssvep/muse_V1_run{run}.npz", 60.0, MUSE_HZ, pick)
            for run in (1, 2, 3, 4)
        ]
        for length_s in (1.0, 2.0, 2.7):
            cuts = {"V1": _cut(runs, 0.3, 3.0, length_s, 0.85)}
            found[f"{name} {length_s:g} s"] = {
                "untrained": _untrained(cuts, length_s, last_only=False),
                "calibrated": _calibrated(cuts, length_s, 2, rest=False),
            }
    return found


def locked(data: Path) -> dict[str, Any]:
    """Flicker that begins with its marker, and flicker that does not."""
    found: dict[str, Any] = {}
    for snr in (2.0, 3.0):
        people = {f"seed {seed}": _participant(seed, snr) for seed in (11, 12, 13, 14)}
        for length_s in (0.5, 1.0, 2.0):
            cuts = {name: _cut([one], 0.64, 4.5, length_s, 10.0) for name, one in people.items()}
            found[f"snr {snr:g}, {length_s:g} s"] = _locked(cuts, length_s)
    cuts = {name: _cut(runs, 2.0, 5.0, 3.0, 10.0) for name, runs in _exo(data).items()}
    found["exo, not locked, 3 s"] = _locked(cuts, 3.0)
    return found


def _locked(cuts: dict[str, Cut], length_s: float) -> Any:
    """Fitted on three trials of each class (of one run), or on all runs but the last."""
    right: dict[str, dict[str, NDArray[np.bool_]]] = {}
    for subject, whole in cuts.items():
        cut = whole.of(whole.labels != "rest")
        learn = cut.runs < cut.runs.max()
        if not learn.any():
            for label in np.unique(cut.labels):
                learn[np.flatnonzero(cut.labels == label)[:3]] = True
        config = TaskRelatedComponentsConfig(rate_hz=cut.rate_hz)
        encoder = TaskRelatedComponents.fit(cut.broad[learn], cut.labels[learn], config)
        judged = cut.of(~learn)
        guesses = np.unique(cut.labels)[encoder.encode_many(judged.broad).argmax(axis=1)]
        right.setdefault("etrca", {})[subject] = guesses == judged.labels
        scores = _fbcca(judged).encode_many(judged.broad)
        right.setdefault("fbcca", {})[subject] = _largest(scores, judged)
    return _table(right, len(next(iter(cuts.values())).frequencies_hz), length_s)


def _participant(seed: int, snr: float) -> _Stream:
    """Four flickers, 7 min, with the broadband signal only."""
    settings = SimulatorConfig(task="ssvep", seed=seed, snr=snr, duration_s=420.0)
    person = SimulatedParticipant(settings, VirtualClock())
    person.open()
    samples, markers = [], []
    while not person.ended:
        chunk = person.read(2500, 10**15)
        if chunk is not None:
            samples.append(chunk.samples)
            markers += chunk.markers
    broad = _conditioned(
        np.concatenate(samples, axis=1), person.spec, high_pass_hz=3.0, line_hz=50.0
    )
    return _Stream(broad, broad[:1], broad[:1], markers, person.spec.rate_hz)


def _cost() -> dict[str, float]:
    """Milliseconds for 8 channels, 3 s at 250 Hz, 8 frequencies."""
    channels = tuple(Channel(name=str(row)) for row in range(8))
    spec = StreamSpec(name="made", rate_hz=250.0, channels=channels)
    config = FilterBankCcaConfig(
        rate_hz=250.0, frequencies_hz=tuple(8.0 + place for place in range(8))
    )
    encoder = FilterBankCca.untrained(config, 8)
    encoder.open(spec, 750)
    samples = np.random.default_rng(0).standard_normal((8, 750)).astype(np.float32)
    window = Window(samples=samples, first_sample=0, stop_sample=750, due_ns=0)
    took = []
    for _ in range(300):
        began = time.perf_counter()
        encoder.encode(window)
        took.append(1e3 * (time.perf_counter() - began))
    return {"median": round(float(np.median(took)), 3), "p95": round(np.quantile(took, 0.95), 3)}


def main() -> None:
    """Run what is asked for and print it."""
    parts = {"untrained": untrained, "calibrated": calibrated, "muse": muse, "locked": locked}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=tuple(parts))
    chosen = parser.parse_args().part
    data = Path(os.environ["DIVERLOOP_DATA"])
    warnings.simplefilter("ignore")
    print(json.dumps({n: part(data) for n, part in parts.items() if chosen in (None, n)}, indent=1))


if __name__ == "__main__":
    main()
