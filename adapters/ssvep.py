"""SSVEP: which of several flickers is looked at, with a calibration or without one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..runtime.collection import TrialSpan, WholeRecording
from ..runtime.errors import ConfigError
from ..runtime.paradigms.flicker import frequency_of
from ..runtime.signal.bad_channels import BadChannelConfig
from ..runtime.signal.condition_config import ConditionConfig
from ..runtime.windows import WindowConfig
from .linear import Floats, LinearAdapter, LinearConfig
from .task import Finished, Heard, Task, Way, joined

FLICKER = ConditionConfig(high_pass_hz=3.0, line_hz=50.0, order=2, bad_channels=BadChannelConfig())
"""Above slow rhythms, without mains hum, no reference: few electrodes, all at the back.

Without the notch four points are lost at 1 s; where mains has 60 Hz, say so."""


def untrained_temperature(length_s: float) -> float:
    """Temperature of scores that nobody was calibrated on.

    Parameters
    ----------
    length_s : float
        Length of a window, positive.

    Returns
    -------
    temperature : float
        0.115 at 1 s, falling: long windows say more. It follows what was best on all but the last
        runs of six people with three flickers, at 1 to 3 s; on their last runs the calibration
        error was no larger than chance makes it. Another person, other electrodes and more flickers
        may need another one: a calibration finds it.
    """
    return float(0.115 * length_s**-0.4)


def untrained_head(
    classes: Sequence[str], frequencies_hz: Sequence[float], temperature: float
) -> dict[str, Floats]:
    """Weights of a linear head that reads summed scores as they are.

    Parameters
    ----------
    classes : sequence of str
        Each names one of the frequencies, see `frequency_of`.
    frequencies_hz : sequence of float
        In the order of the features; one feature for each, a sum over sub-bands.
    temperature : float
        Scores are divided by it, see `untrained_temperature`.

    Returns
    -------
    arrays : dict of str to ndarray
        What `LinearAdapter` is rebuilt from.

    Raises
    ------
    ConfigError
        If a class names none of the frequencies: without training, rest cannot be told.
    """
    weights = np.zeros((len(classes), len(frequencies_hz)))
    for row, label in zip(weights, classes, strict=True):
        frequency_hz = frequency_of(label)
        if frequency_hz is None or frequency_hz not in frequencies_hz:
            raise ConfigError(
                f"Class {label!r} must name one of {list(frequencies_hz)} Hz: what names no "
                f"flicker can only be told after a calibration."
            )
        row[list(frequencies_hz).index(frequency_hz)] = 1.0
    n = len(frequencies_hz)
    return {
        "mean": np.zeros(n),
        "scale": np.ones(n),
        "weights": weights,
        "bias": np.zeros(len(classes)),
        "temperature": np.array([temperature]),
    }


def frequencies_of(classes: Sequence[str]) -> tuple[float, ...]:
    """Frequencies in hertz that the names of classes say, in their order; ``"rest"`` says none."""
    named = map(frequency_of, classes)
    return tuple(hertz for hertz in named if hertz is not None)


def _untrained(heard: Heard) -> Finished:
    """What is known of flicker, whoever looks at it: nothing is learnt from the recording.

    No limit to what is unlike calibration is learnt either: flicker is unlike a person at rest.
    """
    part = heard.parts[0]
    length_s = part.windows.shape[2] / part.conditioned.rate_hz
    temperature = untrained_temperature(length_s)
    arrays = untrained_head(heard.classes, heard.encoder.frequencies_hz.tolist(), temperature)
    adapter = LinearAdapter.from_arrays(LinearConfig(classes=heard.classes), arrays)
    verdict = (
        "Nothing was learnt and nothing is known of how well this person is decoded: try it, or "
        "calibrate."
    )
    return Finished(
        kind="linear", adapter=adapter, report={"temperature": temperature, "verdict": verdict}
    )


TOGETHER = joined(
    Way(encoder="fbcca", conditioning=FLICKER, settings={"n_bands": 5}, classifier="lda"),
    Way(encoder="flicker_covariance", conditioning=FLICKER, classifier="lda"),
)
"""How well each flicker is followed, and with which electrodes."""


def flicker_ways(classes: tuple[str, ...]) -> tuple[Way, ...]:
    """Ways to decode an attended flicker."""
    named: dict[str, object] = {"n_bands": 5, "frequencies_hz": frequencies_of(classes)}
    return (
        TOGETHER,
        Way(encoder="fbcca", conditioning=FLICKER, settings={"n_bands": 5}),
        Way(
            encoder="fbcca",
            name="fbcca_by_band",
            conditioning=FLICKER,
            settings={"n_bands": 5, "per_band": True},
            classifier="lda",
        ),
        Way(
            encoder="fbcca",
            name="fbcca_untrained",
            conditioning=FLICKER,
            settings=named,
            learns_from=WholeRecording(start_s=0.0, stop_s=0.0),
            learn=_untrained,
        ),
    )


SSVEP = Task(
    name="ssvep",
    title="SSVEP",
    span=TrialSpan(classes=("8", "10", "12", "14"), start_s=0.5, stop_s=4.5),
    window=WindowConfig(length_s=2.0, step_s=0.2),
    ways=flicker_ways,
    flashes_hz=lambda card: frequencies_of(card.classes),
    simulator={"task": "ssvep", "snr": 3.0},
)
"""Flickers of different frequencies; markers name the frequency in hertz."""
