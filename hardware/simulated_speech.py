"""A simulated speaker with known truth: a cue, an attempt, and high gamma that follows it.

`simulated_articulation` says what is said when, `simulated_speech_cortex` makes the signal of it.
This is a model to drive a pipeline end to end with. Figures won on it say how the pipeline
behaves, never how well a person could be understood.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..runtime.device_record import DeviceRecord
from ..runtime.messages import Chunk, StreamSpec
from ..runtime.paradigms.phonemes import PHONEMES
from ..runtime.stages import Clock
from .montage import montage
from .simulated_amplifier import SimulatedAmplifier
from .simulated_articulation import Script, Utterance
from .simulated_speech_config import SimulatedSpeakerConfig
from .simulated_speech_cortex import SpeechCortex

__all__ = ["SimulatedSpeaker", "SimulatedSpeakerConfig"]


class SimulatedSpeaker:
    """Somebody who is told what to say, and attempts it: a source with known truth.

    Markers: ``"say:"`` and the text at the cue, ``"onset"`` and ``"offset"`` where the attempt
    starts and ends, ``"rest"`` at the first sample and 0.3 s after every attempt. How `read` cuts
    the stream changes no bit of it.

    Parameters
    ----------
    config : SimulatedSpeakerConfig
        Who speaks, what, and how noisy it is.
    clock : Clock
        Decides when samples exist; a virtual clock jumps, a monotonic one sleeps.

    Examples
    --------
    >>> from diverloop.runtime.clock import VirtualClock
    >>> speaker = SimulatedSpeaker(SimulatedSpeakerConfig(duration_s=1.0), VirtualClock())
    >>> speaker.open()
    >>> speaker.read(250, 2_000_000_000).samples.shape
    (64, 260)
    """

    Config = SimulatedSpeakerConfig
    tested = DeviceRecord(
        what="a simulated person who tries to speak, under a grid on the speech cortex",
        against="the speech decoder here",
        never="nothing of a real brain follows from it",
        connect='`kind = "speaker"`; `say` or `texts` are what is spoken.',
    )

    def __init__(self, config: SimulatedSpeakerConfig, clock: Clock) -> None:
        self._config = config
        self._channels = montage(config.montage)
        self._amplifier = SimulatedAmplifier("speaker", config, clock, len(self._channels))
        self._restart()

    def _restart(self) -> None:
        """Be at the first sample, as the configuration says."""
        self._script = Script(self._config)
        self._cortex = SpeechCortex(self._config, self._channels, self._script)

    @property
    def spec(self) -> StreamSpec:
        """Rate and rows, readable at any time."""
        config = self._config
        return StreamSpec(
            name="simulated speech",
            rate_hz=config.rate_hz,
            channels=self._channels,
            source_id=f"speaker-{config.montage}-{config.person}",
        )

    @property
    def ended(self) -> bool:
        """True when `duration_s` has been delivered."""
        return self._amplifier.ended

    def truth(self, sample: int) -> str:
        """Phoneme articulated at a sample.

        Parameters
        ----------
        sample : int
            Stream index, past or future.

        Returns
        -------
        phoneme : str
            One of ``PHONEMES``; silence between words and between attempts.
        """
        return PHONEMES[int(self.truths(sample, sample + 1)[0])]

    def truths(self, first: int, stop: int) -> NDArray[np.intp]:
        """Phonemes articulated at samples [first, stop), as indices into ``PHONEMES``."""
        return self._script.phonemes(first, stop)

    def utterances(self, first: int, stop: int) -> list[Utterance]:
        """Attempts that lie, in part at least, in samples [first, stop)."""
        start_s, stop_s = first / self._config.rate_hz, stop / self._config.rate_hz
        near = self._script.between(start_s, stop_s)
        return [one for one in near if one.onset_s < stop_s and one.offset_s > start_s]

    def envelope(self, first: int, stop: int) -> NDArray[np.float64]:
        """Amplitude that speech gives to high gamma at samples [first, stop): the true signal.

        Parameters
        ----------
        first, stop : int
            Stream indices, past or future.

        Returns
        -------
        gain : ndarray, shape (n_channels, stop - first)
            1 at rest, never below 0.1; no noise in it but how attempts differ.
        """
        return self._cortex.envelope(np.arange(first, stop) / self._config.rate_hz)

    def open(self) -> None:
        """Start the stream.

        Raises
        ------
        SourceUnavailable
            If the stream runs already.
        """
        self._amplifier.refuse_open()
        self._restart()
        self._amplifier.open(lambda first: self._cortex.block(), self._script.markers)

    def close(self) -> None:
        """Stop the stream; calling it twice is harmless."""
        self._amplifier.close()

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """Wait for samples, or until the deadline; see `runtime.stages.Source`.

        Parameters
        ----------
        wanted : int
            How many samples to wait for.
        until_ns : int
            Loop time at which to return at the latest.

        Returns
        -------
        chunk : Chunk or None
            Everything delivered since the last read, up to the next gap; None if that is
            nothing.

        Raises
        ------
        SourceUnavailable
            If the stream does not run.
        """
        return self._amplifier.read(wanted, until_ns)
