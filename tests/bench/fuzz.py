"""Feed hostile input to every parser, and report as JSON what came of it.

    python tests/bench/fuzz.py --cases 20000 [--target session --target npz] [--keep FOLDER]

The parsers are those of `tests/faults/parsers.py`, the inputs those of `tests/faults/hostile.py`:
first each valid file cut short (at every byte of the first 2000, then at even distances), then
files damaged and forged in one to four steps that follow from ``--seed``. Each parser runs in a
process of its own that may take ``--limit-mib`` of address space beyond what it has once its valid
files were read. A case ends in a value or in a refusal, an error that descends from DiverloopError;
everything else is a finding: another error (also MemoryError), more than 2 s (``hangs``), or the
death of the process. ``most_mib`` is by how much the resident memory of the process was higher
during a case than before it, at worst; 0 where the system does not tell.

Inputs that led to findings lie in ``--keep`` afterwards, one of each kind and place.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import re
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from diverloop.runtime.errors import DiverloopError

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.faults import hostile_forms  # noqa: F401 - adds the forms
from tests.faults.hostile import drawn, forge
from tests.faults.one_case import feed
from tests.faults.parsers import TARGETS, Target

_MOST_CUTS = 2000
_START_S = 600.0  # importing torch or MNE on a busy machine
_STUCK_S = 30.0  # inside a call that no signal interrupts


def cases(target: Target, count: int, seed: int) -> Iterator[bytes]:
    """The inputs, always in the same order."""
    cuts = [
        (file, stop)
        for file in target.files
        for stop in (*range(min(len(file), _MOST_CUTS)), *range(_MOST_CUTS, len(file), 997))
    ]
    share = max(1, -(-len(cuts) // max(1, count // 5)))  # a fifth of the cases at most
    yield from (file[:stop] for file, stop in cuts[::share])
    for number in range(count - len(cuts[::share])):
        random = Random(f"{target.name} {seed} {number}")
        yield forge(target.files, target.form, *drawn(target.form, random))


def resident_kib(name: str = "VmRSS") -> int:
    """Resident memory of this process in KiB, now or (VmHWM) at most; 0 if nobody says."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    found = re.search(rf"{name}:\s*(\d+)", status)
    return int(found.group(1)) if found else 0


def forget_peak() -> None:
    """Let the largest resident memory count from now on."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def work(name: str, count: int, seed: int, first: int, limit_mib: int, talk: Connection) -> None:
    """Run the cases of a parser from one on; tell each before it runs, and how it ended."""
    target = TARGETS[name]
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder:
        for file in target.files:  # imports what it needs, and shows that valid files are valid
            with suppress(DiverloopError):
                target.read(file, Path(folder))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = used + (limit_mib << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        for number, data in enumerate(cases(target, count, seed)):
            if number < first:
                continue
            talk.send((number, data))
            forget_peak()
            before = resident_kib()
            outcome = feed(target, data, Path(folder))
            talk.send((outcome, max(0, resident_kib("VmHWM") - before)))
    talk.send(None)


def _memory_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def run(target: Target, count: int, seed: int, limit_mib: int, keep: Path) -> dict[str, Any]:
    """All cases of a parser, and what came of them."""
    tally: Counter[str] = Counter()
    places: dict[str, dict[str, Any]] = {}
    slowest_s, most_kib, first = 0.0, 0, 0
    assert target.files  # made here, where nothing is waited for, and inherited
    while first is not None and first < count:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(
            target=work, args=(target.name, count, seed, first, limit_mib, theirs), daemon=True
        )
        process.start()
        theirs.close()
        number, data, first = first, b"", None
        patience_s = _START_S
        try:
            while (said := _next(ours, process, patience_s)) is not None:
                number, data = said
                patience_s = _STUCK_S
                outcome, kib = _next(ours, process)
                tally[outcome.kind] += 1
                slowest_s, most_kib = max(slowest_s, outcome.seconds), max(most_kib, kib)
                if outcome.bad:
                    _note(places, target, outcome.kind, outcome.told, data, keep)
        except EOFError:
            process.join()
            kind = f"crash: the process died ({process.exitcode})"
            tally[kind] += 1
            _note(places, target, kind, "", data, keep)
            first = number + 1
        process.join()
    return {
        "cases": sum(tally.values()),
        "values": tally["value"],
        "refusals": {k: n for k, n in sorted(tally.items()) if k[0].isupper()},
        "crashes": sum(n for kind, n in tally.items() if kind.startswith("crash")),
        "hangs": tally["hang"],
        "slowest_s": round(slowest_s, 3),
        "most_mib": round(most_kib / 1024, 1),
        "findings": list(places.values()),
    }


def _next(talk: Connection, process: Any, patience_s: float = _STUCK_S) -> Any:
    if not talk.poll(patience_s):
        process.kill()
        raise EOFError
    return talk.recv()


def _note(
    places: dict[str, dict[str, Any]], target: Target, kind: str, told: str, data: bytes, keep: Path
) -> None:
    place = f"{kind} {told.split(' ')[0]}"
    found = places.setdefault(place, {"kind": kind, "told": told, "times": 0, "bytes": 1 << 62})
    found["times"] += 1
    if len(data) < found["bytes"]:
        name = re.sub(r"[^\w.-]+", "-", f"{target.name}-{place}")[:100]
        keep.mkdir(parents=True, exist_ok=True)
        (keep / name).write_bytes(data)
        found |= {"bytes": len(data), "input": str(keep / name), "told": told}


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit-mib", type=int, default=512)
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"))
    chosen = parser.parse_args()
    found: dict[str, Any] = {}
    for name in chosen.target or TARGETS:
        target = TARGETS[name]
        if target.needs and importlib.util.find_spec(target.needs) is None:
            found[name] = {"left out": f"{target.needs} is not installed"}
            continue
        found[name] = run(target, chosen.cases, chosen.seed, chosen.limit_mib, chosen.keep)
        print(f"{name}: {json.dumps(found[name])[:300]}", file=sys.stderr)
    ran = [one for one in found.values() if "cases" in one]
    total = {key: sum(one[key] for one in ran) for key in ("cases", "crashes", "hangs")}
    print(json.dumps({"seed": chosen.seed, "total": total, "targets": found}, indent=1))


if __name__ == "__main__":
    main()
