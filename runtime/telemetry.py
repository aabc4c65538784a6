"""The wire to other processes: what watchers see, over ZeroMQ.

A message is a multipart, see `wire`.

The sender never waits. ZeroMQ drops what a slow subscriber leaves lying; the sequence number lets
each subscriber count what *it* lost, which the sender cannot know.

Without keys it stays on this machine, at both ends. With CURVE keys it may go further, to people on
the machine's list.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import zmq

from .adaptation_figures import AdaptationFigures
from .address import stays_here
from .doorkeeper import Admission, use_curve
from .errors import ConfigError, DiverloopError
from .keys import CurveKey
from .latency import LatencyReport
from .messages import Chunk, Event, EventKind, Message, Promotion, StreamSpec, Turn
from .paradigms.guided_course import Scene
from .publishing import Publisher
from .quality import Quality
from .wire import decode, encode

_HIGH_WATER = 1000  # messages a subscriber may be behind: half a minute of a usual session
# The last thing a subscriber subscribes to. Subscriptions travel in byte order, so when this one
# has come, all have; no topic begins with it.
_READY = b"~"
_LINGER_MS = 500  # how long closing may wait for a subscriber to take the last messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How often the decisions were right, where the truth is known.

    Parameters
    ----------
    hits, trials : int
        Right decisions, and all that were judged.
    interval : tuple of 2 float
        Confidence interval of the accuracy, each 0 to 1.
    meaning : str
        What counts as a trial, and which interval it is, for a person.
    """

    hits: int
    trials: int
    interval: tuple[float, float]
    meaning: str = ""


Posted = LatencyReport | Score | AdaptationFigures
"""What is left for the publisher by others than the loop."""

Telegram = Message | Posted | Scene
"""What can be on the wire."""

_TYPES: dict[bytes, type] = {
    b"spec": StreamSpec,
    b"chunk": Chunk,
    b"turn": Turn,
    b"event": Event,
    b"promotion": Promotion,
    b"quality": Quality,
    b"report": LatencyReport,
    b"score": Score,
    b"scene": Scene,
    b"adaptation": AdaptationFigures,
}
_TOPICS = {kind: topic for topic, kind in _TYPES.items()}
TOPICS = tuple(_TYPES)
"""What can be subscribed to."""


def encode_message(message: Telegram, sequence: int = 0) -> list[bytes]:
    """Turn a message into the frames of one multipart.

    Parameters
    ----------
    message : Telegram
        What to send.
    sequence : int
        How many messages of its topic went before.

    Returns
    -------
    frames : list of bytes
        Topic, header, and one frame for each array.
    """
    return encode(_TOPICS[type(message)], message, sequence)


def decode_message(frames: Sequence[bytes]) -> Telegram:
    """Rebuild a message from its frames.

    Parameters
    ----------
    frames : sequence of bytes
        As `encode_message` made them.

    Returns
    -------
    message : Telegram
        Equal to what was sent, bit for bit; its arrays belong to the caller.

    Raises
    ------
    DiverloopError
        If the frames are not such a message, or of another wire version.
    """
    return _read(frames)[1]


def _read(frames: Sequence[bytes]) -> tuple[int, Telegram]:
    return decode(frames, _TYPES)


