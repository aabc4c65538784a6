"""Each page of the bedside console, of a session that is rehearsed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PySide6.QtWidgets import QApplication

from diverloop.gui.console.rehearsal import Fault, RehearsedWork
from diverloop.gui.console.session import Act
from diverloop.gui.console.window import Console
from diverloop.gui.look import DARK, LIGHT, Look
from diverloop.gui.quality_map import QualityMap
from diverloop.screen_commands import standard_places

SIZE = (1280, 800)


def pages(out: Path, folder: Path) -> Iterator[Path]:
    """In both languages, and, in one of them, what goes wrong."""
    for language, look in (("en", LIGHT), ("ko", DARK)):
        yield from whole(out, language, look)
    for fault in (Fault.ELECTRODES, Fault.EQUIPMENT):
        yield from broken(out, fault)


def whole(out: Path, language: str, look: Look) -> Iterator[Path]:
    """From the code of a person to the report."""
    work, window = opened(language, look)

    def seen(name: str) -> Path:
        return shot(window, out / f"console-{language}-{name}.png")

    yield seen("identify")
    window.page.code.setText("P-017")
    window.do(Act.IDENTIFY)
    work.tick(4)
    yield seen("preflight")
    window.do(Act.TO_SIGNAL)
    work.tick(2)
    yield seen("signal")
    window.do(Act.TO_CALIBRATION)
    yield seen("calibration")
    window.do(Act.CALIBRATE)
    work.tick(12)
    yield seen("calibrating")
    work.tick(30)
    yield seen("decision")
    window.do(Act.APPROVE)
    work.tick(4)
    yield seen("ready")
    window.do(Act.START)
    work.tick(60)
    yield seen("feedback")
    window.do(Act.STOP)
    yield seen("stopped")
    window.do(Act.RESET)
    window.do(Act.START)
    work.tick(2)
    window.do(Act.BREAK)
    yield seen("break")
    window.do(Act.END)
    yield seen("close")
    window.do(Act.FINISH)
    work.tick(5)
    window.do(Act.REPORT)
    work.tick(5)
    yield seen("report")
    window.close()


def broken(out: Path, fault: Fault) -> Iterator[Path]:
    """What is seen where a session must not go on."""
    work, window = opened("en", LIGHT, fault)
    window.page.code.setText("P-017")
    window.do(Act.IDENTIFY)
    work.tick(4)
    if fault is Fault.ELECTRODES:
        window.do(Act.TO_SIGNAL)
        window.do(Act.TO_CALIBRATION)
    yield shot(window, out / f"console-en-refused-{fault}.png")
    window.close()


def opened(language: str, look: Look, fault: Fault = Fault.NONE) -> tuple[RehearsedWork, Console]:
    """A console whose time is moved by hand."""
    work = RehearsedWork(0, fault)
    window = Console(
        work,
        QualityMap(look, positions=standard_places()),
        language=language,
        look=look,
        rehearsal=True,
        beep=lambda: None,
    )
    window.resize(*SIZE)
    window.show()
    return work, window


def shot(window: Console, path: Path) -> Path:
    """What is seen of it."""
    window.refresh()
    QApplication.processEvents()
    window.grab().save(str(path))
    return path
