"""What the player's LSL streams say of themselves."""

from __future__ import annotations

from collections import Counter

import pylsl

from ..runtime.messages import Channel
from .recordings import Recording


def signal_info(recording: Recording, name: str) -> pylsl.StreamInfo:
    """Describe a recording as an LSL stream.

    Parameters
    ----------
    recording : Recording
        What will be sent.
    name : str
        Name of the stream.

    Returns
    -------
    info : pylsl.StreamInfo
        With label, type, unit and, in millimetres as LSL has it, location of every channel.
    """
    spec = recording.spec
    info = pylsl.StreamInfo(
        name,
        _content_type(recording),
        spec.n_channels,
        spec.rate_hz,
        pylsl.cf_float32,
        f"diverloop-player-{recording.data_id[:16]}",
    )
    info.desc().append_child_value("manufacturer", "diverloop player")
    rows = info.desc().append_child("channels")
    for channel in spec.channels:
        describe_channel(rows.append_child("channel"), channel)
    return info


def describe_channel(row: pylsl.XMLElement, channel: Channel) -> None:
    """Write down a channel's label, type, unit and place.

    Parameters
    ----------
    row : pylsl.XMLElement
        Of the stream's description.
    channel : Channel
        In microvolts.
    """
    row.append_child_value("label", channel.name)
    row.append_child_value("type", channel.kind.upper())
    row.append_child_value("unit", "microvolts")
    if channel.position_m is not None:
        where = row.append_child("location")
        for axis, metres in zip("XYZ", channel.position_m, strict=True):
            where.append_child_value(axis, f"{metres * 1e3:.4f}")


def _content_type(recording: Recording) -> str:
    """The commonest kind of channel, as LSL writes it."""
    kinds = Counter(c.kind for c in recording.spec.channels if c.kind != "misc")
    return kinds.most_common(1)[0][0].upper() if kinds else "MISC"


def marker_info(recording: Recording, name: str) -> pylsl.StreamInfo:
    """Describe a recording's markers as a stream of texts.

    Parameters
    ----------
    recording : Recording
        What will be sent.
    name : str
        Name of the signal stream; this one has ``-markers`` behind it.
    """
    info = pylsl.StreamInfo(
        f"{name}-markers",
        "Markers",
        1,
        pylsl.IRREGULAR_RATE,
        pylsl.cf_string,
        f"diverloop-player-{recording.data_id[:16]}-markers",
    )
    info.desc().append_child_value("manufacturer", "diverloop player")
    return info


def event_info(recording: Recording, name: str) -> pylsl.StreamInfo:
    """Describe a recording's markers as numbers: a channel a label, 1 where the label was said.

    This is how MNE-LSL's player sends annotations, and what its ``EpochsStream`` reads.

    Parameters
    ----------
    recording : Recording
        What will be sent; it must have markers.
    name : str
        Name of the signal stream; this one has ``-annotations`` behind it.

    References
    ----------
    Scheltienne et al. MNE-LSL: real-time framework integrated with MNE-Python for online
    neuroscience research through LSL-compatible devices. Journal of Open Source Software, 2025.
    """
    labels = event_labels(recording)
    info = pylsl.StreamInfo(
        f"{name}-annotations",
        "annotations",
        len(labels),
        pylsl.IRREGULAR_RATE,
        pylsl.cf_double64,
        f"diverloop-player-{recording.data_id[:16]}-annotations",
    )
    info.set_channel_labels(labels)
    info.set_channel_types("annotations")
    info.set_channel_units("none")
    return info


def event_labels(recording: Recording) -> list[str]:
    """What the channels of `event_info` are called, in order."""
    return sorted({marker.label for marker in recording.markers})
