"""The speech adapter: from frames to words, while somebody attempts to say them.

In this order, hop by hop: look who has told it anything; stay deaf unless asked to listen; see
whether somebody attempts to speak; let the network hear the frames; search; say what is complete.

Whatever is kept in memory ends with the attempt, with a gap in the stream, and with listening.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BundleError
from ...runtime.inbox import Inbox, Kind, Told
from ...runtime.messages import Decision, Embedding, Event, EventKind, Window
from ...runtime.stages import Adapter
from ..calibration import softmax
from .config import SpeechConfig
from .gate import AttemptGate
from .greedy import BestPath
from .language_model import NGrams
from .listening import Listening
from .network import CausalNetwork
from .readers import KeywordReader, PhonemeReader, Reader, WordReader
from .second_stage import Request, SecondStage

Floats = NDArray[np.float64]

NO_ATTEMPT, MID_WORD = "no attempt to speak", "in mid-word"
_REMEMBERED = 8  # utterances that a correction may still speak of


class SpeechAdapter:
    """Adapter: words, phonemes or keywords from envelope frames.

    It begins deaf. `inbox` is how a person lets it listen, see `listening`.

    Parameters
    ----------
    config : SpeechConfig
        What was chosen.
    network : CausalNetwork
        From frames to phonemes.
    gate : AttemptGate
        From frames to whether somebody attempts to speak.
    model : NGrams
        The language.
    temperature : float
        The network's scores are divided by it.
    epoch : int
        Which set of weights this is.

    Attributes
    ----------
    inbox : Inbox
        What it is told: to listen or not, corrections; see `hear`.
    second_stage : SecondStage, optional
        Who may correct; none unless given before the first window.
    """

    Config = SpeechConfig

    def __init__(
        self,
        config: SpeechConfig,
        *,
        network: CausalNetwork,
        gate: AttemptGate,
        model: NGrams,
        temperature: float = 1.0,
        epoch: int = 0,
    ) -> None:
        if network.n_tokens != 1 + len(config.phonemes) or model.n_words != len(config.words):
            raise BundleError(
                f"A network of {network.n_tokens} tokens and a language of {model.n_words} words "
                f"do not fit {len(config.phonemes)} phonemes with a blank and {len(config.words)} "
                f"words: fit the model again."
            )
        if len(gate.weights) != config.n_frames * network.n_in or not temperature > 0:
            raise BundleError(
                f"A gate of {len(gate.weights)} features and a temperature of {temperature} do not "
                f"fit {config.n_frames} frames of {network.n_in}: fit the model again."
            )
        self.config, self._network, self._gate, self._model = config, network, gate, model
        self._temperature, self._epoch = temperature, epoch
        self.inbox = Inbox()
        self.second_stage: SecondStage | None = None
        self.listening = Listening(round(config.ignore_after_s / config.hop_s))
        self._events: list[Event] = []
        self._reader = _reader(config, model)
        self._unlock = (
            KeywordReader(config, (config.unlock,), config.unlock_at, anywhere=True)
            if config.unlock
            else None
        )
        self._path = BestPath()
        before = config.gate.lookback_hops + config.gate.open_hops - 1
        self._lookback: deque[Floats] = deque(maxlen=before)
        self._texts: OrderedDict[int, tuple[int, str]] = OrderedDict()  # version and text
        self._utterance = self._hops = 0
        self._at: int | None = None

    @classmethod
    def from_arrays(
        cls, config: SpeechConfig, arrays: Mapping[str, NDArray[Any]], *, epoch: int = 0
    ) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        names = ("gate_weights", "gate_bias", "ngrams", "temperature")
        if missing := [name for name in names if name not in arrays]:
            raise BundleError(
                f"The speech adapter needs the arrays {', '.join(names)}, missing is "
                f"{', '.join(missing)}: fit the model again."
            )
        weights = np.array(arrays["gate_weights"], dtype=np.float64)
        return cls(
            config,
            network=CausalNetwork(arrays),
            gate=AttemptGate(config.gate, weights, float(arrays["gate_bias"].item())),
            model=NGrams.from_array(arrays["ngrams"], len(config.words)),
            temperature=float(arrays["temperature"].item()),
            epoch=epoch,
        )

    def to_arrays(self) -> dict[str, NDArray[np.floating]]:
        """What was learnt, for a bundle."""
        return {
            **self._network.to_arrays(),
            "gate_weights": self._gate.weights,
            "gate_bias": np.array([self._gate.bias]),
            "ngrams": self._model.to_array(),
            "temperature": np.array([self._temperature]),
        }

    @property
    def classes(self) -> tuple[str, ...]:
        """Words, phonemes or keywords."""
        return self.config.classes

    @property
    def epoch(self) -> int:
        """Which set of weights is active."""
        return self._epoch

    @property
    def text(self) -> str:
        """The utterance at hand, or the last one, as well as it is known; for display."""
        return next(reversed(self._texts.values()))[1] if self._texts else ""

    @property
    def phonemes(self) -> tuple[str, ...]:
        """Phonemes of the attempt so far, along the best path; none while it is deaf."""
        return tuple(self.config.phonemes[token - 1] for token in self._path.tokens)

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        """Take in a hop.

        Parameters
        ----------
        embedding : Embedding
            Frames of the newest hop, frame-major.
        window : Window
            What they were made from; windows that do not follow each other restart everything.

        Returns
        -------
        decision : Decision
            The label is what became complete. Otherwise neutral, with the reason; probabilities
            are of the word that is being said, and NaN if none is.
        """
        follows, hops = self._since(window)
        poor = self._why_poor(embedding)
        if not follows or poor:
            self._break_off()
        if self.listening.pass_hops(hops, attempting=self._gate.open):
            self._ignore("nobody has tried to speak for a while")
        self._look()
        if not self.listening.on:
            reason = self.listening.reason
            if self._unlock is not None and not poor and self._hear_unlock(embedding.values):
                reason = "unlocked by its keyword"
            return self._neutral(window, reason)
        if poor:
            return self._neutral(window, poor)
        self._take_in(np.asarray(embedding.values, dtype=np.float64))
        return self._say(window)

    def hear(self, inbox: Inbox) -> None:
        """Be told things through this inbox from now on."""
        self.inbox = inbox

    def take_events(self) -> tuple[Event, ...]:
        """Whether it began to listen or stopped, and corrections, since the last call."""
        events, self._events = tuple(self._events), []
        return events

    def follow(self, before: Adapter) -> None:
        """Listen, or not, as the adapter before did; what it had half heard is lost.

        Parameters
        ----------
        before : Adapter
            Another speech adapter goes on with its texts and its second stage.
        """
        if not isinstance(before, SpeechAdapter):
            return
        self.listening, self.second_stage = before.listening, before.second_stage
        self._texts, self._utterance = before._texts, before._utterance
        self._events = before._events
        self._reader.due.extend(before._reader.due)

    def _look(self) -> None:
        if self.second_stage is not None:
            for answer in self.second_stage.answers():
                self.inbox.tell(answer)
        for told in self.inbox.take():
            if told.kind is Kind.LISTEN:
                self._listen(f"asked by {told.text}")
            elif told.kind is Kind.IGNORE:
                self._ignore(f"stopped by {told.text}")
            else:
                self._correct(told)

    def _correct(self, told: Told) -> None:
        """Take a correction, if it answers the last question about an utterance that is known."""
        known = self._texts.get(told.utterance)
        if known is None or known[0] != told.version or known[1] == told.text:
            return
        self._texts[told.utterance] = (told.version, told.text)
        text = f"Utterance {told.utterance} was corrected to: {told.text}"
        self._tell(EventKind.CORRECTED, text, told.utterance)

    def _listen(self, why: str) -> None:
        if not self.listening.on:
            self._tell(EventKind.LISTENING, f"The decoder listens to speech: {why}.", 1)
        self.listening.begin()

    def _ignore(self, why: str) -> None:
        """Listen no more, and keep nothing of what was heard."""
        if self.listening.on:
            self._tell(EventKind.LISTENING, f"The decoder stopped listening to speech: {why}.")
        self.listening.stop(why)
        self._break_off()
        self._reader.due.clear()
        self._texts.clear()
        if self.second_stage is not None:
            self.second_stage.forget()

    def _hear_unlock(self, values: NDArray[np.floating]) -> bool:
        """Listen for one word and nothing else; nothing of it leaves."""
        assert self._unlock is not None
        hops, _ = self._attended(np.asarray(values, dtype=np.float64), self._unlock)
        if not hops:
            return False
        self._unlock.end_hop()
        if not self._gate.open:
            self._unlock.finish()
        if not self._unlock.due:
            if not self._gate.open:
                self._forget_attempt()
            return False
        self._unlock.due.clear()
        self._listen("the person unlocked it by keyword")
        self._break_off()
        return True

    def _tell(self, kind: EventKind, text: str, count: int = 0) -> None:
        self._events.append(Event(kind=kind, text=text, count=count))

    # --------------------------------------------------------------------------- one hop

    def _why_poor(self, embedding: Embedding) -> str:
        if not np.isfinite(embedding.values).all():
            return "the window could not be encoded: features are not finite"
        # Written so that a quality of NaN counts as poor.
        if not embedding.quality >= self.config.min_quality:
            needed = self.config.min_quality
            return f"signal too poor: quality {embedding.quality:.2f} of {needed:.2f} needed"
        return ""

    def _since(self, window: Window) -> tuple[bool, int]:
        """Whether this window follows the one before, and how many hops have gone by."""
        at = window.conditioned_first if window.conditioned_first >= 0 else window.first_sample
        step = self.config.hop_samples if self._at is None else at - self._at
        self._at = at
        return step == self.config.hop_samples, max(1, step // self.config.hop_samples)

    def _break_off(self) -> None:
        """Forget the attempt; what was decided stays decided."""
        self._gate.restart()
        self._lookback.clear()
        self._forget_attempt()

    def _forget_attempt(self) -> None:
        self._network.restart()
        self._path.restart()
        self._reader.restart()
        if self._unlock is not None:
            self._unlock.restart()
        self._hops = 0

    def _attended(self, values: Floats, reader: Reader) -> tuple[int, bool]:
        """Let the gate, and the network if it is open, hear a hop.

        Returns how many hops the reader heard, and whether an attempt began.
        """
        was_open = self._gate.open
        is_open = self._gate.advance(values)
        begins = is_open and not was_open
        if begins:
            self._forget_attempt()
        heard = list(self._lookback) if begins else []
        if is_open or was_open:
            heard.append(values)
        self._lookback.append(values)
        for hop in heard:
            for frame in hop.reshape(self.config.n_frames, -1):
                probabilities = softmax(self._network.step(frame), self._temperature)
                reader.step(probabilities)
                if self.listening.on:
                    self._path.step(int(probabilities.argmax()))
        self._hops += len(heard)
        return len(heard), begins

    def _take_in(self, values: Floats) -> None:
        n_due = len(self._reader.due)
        hops, begins = self._attended(values, self._reader)
        if begins:
            self._utterance += 1
        too_long = self._hops * self.config.hop_s >= self.config.longest_s
        over = bool(hops) and (too_long or not self._gate.open)
        if hops:
            self._reader.end_hop()
        if over:
            self._reader.finish()
        if over or len(self._reader.due) > n_due:
            self._write_down(final=over)
        if over:
            self._forget_attempt()
            if too_long:
                self._gate.restart()

    def _write_down(self, *, final: bool) -> None:
        """Note the text so far, and ask the second stage about it."""
        texts = self._reader.texts()
        if not texts or not texts[0][0]:
            return
        version = self._texts.get(self._utterance, (0, ""))[0] + 1
        self._texts[self._utterance] = (version, texts[0][0])
        while len(self._texts) > _REMEMBERED:
            self._texts.popitem(last=False)
        if self.second_stage is not None and self.config.mode == "words":
            self.second_stage.ask(
                Request(utterance=self._utterance, version=version, final=final, hypotheses=texts)
            )

    # --------------------------------------------------------------------------- what is said

    def _say(self, window: Window) -> Decision:
        if self._reader.due:
            place, probabilities = self._reader.due.popleft()
            return self._decision(window, probabilities, self.classes[place], "")
        posterior = self._reader.posterior if self._gate.open else None
        reason = MID_WORD if self._gate.open else NO_ATTEMPT
        return self._decision(window, posterior, None, reason)

    def _neutral(self, window: Window, reason: str) -> Decision:
        return self._decision(window, None, None, reason)

    def _decision(
        self, window: Window, probabilities: Floats | None, label: str | None, reason: str
    ) -> Decision:
        if probabilities is None:
            probabilities = np.full(len(self.classes), math.nan)
        return Decision(
            classes=self.classes,
            probabilities=probabilities,
            label=label,
            reason=reason,
            first_sample=window.first_sample,
            stop_sample=window.stop_sample,
            epoch=self._epoch,
            marker=window.marker,
            lsl_raw_s=window.lsl_raw_s,
            lsl_corrected_s=window.lsl_corrected_s,
        )


def _reader(config: SpeechConfig, model: NGrams) -> Reader:
    if config.mode == "words":
        return WordReader(config, model)
    if config.mode == "phonemes":
        return PhonemeReader(config)
    return KeywordReader(config, config.keywords, config.keyword_at)
