"""A whole session at the bedside console with a simulated participant, by keyboard, as JSON.

    xvfb-run -a python tests/bench/walkthrough.py [--guide FILE] [--session FILE] [--feedback-s 30]

Nothing is rehearsed: the console runs ``doctor``, ``calibrate``, ``fit``, ``run``, ``verify`` and
``report``, and the participant's screen beside the calibration and the feedback. The hand presses
the main button whenever it can be pressed, so what is measured is the machine's part of the time;
a person adds reading. Counted are presses (typing the pseudonym counts as one) and minutes to the
first feedback, presses to go on after a break and after a stop, and presses to stop.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from diverloop.console_work import work_of
from diverloop.gui.application import application
from diverloop.gui.console.session import Act, Output, Step
from diverloop.gui.console.window import Console
from diverloop.gui.look import DARK
from diverloop.gui.quality_map import QualityMap
from diverloop.screen_commands import standard_places

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 900.0


class Hand:
    """Presses keys, and waits for what they bring."""

    def __init__(self, console: Console, pictures: Path | None) -> None:
        self.console, self.pictures = console, pictures
        self.began_s = time.monotonic()
        self.reached: dict[str, float] = {}

    def press(self, key: Qt.Key) -> None:
        """One key."""
        QTest.keyClick(self.console, key)

    def until(self, what: str, so: Callable[[], bool]) -> None:
        """Wait, and note when it was so."""
        end_s = time.monotonic() + LIMIT_S
        while not so():
            if time.monotonic() > end_s or self.console.session.trouble:
                trouble = self.console.session.trouble_detail or self.console.session.trouble
                raise SystemExit(f"{what} did not come: {trouble or 'it took too long'}")
            QTest.qWait(20)
        self.reached[what] = round(time.monotonic() - self.began_s, 1)
        if self.pictures:
            QTest.qWait(300)
            self.console.grab().save(str(self.pictures / f"{len(self.reached):02d}-{what}.png"))

    def to(self, step: Step) -> None:
        """Press the main button, and wait for a step."""
        self.press(Qt.Key.Key_Return)
        self.until(str(step), lambda: self.console.session.step is step)

    def ready(self, what: str) -> None:
        """Wait until nothing is being done any more."""
        self.until(what, lambda: self.console.session.task is None)


def walk(hand: Hand, feedback_s: float) -> dict[str, object]:
    """From the pseudonym to the report."""
    session = lambda: hand.console.session  # noqa: E731
    hand.console.page.code.setText("P-017")
    hand.to(Step.PREFLIGHT)
    hand.ready("checked")
    hand.to(Step.SIGNAL)
    hand.to(Step.CALIBRATION)
    hand.press(Qt.Key.Key_Return)
    hand.until("go or no-go", lambda: session().step is Step.DECISION)
    hand.ready("fitted")
    hand.press(Qt.Key.Key_Return)
    hand.until("loaded", lambda: session().step is Step.FEEDBACK and session().running)
    hand.press(Qt.Key.Key_Return)
    hand.until("feedback", lambda: session().output is Output.ON)
    to_feedback = session().to_feedback
    QTest.qWait(round(feedback_s * 1e3))
    hand.press(Qt.Key.Key_Return)  # take a break
    hand.until("break", lambda: session().step is Step.BREAK)
    hand.press(Qt.Key.Key_Return)
    hand.until("feedback again", lambda: session().output is Output.ON)
    after_break = session().to_resume
    before = session().actions
    hand.press(Qt.Key.Key_Space)
    hand.until("stopped", lambda: session().output is Output.STOPPED)
    to_stop = session().actions - before
    hand.console.do(Act.END)
    hand.until("closing", lambda: session().step is Step.CLOSE)
    hand.press(Qt.Key.Key_Return)
    hand.until("saved", lambda: bool(session().recorded))
    hand.ready("proven")
    hand.press(Qt.Key.Key_Return)
    hand.until("report", lambda: bool(session().report))
    return {
        "presses_to_first_feedback": to_feedback,
        "minutes_to_first_feedback": round(hand.reached["feedback"] / 60, 2),
        "presses_after_a_break": after_break,
        "presses_to_stop": to_stop,
        "verified": session().verified,
        "seconds": hand.reached,
    }


def main() -> None:
    """Walk, and print."""
    parser = argparse.ArgumentParser()
    name = "simulated-motor-imagery.toml"
    parser.add_argument("--guide", type=Path, default=ROOT / "calibrations" / name)
    parser.add_argument("--session", type=Path, default=ROOT / "sessions" / name)
    parser.add_argument("--feedback-s", type=float, default=30.0)
    parser.add_argument("--pictures", type=Path, help="Folder for a picture of each step.")
    chosen = parser.parse_args()
    application()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DIVERLOOP_HOME"] = str(Path(folder, "home"))  # a key of its own
        work = work_of(chosen.guide, chosen.session, Path(folder, "recordings"))
        console = Console(work, QualityMap(DARK, positions=standard_places()), beep=lambda: None)
        console.show()
        found = walk(Hand(console, chosen.pictures), chosen.feedback_s)
        work.close()
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
