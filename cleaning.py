"""What the calibration teaches about artefacts: mains, eyes, bursts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .runtime.bundle import Arrays
from .runtime.clock import VirtualClock
from .runtime.errors import BundleError, RecordingError
from .runtime.messages import Samples, StreamSpec
from .runtime.signal.condition_config import ConditionConfig
from .runtime.signal.conditioning import rows_to_keep
from .training_sources import Progress, TrainingSource

_ENOUGH_FOR_ICA = 16  # rows; with fewer the eyes do not come apart from the rest


def learn_to_clean(
    sources: Sequence[TrainingSource], config: ConditionConfig, progress: Progress
) -> Arrays:
    """Fit what `ConditionConfig.clean` names on raw calibration signal.

    Parameters
    ----------
    sources : sequence of TrainingSource
        Calibration.
    config : ConditionConfig
        What is picked, and what is to be cleaned.
    progress : callable
        Called with what is being done, how far, and of how much.

    Returns
    -------
    arrays : mapping of str to ndarray
        ``"line.…"``, ``"eye.…"`` and ``"asr.…"``, for `StreamConditioner`; empty for nothing.

    Raises
    ------
    ConfigError
        If the calibration is too short, or does not show what is to be taken out.
    """
    if not config.clean:
        return {}
    from .decoders.asr_fit import fit_asr
    from .decoders.cleaning_fit import fit_eog_regression, fit_eye_ica
    from .decoders.line_projection import fit_line_projection

    samples, spec = raw_signal(sources, config.pick)
    arrays: dict[str, Any] = {}
    for place, name in enumerate(config.clean):
        progress(f"learning to clean: {name}", place, len(config.clean))
        if name == "asr":
            fitted: Any = fit_asr(samples, spec)
        elif name == "line":
            fitted = fit_line_projection(samples, spec, config.line_hz)
        elif spec.n_channels >= _ENOUGH_FOR_ICA:
            fitted = fit_eye_ica(samples, spec)
        else:
            fitted = fit_eog_regression(samples, spec)
        arrays |= fitted.to_arrays(f"{name}.")
        if name != "asr":
            samples = fitted.matrix(np.ones(spec.n_channels, bool)) @ samples
    return arrays


def raw_signal(
    sources: Sequence[TrainingSource], pick: tuple[str, ...]
) -> tuple[Samples, StreamSpec]:
    """All that recordings hold of the picked rows, one behind the other; holes closed up.

    Parameters
    ----------
    sources : sequence of TrainingSource
        Recordings.
    pick : tuple of str
        Electrodes; empty for every brain channel.

    Returns
    -------
    samples : ndarray, shape (n_channels, n_times)
        In microvolts.
    spec : StreamSpec
        Of the picked rows.

    Raises
    ------
    RecordingError
        If there is no signal.
    BundleError
        If the recordings' channels or rates differ.
    """
    found = [_picked(one, pick) for one in sources]
    parts = [part for blocks, _ in found for part in blocks]
    if not parts:
        raise RecordingError("There is no signal to learn from: name a recording.")
    spec = found[0][1]
    for one, (_, other) in zip(sources, found, strict=True):
        if other.schema != spec.schema:
            raise BundleError(
                f"{one.name} has other channels, kinds or another rate than {sources[0].name} "
                f"({other.n_channels} channels at {other.rate_hz:g} Hz, and {spec.n_channels} at "
                f"{spec.rate_hz:g}): learn from recordings of one device."
            )
    return np.concatenate(parts, axis=1).astype(np.float64), spec


def _picked(one: TrainingSource, pick: tuple[str, ...]) -> tuple[list[Samples], StreamSpec]:
    """Blocks of the picked rows of one recording, without samples that one of them lacks."""
    source = one.make(VirtualClock())
    source.open()
    try:
        rows = rows_to_keep(pick, source.spec)
        spec = replace(source.spec, channels=tuple(source.spec.channels[row] for row in rows))
        parts = []
        while not source.ended:
            chunk = source.read(round(spec.rate_hz), 2**62)
            if chunk is not None and chunk.samples.shape[1]:
                picked = chunk.samples[rows]
                parts.append(picked[:, np.isfinite(picked).all(axis=0)])
    finally:
        source.close()
    return parts, spec
