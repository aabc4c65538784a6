"""Keeps what a decoder or a sink raises away from the loop, and says so.

A decoder that throws has nothing to say about that window: the decision is neutral. A sink that
throws has done nothing that anybody could rely on: to all who come after it, it did nothing.
`EngineError` passes: a session that wants no other engine ends when its own stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

import numpy as np

from .errors import EngineError
from .events import Event, EventKind
from .loop_config import Stages
from .messages import Command, Decision, Embedding, StreamSpec, Window
from .stages import Encoder, Sink
from .swarm import Swarm

FAILED = "the decoder failed"
_APART_NS, _MOST_NS = 1_000_000_000, 60_000_000_000


class Kept:
    """A context that keeps an error instead of passing it on.

    Attributes
    ----------
    error : Exception, optional
        What was raised inside.
    """

    error: Exception | None = None

    def __enter__(self) -> Kept:
        self.error = None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, EngineError):
            return False
        self.error = error
        return True


class Complaint:
    """One sentence for a swarm of errors.

    Parameters
    ----------
    who : str
        Who raises them.
    then : str
        What is done about it.
    """

    def __init__(self, who: str, then: str) -> None:
        self._who, self._then = who, then
        self._swarm = Swarm(_APART_NS, _MOST_NS)

    def of(self, error: Exception, now_ns: int) -> Event | None:
        """What to tell of an error; None if people have been told."""
        count = self._swarm.admit(now_ns, 1)
        if not count:
            return None
        what = " ".join(str(error).split())[:200].rstrip(".") or "no reason given"
        text = f"{self._who} raised {type(error).__name__} ({what}); {self._then}."
        return Event(kind=EventKind.FAILED, text=text, count=count, at_ns=now_ns)


def shielded(stages: Stages, tell: Callable[[Event], None]) -> Stages:
    """The same stages, encoder and sinks behind a shield.

    Parameters
    ----------
    stages : Stages
        As they were given to the loop.
    tell : callable
        Takes an event, from the loop's thread.

    Returns
    -------
    stages : Stages
        What the loop runs.
    """
    sinks = tuple(ShieldedSink(sink, tell) for sink in stages.sinks)
    return replace(stages, encoder=ShieldedEncoder(stages.encoder), sinks=sinks)


class ShieldedEncoder:
    """Encoder: another one; what it could not encode has no values and no quality.

    Parameters
    ----------
    encoder : Encoder
        Which.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._complaint = Complaint("The encoder", "output is neutral while it does")

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Open it."""
        self._encoder.open(spec, n_times)

    def encode(self, window: Window) -> Embedding:
        """Let it encode."""
        with Kept() as kept:
            return self._encoder.encode(window)
        assert kept.error is not None
        event = self._complaint.of(kept.error, window.due_ns)
        return Embedding(values=np.empty(0), quality=0.0, events=(event,) if event else ())

    def close(self) -> None:
        """Close it."""
        self._encoder.close()


class ShieldedSink:
    """Sink: another one; where it raises it has done nothing.

    Parameters
    ----------
    sink : Sink
        Which.
    tell : callable
        Takes an event.
    """

    def __init__(self, sink: Sink, tell: Callable[[Event], None]) -> None:
        self._sink, self._tell = sink, tell
        self._complaint = Complaint(
            f"The sink {type(sink).__name__}", "what it was asked for counts as not done"
        )

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Open it."""
        self._sink.open(spec, classes)

    def act(self, decision: Decision, command: Command) -> Command:
        """Let it act."""
        with Kept() as kept:
            return self._sink.act(decision, command)
        assert kept.error is not None
        if event := self._complaint.of(kept.error, time.monotonic_ns()):
            self._tell(event)
        return command.at_rest("the sink failed")

    def close(self) -> None:
        """Close it."""
        self._sink.close()
