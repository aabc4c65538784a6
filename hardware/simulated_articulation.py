"""What a simulated speaker says when: cues, attempts, and the course of every articulator.

Nothing here knows the brain or its noise. An attempt follows its cue after a reaction time, its
sounds last 60 to 160 ms, vowels longer than consonants, and each sound is articulated a little
differently every time. Neighbouring sounds run into each other, because an articulator needs
time to move [1]_.

References
----------
.. [1] Chartier, Anumanchipalli, Johnson, Chang. Encoding of articulatory kinematic trajectories
   in human speech sensorimotor cortex. Neuron, 2018.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ..runtime.messages import Marker
from ..runtime.paradigms.phonemes import SILENCE, VOWELS, features, index_of
from ..runtime.paradigms.utterances import SAY, lexicon
from .simulated_speech_config import SimulatedSpeakerConfig
from .simulated_task import sample_at

ONSET, OFFSET, REST = "onset", "offset", "rest"
SETTLED_S = 0.3  # after an attempt until the cortex rests: then a rest marker comes
MARGIN_S = 0.3  # the course of an utterance is known so long before and after it
GRID_HZ = 200.0

_REACTION_S = (0.5, 1.0)
_CONSONANT_S, _VOWEL_S, _BOUNDARY_S = (0.06, 0.11), (0.09, 0.16), (0.06, 0.12)
_COARTICULATION_S = 0.05  # full width at half maximum
_VIGOUR_SPREAD, _TOKEN_SPREAD = 0.2, 0.15
_PAUSED = 0.4  # of the drive to speak is left between two words
_SCRIPT_STREAM = 11  # keeps these draws apart from those of the signal
_WIDTH_PER_DEVIATION = 2 * math.sqrt(2 * math.log(2))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Utterance:
    """One cue and the attempt that follows.

    Parameters
    ----------
    text : str
        What is to be said.
    cue_s : float
        Stream time of the cue.
    phonemes : tuple of str
        What is articulated, with silence between words.
    edges_s : ndarray, shape (n_phonemes + 1,)
        Stream time at which each sound starts, and at which the last one ends.
    targets : ndarray, shape (n_phonemes, n_features)
        How each of them is articulated this time.
    vigour : float
        How strong the activity of this attempt is; 1 on average.
    """

    text: str
    cue_s: float
    phonemes: tuple[str, ...]
    edges_s: NDArray[np.float64]
    targets: NDArray[np.float64]
    vigour: float

    @property
    def onset_s(self) -> float:
        """When the attempt starts."""
        return float(self.edges_s[0])

    @property
    def offset_s(self) -> float:
        """When the attempt ends."""
        return float(self.edges_s[-1])

    def course(self) -> NDArray[np.float64]:
        """Course of the articulators, and of the drive to speak, around the attempt.

        Returns
        -------
        course : ndarray, shape (n_features + 1, n_steps)
            Steps of 5 ms from `MARGIN_S` before the onset; the drive is the last row.
        """
        length_s = self.offset_s - self.onset_s + 2 * MARGIN_S
        times_s = self.onset_s - MARGIN_S + np.arange(math.ceil(length_s * GRID_HZ)) / GRID_HZ
        place = np.searchsorted(self.edges_s, times_s, side="right") - 1
        inside = (place >= 0) & (place < len(self.phonemes))
        drive = np.where(np.array(self.phonemes) == SILENCE, _PAUSED, 1.0)
        held = np.column_stack([self.targets, drive])[np.clip(place, 0, len(self.phonemes) - 1)]
        deviation = _COARTICULATION_S / _WIDTH_PER_DEVIATION * GRID_HZ
        smooth = gaussian_filter1d(held * inside[:, None], deviation, axis=0, mode="constant")
        return np.ascontiguousarray(smooth.T)


class Script:
    """Utterances without end, drawn as far as somebody asks.

    Parameters
    ----------
    config : SimulatedSpeakerConfig
        What is said, how fast, and the seed of the session.
    """

    def __init__(self, config: SimulatedSpeakerConfig) -> None:
        self._config = config
        self._rng = np.random.default_rng([config.seed, _SCRIPT_STREAM])
        self._features = features()
        self._waiting: list[str] = []
        self._said: list[Utterance] = []
        self._cues_s: list[float] = []
        self._free_s = 0.0  # from here on nothing is drawn yet

    def between(self, start_s: float, stop_s: float) -> list[Utterance]:
        """Utterances that may show in [start_s, stop_s): from the cue to the rest after it."""
        while self._free_s <= stop_s:
            self._draw()
        stop = bisect.bisect_left(self._cues_s, stop_s)
        first = bisect.bisect_right(self._cues_s, start_s) - 1
        reach_s = SETTLED_S + MARGIN_S
        return [one for one in self._said[max(0, first) : stop] if one.offset_s + reach_s > start_s]

    def phonemes(self, first: int, stop: int) -> NDArray[np.intp]:
        """What is articulated at samples [first, stop), as indices into ``PHONEMES``.

        Parameters
        ----------
        first, stop : int
            Stream indices, past or future.

        Returns
        -------
        indices : ndarray of int, shape (stop - first,)
            Silence between words and between attempts.
        """
        times_s = np.arange(first, stop) / self._config.rate_hz
        out = np.full(len(times_s), index_of(SILENCE), dtype=np.intp)
        if not len(times_s):
            return out
        for one in self.between(float(times_s[0]), float(times_s[-1]) + 1e-9):
            place = np.searchsorted(one.edges_s, times_s, side="right") - 1
            inside = (place >= 0) & (place < len(one.phonemes))
            rows = np.array([index_of(name) for name in one.phonemes])
            out[inside] = rows[place[inside]]
        return out

    def markers(self, first: int, stop: int) -> list[Marker]:
        """Cues, onsets, offsets and rests at samples in [first, stop), without LSL times."""
        rate_hz = self._config.rate_hz
        found = [Marker(label=REST, sample=0)]
        for one in self.between(first / rate_hz, stop / rate_hz):
            for label, time_s in (
                (SAY + one.text, one.cue_s),
                (ONSET, one.onset_s),
                (OFFSET, one.offset_s),
                (REST, one.offset_s + SETTLED_S),
            ):
                found.append(Marker(label=label, sample=sample_at(time_s, rate_hz)))
        return [marker for marker in found if first <= marker.sample < stop]

    def _draw(self) -> None:
        """Rest, cue, reaction, attempt; every text once in each shuffled round."""
        config, rng = self._config, self._rng
        if not self._waiting:
            self._waiting = [str(text) for text in rng.permutation(config.utterances)]
        text = self._waiting.pop()
        cue_s = self._free_s + config.pause_s * rng.uniform(0.8, 1.2)
        onset_s = cue_s + rng.uniform(*_REACTION_S)
        phonemes = lexicon().phonemes(text)
        lengths_s = [rng.uniform(*_length_s(name)) / config.speaking_rate for name in phonemes]
        rows = [index_of(name) for name in phonemes]
        # The draws are the same whatever the noise, so that runs differ by nothing else.
        sloppy = _TOKEN_SPREAD * rng.standard_normal((len(rows), self._features.shape[1]))
        spread = min(config.spread, 2.0)
        one = Utterance(
            text=text,
            cue_s=cue_s,
            phonemes=phonemes,
            edges_s=onset_s + np.concatenate([[0.0], np.cumsum(lengths_s)]),
            targets=self._features[rows] + spread * sloppy,
            vigour=float(np.clip(1 + spread * _VIGOUR_SPREAD * rng.standard_normal(), 0.3, 1.7)),
        )
        self._said.append(one)
        self._cues_s.append(cue_s)
        self._free_s = one.offset_s + SETTLED_S


def _length_s(phoneme: str) -> tuple[float, float]:
    """Shortest and longest this sound can be."""
    if phoneme == SILENCE:
        return _BOUNDARY_S
    return _VOWEL_S if phoneme in VOWELS else _CONSONANT_S
