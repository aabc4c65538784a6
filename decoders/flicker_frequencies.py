"""Which frequencies an encoder of flicker looks for: those it is told, or those the labels name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError
from ..runtime.paradigms.flicker import frequency_of
from .bands import Floats


def check_frequencies(frequencies_hz: Sequence[float], rate_hz: float) -> None:
    """Refuse frequencies that a stream cannot hold, or one twice; raises `ConfigError`."""
    if len(set(frequencies_hz)) < len(frequencies_hz):
        raise ConfigError(
            f"frequencies_hz must all be different, got {list(frequencies_hz)}: name each once."
        )
    for frequency_hz in frequencies_hz:
        if not 1 <= frequency_hz < rate_hz / 2:
            raise ConfigError(
                f"frequencies_hz must be in [1, {rate_hz / 2:g}) Hz at a rate of {rate_hz:g} Hz, "
                f"got {frequency_hz:g} Hz: leave it out, or raise conditioning.rate_hz."
            )


def named_frequencies(
    chosen: Sequence[float], labels: NDArray[Any] | None, rate_hz: float
) -> Floats:
    """Frequencies that may be attended to.

    Parameters
    ----------
    chosen : sequence of float
        They themselves; empty takes those that the labels name, from low to high.
    labels : ndarray, optional
        Class of each window; those that name no frequency, such as ``"rest"``, are passed over.
    rate_hz : float
        Of the conditioned stream.

    Returns
    -------
    frequencies_hz : ndarray, shape (n_frequencies,)
        At least two.

    Raises
    ------
    ConfigError
        If fewer than two are named, or one is too high for the rate.
    """
    named = {frequency_of(str(label)) for label in np.unique([] if labels is None else labels)}
    found = list(chosen) or sorted(one for one in named if one is not None)
    if len(found) < 2:
        raise ConfigError(
            f"The labels must name at least 2 frequencies, got {found}: label trials with their "
            f'frequency, such as "12", or name them in frequencies_hz.'
        )
    check_frequencies(found, rate_hz)
    return np.array(found)
