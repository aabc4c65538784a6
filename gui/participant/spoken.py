"""What has been decoded of speech: utterances of words, each with how sure the decoder was."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from ...runtime.messages import Chunk, Event, EventKind, Turn
from ...runtime.paradigms.utterances import SAY
from ...runtime.telemetry import Telegram

SURE, FAIRLY = 0.8, 0.5
"""From which confidence on a word is written plainly, and from which with a line below."""

_CORRECTED = re.compile(r"Utterance \d+ was corrected to: (.*)", re.DOTALL)
_KEPT = 6  # utterances on the screen
_MOST_WORDS = 60  # of an utterance
_IN_MID_WORD = "in mid-word"
_NO_ATTEMPT = "no attempt to speak"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWord:
    """A decoded word.

    Parameters
    ----------
    text : str
        The word.
    confidence : float
        0 to 1; NaN if it is not known, as behind a correction.
    """

    text: str
    confidence: float = math.nan

    @property
    def doubt(self) -> int:
        """0 plain, 1 some, 2 much."""
        if math.isnan(self.confidence) or self.confidence >= SURE:
            return 0
        return 1 if self.confidence >= FAIRLY else 2


@dataclass(slots=True)
class Spoken:
    """Follows a speech session.

    When the decoder stops listening, all that was heard is forgotten, on the screen, too.

    Attributes
    ----------
    listening : bool
        Whether the decoder listens.
    attempting : bool
        Whether somebody attempts to speak.
    prompt : str
        What the person is asked to say.
    utterances : list of list of SpokenWord
        The newest last; empty ones are none.
    """

    listening: bool = False
    attempting: bool = False
    prompt: str = ""
    utterances: list[list[SpokenWord]] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    _open: bool = False

    def take(self, message: Telegram) -> None:
        """Learn from a message of the session."""
        match message:
            case Chunk():
                for marker in message.markers:
                    self._cue(marker.label)
            case Turn():
                self._hear(message)
            case Event(kind=EventKind.LISTENING):
                self.listening = message.count > 0
                if not self.listening:
                    self._forget()
            case Event(kind=EventKind.CORRECTED):
                self._correct(message.text)

    def take_begun(self) -> tuple[str, ...]:
        """Prompts and words that are new since the last call, as labels."""
        begun, self.begun = tuple(self.begun), []
        return begun

    def _cue(self, label: str) -> None:
        if label.startswith(SAY):
            self.prompt = label.removeprefix(SAY)
            self.begun.append(label)
        elif label == "rest":
            self.prompt = ""

    def _hear(self, turn: Turn) -> None:
        decision = turn.decision
        if decision.label is not None:
            self.listening = True  # a screen that was opened late has missed the event
            self._say(SpokenWord(text=decision.label, confidence=_confidence(turn)))
            return
        self.attempting = decision.reason == _IN_MID_WORD
        if decision.reason in (_IN_MID_WORD, _NO_ATTEMPT):
            self.listening = True
        elif decision.reason.startswith("not listening"):
            self.listening = False
            self._forget()
        if decision.reason == _NO_ATTEMPT:
            self._open = False

    def _say(self, word: SpokenWord) -> None:
        if not self._open or not self.utterances or len(self.utterances[-1]) >= _MOST_WORDS:
            self.utterances.append([])
            self._open = True
        self.utterances[-1].append(word)
        self.begun.append(f"word:{word.text}")
        del self.utterances[:-_KEPT]

    def _correct(self, text: str) -> None:
        found = _CORRECTED.match(text)
        if found and self.utterances:
            self.utterances[-1] = [SpokenWord(text=word) for word in found[1].split()]
            self.begun.append("corrected")

    def _forget(self) -> None:
        self.utterances.clear()
        self.attempting = self._open = False


def _confidence(turn: Turn) -> float:
    decision = turn.decision
    assert decision.label is not None
    return float(decision.probabilities[decision.classes.index(decision.label)])
