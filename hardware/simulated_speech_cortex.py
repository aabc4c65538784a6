"""The cortex of a simulated speaker: high gamma that follows the articulators, and its noise.

Every contact has a part in articulation, drawn once for a person: the amplitude of its high gamma
(70 to 150 Hz) is a linear map of what the articulators do [1]_, so sounds that are articulated
alike look alike, and a decoder confuses what people's decoders confuse. It runs 50 to 150 ms
ahead of the sound [2]_. Under it lies the usual ``1 / f`` background, with beta that sinks while
somebody speaks. Silent speech has the same patterns, weaker [3]_.

References
----------
.. [1] Bouchard, Mesgarani, Johnson, Chang. Functional organization of human sensorimotor cortex
   for speech articulation. Nature, 2013.
.. [2] Chartier, Anumanchipalli, Johnson, Chang. Encoding of articulatory kinematic trajectories
   in human speech sensorimotor cortex. Neuron, 2018.
.. [3] Kunz et al. Inner speech in motor cortex and implications for speech neuroprostheses.
   Cell, 2025.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..runtime.messages import Channel
from ..runtime.paradigms.phonemes import FEATURES
from .simulated_articulation import GRID_HZ, MARGIN_S, Script, Utterance
from .simulated_rhythms import (
    Block,
    Coloured,
    Mains,
    Wander,
    band_sections,
    pink_sections,
    resonator_sections,
)
from .simulated_speech_config import SimulatedSpeakerConfig

_BLOCK_S = 0.1
_PERSON_STREAM, _NOISE_STREAM = 12, 13

# Ventral sensorimotor cortex on both sides, about where Bouchard et al. (2013) found articulators.
_SPEECH_MNI_M = ((-0.056, -0.008, 0.030), (0.056, -0.008, 0.030))
_REACH_M, _LEAST = 0.025, 0.1
_BAND_HZ = (70.0, 150.0)
_LEAD_S = (0.05, 0.15)
_ALIKE_M = 0.006  # contacts so close have much the same part
_TUNED_TO = 0.3  # share of the features that a contact heeds
_DRIVE, _DEPTH = 0.6, 0.9  # rise while speaking at all, and spread over articulations

_GAMMA_UV, _BACKGROUND_UV, _BETA_UV, _DRIFT_UV = 6.0, 60.0, 25.0, 20.0
_SENSOR_UV, _LINE_UV = 1.0, 5.0
_SLOPE = 2.0  # cortex falls off faster than the scalp does: 4 uV are left in high gamma
_SPREAD_M = 0.007
_BETA_SINKS = 0.6
_SWELL = 0.2  # of the logarithm of high gamma over seconds, speech or not
_QUIETEST = 0.1
_MODE_GAIN = {"attempted": 1.0, "silent": 0.5}


class SpeechCortex:
    """Makes the blocks of a speaker's signal in order.

    Parameters
    ----------
    config : SimulatedSpeakerConfig
        Who speaks, and how noisy it is.
    channels : tuple of Channel
        Rows, with places.
    script : Script
        What is said when.
    """

    def __init__(
        self, config: SimulatedSpeakerConfig, channels: tuple[Channel, ...], script: Script
    ) -> None:
        self._config, self._script = config, script
        self.block_samples = max(1, math.floor(_BLOCK_S * config.rate_hz))
        self._block_s = self.block_samples / config.rate_hz
        self._next = 0
        self._places = np.array([channel.position_m for channel in channels])
        self._known: dict[float, tuple[Block, Block]] = {}  # by onset, see `_evoked`
        self._prepare_person(np.random.default_rng([config.person, _PERSON_STREAM]))
        self._prepare_noise()

    def _prepare_person(self, person: np.random.Generator) -> None:
        """Which contact follows which articulator, how strongly, and how early."""
        n = len(self._places)
        apart = np.linalg.norm(self._places[:, None] - self._places[None], axis=-1)
        alike = np.exp(-0.5 * (apart / _ALIKE_M) ** 2)
        alike /= np.linalg.norm(alike, axis=1, keepdims=True)
        heeds = person.random((n, len(FEATURES))) < _TUNED_TO
        tuning = alike @ (heeds * person.standard_normal((n, len(FEATURES))))
        sites = np.array(_SPEECH_MNI_M)
        off = np.linalg.norm(self._places[:, None] - sites[None], axis=-1).min(axis=1)
        reach = _LEAST + (1 - _LEAST) * np.exp(-0.5 * (off / _REACH_M) ** 2)
        drive = _DRIVE * person.uniform(0.3, 1.7, n)
        self._tuning = reach[:, None] * np.column_stack([_DEPTH * tuning, drive])
        self._lead_s = person.uniform(*_LEAD_S, n)
        self._beta_hz = float(person.uniform(18.0, 24.0))
        self._beta_seen = _BETA_UV * reach[:, None]
        self._hum = _LINE_UV * person.uniform(0.5, 1.5, (n, 1)) * bool(self._config.line_hz)
        mixing = np.exp(-0.5 * (apart / _SPREAD_M) ** 2)
        self._mixing = _BACKGROUND_UV * mixing / np.linalg.norm(mixing, axis=1, keepdims=True)

    def _prepare_noise(self) -> None:
        """Everything that fluctuates by itself."""
        config, n = self._config, len(self._places)
        self._background = Coloured(pink_sections(config.rate_hz, _SLOPE), n)
        self._beta = Coloured(resonator_sections(config.rate_hz, self._beta_hz, 3.0), 1)
        self._gamma = Coloured(band_sections(config.rate_hz, *_BAND_HZ), n)
        self._swell = Wander(n, 5.0, self._block_s)
        self._drift = Wander(n, 10.0, self._block_s)
        self._mains = Mains(config.line_hz, config.rate_hz, self._block_s)

    def envelope(self, times_s: NDArray[np.float64]) -> Block:
        """Amplitude that speech gives to high gamma, before anything else touches it.

        Parameters
        ----------
        times_s : ndarray, shape (n_times,)
            Stream times, increasing.

        Returns
        -------
        gain : ndarray, shape (n_channels, n_times)
            1 at rest, never below 0.1.
        """
        return np.maximum(1 + self._activity(times_s), _QUIETEST)

    def _activity(self, times_s: NDArray[np.float64]) -> Block:
        """Sum of what the utterances around these moments evoke, (n_channels, n_times)."""
        out = np.zeros((len(self._places), len(times_s)))
        if not self._config.has_speech or not len(times_s):
            return out
        ahead_s = times_s[None] + self._lead_s[:, None]
        for one in self._script.between(times_s[0] - MARGIN_S, times_s[-1] + MARGIN_S):
            known, _ = self._evoked(one)
            steps = (ahead_s - (one.onset_s - MARGIN_S)) * GRID_HZ
            low = np.floor(steps).astype(np.intp)
            share = steps - low
            padded_at = np.clip(low + 1, 0, known.shape[1] - 2)
            before = np.take_along_axis(known, padded_at, axis=1)
            after = np.take_along_axis(known, padded_at + 1, axis=1)
            inside = (low >= 0) & (low < known.shape[1] - 2)
            out += inside * (before + share * (after - before))
        return out

    def _evoked(self, one: Utterance) -> tuple[Block, Block]:
        """Activity of every contact over an utterance, a zero at each end, and the drive."""
        if one.onset_s not in self._known:
            # Three utterances at most are in reach of one block.
            self._known = dict(list(self._known.items())[-3:])
            gain, course = one.vigour * _MODE_GAIN[self._config.mode], one.course()
            activity = np.pad(gain * (self._tuning @ course), ((0, 0), (1, 1)))
            self._known[one.onset_s] = activity, course[-1]
        return self._known[one.onset_s]

    def block(self) -> NDArray[np.float32]:
        """Make the next block.

        Returns
        -------
        samples : ndarray of float32, shape (n_channels, block_samples)
            Microvolts.
        """
        n, config = self.block_samples, self._config
        # A generator per block: what one block draws can never shift the next.
        key = np.array([config.seed, (_NOISE_STREAM << 48) + self._next], dtype=np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key))
        times_s = (self._next * n + np.arange(n)) / config.rate_hz
        noise, gain = config.spread, self.envelope(times_s)
        swell = np.exp(min(noise, 2.0) * _SWELL * self._swell.block(rng, n))
        out = _GAMMA_UV * gain * swell * self._gamma.block(rng, n)
        out += noise * (self._mixing @ self._background.block(rng, n))
        sinks = _BETA_SINKS * np.clip(self._speaking(times_s), 0.0, 1.0)
        out += noise * self._beta_seen * (1 - sinks) * self._beta.block(rng, n)
        out += noise * _DRIFT_UV * self._drift.block(rng, n)
        out += noise * self._hum * self._mains.block(rng, n)
        out += noise * _SENSOR_UV * rng.standard_normal(out.shape, dtype=np.float32)
        self._next += 1
        return out.astype(np.float32)

    def _speaking(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Drive to speak, ahead of the sound by the mean lead, shape (n_times,)."""
        out = np.zeros(len(times_s))
        if not self._config.has_speech:
            return out
        ahead_s = times_s + float(np.mean(_LEAD_S))
        for one in self._script.between(times_s[0] - MARGIN_S, times_s[-1] + MARGIN_S):
            _, drive = self._evoked(one)
            at = (ahead_s - (one.onset_s - MARGIN_S)) * GRID_HZ
            out += np.interp(at, np.arange(len(drive)), drive, left=0.0, right=0.0)
        return out
