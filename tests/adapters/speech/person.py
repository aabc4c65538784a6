"""A person who speaks a small language with few electrodes, for tests: no recording, no noise to
speak of, and a network that is right by construction."""

from __future__ import annotations

import numpy as np

from diverloop.adapters.speech.adapter import SpeechAdapter
from diverloop.adapters.speech.config import SpeechConfig
from diverloop.adapters.speech.cutting import Utterance
from diverloop.adapters.speech.gate import AttemptGate, GateConfig
from diverloop.adapters.speech.language_model import NGrams
from diverloop.adapters.speech.network import CausalNetwork
from diverloop.runtime.messages import Embedding, Window

PHONEMES = ("AA", "B", "D", "IY", "K", "S", "SIL")
LEXICON = {"bad": "B AA D", "bee": "B IY", "beads": "B IY D S", "key": "K IY", "sack": "S AA K"}
SENTENCES = (("bad", "bee"), ("bee", "key"), ("sack", "beads"), ("key", "bad"), ("bee", "sack"))
N_IN = 1 + len(PHONEMES)  # one electrode for each phoneme, and one that tells attempts
HOP = 8  # samples


def config(**changes) -> SpeechConfig:
    gate = GateConfig(open_hops=1, hang_over_hops=2, lookback_hops=1)
    defaults = dict(
        phonemes=PHONEMES, words=tuple(LEXICON), pronunciations=tuple(LEXICON.values()), gate=gate
    )
    return SpeechConfig(**(defaults | changes))


def language(order: int = 2) -> NGrams:
    numbers = {word: place for place, word in enumerate(LEXICON)}
    text = [[numbers[word] for word in sentence] for sentence in SENTENCES]
    return NGrams.fit(text, order=order, n_words=len(LEXICON))


def listening_network(n_in: int = N_IN) -> CausalNetwork:
    """Says the phoneme whose electrode is active, and blank if none is.

    Update gates stand open and the candidate is a copy of the frame, so nothing is remembered.
    """
    n = n_in - 1
    weight_ih = np.zeros((3 * n, n_in))
    weight_ih[2 * n :, :n] = 2 * np.eye(n)
    bias_ih = np.zeros(3 * n)
    bias_ih[n : 2 * n] = -40.0  # the update gate lets all of the candidate through
    weight_out = np.vstack([np.zeros((1, n)), 12 * np.eye(n)])
    bias_out = np.append(6.0, np.zeros(n))
    return CausalNetwork(
        {
            "weight_ih_l0": weight_ih,
            "weight_hh_l0": np.zeros((3 * n, n)),
            "bias_ih_l0": bias_ih,
            "bias_hh_l0": np.zeros(3 * n),
            "weight_out": weight_out,
            "bias_out": bias_out,
        }
    )


def adapter(*, epoch: int = 0, **changes) -> SpeechAdapter:
    chosen = config(**changes)
    weights = np.zeros((chosen.n_frames, N_IN))
    weights[:, -1] = 10.0
    return SpeechAdapter(
        chosen,
        network=listening_network(),
        gate=AttemptGate(chosen.gate, weights.ravel(), -10.0),
        model=language(),
        epoch=epoch,
    )


def frames_of(text: str, *, per_phoneme: int = 2) -> np.ndarray:
    """Frames of an attempt, shape (n_frames, N_IN): an even number, with blanks in between."""
    said = [one for word in text.split() for one in (*LEXICON[word].split(), "SIL")]
    rows = []
    for phoneme in said:
        active = np.zeros(N_IN)
        active[PHONEMES.index(phoneme)] = active[-1] = 1.0
        silent = np.zeros(N_IN)
        silent[-1] = 1.0
        rows += [active] * per_phoneme + [silent] * (2 - per_phoneme % 2)
    return np.array(rows)


def hops_of(text: str, *, rest: int = 4, **how) -> np.ndarray:
    """Hops of an attempt with rest on both sides, shape (n_hops, 2 * N_IN)."""
    frames = frames_of(text, **how)
    quiet = np.zeros((2 * rest, N_IN))
    return np.concatenate([quiet, frames[: len(frames) // 2 * 2], quiet]).reshape(-1, 2 * N_IN)


def utterance(text: str, seed: int, noise: float = 0.15) -> Utterance:
    hops = hops_of(text)
    noisy = hops + noise * np.random.default_rng(seed).standard_normal(hops.shape)
    return Utterance(hops=noisy, words=tuple(text.split()), onset=4, offset=len(hops) - 4)


class Session:
    """Gives an adapter hop after hop, as the loop would."""

    def __init__(self, speech: SpeechAdapter, *, asked: bool = True) -> None:
        self.speech, self.at = speech, 0
        if asked:
            speech.inbox.listen("the operator")

    def hear(self, hops: np.ndarray, quality: float = 1.0) -> list:
        said = []
        for hop in hops:
            window = Window(
                samples=np.zeros((1, HOP)),
                first_sample=self.at,
                stop_sample=self.at + HOP,
                due_ns=0,
                conditioned_first=self.at,
            )
            self.at += HOP
            said.append(self.speech.decide(Embedding(values=hop, quality=quality), window))
        return said

    def lose(self, hops: int) -> None:
        self.at += hops * HOP


def labels(decisions) -> list[str]:
    return [one.label for one in decisions if one.label is not None]
