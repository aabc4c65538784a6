"""What can be chosen about the speech adapter; travels with the model."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...runtime.errors import ConfigError
from .beam import BeamConfig
from .gate import GateConfig

MODES = ("words", "phonemes", "keywords")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechConfig:
    """What can be chosen about `SpeechAdapter`.

    Parameters
    ----------
    mode : str
        ``"words"``: beam search over the lexicon; a label is a word. ``"phonemes"``: the best
        path; a label is a phoneme. ``"keywords"``: each attempt is one of `keywords`, or none.
    phonemes : tuple of str
        Tokens of the network above the blank, the silence between words among them.
    silence : str
        Which of them is that silence.
    words : tuple of str
        The lexicon.
    pronunciations : tuple of str
        Of each word, phonemes separated by spaces: ``"HH AH L OW"``.
    keywords : tuple of str
        Words of the lexicon that are commands, at least two in that mode.
    keyword_at : float
        Log-likelihood ratio for each phoneme that a keyword must reach, -20 to 0.
    unlock : str
        Word of the lexicon by which the person lets it listen; empty for none. Without one the
        network does not run at all while it does not listen.
    unlock_at : float
        As `keyword_at`, for that word.
    n_frames : int
        Frames of a hop.
    hop_s : float
        Length of a hop, 0.01 to 1 s.
    hop_samples : int
        The same in samples of the conditioned stream: windows further apart restart everything.
    ignore_after_s : float
        Without an attempt for so long it stops listening, 1 to 3600 s.
    longest_s : float
        An attempt longer than this is ended, 1 to 600 s: no state grows without end.
    commit_at : float
        Share of the search that must agree on a word that is complete before it is decided, 0.5
        to 1; what is not agreed on is decided when the attempt ends.
    min_quality : float
        Quality that an embedding must reach, in [0, 1].
    gate : GateConfig
        When somebody attempts to speak.
    beam : BeamConfig
        How to search.
    """

    mode: str = "words"
    phonemes: tuple[str, ...]
    silence: str = "SIL"
    words: tuple[str, ...]
    pronunciations: tuple[str, ...]
    keywords: tuple[str, ...] = ()
    keyword_at: float = -3.0
    unlock: str = ""
    unlock_at: float = -0.5
    n_frames: int = 2
    hop_s: float = 0.08
    hop_samples: int = 8
    ignore_after_s: float = 60.0
    longest_s: float = 30.0
    commit_at: float = 0.8
    min_quality: float = 0.5
    gate: GateConfig = field(default_factory=GateConfig)
    beam: BeamConfig = field(default_factory=BeamConfig)

    def __post_init__(self) -> None:
        for name in ("phonemes", "words", "pronunciations", "keywords"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_numbers()
        if self.mode not in MODES:
            raise ConfigError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}.")
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ConfigError(
                f"The {self.mode} must be at least 2 different ones, got {list(self.classes)}: "
                f"name each once."
            )
        if self.silence not in self.phonemes:
            raise ConfigError(f"silence must be one of the phonemes, got {self.silence!r}.")
        if len(self.words) != len(self.pronunciations):
            raise ConfigError(
                f"Every word needs its pronunciation, got {len(self.words)} words and "
                f"{len(self.pronunciations)} pronunciations."
            )
        for word in (*self.keywords, *((self.unlock,) if self.unlock else ())):
            if word not in self.words:
                raise ConfigError(f"{word!r} must be a word of the lexicon: add it there.")
        for word in self.words:
            self.tokens(word)

    def _check_numbers(self) -> None:
        for name, low, high in (
            ("keyword_at", -20, 0),
            ("unlock_at", -20, 0),
            ("n_frames", 1, 16),
            ("hop_s", 0.01, 1),
            ("hop_samples", 1, 100_000),
            ("ignore_after_s", 1, 3600),
            ("longest_s", 1, 600),
            ("commit_at", 0.5, 1),
            ("min_quality", 0, 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} must be in [{low:g}, {high:g}], got {value:g}.")

    @property
    def classes(self) -> tuple[str, ...]:
        """What the probabilities speak of."""
        if self.mode == "keywords":
            return self.keywords
        return self.words if self.mode == "words" else self.phonemes

    @property
    def separator(self) -> int:
        """Token of the silence between words."""
        return 1 + self.phonemes.index(self.silence)

    def tokens(self, word: str) -> tuple[int, ...]:
        """Tokens of a word, as the network numbers them.

        Raises `ConfigError` if it has none, or one that the network does not know.
        """
        said = self.pronunciations[self.words.index(word)].split()
        strange = [one for one in said if one not in self.phonemes or one == self.silence]
        if not said or strange:
            raise ConfigError(
                f"The word {word!r} is pronounced {' '.join(said)!r}, allowed are phonemes of the "
                f"network without silence: correct its pronunciation."
            )
        return tuple(1 + self.phonemes.index(one) for one in said)
