"""Which frame clock fits the display in front of the participant."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtGui import QGuiApplication

from ...runtime.errors import ConfigError
from .bare_window import place
from .frame_clock import FrameClock
from .gl_swaps import GlSwaps
from .paced_clock import PacedClock
from .vsync_clock import VsyncClock

CLOCKS = ("auto", "vsync", "paced")
_WAIT_S = 2.0  # for the window to come up


def clock_for(
    kind: str = "auto",
    rate_hz: float = 0.0,
    *,
    full_screen: bool | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> FrameClock:
    """Choose a frame clock; the window is shown meanwhile.

    Parameters
    ----------
    kind : str
        ``"vsync"`` waits for the display, ``"paced"`` keeps the rate itself, ``"auto"`` takes the
        first where it works.
    rate_hz : float
        Of a paced clock; 0 takes what the system says of the screen.
    full_screen : bool, optional
        As for `Stage.show`.
    tell : callable
        Told why it is not the display that keeps time.

    Returns
    -------
    clock : FrameClock
        Not started.

    Raises
    ------
    ConfigError
        If there is no such clock, or if vsync was asked for and does not work here.
    """
    if kind not in CLOCKS:
        raise ConfigError(
            f"A frame clock is one of {', '.join(CLOCKS)}, got {kind!r}: choose one of them."
        )
    if kind != "paced":
        clock, objection = _vsync(full_screen)
        if clock is not None:
            return clock
        if kind == "vsync":
            raise ConfigError(f'{objection} Choose the clock "paced", or another machine.')
        tell(
            f"{objection} Frames are paced by the computer instead: what is seen may be up to a "
            "frame later than its marker."
        )
    return PacedClock(rate_hz or QGuiApplication.primaryScreen().refreshRate())


def _vsync(full_screen: bool | None) -> tuple[FrameClock | None, str]:
    """The clock, or why there is none."""
    try:
        swaps = GlSwaps()
    except ConfigError as error:
        return None, str(error)
    place(swaps.window, full_screen)
    until_s = time.monotonic() + _WAIT_S
    while not swaps.in_view and time.monotonic() < until_s:
        QGuiApplication.processEvents()
    clock = VsyncClock(swaps)
    objection = clock.measure()
    if objection:
        swaps.window.close()
        return None, objection
    return clock, ""