class TelemetryPublisher:
    """A watcher that passes on what it sees. Newest-only: a slow network is not the loop's.

    The last `StreamSpec`, word of the guard and scene are sent again whenever somebody new
    subscribes, so that a viewer may be started at any time.

    Parameters
    ----------
    address : str
        A ZeroMQ endpoint; ``*`` as the port lets the system choose one.
    admission : Admission, optional
        Whom to let in by their CURVE keys; without it everybody on this machine may watch, and
        nobody else.

    Raises
    ------
    ConfigError
        If the address reaches beyond this machine without keys, or cannot be bound.
    """

    lossless = False

    def __init__(
        self, address: str = "tcp://127.0.0.1:*", admission: Admission | None = None
    ) -> None:
        _check_reach(address, with_keys=admission is not None)
        try:
            self._publisher = Publisher(
                address, admission, domain="watch", high_water=_HIGH_WATER, linger_ms=_LINGER_MS
            )
        except zmq.ZMQError as error:
            raise ConfigError(
                f"The telemetry address {address!r} cannot be bound ({error}); choose another "
                "port, or '*' to let the system choose one."
            ) from error
        self.address = self._publisher.address
        self._sequence = dict.fromkeys(TOPICS, 0)
        self._posted: deque[Posted] = deque(maxlen=64)
        self._to_repeat: dict[bytes, Telegram] = {}

    def watch(self, message: Message | Scene) -> None:
        """Send a message, after whatever was posted.

        Parameters
        ----------
        message : Message or Scene
            From the loop, or from a guided calibration.
        """
        if isinstance(message, StreamSpec | Scene):
            self._to_repeat[_TOPICS[type(message)]] = message
        elif isinstance(message, Event) and message.kind is EventKind.GUARD:
            self._to_repeat[b"event"] = message
        elif isinstance(message, Chunk) and (message.received or message.beside):
            # For the recorder; viewers want the signal.
            message = replace(message, received=(), beside=())
        self._welcome()
        self._send_posted()
        self._send(message)
        self._publisher.show_out()

    def post(self, message: Posted) -> None:
        """Leave a report, a score or figures for the next message; safe from any thread.

        Parameters
        ----------
        message : LatencyReport, Score or AdaptationFigures
            Beyond 64 unsent ones, the oldest are dropped.
        """
        self._posted.append(message)

    def wait_for_subscriber(self, timeout_ms: int) -> bool:
        """Wait until somebody has subscribed; for starting two processes in step.

        For the thread that made the publisher, before a fan-out has it.

        Parameters
        ----------
        timeout_ms : int
            How long at most.

        Returns
        -------
        came : bool
            Whether somebody did.
        """
        deadline_s = time.monotonic() + timeout_ms / 1e3
        while not (came := self._welcome()):
            left_ms = int((deadline_s - time.monotonic()) * 1e3)
            if left_ms <= 0 or not self._publisher.socket.poll(left_ms):
                break
        return came

    def close(self) -> None:
        """Send what was posted, wait half a second at most, release the address."""
        if not self._publisher.closed:
            self._welcome()
            self._send_posted()
            self._publisher.close()

    def _welcome(self) -> bool:
        """Read who has subscribed, repeat what newcomers need; True if one is complete."""
        notices = self._publisher.notices()
        for topic in (b"spec", b"event", b"scene"):
            if topic in self._to_repeat and b"\x01" + topic in notices:
                self._send(self._to_repeat[topic])
        return b"\x01" + _READY in notices

    def _send_posted(self) -> None:
        while self._posted:
            self._send(self._posted.popleft())

    def _send(self, message: Telegram) -> None:
        topic = _TOPICS[type(message)]
        if topic not in self._publisher.wanted:  # a session that nobody watches pays for nothing
            return
        frames = encode_message(message, self._sequence[topic])
        self._sequence[topic] += 1
        self._publisher.send(frames)


class TelemetrySubscriber:
    """The other end: takes messages from a `TelemetryPublisher`. For one thread.

    Parameters
    ----------
    address : str
        Where the publisher is. It need not be there yet.
    topics : iterable of bytes
        Out of `TOPICS`; all of them by default.
    key : CurveKey, optional
        The person's, for a publisher that wants one.
    server : str
        Public key of the publisher's machine; needed with `key`.

    Raises
    ------
    ConfigError
        If the address reaches beyond this machine without a key or is not one, or if a topic is
        unknown.
    """

    def __init__(
        self,
        address: str,
        topics: Iterable[bytes] = TOPICS,
        *,
        key: CurveKey | None = None,
        server: str = "",
    ) -> None:
        wanted = tuple(topics)
        _check_reach(address, with_keys=key is not None)
        _check_topics(wanted)
        self.lost = 0
        """Messages that were sent, but dropped on the way because nobody polled."""
        self.unreadable = 0
        """Messages that could not be decoded: is the sender another version?"""
        self._next: dict[bytes, int] = {}
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, _HIGH_WATER)
        self._socket.setsockopt(zmq.LINGER, 0)
        for topic in (*wanted, _READY):
            self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        try:
            if key is not None:
                use_curve(self._socket, key, server)
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise ConfigError(
                f"The telemetry address {address!r} cannot be used ({error}); give the one that "
                "the session printed, such as 'tcp://127.0.0.1:5555'."
            ) from error

    def poll(self, timeout_ms: int) -> Telegram | None:
        """Take the next message.

        Parameters
        ----------
        timeout_ms : int
            How long to wait for one; 0 does not wait.

        Returns
        -------
        message : Telegram or None
            None if none came, or if what came could not be read (see `unreadable`).
        """
        if not self._socket.poll(timeout_ms):
            return None
        frames = self._socket.recv_multipart()
        try:
            sequence, message = _read(frames)
        except DiverloopError:
            self.unreadable += 1
            return None
        # A lower number than expected is a publisher that started anew, not a loss.
        self.lost += max(sequence - self._next.get(frames[0], sequence), 0)
        self._next[frames[0]] = sequence + 1
        return message

    def close(self) -> None:
        """Disconnect. Calling it twice is harmless."""
        self._context.destroy(linger=0)


def _check_topics(topics: tuple[bytes, ...]) -> None:
    unknown = [topic for topic in topics if topic not in _TYPES]
    if unknown:
        raise ConfigError(f"topics must be out of {TOPICS}, got {unknown}; leave it out for all.")


def _check_reach(address: str, *, with_keys: bool) -> None:
    if not stays_here(address, "telemetry address") and not with_keys:
        raise ConfigError(
            f"The telemetry address must stay on this machine, got {address!r}; set control.watch "
            "and give --key for telemetry to other machines, or use 'tcp://127.0.0.1:*' and an "
            "SSH tunnel."
        )
