"""The sounds of English as data: 39 phonemes and silence, and how each is articulated.

The names are those of ARPAbet without stress. Alphabetical order with silence last is the order
in which the public speech sets number their classes [1]_, so that class ``n + 1`` of a decoder
whose class 0 is the blank of CTC is ``PHONEMES[n]``.

References
----------
.. [1] Willett et al. A high-performance speech neuroprosthesis. Nature, 2023.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import UnknownName

SILENCE = "SIL"

FEATURES = (
    "labial", "dental", "alveolar", "postalveolar", "palatal", "velar", "glottal",
    "stop", "fricative", "nasal", "lateral", "rhotic", "glide", "voiced",
    "vowel", "high", "low", "front", "back", "round", "tense", "gliding",
)  # fmt: skip
"""Columns of `features`: place, manner, voicing, then what only vowels have."""

# Place, manner and voicing of consonants and height, backness and rounding of vowels after
# Ladefoged and Johnson (A Course in Phonetics, 2010). A number is a degree between 0 and 1; a
# diphthong stands between its two ends and is marked as gliding.
_ARTICULATION = {
    "AA": "vowel voiced low back tense",
    "AE": "vowel voiced low front",
    "AH": "vowel voiced low:0.5 high:0.3 back:0.4 front:0.2",
    "AO": "vowel voiced low:0.6 back round tense",
    "AW": "vowel voiced low:0.6 high:0.4 back:0.6 front:0.2 round:0.5 tense gliding",
    "AY": "vowel voiced low:0.6 high:0.4 back:0.3 front:0.6 tense gliding",
    "B": "labial stop voiced",
    "CH": "postalveolar stop fricative",
    "D": "alveolar stop voiced",
    "DH": "dental fricative voiced",
    "EH": "vowel voiced low:0.5 front",
    "ER": "vowel voiced rhotic high:0.4 back:0.3 front:0.3 postalveolar:0.4",
    "EY": "vowel voiced high:0.6 front tense gliding",
    "F": "labial dental fricative",
    "G": "velar stop voiced",
    "HH": "glottal fricative",
    "IH": "vowel voiced high:0.7 front:0.8",
    "IY": "vowel voiced high front tense",
    "JH": "postalveolar stop fricative voiced",
    "K": "velar stop",
    "L": "alveolar lateral voiced",
    "M": "labial nasal voiced",
    "N": "alveolar nasal voiced",
    "NG": "velar nasal voiced",
    "OW": "vowel voiced high:0.5 back round tense gliding",
    "OY": "vowel voiced low:0.2 high:0.5 back:0.7 front:0.6 round:0.8 tense gliding",
    "P": "labial stop",
    "R": "postalveolar rhotic voiced round:0.3",
    "S": "alveolar fricative",
    "SH": "postalveolar fricative",
    "T": "alveolar stop",
    "TH": "dental fricative",
    "UH": "vowel voiced high:0.7 back:0.8 round:0.8",
    "UW": "vowel voiced high back round tense",
    "V": "labial dental fricative voiced",
    "W": "labial velar glide voiced round",
    "Y": "palatal glide voiced high:0.5 front:0.5",
    "Z": "alveolar fricative voiced",
    "ZH": "postalveolar fricative voiced",
    SILENCE: "",
}

PHONEMES: tuple[str, ...] = tuple(_ARTICULATION)
"""The 39 phonemes in alphabetical order, then `SILENCE`."""

VOWELS: tuple[str, ...] = tuple(
    name for name, words in _ARTICULATION.items() if words.startswith("vowel")
)
"""The 15 phonemes that make a syllable."""

_INDEX = {name: place for place, name in enumerate(PHONEMES)}


def index_of(phoneme: str) -> int:
    """Row of a phoneme in `PHONEMES` and in `features`.

    Parameters
    ----------
    phoneme : str
        A name of ARPAbet without the digit of its stress, or `SILENCE`.

    Returns
    -------
    index : int
        0 to 39.

    Raises
    ------
    UnknownName
        If there is no such phoneme.
    """
    if phoneme not in _INDEX:
        raise UnknownName(
            f"No phoneme is called {phoneme!r}; write one of {' '.join(PHONEMES)}, in capitals "
            f"and without the digit of a stress."
        )
    return _INDEX[phoneme]


def features() -> NDArray[np.float64]:
    """How every phoneme is articulated.

    Returns
    -------
    table : ndarray, shape (40, n_features)
        Degrees from 0 to 1; rows as in `PHONEMES`, columns as in `FEATURES`. Silence is zero
        everywhere, and no two rows are equal.
    """
    table = np.zeros((len(PHONEMES), len(FEATURES)))
    for row, words in enumerate(_ARTICULATION.values()):
        for word in words.split():
            name, _, degree = word.partition(":")
            table[row, FEATURES.index(name)] = float(degree or 1)
    return table


def distances() -> NDArray[np.float64]:
    """How differently any two phonemes are articulated.

    Returns
    -------
    apart : ndarray, shape (40, 40)
        Euclidean distance of their features; 0 on the diagonal.
    """
    table = features()
    return np.asarray(np.linalg.norm(table[:, None] - table[None], axis=-1))
