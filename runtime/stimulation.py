"""The vocabulary of stimulation: what is asked for, what is known of the moment, what is answered.

Every quantity is a whole number; `stimulation_limits` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

CLINICIAN = "clinician"
"""The role that may permit stimulation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StimulationRequest:
    """A train of pulses that somebody would like to see delivered.

    A pulse is a phase, a gap, and a second phase of the opposite sign. How current divides among
    several contacts is not known, so each of them is judged as if all of it passed there. A request
    may ask for anything: saying no is what the checks are for.

    Parameters
    ----------
    anodes, cathodes : tuple of str
        Names of contacts that the first phase flows out of, and into.
    amplitude_na, width_ns : int
        First phase: current in nanoamperes, duration in nanoseconds.
    second_amplitude_na, second_width_ns : int
        Second phase, 0 for none. Its charge has to be that of the first.
    gap_ns : int
        Between the two.
    rate_millihz : int
        Pulses in a thousand seconds.
    duration_us : int
        From the first pulse of the train to where the next one would not come any more.
    requested_ns : int
        When, on the loop's clock.
    decision : str
        Which decision it comes from.
    """

    anodes: tuple[str, ...]
    cathodes: tuple[str, ...]
    amplitude_na: int
    width_ns: int
    second_amplitude_na: int
    second_width_ns: int
    gap_ns: int = 0
    rate_millihz: int
    duration_us: int
    requested_ns: int
    decision: str = ""

    @property
    def contacts(self) -> tuple[str, ...]:
        """All that current passes through."""
        return (*self.anodes, *self.cathodes)

    def sentence(self) -> str:
        """What a person reads: contacts, current, width, rate, duration, where it comes from."""
        try:
            return (
                f"{'+'.join(self.anodes)} to {'+'.join(self.cathodes)}, "
                f"{self.amplitude_na / 1e6:g} mA for {self.width_ns / 1e3:g} us, "
                f"{self.rate_millihz / 1e3:g} Hz, {self.duration_us / 1e6:g} s"
                f"{', decision ' + self.decision if self.decision else ''}"
            )
        except (TypeError, OverflowError):
            return "a request that is no request"


@dataclass(frozen=True, slots=True, kw_only=True)
class StimulationPermission:
    """Somebody's word that stimulation may be given, which ends by itself.

    Parameters
    ----------
    who : str
        A pseudonym.
    role : str
        Only a clinician's word counts.
    second_factor : bool
        Whether a second factor proved who it is.
    enabled_until_ns : int
        From this moment on, on the loop's clock, it counts no more.
    """

    who: str
    role: str
    second_factor: bool
    enabled_until_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTrain:
    """What was really delivered, as the limits remember it.

    Parameters
    ----------
    start_ns, end_ns : int
        On the clock of the ledger, which goes on when the machine is started anew.
    charges_pc : mapping of str to int
        Charge of all first phases together, by contact.
    """

    start_ns: int
    end_ns: int
    charges_pc: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What else a request is judged by. Made with nothing said, it allows nothing.

    Parameters
    ----------
    loop_ns : int
        Now, on the loop's clock.
    dose_ns : int
        Now, on the clock of the ledger.
    past : tuple of PastTrain
        Trains of the last day, or more.
    ledger_ready : bool
        Whether the ledger holds, on the disk, what this train will cost at most.
    armed : bool
        Whether the guard lets commands pass.
    stopped : bool
        Whether an emergency stop has not been reset.
    seizure : bool
        Whether a suspected seizure has not been cleared.
    device_ready : bool
        Whether the stimulator is open, at rest and without a fault.
    permission : StimulationPermission, optional
        Who has enabled stimulation, if anybody has.
    """

    loop_ns: int
    dose_ns: int
    past: tuple[PastTrain, ...] = ()
    ledger_ready: bool = False
    armed: bool = False
    stopped: bool = True
    seizure: bool = True
    device_ready: bool = False
    permission: StimulationPermission | None = None


class Rule(StrEnum):
    """Why a request can be denied, in the order in which people are told."""

    FORM = "form"  # not whole numbers, or beyond anything that a stimulator does
    CONTACT = "contact"  # not on the list of those that may be used
    STOPPED = "stopped"  # an emergency stop has not been reset
    SEIZURE = "seizure"  # a suspected seizure has not been cleared
    ARMED = "armed"  # the guard lets nothing pass
    PERMISSION = "permission"  # nobody who may has enabled stimulation, or it is over
    AGE = "age"  # asked for too long ago, or in the future
    CLOCK = "clock"  # the ledger knows of a later moment than now
    LEDGER = "ledger"  # what was given so far is not known, or cannot be written down
    DEVICE = "device"  # busy, not open, or not to be trusted
    CHARGE = "charge"  # of a phase
    DENSITY = "density"  # charge of a phase by area
    SHANNON = "shannon"  # the two together
    BALANCE = "balance"  # the second phase does not take back what the first gave
    RATE = "rate"
    OVERLAP = "overlap"  # a pulse is longer than the time to the next
    TRAIN = "train"  # too long
    PULSE_DUTY = "pulse_duty"  # current flows for too much of the train
    REST = "rest"  # too soon after the last train
    DUTY = "duty"  # trains take too much of a minute
    DOSE = "dose"  # a contact has had enough for a day


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A rule that a request breaks.

    Parameters
    ----------
    rule : Rule
        Which.
    got : float
        What was asked for; 1 where there is no number to it.
    allowed : float
        What would have been allowed; 0 where there is no number to it.
    unit : str
        Of both.
    contact : str
        Which contact it is about; empty if it is about all.
    """

    rule: Rule
    got: float = 1
    allowed: float = 0
    unit: str = ""
    contact: str = ""

    def sentence(self) -> str:
        """What a person reads."""
        where = f" at {self.contact}" if self.contact else ""
        if not self.unit:
            return f"{self.rule}{where}"
        return f"{self.rule}{where}: got {self.got:.6g}, allowed {self.allowed:.6g} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a request.

    Parameters
    ----------
    request : StimulationRequest
        What was asked for.
    allowed : bool
        Whether the stimulator was told to begin.
    broken : tuple of Broken
        What speaks against it.
    reason : str
        One sentence; empty if it was allowed.
    """

    request: StimulationRequest
    allowed: bool
    broken: tuple[Broken, ...] = ()
    reason: str = ""
