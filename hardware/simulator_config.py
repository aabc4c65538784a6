"""What a simulated participant is told: head, task, difficulty, noise and faults."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field

from ..runtime.errors import ConfigError
from ..runtime.paradigms.speller import SpellerPlan
from .montage import montage
from .simulated_feedback import FeedbackPlan
from .simulated_outcome import OutcomePlan
from .simulated_recap import Recap
from .simulated_speller import items_of
from .simulated_task import Pace

TASK_CLASSES: dict[str, tuple[str, ...]] = {
    "motor_imagery": ("left", "right"),
    "p300": ("target", "nontarget"),
    "speller": ("target", "nontarget"),
    "ssvep": ("8", "10", "12", "14"),
    "error": ("right", "wrong"),
    "neurofeedback": ("reward", "no reward"),
    "rest": (),
}
"""Every task, with its classes when none are chosen."""

IMAGERY_CLASSES = ("left", "right", "feet", "rest")
FAULT_KINDS = ("gap", "stall")
CUED_TASKS = ("motor_imagery", "ssvep")


def check_range(key: str, value: float, low: float, high: float, advice: str) -> None:
    """Refuse a number outside [low, high], or one that is not finite."""
    if not (math.isfinite(value) and low <= value <= high):
        raise ConfigError(f"{key} must be in [{low:g}, {high:g}], got {value!r}: {advice}.")


def check_choice(key: str, value: object, allowed: tuple[object, ...]) -> None:
    """Refuse what is not on the list, and name the nearest that is."""
    if value not in allowed:
        near = difflib.get_close_matches(str(value), [str(one) for one in allowed], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "choose one of them."
        raise ConfigError(f"{key} must be one of {allowed}, got {value!r}: {hint}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Something that goes wrong with the simulated amplifier, once.

    Parameters
    ----------
    kind : str
        ``"gap"``: samples are lost, the stream index jumps. ``"stall"``: nothing is delivered,
        then everything at once.
    at_s : float
        When it starts, in seconds of stream time.
    length_s : float
        How long it lasts, in seconds.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    kind: str
    at_s: float
    length_s: float

    def __post_init__(self) -> None:
        check_choice("fault.kind", self.kind, FAULT_KINDS)
        check_range("fault.at_s", self.at_s, 0, 1e6, "count seconds from the first sample")
        check_range("fault.length_s", self.length_s, 1e-3, 3600, "a fault has some length")

    @property
    def end_s(self) -> float:
        """When it is over, in seconds of stream time."""
        return self.at_s + self.length_s


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatorConfig:
    """Who is simulated, and how hard the task is for a decoder.

    Parameters
    ----------
    montage : str
        A key of `hardware.montage.MONTAGES`.
    rate_hz : float
        Sampling rate, 100 to 30000.
    task : str
        ``"motor_imagery"``, ``"p300"``, ``"speller"``, ``"ssvep"``, ``"error"``,
        ``"neurofeedback"`` or ``"rest"``.
    classes : tuple of str
        Motor imagery: at least two of left, right, feet, rest. SSVEP: flicker frequencies in
        hertz as labels, such as ``"12"`` or ``"7.5"``. P300 and speller: nothing else than
        target and nontarget. Error: nothing else than right and wrong. Empty: the task's own, see
        `TASK_CLASSES`.
    seed : int
        Everything random follows from it, but for what `person` says.
    person : int
        Whose head it is: frequencies of the rhythms, hum at the electrodes. -1 takes the seed, so
        that every seed is another person; sessions of one person share this number.
    duration_s : float
        Length of the stream; 0 never ends.
    chunk_s : float
        The amplifier delivers samples in packets of this length.
    snr : float
        Scale of everything that carries the task (mu, beta and high-gamma rhythms, evoked and
        steady-state responses) against an unchanged background; 0 leaves nothing to decode.
    line_hz : float
        Mains frequency: 50, 60, or 0 for none.
    blinks_per_min : float
        Mean rate of eye blinks; only scalp channels see them.
    drift_uv : float
        Slow wander of each baseline, root mean square.
    skill : float
        How deeply the participant modulates at the start, 0 to 1.
    learning_rate : float
        Share of the way to its bound that skill moves in one second of right or wrong feedback.
    skill_bounds : tuple of 2 float
        Between these feedback moves the skill.
    reaction_s : float
        From a command to its first effect on the signal; at least the internal block of 0.1 s.
    plan : SpellerPlan
        What a speller shows, and how it flashes.
    text : str
        What is spelled, over and over; for a menu of words, words of it.
    feedback : FeedbackPlan
        What the participant of the task ``"error"`` is shown, and how often it is wrong.
    faults : tuple of Fault
        What goes wrong, and when.
    pace : Pace
        How quickly trials follow each other.
    recap : Recap
        When the cap is put on again, and how.
    outcome : OutcomePlan
        Whether the task says after each trial of motor imagery what came of it.
    cued : bool
        Does nothing of its own accord, but what `SimulatedParticipant.cue` asks for; motor imagery
        and SSVEP alone.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    montage: str = "eeg16"
    rate_hz: float = 250.0
    task: str = "motor_imagery"
    classes: tuple[str, ...] = ()
    seed: int = 0
    person: int = -1
    duration_s: float = 0.0
    chunk_s: float = 0.02
    snr: float = 1.0
    line_hz: float = 50.0
    blinks_per_min: float = 10.0
    drift_uv: float = 20.0
    skill: float = 0.6
    learning_rate: float = 0.02
    skill_bounds: tuple[float, float] = (0.1, 1.0)
    reaction_s: float = 0.25
    plan: SpellerPlan = field(default_factory=SpellerPlan)
    text: str = "BRAIN_2"
    feedback: FeedbackPlan = field(default_factory=FeedbackPlan)
    faults: tuple[Fault, ...] = ()
    pace: Pace = field(default_factory=Pace)
    recap: Recap = field(default_factory=Recap)
    outcome: OutcomePlan = field(default_factory=OutcomePlan)
    cued: bool = False

    def __post_init__(self) -> None:
        self._check_numbers()
        check_choice("simulator.line_hz", self.line_hz, (0, 50, 60))
        check_choice("simulator.task", self.task, tuple(TASK_CLASSES))
        self._check_classes()
        if self.cued and self.task not in CUED_TASKS:
            raise ConfigError(
                f"simulator.cued needs one of the tasks {', '.join(CUED_TASKS)}, got "
                f"{self.task!r}: in the others the presentation itself decides what is asked for."
            )
        self._check_outcome()
        scalp = all(channel.kind == "eeg" for channel in montage(self.montage))
        if self.task == "speller" and not items_of(self.text, self.plan.items):
            raise ConfigError(
                f"simulator.text must hold at least one item of the speller, got {self.text!r}: "
                f"the items are {' '.join(self.plan.items)}."
            )
        if self.task in ("p300", "speller", "ssvep", "error") and not scalp:
            raise ConfigError(
                f"simulator.montage must be a scalp one for the task {self.task!r}, got "
                f"{self.montage!r}: responses to what is seen are modelled at the scalp only."
            )

    def _check_outcome(self) -> None:
        """Refuse outcomes where nothing ends by itself that could have one."""
        if self.outcome.told and (self.task != "motor_imagery" or self.cued):
            raise ConfigError(
                f"simulator.outcome.told needs the task 'motor_imagery' at a pace of its own, got "
                f"{self.task!r} with cued = {self.cued}: leave it out, or change these."
            )

    def _check_numbers(self) -> None:
        """Refuse numbers out of range."""
        check_range("simulator.rate_hz", self.rate_hz, 100, 30_000, "rhythms need 100 Hz")
        if not isinstance(self.seed, int):
            raise ConfigError(f"simulator.seed must be a whole number, got {self.seed!r}: try 0.")
        check_range("simulator.seed", self.seed, 0, 2**63 - 1, "take a smaller one")
        check_range("simulator.person", self.person, -1, 2**63 - 1, "-1 takes the seed")
        check_range("simulator.duration_s", self.duration_s, 0, 1e6, "0 never ends")
        check_range("simulator.chunk_s", self.chunk_s, 0, 1, "0 delivers sample by sample")
        check_range("simulator.snr", self.snr, 0, 100, "1 is the usual difficulty")
        check_range("simulator.blinks_per_min", self.blinks_per_min, 0, 60, "10 is usual")
        check_range("simulator.drift_uv", self.drift_uv, 0, 10_000, "20 is usual")
        check_range("simulator.learning_rate", self.learning_rate, 0, 1, "0 never learns")
        check_range("simulator.reaction_s", self.reaction_s, 0.15, 5, "people take 0.25 s")
        low, high = self.skill_bounds
        check_range("simulator.skill_bounds", high, 0, 1, "skill is a share")
        check_range("simulator.skill_bounds", low, 0, high, "the lower bound comes first")
        check_range("simulator.skill", self.skill, low, high, "start within skill_bounds")

    def _check_classes(self) -> None:
        """Refuse classes that the task does not have."""
        if not self.classes:
            return
        fits = len(set(self.classes)) == len(self.classes)
        if self.task == "motor_imagery":
            fits = fits and len(self.classes) > 1 and set(self.classes) <= set(IMAGERY_CLASSES)
        elif self.task == "ssvep":
            fits = fits and all(self._can_flicker(label) for label in self.classes)
        else:
            fits = fits and set(self.classes) == set(TASK_CLASSES[self.task])
        if not fits:
            raise ConfigError(
                f"simulator.classes does not fit the task {self.task!r}, got {self.classes}: "
                f"motor_imagery takes two or more of {IMAGERY_CLASSES}, ssvep takes frequencies "
                f"in hertz between 3 and 0.4 of the rate, p300 and rest take their own; leave "
                f"it empty for {TASK_CLASSES[self.task]}."
            )

    def _can_flicker(self, label: str) -> bool:
        """Whether a label is a frequency that can be shown and sampled."""
        try:
            return 3 <= float(label) <= 0.4 * self.rate_hz
        except ValueError:
            return False

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes of the task, chosen or its own."""
        return self.classes or TASK_CLASSES[self.task]
