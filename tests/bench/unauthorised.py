"""Tries to get through a control link without the right to: how many did, and how many were noted.

Run with::

    python tests/bench/unauthorised.py --tries 200

A server with its audit log runs in this process; each kind of intruder tries so often, over real
sockets of this machine. A try counts as refused if nothing was done, and as on record if the audit
log counts it. A connection without a key is made again by ZeroMQ until it is closed, and each of
these is on record: there may be more than tries. At the end one person floods the link while
another presses stop, and the time until the stop reached the guard is measured.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import zmq

from diverloop.runtime.access import Action, Role
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.control import ControlServer, Outcome
from diverloop.runtime.control_client import ControlClient
from diverloop.runtime.control_config import ControlConfig
from diverloop.runtime.control_wire import Request, read_reply, write
from diverloop.runtime.doorkeeper import Admission
from diverloop.runtime.errors import AccessError
from diverloop.runtime.keys import new_curve_key, server_key
from diverloop.runtime.people import People
from diverloop.runtime.record.access_log import AccessLog
from diverloop.runtime.record.audit import AuditLog, read_audit, verify_audit
from diverloop.runtime.record.signing import new_key
from diverloop.runtime.second_factor import STEP_S, SecondFactors, totp

LIMIT_MS = 20_000


class House:
    """A link, its people, its record, and what was done over it."""

    def __init__(self, folder: Path) -> None:
        self.clock = MonotonicClock()
        self.s = 1_700_000_000.0
        self.people = People(folder / "home")
        self.keys = {}
        for role in Role:
            self.enrol(str(role), role)
        self.key = new_key()
        self.folder = folder / "session"
        self.audit = AuditLog.create(self.folder, self.key, self.clock)
        self.log = AccessLog(self.audit, self.clock)
        self.acts: list[tuple[str, int]] = []
        admission = Admission(
            key=server_key(folder / "home"),
            people=People(folder / "home"),
            report=self.log.put,
            clock=self.clock,
        )
        codes = SecondFactors(folder / "home" / "codes", lambda: self.s)
        self.server = ControlServer(ControlConfig(), admission, codes, act=self.act, status=dict)

    def enrol(self, name: str, role: Role) -> None:
        self.keys[name] = new_curve_key()
        self.people.enrol(name, role, self.keys[name].public)

    def act(self, action: Action, who: str, text: str) -> Outcome:
        self.acts.append((action, self.clock.now_ns()))
        return Outcome(done=True, text="Done.")

    def client(self, name: str) -> ControlClient:
        return ControlClient(self.server.address, self.server.public_key, self.keys[name], 20.0)

    def code(self, name: str) -> str:
        self.s += STEP_S
        return totp(self.people.named(name).secret, int(self.s // STEP_S))

    def paced(self, client: ControlClient, action: Action, code: str = "") -> bool:
        """Ask within a person's pace; True if it was refused."""
        time.sleep(0.055)
        return not client.ask(action, code=code).done


def without_key(house: House, tries: int) -> int:
    """Connect without CURVE, and send a stop."""
    refused = 0
    for _ in range(tries):
        context = zmq.Context()
        socket = context.socket(zmq.DEALER)
        monitor = socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        )
        socket.connect(house.server.address)
        socket.send(write(Request(b"", 1, Action.STOP)))
        refused += bool(monitor.poll(LIMIT_MS)) and not socket.poll(0)
        socket.disable_monitor()
        monitor.close(0)
        context.destroy(linger=0)
    return refused


def with_key(house: House, tries: int, name: str) -> int:
    """Connect with a key that is not, or no longer, on the list."""
    refused = 0
    for _ in range(tries):
        if name not in house.keys or name == "stranger":
            house.keys["stranger"] = new_curve_key()
        try:
            house.client(name).close()
        except AccessError:
            refused += 1
    return refused


def replayed(house: House, tries: int) -> int:
    """Send one's own request a second time on the same connection."""
    refused = 0
    with house.client("operator") as client:
        house.paced(client, Action.ARM)
        again = write(Request(client._nonce, client._n, Action.ARM))
        for _ in range(tries):
            time.sleep(0.055)
            client._socket.send(again)
            client._socket.poll(LIMIT_MS)
            refused += not read_reply(client._socket.recv()).done
    return refused


