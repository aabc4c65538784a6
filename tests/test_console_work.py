"""What the bedside console orders: commands that exist, and models of the day."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import typer

from diverloop.cli import app
from diverloop.console_work import commands, model_of_today, with_screen, work_of
from diverloop.gui.console.command import filled
from diverloop.runtime.bundle import save_bundle
from diverloop.runtime.guide_file import read_guide

from .modelled import fitted

ROOT = Path(__file__).resolve().parents[1]
SIMULATED = ROOT / "calibrations" / "simulated-motor-imagery.toml"
OVER_LSL = ROOT / "calibrations" / "lsl-motor-imagery.toml"
SESSION = ROOT / "sessions" / "simulated-motor-imagery.toml"
VALUES = {
    "participant": "P-017", "recording": "r.xdf", "bundle": "b.bundle", "recordings": "r",
    "task": "motor_imagery", "classes": "left,right", "stop_s": "3",
}  # fmt: skip


@pytest.mark.parametrize("guide", [SIMULATED, OVER_LSL], ids=lambda path: path.stem)
def test_each_order_is_a_command_line_that_the_program_understands(guide):
    for name, command in commands(read_guide(guide), guide, SESSION).items():
        program, *arguments = filled(command, VALUES)[2:]
        assert program == "diverloop", name
        order = typer.main.get_command(app).commands[arguments[0]]
        context = order.make_context(name, list(arguments[1:]), resilient_parsing=False)
        assert context.params["json"] is True, name


def test_the_signal_is_looked_at_where_it_comes_over_lsl():
    assert "signal" not in commands(read_guide(SIMULATED), SIMULATED, SESSION)
    command = commands(read_guide(OVER_LSL), OVER_LSL, SESSION)["signal"]
    assert "diverloop-player" in command


def test_the_newest_model_of_the_day_is_found_and_a_broken_one_passed_over(tmp_path):
    today = date(2026, 11, 27)
    assert model_of_today(tmp_path, "P-017", today) is None
    for stem in ("P-017-20261127-090000", "P-017-20261126-180000", "P-018-20261127-100000"):
        save_bundle(fitted(), tmp_path / f"{stem}.bundle")
    (tmp_path / "P-017-20261127-110000.bundle").mkdir()
    model, path = model_of_today(tmp_path, "P-017", today)
    assert path.name == "P-017-20261127-090000.bundle"
    assert 0 <= model.low <= model.high <= 1


def test_the_participants_screen_listens_with_the_operators_key():
    ordered = commands(read_guide(SIMULATED), SIMULATED, SESSION)
    key = Path("op.key")
    shown = with_screen(ordered, SIMULATED, SESSION, "ko", key)["screen_run"]
    assert shown[shown.index("--key") + 1] == "op.key"
    assert "--key" not in with_screen(ordered, SIMULATED, SESSION, "ko")["screen_run"]
    for name in ("screen_calibrate", "screen_run"):
        program, *arguments = filled(
            with_screen(ordered, SIMULATED, SESSION, "ko", key)[name], VALUES | {"session": "s"}
        )[3:]
        assert program == "screen"
        context = typer.main.get_command(app).commands[program].make_context(name, arguments)
        assert context.params["language"] == "ko"


def test_the_work_is_made_of_two_files_and_starts_nothing(qapp, tmp_path, monkeypatch):
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "home"))
    work = work_of(SIMULATED, SESSION, tmp_path, None)
    assert work.lost == 0
    work.close()
    assert list(tmp_path.iterdir()) == [tmp_path / "home"]
