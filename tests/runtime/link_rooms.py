"""A control link with people at it, for the tests of both of its ends."""

from __future__ import annotations

import socket
import threading
from collections import Counter

from diverloop.runtime.access import Action, Role, Why
from diverloop.runtime.control import ControlServer, Outcome
from diverloop.runtime.control_client import ControlClient
from diverloop.runtime.control_config import ControlConfig
from diverloop.runtime.doorkeeper import Admission
from diverloop.runtime.keys import new_curve_key, server_key
from diverloop.runtime.people import People
from diverloop.runtime.second_factor import STEP_S, SecondFactors, totp

LIMIT_S = 20.0


class Hour:
    """A clock that a test sets; it stands still else."""

    def __init__(self):
        self.ns = 0

    def now_ns(self):
        return self.ns

    def wait_until(self, deadline_ns):
        self.ns = deadline_ns


class Room:
    """A server, one person of each role with a key, and all that was done and noted."""

    def __init__(self, folder, clock=None, **config):
        self.folder = folder
        self.clock = clock or Hour()
        self.s = 1_700_000_000.0
        self.people = People(folder)
        self.keys = {role: new_curve_key() for role in Role}
        for role, key in self.keys.items():
            self.people.enrol(str(role), role, key.public)
        self.acts = []
        self.notes = []
        self._news = threading.Condition()
        admission = Admission(
            key=server_key(folder), people=People(folder), report=self._note, clock=self.clock
        )
        codes = SecondFactors(folder / "used", lambda: self.s)
        self.server = ControlServer(
            ControlConfig(**config), admission, codes, act=self._act, status=lambda: {"guard": "x"}
        )

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *_):
        self.server.__exit__()

    def _act(self, action, who, text):
        with self._news:
            self.acts.append((action, who, text))
            self._news.notify_all()
        return Outcome(done=True, text=f"{action} was done.")

    def _note(self, note):
        with self._news:
            self.notes.append(note)
            self._news.notify_all()

    def client(self, role=Role.OPERATOR, address="", timeout_s=LIMIT_S):
        to = address or self.server.address
        return ControlClient(to, self.server.public_key, self.keys[role], timeout_s)

    def code(self, role):
        self.s += STEP_S
        return totp(self.people.named(role).secret, int(self.s // STEP_S))

    def why(self):
        """How often each reason for a refusal was noted."""
        return Counter(note.why for note in tuple(self.notes) if not note.done)

    def wait_for(self, true):
        with self._news:
            return self._news.wait_for(true, LIMIT_S)

    def wait_refusal(self, why: Why, times=1):
        return self.wait_for(lambda: self.why()[why] >= times)

    def did(self, action: Action):
        return [who for what, who, _ in self.acts if what is action]


class Wire:
    """A TCP proxy that writes down what the client sends: somebody on the network."""

    def __init__(self, address):
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._to = host, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.sent = []
        self._open = []
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self):
        near, _ = self._listener.accept()
        far = socket.create_connection(self._to)
        self._open += [near, far]
        back = threading.Thread(target=self._pump, args=(far, near, None), daemon=True)
        back.start()
        self._pump(near, far, self.sent)
        back.join()

    def _pump(self, source, target, kept):
        while data := self._taken(source):
            if kept is not None:
                kept.append(data)
            target.sendall(data)
        target.close()

    def _taken(self, source):
        try:
            return source.recv(1 << 16)
        except OSError:
            return b""

    def play_again(self):
        """Send what was written down over a new connection; returns what the server answers."""
        with socket.create_connection(self._to) as again:
            again.settimeout(LIMIT_S)
            got = []
            for data in self.sent:
                try:
                    again.sendall(data)
                except OSError:
                    break
            while data := self._taken(again):
                got.append(data)
        return b"".join(got)

    def close(self):
        for one in (*self._open, self._listener):
            one.close()
