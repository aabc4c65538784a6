"""A cap that is taken off and put on again in the middle of a session, a little differently.

Electrodes end up elsewhere, and each makes better or worse contact than before. Nobody tells the
decoder: the stream goes on under the same names and places. Electrodes of one person are put on
1 to 2 cm apart from day to day, and that alone costs a decoder that was calibrated before [1]_.
How contact changes is a choice, not a measurement.

References
----------
.. [1] Clerc, Bougrain, Lotte. Brain-computer interfaces 1: methods and perspectives. Wiley, 2016.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError

Floats = NDArray[np.float64]

_STREAM = 7  # keeps these draws apart from those of the timeline and of the signal
_RANGES = {"at_s": (0.0, 1e6), "turn_deg": (-180.0, 180.0), "shift_mm": (-60.0, 60.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recap:
    """When the cap is put on again, and how differently it sits then.

    Parameters
    ----------
    at_s : float
        Stream time at which it sits anew; 0 for never.
    turn_deg : float
        By how much it is turned about the vertical axis, positive to the left.
    shift_mm : float
        By how much it is pushed to the front.
    gain_spread : float
        Standard deviation of the logarithm of each electrode's gain afterwards, 0 to 2; drawn by
        the seed.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    at_s: float = 0.0
    turn_deg: float = 15.0
    shift_mm: float = 10.0
    gain_spread: float = 0.4

    def __post_init__(self) -> None:
        for name, (low, high) in {**_RANGES, "gain_spread": (0.0, 2.0)}.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"simulator.recap.{name} must be in [{low:g}, {high:g}], got "
                    f"{getattr(self, name)!r}: leave it out for {getattr(type(self)(), name):g}."
                )

    @property
    def happens(self) -> bool:
        """Whether the cap is ever put on again."""
        return self.at_s > 0

    def places(self, places_m: Floats) -> Floats:
        """Where the electrodes are afterwards.

        Parameters
        ----------
        places_m : ndarray, shape (n_channels, 3)
            Where they were, x to the right and y to the front, metres.

        Returns
        -------
        places_m : ndarray, shape (n_channels, 3)
            Turned, then pushed.
        """
        turn = math.radians(self.turn_deg)
        about = np.array(
            [[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]]
        )
        moved: Floats = places_m @ about.T + np.array([0.0, self.shift_mm / 1e3, 0.0])
        return moved

    def gains(self, n_channels: int, seed: int) -> Floats:
        """What each electrode is multiplied by afterwards, shape (n_channels, 1)."""
        rng = np.random.default_rng([seed, _STREAM])
        return np.exp(self.gain_spread * rng.standard_normal((n_channels, 1)))
