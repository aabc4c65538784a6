"""Commands that open windows: each opens what it says, and closes without a trace."""

from __future__ import annotations

import builtins
import json
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication
from typer.testing import CliRunner

from diverloop import screen_commands
from diverloop.cli import app
from diverloop.gui import application
from diverloop.gui.console.window import Console
from diverloop.gui.console.words import LANGUAGES
from diverloop.gui.dashboard import Dashboard
from diverloop.gui.look import LIGHT
from diverloop.gui.participant.imagery import STYLES
from diverloop.gui.participant.stage import Stage
from diverloop.gui.participant.which_clock import CLOCKS
from diverloop.screen_commands import Clocks, Language, Style, standard_places

from .gui.taped_session import write_session

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "calibrations" / "simulated-motor-imagery.toml"
N_TURNS = 40

pytestmark = pytest.mark.live  # the participant's screen takes a real-time priority


@pytest.fixture
def opened(qapp, monkeypatch, tmp_path):
    """What was open while a command ran; everything is closed after some turns."""
    seen = []

    def briefly(*_):
        for _ in range(N_TURNS):
            qapp.processEvents()
        seen.extend(w for w in QApplication.topLevelWidgets() if w.isVisible())
        seen.extend(w for w in QGuiApplication.topLevelWindows() if w.isVisible())
        for window in seen:
            if not isinstance(window, str):
                window.close()
        qapp.processEvents()
        return 0

    monkeypatch.setattr(QApplication, "exec", briefly)
    monkeypatch.setattr(application.os, "nice", lambda by: seen.append(f"nice {by}"))
    monkeypatch.setattr(
        application,
        "QSettings",
        lambda *_: QSettings(str(tmp_path / "kept.ini"), QSettings.Format.IniFormat),
    )
    return seen


def run(*arguments: object):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_a_recorded_session_is_monitored(opened, tmp_path):
    done = run("monitor", write_session(tmp_path), "--light")
    assert done.exit_code == 0, done.output
    (window,) = (one for one in opened if isinstance(one, Dashboard))
    assert window.look is LIGHT
    assert window.recorded.length_s > 0
    assert opened[0] == "nice 10"  # before anything is drawn


def test_a_recording_has_no_web_view(opened, tmp_path):
    done = run("monitor", write_session(tmp_path), "--web", "127.0.0.1:0")
    assert done.exit_code != 0
    assert "--web shows a running session" in " ".join(done.output.split())
    assert all(isinstance(one, str) for one in opened)


def test_the_console_is_rehearsed(opened):
    done = run("console", "--rehearse", "--language", "ko")
    assert done.exit_code == 0, done.output
    assert any(isinstance(one, Console) for one in opened)


def test_the_console_needs_both_files(opened):
    done = run("console", GUIDE)
    assert done.exit_code != 0
    assert "practise with --rehearse" in " ".join(done.output.split())


def test_the_screen_writes_down_its_flips(opened, tmp_path):
    log = tmp_path / "flips.jsonl"
    done = run("screen", GUIDE, "--clock", "paced", "--window", "--log", log)
    assert done.exit_code == 0, done.output
    assert "nothing can be stopped from it" in " ".join(done.output.split())
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert (lines[0]["session"], len(lines) >= 2) == (GUIDE.name, True)


def test_what_becomes_of_a_stop_at_the_screen_is_told(opened, qtbot, monkeypatch):
    told, show = [], Stage.show

    def show_and_stop(stage, full_screen=None):
        show(stage, full_screen)
        stage.press(Qt.Key.Key_Space)
        qtbot.waitUntil(lambda: any("Nobody could be asked" in one for one in told), timeout=20_000)

    monkeypatch.setattr(screen_commands, "_tell", told.append)
    monkeypatch.setattr(Stage, "show", show_and_stop)
    done = run("screen", GUIDE, "--clock", "paced", "--window")
    assert done.exit_code == 0, done.output


def test_without_the_extra_it_is_said_what_to_install(monkeypatch, tmp_path):
    real = builtins.__import__

    def without_qt(name, *rest):
        if name.startswith("PySide6") or name.endswith("gui.application"):
            raise ModuleNotFoundError("No module named 'PySide6'", name="PySide6")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_qt)
    done = run("console", "--rehearse")
    assert done.exit_code != 0
    assert "pip install 'diverloop[gui]'" in " ".join(done.output.split())


def test_standard_places_are_on_a_head():
    places = standard_places()
    assert {"Cz", "Fp1", "TP9"} <= set(places)
    assert all(0.05 < sum(part**2 for part in place) ** 0.5 < 0.15 for place in places.values())


def test_what_the_commands_offer_is_what_the_windows_know():
    assert tuple(Language) == tuple(LANGUAGES)
    assert set(Style) == set(STYLES)
    assert set(Clocks) == set(CLOCKS)
