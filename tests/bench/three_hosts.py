"""A session on three hosts: what delay and loss cost, and what a partition does and does not.

Run ``python tests/bench/three_hosts.py [--seconds S] [--parts table,drills]`` as root; it prints
JSON, and each row as it is measured on the standard error. Source, loop and desk are network
namespaces with clocks of their own, joined by a switch in user space that delays and drops frames
(``tests/far_hosts.py``); 16 channels at 250 Hz, a window every 100 ms. All on one machine: what its
processors are busy with counts as network.

Delay is that of one way, loss that of each frame, in both directions. A window is held up if its
decision is neutral because of the network, or if there was none.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diverloop.proving import verify
from diverloop.tests import far_hosts
from diverloop.tests.far_session import (
    STEP_S,
    FarSession,
    held_up,
    pause,
    quick_model,
    trusted_model,
)

DELAYS_S, LOSSES = (0.0, 0.005, 0.02, 0.1), (0.0, 0.01, 0.05, 0.2)
RATE_HZ = 250.0
SETTLE_S, CUT_S, DARK_S = 3.0, 5.0, 15.0
GOOD_S = 0.005  # one way, between the drills
LANGUAGE = "tcp://{}:5599"


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Median, 99th percentile and largest, in milliseconds."""
    if not values:
        return None
    of = np.asarray(values) * 1e3
    return {
        "n": len(of), "p50": round(float(np.median(of)), 1),
        "p99": round(float(np.quantile(of, 0.99)), 1), "max": round(float(of.max()), 1),
    }  # fmt: skip


class Seen:
    """What the loop's host and the desk have written down."""

    def __init__(self, far: FarSession) -> None:
        self.loop, self.desk = far.lines("loop"), far.lines("desk")
        chunks = [one for one in self.loop if one["what"] == "Chunk"]
        first = chunks[0]
        ahead_s = far_hosts.CLOCK_AHEAD_S["source"]
        self._zero_s = first["raw"] - ahead_s - first["stop"] / RATE_HZ
        self.clock_error_s = [
            (one["at"], one["corrected"] + ahead_s - one["raw"]) for one in chunks
        ]  # fmt: skip

    def sent_s(self, stop: int) -> float:
        """When the last sample before a stream index was due at the source."""
        return float(self._zero_s + stop / RATE_HZ)

    def turns(self, host: str, from_s: float, to_s: float) -> list[dict[str, Any]]:
        """Windows that were decided in a time, as a host saw them."""
        lines = self.loop if host == "loop" else self.desk
        return [one for one in lines if one["what"] == "Turn" and from_s <= one["acted"] < to_s]

    def events(self, from_s: float, to_s: float, kind: str = "") -> list[dict[str, Any]]:
        """What the loop told in a time."""
        return [
            one for one in self.loop
            if one["what"] == "Event" and from_s <= one["at"] < to_s and kind in one["kind"]
        ]  # fmt: skip


def table(far: FarSession, seconds: float) -> list[dict[str, Any]]:
    """Every delay with every loss, in one session."""
    rows = []
    for delay_s, loss in itertools.product(DELAYS_S, LOSSES):
        before = far.hosts.link(delay_s=delay_s, loss=loss)
        pause(SETTLE_S)
        from_s = time.monotonic()
        asked = []
        while time.monotonic() - from_s < seconds:
            asked.append(far.ask("status"))
            pause(0.2)
        to_s = time.monotonic()
        after = far.hosts.link(delay_s=delay_s, loss=loss)
        row = {"delay_ms": delay_s * 1e3, "loss_percent": loss * 100}
        row |= _row(Seen(far), from_s, to_s, asked)
        row["frames_lost"] = after["lost"] - before["lost"]
        print(json.dumps(row), file=sys.stderr, flush=True)
        rows.append(row)
    return rows


