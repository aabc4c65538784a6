"""How good the signal of a trial was, while it is being recorded."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from .messages import Chunk, StreamSpec
from .paradigms.guided_plan import TrialQuality
from .quality import Quality
from .signal.bad_channels import BadChannelConfig
from .signal.condition_config import ConditionConfig
from .signal.conditioning import StreamConditioner
from .trust import all_finite, finite_parts

_MEMORY_S = 300.0  # longer than any trial


class TrialWatch:
    """Conditions a stream as a decoder would, and keeps what the conditioner says of it.

    Bad electrodes are looked for even where a decoder would not; what artefact removal would take
    out is not known, because it is learnt from the very recording that is being made.

    Parameters
    ----------
    conditioning : ConditionConfig
        Of the decoder that is to come.
    """

    def __init__(self, conditioning: ConditionConfig) -> None:
        bad = conditioning.bad_channels or BadChannelConfig()
        self._conditioner = StreamConditioner(replace(conditioning, clean=(), bad_channels=bad))
        self._said: deque[Quality] = deque()
        self._good: deque[tuple[int, int]] = deque()
        self._memory = 0

    def open(self, spec: StreamSpec) -> None:
        """Prepare for a stream; raises what `StreamConditioner.open` raises."""
        self._conditioner.open(spec)
        self._said.clear()
        self._good.clear()
        self._memory = round(_MEMORY_S * spec.rate_hz)

    def take(self, chunk: Chunk) -> None:
        """Listen to what came.

        Parameters
        ----------
        chunk : Chunk
            Samples that are no numbers count as lost.
        """
        for part in (chunk,) if all_finite(chunk.samples) else finite_parts(chunk):
            if not part.samples.shape[1]:
                continue
            self._good.append((part.first_sample, part.stop_sample))
            if quality := self._conditioner.process(part).quality:
                self._said.append(quality)
        while self._good and self._good[0][1] < chunk.stop_sample - self._memory:
            self._good.popleft()
        while self._said and self._said[0].sample < chunk.stop_sample - self._memory:
            self._said.popleft()

    def quality(self, first: int, stop: int) -> TrialQuality:
        """How good a stretch was.

        Parameters
        ----------
        first, stop : int
            Stream indices, stop exclusive; at most five minutes.

        Returns
        -------
        quality : TrialQuality
            The worst of it.
        """
        came = sum(max(0, min(stop, b) - max(first, a)) for a, b in self._good)
        said = [one for one in self._said if first < one.sample <= stop]
        return TrialQuality.over(said, stop - first - came, stop - first)
