"""A session with something wrong in it: the real loop, recorded, with a witness at its output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..assembly import Model, open_model
from ..hardware.faulty_link import FaultyLink, LinkFault
from ..hardware.simulator import SimulatedParticipant, SimulatorConfig
from ..keeping import Keeping, keep
from ..runtime.bundle import Bundle, join_parts
from ..runtime.card import Card, CardInput, CardWindow, versions_now
from ..runtime.clock import MonotonicClock, VirtualClock
from ..runtime.fanout import FanOut, FanOutConfig
from ..runtime.guard import Signal
from ..runtime.loop import Loop
from ..runtime.loop_config import LoopConfig, Stages
from ..runtime.messages import (
    Command,
    Decision,
    Embedding,
    Event,
    Message,
    StreamSpec,
    Window,
)
from ..runtime.session import PartConfig, SessionConfig
from ..runtime.signal.bad_channels import BadChannelConfig
from ..runtime.signal.condition_config import ConditionConfig
from ..runtime.stages import Adapter, Clock, Encoder, Sink, Source, Watcher
from ..runtime.windows import WindowConfig
from .matrix import LENGTH_S, Row
from .recorder import ThreadRecorder

AT, MANY = 40, 15
"""At which window something begins, and for how many it lasts, on a clock that jumps."""

CLASSES = ("left", "right")
WINDOW = WindowConfig(length_s=0.5, step_s=0.1)
LOOP = LoopConfig()
PEOPLE = SimulatorConfig(montage="eeg8", classes=CLASSES, seed=11, duration_s=LENGTH_S)


def model_by_hand(montage: str = "eeg8", seed: int = 0) -> Bundle:
    """A model that nobody has fitted: band power, and weights that nearly always decide.

    Parameters
    ----------
    montage : str
        Whose channels it expects.
    seed : int
        Of its weights.

    Returns
    -------
    bundle : Bundle
        Needs nothing but numpy.
    """
    spec = SimulatedParticipant(SimulatorConfig(montage=montage), VirtualClock()).spec
    names = spec.channel_names
    conditioning = ConditionConfig(
        pick=names, bands_hz=((8.0, 30.0),), order=2, bad_channels=BadChannelConfig()
    )
    n_channels = len(names)
    weights = np.random.default_rng(seed).uniform(-0.05, 0.05, (1, n_channels))
    adapter = {
        "mean": np.zeros(n_channels),
        "scale": np.ones(n_channels),
        "weights": weights,
        "bias": np.array([-1.5]),
        "temperature": np.ones(1),
    }
    plain = {key: value for key, value in asdict(conditioning).items() if value is not None}
    card = Card(
        task="motor_imagery",
        classes=CLASSES,
        encoder="band_power",
        adapter="linear",
        encoder_config={"n_bands": 1, "regions": [[row] for row in range(n_channels)]},
        adapter_config={"classes": list(CLASSES)},
        conditioning=plain,
        input=CardInput.of(spec),
        conditioned_rows=names,
        window=CardWindow.of(WINDOW, spec.rate_hz),
        reference="none",
        band=(8.0, 30.0),
        trained_on=(),
        scores={},
        versions=versions_now(),
        created_utc="2026-01-01T00:00:00+00:00",
    )
    arrays = join_parts(encoder={"levels": np.zeros((1, n_channels))}, adapter=adapter)
    return Bundle(card=card, arrays=arrays)


class Link(Source, Protocol):
    """A source that knows what became of what it sent."""

    invalid: list[tuple[int, int]]
    silences_s: list[tuple[float, float]]

    @property
    def delivered(self) -> NDArray[np.float32]:
        """All rows that reached this process, shape (n_rows, n_channels)."""


@dataclass
class Witness:
    """A sink that notes what it was asked to do, and when."""

    clock: Clock
    seen: list[tuple[int, Decision, Command]] = field(default_factory=list)

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Nothing to open."""

    def act(self, decision: Decision, command: Command) -> Command:
        """Note it."""
        self.seen.append((self.clock.now_ns(), decision, command))
        return command

    def close(self) -> None:
        """Nothing to close."""


class Ear:
    """A watcher that keeps every event."""

    lossless = True

    def __init__(self) -> None:
        self.events: list[Event] = []

    def watch(self, message: Message) -> None:
        """Keep it, if it is an event."""
        if isinstance(message, Event):
            self.events.append(message)

    def close(self) -> None:
        """Nothing to close."""


