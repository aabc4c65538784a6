"""What a session says of stimulation: contacts, trains, limits, and which class asks for what."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from ..runtime.errors import ConfigError
from ..runtime.stimulation import CLINICIAN, Situation, StimulationPermission, StimulationRequest
from ..runtime.stimulation_check import broken_rules
from ..runtime.stimulation_limits import Contact, StimulationLimits
from .simulated_stimulator import SimulatedStimulatorConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A train, and the class that asks for it when it is selected.

    Parameters
    ----------
    label : str
        A class of the model.
    anodes, cathodes : tuple of str
        Contacts that the first phase flows out of, and into.
    amplitude_na, width_ns, second_amplitude_na, second_width_ns, gap_ns : int
        Of each pulse; see `StimulationRequest`.
    rate_millihz, duration_us : int
        Of the train.
    """

    label: str
    anodes: tuple[str, ...]
    cathodes: tuple[str, ...]
    amplitude_na: int
    width_ns: int
    second_amplitude_na: int
    second_width_ns: int
    gap_ns: int = 0
    rate_millihz: int
    duration_us: int

    def request(self, now_ns: int = 0, decision: str = "") -> StimulationRequest:
        """Ask for it.

        Parameters
        ----------
        now_ns : int
            On the loop's clock.
        decision : str
            Which decision it comes from.
        """
        asked = asdict(self)
        del asked["label"]
        return StimulationRequest(**asked, requested_ns=now_ns, decision=decision)


@dataclass(frozen=True, slots=True, kw_only=True)
class StimulationSinkConfig:
    """What may be stimulated, how, and what for.

    Parameters
    ----------
    enabled : bool
        Nothing is ever delivered without it, nor without a permission.
    device : str
        ``"simulated"``: there is no other.
    ledger : str
        The person's folder of doses, from where the program runs; needed if enabled.
    begin_ledger : bool
        Whether it may be begun there; for a person who was never stimulated.
    marker : str
        Label of the marker of each pulse; name it in ``[conditioning.blanking]``.
    contacts : tuple of Contact
        What there is.
    trains : tuple of TrainConfig
        Which class asks for which train.
    limits : StimulationLimits
        Where they are stricter than those of this release; none of the contacts is allowed until
        they say so.
    simulated : SimulatedStimulatorConfig
        What the simulated device is like.

    Raises
    ------
    ConfigError
        If a train could never be delivered, or the rest makes no sense.
    """

    enabled: bool = False
    device: str = "simulated"
    ledger: str = ""
    begin_ledger: bool = False
    marker: str = "pulse"
    contacts: tuple[Contact, ...] = ()
    trains: tuple[TrainConfig, ...] = ()
    limits: StimulationLimits = field(default_factory=StimulationLimits)
    simulated: SimulatedStimulatorConfig = field(default_factory=SimulatedStimulatorConfig)

    def __post_init__(self) -> None:
        if self.device != "simulated":
            raise ConfigError(
                f'sinks.device must be "simulated", got {self.device!r}: this release drives no '
                f"real stimulator, and none can be put in its place."
            )
        if self.enabled and not (self.ledger and self.marker):
            missing = "marker" if self.ledger else "ledger"
            raise ConfigError(f"sinks.{missing} is empty; stimulation that is enabled needs it.")
        for what, names in (
            ("contacts", [contact.name for contact in self.contacts]),
            ("trains", [train.label for train in self.trains]),
        ):
            if len(set(names)) != len(names):
                raise ConfigError(f"sinks.{what} must be different, got {', '.join(names)}.")
        for train in self.trains:
            self._refuse_hopeless(train)

    def _refuse_hopeless(self, train: TrainConfig) -> None:
        given = StimulationPermission(
            who="", role=CLINICIAN, second_factor=True, enabled_until_ns=1
        )
        best = Situation(
            loop_ns=0, dose_ns=0, ledger_ready=True, armed=True, stopped=False, seizure=False,
            device_ready=True, permission=given,
        )  # fmt: skip
        contacts = {contact.name: contact for contact in self.contacts}
        broken = broken_rules(train.request(), self.limits, contacts, best)
        if broken:
            raise ConfigError(
                f"The train of {train.label!r} could never be delivered ("
                f"{'; '.join(one.sentence() for one in broken)}): change it, or leave it out."
            )
