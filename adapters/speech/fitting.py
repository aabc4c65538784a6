"""From utterances with their texts to a speech adapter.

Sentences are held out by their text, all repetitions together: a network that has heard a sentence
knows it. Of a few commands said over and over, the last repetitions of each are held out. On those
held out training stops, the temperature is chosen, and how much the language model counts, with a
language model that has not read them either. Figures for a report must come from other sentences
still.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from ..calibration import softmax
from .adapter import SpeechAdapter
from .config import SpeechConfig
from .cutting import Utterance
from .error_rates import error_rate
from .gate import AttemptGate
from .gate_fit import fit_gate, refit_gate
from .language_model import NGrams
from .network import CausalNetwork
from .readers import WordReader

if TYPE_CHECKING:
    from .training import Spoken

Progress = Callable[[int, int], None]

_FEW_TEXTS = 12  # fewer different ones are commands, more are sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechFitConfig:
    """What can be chosen about `fit_speech`.

    Parameters
    ----------
    training : mapping
        Settings of `training.TrainingConfig`.
    held_out : float
        Share of the different sentences that nothing is learnt from, in (0, 0.5].
    order : int
        Of the n-gram model, 1 to 6.
    language_weights : tuple of float
        To choose from; one alone is taken as it is.
    temperatures : tuple of float
        To choose from.
    most_judged : int
        Held-out utterances that the language weight is chosen on, at least 1.
    """

    training: Mapping[str, Any] = field(default_factory=dict)
    held_out: float = 0.1
    order: int = 3
    language_weights: tuple[float, ...] = (0.3, 0.6, 1.0, 1.5)
    temperatures: tuple[float, ...] = (0.8, 1.0, 1.25, 1.6, 2.0, 2.5)
    most_judged: int = 20

    def __post_init__(self) -> None:
        if not 0 < self.held_out <= 0.5:
            raise ConfigError(f"held_out must be in (0, 0.5], got {self.held_out:g}.")
        if not self.language_weights or not self.temperatures:
            raise ConfigError("language_weights and temperatures need at least 1 value each.")
        if self.most_judged < 1:
            raise ConfigError(f"most_judged must be at least 1, got {self.most_judged}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedSpeech:
    """What a fit leaves.

    Parameters
    ----------
    adapter : SpeechAdapter
        Ready, and deaf.
    report : dict
        Plain numbers for a card; what is said of held-out sentences was used for choosing.
    """

    adapter: SpeechAdapter
    report: dict[str, Any]


def fit_speech(
    utterances: Sequence[Utterance],
    config: SpeechConfig,
    *,
    sentences: Sequence[Sequence[str]] = (),
    fit: SpeechFitConfig | None = None,
    progress: Progress | None = None,
) -> FittedSpeech:
    """Fit network, gate, language model and what ties them together.

    Parameters
    ----------
    utterances : sequence of Utterance
        Attempts with rest around them, see `cut_utterances`; at least two different texts.
    config : SpeechConfig
        Lexicon, phonemes, frames, mode; its language weight is replaced.
    sentences : sequence of sequence of str
        Further text for the language model, in words of the lexicon.
    fit : SpeechFitConfig, optional
        What was chosen.
    progress : callable, optional
        Called with (done, most) after every round of training.

    Returns
    -------
    fitted : FittedSpeech
        Adapter and report. The same seed gives the same on the same machine.

    Raises
    ------
    ConfigError
        If words are not in the lexicon, or there is too little to hold anything out.
    """
    from .training import TrainingConfig, train_network

    fit = fit or SpeechFitConfig()
    training = TrainingConfig(**fit.training)
    texts = [[config_word(config, word) for word in one.words] for one in utterances]
    further = [[config_word(config, word) for word in one] for one in sentences]
    out = _held_out(texts, fit.held_out, training.seed)
    spoken = [_spoken(one, text, config) for one, text in zip(utterances, texts, strict=True)]
    trained = train_network(
        [one for one, is_out in zip(spoken, out, strict=True) if not is_out],
        [one for one, is_out in zip(spoken, out, strict=True) if is_out],
        1 + len(config.phonemes),
        training,
        progress,
    )
    judged = [place for place in np.flatnonzero(out)][: fit.most_judged]
    network = CausalNetwork(trained.arrays)
    scores = [_scores(network, spoken[place].frames) for place in judged]
    temperature = _temperature(scores, [spoken[place].tokens for place in judged], fit)
    held = {tuple(texts[place]) for place in np.flatnonzero(out)}
    known = [*texts, *further]
    n_words = len(config.words)
    blind = NGrams.fit(
        [one for one in known if tuple(one) not in held], order=fit.order, n_words=n_words
    )
    probabilities = [softmax(one, temperature) for one in scores]
    wanted = [texts[place] for place in judged]
    weight, word_errors = _language_weight(probabilities, wanted, config, blind, fit)
    hops = np.concatenate([one.hops for one in utterances])
    attempting = np.concatenate([one.attempting for one in utterances])
    config = replace(config, beam=replace(config.beam, language_weight=weight))
    adapter = SpeechAdapter(
        config,
        network=network,
        gate=fit_gate(hops, attempting, config.gate),
        model=NGrams.fit(known, order=fit.order, n_words=n_words),
        temperature=temperature,
    )
    report = {
        "n_utterances": len(utterances),
        "n_held_out": int(out.sum()),
        "rounds": len(trained.losses),
        "held_out_token_error_rate": trained.error_rates[trained.best],
        "held_out_word_error_rates": word_errors,
        "held_out_perplexity": blind.perplexity([list(one) for one in sorted(held)]),
        "temperature": temperature,
        "language_weight": weight,
    }
    return FittedSpeech(adapter=adapter, report=report)


def refit_today(adapter: SpeechAdapter, utterances: Sequence[Utterance]) -> SpeechAdapter:
    """The same adapter with the gate's levels as they have to be today.

    Parameters
    ----------
    adapter : SpeechAdapter
        Fitted before.
    utterances : sequence of Utterance
        A minute of attempts and rest, encoded by an encoder that was fitted anew on it.

    Returns
    -------
    adapter : SpeechAdapter
        Another one, of the next epoch; deaf, like every new one.
    """
    hops = np.concatenate([one.hops for one in utterances])
    attempting = np.concatenate([one.attempting for one in utterances])
    arrays = adapter.to_arrays()
    bias = float(arrays["gate_bias"].item())
    before = AttemptGate(adapter.config.gate, np.asarray(arrays["gate_weights"]), bias)
    gate = refit_gate(before, hops, attempting)
    arrays |= {"gate_weights": gate.weights, "gate_bias": np.array([gate.bias])}
    return SpeechAdapter.from_arrays(adapter.config, arrays, epoch=adapter.epoch + 1)


def config_word(config: SpeechConfig, word: str) -> int:
    """Number of a word in the lexicon; raises `ConfigError` if it is not there."""
    try:
        return config.words.index(word)
    except ValueError:
        raise ConfigError(
            f"The lexicon has no word {word!r} among its {len(config.words)}: add it with its "
            f"phonemes."
        ) from None


def targets(words: Sequence[int], config: SpeechConfig) -> tuple[int, ...]:
    """Tokens of a text: each word's phonemes and the silence behind it."""
    return tuple(
        token for word in words for token in (*config.tokens(config.words[word]), config.separator)
    )


