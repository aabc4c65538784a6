"""A console with a rehearsed session under it, whose time passes when a test says so."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from diverloop.gui.console.rehearsal import Fault, RehearsedWork
from diverloop.gui.console.session import Session, Step
from diverloop.gui.console.window import Console
from diverloop.gui.electrode_state import MapWords
from diverloop.gui.look import DARK, Look
from diverloop.runtime.messages import StreamSpec
from diverloop.runtime.quality import Quality


class Electrodes(QLabel):
    """Stands for the picture of the electrodes."""

    def __init__(self) -> None:
        super().__init__()
        self.spec: StreamSpec | None = None
        self.quality: Quality | None = None
        self.worn: list[Look] = []

    def show_spec(self, spec: StreamSpec) -> None:
        """Keep it."""
        self.spec = spec

    def show_quality(self, quality: Quality) -> None:
        """Keep it."""
        self.quality = quality

    def set_words(self, words: MapWords) -> None:
        self.words = words

    def wear(self, look: Look) -> None:
        """Keep it."""
        self.worn.append(look)


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Now."""
        return self.now_s


def end(console: Console) -> None:
    """A console stays open while its session runs, and would hear the keys of the next test."""
    console.session = Session()


class Walk:
    """Console, work, clock and tones of one test."""

    def __init__(self, qtbot, language: str = "en", fault: Fault = Fault.NONE, **settings) -> None:
        known = settings.pop("known", False)
        self.clock, self.tones = Clock(), []
        self.work = RehearsedWork(0, fault, known=known)
        self.electrodes = Electrodes()
        self.console = Console(
            self.work,
            self.electrodes,
            language=language,
            beep=lambda: self.tones.append(self.clock.now_s),
            clock=self.clock,
            look=settings.pop("look", DARK),
            **settings,
        )
        qtbot.addWidget(self.console, before_close_func=end)
        self.console.show()
        qtbot.waitExposed(self.console)

    @property
    def session(self):
        """As the console knows it."""
        return self.console.session

    def pass_time(self, seconds: float) -> None:
        """Let time pass for everything."""
        passed = 0.0
        while passed < seconds:
            step = min(2.5, seconds - passed)
            passed += step
            self.clock.now_s += step
            self.work.tick(step)
            self.console.refresh()

    def until(self, step: Step, least: float = 0.0) -> None:
        """Let time pass until a step is there and there is something to do."""
        for _ in range(200):
            if self.session.step is step and self.console.page.main.isEnabled() and least <= 0:
                return
            self.pass_time(2.5)
            least -= 2.5
        raise AssertionError(f"{step} did not come: {self.session}")


class ByMouse:
    """Does the next thing with the mouse."""

    def __init__(self, qtbot, walk: Walk) -> None:
        self.bot, self.walk = qtbot, walk

    def type(self, text: str) -> None:
        """Somebody has to type."""
        self.bot.keyClicks(self.walk.console.page.code, text)

    def main(self) -> None:
        """The large button."""
        self.bot.mouseClick(self.walk.console.page.main, Qt.MouseButton.LeftButton)

    def other(self, key: str) -> None:
        """A smaller one."""
        for button in self.walk.console.page.others:
            if button.text().endswith(f"[{key}]"):
                self.bot.mouseClick(button, Qt.MouseButton.LeftButton)
                return
        raise AssertionError(f"no button for {key}")

    def stop(self) -> None:
        """The stop."""
        self.bot.mouseClick(self.walk.console.chrome.stop, Qt.MouseButton.LeftButton)


class ByKeys(ByMouse):
    """Does the next thing with keys alone, given to whatever has the keyboard."""

    def press(self, key) -> None:
        """One key."""
        self.bot.keyClick(self.walk.console.focusWidget() or self.walk.console, key)

    def type(self, text: str) -> None:
        """Into what has the keyboard."""
        self.bot.keyClicks(self.walk.console.focusWidget(), text)

    def main(self) -> None:
        """Enter."""
        self.press(Qt.Key.Key_Return)

    def other(self, key: str) -> None:
        """Its letter."""
        self.press(key)

    def stop(self) -> None:
        """The space bar."""
        self.press(Qt.Key.Key_Space)
