"""From labelled windows to a linear adapter, with scores that nobody has to be ashamed of.

Everything that learns is fitted again inside every fold: encoder, standardisation, cost, weights.
Windows of one trial never sit on both sides of a fold, and neither do neighbouring trials but
for the edges: folds are blocks of time, because slow drifts make neighbours alike and a shuffled
split would report the drift as skill [1]_.

References
----------
.. [1] Lemm, Blankertz, Dickhaus, Müller. Introduction to machine learning for brain imaging.
   NeuroImage, 2011.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.messages import Samples
from .choosing import Candidate, Fitted, Progress, choose
from .cross_validation import E, FitConfig, FitEncoder
from .folds import Trials


def fit_linear(
    windows: Samples,
    labels: NDArray[Any],
    trials: NDArray[np.integer],
    recordings: NDArray[Any] | None = None,
    *,
    fit_encoder: FitEncoder[E],
    config: FitConfig | None = None,
    progress: Progress | None = None,
) -> Fitted[E]:
    """Fit encoder and adapter on labelled windows, and say how well that will do.

    Parameters
    ----------
    windows : ndarray, shape (n_windows, n_rows, n_times)
        Conditioned windows in microvolts, in the order they were recorded.
    labels : ndarray, shape (n_windows,)
        Class of each window; turned into text.
    trials : ndarray of int, shape (n_windows,)
        Trial of each window; several windows may share one.
    recordings : ndarray, shape (n_windows,), optional
        Recording of each window; with two or more, each is also predicted from the others.
    fit_encoder : callable
        From windows and labels to a fitted encoder; called again in every fold.
    config : FitConfig, optional
        What was chosen.
    progress : callable, optional
        Called with (done, total) after every fold and once at the end.

    Returns
    -------
    fitted : Fitted
        Encoder, adapter and report.

    Raises
    ------
    ConfigError
        If lengths differ, a trial has two labels, or a class has too few trials for two folds.

    Notes
    -----
    A trial's score is the mean over its windows of the log-probabilities. The temperature is the
    one under which left-out trials are most probable, see `fit_temperature`.
    """
    candidate = Candidate(
        name="",
        windows=windows,
        trials=Trials.of(labels, trials, recordings, n_windows=len(windows)),
        fit_encoder=fit_encoder,
        config=config or FitConfig(),
    )
    return choose([candidate], progress).fitted
