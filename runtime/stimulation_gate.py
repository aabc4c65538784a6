"""From a request to current, or to the reason why not: the gate before every stimulator.

Two checks that share nothing judge a request. If they do not say the same, it is denied, and
everybody hears of it. What is allowed is begun, followed, ended at the first doubt, and written
into the ledger as the device says it was delivered. A device that does other than it was asked is
not asked again until a person has looked at it.

This release drives a simulated stimulator only, and refuses any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .errors import ConfigError
from .events import Event, EventKind
from .limits import State
from .stimulation import (
    Broken,
    Outcome,
    PastTrain,
    Rule,
    Situation,
    StimulationRequest,
)
from .stimulation_check import broken_rules, phase_charge_pc, pulses_of
from .stimulation_ledger import DoseLedger
from .stimulation_limits import Contact, Size, StimulationLimits
from .stimulation_second import denied_by
from .stimulator import Delivered, Permit, Stimulator

_MOST_OHM = {Size.MACRO: 50_000.0, Size.MICRO: 2_000_000.0}


@dataclass(slots=True, kw_only=True)
class _Train:
    """One that was begun and is not settled."""

    request: StimulationRequest
    start_ns: int
    end_ns: int
    period_ns: int
    phase_pc: int
    n_pulses: int
    rest_by_ns: int
    ended_by: str = ""


class StimulationGate:
    """Judges requests, follows trains, keeps the ledger. For one thread, but for `write`.

    Parameters
    ----------
    limits : StimulationLimits
        What no train may exceed.
    contacts : sequence of Contact
        What there is; what may be used is for the limits to say.
    stimulator : Stimulator
        A simulated one.
    ledger : DoseLedger
        The person's; closed with the gate.
    tell : callable
        Takes an `Event` for every request, denial, delivery and fault.
    permission : callable
        Says who has enabled stimulation, if anybody has; nobody by default.

    Raises
    ------
    ConfigError
        If the stimulator is not a simulated one.
    """

    def __init__(
        self,
        *,
        limits: StimulationLimits,
        contacts: Sequence[Contact],
        stimulator: Stimulator,
        ledger: DoseLedger,
        tell: Callable[[Event], None],
        permission: Permit = lambda: None,
    ) -> None:
        refuse_real(stimulator)
        self._limits = limits
        self._contacts = {contact.name: contact for contact in contacts}
        self._device, self._ledger, self._tell = stimulator, ledger, tell
        self.permission = permission
        self.seizure = False
        self._opened = False
        self._fault = ""
        self._train: _Train | None = None
        self._last: _Train | None = None
        self._said = Delivered(pulses=0, phase_pc=0, running=False)
        self._marked = 0

    @property
    def fault(self) -> str:
        """Why nothing is delivered until a person has looked; empty if nothing is wrong."""
        return self._fault or self._ledger.fault

    @property
    def busy(self) -> bool:
        """Whether a train is on its way."""
        return self._train is not None

    @property
    def unwritten(self) -> bool:
        """Whether `write` has something to bring to the disk."""
        return self._ledger.due

    def open(self, trains: Sequence[StimulationRequest]) -> None:
        """Open the device, and reserve what the dearest of the trains will cost. Waits.

        Parameters
        ----------
        trains : sequence of StimulationRequest
            All that may be asked for.
        """
        ohms = self._device.open(tuple(self._contacts.values()))
        self._opened = True
        for name, contact in self._contacts.items():
            most = _MOST_OHM[Size(contact.size)]
            if not 0 < ohms.get(name, 0.0) <= most:
                self._fail(
                    f"Contact {name} has {ohms.get(name, 0.0):g} ohm, allowed are above 0 to "
                    f"{most:g}: look at its lead.",
                    0,
                )
        dearest: dict[str, int] = {}
        for train in trains:
            for name, cost in _costs(train).items():
                dearest[name] = max(dearest.get(name, 0), cost)
        self._ledger.reserve(dearest)

    def reset(self, who: str, now_ns: int) -> None:
        """A person has looked at the device, which is at rest, and trusts it again.

        Parameters
        ----------
        who : str
            A pseudonym.
        now_ns : int
            On the loop's clock.
        """
        if self._fault and self._train is None:
            self._say(f"{who} has reset the stimulator's fault: {self._fault}", now_ns)
            self._fault = ""

    def ask(self, request: StimulationRequest, now_ns: int, guard: State) -> Outcome:
        """Judge a request, and begin the train if nothing speaks against it. Does not wait.

        Parameters
        ----------
        request : StimulationRequest
            What is asked for.
        now_ns : int
            On the loop's clock.
        guard : State
            Of the loop's guard.

        Returns
        -------
        outcome : Outcome
            Whether it was begun; what speaks against it otherwise.
        """
        self.follow(now_ns, guard)
        situation = self._situation(request, now_ns, guard)
        first = broken_rules(request, self._limits, self._contacts, situation)
        second = denied_by(request, self._limits, self._contacts, situation)
        if {str(broken.rule) for broken in first} != second:
            one, two = sorted({str(broken.rule) for broken in first}), sorted(second)
            self._fail(
                f"The two checks of stimulation disagree ({', '.join(one) or 'nothing'} against "
                f"{', '.join(two) or 'nothing'}), so nothing is delivered.",
                now_ns,
            )
            return Outcome(request=request, allowed=False, broken=first, reason=self._fault)
        if first:
            return self._deny(request, first, now_ns)
        self._begin(request, now_ns)
        return Outcome(request=request, allowed=True)

    def follow(self, now_ns: int, guard: State) -> None:
        """Look at the train that is on its way; end it at the first doubt. Does not wait.

        Parameters
        ----------
        now_ns : int
            On the loop's clock.
        guard : State
            Of the loop's guard; a train goes on only while it is armed.
        """
        if self._ledger.fault:
            self._fail(self._ledger.fault, now_ns)
        train = self._train
        if train is None:
            return
        if why := self._reason_to_end(guard, now_ns):
            self.stop(now_ns, why)
        said = self._device.delivered(now_ns)
        if said is not None:
            self._said = said
            if wrong := self._wrong_with(train, said, now_ns):
                self._fail(wrong, now_ns)
                if train.ended_by:  # it was told already, and is told until it is at rest
                    self._device.stop(now_ns)
                else:
                    self.stop(now_ns, "the device cannot be trusted")
            if not said.running:
                self._settle(train, said.pulses, said.phase_pc, now_ns)
        elif now_ns > train.rest_by_ns:
            self._fail("The stimulator does not say what it delivered: all counts.", now_ns)
            self._device.stop(now_ns)
            self._settle(train, train.n_pulses, train.phase_pc, now_ns)

    def stop(self, now_ns: int, why: str) -> None:
        """End the train that is on its way, within one pulse. Does not wait.

        Parameters
        ----------
        now_ns : int
            On the loop's clock.
        why : str
            For the record.
        """
        train = self._train
        if train is not None and not train.ended_by:
            train.ended_by = why
            train.rest_by_ns = min(train.rest_by_ns, now_ns + train.period_ns)
            self._device.stop(now_ns)

    def new_pulses(self, until_ns: int) -> tuple[int, ...]:
        """Moments of the pulses that have begun since the last call.

        Parameters
        ----------
        until_ns : int
            On the loop's clock; later ones are for the next call.

        Returns
        -------
        times_ns : tuple of int
            In order, each pulse once.
        """
        train = self._train or self._last
        if train is None:
            return ()
        rate = train.request.rate_millihz
        times = []
        while self._marked < self._said.pulses:
            at_ns = train.start_ns + -(-self._marked * 10**12 // rate)
            if at_ns > until_ns:
                break
            times.append(at_ns)
            self._marked += 1
        return tuple(times)

    def write(self) -> None:
        """Bring the ledger to the disk. Waits: for a thread of its own."""
        self._ledger.write()

    def close(self, now_ns: int) -> None:
        """End what is on its way, write everything down, release the device. Waits.

        Parameters
        ----------
        now_ns : int
            On the loop's clock.
        """
        if self._train is not None:
            self.stop(now_ns, "the session ended")
            self.follow(max(now_ns, self._train.rest_by_ns + 1), State.DISARMED)
        if self._train is not None:
            train = self._train
            self._fail("The stimulator was left while it did not stop: all counts.", now_ns)
            pulses = max(train.n_pulses, self._said.pulses)
            self._settle(train, pulses, max(train.phase_pc, self._said.phase_pc), now_ns)
        if self._opened:
            self._opened = False
            self._device.close()
        self._ledger.close()

    def _situation(self, request: StimulationRequest, now_ns: int, guard: State) -> Situation:
        return Situation(
            loop_ns=now_ns,
            dose_ns=self._ledger.now_ns(now_ns),
            past=self._ledger.past,
            ledger_ready=self._ledger.covers(_costs(request)),
            armed=guard is State.ARMED,
            stopped=guard is State.STOPPED,
            seizure=self.seizure,
            device_ready=self._opened and not self.fault and not self.busy,
            permission=self.permission(),
        )

    def _begin(self, request: StimulationRequest, now_ns: int) -> None:
        end_ns = now_ns + request.duration_us * 1000
        period_ns = -(-(10**12) // request.rate_millihz)
        self._train = _Train(
            request=request,
            start_ns=now_ns,
            end_ns=end_ns,
            period_ns=period_ns,
            phase_pc=phase_charge_pc(request),
            n_pulses=pulses_of(request),
            rest_by_ns=end_ns + period_ns,
        )
        self._said, self._marked = Delivered(pulses=0, phase_pc=0, running=True), 0
        self._device.start(request, now_ns)
        self._say(f"Stimulation was allowed and begins: {request.sentence()}.", now_ns)

    def _deny(
        self, request: StimulationRequest, broken: tuple[Broken, ...], now_ns: int
    ) -> Outcome:
        why = "; ".join(one.sentence() for one in broken)
        if self.fault and any(one.rule is Rule.DEVICE for one in broken):
            why += f" ({self.fault})"
        self._say(f"Stimulation was denied ({why}): {request.sentence()}.", now_ns)
        return Outcome(request=request, allowed=False, broken=broken, reason=why)

    def _reason_to_end(self, guard: State, now_ns: int) -> str:
        if guard is not State.ARMED:
            return f"the guard is {guard}"
        if self.seizure:
            return "a seizure is suspected"
        given = self.permission()
        over = given is None or now_ns >= given.enabled_until_ns
        return "the permission is over" if over else ""

    def _wrong_with(self, train: _Train, said: Delivered, now_ns: int) -> str:
        due = (now_ns - train.start_ns) * train.request.rate_millihz // 10**12 + 1
        if said.fault:
            return f"The stimulator reports a fault: {said.fault}."
        if said.phase_pc > train.phase_pc:
            return (
                f"The stimulator delivers {said.phase_pc / 1e6:g} uC a phase where "
                f"{train.phase_pc / 1e6:g} uC were asked for."
            )
        if said.pulses > min(due, train.n_pulses):
            return (
                f"The stimulator has delivered {said.pulses} pulses where "
                f"{min(due, train.n_pulses)} were due."
            )
        if said.running and now_ns > train.rest_by_ns:
            return "The stimulator does not stop."
        return ""

    def _settle(self, train: _Train, pulses: int, phase_pc: int, now_ns: int) -> None:
        # Of a device that cannot be trusted nobody knows when it ended: until now, then.
        end_ns = now_ns if self._fault else min(now_ns, train.end_ns)
        cost = pulses * phase_pc
        self._ledger.deliver(
            PastTrain(
                start_ns=self._ledger.now_ns(train.start_ns),
                end_ns=self._ledger.now_ns(end_ns),
                charges_pc={name: cost for name in train.request.contacts},
            )
        )
        self._train, self._last = None, train
        less = pulses < train.n_pulses or phase_pc < train.phase_pc
        ended = f", ended because {train.ended_by}" if train.ended_by else ""
        self._say(
            f"Stimulation was delivered{', though less than asked for' if less else ''}: {pulses} "
            f"of {train.n_pulses} pulses of {phase_pc / 1e6:g} uC{ended}.",
            now_ns,
            pulses,
        )

    def _fail(self, text: str, now_ns: int) -> None:
        """Trust the device no more, and say so once."""
        if not self._fault:
            self._fault = text
            self._say(text, now_ns)

    def _say(self, text: str, now_ns: int, count: int = 0) -> None:
        self._tell(Event(kind=EventKind.STIMULATION, text=text, count=count, at_ns=now_ns))


def refuse_real(stimulator: object) -> None:
    """Raise `ConfigError` unless a stimulator says that no current flows anywhere."""
    if getattr(stimulator, "simulated", None) is not True:
        raise ConfigError(
            f"This release drives a simulated stimulator only, got {type(stimulator).__name__}: "
            f"there is no back end for a real one, and none may be put in its place."
        )


def _costs(request: StimulationRequest) -> dict[str, int]:
    """What a train costs each of its contacts; nothing that can be reserved, if it has no form."""
    try:
        cost = phase_charge_pc(request) * pulses_of(request)
    except (TypeError, ValueError, OverflowError):
        cost = 0
    return dict.fromkeys(request.contacts, cost)
