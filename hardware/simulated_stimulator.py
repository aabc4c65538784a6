"""A stimulator from which no current flows: it keeps time, counts pulses, and fails when told to.

It is the only stimulator of this release. What it has delivered follows from the clock alone, so a
session with it runs in real time or as fast as the machine can, with the same outcome.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..runtime.errors import ConfigError
from ..runtime.stimulation import StimulationRequest
from ..runtime.stimulation_limits import Contact
from ..runtime.stimulator import Delivered


class Failure(StrEnum):
    """What can go wrong with it."""

    NONE = ""
    OPEN_CIRCUIT = "open_circuit"  # a lead is off: no current, and the device says so
    STUCK = "stuck"  # it does not stop, neither when told to nor at the end
    MORE = "more"  # half as much charge again as was asked for
    LESS = "less"  # it runs out of voltage: four fifths of the charge
    SILENT = "silent"  # it does not answer


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedStimulatorConfig:
    """What the simulated device is like.

    Parameters
    ----------
    impedance_ohm : float
        Of each contact, above 0.
    failure : str
        ``""``, ``"open_circuit"``, ``"stuck"``, ``"more"``, ``"less"`` or ``"silent"``.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    impedance_ohm: float = 2000.0
    failure: str = Failure.NONE

    def __post_init__(self) -> None:
        if not 0 < self.impedance_ohm < math.inf:
            raise ConfigError(
                f"simulated.impedance_ohm must be above 0 ohm, got {self.impedance_ohm:g}."
            )
        if self.failure not in tuple(Failure):
            raise ConfigError(
                f"simulated.failure must be one of "
                f"{', '.join(repr(str(one)) for one in Failure)}, got {self.failure!r}."
            )


class SimulatedStimulator:
    """Delivers trains on paper; see `runtime.stimulator.Stimulator`.

    Parameters
    ----------
    config : SimulatedStimulatorConfig, optional
        What it is like.
    """

    Config = SimulatedStimulatorConfig
    simulated = True

    def __init__(self, config: SimulatedStimulatorConfig | None = None) -> None:
        self._config = config or SimulatedStimulatorConfig()
        self._failure = Failure(self._config.failure)
        self._request: StimulationRequest | None = None
        self._start_ns = self._end_ns = 0
        self._stopped_ns: int | None = None

    def fail(self, failure: Failure) -> None:
        """Let something go wrong from now on.

        Parameters
        ----------
        failure : Failure
            What; ``Failure.NONE`` mends it.
        """
        self._failure = failure

    def open(self, contacts: Sequence[Contact]) -> Mapping[str, float]:
        """Measure the impedances, in ohm; the first contact is open where the circuit is."""
        ohms = dict.fromkeys((contact.name for contact in contacts), self._config.impedance_ohm)
        if self._failure is Failure.OPEN_CIRCUIT and contacts:
            ohms[contacts[0].name] = math.inf
        return ohms

    def start(self, request: StimulationRequest, now_ns: int) -> None:
        """Begin a train; the first pulse comes at once."""
        self._request, self._start_ns = request, now_ns
        self._end_ns, self._stopped_ns = now_ns + request.duration_us * 1000, None

    def delivered(self, now_ns: int) -> Delivered | None:
        """What the train has come to."""
        if self._failure is Failure.SILENT:
            return None
        request = self._request
        if request is None:
            return Delivered(pulses=0, phase_pc=0, running=False)
        if self._failure is Failure.OPEN_CIRCUIT:
            where = request.cathodes[0]
            return Delivered(pulses=0, phase_pc=0, running=False, fault=f"no current at {where}")
        last_ns, running = now_ns, True
        if self._failure is not Failure.STUCK:
            running = now_ns < self._end_ns and self._stopped_ns is None
            # A pulse that would begin at the very moment of the end does not come any more.
            last_ns = min(now_ns, self._end_ns - 1)
            if self._stopped_ns is not None:
                last_ns = min(last_ns, self._stopped_ns)
        pulses = (last_ns - self._start_ns) * request.rate_millihz // 10**12 + 1
        return Delivered(pulses=pulses, phase_pc=self._phase_pc(request), running=running)

    def stop(self, now_ns: int) -> None:
        """End the train: the pulse that has begun is the last, so that its charge is balanced."""
        if self._stopped_ns is None:
            self._stopped_ns = now_ns

    def close(self) -> None:
        """Be at rest."""
        self._request = None

    def _phase_pc(self, request: StimulationRequest) -> int:
        asked_ac = max(
            request.amplitude_na * request.width_ns,
            request.second_amplitude_na * request.second_width_ns,
        )
        share = {Failure.MORE: (3, 2), Failure.LESS: (4, 5)}.get(self._failure, (1, 1))
        return -(-asked_ac * share[0] // (share[1] * 10**6))
