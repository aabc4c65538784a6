"""Ask the operating system for punctuality: take what it grants, say what it refused, give it back.

Nothing here is needed for a session to run, so nothing here fails: every wish ends as a `Grant`
that says whether it was obtained and, if not, why and what a person can do about it.

Start every thread that is not the loop (watchers, BLAS pools, sockets) before entering
`realtime`: a thread inherits the cores of the one that starts it, and would then compete with the
loop for the very core that was set aside.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import ConfigError

Restore = Callable[[], object]

# Pages are locked once they are touched: locking all that is mapped would take thread stacks and
# libraries that nobody reads.
_MCL_CURRENT_FUTURE_ONFAULT = 1 | 2 | 4
_PR_SET_TIMERSLACK, _PR_GET_TIMERSLACK = 29, 30
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# glibc refuses a larger mmap threshold: half of the largest heap of a thread, on 64 bits.
_MMAP_THRESHOLD_BYTES = 32 << 20
_KEEP_BYTES = 1 << 30
_CAP_IPC_LOCK = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeConfig:
    """What to ask for.

    Parameters
    ----------
    affinity : tuple of int
        Cores the calling thread may run on; empty asks for none in particular.
    fifo_priority : int
        Priority under ``SCHED_FIFO``, 1 to 99; 0 asks for none. Such a thread runs until it
        waits, so keep one Python thread in the process: any other starves while it spins.
    lock_memory : bool
        Keep every page of the process in memory once it has been touched. A kernel that takes
        back idle pages, code included, otherwise makes a loop wait for the disk.
    freeze_gc : bool
        Collect once, set aside what is alive, and switch the cyclic collector off.
    switch_interval_s : float
        How long another Python thread may keep the interpreter once this one wants it; 0 leaves
        it alone. With a busy second thread the interpreter's default of 5 ms makes a wake-up
        late by 3 ms in the median, 0.1 ms makes it late by 0.3 ms.
    keep_heap : bool
        Keep freed memory in the process. By default glibc returns large arrays to the kernel as
        soon as they are freed, and pages them in again, zeroed, in the next window.
    timer_slack_ns : int
        How much the kernel may delay a wake-up to serve several at once; its default is 50 us;
        0 leaves it alone.

    Raises
    ------
    ConfigError
        If a core, the priority, the interval or the slack is out of range.
    """

    affinity: tuple[int, ...] = ()
    fifo_priority: int = 0
    lock_memory: bool = False
    freeze_gc: bool = True
    switch_interval_s: float = 0.0005
    keep_heap: bool = True
    timer_slack_ns: int = 1

    def __post_init__(self) -> None:
        _check(
            all(core >= 0 for core in self.affinity)
            and len(set(self.affinity)) == len(self.affinity),
            f"affinity must name different cores from 0 up, got {self.affinity}; "
            "leave it empty to run on any core.",
        )
        _check(
            0 <= self.fifo_priority <= 99,
            f"fifo_priority must be 0 to 99, got {self.fifo_priority}; use 0 to ask for none, "
            "50 where a driver's own threads have to stay ahead.",
        )
        _check(
            self.switch_interval_s == 0 or 1e-6 <= self.switch_interval_s <= 1,
            f"switch_interval_s must be 0 or 0.000001 to 1, got {self.switch_interval_s}; "
            "use 0 to leave the interpreter's own.",
        )
        _check(
            self.timer_slack_ns >= 0,
            f"timer_slack_ns must be at least 0, got {self.timer_slack_ns}; "
            "use 0 to leave the kernel's own.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The answer to one wish.

    Parameters
    ----------
    name : str
        What the wish concerns, for example ``"scheduling"``.
    asked : str
        What was asked for, in words.
    obtained : bool
        Whether it holds now.
    detail : str
        Why it was refused and what to do about it; empty when obtained.
    """

    name: str
    asked: str
    obtained: bool
    detail: str = ""


@contextlib.contextmanager
def realtime(config: RealtimeConfig) -> Iterator[tuple[Grant, ...]]:
    """Make the calling thread as punctual as this machine allows, for the length of a block.

    Enter and leave it on the loop's own thread, with all other threads already started.

    Parameters
    ----------
    config : RealtimeConfig
        What to ask for.

    Yields
    ------
    grants : tuple of Grant
        One for every wish in the config, in the order of asking.
    """
    with contextlib.ExitStack() as undo:
        yield tuple(_attempt(wish, undo) for wish in _wishes(config))


def probe() -> tuple[Grant, ...]:
    """Try everything that `realtime` can ask for, and take it back at once.

    Returns
    -------
    grants : tuple of Grant
        What a session could have on this machine, as this user.
    """
    with realtime(
        RealtimeConfig(affinity=_cores_now() or (0,), fifo_priority=50, lock_memory=True)
    ) as grants:
        return grants


@dataclass(frozen=True, slots=True)
class _Wish:
    name: str
    asked: str
    ask: Callable[[], Restore]
    remedy: str


