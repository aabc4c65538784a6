"""Messages to whoever looks on, without ever waiting for one of them.

Every watcher has a mailbox and a thread of its own. The loop puts a message into each mailbox and
goes on, and wakes the watchers when it has nothing to do itself; a watcher that is slow, stuck or
broken costs the loop nothing and its neighbours nothing.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from types import TracebackType
from typing import Protocol

from .clock import MonotonicClock
from .errors import ConfigError
from .mailbox import Newest, Queue
from .messages import Event, EventKind, Message
from .stages import Clock, Watcher

_REPORT_EVERY_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOutConfig:
    """How much patience watchers get.

    Parameters
    ----------
    lossless_bound : int
        Messages a lossless watcher may be behind before new ones are dropped, at least 1. At
        100 chunks a second of 64 channels at 1 kHz the default is 160 s and some 50 MB.
    close_limit_s : float
        How long `FanOut.close` waits, for all watchers together, until they have seen everything.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    lossless_bound: int = 16384
    close_limit_s: float = 5.0

    def __post_init__(self) -> None:
        if self.lossless_bound < 1:
            raise ConfigError(
                f"lossless_bound must be at least 1, got {self.lossless_bound}; use thousands, "
                "so that a recorder survives a slow disk."
            )
        if not 0 <= self.close_limit_s <= 3600:
            raise ConfigError(
                f"close_limit_s must be 0 to 3600, got {self.close_limit_s}; use a few seconds."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WatcherCount:
    """How one watcher fares.

    Parameters
    ----------
    name : str
        Its class, with its place among the watchers.
    delivered : int
        Messages it has taken.
    dropped : int
        Messages it never saw, because it was too slow or had failed.
    alive : bool
        False after it has raised, or after `FanOut.close`.
    """

    name: str
    delivered: int
    dropped: int
    alive: bool


class FanOut:
    """Hands every message to every watcher, each on its own daemon thread.

    The threads start here, so construct it before entering `realtime`: later they would inherit
    the loop's cores.

    Parameters
    ----------
    watchers : sequence of Watcher
        All their methods are called from their own thread only.
    config : FanOutConfig, optional
        Bounds.
    clock : Clock, optional
        Stamps the events, and spaces them by a second; the monotonic one by default.
    """

    def __init__(
        self,
        watchers: Sequence[Watcher],
        *,
        config: FanOutConfig | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._config = config or FanOutConfig()
        self._clock = clock or MonotonicClock()
        self._events: deque[Event] = deque(maxlen=256)
        self._lanes = tuple(
            _Lane(f"watcher {place} ({type(watcher).__name__})", watcher, self._config, self._say)
            for place, watcher in enumerate(watchers, start=1)
        )
        self._reported = [0] * len(self._lanes)
        self._reported_at_ns = [-_REPORT_EVERY_NS] * len(self._lanes)
        for lane in self._lanes:
            lane.start()

    def put(self, message: Message) -> None:
        """Put a message into every mailbox, and let the watchers sleep on until `wake`.

        Never waits, never raises; called from one thread.

        Parameters
        ----------
        message : Message
            Not to be changed any more: the watchers share it.
        """
        for lane in self._lanes:
            lane.put(message)

    def wake(self) -> None:
        """Wake the watchers that have something in their mailbox.

        The loop does so when it is about to wait: awake any earlier, they would want the
        interpreter while it computes.
        """
        for lane in self._lanes:
            lane.wake()

    def publish(self, message: Message) -> None:
        """Put a message into every mailbox and wake the watchers at once.

        Parameters
        ----------
        message : Message
            Not to be changed any more.
        """
        self.put(message)
        self.wake()

    def take_events(self) -> tuple[Event, ...]:
        """What happened to the watchers since the last call: overflow, failure.

        Returns
        -------
        events : tuple of Event
            Overflow of one watcher comes once per second at most, with the number of messages.
        """
        for place, lane in enumerate(self._lanes):
            if lane.overflowed > self._reported[place]:
                self._report_overflow(place, lane)
        events = []
        while self._events:
            events.append(self._events.popleft())
        return tuple(events)

    def say(self, event: Event) -> None:
        """Leave an event for the loop, which will tell it to everybody. Safe from any thread.

        Parameters
        ----------
        event : Event
            What befell a watcher.
        """
        self._events.append(event)

    def counts(self) -> tuple[WatcherCount, ...]:
        """How each watcher fares, in the order they were given; exact while nothing moves."""
        return tuple(
            WatcherCount(
                name=lane.name, delivered=lane.delivered, dropped=lane.dropped, alive=lane.alive
            )
            for lane in self._lanes
        )

    def close(self) -> None:
        """Let the watchers finish what they have, within the time limit. Twice is harmless."""
        self._put_last_words()
        for lane in self._lanes:
            lane.stop()
        deadline_s = time.monotonic() + self._config.close_limit_s
        for lane in self._lanes:
            if not lane.finished(max(deadline_s - time.monotonic(), 0.0)):
                self._say(
                    f"{lane.name} was not done {self._config.close_limit_s:g} s after the end and "
                    f"was left behind with {lane.pending} messages.",
                    lane.pending,
                )
        self._reported_at_ns = [-_REPORT_EVERY_NS] * len(self._lanes)

    def _put_last_words(self) -> None:
        """What sinks and sources said when they were closed: the loop asks no more."""
        for _ in range(len(self._events)):
            event = self._events.popleft()
            if event.kind is EventKind.OVERFLOW:
                self._events.append(event)  # about the watchers, for whoever closed them
            else:
                self.put(event)

    def _report_overflow(self, place: int, lane: _Lane) -> None:
        now_ns = self._clock.now_ns()
        if now_ns - self._reported_at_ns[place] < _REPORT_EVERY_NS:
            return
        count = lane.overflowed - self._reported[place]
        self._reported[place] += count
        self._reported_at_ns[place] = now_ns
        self._say(f"{lane.name} is too slow: {count} messages to it were dropped.", count)

    def _say(self, text: str, count: int) -> None:
        self._events.append(
            Event(kind=EventKind.OVERFLOW, text=text, count=count, at_ns=self._clock.now_ns())
        )


class DirectFanOut(FanOut):
    """Hands every message on at once, in the loop's own thread: for replays, which have time.

    Parameters
    ----------
    watchers : sequence of Watcher
        What one of them raises, `put` raises.
    """

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        super().__init__(())
        self._direct = tuple(watchers)

    def put(self, message: Message) -> None:
        """Hand a message to every watcher; return when all have taken it."""
        for watcher in self._direct:
            watcher.watch(message)

    def close(self) -> None:
        """Tell the watchers that no message comes any more."""
        for watcher in self._direct:
            watcher.close()


class _Say(Protocol):
    def __call__(self, text: str, count: int) -> None: ...


class _Lane:
    """A watcher, its mailbox, its thread, and the bell that wakes it.

    The bell is a bare lock that is locked while nothing is new: releasing it costs the loop less
    than an event or a condition, which take a lock of their own.
    """

    def __init__(self, name: str, watcher: Watcher, config: FanOutConfig, say: _Say) -> None:
        self.name = name
        self._lossless = watcher.lossless
        self.alive = True
        self.delivered = 0
        self._missed_dead = 0
        self._watcher = watcher
        self._box = Queue(config.lossless_bound) if self._lossless else Newest()
        self._say = say
        self._stopping = False
        self._bell = threading.Lock()
        self._bell.acquire()
        self._thread = threading.Thread(target=self._run, name=f"diverloop {name}", daemon=True)

    @property
    def dropped(self) -> int:
        lost = self._box.dropped + self._missed_dead
        return lost if self.alive else lost + self._box.pending

    @property
    def overflowed(self) -> int:
        """Messages dropped against the watcher's wish; a newest-only one wants no old ones."""
        return self._box.dropped if self._lossless else 0

    @property
    def pending(self) -> int:
        return self._box.pending

    def start(self) -> None:
        self._thread.start()

    def put(self, message: Message) -> None:
        if not self.alive:
            self._missed_dead += 1
            return
        self._box.put(message)

    def wake(self) -> None:
        if self._box.pending:
            self._ring()

    def stop(self) -> None:
        self._stopping = True
        self._ring()

    def finished(self, limit_s: float) -> bool:
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    def _ring(self) -> None:
        # If the bell is not locked, it has been rung and not yet been heard: the watcher will
        # look into its box after that, and find this message too.
        if self._bell.locked():
            try:
                self._bell.release()
            except RuntimeError:  # `stop`, from another thread, was faster
                return

    def _run(self) -> None:
        failed = True
        with _Bulkhead(self.name, self._say):
            self._serve()
            failed = False
        self._missed_dead += failed  # the message that it could not take
        self.alive = False
        with _Bulkhead(self.name, self._say):
            self._watcher.close()

    def _serve(self) -> None:
        stopping = False
        while not stopping:
            self._bell.acquire()
            stopping = self._stopping  # read before the box, so that nothing is left in it
            while (message := self._box.take()) is not None:
                self._watcher.watch(message)
                self.delivered += 1


class _Bulkhead:
    """Keeps whatever a watcher raises inside that watcher, and says so in an event."""

    def __init__(self, name: str, say: _Say) -> None:
        self._name = name
        self._say = say

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if kind is None:
            return False
        where = extract_tb(trace)[-1]
        self._say(
            f"{self._name} failed with {kind.__name__}: {error} "
            f"({Path(where.filename).name}, line {where.lineno}); it gets no more messages, "
            "the others go on.",
            1,
        )
        return True
