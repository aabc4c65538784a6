"""When nothing may change, and how soon after the last change."""

from __future__ import annotations

from .config import STANDARD, EnvelopeConfig


class FreezeWindows:
    """Who froze, and when something last changed.

    Parameters
    ----------
    config : EnvelopeConfig
        Its least gap.
    """

    Config = EnvelopeConfig

    def __init__(self, config: EnvelopeConfig = STANDARD) -> None:
        self.config = config
        self.why = ""
        self._changed_s = -float("inf")

    def changed(self, now_s: float) -> None:
        """Something else serves from now on."""
        self._changed_s = now_s

    def closed(self, now_s: float, allowed: bool, why_not: str) -> str:
        """Why nothing may be promoted now; empty if it may.

        Parameters
        ----------
        now_s : float
            In seconds of the loop's clock.
        allowed : bool
            Whether the session allows it: a clinician's permission, no neurofeedback block.
        why_not : str
            What it says if not.

        Returns
        -------
        why : str
            A clause for a person.
        """
        if self.why:
            return self.why
        if not allowed:
            return why_not or "the session does not allow it now"
        since_s = now_s - self._changed_s
        soon = since_s < self.config.least_gap_s
        return f"the last change was {since_s:.0f} s ago" if soon else ""
