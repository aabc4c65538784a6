"""Find in free text what identifies a person: addresses, numbers, dates, titles, given words."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DATE = (
    r"\b\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?=$|\D|T)"
    r"|\b\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})\b"
    rf"|(?i:\b\d{{1,2}}(?:st|nd|rd|th|\.)?\s+(?:of\s+)?{_MONTH}\b\.?(?:,?\s+\d{{4}})?)"
    rf"|(?i:\b{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}})?)"
)
# Lower-case "ms" is milliseconds and "miss" a verb; the other titles are taken in any case.
_TITLE = (
    r"\b(?:Ms|Miss|Mx|(?i:mr|mrs|dr|prof|professor|doctor|herr|frau|mme|señora?|signora?))\b"
    r"\.?\s+[^\W\d_][\w'\u2019-]*(?:\s+[A-ZÀ-ÖØ-Þ][\w'\u2019-]+){0,2}"
)
# In this order: what is found first is taken out of what the later ones see.
_SHAPES = {
    "name": re.compile(_TITLE),
    "URL": re.compile(r"\b(?:https?|ftp|sftp|ssh|smb|file)://\S+|\bwww\.\S+", re.IGNORECASE),
    "e-mail": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*"),
    "path": re.compile(
        r"(?<!\w)[A-Za-z]:[\\/](?:[^\\/:*?\"<>|\n]+[\\/])*[^\s\\/]*"  # folders may hold a space
        r"|\\\\[^\s\\]+(?:\\[^\s\\]+)+"
        r"|(?<![\w.])~?/[^\s/]+(?:/[^\s/]+)+/?"
    ),
    "IP address": re.compile(
        r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b"
        r"|(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{1,4}(?![\w:])"
    ),
    "date": re.compile(_DATE),
    # Starts with a plus or a bracket, or has a separator inside; a lone decimal is a measurement.
    "phone": re.compile(
        r"(?<![\w.])(?=[+(]|\d+[\s()/.-]{1,2}\d)(?!\d+\.\d+(?![\d.])(?!\s?[\d(/-]))"
        r"[+(]?\d(?:[\s()/.-]{0,2}\d){6,14}(?!\w)"
    ),
    "number": re.compile(r"(?<!\d)(?<!\d\.)\d{6,}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Something that was taken out: never what it said.

    Parameters
    ----------
    kind : str
        What it was, for example ``"date"``, or ``"word"`` for one that was given.
    place : str
        Where it stood, for example ``"note 2"``.
    """

    kind: str
    place: str


class Scanner:
    """Takes out of texts what identifies, and keeps account of it.

    Parameters
    ----------
    words : tuple of str
        Words to take out as well, in any case.
    enabled : bool
        False returns every text as it is.
    """

    def __init__(self, words: tuple[str, ...] = (), *, enabled: bool = True) -> None:
        self.removals: list[Removal] = []
        self._enabled = enabled
        self._known: dict[str, tuple[str, tuple[str, ...]]] = {}
        # The longest first, or "Ann" would leave the "abel" of "Annabel Lee" to the next word.
        alternatives = "|".join(re.escape(word.strip()) for word in sorted(words, key=len)[::-1])
        self._words = re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.IGNORECASE)
        self._has_words = bool(words)

    def clean(self, text: str, place: str) -> str:
        """Replace what identifies by what it was.

        Parameters
        ----------
        text : str
            What somebody, or something, wrote.
        place : str
            Where, for the report.

        Returns
        -------
        text : str
            With ``[removed: date]`` in place of a date, and so on.
        """
        if not self._enabled or not text:
            return text
        if text not in self._known:
            self._known[text] = self._scan(text)
        cleaned, kinds = self._known[text]
        self.removals.extend(Removal(kind=kind, place=place) for kind in kinds)
        return cleaned

    def _scan(self, text: str) -> tuple[str, tuple[str, ...]]:
        """The text without what identifies, and the kinds of what was taken out."""
        kinds: list[str] = []
        for kind, shape in _SHAPES.items():
            # Before dates: an address or a path that holds a word goes as a whole.
            if kind == "date" and self._has_words:
                text = _taken_out(text, "word", self._words, kinds)
            text = _taken_out(text, kind, shape, kinds)
        return text, tuple(kinds)


def _taken_out(text: str, kind: str, shape: re.Pattern[str], kinds: list[str]) -> str:
    """The text with every match replaced; appends the kind once for each."""
    cleaned, count = shape.subn(f"[removed: {kind}]", text)
    kinds.extend([kind] * count)
    return cleaned
