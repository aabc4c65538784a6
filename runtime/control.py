"""The control link of a running session: known people ask over CURVE, each act is noted.

One thread answers. A stop tells the guard on that thread, as soon as it has been read: nothing
waits for a disk or for another person. ZeroMQ takes one message from each connection in turn, so a
flood delays another's stop by one batch at most; what is beyond a person's pace is turned down
before it costs anything, unless it only makes things safer.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import zmq

from .access import (
    LOOKING,
    SAFER,
    SECOND_FACTOR,
    WITHDRAWN_BY,
    AccessNote,
    Action,
    Permission,
    Permissions,
    Why,
)
from .control_config import ControlConfig
from .control_wire import MOST_BYTES, NONCE_BYTES, Fact, Reply, Request, read_request, write
from .doorkeeper import Admission, Doorkeeper, serve_curve
from .errors import ConfigError, DiverloopError
from .judging import Count, Judge, Pace
from .keys import short_key
from .people import Person
from .second_factor import SecondFactors

RATE_HZ, BURST = 20.0, 40.0
"""Requests that a person may send a second, and at once; signs of life are a quarter of it."""

_BATCH = 32  # messages between two looks at the held links
_REST_S = 0.005  # after a full batch: a flood must not take the loop's processor
_POLL_MS = 50
_HIGH_WATER = 64  # messages of a connection that wait; then ZeroMQ holds its sender up
_MOST_LINKS = 16  # connections of one person
_BACKLOG = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an act.

    Parameters
    ----------
    done : bool
        Whether it was possible.
    text : str
        One sentence for a person.
    changed : bool
        Whether anything is otherwise than before.
    """

    done: bool
    text: str
    changed: bool = True


Act = Callable[[Action, str, str], Outcome]
"""Does an action for somebody, by pseudonym, with a text; called from the link's thread, so it
must return at once. May raise `DiverloopError`."""


@dataclass(slots=True)
class _Link:
    """A connection of a person, as far as it was opened."""

    nonce: bytes
    count: Count = field(default_factory=Count)
    alive_ns: int | None = None  # newest sign of life, while it is held


