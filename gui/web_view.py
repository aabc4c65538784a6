"""Key figures of a session for a second room: a page in a browser that can only look.

The server knows two addresses, both behind a token that is drawn anew each time; it takes no input,
and nothing leads from it to the session. It speaks plain HTTP: whoever can listen on the network
between can read along, so beyond this machine it belongs on a network of people who may.
"""

from __future__ import annotations

import json
import math
import secrets
import socket
import threading
from collections import deque
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from ..runtime.clock import MonotonicClock
from ..runtime.errors import ConfigError
from ..runtime.limits import State
from ..runtime.messages import Event, EventKind
from ..runtime.quality import Quality
from ..runtime.stages import Clock
from ..runtime.telemetry import Telegram
from .guard_words import guard_state
from .view_state import (
    SEIZURE,
    ViewState,
    count_text,
    gaps_text,
    label_of,
    ms_text,
    score_text,
    signal_text,
    warnings_about,
)
from .web_page import PAGE, POLICY

MOST_AT_ONCE = 8
"""Requests that are answered at the same time; whoever comes beyond is turned away."""

EVENTS = 8
"""How many events the page shows."""

_ROUTINE = (EventKind.LATE, EventKind.MISSED, EventKind.JITTER)  # counted elsewhere, many a minute
_POLL_MS = 100
_SLOWEST_S = 5.0  # a request that takes longer to come is dropped
_LOOK_UP_S = 0.1  # how soon it notices that it is to end
_LONGEST = 300  # characters of one text
_SHAPES = {
    State.ARMED: ("▶ ARMED", "good"),
    State.HOLDING: ("❚❚ HOLDING", "doubtful"),
    State.DISARMED: ("○ DISARMED", "doubtful"),
    State.STOPPED: ("■ STOPPED", "bad"),
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Teller(Protocol):
    """Where messages come from: a subscriber, or a recording. For one thread."""

    lost: int
    unreadable: int

    def poll(self, timeout_ms: int) -> Telegram | None:
        """The next message, if there is one."""

    def close(self) -> None:
        """Ask for no more."""


def figures(
    state: ViewState, events: tuple[tuple[int, str], ...] = (), *, now_ns: int
) -> dict[str, Any]:
    """What the page shows, as plain values for JSON.

    Parameters
    ----------
    state : ViewState
        Left as it is.
    events : tuple of (int, str)
        When each was heard, on the view's clock, and what it said; the newest first.
    now_ns : int
        The same clock, now.

    Returns
    -------
    told : dict
        Texts and numbers; None where there is no number, never NaN.
    """
    total, turn, spec = state.latency().stages[-1], state.turn, state.spec
    known = guard_state(state.guard)
    guard, mark = ("○ UNKNOWN", "doubtful") if known is None else _SHAPES[known]
    told = {
        "session": state.session or "session",
        "stream": "" if spec is None else f"{spec.name}, {spec.n_channels} ch, {spec.rate_hz:g} Hz",
        "guard": guard,
        "guard_state": mark,
        "guard_text": state.guard,
        "decision": label_of(state),
        "certainty": _number(state.history[-1] if state.history else math.nan),
        "reason": "" if turn is None else turn.decision.reason or turn.command.reason,
        "quality": "-" if state.quality is None else f"{100 * state.quality.overall:.0f} %",
        "quality_text": "" if state.quality is None else _after_number(state.quality),
        "latency": f"{ms_text(total.p50_ms)} ms",
        "latency_text": f"median; 99 of 100 within {ms_text(total.p99_ms)} ms",
        "samples": f"{count_text(state.n_samples)} samples",
        "gaps": gaps_text(state),
        "score": "" if state.score is None else score_text(state.score),
        "alarms": [*([SEIZURE] if state.seizure else []), *map(_sentence, warnings_about(state))],
        "events": [{"age_s": _age_s(at_ns, now_ns), "text": text} for at_ns, text in events],
        "age_s": None if state.heard_at_ns is None else _age_s(state.heard_at_ns, now_ns),
    }
    return {name: _shorter(value) for name, value in told.items()}


class WebView:
    """Serves the page while it is entered as a context; two threads, and a few for requests.

    Parameters
    ----------
    teller : Teller
        Where messages come from; the view closes it.
    session : str
        Name for the header.
    host : str
        Address to listen at: this machine alone by default.
    port : int
        0 lets the system choose one.
    clock : Clock, optional
        The monotonic one by default.

    Raises
    ------
    ConfigError
        If nobody can listen there.
    """

    def __init__(
        self,
        teller: Teller,
        *,
        session: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self._teller, self._clock = teller, clock or MonotonicClock()
        self._state = ViewState(session=session)
        self._events = deque[tuple[int, str]](maxlen=EVENTS)
        self._lock, self._ended = threading.Lock(), threading.Event()
        self.token = secrets.token_urlsafe(24)
        """Whoever knows it may look."""
        try:
            self._server = _Server(host, port, self)
        except (OSError, OverflowError) as error:
            teller.close()
            raise ConfigError(
                f"The web view cannot listen at {host!r}, port {port} ({error}): choose another "
                f"port, 0 for any, or 127.0.0.1 for this machine alone."
            ) from error
        self._threads = (
            threading.Thread(target=self._listen, name="web view: listens", daemon=True),
            threading.Thread(
                target=self._server.serve_forever,
                args=(_LOOK_UP_S,),
                name="web view: serves",
                daemon=True,
            ),
        )

    @property
    def url(self) -> str:
        """What to open in a browser; whoever has it may look."""
        host, port = self._server.server_address[:2]
        name = str(host)
        if name in ("0.0.0.0", "::"):
            name = socket.gethostname()
        return f"http://{f'[{name}]' if ':' in name else name}:{port}/{self.token}/"

    @property
    def turned_away(self) -> int:
        """Requests that came while `MOST_AT_ONCE` were being answered."""
        return self._server.turned_away

    def __enter__(self) -> WebView:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join()

    def told(self) -> dict[str, Any]:
        """The figures of this moment; from any thread."""
        with self._lock:
            self._state.now_ns = self._clock.now_ns()
            newest_first = tuple(reversed(self._events))
            return figures(self._state, newest_first, now_ns=self._state.now_ns)

    def _listen(self) -> None:
        try:
            while not self._ended.is_set():
                message = self._teller.poll(_POLL_MS)
                with self._lock:
                    self._state.missed_messages = self._teller.lost
                    self._state.unreadable = self._teller.unreadable
                    if message is not None:
                        self._take(message)
                if message is None:
                    self._ended.wait(0.001)  # a recording that is over does not wait by itself
        finally:
            self._teller.close()

    def _take(self, message: Telegram) -> None:
        now_ns = self._clock.now_ns()
        self._state.take(message, now_ns)
        if isinstance(message, Event) and message.kind not in _ROUTINE:
            self._events.append((now_ns, message.text))


class _Server(ThreadingHTTPServer):
    """Answers a few at a time; whoever comes beyond is turned away: a flood starts no threads."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, host: str, port: int, view: WebView) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.view, self.turned_away = view, 0
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a request, if one is free."""
        if not self._free.acquire(blocking=False):
            self.turned_away += 1
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and be free again."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: whoever went away in the middle of an answer does not want the rest."""


class _Handler(BaseHTTPRequestHandler):
    """GET of the page or of the figures; everything else is refused in one line."""

    server: _Server
    timeout = _SLOWEST_S

    def do_GET(self) -> None:
        """Serve."""
        token, _, rest = self.path.removeprefix("/").partition("/")
        known = secrets.compare_digest(
            token.encode("utf-8", "replace"), self.server.view.token.encode()
        )
        if known and rest == "figures":
            told = json.dumps(self.server.view.told(), allow_nan=False).encode()
            self._answer(HTTPStatus.OK, "application/json", told)
        elif known and not rest:
            self._answer(HTTPStatus.OK, "text/html; charset=utf-8", PAGE)
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"Nothing is here.\n")

    def _refuse(self) -> None:
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", b"This page can only be read.\n")

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = _refuse
    do_CONNECT = _refuse

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no request, in the server's own words, repeating nothing of it."""
        self._answer(HTTPStatus(code), "text/plain", b"This was not understood.\n")

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        more = {"Allow": "GET"} if status is HTTPStatus.METHOD_NOT_ALLOWED else {}
        sized = {"Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in (sized | _HEADERS | more).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """No version, which would help nobody who may look."""
        return "diverloop"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the path holds the token."""


def _after_number(quality: Quality) -> str:
    """Muscle and masked electrodes; the number itself stands above."""
    return _sentence(signal_text(quality).partition(", ")[2])


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _age_s(at_ns: int, now_ns: int) -> float:
    return round(max(0, now_ns - at_ns) / 1e9, 2)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _shorter(value: Any) -> Any:
    """Texts of bounded length, however long what was told."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
    if isinstance(value, list):
        return [_shorter(each) for each in value]
    if isinstance(value, Mapping):
        return {name: _shorter(each) for name, each in value.items()}
    return value
