"""One hostile case: feed a parser, and say how it ended."""

from __future__ import annotations

import signal
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diverloop.runtime.errors import DiverloopError

from .parsers import Target

HANG_S = 2.0
_MOST_TEXT = 20_000  # of a refusal: a screen or two is bad enough


class Hang(BaseException):
    """A case that took longer than `HANG_S`; no parser can swallow it."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a case ended.

    Parameters
    ----------
    kind : str
        ``"value"``, the name of a `DiverloopError`, ``"hang"``, or ``"crash"`` and what was raised.
    seconds : float
        How long it took.
    told : str
        The refusal; for a crash, where.
    """

    kind: str
    seconds: float
    told: str = ""

    @property
    def bad(self) -> bool:
        """Whether it is a finding."""
        return self.kind == "hang" or self.kind.startswith("crash")


def feed(target: Target, data: bytes, folder: Path, limit_s: float = HANG_S) -> Outcome:
    """Feed a parser, and judge what it does.

    Parameters
    ----------
    target : Target
        Which.
    data : bytes
        What it is fed.
    folder : Path
        For its files.
    limit_s : float
        From when on it hangs.

    Returns
    -------
    outcome : Outcome
        A refusal without a sentence, or with pages of it, counts as a crash.
    """
    started = time.perf_counter()
    try:
        with _time_limit(limit_s), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.read(data, folder)
        kind, told = "value", ""
    except DiverloopError as error:
        kind, told = type(error).__name__, str(error)
        if not 10 <= len(told) <= _MOST_TEXT:
            kind, told = f"crash: a refusal of {len(told)} characters", told[:200]
    except Hang:
        kind, told = "hang", traceback.format_exc(limit=-3)
    except Exception as error:  # noqa: BLE001 - any other is what is looked for
        kind, told = f"crash: {type(error).__name__}", _where(error)
    return Outcome(kind=kind, seconds=time.perf_counter() - started, told=told)


def _where(error: BaseException) -> str:
    """The last line of the product that an error passed, and its text."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if "/tests/" not in one.filename and "site-packages" not in
            one.filename and "/lib/python" not in one.filename]  # fmt: skip
    last = (ours or frames)[-1]
    at = f"{'/'.join(Path(last.filename).parts[-2:])}:{last.lineno}"
    return f"{at} {str(error)[:200]}"


@contextmanager
def _time_limit(limit_s: float) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
