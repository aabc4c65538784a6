"""Pictures of every window, for the documentation and to be looked at.

    xvfb-run -a python -m tests.pictures [--out docs/images/screens] [--only live,lsl,...]

``live``         the dashboard beside a simulated session that runs in another process
``lsl``          the same beside a real recording that is played over LSL (wants DIVERLOOP_DATA)
``replay``       the dashboard on the recording of the first
``console``      each page of the bedside console, rehearsed, in both languages
``participant``  each picture of the participant's screen
``colours``      the first picture of the dashboard, as people with other colour vision see it

Run it from the root of a checkout. Without a display, ``QT_QPA_PLATFORM=offscreen`` draws the same
windows into memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from diverloop.gui.application import application

from . import bedside, colour_vision, dashboards, participants

PARTS = {
    "live": dashboards.live,
    "lsl": dashboards.over_lsl,
    "replay": dashboards.replayed,
    "console": bedside.pages,
    "participant": participants.pictures,
    "colours": colour_vision.compared,
}


def main() -> None:
    """Draw what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("docs/images/screens"))
    parser.add_argument("--only", default=",".join(PARTS))
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    application()
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.only.split(","):
            for path in PARTS[name](chosen.out, Path(folder)):
                sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
