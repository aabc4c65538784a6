"""The seam between the gate and whatever delivers current: in this release, a simulated device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from .guard import Guard
from .stages import Clock, Source
from .stimulation import StimulationPermission, StimulationRequest
from .stimulation_limits import Contact

Permit = Callable[[], StimulationPermission | None]
"""Says who has enabled stimulation, if anybody has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What a stimulator says of its last train.

    Parameters
    ----------
    pulses : int
        How many have begun so far.
    phase_pc : int
        Charge of the larger phase of each, as measured, in picocoulombs.
    running : bool
        Whether another may come.
    fault : str
        What went wrong, as the device puts it; empty if nothing did.
    """

    pulses: int
    phase_pc: int
    running: bool
    fault: str = ""


@runtime_checkable
class Stimulator(Protocol):
    """What delivers a train. Called from the loop's thread; nothing here waits.

    Life: `open` once, then `start`, `delivered` and `stop` in any order, `close` once or more.
    """

    @property
    def simulated(self) -> bool:
        """True if no current flows anywhere."""

    def open(self, contacts: Sequence[Contact]) -> Mapping[str, float]:
        """Connect; return the impedance of each contact in ohm, infinite where it is open."""

    def start(self, request: StimulationRequest, now_ns: int) -> None:
        """Begin a train now. What becomes of it is for `delivered` to say."""

    def delivered(self, now_ns: int) -> Delivered | None:
        """What was really delivered of the last train, up to now; None for no answer."""

    def stop(self, now_ns: int) -> None:
        """End the train: no pulse may begin later than one period from now.

        It is asked again, later, of a device that did not heed it.
        """

    def close(self) -> None:
        """Be at rest, then release the device. Calling it twice is harmless."""


@runtime_checkable
class Attends(Protocol):
    """A sink that also has to watch the stream, the guard and the time, as stimulation does."""

    def attend(
        self, source: Source, *, clock: Clock, guard: Guard, permission: Permit, background: bool
    ) -> Source:
        """Return the source to read from; ``background`` lets the disk have a thread of its own."""
