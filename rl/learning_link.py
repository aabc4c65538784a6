"""The session's end of a learner: what is told, what is proposed, and what if it misbehaves.

The learner is a process beside. It may hang, die, flood or send rubbish: then it is ended, people
are told once, another is started from the head that serves, and after a few of these adaptation is
off. Whatever it proposes is a head of the right shape or nothing; whether that may serve is for the
envelope. Nothing here waits for it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..runtime.errors import ConfigError, DiverloopError
from ..runtime.events import Event, EventKind
from ..runtime.prototype_head import PrototypeHead
from .child import Child, Starts, module_starter
from .envelope.version import Proposal
from .learning_words import (
    LONGEST_RULE,
    TYPES,
    Adopt,
    Bye,
    Heard,
    Learnt,
    Opened,
    Opening,
    Saw,
    head_like,
)
from .pipe import Rubbish
from .trial import Reward, Trial

_MOST_NUMBERS = 4096
_SLACK_BYTES = 1 << 16
PROCESS = "diverloop.rl.learning_process"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """How much patience a learner gets.

    Parameters
    ----------
    start_s : float
        Until it is there; some rules bring a large library, 1 to 300 s.
    silence_s : float
        Until it has taken in what it was told, 0.1 to 60 s.
    restarts : int
        How often another is started, 0 to 20; after that adaptation is off.
    most_waiting : int
        Trials and rewards that it may be behind, 1 to 10000; beyond it they are dropped.
    most_per_look : int
        Answers between two looks of the session, or to one thing; more is a flood.
    """

    start_s: float = 60.0
    silence_s: float = 5.0
    restarts: int = 3
    most_waiting: int = 256
    most_per_look: int = 64

    def __post_init__(self) -> None:
        for name, least, most in (
            ("start_s", 1, 300), ("silence_s", 0.1, 60), ("restarts", 0, 20),
            ("most_waiting", 1, 10000), ("most_per_look", 1, 10000),
        ):  # fmt: skip
            if not least <= (got := getattr(self, name)) <= most:
                raise ConfigError(f"The link's {name} must be in [{least}, {most}], got {got}.")


class LearningLink:
    """Tells a learner in another process, and hears what it proposes. For one thread.

    Parameters
    ----------
    learner : str
        Name in the catalogue.
    settings : mapping
        Of its ``Config``.
    head : PrototypeHead
        What serves.
    config : LinkConfig, optional
        Patience.
    tell : callable, optional
        Who hears of trouble.
    start : callable, optional
        What starts a learner; a process by default.
    """

    def __init__(
        self,
        learner: str,
        settings: Mapping[str, Any],
        head: PrototypeHead,
        *,
        config: LinkConfig | None = None,
        tell: Callable[[Event], None] = lambda event: None,
        start: Starts | None = None,
    ) -> None:
        self.tell = tell
        """Who hears of trouble; set it to ``Loop.tell``."""
        self.off = ""
        """Why nothing is learnt any more; empty if it is."""
        self.restarts = 0
        self.dropped = 0
        """Trials and rewards that it was not told of."""
        self._learner, self._settings, self._head = learner, settings, head
        self._config, self._start = config or LinkConfig(), start or module_starter(PROCESS)
        self._longest = 2 * sum(a.nbytes for a in head.to_arrays().values()) + _SLACK_BYTES
        self._newest: Proposal | None = None
        self._n = self._acknowledged = self._repeated = 0
        self._sent: deque[tuple[int, float]] = deque()
        self._rests_on: deque[tuple[int, int]] = deque(maxlen=_MOST_NUMBERS)
        self._child: Child | None = None
        self._begin()

    @property
    def ready(self) -> bool:
        """Whether there is a learner that has begun."""
        return self._child is not None and self._child.ready

    @property
    def behind(self) -> int:
        """How many trials and rewards it has not taken in."""
        return len(self._sent)

    @property
    def pid(self) -> int:
        """Process number of the present learner; -1 if there is none that has one."""
        return -1 if self._child is None else self._child.pid

    def see(self, trial: Trial) -> None:
        """Tell of a decision."""
        self._say(lambda n: Saw(n=n, trial=trial), trial.number)

    def hear(self, reward: Reward) -> None:
        """Tell what became known of a trial."""
        self._say(lambda n: Heard(n=n, reward=reward), reward.trial)

    def serve(self, head: PrototypeHead, *, adopt: bool) -> None:
        """Another head serves now.

        Parameters
        ----------
        head : PrototypeHead
            It.
        adopt : bool
            Whether it is another than was proposed, so that the learner has to go on from it.
        """
        self._head = head
        while self._rests_on and (adopt or self._rests_on[0][0] <= self._acknowledged):
            self._rests_on.popleft()
        if adopt:
            self._newest = None
            self._say(lambda n: Adopt(n=n, arrays=head.to_arrays()), None)

    def proposal(self) -> Proposal | None:
        """The newest head that it would like to see serve, if there is one since the last call."""
        self._look()
        newest, self._newest = self._newest, None
        return newest

    def close(self) -> None:
        """End the learner. Twice is harmless."""
        if self._child is not None:
            self._child.finish(Bye())
        self._child = None

    def _say(self, said: Callable[[int], Any], number: int | None) -> None:
        if self._child is None:
            return
        if len(self._sent) >= self._config.most_waiting:
            self.dropped += 1
            return
        self._n += 1
        if not self._child.pipe.post(said(self._n)):
            self.dropped += 1
            return
        self._sent.append((self._n, time.monotonic()))
        if number is not None:
            self._rests_on.append((self._n, number))

    def _look(self) -> None:
        child = self._child
        if child is None:
            return
        try:
            answers, over = child.heard()
            if len(answers) > self._config.most_per_look:
                raise Rubbish(f"{len(answers)} answers at once, which is a flood")
            for answer in answers:
                self._take(child, answer)
        except DiverloopError as error:
            self._replace(f"said {error}")
            return
        if over:
            self._replace("ended")
        elif wrong := self._late(child):
            self._replace(wrong)

    def _take(self, child: Child, answer: Any) -> None:
        if isinstance(answer, Opened) and not child.ready:
            if answer.refusal:
                raise Rubbish(f"that it cannot begin: {answer.refusal[:LONGEST_RULE]}")
            child.ready = True
            # What it was told while it began is new to it.
            self._sent = deque((n, time.monotonic()) for n, _ in self._sent)
            return
        if not isinstance(answer, Learnt) or not self._acknowledged <= answer.after <= self._n:
            raise Rubbish("something out of turn")
        # Who looks often never sees many at once.
        self._repeated = self._repeated + 1 if answer.after == self._acknowledged else 0
        if self._repeated > self._config.most_per_look:
            raise Rubbish(f"{self._repeated} answers to one thing, which is a flood")
        self._acknowledged = answer.after
        while self._sent and self._sent[0][0] <= answer.after:
            self._sent.popleft()
        if answer.arrays:
            self._newest = Proposal(
                head=head_like(self._head, answer.arrays),
                rule="".join(c for c in answer.rule[:LONGEST_RULE] if c.isprintable()),
                trials=self._numbers(answer.after),
            )

    def _numbers(self, after: int) -> tuple[int, ...]:
        return tuple(sorted({number for n, number in self._rests_on if n <= after}))

    def _late(self, child: Child) -> str:
        """Of what it is late; empty if it is not."""
        now_s = time.monotonic()
        if not child.ready:
            late = now_s - child.began_s > self._config.start_s
            return f"was not there after {self._config.start_s:g} s" if late else ""
        if self._sent and now_s - self._sent[0][1] > self._config.silence_s:
            return f"has not answered for {self._config.silence_s:g} s"
        return ""

    def _begin(self) -> None:
        self._sent.clear()
        self._acknowledged, self._repeated = self._n, 0
        try:
            self._child = Child(self._start, TYPES, self._longest)
        except OSError as error:
            self._switch_off(f"cannot be started: {error}")
            return
        self._child.pipe.post(
            Opening(
                learner=self._learner,
                settings=self._settings,
                classes=self._head.classes,
                arrays=self._head.to_arrays(),
            )
        )

    def _replace(self, wrong: str) -> None:
        """End a learner that did something wrong, and start another from what serves."""
        assert self._child is not None
        self._child.kill()
        self._child, self._newest = None, None
        self._rests_on.clear()
        if self.restarts >= self._config.restarts:
            self._switch_off(wrong)
            return
        self.restarts += 1
        self._tell(
            f"The learner {wrong}; another was started from the weights that decide, which stay."
        )
        self._begin()

    def _switch_off(self, wrong: str) -> None:
        self.off = f"The learner {wrong}; nothing is learnt any more, the weights stay."
        self._tell(self.off)

    def _tell(self, text: str) -> None:
        self.tell(Event(kind=EventKind.LEARNER, text=text, at_ns=time.monotonic_ns()))
