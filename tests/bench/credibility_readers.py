"""Decoders that are compared in ``environment_credibility.py``, all on the same features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from diverloop.rl.learners.learner import Learner
from diverloop.rl.study.arms import usual_arms
from diverloop.rl.study.recorded import Asked, RecordedCase
from diverloop.rl.trial import Reward
from diverloop.runtime.prototype_head import PrototypeHead

Scores = Callable[[np.ndarray], np.ndarray]
"""From features of windows to the score of each class, in logarithms."""

ADAPTIVE = ("recentred", "pseudo-labels", "oracle")


def windows(trials: tuple[Asked, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Features of all windows, and their classes."""
    labels = [one.under[one.meant] for one in trials]
    return np.concatenate([one.features for one in trials]), np.concatenate(labels)


def nearest_mean(x: np.ndarray, y: np.ndarray) -> Scores:
    """Plain distance to the mean of each class."""
    means = np.stack([x[y == k].mean(axis=0) for k in range(y.max() + 1)])
    return lambda new: new @ means.T - 0.5 * (means**2).sum(axis=1)


def standardised_mean(x: np.ndarray, y: np.ndarray) -> Scores:
    """The same where every feature has the same variance."""
    mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    inner = nearest_mean((x - mean) / scale, y)
    return lambda new: inner((new - mean) / scale)


def plain_discriminant(x: np.ndarray, y: np.ndarray) -> Scores:
    """LDA without shrinkage, on the directions that were seen."""
    return _sklearn(_scaled(LinearDiscriminantAnalysis(solver="svd", tol=1e-6)), x, y)


def shrunk_discriminant(x: np.ndarray, y: np.ndarray) -> Scores:
    """LDA with the shrinkage of Ledoit and Wolf."""
    return _sklearn(LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto"), x, y)


def logistic(x: np.ndarray, y: np.ndarray) -> Scores:
    """Logistic regression on standardised features, at the library's usual cost."""
    return _sklearn(_scaled(LogisticRegression(max_iter=2000)), x, y)


def few_directions(x: np.ndarray, y: np.ndarray) -> Scores:
    """Standardised, the three directions of most variance, then LDA."""
    mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    axes = np.linalg.svd((x - mean) / scale, full_matrices=False)[2][:3].T
    inner = plain_discriminant((x - mean) / scale @ axes, y)
    return lambda new: inner((new - mean) / scale @ axes)


def _scaled(model):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), model)


def _sklearn(model, x: np.ndarray, y: np.ndarray) -> Scores:
    model.fit(x, y)
    # Of two classes it gives the difference only.
    return lambda new: np.nan_to_num(np.atleast_2d(model.predict_log_proba(new)), neginf=-700.0)


READERS: dict[str, Callable[[np.ndarray, np.ndarray], Scores]] = {
    "nearest mean": nearest_mean,
    "standardised nearest mean": standardised_mean,
    "LDA": plain_discriminant,
    "LDA, shrunk": shrunk_discriminant,
    "logistic": logistic,
    "three directions": few_directions,
}


def fixed(case: RecordedCase, trials: list[Asked], *, only: str = "") -> dict[str, np.ndarray]:
    """Whether each reader that does not adapt was right in each trial."""
    if only == "head":
        return {"head": _right(_head(case).scores, trials)}
    x, y = windows(case.calibration)
    found = {name: _right(make(x, y), trials) for name, make in READERS.items()}
    found["head"] = _right(_head(case).scores, trials)
    half = replace(case, calibration=case.calibration[: len(case.calibration) // 2])
    found["head, half the calibration"] = _right(_head(half).scores, trials)
    return found


def _head(case: RecordedCase) -> PrototypeHead:
    """Without a temperature, which no decision depends on."""
    x, y = windows(case.calibration)
    counts = [len(one.features) for one in case.calibration]
    trials = np.repeat(np.arange(len(counts)), counts)
    return PrototypeHead.fit(x, np.array(case.classes)[y], case.classes, trials=trials)


def _right(scores: Scores, trials: list[Asked]) -> np.ndarray:
    """One decision a trial: the option under which its windows score most in sum."""
    return np.array([_best(scores(one.features), one.under) == one.meant for one in trials])


def _best(scores: np.ndarray, under: np.ndarray) -> int:
    return int(scores[np.arange(scores.shape[0]), under].sum(axis=1).argmax())


def adaptive(case: RecordedCase, trials: list[Asked]) -> dict[str, np.ndarray]:
    """The same of rules that change the head as they go, without an envelope."""
    arms = {arm.name: arm for arm in usual_arms()}
    return {
        name: _lived(arms[name].make(case.head), trials, told=name == "oracle") for name in ADAPTIVE
    }


def _lived(learner: Learner, trials: list[Asked], *, told: bool) -> np.ndarray:
    right = []
    for number, one in enumerate(trials):
        trial = one.trial(number, learner.head, at_s=8.0 * number)
        learner.see(trial)
        right.append(trial.decided == one.meant)
        if told:
            learner.hear(
                Reward(trial=number, value=float(right[-1]), meant=one.meant, source="cue")
            )
    return np.array(right)
