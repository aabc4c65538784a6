"""What the watchdog lets through, as a pure state machine: no process, no socket, no clock.

One rule covers the start, a hang and an emergency stop alike: whatever made the outputs safe, they
obey again only after the loop has sent a neutral command. So nothing that moves is ever the first
thing that a device hears, and a loop that comes back from a hang cannot go on where it was.
"""

from __future__ import annotations

from .messages import Command

BEGUN = "nothing has been commanded yet"
STOPPED = "emergency stop"


class Vigil:
    """Watches for signs of life, and holds the outputs safe without them.

    Parameters
    ----------
    limit_ns : int
        Silence after which the outputs are made safe, by the watchdog's own clock. Before the
        first sign of life they are safe anyway.

    Attributes
    ----------
    safe_because : str
        Why the outputs are held safe; empty while commands pass.
    """

    def __init__(self, limit_ns: int) -> None:
        self._limit_ns = limit_ns
        self._heard_ns: int | None = None
        self._silent = False
        self.safe_because = BEGUN

    def left_s(self, now_ns: int) -> float | None:
        """How long nothing may be heard from here on; None for as long as it takes."""
        if self._heard_ns is None:
            return None
        return max(0, self._heard_ns + self._limit_ns - now_ns) / 1e9

    def hear(self, now_ns: int) -> int:
        """A sign of life. One that comes too late ends a silence, whether that was seen or not.

        Returns
        -------
        silent_ns : int
            How long the silence was that it ended, if that was too long; 0 otherwise.
        """
        self.watch(now_ns)  # the watchdog itself may have slept, and both with the machine
        silent_ns = now_ns - (self._heard_ns or 0) if self._silent else 0
        self._heard_ns, self._silent = now_ns, False
        return silent_ns

    def watch(self, now_ns: int) -> bool:
        """Whether the outputs have to be made safe now, because nothing was heard for too long."""
        if self.left_s(now_ns) != 0:
            return False
        self._silent = True
        self.safe_because = f"the loop gave no sign of life for {self._limit_ns / 1e6:g} ms"
        return True

    def stop(self) -> None:
        """An emergency stop, straight from whoever pressed it."""
        self.safe_because = STOPPED

    def permit(self, command: Command) -> Command:
        """A command of the loop: what the sinks are to do.

        Only one that is neutral, at rest and selects nothing releases the outputs.
        """
        if command.label is None and not command.selected and not any(command.velocity):
            self.safe_because = ""
        elif self.safe_because:
            return command.at_rest(f"watchdog: {self.safe_because}")
        return command
