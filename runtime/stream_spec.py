"""What a stream promises, its rate and its rows; part of `messages`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from .received import Sent

INTRACRANIAL = ("ecog", "seeg", "lfp")
"""Kinds of channel that lie inside the skull, with positions in MNI space; others: head frame."""

BRAIN = ("eeg", *INTRACRANIAL)
"""Kinds of channel that hold brain signal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One row of the signal.

    Parameters
    ----------
    name : str
        Label as the amplifier or the recording gives it, for example ``"C3"``.
    kind : str
        ``"eeg"``, ``"ecog"``, ``"seeg"``, ``"lfp"``, ``"eog"``, ``"emg"`` or ``"misc"``.
    position_m : tuple of 3 float, optional
        Place in metres: head frame for scalp channels, MNI for intracranial ones.
    bad : bool
        Whether a person has said that the electrode is bad; conditioning masks it throughout.
    """

    name: str
    kind: str = "eeg"
    position_m: tuple[float, float, float] | None = None
    bad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """What a stream promises: its rate and its rows.

    Parameters
    ----------
    name : str
        Name of the stream.
    rate_hz : float
        Nominal sampling rate.
    channels : tuple of Channel
        Rows of every `Chunk`, in order; always in microvolts.
    source_id : str
        Identity of the sender, so that a session binds to one device.
    sent : Sent, optional
        How the samples came, if that is not microvolts in float32 already.
    measured : bool
        Whether corrected times rest on the transport's measurements of the sender's clock.
    """

    name: str
    rate_hz: float
    channels: tuple[Channel, ...]
    source_id: str = ""
    sent: Sent | None = None
    measured: bool = False

    @property
    def n_channels(self) -> int:
        """Number of rows."""
        return len(self.channels)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Labels of the rows, in order."""
        return tuple(channel.name for channel in self.channels)

    @property
    def schema(self) -> str:
        """SHA-256 of rate, names and kinds: equal for streams that a model cannot tell apart."""
        rows = [[channel.name, channel.kind] for channel in self.channels]
        return hashlib.sha256(json.dumps([float(self.rate_hz), rows]).encode()).hexdigest()


def sent_of(spec: StreamSpec) -> Sent:
    """How the rows of a stream were sent; as float32 microvolts, where nothing else was said."""
    return spec.sent or Sent(dtype="<f4", microvolts=(1.0,) * spec.n_channels)
