"""Test equipment: several hosts on this machine, and a network between them that can be bad.

Each host is a network namespace with a name and a monotonic clock of its own, so that nothing works
here only because one machine is behind it. Between them stands a switch in user space (the kernel
of a test machine may lack ``netem``): one TAP device a host, whose frames are passed on after a
delay, lost at random, or, while a host is cut off, not at all. The delay is that of one way.

Linux, root, ``ip`` and ``unshare``; see `why_not`. Nothing leaves the namespaces.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

CLOCK_AHEAD_S = {"source": 5000, "desk": -100, "language": 900}
"""By how much the monotonic clock of a host is ahead of this machine's; others share it."""

_NET = "10.83.0"
_TAP = "lan0"
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_CLONE_NEWNET = 0x40000000
_FRAME = 65_536


def why_not() -> str:
    """Why no hosts can be made here; empty if they can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "network namespaces need Linux and root"
    if missing := [tool for tool in ("ip", "unshare", "hostname") if not shutil.which(tool)]:
        return f"network namespaces need {', '.join(missing)}, not installed here"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "the switch needs /dev/net/tun, not to be opened here"
    tried = subprocess.run(["unshare", "-n", "-u", "-T", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else f"namespaces are refused: {tried.stderr.decode()}"


class Hosts:
    """Hosts that are up, and the switch between them.

    Parameters
    ----------
    names : sequence of str
        Of the hosts.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._spaces = {name: f"dl{os.getpid()}-{name}" for name in names}
        self._running: list[subprocess.Popen[Any]] = []

    def address(self, name: str) -> str:
        """IP address of a host."""
        return f"{_NET}.{1 + self.names.index(name)}"

    def space(self, name: str) -> str:
        """Network namespace of a host, for ``ip netns exec``."""
        return self._spaces[name]

    def __enter__(self) -> Hosts:
        try:
            for space in self._spaces.values():
                _ip("netns", "add", space)
            self._switch = subprocess.Popen(
                [sys.executable, __file__, *self._spaces.values()],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert self._switch.stdout is not None
            assert self._switch.stdout.readline() == "ready\n"
            for name, space in self._spaces.items():
                _ip("-n", space, "link", "set", "lo", "up")
                _ip("-n", space, "addr", "add", f"{self.address(name)}/24", "dev", _TAP)
                _ip("-n", space, "link", "set", _TAP, "up")
                _ip("-n", space, "route", "add", "224.0.0.0/4", "dev", _TAP)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            end(process, signal.SIGKILL)
        if hasattr(self, "_switch"):
            self._switch.kill()
            self._switch.wait()
            for pipe in (self._switch.stdin, self._switch.stdout):
                assert pipe is not None
                with suppress(BrokenPipeError):
                    pipe.close()
        for space in self._spaces.values():
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)

    def link(
        self, *, delay_s: float = 0.0, loss: float = 0.0, cut: Sequence[str] = ()
    ) -> dict[str, int]:
        """Make the network so from now on; returns what the switch has done so far.

        Parameters
        ----------
        delay_s : float
            How long each frame is under way.
        loss : float
            Share of frames that are lost, 0 to 1.
        cut : sequence of str
            Hosts to which and from which nothing passes.
        """
        places = [self.names.index(name) for name in cut]
        said = json.dumps({"delay_s": delay_s, "loss": loss, "cut": places})
        assert self._switch.stdin is not None
        assert self._switch.stdout is not None
        self._switch.stdin.write(said + "\n")
        self._switch.stdin.flush()
        done: dict[str, int] = json.loads(self._switch.stdout.readline())
        return done

    def run(
        self,
        name: str,
        command: Sequence[object],
        *,
        out: int | IO[Any] = subprocess.PIPE,
        env: dict[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a command on a host.

        Parameters
        ----------
        name : str
            Of the host.
        command : sequence
            Program and arguments.
        out : file
            Where its output and its errors go, as for ``subprocess``.
        env : dict, optional
            Beside this process's environment.
        """
        inside = f'hostname {name} && exec "$@"'
        ahead = str(CLOCK_AHEAD_S.get(name, 0))
        whole = [
            "ip", "netns", "exec", self._spaces[name],
            "unshare", "-u", "-T", "--monotonic", ahead, "--fork", "--kill-child",
            "sh", "-c", inside, "sh", *map(str, command),
        ]  # fmt: skip
        process = subprocess.Popen(
            whole, stdin=subprocess.PIPE, stdout=out,
            stderr=subprocess.STDOUT if out != subprocess.PIPE else subprocess.PIPE,
            text=True, env={**os.environ, **(env or {})}, start_new_session=True,
        )  # fmt: skip
        self._running.append(process)
        return process


def end(process: subprocess.Popen[Any], how: int = signal.SIGINT, within_s: float = 20.0) -> None:
    """End a command of a host, with all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, how)
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None and how == signal.SIGKILL:
            pipe.close()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


# ------------------------------------------------------------------------------- the switch


def _tap(space: str, place: int) -> int:
    """Open a TAP device inside a network namespace; returns its descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as here, open(f"/run/netns/{space}") as there:
        if libc.setns(there.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {space}")
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH", _TAP.encode(), _IFF_TAP | _IFF_NO_PI))
        address = f"02:00:00:00:00:{place + 1:02x}"
        _ip("link", "set", _TAP, "address", address)
        libc.setns(here.fileno(), _CLONE_NEWNET)
    return tap


class _Switch:
    """Frames under way, and what becomes of them."""

    def __init__(self, taps: Sequence[int]) -> None:
        self._taps = taps
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._chance = random.Random(12)
        self._delay_s, self._loss, self._cut = 0.0, 0.0, frozenset[int]()
        self._n = self.passed = self.lost = self.stopped = 0

    def obey(self, said: dict[str, Any]) -> dict[str, int]:
        self._delay_s, self._loss = said["delay_s"], said["loss"]
        self._cut = frozenset(said["cut"])
        return {"passed": self.passed, "lost": self.lost, "cut": self.stopped}

    def take(self, place: int) -> None:
        """Take in what a host sent; a frame that is lost is lost for all whom it is meant for."""
        for _ in range(64):
            try:
                frame = os.read(self._taps[place], _FRAME)
            except BlockingIOError:
                return
            except OSError:
                return  # the device is down
            to = frame[5] - 1
            all_of_them = frame[0] & 1 or not 0 <= to < len(self._taps)
            for one in range(len(self._taps)) if all_of_them else (to,):
                if one != place:
                    self._send(place, one, frame)

    def _send(self, place: int, to: int, frame: bytes) -> None:
        if {place, to} & self._cut:
            self.stopped += 1
        elif self._chance.random() < self._loss:
            self.lost += 1
        else:
            self.passed += 1
            self._n += 1
            due_s = time.monotonic() + self._delay_s
            heapq.heappush(self._under_way, (due_s, self._n, to, frame))

    def deliver(self) -> float:
        """Pass on what is due; returns for how long nothing else is."""
        while self._under_way:
            left_s = self._under_way[0][0] - time.monotonic()
            if left_s > 0:
                return left_s
            _, _, to, frame = heapq.heappop(self._under_way)
            with suppress(OSError):
                os.write(self._taps[to], frame)
        return 1.0


def serve(spaces: Sequence[str]) -> None:
    """Be the switch, until the other end of the standard input is closed."""
    taps = [_tap(space, place) for place, space in enumerate(spaces)]
    switch = _Switch(taps)
    print("ready", flush=True)
    ears = [*taps, sys.stdin.fileno()]
    left_s = 1.0
    while True:
        ready, _, _ = select.select(ears, [], [], left_s)
        for place, tap in enumerate(taps):
            if tap in ready:
                switch.take(place)
        if sys.stdin.fileno() in ready:
            line = os.read(sys.stdin.fileno(), 4096).decode()
            if not line:
                return
            print(json.dumps(switch.obey(json.loads(line))), flush=True)
        left_s = switch.deliver()


@contextmanager
def hosts(*names: str) -> Iterator[Hosts]:
    """Hosts with those names, while a block runs."""
    with Hosts(names) as up:
        yield up


def lsl_config(folder: Path, session: str, peers: Sequence[str] = ()) -> str:
    """A configuration of liblsl in a file of its own: as usual, but for the peers."""
    path = folder / f"lsl-{session}-{len(peers)}.cfg"
    path.write_text(
        f"[lab]\nKnownPeers = {{{', '.join(peers)}}}\nSessionID = {session}\n"
        f"[ports]\nIPv6 = disable\n[log]\nlevel = -2\n"
    )
    return str(path)


if __name__ == "__main__":
    serve(sys.argv[1:])
