from __future__ import annotations

import http.client
import json
import math
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from diverloop.gui.look import DARK, LIGHT
from diverloop.gui.view_state import SEIZURE, ViewState
from diverloop.gui.web_page import PAGE, POLICY
from diverloop.gui.web_view import EVENTS, MOST_AT_ONCE, WebView, figures
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Event, EventKind
from diverloop.runtime.telemetry import TelemetryPublisher, TelemetrySubscriber

from .told import Told, a_session, a_turn

EVIL = '<script>alert("x")</script><img src=x onerror=alert(1)>'


def event(text, kind=EventKind.GUARD):
    return Event(kind=kind, text=text)


def ask(view, path=None, method="GET", body=None):
    """Status, headers and body of a real request."""
    at = urlsplit(view.url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=10)
    connection.request(method, at.path if path is None else path, body)
    answer = connection.getresponse()
    found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    connection.close()
    return found


def figures_of(view):
    status, _, body = ask(view, urlsplit(view.url).path + "figures")
    assert status == 200
    return json.loads(body)


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.005)


@pytest.fixture
def view():
    told = [*a_session(1.0), event("The guard is armed."), event(EVIL, EventKind.GAP)]
    with WebView(Told(told), session="ward 3") as made:
        wait_for(lambda: EVIL in str(made.told()["events"]))
        yield made


def test_the_figures_are_those_of_the_session(view):
    told = figures_of(view)
    assert told["session"] == "ward 3"
    assert told["stream"] == "made, 4 ch, 250 Hz"
    assert (told["guard"], told["guard_state"]) == ("▶ ARMED", "good")
    assert told["decision"] in ("LEFT", "RIGHT", "NEUTRAL")
    assert (told["quality"], told["quality_text"]) == ("74 %", "Masked: Cz (flat)")
    assert told["age_s"] < 20
    assert told["alarms"] == [] or "Silent" in told["alarms"][0]


def test_what_an_event_says_stays_text_and_the_page_has_nothing_of_the_session(view):
    status, headers, body = ask(view)
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert body == PAGE
    assert EVIL.encode() not in body
    assert b"innerHTML" not in body
    _, headers, _ = ask(view, urlsplit(view.url).path + "figures")
    assert headers["content-type"] == "application/json"
    assert figures_of(view)["events"][0]["text"] == EVIL


def test_every_answer_forbids_storing_sniffing_framing_and_everything_from_elsewhere(view):
    for path in (None, "/", urlsplit(view.url).path + "figures"):
        _, headers, _ = ask(view, path)
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert headers["content-security-policy"] == POLICY
        assert "default-src 'none'" in POLICY
        assert "unsafe" not in POLICY
        assert "Python" not in headers["server"]


def test_the_page_asks_nobody_else_for_anything():
    assert b"http:" not in PAGE
    assert b"https:" not in PAGE
    assert b"investigational, not a medical device" in PAGE
    for look in (DARK, LIGHT):
        assert look.ground.encode() in PAGE


@pytest.mark.parametrize(
    "path", ["/", "/figures", "/wrong/", "/wrong/figures", "/%00/", "/../../etc/passwd", "//"]
)
def test_without_the_token_there_is_nothing(view, path):
    status, _, body = ask(view, path)
    assert (status, body) == (404, b"Nothing is here.\n")


def test_with_the_token_there_is_nothing_else(view):
    for path in ("figures/", "figures?x=1", "stop", "../figures"):
        assert ask(view, f"/{view.token}/{path}")[0] == 404
    assert ask(view, f"/{view.token}")[0] == 200
    assert ask(view, f"/{view.token[:-1]}/")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_every_method_but_get_is_refused(view, method):
    status, headers, _ = ask(view, method=method, body=None if method == "TRACE" else b"stop")
    assert (status, headers["allow"]) == (405, "GET")


def test_what_is_no_request_is_refused_in_the_servers_own_words(view):
    for bad in (b"\x00\xff\xfe\r\n\r\n", b"BREW / HTTP/1.1\r\n\r\n", b"GET <b> HTTP/9.x\r\n\r\n"):
        with socket.create_connection((urlsplit(view.url).hostname, urlsplit(view.url).port)) as s:
            s.settimeout(10)
            s.sendall(bad)
            s.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda s=s: s.recv(4096), b""))
        assert answer.endswith(b"This was not understood.\n")
        assert b"<b>" not in answer
    assert figures_of(view)["session"] == "ward 3"