def _wishes(config: RealtimeConfig) -> Iterator[_Wish]:
    """What the config asks for; FIFO comes last, so that nothing else runs under it by accident."""
    if config.keep_heap:
        yield _Wish(
            "heap", "keep freed memory in the process", _keep_heap,
            "only glibc can do it; window times will scatter more.",
        )  # fmt: skip
    if config.freeze_gc:
        yield _Wish("garbage collector", "freeze and switch off", _freeze_gc, "")
    if config.switch_interval_s:
        yield _Wish(
            "switch interval", f"{config.switch_interval_s * 1e3:g} ms",
            lambda: _set_switch_interval(config.switch_interval_s), "",
        )  # fmt: skip
    if config.affinity:
        yield _Wish(
            "cores", "run on " + ", ".join(map(str, config.affinity)),
            lambda: _set_affinity(config.affinity),
            f"name cores out of {_cores_now() or 'those that this system lets a thread choose'}.",
        )  # fmt: skip
    if config.timer_slack_ns:
        yield _Wish(
            "timer slack", f"{config.timer_slack_ns} ns",
            lambda: _set_timer_slack(config.timer_slack_ns),
            "only Linux has it; wake-ups may be some 50 us later.",
        )  # fmt: skip
    if config.lock_memory:
        yield _Wish(
            "memory lock", "keep every page in memory", _lock_memory,
            "add '@realtime - memlock unlimited' to /etc/security/limits.d/realtime.conf, join "
            "that group and log in again, or grant CAP_IPC_LOCK.",
        )  # fmt: skip
    if config.fifo_priority:
        yield _Wish(
            "scheduling", f"SCHED_FIFO, priority {config.fifo_priority}",
            lambda: _set_fifo(config.fifo_priority),
            "add '@realtime - rtprio 95' to /etc/security/limits.d/realtime.conf, join that "
            "group and log in again, or grant CAP_SYS_NICE.",
        )  # fmt: skip


def _attempt(wish: _Wish, undo: contextlib.ExitStack) -> Grant:
    try:
        restore = wish.ask()
    except OSError as error:
        detail = f"Refused: {error.strerror or error}; {wish.remedy}"
        return Grant(name=wish.name, asked=wish.asked, obtained=False, detail=detail)
    undo.callback(_give_back, restore)
    return Grant(name=wish.name, asked=wish.asked, obtained=True)


def _give_back(restore: Restore) -> None:
    # What was there before may be gone, a core taken offline for example: not worth a session.
    with contextlib.suppress(OSError):
        restore()


def _keep_heap() -> Restore:
    for parameter, value in (
        (_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES),
        (_M_TRIM_THRESHOLD, _KEEP_BYTES),
    ):
        if not _libc("mallopt", parameter, value):
            raise OSError(errno.EINVAL, f"the allocator did not take {value} bytes")

    def restore() -> None:
        # glibc cannot be asked for the old values, and a fixed value ends its own adjustment. So
        # leave the mmap threshold where that adjustment ends, with the trim threshold twice it.
        _libc("mallopt", _M_TRIM_THRESHOLD, 2 * _MMAP_THRESHOLD_BYTES)
        _libc("malloc_trim", 0)

    return restore


def _freeze_gc() -> Restore:
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()

    def restore() -> None:
        gc.unfreeze()
        if was_enabled:
            gc.enable()

    return restore


def _set_switch_interval(seconds: float) -> Restore:
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    return lambda: sys.setswitchinterval(before)


def _set_affinity(cores: tuple[int, ...]) -> Restore:
    if not hasattr(os, "sched_setaffinity"):
        raise _missing("no way for a thread to choose its cores")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    return lambda: os.sched_setaffinity(0, before)


def _set_timer_slack(nanoseconds: int) -> Restore:
    before = _libc("prctl", _PR_GET_TIMERSLACK, 0, 0, 0, 0)
    _libc("prctl", _PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0)
    return lambda: _libc("prctl", _PR_SET_TIMERSLACK, before, 0, 0, 0)


def _lock_memory() -> Restore:
    if os.name != "posix":
        raise _missing("no mlockall")
    if not _may_lock_everything():
        # With a finite limit the call may succeed now and starve the session of memory later.
        raise PermissionError(errno.EPERM, "the limit on locked memory is finite")
    _libc("mlockall", _MCL_CURRENT_FUTURE_ONFAULT)
    return lambda: _libc("munlockall")


def _set_fifo(priority: int) -> Restore:
    if not hasattr(os, "sched_setscheduler"):
        raise _missing("no SCHED_FIFO")
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    # Without the flag every thread started later would inherit the priority, and a busy one would
    # hold the interpreter for seconds: a loop beside it was seen 0.84 s late in the median.
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))

    def restore() -> None:
        try:
            os.sched_setscheduler(0, policy, parameters)
        except PermissionError:  # only a privileged thread may clear the flag
            os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, parameters)

    return restore


def _may_lock_everything() -> bool:
    import resource

    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    status = Path("/proc/self/status")
    if not status.exists():
        return os.geteuid() == 0
    words = status.read_text().split()
    return bool(int(words[words.index("CapEff:") + 1], 16) >> _CAP_IPC_LOCK & 1)


def _cores_now() -> tuple[int, ...]:
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def _libc(name: str, *arguments: int) -> int:
    """Call a function of the C library; raise OSError if it is absent or says no."""
    function = (
        getattr(ctypes.CDLL(None, use_errno=True), name, None) if os.name == "posix" else None
    )
    if function is None:
        raise _missing(f"no {name}")
    result = int(function(*map(ctypes.c_long, arguments)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _missing(what: str) -> OSError:
    return OSError(errno.ENOSYS, f"{sys.platform} has {what}")


def _check(holds: bool, sentence: str) -> None:
    if not holds:
        raise ConfigError(sentence)
