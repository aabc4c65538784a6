"""Settings of a stream beside the signal."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import ConfigError

FILLS = ("hold", "linear")


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideConfig:
    """What a stream beside the signal is for.

    Parameters
    ----------
    role : str
        What the session calls it, for example ``"gaze"``: small letters, digits, ``-``, ``_``.
    append : tuple of str
        Channels of it that become rows of the window, called ``"gaze/x"``; empty for none: then
        it is recorded and watched, and encoders that ask for it get it.
    fill : str
        How an appended row gets its values: ``"hold"`` keeps the newest sample, ``"linear"``
        draws a line to the next one where that has come already.
    stale_s : float
        Longest time one sample stands for what comes after it, 0.005 to 10 s; beyond it the rows
        are masked.
    delay_s : float
        How long the device takes from the event to its stamp, as somebody measured it, -1 to 1 s;
        no software can tell.
    """

    role: str
    append: tuple[str, ...] = ()
    fill: str = "hold"
    stale_s: float = 0.25
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", self.role):
            raise ConfigError(
                f"beside.role must be 1 to 32 small letters, digits, - or _, got {self.role!r}: "
                f'give it a short name, such as "gaze".'
            )
        if self.fill not in FILLS:
            raise ConfigError(f"beside.fill must be one of {', '.join(FILLS)}, got {self.fill!r}.")
        if not 0.005 <= self.stale_s <= 10:
            raise ConfigError(f"beside.stale_s must be in [0.005, 10] s, got {self.stale_s} s.")
        if not -1 <= self.delay_s <= 1:
            raise ConfigError(f"beside.delay_s must be in [-1, 1] s, got {self.delay_s} s.")
        if len(set(self.append)) != len(self.append) or not all(self.append):
            raise ConfigError(
                f"beside.append must name each channel once, got {', '.join(self.append)!r}."
            )
