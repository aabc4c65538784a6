"""Contacts, and the limits that no train of pulses may exceed.

Every quantity is a whole number: nanoamperes, nanoseconds, microseconds, millihertz,
picocoulombs, square micrometres. So a limit lies on a number and not near one, and two programs
that check it by different arithmetic have to give the same answer to the last digit.

The limits start at the strictest figure that this release knows and can only be made stricter.
They rest on little: the line of Shannon [1]_ was drawn through data from one cortex, at 50 pulses
a second of 400 us, with electrodes of at least 1 mm2 [2]_, and says nothing about micro-electrodes;
what can be injected safely in tissue may be far below what a bench in saline allows [3]_.

References
----------
.. [1] Shannon. A model of safe levels for electrical stimulation. IEEE Transactions on Biomedical
   Engineering, 1992.
.. [2] McCreery, Agnew, Yuen, Bullara. Charge density and charge per phase as cofactors in neural
   injury induced by electrical stimulation. IEEE Transactions on Biomedical Engineering, 1990.
.. [3] Cogan, Ludwig, Welle, Takmakov. Tissue damage thresholds during therapeutic electrical
   stimulation. Journal of Neural Engineering, 2016.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from .errors import ConfigError

SMALLEST_MACRO_UM2 = 1_000_000
"""1 mm2: nothing smaller was ever behind the line of Shannon, so it counts as a micro contact."""

LARGEST_UM2 = 100_000_000
"""1 cm2: a contact said to be larger is a mistake in its settings."""


class Size(StrEnum):
    """Which cap on the charge of a phase applies to a contact."""

    MICRO = "micro"
    MACRO = "macro"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One contact that current can pass through.

    Parameters
    ----------
    name : str
        As the channel is called.
    area_um2 : int
        Geometric surface, 1 to 1 cm2; see `cylinder_um2` and `disc_um2`.
    size : str
        ``"micro"`` or ``"macro"``; a macro contact has 1 mm2 at least.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    name: str
    area_um2: int
    size: str = Size.MACRO

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("A contact needs the name of its channel, got an empty one.")
        if self.size not in tuple(Size):
            raise ConfigError(f'A contact is "micro" or "macro", got {self.size!r}.')
        low = SMALLEST_MACRO_UM2 if self.size == Size.MACRO else 1
        if type(self.area_um2) is not int or not low <= self.area_um2 <= LARGEST_UM2:
            raise ConfigError(
                f"area_um2 of the {self.size} contact {self.name} must be a whole number in {low} "
                f"to {LARGEST_UM2}, got {self.area_um2!r}: a smaller one is a micro contact."
            )

    @property
    def area_cm2(self) -> float:
        """Surface in square centimetres, for people to read."""
        return self.area_um2 / 1e8


def cylinder_um2(diameter_mm: float, length_mm: float) -> int:
    """Surface of the ring of a depth electrode, rounded down.

    Parameters
    ----------
    diameter_mm, length_mm : float
        Of the ring; its ends are not counted, no current passes there.

    Returns
    -------
    area_um2 : int
        For a `Contact`.

    Examples
    --------
    >>> cylinder_um2(0.8, 2.0)
    5026548
    """
    return _whole_um2(math.pi * diameter_mm * length_mm, diameter_mm, length_mm)


def disc_um2(diameter_mm: float) -> int:
    """Surface of the disc of a grid or strip, rounded down.

    Parameters
    ----------
    diameter_mm : float
        Of the part that is exposed.

    Returns
    -------
    area_um2 : int
        For a `Contact`.

    Examples
    --------
    >>> disc_um2(2.3)
    4154756
    """
    return _whole_um2(math.pi / 4 * diameter_mm * diameter_mm, diameter_mm)


def _whole_um2(area_mm2: float, *measures_mm: float) -> int:
    if not all(0 < measure <= 100 for measure in measures_mm):
        raise ConfigError(
            f"The measures of a contact must be above 0 and at most 100 mm, got "
            f"{', '.join(f'{measure:g}' for measure in measures_mm)} mm."
        )
    return math.floor(area_mm2 * 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class StimulationLimits:
    """What no train may exceed. The defaults are the ceiling: each can only be made stricter.

    Parameters
    ----------
    allowed : tuple of str
        Contacts that may be used. None is, until it is named.
    shannon_k_hundredths : int
        Largest k = log10(Q D), Q in uC and D in uC/cm2 of a phase, in hundredths, 0 to 150. Damage
        was seen from 1.85 on.
    density_nc_cm2 : int
        Largest charge density of a phase, in nC/cm2; 30 uC/cm2 is the convention of deep brain
        stimulation.
    micro_charge_pc : int
        Largest charge of a phase through a micro contact, in pC; 4 nC is the figure of Cogan et
        al., 2016.
    macro_charge_pc : int
        Through a macro contact. A choice of this project: 2 uC is more than a usual contact of a
        depth electrode may get by its area, and keeps a contact with too large an area in its
        settings from getting more.
    imbalance_permille : int
        Largest difference of the two phases, of the smaller one.
    rate_millihz : int
        Highest rate.
    train_us : int
        Longest train.
    pulse_duty_permille : int
        Largest share of a train's time in which current flows.
    duty_permille : int
        Largest share of ``duty_window_us``, wherever it begins, that trains may take.
    duty_window_us : int
        One minute, and not to be changed: a longer or a shorter one would not be stricter.
    rest_us : int
        Shortest time from the end of a train to the beginning of the next; 10 s or more.
    day_charge_nc : int
        Largest sum of the phases' charges through one contact in any 24 hours, in nC. A choice of
        this project: no convention is known.
    age_us : int
        Oldest request that is still carried out.

    Raises
    ------
    ConfigError
        If a limit is not a whole number or would be looser than this release allows.
    """

    allowed: tuple[str, ...] = ()
    shannon_k_hundredths: int = 150
    density_nc_cm2: int = 30_000
    micro_charge_pc: int = 4_000
    macro_charge_pc: int = 2_000_000
    imbalance_permille: int = 10
    rate_millihz: int = 200_000
    train_us: int = 5_000_000
    pulse_duty_permille: int = 100
    duty_permille: int = 100
    duty_window_us: int = 60_000_000
    rest_us: int = 10_000_000
    day_charge_nc: int = 20_000_000
    age_us: int = 500_000

    def __post_init__(self) -> None:
        for name, (low, high) in CEILINGS.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise ConfigError(
                    f"limits.{name} must be a whole number in {low} to {high}, got {value!r}: a "
                    f"limit can be made stricter, never looser than this release allows."
                )
        if len(set(self.allowed)) != len(self.allowed) or not all(self.allowed):
            raise ConfigError(
                f"limits.allowed must name different contacts, got {', '.join(self.allowed)!r}."
            )


_LOWER_BOUNDED = {"rest_us": 86_400_000_000, "duty_window_us": 60_000_000}
"""Limits that become stricter as they grow, with the largest value that makes sense."""


def _ceilings() -> Mapping[str, tuple[int, int]]:
    found = {}
    for entry in fields(StimulationLimits):
        if isinstance(entry.default, int):
            most = _LOWER_BOUNDED.get(entry.name)
            found[entry.name] = (entry.default, most) if most else (0, entry.default)
    return found


CEILINGS: Mapping[str, tuple[int, int]] = _ceilings()
"""Range of each limit; whatever a session says, the code holds these."""
