"""Where the processor's time went, as Linux tells it: processes, own threads, the whole machine."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Machine:
    """Processor time since it was made, of the machine, of processes, of own threads."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._before = self._read()

    def spent(self) -> dict[str, Any]:
        """Percent of one core by process and by thread; percent of the machine gone elsewhere.

        What has ended meanwhile is left out, and what it had spent counts as gone elsewhere.
        """
        before, now = self._before, self._read()
        wall_s = now["at_s"] - before["at_s"]
        cpu = {
            name: round(100 * (now["of"][name] - before["of"].get(name, 0.0)) / wall_s, 2)
            for name in now["of"]
        }
        busy, stolen, total = (b - a for a, b in zip(before["all"], now["all"], strict=True))
        known = sum(value for name, value in cpu.items() if not name.startswith("thread"))
        cores = os.cpu_count() or 1
        written = max(0, now["written"] - before["written"])
        return {
            "seconds": round(wall_s, 2),
            "cpu_percent_of_a_core": cpu,
            "stolen_percent": round(100 * stolen / max(1, total), 2),
            "others_percent": round(100 * busy / max(1, total) - known / cores, 2),
            "written_mb": round(written / 1e6, 2),
            "written_mb_per_s": round(written / 1e6 / wall_s, 3),
        }

    def _read(self) -> dict[str, Any]:
        of = {
            name: spent_s
            for name, pid in self._pids.items()
            if (spent_s := _processor_s(Path(f"/proc/{pid}/stat"))) is not None
        }
        names = {thread.native_id: thread.name for thread in threading.enumerate()}
        for task in Path("/proc/self/task").iterdir():
            name = f"thread: {names.get(int(task.name), 'of libraries')}"
            of[name] = of.get(name, 0.0) + (_processor_s(task / "stat") or 0.0)
        times = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]))
        idle, stolen = times[3] + times[4], times[7]
        return {
            "at_s": time.monotonic(),
            "of": of,
            "all": (sum(times) - idle - stolen, stolen, sum(times)),
            "written": _written(self._pids.get("recorder")),
        }


def _processor_s(path: Path) -> float | None:
    try:
        fields = path.read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return None
    return (int(fields[11]) + int(fields[12])) * TICK_S


def _written(pid: int | None) -> int:
    if pid is None:
        return 0
    try:
        lines = Path(f"/proc/{pid}/io").read_text().split("\n")
    except OSError:  # it has ended
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))
