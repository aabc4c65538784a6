"""A simulated participant with known truth, who reacts to feedback.

`SimulatedParticipant` is a source and a sink in one: as a source it delivers the signal of
somebody who does a task; handed to the loop as a sink as well, it sees every command, learns from
it, and its signal changes. The loop is really closed, and what was intended at every sample is
known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..runtime.device_record import DeviceRecord
from ..runtime.errors import ConfigError
from ..runtime.messages import Chunk, Command, Decision, Marker, StreamSpec
from ..runtime.stages import Clock
from .montage import montage
from .simulated_amplifier import SimulatedAmplifier
from .simulated_brain import Brain
from .simulated_cues import CuedTimeline
from .simulated_feedback import FeedbackTimeline
from .simulated_outcome import OutcomeTeller
from .simulated_speller import SpellerTimeline
from .simulated_task import Reaction, Timeline
from .simulator_config import TASK_CLASSES, Fault, SimulatorConfig

__all__ = ["TASK_CLASSES", "Fault", "SimulatedParticipant", "SimulatorConfig"]


def _timeline_of(
    config: SimulatorConfig,
) -> Timeline | SpellerTimeline | FeedbackTimeline | CuedTimeline:
    """What happens to the participant when."""
    if config.cued:
        return CuedTimeline(config.seed)
    if config.task == "speller":
        return SpellerTimeline(config.plan, config.text, config.rate_hz, config.seed)
    if config.task == "error":
        return FeedbackTimeline(config.feedback, config.rate_hz, config.seed)
    return Timeline(config.task, config.labels, config.rate_hz, config.seed, config.pace)


class SimulatedParticipant:
    """Somebody who does a task, gives signal, and reacts to feedback: a source and a sink.

    Give the same object to the loop as source and among the sinks. The signal follows from the
    configuration and from the commands and when they came; how `read` cuts the stream changes
    no bit of it.

    A command acts on the first internal block (at most 0.1 s) that starts `reaction_s` or more
    after it came; then it stays in view until the next one. `Reaction` describes what it does.
    A label that the participant knows nothing of counts as wrong. Feedback to a window that is
    locked to a marker is judged by that marker's label, any other by what is intended while it
    is seen.

    Parameters
    ----------
    config : SimulatorConfig
        Who is simulated.
    clock : Clock
        Decides when samples exist; a virtual clock jumps, a monotonic one sleeps.

    Examples
    --------
    >>> from diverloop.runtime.clock import VirtualClock
    >>> person = SimulatedParticipant(SimulatorConfig(duration_s=1.0), VirtualClock())
    >>> person.open()
    >>> person.read(250, 2_000_000_000).samples.shape
    (16, 250)
    """

    Config = SimulatorConfig
    tested = DeviceRecord(
        what="a simulated participant with an amplifier that loses samples and stalls on demand",
        against="every loop, decoder and task here",
        never="nothing of a real brain follows from it",
        connect='`kind = "simulator"`; `task` and `montage` say what is simulated.',
    )

    def __init__(self, config: SimulatorConfig, clock: Clock) -> None:
        self._config = config
        self._channels = montage(config.montage)
        self._amplifier = SimulatedAmplifier("participant", config, clock, len(self._channels))
        self._restart()

    def _restart(self) -> None:
        """Be at the first sample, as the configuration says."""
        config = self._config
        self._timeline = _timeline_of(config)
        self._reaction = Reaction(config.skill, config.skill_bounds, config.learning_rate)
        self._brain = Brain(config, self._channels, self._timeline)
        self._teller = (
            OutcomeTeller(config.outcome, self._timeline.between, config.rate_hz, config.seed)
            if config.outcome.told
            else None
        )

    @property
    def spec(self) -> StreamSpec:
        """Rate and rows, readable at any time."""
        config = self._config
        return StreamSpec(
            name=f"simulated {config.task}",
            rate_hz=config.rate_hz,
            channels=self._channels,
            source_id=f"simulator-{config.montage}-{config.seed}",
        )

    @property
    def ended(self) -> bool:
        """True when `duration_s` has been delivered."""
        return self._amplifier.ended

    @property
    def skill(self) -> float:
        """How deeply the participant modulates now, 0 to 1."""
        return self._reaction.skill

    @property
    def attention(self) -> float:
        """How awake the participant is to the task now, 0 to 1."""
        return self._reaction.attention

    def truth(self, sample: int) -> str:
        """Class intended at a sample.

        Parameters
        ----------
        sample : int
            Stream index, past or future.

        Returns
        -------
        label : str
            A class of the task, or ``"rest"`` when nothing is intended.
        """
        return self._timeline.intended_at(sample / self._config.rate_hz)

    def open(self, spec: StreamSpec | None = None, classes: tuple[str, ...] = ()) -> None:
        """Start the stream, or, called with arguments as a sink is, take note and do nothing.

        Parameters
        ----------
        spec : StreamSpec, optional
            Stream that decisions rest on; given to sinks only.
        classes : tuple of str
            What decisions speak of; given to sinks only.

        Raises
        ------
        SourceUnavailable
            If the stream runs already.
        """
        if spec is not None:
            return
        self._amplifier.refuse_open()
        self._restart()
        self._amplifier.open(self._live, self._markers)

    def close(self) -> None:
        """Stop the stream; calling it twice is harmless."""
        self._amplifier.close()

    def act(self, decision: Decision, command: Command) -> Command:
        """See feedback; the signal shows it after the reaction time.

        Parameters
        ----------
        decision : Decision
            Its marker says what the feedback answers, if anything.
        command : Command
            What is shown.

        Returns
        -------
        command : Command
            The same: everything shown is seen.
        """
        if self._teller is not None:
            self._teller.take(
                decision.classes,
                decision.probabilities,
                decision.first_sample,
                decision.stop_sample,
            )
        seen = self._amplifier.produced(self._config.reaction_s)
        if isinstance(self._timeline, SpellerTimeline):
            # Until something is selected a speller shows nothing that could be right or wrong.
            if command.selected:
                self._reaction.show(seen, command.label, None)
                self._timeline.select((seen + 1) / self._config.rate_hz)
            return command
        if isinstance(self._timeline, FeedbackTimeline):
            return command  # what a detector of errors says is not shown to the participant
        asked = None if decision.marker is None else decision.marker.label
        self._reaction.show(seen, command.label, asked)
        return command

    def cue(self, label: str) -> None:
        """See a cue now, and follow it half a second later.

        Parameters
        ----------
        label : str
            A class of the task; empty for the end of the task.

        Raises
        ------
        ConfigError
            If the participant does not wait for cues, or does not know this one.
        """
        if not isinstance(self._timeline, CuedTimeline):
            raise ConfigError(
                f"The simulated participant follows a presentation of its own, so the cue "
                f"{label!r} means nothing: set cued = true in its settings."
            )
        if label and label not in self._config.labels:
            raise ConfigError(
                f"The simulated participant knows {', '.join(self._config.labels)}, got the cue "
                f"{label!r}: choose from these, or give it other classes."
            )
        self._timeline.cue(label, self._amplifier.produced(0.0) / self._config.rate_hz)

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """Wait for samples, or until the deadline; see `runtime.stages.Source`.

        Parameters
        ----------
        wanted : int
            How many samples to wait for.
        until_ns : int
            Loop time at which to return at the latest.

        Returns
        -------
        chunk : Chunk or None
            Everything delivered since the last read, up to the next gap; None if that is
            nothing.

        Raises
        ------
        SourceUnavailable
            If the stream does not run.
        """
        return self._amplifier.read(wanted, until_ns)

    def _markers(self, first: int, stop: int) -> list[Marker]:
        """What the task says at samples in [first, stop)."""
        said = self._timeline.markers(first, stop)
        return said if self._teller is None else [*said, *self._teller.markers(first, stop)]

    def _live(self, first: int) -> NDArray[np.float32]:
        """Let the participant live through a block, then record it."""
        time_s = first / self._config.rate_hz
        length_s = self._brain.block_samples / self._config.rate_hz
        busy = self._timeline.busy_at(time_s)
        intended = self._timeline.intended_at(time_s) if busy else None
        self._reaction.advance(first, intended, length_s)
        return self._brain.block(self._reaction.drive)
