"""Several encoders on the same window, their features side by side.

Decoders that look at a window in different ways err in different windows, so that what they say
together is worth more than what the best of them says [1]_. Here their features are only put next
to each other; each part is read by itself and the log-odds averaged where the fit is done, in
`diverloop.adapters.cross_validation`.

References
----------
.. [1] Kittler, Hatef, Duin, Matas. On combining classifiers. IEEE Trans. Pattern Anal. Mach.
   Intell., 1998.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.catalog import find
from ..runtime.errors import ConfigError
from ..runtime.messages import Embedding, Samples, StreamSpec, Window
from ..runtime.settings import build
from .bands import Floats, embed

_NOT_HERE = ("joined", "student")


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedPart:
    """One of the encoders.

    Parameters
    ----------
    encoder : str
        Name in the catalogue.
    settings : dict
        Fields of that encoder's own settings.
    """

    encoder: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.encoder in _NOT_HERE:
            raise ConfigError(
                f"{self.encoder!r} cannot be a part of a joined encoder: name one that is fitted "
                f"on windows and reads each by itself."
            )

    def config(self) -> Any:
        """Its settings, checked; raises `ConfigError` if there is no such encoder or field."""
        return build(find("encoder", self.encoder).Config, self.settings, self.encoder)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedConfig:
    """What can be chosen about `Joined`.

    Parameters
    ----------
    parts : tuple of JoinedPart
        At least two; all are served the same conditioned signal.
    """

    parts: tuple[JoinedPart, ...]

    def __post_init__(self) -> None:
        # A card read from JSON brings a list.
        object.__setattr__(self, "parts", tuple(self.parts))
        if len(self.parts) < 2:
            raise ConfigError(
                f"parts must be at least 2 encoders, got {len(self.parts)}: name the encoder "
                f"itself if there is only one."
            )


class Joined:
    """Encoder: the features of several encoders, one part after the other.

    Parameters
    ----------
    config : JoinedConfig
        What was chosen.
    encoders : sequence of Encoder
        One for each part, fitted.

    Notes
    -----
    Each part heeds a mask in its own way; the quality is that of the worst. A window that one of
    them cannot encode is encoded as NaN with quality 0.
    """

    Config = JoinedConfig

    def __init__(self, config: JoinedConfig, encoders: Sequence[Any]) -> None:
        self.config, self._encoders = config, tuple(encoders)
        self.sizes: tuple[int, ...] = tuple(each.n_features for each in self._encoders)
        self.n_features = sum(self.sizes)

    @classmethod
    def fit(cls, windows: Samples, labels: NDArray[Any], config: JoinedConfig) -> Self:
        """Fit every part on the same windows.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_rows, n_times)
            Conditioned windows in microvolts, all finite.
        labels : ndarray, shape (n_windows,)
            Class of each window.
        config : JoinedConfig
            What was chosen.

        Returns
        -------
        encoder : Joined
            Ready to `encode_many`, and to `encode` after `open`.

        Raises
        ------
        ConfigError
            If a part cannot learn from these windows, or its settings do not fit it.
        """
        fits = [
            find("encoder", part.encoder).fit(windows, labels, part.config())
            for part in config.parts
        ]
        return cls(config, fits)

    @classmethod
    def from_arrays(cls, config: JoinedConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        found = []
        for place, part in enumerate(config.parts):
            own = {
                name.removeprefix(f"{place}."): array
                for name, array in arrays.items()
                if name.startswith(f"{place}.")
            }
            found.append(find("encoder", part.encoder).from_arrays(part.config(), own))
        return cls(config, found)

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle: ``place.name`` for every array of every part."""
        return {
            f"{place}.{name}": array
            for place, encoder in enumerate(self._encoders)
            for name, array in encoder.to_arrays().items()
        }

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Open every part; raises what they raise.

        Parameters
        ----------
        spec : StreamSpec
            Conditioned stream.
        n_times : int
            Samples in a window.
        """
        for encoder in self._encoders:
            encoder.open(spec, n_times)

    def encode(self, window: Window) -> Embedding:
        """Features of one window.

        Parameters
        ----------
        window : Window
            Conditioned window.

        Returns
        -------
        embedding : Embedding
            Features of the parts; NaN with quality 0 if one cannot encode the window.

        Raises
        ------
        SchemaMismatch
            If the window has another shape than announced.
        """
        found = [encoder.encode(window) for encoder in self._encoders]
        quality = min(each.quality for each in found)
        if not quality > 0:
            return embed(None, self.n_features)
        return embed(np.concatenate([each.values for each in found]), self.n_features, quality)

    def encode_many(self, windows: Samples) -> Floats:
        """Features of many windows, by the very code that serves one.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_rows, n_times)
            Conditioned windows in microvolts.

        Returns
        -------
        features : ndarray, shape (n_windows, n_features)
            NaN in the rows of windows that a part cannot encode.
        """
        features = np.concatenate([each.encode_many(windows) for each in self._encoders], axis=1)
        features[~np.isfinite(features).all(axis=1)] = np.nan
        return features

    def close(self) -> None:
        """Close every part. Calling it twice is harmless."""
        for encoder in self._encoders:
            encoder.close()