def _held_out(texts: Sequence[Sequence[int]], share: float, seed: int) -> NDArray[np.bool_]:
    different = sorted({tuple(text) for text in texts})
    if len(different) < 2:
        raise ConfigError(
            f"Fitting needs at least 2 different texts, got {len(different)}: one is held out."
        )
    if len(different) < _FEW_TEXTS:
        return _last_of_each([different.index(tuple(text)) for text in texts], share)
    n_out = max(1, round(share * len(different)))
    picked = np.random.default_rng(seed).choice(len(different), n_out, replace=False)
    held = {different[place] for place in picked}
    return np.array([tuple(text) in held for text in texts])


def _last_of_each(numbers: Sequence[int], share: float) -> NDArray[np.bool_]:
    """The last repetitions of every text, at least one, unless it was said only once."""
    said, out = np.array(numbers), np.zeros(len(numbers), dtype=bool)
    for number in np.unique(said):
        places = np.flatnonzero(said == number)
        if len(places) > 1:
            out[places[-max(1, round(share * len(places))) :]] = True
    if not out.any():
        raise ConfigError("Every text was said only once: repeat them, or use more sentences.")
    return out


def _spoken(one: Utterance, text: Sequence[int], config: SpeechConfig) -> Spoken:
    """Cut as the gate will: some hops early, and until it has closed."""
    from .training import Spoken

    gate, n_frames = config.gate, config.n_frames
    first = max(0, one.onset - gate.lookback_hops - 2)
    stop = min(len(one.hops), one.offset + gate.hang_over_hops + 1)
    frames = one.hops[first:stop].reshape((stop - first) * n_frames, -1)
    onset, offset = ((place - first) * n_frames for place in (one.onset, one.offset))
    return Spoken(
        frames=np.ascontiguousarray(frames, dtype=np.float32),
        tokens=targets(text, config),
        latest=onset,
        onset=onset,
        offset=offset,
    )


def _scores(network: CausalNetwork, frames: NDArray[np.float32]) -> NDArray[np.float32]:
    network.restart()
    scores = np.stack([network.step(frame) for frame in frames])
    network.restart()
    return scores


def _temperature(
    scores: Sequence[NDArray[np.float32]], tokens: Sequence[tuple[int, ...]], fit: SpeechFitConfig
) -> float:
    """The temperature under which what was really said is most probable."""
    from .training import ctc_loss

    losses = [
        sum(ctc_loss(one / value, said) for one, said in zip(scores, tokens, strict=True))
        for value in fit.temperatures
    ]
    return fit.temperatures[int(np.argmin(losses))]


def _language_weight(
    probabilities: Sequence[NDArray[np.float64]],
    wanted: Sequence[list[int]],
    config: SpeechConfig,
    model: NGrams,
    fit: SpeechFitConfig,
) -> tuple[float, dict[str, float]]:
    """The weight with the fewest word errors, and the errors of each."""
    errors = {}
    for weight in fit.language_weights:
        chosen = replace(config, mode="words", beam=replace(config.beam, language_weight=weight))
        reader = WordReader(chosen, model)
        pairs = [
            (read_words(reader, frames), [str(word) for word in said])
            for frames, said in zip(probabilities, wanted, strict=True)
        ]
        errors[weight] = error_rate(pairs)
    best = min(errors, key=lambda weight: (errors[weight], weight))
    return best, {f"{weight:g}": rate for weight, rate in errors.items()}


def read_words(reader: WordReader, probabilities: NDArray[np.float64]) -> list[str]:
    """Numbers of the words that a reader finds in an utterance, as text.

    Parameters
    ----------
    reader : WordReader
        Any; restarted.
    probabilities : ndarray, shape (n_frames, n_tokens)
        Of a whole attempt.

    Returns
    -------
    words : list of str
        In order.
    """
    reader.restart()
    reader.due.clear()
    for frame in probabilities:
        reader.step(frame)
        reader.end_hop()
    reader.finish()
    words = [str(word) for word, _ in reader.due]
    reader.due.clear()
    return words
