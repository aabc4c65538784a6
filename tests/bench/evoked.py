"""How well single flashes are told apart, per data set and person, as JSON.

    DIVERLOOP_DATA=DIR python tests/bench/evoked.py [--only G1,O1] [--high-pass-hz 1.5] [--choose]

Area under the curve of target against nontarget (visual field: left against right), in points of
per cent, with 95 % intervals by bootstrap over stretches of 8 s of the judged part, and the paired
difference to the rival. What is fitted on and what is judged: g.tec letters 1 to 3 and 4 to 5,
OpenBMI its first 1200 flashes and the rest, Muse session 1 and 2, Emotiv D and E one letter left
out (mean over letters), visual field runs 1 to 3 and 4 to 5. Signal goes through the product's
causal conditioner (`conditioning`); all methods get the same windows.

``rival``       pyriemann's XdawnCovariances(4, Ledoit-Wolf), TangentSpace, LogisticRegression
``rival_lda``   means over 50 ms of every channel, shrinkage LDA
``xdawn``       the product's `XdawnCovariance`, logistic regression on features as they are
``xdawn_each``  the same on features of equal spread, as a reader that standardises gets them
``xdawn_lda``   the same features, shrinkage LDA
``epoch``       the product's `EvokedEpoch` of all channels, shrinkage LDA
``epoch_xdawn`` the same behind xDAWN filters
``joined``      the first way of the product's task: ``xdawn`` and ``epoch_xdawn``, their log-odds
                averaged, costs and temperatures from the product's folds of the training part

``--choose`` prints what the settings in this file were chosen by: the
scores in folds of the training part (blocks of time, or recordings where there are several), of
every candidate in `CANDIDATES`; no judged window is looked at. (That
loud moments are held was tried because judged scores of M1 disappointed; how, was chosen in the
folds.) Settings are the same for everybody. All of it takes about two minutes of one core,
``--choose`` as long for two candidates. ``encode_us`` is the median time of one window of 16
channels and 100 samples.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from decoding_heads import Judge, Outcome, auc, interval
from evoked_windows import PARTS, Flashes, flashes
from numpy.typing import NDArray

from diverloop.adapters.cross_validation import CrossValidation, FitConfig
from diverloop.adapters.folds import Trials
from diverloop.adapters.p300 import P300
from diverloop.decoders.evoked_epoch import EvokedEpoch, EvokedEpochConfig
from diverloop.decoders.joined import Joined, JoinedConfig, JoinedPart
from diverloop.decoders.xdawn import XdawnConfig, XdawnCovariance
from diverloop.runtime.messages import Channel, StreamSpec, Window
from diverloop.runtime.signal.condition_config import ConditionConfig

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Scorer = Callable[[Floats], Floats]
Encode = Callable[[Floats], Floats]
FitEncoder = Callable[[Floats, Ints, float], Encode]

HIGH_PASS_HZ = 1.5
SPAN_S = (0.0, 0.8)
N_FILTERS, COST, COST_EACH = 6, 0.3, 0.01
BIN_S, CLIP_SD, ALL = 0.02, 4.0, 16


def conditioning(low_hz: float = HIGH_PASS_HZ, high_hz: float = 20.0) -> ConditionConfig:
    """How every recording is conditioned."""
    return ConditionConfig(order=2, bands_hz=((low_hz, high_hz),), rate_hz=100.0)


CANDIDATES = {
    f"{low}-{high} Hz, {span[0]}-{span[1]} s": ((low, high), span)
    for low, high, span in (
        (0.5, 20.0, (0.0, 0.8)),
        (1.0, 20.0, (0.0, 0.8)),
        (1.5, 20.0, (0.0, 0.8)),
        (2.0, 20.0, (0.0, 0.8)),
        (1.0, 15.0, (0.0, 0.8)),
        (1.0, 20.0, (0.0, 0.6)),
        (1.0, 20.0, (0.0, 1.0)),
    )
}
"""Name -> pass band and span of a window."""


def rival(x: Floats, y: Ints) -> Scorer:
    from pyriemann.estimation import XdawnCovariances
    from pyriemann.tangentspace import TangentSpace
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        XdawnCovariances(min(4, x.shape[1]), estimator="lwf", xdawn_estimator="lwf"),
        TangentSpace(),
        LogisticRegression(max_iter=3000),
    )
    return model.fit(x, y).decision_function


def logistic(features: Floats, y: Ints) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=COST, max_iter=3000).fit(features, y)


def logistic_each(features: Floats, y: Ints) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LogisticRegression(C=COST_EACH, max_iter=3000)
    return make_pipeline(StandardScaler(), model).fit(features, y)


def lda(features: Floats, y: Ints) -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(features, y)


def fit_xdawn(x: Floats, y: Ints, _: float) -> Encode:
    return XdawnCovariance.fit(x, y, XdawnConfig(n_filters=N_FILTERS)).encode_many


def fit_epoch(
    bin_s: float, clip_sd: float | None, n_filters: int
) -> Callable[[Floats, Ints, float], Encode]:
    def fit(x: Floats, y: Ints, rate_hz: float) -> Encode:
        config = EvokedEpochConfig(
            rate_hz=rate_hz, bin_s=bin_s, clip_sd=clip_sd, n_filters=n_filters
        )
        return EvokedEpoch.fit(x, y, config).encode_many

    return fit


ENCODERS = {
    "old": fit_epoch(0.05, None, 0),
    "xdawn": fit_xdawn,
    "epoch": fit_epoch(BIN_S, CLIP_SD, 0),
    "filtered": fit_epoch(BIN_S, CLIP_SD, ALL),
}
METHODS = {
    "rival_lda": ("old", lda),
    "xdawn": ("xdawn", logistic),
    "xdawn_each": ("xdawn", logistic_each),
    "xdawn_lda": ("xdawn", lda),
    "epoch": ("epoch", lda),
    "epoch_xdawn": ("filtered", lda),
}
"""Method -> its encoder and its reader; the rival is neither."""


def scores(
    x: Floats, y: Ints, z: Floats, rate_hz: float, wanted: tuple[str, ...]
) -> dict[str, Floats]:
    """Log-odds of windows z by methods fitted on windows x."""
    found = {"rival": rival(x, y)(z)} if "rival" in wanted else {}
    encoded: dict[str, tuple[Floats, Floats]] = {}
    for method in wanted:
        if method == "rival":
            continue
        name, read = METHODS[method]
        if name not in encoded:
            encode = ENCODERS[name](x, y, rate_hz)
            encoded[name] = encode(x), encode(z)
        found[method] = read(encoded[name][0], y).decision_function(encoded[name][1])
    return found


CHOSEN_AMONG = ("rival", "xdawn", "epoch", "epoch_xdawn")


def two_columns(log_odds: Floats) -> Floats:
    """Scores of both classes, as temperatures and judges want them."""
    return np.stack([np.zeros(len(log_odds)), log_odds], axis=1)


def held_out(some: Flashes, wanted: tuple[str, ...]) -> dict[str, Floats]:
    """Log-odds of every training window, from the windows outside its fold."""
    task = some.task
    found = {method: np.full(len(task.y_train), np.nan) for method in wanted}
    x = task.windows_train.astype(np.float64)
    for learn, held in some.folds:
        part = scores(x[learn], task.y_train[learn], x[held], some.rate_hz, wanted)
        for method, log_odds in part.items():
            found[method][held] = log_odds
    return found


def judged(some: Flashes) -> dict[str, Floats]:
    """Log-odds of the judged windows by every method."""
    task = some.task
    x, z = (part.astype(np.float64) for part in (task.windows_train, task.windows_test))
    found = scores(x, task.y_train, z, some.rate_hz, ("rival", *METHODS))
    return found | {"joined": joined(x, task.y_train, z, some.rate_hz)}


def joined(x: Floats, y: Ints, z: Floats, rate_hz: float) -> Floats:
    """Log-odds of windows z by the product's first way, fitted on windows x as it is."""
    way, config = P300.ways(())[0], FitConfig(priors=P300.priors)
    parts = [JoinedPart(encoder="xdawn"), JoinedPart(
        encoder="evoked_epoch", settings={"rate_hz": rate_hz}
    )]  # fmt: skip
    assert [(part.encoder, part.settings) for part in way.parts] == [
        (part.encoder, {}) for part in parts
    ]
    readers = [replace(config, classifier=p.classifier, scale=p.scale) for p in way.parts]
    settings, everything = JoinedConfig(parts=tuple(parts)), np.arange(len(y))
    trials = Trials.of(y.astype(str), everything, None, n_windows=len(y))
    validation = CrossValidation(
        x, trials, lambda some, names: Joined.fit(some, names, settings),
        replace(config, parts=tuple(readers)),
    )  # fmt: skip
    encoder, weights = validation.fit(everything, validation.choose_readings(everything))
    found = weights.adapter(trials.classes, config).scores(encoder.encode_many(z))
    return found[:, 1] - found[:, 0]


