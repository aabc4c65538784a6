"""Named sets of electrodes with approximate places, for simulation, drawing and tests.

Scalp places are in a head frame centred in the sphere that fits the scalp: x to the right, y to
the nose, z up. Intracranial places are MNI coordinates. Both are metres, and both are geometry,
not a scan: good enough for neighbourhoods and topographies, not for source imaging.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..runtime.catalog import nearest
from ..runtime.errors import UnknownName
from ..runtime.messages import Channel, StreamSpec
from .ten_five import LABELS, standard_name, unit_place

HEAD_RADIUS_M = 0.095

_TO_TEMPLATE_M = (0.001, -0.013, 0.001)

_EEG = {
    "eeg8": "Fz C3 Cz C4 Pz PO7 Oz PO8",
    "eeg16": "Fp1 Fp2 F3 Fz F4 T7 C3 Cz C4 T8 P3 Pz P4 O1 Oz O2",
    "eeg32": "Fp1 Fp2 AF3 AF4 F7 F3 Fz F4 F8 FC5 FC1 FC2 FC6 T7 C3 Cz C4 T8 CP5 CP1 CP2 CP6 "
    "P7 P3 Pz P4 P8 PO3 PO4 O1 Oz O2",
    "eeg64": "Fp1 Fpz Fp2 AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 "
    "FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8 T7 C5 C3 C1 Cz C2 C4 C6 T8 "
    "TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8 P9 P7 P5 P3 P1 Pz P2 P4 P6 P8 P10 "
    "PO7 PO3 POz PO4 PO8 O1 Oz O2 Iz",
}


def scalp_position_m(name: str) -> tuple[float, float, float]:
    """Place of an electrode of the 10-05 system on a sphere of 95 mm; see `ten_five`.

    Parameters
    ----------
    name : str
        Label, for example ``"C3"``, ``"FFC5h"``, or as a device writes it: ``"EEG FP1-REF"``.

    Returns
    -------
    position_m : tuple of 3 float
        Right, front and up, in metres.

    Raises
    ------
    UnknownName
        If the label is not of the 10-05 system, of which 10-20 and 10-10 are parts.
    """
    standard = standard_name(name)
    if standard is None:
        near = difflib.get_close_matches(name, LABELS, n=1, cutoff=0.6)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownName(
            f"No electrode of the 10-05 system (or 10-10, or 10-20) is called {name!r}.{hint} A "
            f"label is a row (Fp, AF, F, FC, C, CP, P, PO, O, ...) and z or a number from 1 to 10."
        )
    right, front, up = HEAD_RADIUS_M * unit_place(standard)
    return (float(right), float(front), float(up))


def with_places(spec: StreamSpec) -> StreamSpec:
    """A stream whose scalp electrodes have places, from their names where the stream knows none.

    Parameters
    ----------
    spec : StreamSpec
        Any stream.

    Returns
    -------
    spec : StreamSpec
        The same rows; a row that neither knows its place nor has a name of the 10-05 system
        stays as it is.

    Notes
    -----
    Places are those of `scalp_position_m`, moved to where the template head [1]_ has its
    electrodes. Of the 335 electrodes that MNE has of it, they then lie 9 mm away in the mean, and
    25 mm at worst (Iz): this head is longer at the back than a sphere.

    References
    ----------
    .. [1] Oostenveld, Praamstra. The five percent electrode system for high-resolution EEG and
       ERP measurements. Clinical Neurophysiology, 2001.
    """
    return replace(spec, channels=tuple(_placed(channel) for channel in spec.channels))


def _placed(channel: Channel) -> Channel:
    if channel.kind != "eeg" or channel.position_m is not None:
        return channel
    try:
        place = scalp_position_m(channel.name)
    except UnknownName:
        return channel
    right, front, up = (x + shift for x, shift in zip(place, _TO_TEMPLATE_M, strict=True))
    return replace(channel, position_m=(right, front, up))


def _eeg(name: str) -> tuple[Channel, ...]:
    """Scalp electrodes of a cap."""
    return tuple(
        Channel(name=label, kind="eeg", position_m=scalp_position_m(label))
        for label in _EEG[name].split()
    )


def ecog_grid(n_rows: int, n_columns: int, pitch_m: float = 0.010) -> tuple[Channel, ...]:
    """Make a flat sheet of contacts over the left sensorimotor cortex.

    Rows climb from the temporal lobe to the midline, columns run from back to front; the middle
    lies over the hand knob of the precentral gyrus [1]_.

    Parameters
    ----------
    n_rows, n_columns : int
        Size of the grid.
    pitch_m : float
        Distance between neighbours, in metres.

    Returns
    -------
    channels : tuple of Channel
        ``n_rows * n_columns`` contacts ``G1, G2, ...``, row by row, kind ``"ecog"``.

    References
    ----------
    .. [1] Yousry et al. Localization of the motor hand area to a knob on the precentral gyrus.
       Brain, 1997.
    """
    middle = np.array([-0.040, -0.024, 0.056])
    front = np.array([0.0, 1.0, 0.0])
    climb = np.cross(front, middle * (-1, 0, -1))
    climb /= np.linalg.norm(climb) * math.copysign(1.0, climb[2])
    channels = []
    for index in range(n_rows * n_columns):
        row, column = divmod(index, n_columns)
        up, forward = row - (n_rows - 1) / 2, column - (n_columns - 1) / 2
        place = middle + pitch_m * (up * climb + forward * front)
        channels.append(_contact(f"G{index + 1}", "ecog", place))
    return tuple(channels)


# Deepest contact of each shaft; the shaft runs straight out to the side from there.
_SHAFT_TIPS_M = {
    "LA": (-0.022, -0.024, 0.054),  # through the left hand knob
    "LB": (-0.006, -0.029, 0.068),  # from the left foot area outwards
    "RA": (0.022, -0.024, 0.054),
    "RB": (0.006, -0.029, 0.068),
}


def seeg_shafts(n_contacts: int, pitch_m: float = 0.0035) -> tuple[Channel, ...]:
    """Make four depth electrodes, two a side, through the hand and the foot areas.

    Parameters
    ----------
    n_contacts : int
        Contacts on each shaft, numbered from the tip.
    pitch_m : float
        Distance between neighbours, in metres.

    Returns
    -------
    channels : tuple of Channel
        ``4 * n_contacts`` contacts ``LA1, LA2, ...``, kind ``"seeg"``.
    """
    channels = []
    for shaft, tip in _SHAFT_TIPS_M.items():
        outwards = np.array([math.copysign(pitch_m, tip[0]), 0.0, 0.0])
        for step in range(n_contacts):
            place = np.array(tip) + step * outwards
            channels.append(_contact(f"{shaft}{step + 1}", "seeg", place))
    return tuple(channels)


def _contact(name: str, kind: str, place: NDArray[np.float64]) -> Channel:
    """Name an intracranial contact and place it."""
    x, y, z = (float(value) for value in place)
    return Channel(name=name, kind=kind, position_m=(x, y, z))


MONTAGES: dict[str, Callable[[], tuple[Channel, ...]]] = {
    "eeg8": lambda: _eeg("eeg8"),
    "eeg16": lambda: _eeg("eeg16"),
    "eeg32": lambda: _eeg("eeg32"),
    "eeg64": lambda: _eeg("eeg64"),
    "ecog8x8": lambda: ecog_grid(8, 8),
    "seeg4x10": lambda: seeg_shafts(10),
}


def montage(name: str) -> tuple[Channel, ...]:
    """Look a montage up by name.

    Parameters
    ----------
    name : str
        A key of `MONTAGES`.

    Returns
    -------
    channels : tuple of Channel
        Named, with kind and place.

    Raises
    ------
    UnknownName
        If there is no such montage; the message suggests the nearest one.
    """
    if name not in MONTAGES:
        raise UnknownName(f"No montage is called {name!r}. {nearest(name, MONTAGES)}")
    return MONTAGES[name]()
