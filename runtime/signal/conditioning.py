"""From amplifier to decoder: pick rows, reference, notch, cut into bands. Causal throughout.

The same object conditions calibration data and the live stream, and its settings travel with
the model, so that training and serving cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, SchemaMismatch
from ..messages import Channel, Chunk, Samples, StreamSpec
from .filters import SosFilter, band_pass, group_delay_s, high_pass, notch, settle_samples

BRAIN = ("eeg", "ecog", "seeg", "lfp")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionConfig:
    """What is done to the signal before it is cut into windows.

    Parameters
    ----------
    pick : tuple of str
        Channel names to keep, in this order; empty keeps every brain channel as it comes.
    reference : str
        ``"average"`` subtracts the mean over the kept channels, ``"none"`` leaves them.
    line_hz : float
        Mains frequency to notch with its harmonics; 0 for none.
    bands_hz : tuple of (float, float)
        Pass bands. Several make a filter bank: the output has one set of rows per band, all
        rows of the first band first. Empty leaves the signal broadband.
    high_pass_hz : float
        Edge of a high-pass in front of everything; 0 for none.
    order : int
        Order of the filters, 1 to 8.
    """

    pick: tuple[str, ...] = ()
    reference: str = "none"
    line_hz: float = 0.0
    bands_hz: tuple[tuple[float, float], ...] = ()
    high_pass_hz: float = 0.0
    order: int = 4

    def __post_init__(self) -> None:
        if self.reference not in ("none", "average"):
            raise ConfigError(
                f'conditioning.reference must be "none" or "average", got {self.reference!r}.'
            )
        if not 1 <= self.order <= 8:
            raise ConfigError(f"conditioning.order must be in 1 to 8, got {self.order}.")
        if self.line_hz and not 40 <= self.line_hz <= 70:
            raise ConfigError(
                f"conditioning.line_hz must be 0 or in [40, 70] Hz, got {self.line_hz:g} Hz."
            )
        if not self.high_pass_hz >= 0:
            raise ConfigError(
                f"conditioning.high_pass_hz must be at least 0 Hz, got {self.high_pass_hz:g} Hz."
            )
        for low, high in self.bands_hz:
            if not 0 < low < high:
                raise ConfigError(
                    f"conditioning.bands_hz must hold pairs with 0 < low < high, got "
                    f"[{low:g}, {high:g}] Hz."
                )


class StreamConditioner:
    """Applies a `ConditionConfig` to a stream, chunk by chunk.

    Parameters
    ----------
    config : ConditionConfig
        What to do.
    """

    def __init__(self, config: ConditionConfig | None = None) -> None:
        self._config = config or ConditionConfig()
        self._rows: NDArray[np.intp] | None = None
        self._front: list[SosFilter] = []
        self._bank: list[SosFilter] = []
        self._idle = True
        self._next = 0
        self._settle = 0
        self._delay_s = 0.0

    @property
    def settle_samples(self) -> int:
        """Samples after a start or a gap that are not to be trusted yet."""
        return self._settle

    @property
    def delay_s(self) -> float:
        """Group delay, the largest of the bands' medians."""
        return self._delay_s

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
            If a band does not fit below half the rate.
        """
        rows = _rows_to_keep(self._config.pick, spec)
        self._rows = None if rows == list(range(spec.n_channels)) else np.array(rows)
        self._design(spec.rate_hz)
        self._next = 0
        kept = [spec.channels[row] for row in rows]
        return replace(spec, channels=_named_by_band(kept, self._config.bands_hz))

    def process(self, chunk: Chunk) -> Chunk:
        """Condition a chunk; a jump in its index restarts the filters.

        Parameters
        ----------
        chunk : Chunk
            As the source delivered it.

        Returns
        -------
        conditioned : Chunk
            Same indices; float64 if anything was done to the samples.
        """
        if chunk.first_sample != self._next:
            for step in (*self._front, *self._bank):
                step.restart()
        self._next = chunk.stop_sample
        samples = chunk.samples if self._rows is None else chunk.samples[self._rows]
        return Chunk(
            samples=self._through(samples),
            first_sample=chunk.first_sample,
            arrived_ns=chunk.arrived_ns,
            lsl_raw_s=chunk.lsl_raw_s,
            lsl_corrected_s=chunk.lsl_corrected_s,
            markers=chunk.markers,
            events=chunk.events,
        )

    def _through(self, samples: Samples) -> Samples:
        if self._idle:
            return samples
        samples = samples.astype(np.float64)
        if self._config.reference == "average":
            # Summed along contiguous rows of the transpose: the order of the additions, and so
            # the last bit, does not depend on how many samples came at once.
            samples = samples - np.ascontiguousarray(samples.T).mean(axis=1)
        for step in self._front:
            samples = step.process(samples)
        if not self._bank:
            return samples
        return np.concatenate([band.process(samples) for band in self._bank])

    def _design(self, rate_hz: float) -> None:
        config = self._config
        front = []
        if config.high_pass_hz:
            front.append(high_pass(config.high_pass_hz, config.order, rate_hz))
        if config.line_hz:
            front.append(notch(config.line_hz, 30.0, rate_hz))
        bank = [band_pass(low, high, config.order, rate_hz) for low, high in config.bands_hz]
        self._front = [SosFilter(sos) for sos in front]
        self._bank = [SosFilter(sos) for sos in bank]
        self._idle = not (self._front or self._bank or config.reference == "average")
        self._settle = max([settle_samples(sos) for sos in (*front, *bank)], default=0)
        edges = config.bands_hz or ((max(1.0, 2 * config.high_pass_hz), rate_hz / 4),)
        self._delay_s = max(
            sum(group_delay_s(sos, low, high, rate_hz) for sos in (*front, *own))
            for (low, high), own in zip(edges, [[sos] for sos in bank] or [[]], strict=True)
        )


def _rows_to_keep(pick: tuple[str, ...], spec: StreamSpec) -> list[int]:
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


def _named_by_band(
    kept: list[Channel], bands_hz: tuple[tuple[float, float], ...]
) -> tuple[Channel, ...]:
    if not bands_hz:
        return tuple(kept)
    return tuple(
        replace(channel, name=f"{low:g}-{high:g}/{channel.name}")
        for low, high in bands_hz
        for channel in kept
    )
