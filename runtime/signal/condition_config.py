"""What is done to the signal before it is cut into windows: a table of the session file.

The same table conditions calibration data and the live stream. It travels with the model, its hash
with it, and a model refuses a stream that is conditioned otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import ConfigError, SchemaMismatch
from .bad_channels import BadChannelConfig
from .blanking import BlankingConfig
from .ripples import RippleConfig
from .seizures import SeizureConfig
from .spikes import SpikeConfig

REFERENCES = ("none", "average", "bipolar", "laplacian", "linked_ears")
CLEANERS = ("line", "eye", "asr")
LOOKED_FOR = ("bad_channels", "spikes", "seizures", "ripples", "blanking", "max_changed")
"""Settings of what is looked for, which a session may choose otherwise than its model.

Blanking and masking do change the signal, but only where something was found.
"""

LINE_WIDTH_HZ = 1.8
"""Width of a mains notch between its -3 dB points, at every harmonic alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionConfig:
    """What is done to the signal before it is cut into windows.

    In this order: pick, blank, filter, clean, reference, envelope, resample. Bad electrodes are
    looked for in the raw signal.

    Parameters
    ----------
    pick : tuple of str
        Channel names to keep, in this order; empty keeps every brain channel as it comes.
    reference : str
        ``"average"`` subtracts the mean over the good channels, ``"bipolar"`` the next contact,
        ``"laplacian"`` the mean of the neighbours, ``"linked_ears"`` the mean of both ears.
    reference_by : str
        ``"stream"``: one reference for all; ``"shaft"``: one for each shaft or grid, which the
        channels' names tell.
    reference_groups : tuple of tuple of str
        Names of the channels that belong together, in order, where names do not tell: amplifiers
        for an average, shafts for the other schemes.
    ears : tuple of str
        Names of the ears for ``"linked_ears"``; empty looks for A1 and A2, then M1 and M2.
    high_pass_hz : float
        Edge of a high-pass in front of everything; 0 for none.
    line_hz : float
        Mains frequency to notch with its harmonics; 0 for none.
    order : int
        Order of the filters, 1 to 8.
    bands_hz : tuple of (float, float)
        Pass bands. Several make a filter bank: the output has one set of rows per band, all
        rows of the first band first. Empty leaves the signal broadband, unless there are
        envelopes.
    envelopes_hz : tuple of (float, float)
        Bands of which only the strength is passed on, in microvolts (root mean square), for
        example ``(70, 150)`` for high gamma; rows behind those of `bands_hz`. They are computed
        at the source's rate, so that `rate_hz` may be far below them.
    envelope_hz : float
        How fast an envelope may change: edge of the low-pass behind it, 1 to 50 Hz.
    rate_hz : float
        Rate of the conditioned signal; 0 keeps the source's.
    clean : tuple of str
        Fitted on calibration data and applied as matrices: ``"line"`` (mains), ``"eye"``
        (blinks), ``"asr"`` (bursts; not meant for intracranial signal).
    max_changed : float
        Where cleaning takes more than this share of the last second's variance out, windows are
        not decoded, in (0, 1].
    bad_channels : BadChannelConfig, optional
        Look for bad electrodes and mask them; None never masks.
    spikes, seizures, ripples : SpikeConfig, SeizureConfig, RippleConfig, optional
        Research guards; None for none.
    blanking : BlankingConfig, optional
        What announces a stimulation pulse; None for none.
    """

    pick: tuple[str, ...] = ()
    reference: str = "none"
    reference_by: str = "stream"
    reference_groups: tuple[tuple[str, ...], ...] = ()
    ears: tuple[str, ...] = ()
    high_pass_hz: float = 0.0
    line_hz: float = 0.0
    order: int = 4
    bands_hz: tuple[tuple[float, float], ...] = ()
    envelopes_hz: tuple[tuple[float, float], ...] = ()
    envelope_hz: float = 10.0
    rate_hz: float = 0.0
    clean: tuple[str, ...] = ()
    max_changed: float = 0.5
    bad_channels: BadChannelConfig | None = None
    spikes: SpikeConfig | None = None
    seizures: SeizureConfig | None = None
    ripples: RippleConfig | None = None
    blanking: BlankingConfig | None = None

    def __post_init__(self) -> None:
        self._check_choices()
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
        if not 1 <= self.envelope_hz <= 50:
            raise ConfigError(
                f"conditioning.envelope_hz must be in [1, 50] Hz, got {self.envelope_hz:g} Hz."
            )
        if self.rate_hz and not 50 <= self.rate_hz <= 50_000:
            raise ConfigError(
                f"conditioning.rate_hz must be 0 or in [50, 50000] Hz, got {self.rate_hz:g} Hz."
            )
        if not 0 < self.max_changed <= 1:
            raise ConfigError(
                f"conditioning.max_changed must be in (0, 1], got {self.max_changed:g}."
            )
        for name in ("bands_hz", "envelopes_hz"):
            for low, high in getattr(self, name):
                if not 0 < low < high:
                    raise ConfigError(
                        f"conditioning.{name} must hold pairs with 0 < low < high, got "
                        f"[{low:g}, {high:g}] Hz."
                    )

    def _check_choices(self) -> None:
        for name, got, allowed in (
            ("reference", self.reference, REFERENCES),
            ("reference_by", self.reference_by, ("stream", "shaft")),
            *(("clean", cleaner, CLEANERS) for cleaner in self.clean),
        ):
            if got not in allowed:
                raise ConfigError(
                    f"conditioning.{name} must be one of {', '.join(allowed)}, got {got!r}."
                )

    @property
    def sha256(self) -> str:
        """SHA-256 of what is done to the signal: equal if a model cannot tell two apart."""
        done = {name: value for name, value in asdict(self).items() if name not in LOOKED_FOR}
        return hashlib.sha256(json.dumps(done, sort_keys=True).encode()).hexdigest()

    def served_as(self, given: Mapping[str, Any]) -> ConditionConfig:
        """A model's conditioning with what a session says of it.

        What is looked for (`LOOKED_FOR`) may differ between calibration and session. What is done
        to the signal may not: weights fitted on one signal mean nothing for another.

        Parameters
        ----------
        given : mapping
            Settings that the session names.

        Returns
        -------
        config : ConditionConfig
            For the session.

        Raises
        ------
        SchemaMismatch
            If the session asks for another signal than the model was fitted on.
        """
        different = [
            f"{name} is {value}, the model's is {getattr(self, name)}"
            for name, value in given.items()
            if name not in LOOKED_FOR and value != getattr(self, name)
        ]
        if different:
            raise SchemaMismatch(
                f"The session conditions the signal otherwise than the model was fitted: "
                f"{'; '.join(different)}. Take the line out of [conditioning], or fit a model with "
                f"it."
            )
        return replace(self, **{name: given[name] for name in given if name in LOOKED_FOR})