def _row(seen: Seen, from_s: float, to_s: float, asked: Sequence[dict[str, Any]]) -> dict[str, Any]:
    turns = seen.turns("loop", from_s, to_s)
    good = [one for one in turns if not held_up(one)]
    at_desk = seen.turns("desk", from_s, to_s)
    due = (to_s - from_s) / STEP_S
    clock = [abs(error_s) for at_s, error_s in seen.clock_error_s if from_s <= at_s < to_s]
    return {
        "sample_to_decision_ms": spread([one["acted"] - seen.sent_s(one["stop"]) for one in good]),
        "decision_to_desk_ms": spread([one["at"] - one["acted"] for one in at_desk]),
        "command_round_trip_ms": spread([one["took_s"] for one in asked if one["done"]]),
        "commands_unanswered": sum(not one["done"] for one in asked),
        "windows_held_up": round(max(0.0, 1 - len(good) / due), 3),
        "decisions_not_seen_at_desk": len(turns) - len(at_desk),
        "acted_on_old": sum(
            one["label"] is not None and one["acted"] - seen.sent_s(one["stop"]) > 1.0
            for one in turns
        ),
        "clock_error_ms": round(max(clock, default=float("nan")) * 1e3, 2),
    }


# ------------------------------------------------------------------------------- the drills


def cut(far: FarSession, host: str, seconds: float, then: Callable[[], None]) -> dict[str, Any]:
    """Cut a host off, and see when what stops stops, and when what returns returns."""
    cut_s = time.monotonic()
    far.hosts.link(delay_s=GOOD_S, cut=(host,))
    then()
    pause(max(0.0, seconds - (time.monotonic() - cut_s)))
    healed_s = time.monotonic()
    far.hosts.link(delay_s=GOOD_S)
    back_s = {one: far.await_turns(one, healed_s, 1) for one in ("loop", "desk")}
    far.await_turns("loop", healed_s, 20)
    pause(1.0)
    seen, end_s = Seen(far), time.monotonic()
    neutral = [one["acted"] for one in seen.turns("loop", cut_s, end_s) if held_up(one)]
    acted = [one["acted"] for one in seen.turns("loop", cut_s, healed_s)]
    found: dict[str, Any] = {
        "cut_off": host, "for_s": round(healed_s - cut_s, 2),
        "loop_neutral_after_s": round(neutral[0] - cut_s, 3) if neutral else None,
        "loop_decides_after_heal_s": round(back_s["loop"] - healed_s, 2),
        "desk_sees_after_heal_s": round(back_s["desk"] - healed_s, 2),
        "longest_between_decisions_ms": round(1e3 * max(np.diff(acted), default=0.0), 1),
        "acted_on_old": sum(
            one["label"] is not None and one["acted"] - seen.sent_s(one["stop"]) > 1.0
            for one in seen.turns("loop", cut_s, end_s)
        ),
        "told": sorted({one["kind"] for one in seen.events(cut_s, end_s)}),
        "desk_missed": (seen.desk[-1]["lost"] if seen.desk else None),
    }  # fmt: skip
    print(json.dumps(found), file=sys.stderr, flush=True)
    return found


def drills(far: FarSession) -> list[dict[str, Any]]:
    """Source, desk and loop cut off in turn; then the source's power."""

    def power_off() -> None:
        # A machine without power sends no farewell, and knows no connection once it is back.
        space = ["ip", "netns", "exec", far.hosts.space("source"), "sh", "-c"]
        orphans = "echo 1 > /proc/sys/net/ipv4/tcp_orphan_retries"
        subprocess.run([*space, orphans], check=True)
        far_hosts.end(far.player, 9)
        pause(1.0)  # the program needs seconds to start, and is to be up when the network is
        far.play()

    def nothing() -> None:
        pass

    found = []
    for host in ("source", "desk", "loop"):
        found.append(cut(far, host, CUT_S, nothing))
        pause(SETTLE_S)
    found.append(cut(far, "source", DARK_S, nothing))
    pause(SETTLE_S)
    found.append(cut(far, "source", DARK_S, power_off) | {"power": "off"})
    return found


def language_drill(folder: Path, home: Path) -> dict[str, Any]:
    """A language model on another host is cut off, while its session's end asks on."""
    text = folder / "said.txt"
    text.write_text("the nurse\nthe nurse is here\n")
    with far_hosts.hosts("loop", "language") as hosts, FarEnd(hosts, folder, home, text) as far:
        hosts.link(delay_s=GOOD_S)
        far.await_line("Answer", 0.0)
        cut_s = time.monotonic()
        hosts.link(delay_s=GOOD_S, cut=("language",))
        pause(2 * CUT_S)
        healed_s = time.monotonic()
        hosts.link(delay_s=GOOD_S)
        back_s = far.await_line("Answer", healed_s)
        pause(1.5)
        lines = far.lines()
        events = [one for one in lines if one["what"] == "Event" and one["at"] > cut_s]
        return {
            "for_s": round(healed_s - cut_s, 2),
            "told": [[round(one["at"] - cut_s, 2), one["text"]] for one in events],
            "answers_after_heal_s": round(back_s - healed_s, 2),
            "longest_call_ms": round(
                1e3 * max(one["seconds"] for one in lines if one["what"] == "Longest"), 2
            ),
            "stranger": far.stranger(),
        }


