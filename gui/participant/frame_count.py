"""Which frame is which, once some came too late: frames stay a measure of time."""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime.errors import ConfigError

SLOWEST_HZ, FASTEST_HZ = 20.0, 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A frame that became visible, as well as software can tell.

    Parameters
    ----------
    frame : int
        Its number, from 0.
    due_ns : int
        When it was to be seen; monotonic.
    at_ns : int
        When it was handed over, read right behind the hand-over; monotonic.
    lost : int
        Frames that nobody saw, because this one came late.
    """

    frame: int
    due_ns: int
    at_ns: int
    lost: int = 0

    @property
    def late(self) -> bool:
        """Whether it was seen a frame or more after its time."""
        return self.lost > 0


class FrameCount:
    """Numbers frames so that number and time never part.

    A frame that comes more than half a frame late has been seen in the place of a later one: the
    frames between are lost, and the next one has a number that is larger by as many. What counts
    frames, a flicker for example, so keeps its phase.

    Parameters
    ----------
    rate_hz : float
        Frames a second, 20 to 1000.
    start_ns : int
        When frame 0 is due.

    Raises
    ------
    ConfigError
        If the rate is none of a display.

    Attributes
    ----------
    frame : int
        The next one.
    lost : int
        Frames that were lost so far.
    """

    def __init__(self, rate_hz: float, start_ns: int) -> None:
        if not SLOWEST_HZ <= rate_hz <= FASTEST_HZ:
            raise ConfigError(
                f"A display shows {SLOWEST_HZ:g} to {FASTEST_HZ:g} frames a second, got "
                f"{rate_hz:g}: give the rate that the system's display settings tell."
            )
        self._rate_hz, self._start_ns = rate_hz, start_ns
        self.frame = self.lost = 0
        self._skipped = 0

    def due_ns(self) -> int:
        """When the next frame is due."""
        return self._start_ns + round(self.frame * 1e9 / self._rate_hz)

    def skip_to(self, now_ns: int) -> None:
        """Give up frames whose time has passed, before any work is put into them.

        Parameters
        ----------
        now_ns : int
            The present.
        """
        missed = self._late_by(now_ns)
        self.frame += missed
        self._skipped += missed

    def flipped(self, at_ns: int) -> Flip:
        """The next frame was handed over.

        Parameters
        ----------
        at_ns : int
            When.

        Returns
        -------
        flip : Flip
            With what was lost for it.
        """
        missed = self._late_by(at_ns)
        lost = missed + self._skipped
        flip = Flip(frame=self.frame, due_ns=self.due_ns(), at_ns=at_ns, lost=lost)
        self.frame += missed + 1
        self.lost += lost
        self._skipped = 0
        return flip

    def anchor(self, at_ns: int) -> None:
        """Count on from a flip that the display timed itself: its rate is never quite the nominal.

        Parameters
        ----------
        at_ns : int
            When the frame before the next one was seen.
        """
        self._start_ns = at_ns - round((self.frame - 1) * 1e9 / self._rate_hz)

    def _late_by(self, at_ns: int) -> int:
        """Whole frames behind the time of the next one; up to half a frame is none."""
        return max(0, int((at_ns - self.due_ns()) * self._rate_hz / 1e9 + 0.5))
