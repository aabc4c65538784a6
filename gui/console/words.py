"""Every sentence of the console, in two languages, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...runtime.errors import ConfigError
from .words_en import ENGLISH
from .words_ko import KOREAN

LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "ko": KOREAN}
"""By code."""

NOTES: Mapping[int, str] = {
    1: "The participant moved.",
    2: "The participant talked.",
    3: "The participant coughed.",
    4: "The participant is tired.",
    5: "The participant has pain.",
    6: "Medication was given.",
    7: "An electrode was seen to.",
    8: "Somebody came in.",
    9: "A seizure is suspected.",
}
"""What a key writes into the record: one language, whatever the screen speaks."""

SEIZURE_NOTE = 9
"""The note that also stops."""


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences of a language.

    Parameters
    ----------
    language : str
        Out of `LANGUAGES`.
    """

    language: str = "en"

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise ConfigError(
                f"The console speaks {', '.join(LANGUAGES)}, got {self.language!r}: choose one."
            )

    def __call__(self, key: str, **values: str) -> str:
        """One sentence.

        Parameters
        ----------
        key : str
            Its name.
        **values : str
            What is put into it.

        Returns
        -------
        text : str
            For a person.
        """
        return LANGUAGES[self.language][key].format(**values)

    def has(self, key: str) -> bool:
        """Whether there is such a sentence."""
        return key in LANGUAGES[self.language]

    @property
    def other(self) -> Words:
        """The next language."""
        codes = list(LANGUAGES)
        return Words(codes[(codes.index(self.language) + 1) % len(codes)])
