"""What a participant says: words with their pronunciation, bedside sentences, keywords.

The words and sentences were written for this project and lie beside this file. Every fifth
sentence is for testing and shares nothing with those for training but its words: each word of a
test sentence occurs in a training sentence too, so that a language model can know it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from ..errors import ConfigError, UnknownName
from .phonemes import PHONEMES, SILENCE

KEYWORDS = ("left", "right", "up", "down", "yes", "stop")
"""Six commands that are told apart without a language model; all are in the lexicon."""

SAY = "say:"
"""A cue marker is this, followed by the text to be said."""

TEST_EVERY = 5  # the fifth, tenth, ... sentence of the file is for testing

_LEXICON = Path(__file__).with_name("lexicon.txt")
_SENTENCES = Path(__file__).with_name("sentences.txt")


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Words and how they are pronounced.

    Parameters
    ----------
    pronunciations : mapping of str to tuple of str
        Word in small letters -> its phonemes, of `phonemes.PHONEMES` without silence.

    Raises
    ------
    ConfigError
        If there is no word, or a word has no phonemes or unknown ones.
    """

    pronunciations: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        if not self.pronunciations:
            raise ConfigError("A lexicon has 0 words; give at least one word with its phonemes.")
        for word, phonemes in self.pronunciations.items():
            strange = [one for one in phonemes if one not in PHONEMES or one == SILENCE]
            if not word or word != word.lower() or len(word.split()) != 1:
                raise ConfigError(
                    f"The lexicon holds the word {word!r}; a word is one piece in small letters."
                )
            if not phonemes or strange:
                raise ConfigError(
                    f"The word {word!r} is pronounced {' '.join(phonemes)!r} in the lexicon; it "
                    f"takes one or more phonemes of ARPAbet without stress, such as 'Y EH S'."
                )

    @classmethod
    def from_text(cls, text: str) -> Lexicon:
        """Read lines of a word and its phonemes; lines that start with ``#`` are comments.

        Parameters
        ----------
        text : str
            For example ``"yes Y EH S"``.

        Returns
        -------
        lexicon : Lexicon
            In the order of the lines.

        Raises
        ------
        ConfigError
            If a line cannot be used, or a word comes twice.
        """
        pronunciations: dict[str, tuple[str, ...]] = {}
        for line in _lines(text):
            word, *phonemes = line.split()
            if word in pronunciations:
                raise ConfigError(
                    f"The lexicon has the word {word!r} twice; keep one pronunciation of it."
                )
            pronunciations[word] = tuple(phonemes)
        return cls(pronunciations)

    @property
    def words(self) -> tuple[str, ...]:
        """All words, in order."""
        return tuple(self.pronunciations)

    def __contains__(self, word: object) -> bool:
        return word in self.pronunciations

    def __len__(self) -> int:
        return len(self.pronunciations)

    def pronounce(self, word: str) -> tuple[str, ...]:
        """Phonemes of one word.

        Parameters
        ----------
        word : str
            In small letters.

        Returns
        -------
        phonemes : tuple of str
            At least one, none of them silence.

        Raises
        ------
        UnknownName
            If the lexicon does not have the word.
        """
        if word not in self.pronunciations:
            raise UnknownName(
                f"The lexicon has no word {word!r} among its {len(self)}; add a line with the "
                f"word and its phonemes, or say it in other words."
            )
        return self.pronunciations[word]

    def phonemes(self, text: str, *, between: str | None = SILENCE) -> tuple[str, ...]:
        """Phonemes of a text, with a boundary after each word but the last.

        Parameters
        ----------
        text : str
            Words in small letters, separated by spaces.
        between : str, optional
            What stands between two words; None for nothing.

        Returns
        -------
        phonemes : tuple of str
            As they are said.

        Raises
        ------
        UnknownName
            If the lexicon lacks one of the words.
        ConfigError
            If there is no word.
        """
        words = text.split()
        if not words:
            raise ConfigError(f"The text {text!r} has no word; give one or more of the lexicon.")
        found = list(self.pronounce(words[0]))
        for word in words[1:]:
            found += ([] if between is None else [between]) + list(self.pronounce(word))
        return tuple(found)


@cache
def lexicon() -> Lexicon:
    """Get the words of the sentences and the keywords, 188 in all.

    Returns
    -------
    lexicon : Lexicon
        One American English pronunciation a word.
    """
    return Lexicon.from_text(_LEXICON.read_text(encoding="utf-8"))


@cache
def sentences(part: Literal["train", "test"]) -> tuple[str, ...]:
    """Get the sentences of one part of the fixed split.

    Parameters
    ----------
    part : str
        ``"train"`` (204 sentences) or ``"test"`` (51 others).

    Returns
    -------
    sentences : tuple of str
        Words of `lexicon` in small letters, separated by spaces; no punctuation.

    Raises
    ------
    ConfigError
        If there is no such part.
    """
    if part not in ("train", "test"):
        raise ConfigError(f"The sentences have no part {part!r}; take 'train' or 'test'.")
    every = _lines(_SENTENCES.read_text(encoding="utf-8"))
    is_test = part == "test"
    return tuple(one for at, one in enumerate(every, start=1) if (at % TEST_EVERY == 0) == is_test)


def _lines(text: str) -> list[str]:
    """Lines that are neither empty nor a comment."""
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]
