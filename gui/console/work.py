"""What the console has done for it, whoever does it."""

from __future__ import annotations

from typing import Protocol

from PySide6.QtCore import SignalInstance

from .session import Order, Session


class Work(Protocol):
    """What does what the console orders. Nothing in it waits; all is called by the window.

    Attributes
    ----------
    news : Signal
        Of ``News``.
    heard : Signal
        Of telegrams.
    code_wanted : Signal
        A one-time code would help, see `code`.
    lost : int
        Telegrams that were dropped because this window was too slow.
    """

    news: SignalInstance
    heard: SignalInstance
    code_wanted: SignalInstance

    @property
    def lost(self) -> int:
        """Telegrams that were dropped."""

    def do(self, order: Order, session: Session) -> None:
        """Do something; what comes of it is told by `news`."""

    def note(self, text: str) -> None:
        """Put a note on record."""

    def code(self, text: str) -> None:
        """Try again what was refused, with a one-time code; `code_wanted` says when."""

    def close(self) -> None:
        """The window closes."""
