"""A session on three hosts: the source plays, the loop decodes, the desk looks on and commands.

What each host has to say is written down as lines of JSON, on this machine's clock. This file is
also the programs that run on the hosts, see ``main``; the product's own are started as a person
would.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from diverloop.adapters.speech.second_stage import RemoteSecondStage, Request
from diverloop.runtime.access import Action
from diverloop.runtime.control_client import ControlClient
from diverloop.runtime.control_wire import Request as Asked
from diverloop.runtime.control_wire import read_reply, write
from diverloop.runtime.errors import AccessError
from diverloop.runtime.keys import PersonKey, new_curve_key, read_person_key
from diverloop.runtime.messages import Chunk, Event, Turn
from diverloop.runtime.telemetry import TelemetrySubscriber

if __name__ == "__main__":
    from far_hosts import CLOCK_AHEAD_S, Hosts, end, lsl_config
else:
    from .far_hosts import CLOCK_AHEAD_S, Hosts, end, lsl_config

STEP_S = 0.1  # of the model
HELD_UP = ("what comes is old", "no new data", "the window touches lost")
"""How reasons begin that only the network, or what it lost, can give."""

_CONTROL, _WATCH = 5560, 5561
_SESSION = """
[session]
name = "far"
[source]
kind = "lsl"
name = "{stream}"
wait_s = 60
[lsl]
known_peers = ["{source}"]
[model]
bundle = "{bundle}"
[[sinks]]
kind = "lsl"
name = "{stream}-out"
[control]
address = "tcp://{here}:5560"
watch = "tcp://{here}:5561"
remote = true
"""


class FarSession:
    """The three hosts' programs, from the first key to the last word.

    Parameters
    ----------
    hosts : Hosts
        With ``source``, ``loop`` and ``desk``; up.
    folder : Path
        Holds ``model.bundle`` and ``played.npz``; takes whatever is written.
    home : Path
        Configuration folder of the loop's host, in which the model is trusted.
    """

    def __init__(self, hosts: Hosts, folder: Path, home: Path) -> None:
        self.hosts, self.folder = hosts, folder
        self._stream = f"far-{os.getpid()}"
        self._env = {
            "DIVERLOOP_HOME": str(home),
            "LSLAPICFG": lsl_config(folder, self._stream),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        loop = hosts.address("loop")
        (folder / "far.toml").write_text(
            _SESSION.format(
                stream=self._stream, source=hosts.address("source"), here=loop,
                bundle=folder / "model.bundle",
            )
        )  # fmt: skip
        self.key = folder / "desk.key"
        self.address = f"tcp://{loop}:{_CONTROL}"
        self._asking: subprocess.Popen[str] | None = None

    def __enter__(self) -> FarSession:
        new = ("keys", "new", "desk-1", "--role", "operator", "--out", self.key, "--json")
        self.diverloop("loop", *new, name="keys").wait(60)
        self.play()
        self.session = self.diverloop(
            "loop", "run", self.folder / "far.toml", "--no-view", "--arm", "--json",
            "--recordings", self.folder / "recordings", name="run",
        )  # fmt: skip
        for host in ("loop", "desk"):
            self.program(host, "watch", f"tcp://{self.hosts.address('loop')}:{_WATCH}", self.key)
        return self

    def __exit__(self, *_: object) -> None:
        if self._asking is not None:
            end(self._asking, 9)

    def play(self) -> None:
        """Let the source send, as soon as somebody listens."""
        play = ("play", self.folder / "played.npz", "--name", self._stream, "--loop", "--json")
        self.player = self.diverloop("source", *play, name="play")

    def diverloop(self, host: str, *arguments: object, name: str) -> subprocess.Popen[str]:
        """A command of the product on a host."""
        command = [sys.executable, "-m", "diverloop", *arguments]
        with (self.folder / f"{name}.txt").open("w") as out:
            return self.hosts.run(host, command, out=out, env=self._env)

    def program(self, host: str, *arguments: object) -> subprocess.Popen[str]:
        """A program of this file on a host; writes into the folder under the host's name."""
        command = [sys.executable, __file__, host, self.folder, *arguments]
        with (self.folder / f"{host}-{arguments[0]}.txt").open("w") as out:
            return self.hosts.run(host, command, out=out, env=self._env)

    def ask(self, what: str) -> dict[str, Any]:
        """Let the desk ask the session for something; an `Action`, ``again`` or ``stranger``."""
        if self._asking is None:
            command = [
                sys.executable, __file__, "desk", self.folder, "ask", self.address, self.key
            ]  # fmt: skip
            self._asking = self.hosts.run("desk", command, env=self._env)
        assert self._asking.stdin is not None
        assert self._asking.stdout is not None
        self._asking.stdin.write(what + "\n")
        self._asking.stdin.flush()
        return dict(json.loads(self._asking.stdout.readline() or '{"done": false, "why": "died"}'))

    def lines(self, host: str, what: str = "watch") -> list[dict[str, Any]]:
        """What a program of a host has written so far."""
        path = self.folder / f"{host}-{what}.jsonl"
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
        return [json.loads(line) for line in whole.split("\n") if line]

    def await_turns(self, host: str, since_s: float, n: int = 1, within_s: float = 60.0) -> float:
        """Wait until a host has seen windows decided since a moment; returns when the last was."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            found = [
                one["at"] for one in self.lines(host)
                if one["what"] == "Turn" and one["at"] > since_s and not held_up(one)
            ]  # fmt: skip
            if len(found) >= n:
                return float(found[n - 1])
            if self.session.poll() is not None:
                break
            pause(0.1)
        said = (self.folder / "run.txt").read_text()[-1500:]
        raise AssertionError(f"no {n} decisions at {host} within {within_s:g} s: {said}")

    def finish(self) -> dict[str, Any]:
        """End the session as a person would; what it printed."""
        end(self.session)
        text = (self.folder / "run.txt").read_text()
        return dict(json.loads(text[text.index("{") :]))

    def recording(self) -> Path:
        """Folder of the session."""
        (kept,) = (self.folder / "recordings").iterdir()
        return kept


def held_up(turn: dict[str, Any]) -> bool:
    """Whether a decision is neutral for what the network did."""
    return str(turn["reason"]).startswith(HELD_UP)


def pause(seconds: float) -> None:
    """Let the hosts go on for a while."""
    threading.Event().wait(seconds)


def quick_model(folder: Path) -> Any:
    """A model of a minute that the source then plays: what it decides does not matter here."""
    from diverloop.calibration import fit_model
    from diverloop.fit_plan import FitPlan
    from diverloop.runtime.collection import TrialSpan
    from diverloop.tests.modelled import write_npz
    from diverloop.training_sources import recordings

    path = write_npz(folder / "played.npz", 60.0)
    span = TrialSpan(classes=("left", "right"), start_s=0.75, stop_s=4.25)
    return fit_model(recordings([path]), FitPlan(span=span))


def trusted_model(folder: Path, bundle: Any) -> Path:
    """Save a model with a key of a new configuration folder; returns that folder."""
    home = folder / "home"
    from diverloop.runtime.bundle import save_bundle

    before = os.environ.get("DIVERLOOP_HOME")
    os.environ["DIVERLOOP_HOME"] = str(home)
    try:
        save_bundle(bundle, folder / "model.bundle")
    finally:
        if before is None:
            del os.environ["DIVERLOOP_HOME"]
        else:
            os.environ["DIVERLOOP_HOME"] = before
    return home


# ------------------------------------------------------------------- programs on the hosts


class _Lines:
    """Lines of JSON on this machine's clock, whatever the host's says."""

    def __init__(self, host: str, folder: Path, what: str) -> None:
        self.ahead_s = CLOCK_AHEAD_S.get(host, 0)
        self._file = (folder / f"{host}-{what}.jsonl").open("w")

    def now_s(self) -> float:
        return time.monotonic() - self.ahead_s

    def put(self, **facts: object) -> None:
        self._file.write(json.dumps(facts) + "\n")
        self._file.flush()


def watch(lines: _Lines, address: str, key: Path) -> None:
    """Look on, as every view does, and write down what came when."""
    person = read_person_key(key)
    subscriber = TelemetrySubscriber(address, key=person.key, server=person.server)
    while True:
        message = subscriber.poll(1000)
        facts: dict[str, Any] = {"at": lines.now_s(), "lost": subscriber.lost}
        if isinstance(message, Turn):
            lines.put(
                **facts, what="Turn", stop=message.decision.stop_sample,
                reason=message.decision.reason, label=message.command.label,
                acted=message.times.acted_ns / 1e9,
            )  # fmt: skip
        elif isinstance(message, Chunk) and message.samples.shape[1]:
            lines.put(
                **facts, what="Chunk", stop=message.stop_sample, raw=message.lsl_raw_s,
                corrected=message.lsl_corrected_s,
            )  # fmt: skip
        elif isinstance(message, Event):
            lines.put(**facts, what="Event", kind=message.kind, text=message.text)


def ask(lines: _Lines, address: str, key: Path) -> None:
    """Ask for what the standard input says, one a line."""
    person = read_person_key(key)
    client: ControlClient | None = None
    for line in sys.stdin:
        began_s = lines.now_s()
        said: dict[str, Any] = {"asked": line.strip(), "at": began_s}
        try:
            if line.strip() == "stranger":
                ControlClient(address, person.server, new_curve_key()).close()
                said |= {"done": True}
            else:
                client = client or ControlClient(address, person.server, person.key)
                if line.strip() == "again":
                    reply = _again(client)
                else:
                    reply = client.ask(Action(line.strip()))
                said |= {"done": reply.done, "why": str(reply.why), "text": reply.text}
                said |= {"facts": dict(reply.facts)}
        except AccessError as error:
            said |= {"done": False, "why": "nobody", "text": str(error)}
        print(json.dumps(said | {"took_s": lines.now_s() - began_s}), flush=True)


def _again(client: ControlClient) -> Any:
    """Send an arming that counts once a second time, as somebody would who has recorded it."""
    client.ask(Action.STATUS)
    frame = write(Asked(client._nonce, client._n, Action.ARM, "", ""))
    client._socket.send(frame)
    client._socket.poll(2000)
    return read_reply(client._socket.recv())


def second(lines: _Lines, address: str, key: Path) -> None:
    """Ask a language model twice a second, and look for answers every hop, as an adapter does."""
    person: PersonKey = read_person_key(key)

    def tell(event: Event) -> None:
        lines.put(what="Event", at=lines.now_s(), kind=event.kind, text=event.text)

    stage = RemoteSecondStage(address, person, tell)
    n, longest_s = 0, 0.0
    while True:
        began_s = lines.now_s()
        if n % 10 == 0:
            texts = (("the nurse", -1.0), ("the purse", -1.1))
            stage.ask(Request(utterance=n, version=1, final=True, hypotheses=texts))
        answers = stage.answers()
        longest_s = max(longest_s, lines.now_s() - began_s)
        for answer in answers:
            lines.put(what="Answer", at=lines.now_s(), utterance=answer.utterance, asked=n)
        if n % 20 == 0:
            lines.put(what="Longest", at=lines.now_s(), seconds=longest_s)
        n += 1
        pause(0.05)


def main() -> None:
    """HOST FOLDER PROGRAM ARGUMENTS..., on a host."""
    host, folder, program, address, key = sys.argv[1:]
    lines = _Lines(host, Path(folder), program)
    {"watch": watch, "ask": ask, "second": second}[program](lines, address, Path(key))


if __name__ == "__main__":
    main()