class Provoked:
    """An encoder that lets something happen at a window, and then encodes it as ever."""

    def __init__(self, encoder: Encoder) -> None:
        self.inner = encoder
        self.at: dict[int, Callable[[], None]] = {}
        self._n = 0

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Open what is inside."""
        self.inner.open(spec, n_times)

    def encode(self, window: Window) -> Embedding:
        """Let it happen, if it is time."""
        self._n += 1
        if act := self.at.get(self._n):
            act()
        return self.inner.encode(window)

    def close(self) -> None:
        """Close what is inside."""
        self.inner.close()


@dataclass(kw_only=True)
class Outcome:
    """What was seen of a session.

    Parameters
    ----------
    error : BaseException, optional
        What the loop raised.
    opened_ns : int
        When it began.
    seen : list
        What the output was asked to do: when, decision, command.
    events : list of Event
        Everything that was told.
    invalid : list of (int, int)
        Stream indices that were lost or hold no numbers.
    silences_s : list of (float, float)
        When no valid sample came.
    delivered : ndarray
        Rows that reached the process.
    folder : Path, optional
        Where it was recorded.
    extra : dict of str to str
        What the act itself has found wrong, by name; an empty text is as it must be.
    """

    error: BaseException | None = None
    opened_ns: int = 0
    seen: list[tuple[int, Decision, Command]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    invalid: list[tuple[int, int]] = field(default_factory=list)
    silences_s: list[tuple[float, float]] = field(default_factory=list)
    delivered: NDArray[np.float32] | None = None
    folder: Path | None = None
    extra: dict[str, str] = field(default_factory=dict)


class Rig:
    """A recorded session, ready to be spoilt and run.

    Parameters
    ----------
    row : Row
        What befalls its link.
    folder : Path
        Where it is kept.
    live : bool
        In real time.
    process : bool
        Whether the recorder is a process of its own, as in a session; a thread otherwise.

    Attributes
    ----------
    encoder, adapter, sinks, watchers : objects
        May be replaced before `run`.
    at : dict of int to callable
        What is to happen at which window.
    ready, after : list of callable
        What is to happen when the loop is made, and when it has ended.
    """

    def __init__(
        self, row: Row, folder: Path, *, live: bool = False, process: bool = False
    ) -> None:
        self.row, self.live = row, live
        self.clock: Clock = MonotonicClock() if live else VirtualClock()
        self.model: Model = open_model(model_by_hand())
        length_s = float(row.settings.get("length_s", LENGTH_S))
        self.person = SimulatorConfig(
            montage="eeg8", classes=CLASSES, seed=PEOPLE.seed, duration_s=length_s
        )
        faults: Sequence[LinkFault] = row.faults
        self.link: Link = FaultyLink(
            self.person, faults, self.clock, order=tuple(row.settings.get("order", ()))
        )
        self.witness = Witness(self.clock)
        self.encoder = Provoked(self.model.encoder)
        self.at = self.encoder.at
        self.adapter: Adapter = self.model.adapter
        self.sinks: list[Sink] = [self.witness]
        self.ear = Ear()
        self.watchers: list[Watcher] = [self.ear]
        self.beat: Callable[[], None] | None = None
        self.folder = folder
        self.extra: dict[str, str] = {}
        self.ready: list[Callable[[], None]] = []
        self.after: list[Callable[[], None]] = []
        self.stack = ExitStack()
        session = SessionConfig(
            name=f"fault {row.name}",
            source=PartConfig(kind="simulator", settings=self.person),
            model=folder / "none.bundle",
            feedback={"memory_s": 0.0, "dwell_s": 0.0, "refractory_s": 0.5},
            loop=LoopConfig(deadline_s=float(row.settings.get("deadline_s", 0.0))),
        )
        self.session = session
        self.keeping: Keeping = self.stack.enter_context(
            keep(
                session,
                self.model,
                self.clock,
                folder,
                live=live,
                armed=True,
                recorder=None if process else ThreadRecorder,
            )
        )
        self.guard = self.keeping.tape.guard
        self.loop: Loop

    def run(self) -> Outcome:
        """Run it to its end; what was seen."""
        outcome = Outcome(extra=self.extra)
        # The rig closes what keeps the session, whatever becomes of the loop.
        with self.stack, _Caught(outcome):
            self.loop = self._loop()
            self.keeping.link.tell = self.loop.tell
            self.guard.tell(Signal.PERSON_ARMS)
            for act in self.ready:
                act()
            outcome.opened_ns = self.clock.now_ns()
            self.loop.run()
        for act in self.after:
            act()
        outcome.seen, outcome.events = self.witness.seen, self.ear.events
        outcome.invalid, outcome.silences_s = self.link.invalid, self.link.silences_s
        outcome.delivered, outcome.folder = self.link.delivered, self.keeping.folder
        return outcome

    def _loop(self) -> Loop:
        tape = self.keeping.tape
        patience = FanOutConfig(close_limit_s=float(self.row.settings.get("close_limit_s", 5.0)))
        stages = Stages(
            source=tape.source(self.link),
            conditioner=self.model.conditioner_for(self.session),
            encoder=self.encoder,
            adapter=self.adapter,
            feedback=self.model.feedback_for(self.session),
            sinks=self.sinks,
        )
        return Loop(
            stages,
            clock=tape.clock,
            window=self.model.window,
            config=self.session.loop,
            guard=tape.guard,
            fanout=FanOut([*self.watchers, *self.keeping.watchers], config=patience),
            promotions=tape.promotions,
            inbox=tape.inbox,
            accept=self.model.accept,
            beat=self.beat,
        )


class _Caught:
    """Keeps what a loop raises, as a finding: whatever it is, the campaign goes on."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> bool:
        self._outcome.error = error
        return isinstance(error, Exception)
