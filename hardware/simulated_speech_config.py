"""What a simulated speaker is told: who it is, what it says and how, noise and faults."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..runtime.errors import ConfigError
from ..runtime.paradigms.utterances import KEYWORDS, lexicon, sentences
from .montage import montage
from .simulator_config import Fault, check_choice, check_range

SAY = ("train", "test", "keywords")
MODES = ("attempted", "silent")


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedSpeakerConfig:
    """Who speaks, what is said, and how hard it is to decode.

    Parameters
    ----------
    montage : str
        A key of `hardware.montage.MONTAGES` with intracranial contacts: high gamma is modelled
        there only.
    rate_hz : float
        Sampling rate, 400 to 30000, so that 70 to 150 Hz fits.
    person : int
        Seed of the person: which contact follows which articulator, and how early.
    seed : int
        Seed of the session: what is said when, and the noise. Train on one and test on another
        with the same `person`.
    say : str
        ``"train"`` or ``"test"`` for the sentences of that part, ``"keywords"`` for the six
        commands of `runtime.paradigms.utterances`.
    texts : tuple of str
        Texts to say in place of those; words of the lexicon, separated by spaces.
    mode : str
        ``"attempted"``, or ``"silent"``: the same patterns at half the strength.
    noise : float
        Scale of what does not carry speech: background, drift, hum, sensors, and how much
        trials and sounds differ from each other; 1 is usual, 0 leaves speech alone, and
        infinity is the usual background without any speech.
    speaking_rate : float
        How fast, against sounds of 60 to 160 ms.
    pause_s : float
        Rest before a cue on average; each differs by up to a fifth.
    duration_s : float
        Length of the stream; 0 never ends.
    chunk_s : float
        The amplifier delivers samples in packets of this length.
    line_hz : float
        Mains frequency: 50, 60, or 0 for none.
    faults : tuple of Fault
        What goes wrong with the amplifier, and when.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    montage: str = "ecog8x8"
    rate_hz: float = 1000.0
    person: int = 0
    seed: int = 0
    say: str = "train"
    texts: tuple[str, ...] = ()
    mode: str = "attempted"
    noise: float = 1.0
    speaking_rate: float = 1.0
    pause_s: float = 1.5
    duration_s: float = 0.0
    chunk_s: float = 0.02
    line_hz: float = 50.0
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        for key in ("person", "seed"):
            value = getattr(self, key)
            if not isinstance(value, int) or not 0 <= value < 2**63:
                raise ConfigError(
                    f"speaker.{key} must be a whole number from 0 on, got {value!r}: try 0."
                )
        check_choice("speaker.say", self.say, SAY)
        check_choice("speaker.mode", self.mode, MODES)
        if self.line_hz not in (0, 50, 60):
            raise ConfigError(
                f"speaker.line_hz must be 0, 50 or 60, got {self.line_hz!r}: take your mains'."
            )
        self._check_numbers()
        self._check_texts()
        if any(channel.kind == "eeg" for channel in montage(self.montage)):
            raise ConfigError(
                f"speaker.montage must have intracranial contacts, got {self.montage!r}: high "
                f"gamma is modelled in the brain only, so take 'ecog8x8' or 'seeg4x10'."
            )

    def _check_numbers(self) -> None:
        """Refuse numbers out of range."""
        check_range("speaker.rate_hz", self.rate_hz, 400, 30_000, "high gamma needs 400 Hz")
        check_range("speaker.speaking_rate", self.speaking_rate, 0.25, 3, "1 is usual")
        check_range("speaker.pause_s", self.pause_s, 0.5, 60, "1.5 is usual")
        check_range("speaker.duration_s", self.duration_s, 0, 1e6, "0 never ends")
        check_range("speaker.chunk_s", self.chunk_s, 0, 1, "0 delivers sample by sample")
        if self.noise != math.inf:
            check_range("speaker.noise", self.noise, 0, 100, "or infinity for no speech at all")

    def _check_texts(self) -> None:
        """Refuse texts that the lexicon cannot pronounce."""
        for text in self.texts:
            lost = [word for word in text.split() if word not in lexicon()]
            if lost or not text.split():
                raise ConfigError(
                    f"speaker.texts holds {text!r}, and the lexicon lacks {lost}; say it with its "
                    f"{len(lexicon())} words, in small letters."
                )

    @property
    def utterances(self) -> tuple[str, ...]:
        """Every text that may be said."""
        if self.texts:
            return self.texts
        if self.say == "keywords":
            return KEYWORDS
        return sentences("test" if self.say == "test" else "train")

    @property
    def has_speech(self) -> bool:
        """Whether the signal carries speech at all."""
        return self.noise != math.inf

    @property
    def spread(self) -> float:
        """Scale of the noise as a finite number: with infinite noise that of the usual one."""
        return self.noise if self.has_speech else 1.0
