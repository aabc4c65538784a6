"""The lock on flicker: a session shows nothing that the participant's profile refuses.

diverloop does not draw what flickers, but it knows from the model what does. A session whose source
may be a person is refused before a sample is read, unless the profile allows what the model is for,
or an operator unlocks it by name and with a reason, which is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .adapters.task import Task
from .runtime.card import Card
from .runtime.catalog import find
from .runtime.doctor import Finding
from .runtime.errors import ConfigError
from .runtime.paradigms.flicker import Unlock, refusal
from .runtime.paradigms.profiles import profile_for, profile_named
from .runtime.session import SessionConfig

NOBODY_LOOKS = ("replay", "simulator", "speaker")
"""Sources that are recordings, or people who are made up; any other may be a person."""

ADVICE = (
    "fit a model for other flickers, set flicker.contrast or flicker.profile if the screen or the "
    'person is another, or have an operator unlock it with --operator and --unlock-flicker "REASON"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a session shows, and what is said against it.

    Parameters
    ----------
    frequencies_hz : tuple of float
        What flickers; empty if nothing does.
    contrast : float
        As the session says.
    profile : str
        Name of the participant's profile.
    source : str
        Kind of the source.
    refused : str
        What the profile refuses, whoever looks: a sentence without its stop, empty if nothing.
    """

    frequencies_hz: tuple[float, ...]
    contrast: float
    profile: str
    source: str
    refused: str

    @property
    def locked(self) -> bool:
        """Whether the session must not start without an unlock."""
        return bool(self.refused) and self.source not in NOBODY_LOOKS

    def record(self) -> dict[str, Any]:
        """What an audit log keeps of it: plain values."""
        return {
            "frequencies_hz": list(self.frequencies_hz),
            "contrast": self.contrast,
            "profile": self.profile,
            "refused": self.refused,
        }

    def finding(self) -> Finding:
        """The same for somebody who looks before the session does."""
        rates = ", ".join(f"{one:g}" for one in self.frequencies_hz)
        shown = f"{rates} Hz at contrast {self.contrast:g}, {self.profile} profile"
        if not self.frequencies_hz:
            return Finding(name="flicker", ok=True, got="the task shows none")
        if self.locked:
            advice = f"{ADVICE[0].upper()}{ADVICE[1:]}."
            return Finding(name="flicker", ok=False, got=f"{self.refused}.", advice=advice)
        if self.refused:
            got = f"{shown}: refused, but the source is no person: {self.source}"
            return Finding(name="flicker", ok=None, got=got)
        return Finding(name="flicker", ok=True, got=f"{shown}: allowed")


def look(session: SessionConfig, card: Card, kinds: Iterable[str] = ()) -> Look:
    """Look at what a session shows to whom.

    Parameters
    ----------
    session : SessionConfig
        Names the profile, or leaves it to the channels.
    card : Card
        Of the model that decodes: its task knows what flickers.
    kinds : iterable of str
        Kinds of channels in the stream, beside those that the model looks at.

    Returns
    -------
    look : Look
        What is shown, and what is said against it.

    Raises
    ------
    UnknownName
        If nobody knows the card's task.
    """
    task: Task = find("task", card.task)
    named, contrast = session.flicker.profile, session.flicker.contrast
    seen = {channel.kind for channel in card.input.channels} | set(kinds)
    profile = profile_named(named) if named else profile_for(seen)
    frequencies_hz = task.flashes_hz(card)
    return Look(
        frequencies_hz=frequencies_hz,
        contrast=contrast,
        profile=profile.name,
        source=session.source.kind,
        refused=refusal(profile, frequencies_hz, contrast),
    )


def allow(
    session: SessionConfig, card: Card, kinds: Iterable[str] = (), unlock: Unlock | None = None
) -> Look:
    """Refuse a session that shows what it must not.

    Parameters
    ----------
    session, card, kinds
        As for `look`.
    unlock : Unlock, optional
        Who takes responsibility for what the profile refuses.

    Returns
    -------
    look : Look
        What is shown.

    Raises
    ------
    ConfigError
        If the profile refuses some of it, a person may look at it, and nobody unlocked it.
    """
    found = look(session, card, kinds)
    if found.locked and unlock is None:
        raise ConfigError(f"{found.refused}; {ADVICE}.")
    return found
