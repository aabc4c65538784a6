"""When the patch for a photodiode is white: long enough to be seen, never too often."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ...runtime.errors import ConfigError

CORNERS = ("bottom left", "bottom right", "top left", "top right")
MOST_FLASHES_HZ = 3
"""So many flashes a second at most are held to be safe for nearly everybody, see `PatchConfig`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchConfig:
    """The square for a photodiode.

    Parameters
    ----------
    corner : str
        Out of `CORNERS`; empty for no patch.
    size_cm : float
        Length of a side, 0.5 to 5 cm by what the display says of its size.
    flashes_hz : int
        It turns white at most so often in any second, 1 to 60. More than `MOST_FLASHES_HZ` is for
        checking a display with nobody in front of it.

    Raises
    ------
    ConfigError
        If a value cannot be used.

    References
    ----------
    Harding, Wilkins, Erba, Barkley, Fisher (2005). Photic- and pattern-induced seizures: expert
    consensus of the Epilepsy Foundation of America Working Group. Epilepsia: no more than three
    flashes within a second.
    """

    corner: str = "bottom left"
    size_cm: float = 2.0
    flashes_hz: int = MOST_FLASHES_HZ

    def __post_init__(self) -> None:
        if self.corner and self.corner not in CORNERS:
            raise ConfigError(
                f"patch.corner must be one of {', '.join(CORNERS)}, got {self.corner!r}: choose "
                'one, or "" for no patch.'
            )
        if not 0.5 <= self.size_cm <= 5:
            raise ConfigError(f"patch.size_cm must be in [0.5, 5] cm, got {self.size_cm} cm.")
        if not 1 <= self.flashes_hz <= 60:
            raise ConfigError(
                f"patch.flashes_hz must be in [1, 60], got {self.flashes_hz}: 3 is safe."
            )


class PatchLight:
    """Follows what a picture asks of the patch, but for flashes that come too fast.

    Parameters
    ----------
    flashes_hz : int
        It turns white at most so often in any second.
    rate_hz : float
        Frames a second.

    Attributes
    ----------
    withheld : int
        Flashes that were asked for and not shown.
    """

    def __init__(self, flashes_hz: int, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._began: deque[int] = deque([-round(2 * rate_hz)] * flashes_hz, maxlen=flashes_hz)
        self._asked = self.lit = False
        self.withheld = 0

    def ask(self, lit: bool, frame: int) -> bool:
        """Ask for white or black.

        Parameters
        ----------
        lit : bool
            What the picture wants.
        frame : int
            Number of the frame.

        Returns
        -------
        lit : bool
            What is shown. A flash that was withheld stays black to its end.
        """
        if lit and not self._asked:
            self.lit = frame - self._began[0] >= self._rate_hz
            if self.lit:
                self._began.append(frame)
            else:
                self.withheld += 1
        elif not lit:
            self.lit = False
        self._asked = lit
        return self.lit


class Lamp:
    """For pictures: white for a moment after each label.

    Parameters
    ----------
    for_s : float
        How long: a photodiode behind an amplifier at 250 Hz sees 0.1 s as 25 samples.
    """

    def __init__(self, for_s: float = 0.1) -> None:
        self._for_s = for_s
        self._until, self._n_frames = -1, 1

    def begin(self, rate_hz: float) -> None:
        """Learn how many frames a second there are; it is dark."""
        self._n_frames, self._until = max(1, round(self._for_s * rate_hz)), -1

    def lit(self, frame: int, labels: tuple[str, ...]) -> bool:
        """Whether it is white in this frame.

        Parameters
        ----------
        frame : int
            Number of the frame.
        labels : tuple of str
            What begins with it.
        """
        if labels:
            self._until = frame + self._n_frames
        return frame < self._until