def report(
    names: tuple[str, ...], data: Path, config: ConditionConfig, n_draws: int
) -> dict[str, Any]:
    """AUC of every method, mean over a person's held-out parts, beside the rival's."""
    whole: dict[str, list[float]] = {}
    draws: dict[str, list[Floats]] = {}
    for name in names:
        some = flashes(name, data, config, start_s=SPAN_S[0], stop_s=SPAN_S[1])
        judge = Judge(some.task, n_draws)
        for method, log_odds in judged(some).items():
            outcome = Outcome(
                held_out=two_columns(log_odds[:0]), test=two_columns(log_odds),
                temperature=1.0, loss=float("nan"),
            )  # fmt: skip
            score, drawn = judge(outcome)
            whole.setdefault(method, []).append(score)
            draws.setdefault(method, []).append(drawn)
    means = {method: np.nanmean(drawn, axis=0) for method, drawn in draws.items()}
    found = {}
    for method, parts in whole.items():
        found[method] = {
            "auc": round(float(np.mean(parts)), 1),
            "interval": interval(means[method]),
        }
        if method != "rival":
            gain = np.mean(parts) - np.mean(whole["rival"])
            found[method] |= {
                "gain": round(float(gain), 1),
                "gain_interval": interval(means[method] - means["rival"]),
            }
    return found


