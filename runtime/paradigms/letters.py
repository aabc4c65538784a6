"""Which letter comes next: a small character model, so that likely items need fewer flashes.

Counts of up to five characters in a row, smoothed after Witten and Bell [1]_: how much a context
is trusted grows with how often it was seen, and shrinks with how many different letters followed
it. It is what Speier and others put in front of the evidence of a speller [2]_.

`everyday` is what the model is usually fitted on: some 260 short sentences such as a patient may
want to spell, written for this purpose. It is small: it knows common words and endings, and hardly
any names. A model fitted on what a person has really written will serve that person better.

References
----------
.. [1] Witten, Bell. The zero-frequency problem: estimating the probabilities of novel events in
   adaptive text compression. IEEE Trans. Inf. Theory, 1991.
.. [2] Speier, Arnold, Lu, Taira, Pouratian. Natural language processing with dynamic
   classification improves P300 speller accuracy and bit rate. J. Neural Eng., 2012.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleError, ConfigError

Floats = NDArray[np.float64]

SPACE = "_"
MAX_ORDER = 5
_NOTHING = -1


def everyday() -> str:
    """Some 260 everyday sentences, one a line."""
    return Path(__file__).with_name("everyday.txt").read_text(encoding="utf-8")


def spell(text: str, alphabet: Sequence[str]) -> list[int]:
    """Write a text with the items of a speller.

    Parameters
    ----------
    text : str
        Any.
    alphabet : sequence of str
        The items; those of one letter, and ``"_"`` for space, are used.

    Returns
    -------
    places : list of int
        Numbers of the items. Case is ignored, and what has no item becomes a space, of which
        there is never more than one in a row.
    """
    place = {item: number for number, item in enumerate(alphabet) if _is_letter(item)}
    words = "".join(char if char in place else " " for char in text.upper()).split()
    space = [place[SPACE]] if SPACE in place else []
    found: list[int] = []
    for word in words:
        found += (space if found else []) + [place[char] for char in word]
    return found


class LetterModel:
    """Probability of each item, given the ones before.

    Parameters
    ----------
    alphabet : sequence of str
        Items, in the order of the probabilities.
    grams : ndarray of int, shape (n, order)
        Items in a row that were seen: one with those before it, the newest last, filled up with
        -1 from the left.
    counts : ndarray, shape (n,)
        How often.
    floor : float
        No item is less probable than about this, in (0, 1 / n_items): digits, backspace and
        items that are no letters are never seen in a text, but are wanted all the same.
    """

    def __init__(
        self, alphabet: Sequence[str], *, grams: NDArray[np.int64], counts: Floats, floor: float
    ) -> None:
        self.alphabet = tuple(alphabet)
        self._grams, self._counts, self._floor = grams, counts, floor
        if not 0 < floor < 1 / len(self.alphabet):
            raise ConfigError(
                f"floor must be in (0, 1 / {len(self.alphabet)}), got {floor}: lower it."
            )
        self._place = {item: number for number, item in enumerate(self.alphabet)}
        self._letters = np.array([_is_letter(item) for item in self.alphabet])
        self._after: dict[tuple[int, ...], Floats] = {}
        for gram, count in zip(grams.tolist(), counts, strict=True):
            seen = tuple(number for number in gram if number != _NOTHING)
            after = self._after.setdefault(seen[:-1], np.zeros(len(self.alphabet)))
            after[seen[-1]] += count

    @classmethod
    def fit(
        cls, text: str, alphabet: Sequence[str], order: int = MAX_ORDER, *, floor: float = 0.004
    ) -> Self:
        """Count a text.

        Parameters
        ----------
        text : str
            Any, one sentence a line; see `spell` for what is read of it.
        alphabet : sequence of str
            The speller's items.
        order : int
            Characters in a row that are counted, 1 to 5.
        floor : float
            Least probability of an item.

        Returns
        -------
        model : LetterModel
            Fitted.

        Raises
        ------
        ConfigError
            If an argument is outside its range, or the text holds no letter.
        """
        if not 1 <= order <= MAX_ORDER:
            raise ConfigError(f"order must be in 1 to {MAX_ORDER}, got {order}.")
        # A sentence begins as if a space stood before it: nothing to spell begins with nothing.
        start = [tuple(alphabet).index(SPACE)] if SPACE in alphabet else []
        seen: dict[tuple[int, ...], int] = {}
        for line in text.splitlines():
            written = spell(line, alphabet)
            # People end a sentence with a space and go on; a line that is empty counts nothing.
            row = start + written + (start if written else [])
            for stop in range(len(start) + 1, len(row) + 1):
                for length in range(1, min(order, stop) + 1):
                    gram = (_NOTHING,) * (order - length) + tuple(row[stop - length : stop])
                    seen[gram] = seen.get(gram, 0) + 1
        if not seen:
            raise ConfigError("The text holds none of the speller's letters: give another text.")
        grams = np.array(list(seen), dtype=np.int64)
        counts = np.array(list(seen.values()), dtype=np.float64)
        return cls(alphabet, grams=grams, counts=counts, floor=floor)

    @classmethod
    def from_arrays(cls, alphabet: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit the items."""
        names = ("letter_grams", "letter_counts", "letter_floor")
        if missing := [name for name in names if name not in arrays]:
            raise BundleError(
                f"A letter model needs the arrays {', '.join(names)}, missing is "
                f"{', '.join(missing)}: fit the model again."
            )
        grams, counts, floor = (np.array(arrays[name], dtype=np.float64) for name in names)
        fits = grams.ndim == 2 and counts.shape == grams.shape[:1] and grams.size > 0
        fits = fits and floor.size == 1 and bool((counts > 0).all() and np.isfinite(grams).all())
        if not fits or grams.max() >= len(alphabet) or (grams[:, -1] < 0).any():
            raise BundleError(
                f"Letter counts {counts.shape} of {grams.shape} do not fit {len(alphabet)} items: "
                f"fit the model again."
            )
        whole = grams.astype(np.int64)
        return cls(alphabet, grams=whole, counts=counts, floor=float(floor.item()))

    def to_arrays(self) -> dict[str, Floats]:
        """What was counted, for a bundle."""
        return {
            "letter_grams": self._grams.astype(np.float64),
            "letter_counts": self._counts,
            "letter_floor": np.array([self._floor]),
        }

    @property
    def order(self) -> int:
        """Characters in a row that were counted."""
        return int(self._grams.shape[1])

    def prior(self, history: Sequence[str]) -> Floats:
        """Probability of each item to be the next.

        Parameters
        ----------
        history : sequence of str
            What was spelled so far, items in order; only the last four count.

        Returns
        -------
        probabilities : ndarray, shape (n_items,)
            Positive, sum to 1.
        """
        before = [self._place.get(item, _NOTHING) for item in (SPACE, *history)]
        # Letters that were never seen are as likely as any; what is no letter has its floor.
        found = self._letters / max(1, self._letters.sum())
        for length in range(min(self.order - 1, len(before)) + 1):
            after = self._after.get(tuple(before[len(before) - length :]))
            if after is None:
                break
            kinds = np.count_nonzero(after)
            found = (after + kinds * found) / (after.sum() + kinds)
        raised = np.maximum(found, self._floor)
        shares: Floats = raised / raised.sum()
        return shares

    def perplexity(self, text: str) -> float:
        """How many equally likely items a text's next item is worth.

        Parameters
        ----------
        text : str
            Not the one it was fitted on; one sentence a line, each begun without a history.

        Returns
        -------
        perplexity : float
            1 if it knew every item for sure; a uniform prior has the number of items.
        """
        bits: list[float] = []
        for line in text.splitlines():
            written = [self.alphabet[number] for number in spell(line, self.alphabet)]
            for place, item in enumerate(written):
                bits.append(-math.log2(self.prior(written[:place])[self._place[item]]))
        return 2 ** (sum(bits) / max(1, len(bits)))


def _is_letter(item: str) -> bool:
    return len(item) == 1 and (item.isalpha() or item == SPACE)
