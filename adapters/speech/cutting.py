"""From a stretch of hops and the task's markers to utterances that can be learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from ...runtime.messages import Marker

SAY, ONSET, OFFSET = "say:", "onset", "offset"
"""What markers say: the text, and where attempts begin and end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One attempt to speak, with some rest on both sides.

    Parameters
    ----------
    hops : ndarray, shape (n_hops, n_features)
        What the encoder made of the windows, in order and without a gap.
    words : tuple of str
        What was to be said.
    onset, offset : int
        First hop of the attempt, and one past its last.
    """

    hops: NDArray[np.floating]
    words: tuple[str, ...]
    onset: int
    offset: int

    def __post_init__(self) -> None:
        if not 0 <= self.onset < self.offset <= len(self.hops):
            raise ConfigError(
                f"An attempt must lie within its {len(self.hops)} hops, got {self.onset} to "
                f"{self.offset}: cut it again."
            )

    @property
    def attempting(self) -> NDArray[np.bool_]:
        """Which hops belong to the attempt, shape (n_hops,)."""
        places = np.arange(len(self.hops))
        return (places >= self.onset) & (places < self.offset)


def cut_utterances(
    hops: NDArray[np.floating],
    stops: NDArray[np.integer],
    markers: Sequence[Marker],
    *,
    before_hops: int = 12,
    after_hops: int = 12,
) -> list[Utterance]:
    """Cut a recording into its utterances.

    Parameters
    ----------
    hops : ndarray, shape (n_hops, n_features)
        What the encoder made of each window, in order.
    stops : ndarray of int, shape (n_hops,)
        `Window.stop_sample` of each.
    markers : sequence of Marker
        ``"say:TEXT"``, then ``"onset"`` and ``"offset"`` of the attempt; others are passed over.
    before_hops, after_hops : int
        Rest to keep on both sides, as long as it is nobody else's.

    Returns
    -------
    utterances : list of Utterance
        In order; attempts across a gap or with frames that are not finite are left out.
    """
    step = int(np.median(np.diff(stops))) if len(stops) > 1 else 1
    spans = _attempts(markers)
    found = []
    for place, (text, onset, offset) in enumerate(spans):
        # A hop belongs to the attempt if its newest samples do.
        inside = (stops > onset) & (stops - step < offset)
        if not inside.any():
            continue
        first, stop = int(inside.argmax()), len(inside) - int(inside[::-1].argmax())
        free = spans[place - 1][2] if place else -np.inf
        taken = spans[place + 1][1] if place + 1 < len(spans) else np.inf
        rest = (stops - step >= free) & (stops <= taken) | inside
        left = max(first - before_hops, int(rest.argmax()))
        right = min(stop + after_hops, len(rest) - int(rest[::-1].argmax()))
        part = hops[left:right]
        if np.isfinite(part).all() and (np.abs(np.diff(stops[left:right]) - step) <= 1).all():
            found.append(
                Utterance(
                    hops=part, words=tuple(text.split()), onset=first - left, offset=stop - left
                )
            )
    return found


def _attempts(markers: Sequence[Marker]) -> list[tuple[str, int, int]]:
    """Text, first and stop sample of every attempt that was finished."""
    found: list[tuple[str, int, int]] = []
    text, onset = "", -1
    for marker in markers:
        if marker.label.startswith(SAY):
            text, onset = marker.label.removeprefix(SAY), -1
        elif marker.label == ONSET:
            onset = marker.sample
        elif marker.label == OFFSET and text and onset >= 0:
            found.append((text, onset, marker.sample))
            text, onset = "", -1
    return found
