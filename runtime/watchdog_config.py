"""When the watchdog makes outputs safe."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogConfig:
    """How patient the watchdog is.

    Parameters
    ----------
    on : bool
        Whether it runs in a live session whose sinks act outside this program.
    limit_s : float
        Without a sign of life of the loop for so long the outputs are made neutral, 0.1 to 0.18 s:
        they are to be safe 0.2 s after the loop has hung, and the loop gives a sign every 0.05 s.
    forgive_s : float
        A loop that was silent for longer than this is disarmed when it comes back, 0.2 to 10 s;
        after a shorter silence it goes on by itself.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    on: bool = True
    limit_s: float = 0.15
    forgive_s: float = 1.0

    def __post_init__(self) -> None:
        if not 0.1 <= self.limit_s <= 0.18:
            raise ConfigError(f"watchdog.limit_s must be in [0.1, 0.18] s, got {self.limit_s} s.")
        if not 0.2 <= self.forgive_s <= 10:
            raise ConfigError(f"watchdog.forgive_s must be in [0.2, 10] s, got {self.forgive_s} s.")