def choose(data: Path, people: list[str]) -> dict[str, Any]:
    """Scores of candidates in folds of the training parts; the first letter's where one is out."""
    found: dict[str, Any] = {}
    for candidate, (band_hz, span) in CANDIDATES.items():
        config = conditioning(*band_hz)
        rows: dict[str, list[float]] = {}
        for who in people:
            some = flashes(PARTS[who][0], data, config, start_s=span[0], stop_s=span[1])
            y = some.task.y_train
            for method, log_odds in held_out(some, CHOSEN_AMONG).items():
                folds = [auc(log_odds[held], y[held]) for _, held in some.folds]
                rows.setdefault(method, []).append(100 * float(np.mean(folds)))
        found[candidate] = {
            method: {"mean": round(float(np.mean(row)), 2), "each": np.round(row, 1).tolist()}
            for method, row in rows.items()
        }
    return found


def encode_us(n_channels: int = 16, n_times: int = 100, n_windows: int = 300) -> dict[str, float]:
    """Median time to encode a window, in microseconds, one thread."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n_windows, n_channels, n_times)), np.arange(n_windows) % 6 == 0
    channels = tuple(Channel(name=f"E{row}") for row in range(n_channels))
    spec = StreamSpec(name="made", rate_hz=100.0, channels=channels)
    found = {}
    for name, encoder in (
        ("xdawn", XdawnCovariance.fit(x, y, XdawnConfig(n_filters=N_FILTERS))),
        ("epoch", EvokedEpoch.fit(x, y, EvokedEpochConfig(rate_hz=100.0, bin_s=BIN_S))),
    ):
        encoder.open(spec, n_times)
        times = []
        for samples in x:
            window = Window(samples=samples, first_sample=0, stop_sample=n_times, due_ns=0)
            begun = time.perf_counter_ns()
            encoder.encode(window)
            times.append(time.perf_counter_ns() - begun)
        found[name] = round(float(np.median(times)) / 1000, 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Score encoders of evoked responses.")
    parser.add_argument("--only", default=",".join(PARTS), help="people, by comma")
    parser.add_argument("--high-pass-hz", type=float, default=HIGH_PASS_HZ)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--choose", action="store_true")
    options = parser.parse_args()
    data, people = Path(os.environ["DIVERLOOP_DATA"]), options.only.split(",")
    if options.choose:
        print(json.dumps(choose(data, people), indent=1))
        return
    config = conditioning(options.high_pass_hz)
    found = {who: report(PARTS[who], data, config, options.draws) for who in people}
    methods = next(iter(found.values()))
    means = {m: round(float(np.mean([found[w][m]["auc"] for w in people])), 2) for m in methods}
    about = {
        "bands_hz": config.bands_hz, "rate_hz": config.rate_hz, "span_s": SPAN_S,
        "n_filters": N_FILTERS, "bin_s": BIN_S, "clip_sd": CLIP_SD, "cost": COST,
        "machine": platform.machine(),
    }  # fmt: skip
    result = {"settings": about, "mean": means, "people": found, "encode_us": encode_us()}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
