"""The session's end of an error detector: it is shown what was selected, and answers.

The detector is a process of its own, and not the learner's: a learner must not be able to say what
its decisions were worth. It gets the session's chunks, cuts a window after each selection, and
answers with the probability that the person saw an error.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..runtime.errors import DiverloopError
from ..runtime.events import Event, EventKind
from ..runtime.messages import Chunk, StreamSpec
from .child import Child, Starts, module_starter
from .learning_words import LONGEST_RULE, Bye, Opened
from .pipe import Rubbish

PROCESS = "diverloop.error_detecting"
_LONGEST = 1 << 16
_MOST_OPEN = 64
_START_S, _SILENCE_S = 60.0, 30.0
_PAUSE_S = 2.0
"""Without a chunk for so long the signal has paused, and nobody can read what did not come."""
_RESTARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Detecting:
    """Which model reads, and what stream.

    Parameters
    ----------
    bundle : str
        Path of a model of the task error_potential.
    spec : StreamSpec
        The session's.
    device_delay_s : float
        How much later than its marker an event is in the signal, as the session measured it.
    """

    bundle: str
    spec: StreamSpec
    device_delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Something was selected, and the person saw it.

    Parameters
    ----------
    trial : int
        Number of the trial.
    sample : int
        Stream index at which it was seen.
    """

    trial: int
    sample: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the signal after a selection says.

    Parameters
    ----------
    trial : int
        Number of the trial.
    error : float
        Probability that it was an error; NaN where nothing could be read.
    """

    trial: int
    error: float


WORDS: dict[bytes, type] = {
    kind.__name__.encode(): kind for kind in (Detecting, Opened, Chunk, Shown, Judged, Bye)
}
"""What each topic holds."""


class ErrorLink:
    """Feeds an error detector in another process, and hears its answers. For one thread.

    Parameters
    ----------
    bundle : str
        Path of its model.
    device_delay_s : float
        How much later than its marker an event is in the signal.
    tell : callable, optional
        Who hears of trouble.
    start : callable, optional
        What starts a detector; a process by default.
    """

    def __init__(
        self,
        bundle: str,
        *,
        device_delay_s: float = 0.0,
        tell: Callable[[Event], None] = lambda event: None,
        start: Starts | None = None,
    ) -> None:
        self.tell = tell
        """Who hears of trouble; set it to ``Loop.tell``."""
        self.off = ""
        """Why nothing is detected any more; empty if it is."""
        self.restarts = 0
        self._bundle, self._start = bundle, start or module_starter(PROCESS)
        self._device_delay_s = device_delay_s
        self._spec: StreamSpec | None = None
        self._child: Child | None = None
        self._open: OrderedDict[int, float] = OrderedDict()
        self._fed_s = self._could_answer_s = 0.0

    def open(self, spec: StreamSpec) -> None:
        """Start it for a stream."""
        self._spec = spec
        self._begin()

    def feed(self, chunk: Chunk) -> None:
        """Hand a chunk on."""
        if chunk.samples.shape[1]:
            now_s = time.monotonic()
            if now_s - self._fed_s > _PAUSE_S:
                self._could_answer_s = now_s
            self._fed_s = now_s
        if self._child is not None:
            plain = replace(chunk, received=(), beside=(), events=(), markers=())
            self._child.pipe.post(plain)

    def show(self, trial: int, sample: int) -> None:
        """Something was selected."""
        if self._child is not None and self._child.pipe.post(Shown(trial=trial, sample=sample)):
            self._open[trial] = time.monotonic()
            while len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)

    def judged(self) -> tuple[Judged, ...]:
        """What it has answered since the last call, each selection once."""
        child = self._child
        if child is None:
            return ()
        try:
            told, over = child.heard()
            answers = [found for said in told if (found := self._heard(child, said))]
        except DiverloopError as error:
            self._replace(f"said {error}")
            return ()
        if over:
            self._replace("ended")
        elif self._late(child):
            self._replace("does not answer")
        return tuple(answers)

    def close(self) -> None:
        """End the detector. Twice is harmless."""
        if self._child is not None:
            self._child.finish(Bye())
        self._child = None

    def _heard(self, child: Child, said: object) -> Judged | None:
        if isinstance(said, Opened) and not child.ready:
            if said.refusal:
                raise Rubbish(f"that it cannot begin: {said.refusal[:LONGEST_RULE]}")
            child.ready = True
            # What it was shown while it began is new to it.
            self._could_answer_s = time.monotonic()
            return None
        if not isinstance(said, Judged) or self._open.pop(said.trial, None) is None:
            raise Rubbish("something out of turn")
        if math.isnan(said.error):
            return None
        if not 0 <= said.error <= 1:
            raise Rubbish(f"a probability of {said.error}")
        return said

    def _late(self, child: Child) -> bool:
        """Whether it owes an answer for too long, counted while it is ready and signal comes."""
        if not child.ready:
            return time.monotonic() - child.began_s > _START_S
        oldest_s = next(iter(self._open.values()), self._fed_s)
        return self._fed_s - max(oldest_s, self._could_answer_s) > _SILENCE_S

    def _begin(self) -> None:
        assert self._spec is not None
        self._open.clear()
        try:
            self._child = Child(self._start, WORDS, _LONGEST)
        except OSError as error:
            self._switch_off(f"cannot be started: {error}")
            return
        self._child.pipe.post(
            Detecting(bundle=self._bundle, spec=self._spec, device_delay_s=self._device_delay_s)
        )

    def _replace(self, wrong: str) -> None:
        assert self._child is not None
        self._child.kill()
        self._child = None
        if self.restarts >= _RESTARTS:
            self._switch_off(wrong)
            return
        self.restarts += 1
        self._tell(f"The error detector {wrong}; another was started.")
        self._begin()

    def _switch_off(self, wrong: str) -> None:
        self.off = f"The error detector {wrong}; nobody tells errors by the signal any more."
        self._tell(self.off)

    def _tell(self, text: str) -> None:
        self.tell(Event(kind=EventKind.LEARNER, text=text, at_ns=time.monotonic_ns()))
