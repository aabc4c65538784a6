"""Who may be listened to, and when: asked by a person, ended by a person or by silence.

What somebody attempts to say is theirs until they want it heard. Content is decoded only while
the adapter listens. It begins deaf; an operator lets it listen, or the person does by a keyword of
their own; it stops on request, and by itself after a while without an attempt.
"""

from __future__ import annotations

from ...runtime.errors import ConfigError


class Listening:
    """Whether the adapter listens, and why not.

    Parameters
    ----------
    stop_after_hops : int
        Hops without an attempt after which it stops by itself, at least 1.
    """

    def __init__(self, stop_after_hops: int) -> None:
        if stop_after_hops < 1:
            raise ConfigError(f"It must listen for at least 1 hop, got {stop_after_hops}.")
        self._most = stop_after_hops
        self._quiet = 0
        self.on = False
        self.reason = "not listening: nobody has asked it to"

    def begin(self) -> None:
        """Listen from now on."""
        self.on, self._quiet, self.reason = True, 0, ""

    def stop(self, why: str) -> None:
        """Listen no more."""
        self.on, self.reason = False, f"not listening: {why}"

    def pass_hops(self, hops: int, *, attempting: bool) -> bool:
        """Count hops that have gone by.

        Parameters
        ----------
        hops : int
            How many; more than one across a gap.
        attempting : bool
            Whether somebody attempts to speak.

        Returns
        -------
        over : bool
            True if it listens, and nobody has attempted to speak for too long.
        """
        self._quiet = 0 if attempting else self._quiet + hops
        return self.on and self._quiet >= self._most