class FarEnd:
    """A language model on a host of its own, and the session's end of it on the loop's host."""

    def __init__(self, hosts: far_hosts.Hosts, folder: Path, home: Path, text: Path) -> None:
        self.hosts, self.folder, self._text = hosts, folder, text
        self._env = {"DIVERLOOP_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[3])}
        self.key = folder / "language.key"

    def __enter__(self) -> FarEnd:
        new = ["-m", "diverloop", "keys", "new", "loop-1", "--role", "viewer", "--out", self.key]
        self._python("language", *new).wait(60)
        serve = ("-m", "diverloop.adapters.speech.rescorer", "--keyed", "--text", self._text)
        self._python("language", *serve, "--address", LANGUAGE.format("0.0.0.0"))
        self._asker = self._second(self.key)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _python(self, host: str, *arguments: object) -> subprocess.Popen[str]:
        with (self.folder / f"{host}-language.txt").open("a") as out:
            return self.hosts.run(host, [sys.executable, *arguments], out=out, env=self._env)

    def _second(self, key: Path) -> subprocess.Popen[str]:
        program = Path(__file__).parents[1] / "far_session.py"
        at = LANGUAGE.format(self.hosts.address("language"))
        return self._python("loop", program, "loop", self.folder, "second", at, key)

    def lines(self) -> list[dict[str, Any]]:
        path = self.folder / "loop-second.jsonl"
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
        return [json.loads(line) for line in whole.split("\n") if line]

    def await_line(self, what: str, since_s: float) -> float:
        until_s = time.monotonic() + 40
        while time.monotonic() < until_s:
            for one in self.lines():
                if one["what"] == what and one["at"] > since_s:
                    return float(one["at"])
            pause(0.1)
        raise SystemExit(f"no {what}: {(self.folder / 'language-language.txt').read_text()[-800:]}")

    def stranger(self) -> str:
        """What somebody hears whom the language model's host does not know."""
        from diverloop.runtime.keys import (
            PersonKey,
            new_curve_key,
            read_person_key,
            write_person_key,
        )

        path = self.folder / "stranger.key"
        server = read_person_key(self.key).server
        write_person_key(path, PersonKey(name="nobody", key=new_curve_key(), server=server))
        far_hosts.end(self._asker, 9)
        self._asker = self._second(path)
        pause(6.0)
        self.await_line("Event", 0.0)
        return str([one for one in self.lines() if one["what"] == "Event"][-1]["text"])


def session(folder: Path, home: Path, what: Callable[[FarSession], Any]) -> dict[str, Any]:
    """One session on three hosts, and what its record proves afterwards."""
    with (
        far_hosts.hosts("source", "loop", "desk") as hosts,
        FarSession(hosts, folder, home) as far,
    ):
        hosts.link(delay_s=GOOD_S)
        for host in ("loop", "desk"):
            far.await_turns(host, 0.0, 20)
        found = what(far)
        refused = {one: far.ask(one)["why"] for one in ("stranger", "again")}
        stopped = far.ask("stop")
        report = far.finish()
        kept = far.recording()
    return {
        "found": found, "refused": refused, "stopped": stopped["done"],
        "counts": report["counts"], "verified": verify(kept).ok,
    }  # fmt: skip


def main() -> None:
    """What was asked for, as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--parts", default="table,drills,language")
    asked = parser.parse_args()
    if why_not := far_hosts.why_not():
        raise SystemExit(f"No hosts can be made here: {why_not}.")
    parts: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
        "table": lambda place, home: session(place, home, lambda far: table(far, asked.seconds)),
        "drills": lambda place, home: session(place, home, drills),
        "language": language_drill,
    }
    said = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in asked.parts.split(","):
            # A place of its own: nobody is enrolled twice with the same keys.
            place = Path(temporary) / name
            place.mkdir()
            said[name] = parts[name](place, trusted_model(place, quick_model(place)))
    print(json.dumps(said, indent=1))


if __name__ == "__main__":
    main()
