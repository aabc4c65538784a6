"""A simulated speaker with known truth: a cue, an attempt, and high gamma that follows it.

`simulated_articulation` says what is said when, `simulated_speech_cortex` makes the signal of it.
This is a model to drive a pipeline end to end with. Figures won on it say how the pipeline
behaves, never how well a person could be understood.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import SourceUnavailable
from ..runtime.messages import Chunk, Event, EventKind, Marker, StreamSpec
from ..runtime.paradigms.phonemes import PHONEMES
from ..runtime.stages import Clock
from .montage import montage
from .simulated_articulation import Script, Utterance
from .simulated_speech_config import SimulatedSpeakerConfig
from .simulated_speech_cortex import SpeechCortex
from .simulator import Delivery
from .simulator_config import SimulatorConfig

__all__ = ["SimulatedSpeaker", "SimulatedSpeakerConfig"]

_NS = 1_000_000_000
_SENDER_START_S = 1000.0  # the amplifier's clock is not this machine's


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

    def __init__(self, config: SimulatedSpeakerConfig, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._channels = montage(config.montage)
        self._delivery = Delivery(
            SimulatorConfig(
                montage=config.montage, rate_hz=config.rate_hz, duration_s=config.duration_s,
                chunk_s=config.chunk_s, faults=config.faults, task="rest",
            )
        )  # fmt: skip
        self._is_open = False
        self._restart()

    def _restart(self) -> None:
        """Be at the first sample, as the configuration says."""
        self._script = Script(self._config)
        self._cortex = SpeechCortex(self._config, self._channels, self._script)
        self._made = np.empty((len(self._channels), 0), dtype=np.float32)
        self._made_stop = 0
        self._next = 0  # next stream index to deliver
        self._open_ns = 0

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
        total = self._delivery.total
        return total is not None and self._next >= total

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
        if self._is_open:
            raise SourceUnavailable(
                "The simulated speaker is open already, and has one stream: close it first."
            )
        self._restart()
        self._open_ns = self._clock.now_ns()
        self._is_open = True

    def close(self) -> None:
        """Stop the stream; calling it twice is harmless."""
        self._is_open = False

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
        if not self._is_open:
            raise SourceUnavailable("The simulated speaker is closed: open it, then read.")
        if self.ended:
            self._clock.wait_until(until_ns)
            return None
        first = self._next
        for start, stop in self._delivery.gaps:
            first = stop if start <= first < stop else first
        due_ns = self._open_ns + self._delivery.due_ns(first + max(wanted, 0))
        self._clock.wait_until(min(due_ns, until_ns))
        arrived_ns = self._clock.now_ns()
        stop = self._delivery.delivered(arrived_ns - self._open_ns)
        lost = self._delivery.lost_between(first, stop)
        stop = stop if lost is None else lost[0]
        total = self._delivery.total
        if total is not None and first >= total:  # the end itself is lost
            self._next = total if stop >= total else self._next
            return None
        return self._chunk(first, stop, arrived_ns) if stop > first else None

    def _chunk(self, first: int, stop: int, arrived_ns: int) -> Chunk:
        """Deliver samples [first, stop), and what happened since the last delivery."""
        lost = first - self._next
        text = f"{lost} samples were lost, as the simulation was told; the index jumps over them."
        gap = Event(kind=EventKind.GAP, text=text, sample=self._next, count=lost, at_ns=arrived_ns)
        markers = tuple(self._stamped(one) for one in self._script.markers(self._next, stop))
        self._next = stop
        after_s = stop / self._config.rate_hz
        return Chunk(
            samples=self._make(first, stop),
            first_sample=first,
            arrived_ns=arrived_ns,
            lsl_raw_s=_SENDER_START_S + after_s,
            lsl_corrected_s=self._open_ns / _NS + after_s,
            markers=markers,
            events=(gap,) if lost else (),
        )

    def _stamped(self, marker: Marker) -> Marker:
        """Add LSL times to a marker: those of its sample."""
        after_s = (marker.sample + 1) / self._config.rate_hz
        return dataclasses.replace(
            marker,
            lsl_raw_s=_SENDER_START_S + after_s,
            lsl_corrected_s=self._open_ns / _NS + after_s,
        )

    def _make(self, first: int, stop: int) -> NDArray[np.float32]:
        """Samples [first, stop) as an array of its own; makes the blocks that are missing."""
        start = self._made_stop - self._made.shape[1]
        pieces = [self._made]
        while self._made_stop < stop:
            pieces.append(self._cortex.block())
            self._made_stop += self._cortex.block_samples
        made = np.concatenate(pieces, axis=1)
        self._made = made[:, stop - start :].copy()
        return made[:, first - start : stop - start].copy()
