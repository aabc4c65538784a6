"""The other end of `measuring_worker`: a process that holds one engine and waits to be asked."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any, Self

from ...runtime.errors import EngineError
from ..student_config import StudentConfig
from .measuring_worker import Order

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
_MODULE = __package__ + ".measuring_worker"
_PATIENCE_S = 10.0


class Worker:
    """A process that measures one engine.

    Parameters
    ----------
    order : Order
        What it opens.

    Raises
    ------
    EngineError
        If the process ends without a word, or cannot run what was ordered.
    """

    def __init__(self, order: Order) -> None:
        self._name = f"{order.engine} {order.precision}"
        start = time.perf_counter()
        self._process = _Process()
        try:
            opened = self._process.ask(order.to_json())
            if "refused" in opened:
                raise EngineError(opened["refused"])
        except EngineError:
            self._process.close()
            raise
        about = opened["about"]
        self.opened: dict[str, Any] = {
            "name": about["name"],
            "version": about["version"],
            "device": about["device"],
            "open_s": opened["open_s"],
            "start_up_s": time.perf_counter() - start,
        }
        """Which engine it is, and how long it took to come."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def block(self, n_hops: int, rest_s: float = 0.0) -> list[float]:
        """Milliseconds of each of so many hops; raises `EngineError` if the engine stops."""
        taken_ns = self._asked(block=[n_hops, rest_s])
        return [one / 1e6 for one in taken_ns]

    def memory_mb(self) -> float | None:
        """Most memory since before the engine was opened; None where that is not known."""
        found: float | None = self._asked(memory=True)
        return found

    def ticks(self, seconds: float) -> dict[str, dict[str, float]]:
        """As `Bench.ticks`; raises `EngineError` if the engine stops."""
        found: dict[str, dict[str, float]] = self._asked(ticks=seconds)
        return found

    def close(self) -> None:
        """End the process. Calling it twice is harmless."""
        self._process.close()

    def _asked(self, **what: object) -> Any:
        found = self._process.ask(json.dumps(what))
        if isinstance(found, dict) and "refused" in found:
            raise EngineError(found["refused"])
        return found


def machine_figures(students: list[tuple[StudentConfig, int]]) -> dict[str, Any]:
    """Peaks of one thread of this machine, and what the students' products take at their shapes.

    Parameters
    ----------
    students : list of (StudentConfig, int)
        Students and their numbers of rows.

    Returns
    -------
    figures : dict
        ``peaks``, for `Peaks`, and ``shapes_ms``, one for each student.

    Raises
    ------
    EngineError
        If the process ends without a word.
    """
    process = _Process()
    try:
        shapes = [(config.to_dict(), rows) for config, rows in students]
        found: dict[str, Any] = process.ask(json.dumps({"shapes": shapes}))
    finally:
        process.close()
    return found


class _Process:
    """A worker's process, one line at a time."""

    def __init__(self) -> None:
        # A file, not a pipe: nobody reads it while the process runs, and a pipe would fill up.
        self._errors = tempfile.TemporaryFile(  # noqa: SIM115  closed with the process
            mode="w+", encoding="utf-8", errors="replace"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **_ONE_THREAD},
        )

    def ask(self, line: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise EngineError(
                f"The process that measures an engine ended ({self._last_words()}): measure "
                f"without that engine."
            )
        return json.loads(answer)

    def close(self) -> None:
        if self._errors.closed:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(_PATIENCE_S)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_S)
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if line.strip()]
        return lines[-1][:200] if lines else f"exit code {self._process.returncode}"
