"""The dashboard beside sessions that really run, and on a recording."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from diverloop.gui.controls import Controls
from diverloop.gui.dashboard import Dashboard
from diverloop.gui.look import DARK, LIGHT, Look
from diverloop.runtime.control_client import DOOR
from diverloop.screen_commands import panels, teller_of
from diverloop.screening import watched

ROOT = Path(__file__).resolve().parents[2]
SIZE = (1600, 1000)
PROGRAM = (sys.executable, "-m", "diverloop")
LIVE_S = 75.0
LIMIT_S = 180.0
RUN, FIT = "eegmmidb_S001_R10.npz", "eegmmidb_S001_R06.npz"


def live(out: Path, folder: Path) -> Iterator[Path]:
    """Beside a simulated participant."""
    models, sessions = folder / "models", folder / "recordings"
    command(
        "demo", "--long-s", "0", "--live-s", "5", "--keep", str(models), "--no-view",
        "--reports", str(folder / "reports"),
    )  # fmt: skip
    (bundle,) = models.glob("*.bundle")
    with session("simulated-motor-imagery", bundle, sessions) as found:
        yield from beside(found, out, "dashboard-live")


def over_lsl(out: Path, folder: Path) -> Iterator[Path]:
    """Beside a recording of a person, played over LSL."""
    data = Path(os.environ["DIVERLOOP_DATA"])
    (run,), (fit) = sorted(data.rglob(RUN))[:1], sorted(data.rglob(FIT))[0]
    bundle = folder / "models" / "person.bundle"
    command(
        "fit", str(fit), "--classes", "both_fists,both_feet", "--stop-s", "4.1",
        "--out", str(bundle),
    )  # fmt: skip
    player = subprocess.Popen([*PROGRAM, "play", str(run), "--json"], stdout=subprocess.DEVNULL)
    try:
        with session("lsl-motor-imagery", bundle, folder / "lsl") as found:
            yield from beside(found, out, "dashboard-lsl")
    finally:
        player.terminate()
        player.wait(30)


def replayed(out: Path, folder: Path) -> Iterator[Path]:
    """On the recording that the first one left."""
    recording = max((folder / "recordings").iterdir())
    window = dashboard(str(recording), DARK)
    window.recorded.seek(40.0)
    window.recorded.play()
    run_for(8.0)
    yield shot(window, out / "dashboard-replay.png")
    window.close()


def beside(found: Path, out: Path, name: str) -> Iterator[Path]:
    """In both looks: opened late, as a window may be."""
    window = dashboard(str(found), DARK)
    run_for(LIVE_S)
    yield shot(window, out / f"{name}-dark.png")
    window.close()
    window = dashboard(str(found), LIGHT)
    run_for(LIVE_S / 2)
    yield shot(window, out / f"{name}-light.png")
    window.close()


def dashboard(where: str, look: Look) -> Dashboard:
    """The window, as ``diverloop monitor`` opens it, but for layouts that were kept."""
    found = watched(where)
    controls = Controls(found.link)
    made = Dashboard(
        panels(look, controls, found.may),
        teller_of(found),
        controls,
        session=found.title,
        look=look,
        may=found.may,
    )
    made.resize(*SIZE)
    made.show()
    made.start()
    return made


@contextmanager
def session(name: str, bundle: Path, recordings: Path) -> Iterator[Path]:
    """A session in another process; its folder, once it can be controlled."""
    process = subprocess.Popen(
        [
            *PROGRAM, "run", str(ROOT / "sessions" / f"{name}.toml"), "--arm", "--no-view",
            "--set", f"model.bundle={bundle}", "--recordings", str(recordings), "--json",
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield door_in(recordings)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def door_in(recordings: Path) -> Path:
    """The session's folder."""
    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s:
        for door in recordings.glob(f"*/{DOOR}"):
            return door.parent
        QTest.qWait(200)
    raise TimeoutError(f"No session began in {recordings}.")


def command(*arguments: str) -> None:
    """Run one of the product's commands to its end."""
    subprocess.run([*PROGRAM, *arguments, "--json"], check=True, stdout=subprocess.DEVNULL)


def run_for(seconds: float) -> None:
    """Let the windows live."""
    QTest.qWait(round(seconds * 1e3))


def shot(window: QWidget, path: Path) -> Path:
    """What is seen of a window."""
    window.grab().save(str(path))
    return path
