"""Phoneme and word error rates: how many edits lead from what was said to what was meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...runtime.errors import ConfigError


def edit_distance(said: Sequence[str], wanted: Sequence[str]) -> int:
    """Least number of insertions, deletions and substitutions [1]_.

    Parameters
    ----------
    said, wanted : sequence of str
        Phonemes or words.

    Returns
    -------
    edits : int
        0 if both are the same.

    References
    ----------
    .. [1] Wagner, Fischer. The string-to-string correction problem. J. ACM, 1974.
    """
    above = list(range(len(wanted) + 1))
    for row, one in enumerate(said, start=1):
        here = [row]
        for column, other in enumerate(wanted, start=1):
            kept = above[column - 1] + (one != other)
            here.append(min(kept, above[column] + 1, here[-1] + 1))
        above = here
    return above[-1]


def error_rate(pairs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> float:
    """Edits over all utterances, by the number of units that were meant.

    Parameters
    ----------
    pairs : iterable of (sequence of str, sequence of str)
        What was said and what was meant, in phonemes (PER) or words (WER).

    Returns
    -------
    rate : float
        0 is perfect; above 1 if much was inserted.

    Raises
    ------
    ConfigError
        If nothing was meant in any of them.
    """
    edits = units = 0
    for said, wanted in pairs:
        edits += edit_distance(said, wanted)
        units += len(wanted)
    if not units:
        raise ConfigError("An error rate needs at least 1 unit that was meant, got 0: add text.")
    return edits / units
