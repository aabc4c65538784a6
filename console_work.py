"""What the bedside console has done for it: this product's own commands, and today's models."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from .control_commands import linked, person_key
from .runtime.bundle import load_bundle
from .runtime.control_client import ControlClient, read_door
from .runtime.errors import BundleError
from .runtime.guide_file import GuideConfig, read_guide
from .runtime.session import read_session
from .runtime.telemetry import TelemetrySubscriber
from .screening import telemetry_of

if TYPE_CHECKING:
    from .gui.console.command_work import CommandWork
    from .gui.console.session import Model

_PROGRAM = (sys.executable, "-m", "diverloop")
_LOOK_S = "3"


def work_of(
    guide: Path,
    session: Path,
    recordings: Path,
    key: Path | None = None,
    *,
    language: str = "en",
    screen: bool = True,
) -> CommandWork:
    """Everything that a console orders, for one pair of files.

    Parameters
    ----------
    guide : Path
        File of the calibration.
    session : Path
        File of the session; its model is replaced by that of the day.
    recordings : Path
        Where calibrations, models and sessions go.
    key : Path, optional
        The operator's key file; this user's own without it.
    language : str
        Of the participant's screen.
    screen : bool
        Whether this machine also shows the participant's screen.

    Returns
    -------
    work : CommandWork
        Nothing is started yet.

    Raises
    ------
    ConfigError
        If a file or the key cannot be used.
    """
    from .gui.console.command_work import CommandWork

    checked = read_guide(guide)
    read_session(session)
    person = person_key(key)

    def connect(folder: Path) -> ControlClient:
        return linked(read_door(folder), person)

    def listen(folder: Path) -> TelemetrySubscriber:
        return telemetry_of(folder, read_door(folder), person)

    ordered = dict(commands(checked, guide, session))
    if screen:
        ordered |= with_screen(ordered, guide, session, language, key)
    return CommandWork(
        ordered,
        recordings,
        connect=connect,
        listen=listen,
        known=lambda who: model_of_today(recordings, who, date.today()),
    )


def commands(checked: GuideConfig, guide: Path, session: Path) -> Mapping[str, tuple[str, ...]]:
    """The command line of each order, with places to fill in; see `CommandWork`.

    Parameters
    ----------
    checked : GuideConfig
        What the file of the calibration says.
    guide, session : Path
        The two files.

    Returns
    -------
    commands : mapping of str to tuple of str
        Program and arguments.
    """
    found = {
        "preflight": (*_PROGRAM, "doctor", "--quick", "--json"),
        "calibrate": (
            *_PROGRAM, "calibrate", str(guide), "--out", "{recording}",
            "--participant", "{participant}", "--no-view", "--json",
        ),
        "fit": (
            *_PROGRAM, "fit", "{recording}", "--task", "{task}", "--classes", "{classes}",
            "--stop-s", "{stop_s}", "--out", "{bundle}", "--json",
        ),
        "run": (
            *_PROGRAM, "run", str(session), "--set", "model.bundle={bundle}",
            "--participant", "{participant}", "--recordings", "{recordings}", "--no-view", "--json",
        ),
        "verify": (*_PROGRAM, "verify", "{recording}", "--json"),
        "report": (*_PROGRAM, "report", "{recording}", "--json"),
    }  # fmt: skip
    name = getattr(checked.source.settings, "name", "")
    if checked.source.kind == "lsl" and name:
        found["signal"] = (
            *_PROGRAM, "doctor", "--stream", str(name), "--seconds", _LOOK_S, "--json",
        )  # fmt: skip
    return found


def with_screen(
    ordered: Mapping[str, tuple[str, ...]],
    guide: Path,
    session: Path,
    language: str,
    key: Path | None = None,
) -> Mapping[str, tuple[str, ...]]:
    """The participant's screen beside the calibration, and beside the feedback.

    Parameters
    ----------
    ordered : mapping of str to tuple of str
        From `commands`.
    guide, session : Path
        The two files.
    language : str
        Of the screen.
    key : Path, optional
        With which the screen listens to the session; this user's own without it.

    Returns
    -------
    commands : mapping of str to tuple of str
        A calibration that says what to show, and two screens.
    """
    address = f"tcp://127.0.0.1:{_free_port()}"
    shown = ("--language", language)
    return {
        "calibrate": (*ordered["calibrate"], "--watch", address),
        "screen_calibrate": (*_PROGRAM, "screen", str(guide), "--at", address, *shown),
        "screen_run": (
            *_PROGRAM, "screen", str(session), "--set", "model.bundle={bundle}",
            "--at", "{session}", *(("--key", str(key)) if key else ()), *shown,
        ),
    }  # fmt: skip


def model_of_today(recordings: Path, participant: str, today: date) -> tuple[Model, Path] | None:
    """The newest model that was fitted today for a participant; None if there is none.

    Parameters
    ----------
    recordings : Path
        Where the console leaves models.
    participant : str
        Pseudonym.
    today : date
        Of this machine.

    Returns
    -------
    found : tuple of (Model, Path) or None
        How good it was when it was fitted, and its folder.
    """
    from .gui.console.reading import model_of

    for path in sorted(recordings.glob(f"{participant}-{today:%Y%m%d}-*.bundle"), reverse=True):
        try:
            return model_of(load_bundle(path).card.scores), path
        except BundleError:  # half written, or of another version: an older one may do
            continue
    return None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