class ControlServer:
    """The session's end of the link, while it is entered as a context.

    Parameters
    ----------
    config : ControlConfig
        Where it is bound, and its times.
    admission : Admission
        Whom it knows, and who hears of each act and each refusal.
    codes : SecondFactors
        Who checks one-time codes.
    act : callable
        Does what may be done.
    status : callable
        Gives what a person may know; called from the link's thread.
    permissions : Permissions, optional
        Where to keep what people allow, if other parts have it already.

    Raises
    ------
    ConfigError
        On entering, if the address cannot be bound.
    """

    def __init__(
        self,
        config: ControlConfig,
        admission: Admission,
        codes: SecondFactors,
        *,
        act: Act,
        status: Callable[[], Mapping[str, Fact]],
        permissions: Permissions | None = None,
    ) -> None:
        self._config = config
        self._admission = admission
        self._codes = codes
        self._act = act
        self._status = status
        self._report = admission.report
        self._clock = admission.clock
        self._silence_ns = int(config.silence_s * 1e9)
        self._links: dict[str, OrderedDict[bytes, _Link]] = {}
        self._pace: dict[str, Pace] = {}
        self._ended = threading.Event()
        self.permissions = permissions or Permissions()
        """What people have allowed the machine; other parts ask it."""
        self.address = ""
        """Where it is bound."""
        self.public_key = admission.key.public
        """What whoever connects must know, so as not to speak to an impostor."""

    def __enter__(self) -> ControlServer:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._door = Doorkeeper(self._context, self._admission, Action.STATUS)
        self._socket = self._context.socket(zmq.ROUTER)
        serve_curve(self._socket, self._admission.key, "control")
        for option, value in (
            (zmq.LINGER, 0), (zmq.MAXMSGSIZE, MOST_BYTES), (zmq.RCVHWM, _HIGH_WATER),
            (zmq.SNDHWM, _HIGH_WATER), (zmq.BACKLOG, _BACKLOG),
            (zmq.IPV6, int("[" in self._config.address)),
        ):  # fmt: skip
            self._socket.setsockopt(option, value)
        self._door.watch(self._socket)
        try:
            self._socket.bind(self._config.address)
        except zmq.ZMQError as error:
            self._close()
            raise ConfigError(
                f"control.address {self._config.address!r} cannot be bound ({error}): choose "
                f"another port, or '*' to let the system choose one."
            ) from error
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._judge = Judge(
            self._admission.people,
            self._codes,
            lock_ns=int(self._config.lock_s * 1e9),
            began_ns=self._clock.now_ns(),
        )
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._close()

    def _close(self) -> None:
        self._door.close()
        self._socket.close(0)
        self._context.term()

    def held(self) -> bool:
        """Whether anybody holds the link. For the link's thread, and for a look from others."""
        links = [link for each in tuple(self._links.values()) for link in tuple(each.values())]
        return any(link.alive_ns is not None for link in links)

    def _serve(self) -> None:
        try:
            while not self._ended.is_set():
                if self._socket.poll(self._patience_ms()) and self._take_batch():
                    self._ended.wait(_REST_S)
                self._check_silence()
        finally:
            if not self._ended.is_set():  # an error that nobody thought of
                self._stop("diverloop", "The control link broke down.")

    def _take_batch(self) -> bool:
        """Answer what has come; True if there may be more."""
        for _ in range(_BATCH):
            try:
                identity, *frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return False
            reply = self._answer(bytes(identity.buffer), frames)
            if reply is not None:
                # Dropped for somebody who is gone or does not read.
                self._socket.send_multipart([identity.buffer, write(reply)], zmq.NOBLOCK)
        return True

    def _answer(self, identity: bytes, frames: list[zmq.Frame]) -> Reply | None:
        key = _key_of(frames)
        person = self._judge.known(key)
        if isinstance(person, Why):
            self._note(None, person, "", f"key {short_key(key)}")
            return Reply(0, False, f"You are refused: {person}.", str(person))
        now_ns = self._clock.now_ns()
        spare = self._pace.setdefault(person.name, Pace(RATE_HZ, BURST)).take(now_ns)
        try:
            if len(frames) != 1:
                raise DiverloopError(f"A request is one frame, got {len(frames)}.")
            request = read_request(frames[0].buffer)
        except DiverloopError as error:
            return self._refused(0, person, Why.UNREADABLE, "", str(error))
        if not spare and request.action not in SAFER:
            return self._refused(request.n, person, Why.TOO_MANY, request.action)
        links = self._links.setdefault(key, OrderedDict())
        if not request.nonce:
            return self._opened(links, identity, request)
        link = links.get(identity)
        fits = link is not None and secrets.compare_digest(link.nonce, request.nonce)
        if link is None or not fits or not link.count.take(request.n):
            return self._refused(request.n, person, Why.REPLAYED, request.action)
        return self._judged(person, link, request, now_ns, spare)

    def _opened(self, links: OrderedDict[bytes, _Link], identity: bytes, request: Request) -> Reply:
        while len(links) >= _MOST_LINKS and identity not in links:
            self._lost(links.popitem(last=False)[1])
        before = links.pop(identity, None)
        if before is not None:
            self._lost(before)
        links[identity] = _Link(secrets.token_bytes(NONCE_BYTES))
        return Reply(request.n, True, "Go on.", nonce=links[identity].nonce)

    def _judged(
        self, person: Person, link: _Link, request: Request, now_ns: int, spare: bool
    ) -> Reply:
        action = request.action
        if why := self._judge.verdict(person, action, request.code, now_ns):
            return self._refused(request.n, person, why, action)
        if action is Action.HOLD:
            link.alive_ns = now_ns
            return Reply(request.n, True, "The link is held.")
        if action in LOOKING:
            facts = self._facts(now_ns) | {"role": str(person.role)}
            return Reply(request.n, True, "This is how it stands.", facts=facts)
        if action is Action.ARM and self._config.required and not self.held():
            return self._refused(request.n, person, Why.NO_LINK, action)
        try:
            outcome = self._do(person, link, action, request.text, now_ns)
        except DiverloopError as error:
            return self._refused(request.n, person, Why.NOT_NOW, action, str(error))
        if not outcome.done:
            return self._refused(request.n, person, Why.NOT_NOW, action, outcome.text)
        if spare or outcome.changed:
            self._note(person, None, action, text=outcome.text)
        return Reply(request.n, True, outcome.text)

    def _do(self, person: Person, link: _Link, action: Action, text: str, now_ns: int) -> Outcome:
        if action is Action.LET_GO:
            link.alive_ns = None
            action = Action.DISARM
        outcome = self._act(action, person.name, text)
        if action is Action.STOP:
            self.permissions.withdraw_all()
        elif action in WITHDRAWN_BY:
            self.permissions.withdraw(WITHDRAWN_BY[action])
        elif action in SECOND_FACTOR and outcome.done:
            until_ns = now_ns + int(self._config.permission_s * 1e9)
            self.permissions.grant(Permission(action=action, who=person.name, until_ns=until_ns))
        return outcome

    def _facts(self, now_ns: int) -> dict[str, Fact]:
        facts: dict[str, Fact] = dict(self._status())
        for action in sorted(SECOND_FACTOR):
            held = self.permissions.current(action, now_ns)
            left_s = (held.until_ns - now_ns) / 1e9 if held else 0.0
            facts[f"{action.removeprefix('enable_')}_enabled_s"] = round(left_s, 1)
        return {**facts, "link_required": self._config.required, "link_held": self.held()}

    def _patience_ms(self) -> int:
        """How long to wait for messages: no longer than until a held link would be lost."""
        alive = [
            link.alive_ns
            for links in self._links.values()
            for link in links.values()
            if link.alive_ns is not None
        ]
        if not alive:
            return _POLL_MS
        left_ns = min(alive) + self._silence_ns - self._clock.now_ns()
        return max(min(_POLL_MS, left_ns // 1_000_000 + 1), 1)

    def _check_silence(self) -> None:
        now_ns = self._clock.now_ns()
        for links in self._links.values():
            for link in links.values():
                if link.alive_ns is not None and now_ns - link.alive_ns > self._silence_ns:
                    self._lost(link)

    def _lost(self, link: _Link) -> None:
        if link.alive_ns is not None:
            link.alive_ns = None
            text = f"Network loss: no sign of life for {self._config.silence_s * 1e3:g} ms."
            self._stop("control link", text)

    def _stop(self, who: str, text: str) -> None:
        self._act(Action.STOP, who, text)
        self.permissions.withdraw_all()
        self._report(
            AccessNote(
                at_ns=self._clock.now_ns(), who=who, action=Action.STOP, done=True, text=text
            )
        )

    def _refused(self, n: int, person: Person, why: Why, action: str, text: str = "") -> Reply:
        said = text or _SENTENCES.get(why, f"This is refused: {why}.").format(
            role=person.role, action=action
        )
        self._note(person, why, action, text=said)
        return Reply(n, False, said, str(why))

    def _note(
        self, person: Person | None, why: Why | None, action: str, who: str = "", text: str = ""
    ) -> None:
        self._report(
            AccessNote(
                at_ns=self._clock.now_ns(),
                who=person.name if person else who,
                role=str(person.role) if person else "",
                action=str(action),
                done=why is None,
                why=why,
                text=text or f"Somebody was refused: {why}.",
            )
        )


_SENTENCES = {
    Why.TOO_MANY: "Too many requests at once: wait a second; a stop is always taken.",
    Why.REPLAYED: "This request is not new on this connection: connect again.",
    Why.NOT_ALLOWED: "The role {role} may not {action}: ask somebody who may.",
    Why.CODE_MISSING: "To {action} needs a one-time code: give --code.",
    Why.CODE_WRONG: "The one-time code is wrong or expired: give the one that shows now.",
    Why.CODE_USED: "The one-time code was used before: wait for the next one.",
    Why.LOCKED: "You are locked after a time without an act: give --code.",
    Why.LOCKED_OUT: "Too many wrong codes: wait five minutes; a stop is always taken.",
    Why.UNCHECKED: "People or codes cannot be checked on this machine: only a stop is taken.",
    Why.NO_LINK: "This session is armed only while its control link is held: diverloop hold.",
}


def _key_of(frames: list[zmq.Frame]) -> str:
    """The key that the connection has proved, as the doorkeeper wrote it down."""
    try:
        return str(frames[0].get("User-Id")) if frames else ""
    except zmq.ZMQError:
        return ""
