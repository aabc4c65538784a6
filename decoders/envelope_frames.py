"""Frames for speech: how strong every electrode is in each small bin of the newest hop.

Speech motor cortex shows in the envelope of high gamma [1]_. Envelopes come from the conditioning
(`ConditionConfig.envelopes_hz`), so that nothing here looks ahead: bins are averaged, turned into
logarithms, and set against what was usual in the calibration. That stays fixed while it serves: a
mean that follows the stream also follows how much is spoken, and takes long rest for an attempt
(on a simulated speaker the gate stood open for 88 % of a rest, against 4 %). What is louder on
another day is a matter of a short block to fit this encoder anew, not the network behind it.

References
----------
.. [1] Crone, Boatman, Gordon, Hao. Induced electrocorticographic gamma activity during auditory
   perception. Clin. Neurophysiol., 2001.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import take
from ..runtime.errors import BundleError, ConfigError, SchemaMismatch
from ..runtime.messages import Embedding, Samples, StreamSpec, Window
from .bands import Floats, check_announced, check_stream, embed
from .missing import FEWEST, LEAST_SHARE

_SMALLEST_UV = 1e-6  # an envelope may be zero, its logarithm may not be without end
_MOST = 5.0  # standard deviations: what is beyond is an artefact


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeFramesConfig:
    """What can be chosen about `EnvelopeFrames`.

    Parameters
    ----------
    n_frames : int
        Frames of a hop, 1 to 16.
    frame_times : int
        Conditioned samples of a frame, 1 to 1000: 4 are 40 ms at 100 Hz. A window needs as many
        samples as the frames take; what is older is not looked at.
    """

    n_frames: int = 2
    frame_times: int = 4

    def __post_init__(self) -> None:
        for name, most in (("n_frames", 16), ("frame_times", 1000)):
            if not 1 <= getattr(self, name) <= most:
                raise ConfigError(f"{name} must be in 1 to {most}, got {getattr(self, name)}.")

    @property
    def n_times(self) -> int:
        """Samples of a hop."""
        return self.n_frames * self.frame_times


class EnvelopeFrames:
    """Encoder: normalised log envelopes of the newest hop, frame by frame.

    Parameters
    ----------
    config : EnvelopeFramesConfig
        What was chosen.
    mean, scale : ndarray, shape (n_rows,)
        Of the logarithms in the calibration; scale positive.

    Notes
    -----
    Features are frame-major: feature ``frame * n_rows + row``, the oldest frame first. A masked
    row counts as usual, 0; fewer than a third of the rows, or than 3, give NaN with quality 0, and
    so does a window that is not finite.
    """

    Config = EnvelopeFramesConfig

    def __init__(self, config: EnvelopeFramesConfig, mean: Floats, scale: Floats) -> None:
        if mean.shape != scale.shape or not (scale > 0).all():
            raise BundleError(
                f"Means {mean.shape} and scales {scale.shape} must be alike and scales positive: "
                f"fit the model again."
            )
        self.config, self._mean, self._scale = config, mean, scale
        self.n_features = config.n_frames * len(mean)
        self._opened = 0

    @classmethod
    def fit(cls, windows: Samples, labels: NDArray[Any], config: EnvelopeFramesConfig) -> Self:
        """Learn what is usual.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_rows, n_times)
            Conditioned windows in microvolts, all finite; speech and rest.
        labels : ndarray, shape (n_windows,)
            Not looked at.
        config : EnvelopeFramesConfig
            What was chosen.

        Returns
        -------
        encoder : EnvelopeFrames
            Ready to `encode_many`, and to `encode` after `open`.

        Raises
        ------
        ConfigError
            If windows are too short, not finite, or a row never changes.
        """
        if windows.shape[2] < config.n_times:
            raise ConfigError(
                f"Windows must have at least {config.n_times} samples for {config.n_frames} frames "
                f"of {config.frame_times}, got {windows.shape[2]}: lengthen them."
            )
        logs = np.concatenate([_logs(one, config) for one in windows])
        mean, scale = logs.mean(axis=0), logs.std(axis=0)
        if not np.isfinite(logs).all() or not (scale > 0).all():
            raise ConfigError(
                "Every row of the windows must be finite and change: leave out dead channels and "
                "damaged trials."
            )
        return cls(config, mean, scale)

    @classmethod
    def from_arrays(cls, config: EnvelopeFramesConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        return cls(config, take(arrays, "mean", 1), take(arrays, "scale", 1))

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        return {"mean": self._mean, "scale": self._scale}

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Check the stream.

        Parameters
        ----------
        spec : StreamSpec
            Conditioned stream.
        n_times : int
            Samples in a window.

        Raises
        ------
        SchemaMismatch
            If the stream has another number of rows, or windows are shorter than a hop.
        """
        check_stream(spec, len(self._mean))
        if n_times < self.config.n_times:
            raise SchemaMismatch(
                f"Windows have {n_times} samples, needed are {self.config.n_times} for a hop: "
                f"lengthen window.length_s."
            )
        self._opened = n_times

    def encode(self, window: Window) -> Embedding:
        """Frames of one window's newest hop.

        Parameters
        ----------
        window : Window
            Conditioned window, as long as `open` was told.

        Returns
        -------
        embedding : Embedding
            Quality is the share of rows that are not masked.

        Raises
        ------
        SchemaMismatch
            If the window has another shape than announced.
        """
        if not self._opened:
            raise RuntimeError("encode was called before open: open the encoder first.")
        check_announced(window.samples, (len(self._mean), self._opened))
        frames = self._frames(window.samples)
        quality = 1.0
        if window.usable is not None and not window.usable.all():
            n_good = int(window.usable.sum())
            if n_good < max(FEWEST, LEAST_SHARE * len(self._mean)):
                return embed(None, self.n_features)
            frames[:, ~window.usable] = 0.0
            quality = n_good / len(self._mean)
        if not np.isfinite(frames).all():
            return embed(None, self.n_features)
        return embed(frames.ravel(), self.n_features, quality)

    def encode_many(self, windows: Samples) -> Floats:
        """Frames of many windows, by the very code that serves one.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_rows, n_times)
            Conditioned windows in microvolts.

        Returns
        -------
        features : ndarray, shape (n_windows, n_features)
            NaN in the rows of windows that cannot be encoded.
        """
        found = np.empty((len(windows), self.n_features))
        for row, samples in zip(found, windows, strict=True):
            frames = self._frames(samples).ravel()
            row[:] = frames if np.isfinite(frames).all() else np.nan
        return found

    def close(self) -> None:
        """Nothing to give back. Calling it twice is harmless."""
        self._opened = 0

    def _frames(self, samples: Samples) -> Floats:
        """Normalised frames, shape (n_frames, n_rows)."""
        normal = (_logs(samples, self.config) - self._mean) / self._scale
        frames: Floats = np.clip(normal, -_MOST, _MOST)
        return frames


def _logs(samples: Samples, config: EnvelopeFramesConfig) -> Floats:
    """Logarithms of the binned envelopes, shape (n_frames, n_rows); NaN where not finite."""
    newest = samples[:, samples.shape[1] - config.n_times :]
    bins = newest.reshape(len(samples), config.n_frames, config.frame_times).mean(axis=2).T
    logs: Floats = np.log(np.maximum(bins, _SMALLEST_UV))
    logs[np.isinf(logs)] = np.nan
    return logs
