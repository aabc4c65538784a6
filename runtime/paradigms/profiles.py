"""Who sits in front of the screen: what each participant profile may be shown.

A profile is chosen before anything is shown. Where electrodes lie inside the skull, epilepsy is the
likely reason they are there, and flashes are a hazard from 3 Hz on [1]_: the strict profile is the
default; an operator may choose otherwise by name, never by leaving something out.

References
----------
.. [1] Harding, Wilkins, Erba, Barkley, Fisher. Photic- and pattern-induced seizures: expert
   consensus of the Epilepsy Foundation of America Working Group. Epilepsia, 2005.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..errors import ConfigError, UnknownName
from ..messages import INTRACRANIAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What may be shown to a kind of participant.

    Parameters
    ----------
    name : str
        As a session file names it.
    refused_hz : tuple of (float, float), optional
        Flicker in this range, ends included, is refused at any contrast; None refuses none.
    refused_high_contrast_hz : tuple of (float, float), optional
        Flicker in this range, ends included, is refused from `high_contrast` on.
    high_contrast : float
        Contrast (Michelson) from which flicker counts as strong, in (0, 1].
    rest_after_s : float
        Longest stretch of flicker, in seconds, before a break is offered.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    name: str
    refused_hz: tuple[float, float] | None = None
    refused_high_contrast_hz: tuple[float, float] | None = (15.0, 25.0)
    high_contrast: float = 0.3
    rest_after_s: float = 900.0

    def __post_init__(self) -> None:
        for field in ("refused_hz", "refused_high_contrast_hz"):
            span = getattr(self, field)
            if span is not None and not 0 < span[0] < span[1]:
                raise ConfigError(
                    f"{field} must be a pair with 0 < low < high, got {span}: give both ends in Hz."
                )
        if not 0 < self.high_contrast <= 1:
            raise ConfigError(
                f"high_contrast must be in (0, 1], got {self.high_contrast}: 0.3 is careful."
            )
        if not 0 < self.rest_after_s <= 900:
            raise ConfigError(
                f"rest_after_s must be in (0, 900] s, got {self.rest_after_s} s: offer a break "
                f"every quarter of an hour at least."
            )

    def objection(self, frequency_hz: float, contrast: float) -> str:
        """Why a flicker must not be shown.

        Parameters
        ----------
        frequency_hz : float
            Of the flicker.
        contrast : float
            Michelson contrast, 0 to 1.

        Returns
        -------
        reason : str
            What the profile says against it; empty if nothing.
        """
        if _within(frequency_hz, self.refused_hz):
            return f"the {self.name} profile refuses flicker {_span(self.refused_hz)}"
        strong = contrast >= self.high_contrast
        if strong and _within(frequency_hz, self.refused_high_contrast_hz):
            return (
                f"the {self.name} profile refuses flicker {_span(self.refused_high_contrast_hz)} "
                f"at a contrast of {self.high_contrast:g} or more"
            )
        return ""


def _within(frequency_hz: float, span: tuple[float, float] | None) -> bool:
    return span is not None and span[0] <= frequency_hz <= span[1]


def _span(span: tuple[float, float] | None) -> str:
    return "" if span is None else f"between {span[0]:g} and {span[1]:g} Hz"


GENERAL = Profile(name="general")
"""Nobody known to be photosensitive: what provokes seizures most easily is refused all the same.

The band is the one that provokes most; 0.3 is a careful choice of this project, below the contrast
of any usual flicker, and no norm.
"""

EPILEPSY = Profile(name="epilepsy", refused_hz=(3.0, 60.0), rest_after_s=300.0)
"""Epilepsy or photosensitivity, known or likely: flashes are a hazard from 3 Hz on."""

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {profile.name: profile for profile in (GENERAL, EPILEPSY)}
)
"""Name in a session file -> profile."""


def profile_named(name: str) -> Profile:
    """Profile of a name.

    Parameters
    ----------
    name : str
        A key of `PROFILES`.

    Returns
    -------
    profile : Profile
        What it allows.

    Raises
    ------
    UnknownName
        If there is no such profile.
    """
    if name not in PROFILES:
        raise UnknownName(
            f"No participant profile is called {name!r}: choose one of {', '.join(PROFILES)}."
        )
    return PROFILES[name]


def profile_for(kinds: Iterable[str]) -> Profile:
    """Profile to begin with, from the kinds of channels in a stream.

    Parameters
    ----------
    kinds : iterable of str
        `Channel.kind` of every channel, in any order; repeats are welcome.

    Returns
    -------
    profile : Profile
        `EPILEPSY` if any channel lies inside the skull, else `GENERAL`.
    """
    return EPILEPSY if set(kinds) & set(INTRACRANIAL) else GENERAL
