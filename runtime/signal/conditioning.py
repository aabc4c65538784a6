"""From amplifier to decoder: everything between samples and windows, causal throughout.

The same object conditions calibration data and the live stream, and its settings travel with
the model, so that training and serving cannot drift apart. It works on a grid of its own: blocks
of about 16 ms through the chain, steps of about 64 ms past the monitors, both counted from the
first sample. What a chunk brings is put into the block, and what is new comes out, so that any cut
of the stream gives the same output, to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..conditioned import Conditioned
from ..errors import SchemaMismatch
from ..messages import BRAIN, Chunk, Samples, StreamSpec
from .chain import Chain
from .condition_config import ConditionConfig
from .overseer import Overseer

_BLOCKS_IN_STEP_S = 0.064


class StreamConditioner:
    """Applies a `ConditionConfig` to a stream, chunk by chunk.

    Parameters
    ----------
    config : ConditionConfig
        What to do.
    arrays : mapping of str to ndarray, optional
        What artefact removal has learnt, from a bundle; needed if the settings clean.
    """

    def __init__(
        self,
        config: ConditionConfig | None = None,
        arrays: Mapping[str, NDArray[np.floating]] | None = None,
    ) -> None:
        self.config = config or ConditionConfig()
        self.arrays = dict(arrays or {})
        self._rows: NDArray[np.intp] | None = None
        self._chain: Chain | None = None
        self._settle = 0
        self._delay_s = 0.0
        self._given = 0

    @property
    def settle_samples(self) -> int:
        """Conditioned samples after a start or a gap that are not to be trusted yet."""
        return self._settle

    @property
    def delay_s(self) -> float:
        """Group delay, the largest of the bands' medians."""
        return self._delay_s

    def delays_s(self) -> dict[str, float]:
        """Group delay of each band, in seconds; call it after `open`."""
        return self._opened.delays_s()

    def open(self, spec: StreamSpec) -> StreamSpec:
        """Prepare for a stream.

        Parameters
        ----------
        spec : StreamSpec
            The stream as it comes from the source.

        Returns
        -------
        conditioned : StreamSpec
            What the decoder sees; rows of a filter bank are named ``"8-12/C3"``.

        Raises
        ------
        SchemaMismatch
            If a channel to keep is not in the stream, or no brain channel is.
        ConfigError
            If a band does not fit below half the rate, or the settings do not fit the channels.
        """
        rows = rows_to_keep(self.config.pick, spec)
        self._rows = None if rows == list(range(spec.n_channels)) else np.array(rows)
        picked = replace(spec, channels=tuple(spec.channels[row] for row in rows))
        chain = self._chain = Chain(self.config, picked)
        blocks = max(1, round(_BLOCKS_IN_STEP_S * spec.rate_hz / chain.n_times))
        self._overseer = Overseer(self.config, self.arrays, picked, chain, blocks * chain.n_times)
        self._settle = chain.pace.conditioned(chain.settle_samples)
        self._delay_s = max(chain.delays_s().values())
        self._block = np.zeros((picked.n_channels, chain.n_times))
        self._next = self._begun = self._fill = 0
        self._restart(0)
        return replace(spec, channels=chain.names(), rate_hz=self.config.rate_hz or spec.rate_hz)

    def process(self, chunk: Chunk) -> Conditioned:
        """Condition a chunk; a jump in its index restarts the filters.

        Parameters
        ----------
        chunk : Chunk
            As the source delivered it.

        Returns
        -------
        conditioned : Conditioned
            All that the chunk's samples suffice for; float64 if anything was done to them.
        """
        chain = self._opened
        if chunk.samples.shape[1]:
            if chunk.first_sample != self._next:
                self._restart(chunk.first_sample)
            self._next = chunk.stop_sample
        overseer = self._overseer
        samples = chunk.samples if self._rows is None else chunk.samples[self._rows]
        samples = overseer.blank(samples, self._next - chunk.samples.shape[1], chunk.markers)
        first = self._given
        if not (chain.idle and overseer.idle):
            samples = self._through(samples)
        self._given = first + samples.shape[1]
        return Conditioned(samples=samples, first_sample=first, **overseer.take_said())

    @property
    def _opened(self) -> Chain:
        if self._chain is None:
            raise RuntimeError("the conditioner was used before open: open it first.")
        return self._chain

    def _restart(self, first_sample: int) -> None:
        """Samples were lost before this one."""
        self._opened.restart(first_sample)
        self._overseer.restart(first_sample)
        self._block[:] = 0
        self._begun, self._fill = first_sample, 0
        self._given = self._opened.pace.conditioned(first_sample)

    def _through(self, samples: Samples) -> Samples:
        parts, at, n_times = [], 0, self._opened.n_times
        while at < samples.shape[1]:
            stop = min(at + n_times - self._fill, samples.shape[1])
            filled = self._fill + stop - at
            self._block[:, self._fill : filled] = samples[:, at:stop]
            parts.append(self._new_rows(filled))
            self._fill, at = filled, stop
            if filled == n_times:
                self._close_block()
        if not parts:
            return np.empty((len(self._opened.names()), 0))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _new_rows(self, filled: int) -> Samples:
        """What the chain gives for the columns that have just come, in memory of its own."""
        pace = self._opened.pace
        before = pace.conditioned(self._begun)
        had = pace.conditioned(self._begun + self._fill) - before
        has = pace.conditioned(self._begun + filled) - before
        return self._opened.peek(self._block)[:, had:has].copy()

    def _close_block(self) -> None:
        self._opened.move_on()
        self._overseer.take_in(self._block)
        self._begun += self._opened.n_times
        self._block[:] = 0
        self._fill = 0


def rows_to_keep(pick: tuple[str, ...], spec: StreamSpec) -> list[int]:
    """Which rows of a stream are conditioned.

    Parameters
    ----------
    pick : tuple of str
        Channel names, in the order that is wanted; empty for every brain channel.
    spec : StreamSpec
        The stream.

    Returns
    -------
    rows : list of int
        At least one.

    Raises
    ------
    SchemaMismatch
        If a channel is not there, or no brain channel is.
    """
    if not pick:
        rows = [row for row, channel in enumerate(spec.channels) if channel.kind in BRAIN]
        if not rows:
            kinds = sorted({channel.kind for channel in spec.channels})
            raise SchemaMismatch(
                f"The stream {spec.name!r} has no brain channel (allowed kinds: "
                f"{', '.join(BRAIN)}; got {', '.join(kinds)}): name the channels to keep in "
                f"conditioning.pick."
            )
        return rows
    missing = [name for name in pick if name not in spec.channel_names]
    if missing:
        raise SchemaMismatch(
            f"The stream {spec.name!r} lacks {len(missing)} of {len(pick)} channels that are "
            f"needed: {', '.join(missing)}; it has {', '.join(spec.channel_names)}."
        )
    return [spec.channel_names.index(name) for name in pick]