def as_viewer(house: House, tries: int) -> int:
    """Ask for an operator's action as a viewer."""
    with house.client("viewer") as client:
        return sum(house.paced(client, Action.ARM) for _ in range(tries))


def second_factor(house: House, tries: int, kind: str) -> int:
    """Enable stimulation without a code, with an expired one, or with a used one."""
    refused = 0
    with house.client("clinician") as client:
        used = house.code("clinician")
        house.paced(client, Action.ENABLE_STIMULATION, used)
        for turn in range(tries):
            if kind == "expired" and turn % 4 == 0:  # a good one forgives the wrong ones before
                house.paced(client, Action.ENABLE_STIMULATION, house.code("clinician"))
            step = int(house.s // STEP_S)
            old = totp(house.people.named("clinician").secret, step - 2 - turn % 50)
            code = {"missing": "", "expired": old, "used": used}[kind]
            refused += house.paced(client, Action.ENABLE_STIMULATION, code)
    return refused


def locked_out(house: House, tries: int) -> int:
    """Ask with good codes after five wrong ones."""
    with house.client("clinician") as client:
        for _ in range(5):
            house.paced(client, Action.ENABLE_STIMULATION, "none")
        good = house.code("clinician")
        return sum(house.paced(client, Action.ENABLE_STIMULATION, good) for _ in range(tries))


def stops_under_flood(house: House, stops: int) -> dict[str, float]:
    """Press stop while an engineer floods the link."""
    ended = threading.Event()
    sent = 0

    def flood() -> None:
        nonlocal sent
        with house.client("engineer") as flooder:
            while not ended.is_set():
                if flooder._socket.poll(10, zmq.POLLOUT):
                    flooder.send(Action.STATUS)
                    sent += 1
                while flooder._socket.poll(0):
                    flooder._socket.recv()

    thread = threading.Thread(target=flood)
    thread.start()
    took_ms = []
    with house.client("operator") as client:
        for _ in range(stops):
            time.sleep(0.02)
            began_ns = house.clock.now_ns()
            client.must(Action.STOP)
            took_ms.append((house.acts[-1][1] - began_ns) / 1e6)
    ended.set()
    thread.join()
    took_ms.sort()
    return {
        "stops": stops,
        "flood_messages": sent,
        "p50_ms": round(took_ms[stops // 2], 2),
        "p99_ms": round(took_ms[min(int(stops * 0.99), stops - 1)], 2),
        "max_ms": round(took_ms[-1], 2),
    }


def main() -> None:
    """Try everything, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=200)
    tries = parser.parse_args().tries
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        house.enrol("gone", Role.CLINICIAN)
        house.people.revoke("gone")
        with house.server:
            refused = {
                "no key": without_key(house, tries),
                "unknown key": with_key(house, tries, "stranger"),
                "revoked key": with_key(house, tries, "gone"),
                "replayed request": replayed(house, tries),
                "role does not allow it": as_viewer(house, tries),
                "second factor missing": second_factor(house, tries, "missing"),
                "second factor used before": second_factor(house, tries, "used"),
                "second factor wrong or expired": second_factor(house, tries, "expired"),
                "locked out after wrong codes": locked_out(house, tries),
            }
            flood = stops_under_flood(house, tries)
        house.log.close()
        house.audit.close()
        counted: Counter[str] = Counter()
        entries = read_audit(house.folder)
        for entry in entries:
            if why := entry.details.get("refused"):
                counted[why] += entry.details["count"]
        found = {
            "tries_per_kind": tries,
            "refused": refused,
            "all_refused": all(n == tries for n in refused.values()),
            "on_record": dict(counted),
            "all_on_record": all(counted[why] >= tries for why in refused),
            "audit_entries": len(entries),
            "audit_log_verifies": verify_audit(house.folder, public_key=house.key.public).ok,
            "stop_under_flood": flood,
        }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