def test_a_flood_starts_no_more_threads_than_allowed_and_is_survived(view):
    at, before = urlsplit(view.url), threading.active_count()
    idle = [socket.create_connection((at.hostname, at.port), timeout=10) for _ in range(40)]
    wait_for(lambda: view.turned_away >= 40 - MOST_AT_ONCE)
    assert threading.active_count() <= before + MOST_AT_ONCE
    for one in idle:
        one.close()
    wait_for(lambda: threading.active_count() <= before)
    assert figures_of(view)["session"] == "ward 3"


def test_each_view_draws_its_own_token_and_listens_on_this_machine_alone():
    with WebView(Told()) as one, WebView(Told()) as other:
        assert one.token != other.token
        assert len(one.token) >= 32
        assert urlsplit(one.url).hostname == "127.0.0.1"
        assert ask(one, f"/{other.token}/")[0] == 404


def test_an_address_where_nobody_can_listen_is_refused_in_one_sentence():
    with WebView(Told()) as one:
        for host, port in (("127.0.0.1", urlsplit(one.url).port), ("203.0.113.7", 0), ("x y", 0)):
            told = Told()
            with pytest.raises(ConfigError, match="The web view cannot listen at"):
                WebView(told, host=host, port=port)
            assert told.closed
    with pytest.raises(ConfigError, match="The web view cannot listen at"):
        WebView(Told(), port=99_999)


def test_the_view_closes_its_teller_and_leaves_no_thread_behind():
    teller, before = Told(), threading.active_count()
    with WebView(teller):
        assert threading.active_count() == before + 2
    assert teller.closed
    assert threading.active_count() == before


def test_what_is_old_is_said_to_be_old():
    state, clock = ViewState(), VirtualClock()
    state.take(a_turn(250), clock.now_ns())
    state.now_ns = clock.now_ns() + 7_000_000_000
    told = figures(state, now_ns=state.now_ns)
    assert told["age_s"] == 7.0
    assert "Silent for 7 s" in told["alarms"][0]


def test_before_anything_is_heard_no_number_is_made_up():
    told = figures(ViewState(), now_ns=0)
    assert (told["age_s"], told["certainty"], told["quality"]) == (None, None, "-")
    assert told["guard"] == "○ UNKNOWN"
    assert math.nan not in told.values()
    json.dumps(told, allow_nan=False)


def test_a_suspected_seizure_stands_before_everything_else():
    state = ViewState()
    state.take(event("Research guard: seizure-like activity.", EventKind.SEIZURE), 0)
    assert figures(state, now_ns=0)["alarms"][0] == SEIZURE


@pytest.mark.parametrize(
    ("state", "mark"),
    [("armed", "good"), ("holding", "doubtful"), ("disarmed", "doubtful"), ("stopped", "bad")],
)
def test_each_state_of_the_guard_has_a_word_and_a_shape_of_its_own(state, mark):
    view = ViewState(guard=f"The guard went from holding to {state}.")
    told = figures(view, now_ns=0)
    assert told["guard"].endswith(state.upper())
    assert told["guard"][0] not in state.upper()
    assert told["guard_state"] == mark


def test_texts_and_events_are_bounded_however_much_is_told():
    told = [event(f"{n} " + "long " * 900, EventKind.GAP) for n in range(50)]
    with WebView(Told(told)) as view:
        wait_for(lambda: any(e["text"].startswith("49 ") for e in view.told()["events"]))
        events = figures_of(view)["events"]
    assert len(events) == EVENTS
    assert max(len(one["text"]) for one in events) == 300


def test_it_follows_a_session_over_the_wire():
    publisher = TelemetryPublisher()
    with WebView(TelemetrySubscriber(publisher.address), session="wire") as view:
        assert publisher.wait_for_subscriber(20_000)
        publisher.watch(event("The guard is armed."))
        publisher.watch(a_turn(500, 0.9))
        wait_for(lambda: view.told()["decision"] == "LEFT")
        assert figures_of(view)["guard"] == "▶ ARMED"
    publisher.close()
