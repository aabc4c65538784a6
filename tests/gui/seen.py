"""A dashboard with stand-ins for what draws much, and somebody at the other end of its controls."""

from __future__ import annotations

from diverloop.gui.panels.panel import Panel
from diverloop.runtime.access import Action
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.control_wire import Reply
from diverloop.runtime.telemetry import Telegram

__all__ = ["Counting", "Link", "VirtualClock"]


class Counting(Panel):
    """A panel that counts what happens to it."""

    def __init__(self, name: str = "traces") -> None:
        super().__init__()
        self.name, self.title = name, name.capitalize()
        self.taken: list[Telegram] = []
        self.drawn = self.forgot = 0

    def take(self, message: Telegram) -> None:
        """Count."""
        self.taken.append(message)

    def draw(self) -> None:
        """Count."""
        self.drawn += 1

    def forget(self) -> None:
        """Count, and forget."""
        self.forgot += 1
        self.taken.clear()


class Link:
    """A session that does everything, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Action, str]] = []
        self.codes: list[str] = []

    def ask(self, action: Action, *, code: str = "", text: str = "") -> Reply:
        """Do it."""
        self.asked.append((action, text))
        self.codes += [code] if code else []
        return Reply(n=len(self.asked), done=True, text=f"{action} it is.")

    def close(self) -> None:
        """Nothing is held."""
