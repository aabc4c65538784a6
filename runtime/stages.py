"""The seams: what the loop calls, and what a new device, decoder or task has to offer.

Calls point one way: the loop calls the stages, no stage calls another or the loop. Everything
here is called from the loop's own thread unless a method says otherwise. `conformance` tests
every clause on any implementation.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from .conditioned import Conditioned
from .messages import Chunk, Command, Decision, Embedding, Message, StreamSpec, Window


@runtime_checkable
class Clock(Protocol):
    """Time, passed in. Never the wall clock: it may step."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start, never decreasing."""

    def wait_until(self, deadline_ns: int) -> None:
        """Return at the deadline, or at once if it has passed."""


@runtime_checkable
class Source(Protocol):
    """Where samples come from: an amplifier, a recording, a simulated participant.

    Life: `open` once, `read` many times, `close` once or more.
    """

    @property
    def spec(self) -> StreamSpec:
        """Rate and rows. Readable after `open`; before it where the source already knows."""

    @property
    def ended(self) -> bool:
        """True when no sample will come any more. A live source never ends by itself."""

    def open(self) -> None:
        """Connect, or raise `SourceUnavailable` naming what was looked for."""

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """Wait for `wanted` samples, or until the deadline; return what is there, or None.

        May return fewer or more than wanted, never later than `until_ns` by more than the
        operating system's own lateness. All that has arrived is returned, so that the loop sees
        how far behind it is. Indices grow strictly from chunk to chunk, and jump by as many
        samples as were lost.
        """

    def close(self) -> None:
        """Release the device. Calling it twice is harmless."""


@runtime_checkable
class Conditioner(Protocol):
    """Causal signal conditioning with state. Any cut of the stream gives the same output."""

    @property
    def settle_samples(self) -> int:
        """Conditioned samples after a start or a gap that are not to be trusted yet."""

    @property
    def delay_s(self) -> float:
        """Group delay in the pass band, part of the effective latency."""

    def open(self, spec: StreamSpec) -> StreamSpec:
        """Prepare for a stream; return what the conditioned stream looks like, rate included."""

    def process(self, chunk: Chunk) -> Conditioned:
        """Condition a chunk. A jump in `first_sample` restarts the state."""


@runtime_checkable
class Encoder(Protocol):
    """Window in, embedding out.

    It may remember windows of one stream that overlap or follow each other
    (`Window.conditioned_first`), for what came before a gap, before `open` or before a window of
    no stream must not matter: a replay that begins anywhere behind a gap says the same.
    """

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Check that windows of this stream can be encoded; raise `SchemaMismatch` if not."""

    def encode(self, window: Window) -> Embedding:
        """Features of one window. Must not change or keep ``window.samples``."""

    def close(self) -> None:
        """Release what `open` took. Calling it twice is harmless."""


@runtime_checkable
class Adapter(Protocol):
    """Embedding in, decision out: one task."""

    @property
    def classes(self) -> tuple[str, ...]:
        """What the probabilities speak of, in order."""

    @property
    def epoch(self) -> int:
        """Which set of weights is active; grows with every promotion."""

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        """Probabilities and label; label None to abstain."""


@runtime_checkable
class Feedback(Protocol):
    """Decisions in, command out: evidence, dwell, refractory time."""

    def advance(self, decision: Decision, now_ns: int) -> Command:
        """Return what to show now. A neutral decision gives a neutral command."""


@runtime_checkable
class Sink(Protocol):
    """Where commands go: a stream, a screen, a device.

    A sink that acts outside this program, on a person or a machine, says so in an attribute
    ``outside``: in a live session the watchdog's process holds it. What it raises is told, and
    counts as nothing done.
    """

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Connect. Called before the first sample is read."""

    def act(self, decision: Decision, command: Command) -> Command:
        """Carry the command out; return what was really done. Must not block."""

    def close(self) -> None:
        """Make the output neutral, then release it. Calling it twice is harmless."""


@runtime_checkable
class Watcher(Protocol):
    """Somebody who looks on: a log, a dashboard. Called from the fan-out's own thread."""

    @property
    def lossless(self) -> bool:
        """True: gets every message, in order. False: gets the newest, older ones are dropped."""

    def watch(self, message: Message) -> None:
        """Take a message. May be slow: only this watcher waits."""

    def close(self) -> None:
        """No message comes any more."""
