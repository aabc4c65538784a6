"""What the session itself thought of its signal while it ran: masks, findings, suspicions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...messages import EventKind
from ...quality import Quality
from ..contents import Record
from .course import Course, Span

FOUND = (EventKind.SPIKE, EventKind.RIPPLE, EventKind.BLANKED, EventKind.CLEANED)
"""Findings that are counted, in the order in which they are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """An electrode that was left out for a while.

    Parameters
    ----------
    name : str
        Its label.
    start_s, stop_s : float
        Seconds since the first sample, to about a second.
    cause : str
        Why it was masked, in plain words; empty if nothing was said.
    to_the_end : bool
        Whether it was still masked when the session ended.
    """

    name: str
    start_s: float
    stop_s: float
    cause: str
    to_the_end: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A suspected seizure. Research guard, not a diagnosis.

    Parameters
    ----------
    at_s : float
        Seconds since the first sample.
    text : str
        What the guard said.
    halt : Span, optional
        For how long output was stopped; None if it was stopped already.
    """

    at_s: float
    text: str
    halt: Span | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What was seen.

    Parameters
    ----------
    n_channels : int
        How many electrodes were looked at; 0 if that was not asked for.
    masks : tuple of Mask
        In the order in which they began.
    times_s, overall : ndarray, shape (n_told,)
        When the quality was told, and the one number for all electrodes, 0 to 1.
    found : mapping of EventKind to ndarray
        When something was found, in seconds; only kinds that were.
    suspicions : tuple of Suspicion
        In order.
    """

    n_channels: int
    masks: tuple[Mask, ...]
    times_s: NDArray[np.float64]
    overall: NDArray[np.float64]
    found: Mapping[EventKind, NDArray[np.float64]]
    suspicions: tuple[Suspicion, ...]

    @property
    def empty(self) -> bool:
        """Whether nobody watched, or nothing of it was recorded."""
        return not (self.n_channels or self.found or self.suspicions)

    @property
    def names(self) -> tuple[str, ...]:
        """Electrodes that were masked, each once, in the order in which that began."""
        return tuple(dict.fromkeys(mask.name for mask in self.masks))


def watch_of(record: Record, course: Course) -> Watch:
    """Gather what the session saw.

    Parameters
    ----------
    record : Record
        The session.
    course : Course
        Its course.

    Returns
    -------
    watch : Watch
        Empty for a recording without such messages.
    """
    qualities = record.qualities
    times_s = np.array([quality.sample for quality in qualities]) / record.spec.rate_hz
    found = {
        kind: np.array([course.when(e) for e in record.events if e.kind is kind], np.float64)
        for kind in FOUND
    }
    return Watch(
        n_channels=len(qualities[0].channels) if qualities else 0,
        masks=_masks(qualities, times_s, record.duration_s),
        times_s=times_s,
        overall=np.array([quality.overall for quality in qualities], np.float64),
        found={kind: at_s for kind, at_s in found.items() if len(at_s)},
        suspicions=_suspicions(record, course),
    )


def _masks(
    qualities: tuple[Quality, ...], times_s: NDArray[np.float64], duration_s: float
) -> tuple[Mask, ...]:
    if not qualities:
        return ()
    masked = ~np.array([quality.usable for quality in qualities])
    edges = np.diff(np.pad(masked, ((1, 1), (0, 0))).astype(np.int8), axis=0)
    found = []
    for row in np.flatnonzero(masked.any(axis=0)).tolist():
        starts, stops = (np.flatnonzero(edges[:, row] == way).tolist() for way in (1, -1))
        for start, stop in zip(starts, stops, strict=True):
            causes = (quality.causes[row] for quality in qualities[start:stop])
            lasts = stop == len(qualities)
            found.append(
                Mask(
                    name=qualities[start].channels[row],
                    start_s=float(times_s[start]),
                    stop_s=max(duration_s, float(times_s[-1])) if lasts else float(times_s[stop]),
                    # Why it was masked: what is wrong later may be the way back.
                    cause=next(filter(None, causes), ""),
                    to_the_end=lasts,
                )
            )
    return tuple(sorted(found, key=lambda mask: (mask.start_s, mask.name)))


def _suspicions(record: Record, course: Course) -> tuple[Suspicion, ...]:
    halts = dict(course.halts)
    return tuple(
        Suspicion(at_s=course.when(event), text=event.text, halt=halts.get(place))
        for place, event in enumerate(record.events)
        if event.kind is EventKind.SEIZURE
    )
