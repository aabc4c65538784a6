"""The chain, compiled: time, then space, then strength, then rate, a block at a time.

Filters act along time and are alike for all channels, references and artefact removal act across
channels and are alike for all times: their order does not change the result. Filtering first keeps
every channel's past its own. A bad electrode that is masked leaves no trace in the filters of the
others, and a changed mask takes effect at once, without a transient.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..messages import Channel, Samples, StreamSpec
from ..pace import Pace
from .blocks import BlockBank, block_length
from .condition_config import LINE_WIDTH_HZ, ConditionConfig
from .filters import Sos, band_pass, group_delay_s, high_pass, low_pass, notch, settle_samples
from .referencing import Reference
from .resampling import BlockResampler

Floats = NDArray[np.float64]
Usable = NDArray[np.bool_]

ENVELOPE_ORDER = 2


class Chain:
    """Picked channels in, conditioned rows out.

    Parameters
    ----------
    config : ConditionConfig
        What to do.
    picked : StreamSpec
        The channels that were picked, at the source's rate.

    Raises
    ------
    ConfigError
        If a band does not fit below half the rate, or the reference does not fit the channels.
    """

    def __init__(self, config: ConditionConfig, picked: StreamSpec) -> None:
        self.n_times = block_length(picked.rate_hz)
        self._config, self._rate_hz = config, picked.rate_hz
        self._design()
        self._reference = Reference(
            config.reference,
            picked,
            by=config.reference_by,
            groups=config.reference_groups,
            ears=config.ears,
        )
        self.channels: tuple[Channel, ...] = self._reference.channels
        n_in, n_out = picked.n_channels, len(self.channels)
        filtered = bool(self._front or self._bands)
        self._bank = BlockBank(self._front, self._bands, n_in, self.n_times) if filtered else None
        self._n_plain = self.n_bands - len(config.envelopes_hz)
        self._smooth = None
        if config.envelopes_hz:
            n_rows = len(config.envelopes_hz) * n_out
            self._smooth = BlockBank([self._smoother], [], n_rows, self.n_times)
        self._mixed = np.empty((self.n_bands, n_out, self.n_times))
        self.pace = Pace.between(picked.rate_hz, config.rate_hz or picked.rate_hz)
        self._resampler = None
        if self.pace != Pace():
            self._resampler = BlockResampler(
                picked.rate_hz, config.rate_hz, self.n_bands * n_out, self.n_times
            )
        self._matrix: Floats | None = None
        self._averages: tuple[Floats, NDArray[np.intp]] | None = None
        self._fading: Floats | None = None
        self.mix(np.ones(n_in, bool))

    @property
    def n_bands(self) -> int:
        """Sets of rows in the output."""
        return max(1, len(self._bands))

    @property
    def idle(self) -> bool:
        """Whether the output is the input."""
        return not (self._bank or self._resampler) and self._config.reference == "none"

    def names(self) -> tuple[Channel, ...]:
        """Rows of the output, named ``"8-12/C3"`` where there are bands."""
        config = self._config
        stems = [f"{low:g}-{high:g}/" for low, high in config.bands_hz]
        stems += [f"|{low:g}-{high:g}|/" for low, high in config.envelopes_hz]
        return tuple(
            replace(channel, name=stem + channel.name)
            for stem in stems or [""]
            for channel in self.channels
        )

    # ----------------------------------------------------------------------------- what it costs

    @property
    def settle_samples(self) -> int:
        """Source samples after a start or a gap that are not to be trusted yet."""
        slowest = [settle_samples(sos) for sos in (*self._front, *self._bands)]
        if self._smooth:
            slowest.append(settle_samples(self._smoother) + max(slowest))
        return max([*slowest, 0]) + (self._resampler.settle_samples if self._resampler else 0)

    def delays_s(self) -> dict[str, float]:
        """Group delay of each set of rows, the median over its band, in seconds.

        Named as the rows are: ``"8-12"``, and ``"|70-150|"`` for an envelope.
        """
        config, rate_hz = self._config, self._rate_hz
        broad = ((max(1.0, 2 * config.high_pass_hz), rate_hz / 4),)
        edges = (*config.bands_hz, *config.envelopes_hz)
        own_parts = [[band] for band in self._bands] or [[]]
        behind_s = self._resampler.delay_s if self._resampler else 0
        delays = {}
        for place, ((low, high), own) in enumerate(zip(edges or broad, own_parts, strict=True)):
            path = [*self._front, *own]
            delay_s = sum(group_delay_s(sos, low, high, rate_hz) for sos in path) + behind_s
            if place < self._n_plain:
                delays[f"{low:g}-{high:g}"] = delay_s
            else:
                rise_s = group_delay_s(self._smoother, 0.5, config.envelope_hz / 2, rate_hz)
                delays[f"|{low:g}-{high:g}|"] = delay_s + rise_s
        return delays

    # ----------------------------------------------------------------------------- doing it

    def usable(self, usable: Usable) -> Usable:
        """Which rows of the output may be looked at, given which picked channels are good."""
        return np.tile(self._reference.usable(usable), self.n_bands)

    def mix(self, usable: Usable, cleaner: Floats | None = None, *, fade: bool = False) -> None:
        """Choose what is done across channels from here on.

        Parameters
        ----------
        usable : ndarray of bool, shape (n_channels,)
            Which picked channels are good.
        cleaner : ndarray, shape (n_channels, n_channels), optional
            What removes artefacts, in front of the reference.
        fade : bool
            Go over from what was done before in the course of the next block.
        """
        self._fading = self._matrix if fade else None
        self._averages = self._matrix = None
        if cleaner is None:
            self._averages = self._reference.averages(usable)
            if self._averages is None and self._config.reference != "none":
                self._matrix = self._reference.matrix(usable)
        else:
            self._matrix = np.ascontiguousarray(self._reference.matrix(usable) @ cleaner)

    def peek(self, block: Floats) -> Samples:
        """What a block gives so far, without moving on.

        Parameters
        ----------
        block : ndarray, shape (n_channels, n_times)
            Zeros where nothing has come yet.

        Returns
        -------
        rows : ndarray, shape (n_rows, n_out)
            A view of memory that the next call overwrites.
        """
        banded = self._bank.peek(block).swapaxes(0, 1) if self._bank else block[None]
        self._across(banded)
        if self._smooth:
            strength = self._mixed[self._n_plain :]
            np.square(strength, out=strength)
            smooth = self._smooth.peek(strength.reshape(-1, self.n_times))[:, 0]
            np.sqrt(np.maximum(smooth, 0), out=smooth)
            strength[:] = smooth.reshape(strength.shape)
        rows = self._mixed.reshape(-1, self.n_times)
        return self._resampler.peek(rows) if self._resampler else rows

    def move_on(self) -> None:
        """The block that was last looked at is full; the next one follows it."""
        for part in (self._bank, self._smooth, self._resampler):
            if part:
                part.move_on()
        self._fading = None

    def restart(self, first_sample: int) -> None:
        """Forget the past: the next block begins at this source sample."""
        if self._bank:
            self._bank.restart()
        if self._smooth:
            self._smooth.restart()
        if self._resampler:
            self._resampler.restart(first_sample)
        self._fading = None

    def _across(self, banded: Floats) -> None:
        if self._averages is not None:
            weights, group_of_row = self._averages
            means = np.matmul(weights, banded)
            np.subtract(banded, means if len(weights) == 1 else means[:, group_of_row],
                        out=self._mixed)  # fmt: skip
            return
        if self._matrix is None:
            self._mixed[:] = banded
            return
        np.matmul(self._matrix, banded, out=self._mixed)
        if self._fading is not None:
            ahead = np.linspace(0, 1, self.n_times)
            before = np.matmul(self._fading, banded)
            before -= self._mixed
            before *= 1 - ahead
            self._mixed += before

    def _design(self) -> None:
        config, rate_hz = self._config, self._rate_hz
        bands = (*config.bands_hz, *config.envelopes_hz)
        top_hz = max((high for _, high in bands), default=rate_hz / 2)
        self._front: list[Sos] = []
        if config.high_pass_hz:
            self._front.append(high_pass(config.high_pass_hz, config.order, rate_hz))
        if config.line_hz:
            notches = notch(config.line_hz, LINE_WIDTH_HZ, rate_hz, top_hz + config.line_hz)
            self._front.append(notches)
        self._bands = [band_pass(low, high, config.order, rate_hz) for low, high in bands]
        self._smoother = low_pass(config.envelope_hz, ENVELOPE_ORDER, rate_hz)
