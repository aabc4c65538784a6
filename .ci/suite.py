"""The test suite in four parts, each in its own process; what failed runs once more, alone.

    python .ci/suite.py

Windows, engines and devices each bring libraries of their own: not all into one process for half an
hour, so that what one of them leaves behind cannot end the tests of another. What opens streams
between processes keeps time, so it runs after all that does not.

On a loaded machine a test that waits for another process can lose a race. It gets one second
chance, with nothing beside it, and is named at the end either way: a test that needs its second
chance again and again is a fault to be found. Nothing gets a third. The records of the parts, for
``tests/safety_case.py``, are ``build/{windows,decoders,tests,live}.xml``, and ``build/again.xml``
if there was a second chance.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "build" / "suite-cache"
AGAIN = ROOT / "build" / "again.xml"
SIDE_BY_SIDE = ("-m", "not live and not long", "-n", "2", "--dist", "loadfile")
NO_NEW_WORKER = ("--max-worker-restart", "0")
DECODING = ("tests/adapters", "tests/decoders", "tests/rl")
TESTS_FAILED = 1  # what pytest ends with if all ran, and some failed


def main() -> int:
    """Run every part, whatever fails, and say at the end what did."""
    shutil.rmtree(CACHE, ignore_errors=True)
    AGAIN.unlink(missing_ok=True)
    ends = {name: pytest(name, *arguments) for name, arguments in parts().items()}
    broken = {name: end for name, end in ends.items() if end not in (0, TESTS_FAILED)}
    failed = last_failed()
    if failed:
        print(f"suite: {len(failed)} failed; once more, alone", flush=True)
        pytest("again", "--last-failed", "--last-failed-no-failures", "none")
    still = last_failed()
    for test in failed:
        print(f"suite: {'FAILED twice' if test in still else 'failed, then passed alone'}: {test}")
    for name, end in broken.items():
        print(f"suite: the part {name!r} did not run to its end (pytest ended with {end})")
    return 1 if still or broken else 0


def parts() -> dict[str, tuple[str, ...]]:
    """What each part hands to pytest."""
    elsewhere = [f"--ignore={folder}" for folder in ("tests/gui", *DECODING)]
    live = [
        str(file.relative_to(ROOT))
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        if "mark.live" in file.read_text(encoding="utf-8")
    ]
    return {
        "windows": (*SIDE_BY_SIDE, *NO_NEW_WORKER, "tests/gui"),
        "decoders": (*SIDE_BY_SIDE, *NO_NEW_WORKER, *DECODING),
        "tests": (*SIDE_BY_SIDE, *NO_NEW_WORKER, *elsewhere),
        "live": ("-m", "live", *live),
    }


def pytest(name: str, *arguments: str) -> int:
    """Run pytest, with its record in ``build/``; what it ended with."""
    command = [sys.executable, "-m", "pytest", "-o", f"cache_dir={CACHE}"]
    command += [f"--junitxml=build/{name}.xml", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def last_failed() -> list[str]:
    """Tests that failed when they last ran, as pytest names them."""
    record = CACHE / "v" / "cache" / "lastfailed"
    return sorted(json.loads(record.read_text(encoding="utf-8"))) if record.exists() else []


if __name__ == "__main__":
    sys.exit(main())
