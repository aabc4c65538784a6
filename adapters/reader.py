"""The last fit, on everything: weights, how far they can be trusted, and when to be silent."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from .calibration import fit_temperature, softmax
from .conformal import ConformalConfig, selective_threshold
from .cross_validation import CrossValidation
from .linear import Floats, LinearAdapter
from .outliers import FEWEST_WINDOWS, Outliers, noise_like
from .permutation import go_no_go, permute_accuracy, permute_auc
from .rates import auc

if TYPE_CHECKING:
    from .choosing import Candidate


def fit_reader(
    candidate: Candidate, validation: CrossValidation[Any], judged: Floats
) -> tuple[Any, LinearAdapter, dict[str, Any]]:
    """Fit a way to decode on all trials, and calibrate it on what it did with held-out ones.

    Parameters
    ----------
    candidate : Candidate
        The way.
    validation : CrossValidation
        Of its trials.
    judged : ndarray, shape (n_trials, n_classes)
        Scores of every trial by weights that had not seen it.

    Returns
    -------
    encoder : object
        Fitted.
    adapter : LinearAdapter
        With temperature, threshold and what calibration looked like.
    report : dict
        Plain numbers and the verdict, for a card.
    """
    trials, config = candidate.trials, candidate.config
    everything = np.arange(len(trials.labels))
    readings = validation.choose_readings(everything)
    encoder, weights = validation.fit(everything, readings)
    temperature = fit_temperature(judged, trials.targets)
    report: dict[str, Any] = {"temperature": temperature, "cost": readings[0].cost}
    if len(readings) > 1:
        report |= {"cost": None, "parts": [dataclasses.asdict(each) for each in readings]}
    if config.promised_error:
        promise = selective_threshold(
            softmax(judged, temperature),
            trials.targets,
            ConformalConfig(alpha=config.promised_error),
        )
        report["promise"] = promise.sentence
        if promise.threshold is None:
            config = dataclasses.replace(config, promised_error=0.0)
        else:
            config = dataclasses.replace(config, abstain_below=promise.threshold)
    report |= _verdict(candidate, judged)
    outliers = _usual(candidate, encoder)
    return encoder, weights.adapter(trials.classes, config, temperature, outliers), report


def _verdict(candidate: Candidate, judged: Floats) -> dict[str, Any]:
    """Whether shuffled labels would have done as well; within recordings, as they were made."""
    trials = candidate.trials
    if candidate.config.priors == "observed" and len(trials.classes) == 2:
        difference, truth = judged[:, 1] - judged[:, 0], trials.targets
        verdict = go_no_go(permute_auc(truth, difference, trials.recordings))
        area = {"auc": float(auc(difference, truth))}
    else:
        guesses = [trials.classes[row] for row in judged.argmax(axis=1)]
        verdict = go_no_go(permute_accuracy(trials.labels.tolist(), guesses, trials.recordings))
        area = {}
    return {
        **area,
        "go": verdict.go,
        "verdict": verdict.sentence,
        "p_value": verdict.report.p_value,
    }


def _usual(candidate: Candidate, encoder: Any) -> Outliers | None:
    """What calibration looked like to the encoder; None where windows are too few to tell."""
    trials, windows = candidate.trials, candidate.windows
    if len(windows) < FEWEST_WINDOWS:
        return None
    places = trials.recording_of_window
    seen_from = (places,) if candidate.aligned else ()
    features = encoder.encode_many(windows, *seen_from)
    # What a student heard as it streamed cannot be heard again.
    heard = windows.ndim == 3
    noise = encoder.encode_many(noise_like(windows), *seen_from) if heard else None
    return Outliers.fit(features, places, noise=noise)
