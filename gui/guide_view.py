"""What is seen during a guided calibration: one instruction, as large as a terminal can.

Nothing is said by colour alone. Where there is no terminal, each scene is a plain line.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich import box
from rich.align import Align
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from ..runtime.paradigms.guided_course import Scene
from .view_state import DISCLAIMER

_CALM = ("rest", "pause", "wait", "over")  # scenes in which reading disturbs nobody


class GuideView:
    """Draws scenes; a context manager.

    Parameters
    ----------
    console : Console
        Where to draw.
    title : str
        Name of the calibration, for the header.
    """

    def __init__(self, console: Console, title: str = "") -> None:
        self._console, self._title = console, title
        self._live: Live | None = None
        self._told = ""

    def __enter__(self) -> Self:
        """Take the screen, if there is one."""
        if self._console.is_terminal:
            self._live = Live(console=self._console, screen=True, auto_refresh=False)
            self._live.start()
        else:
            self._console.print(f"{self._title}: {DISCLAIMER}.", highlight=False, markup=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the screen back."""
        if self._live:
            self._live.stop()
        self._live = None

    def show(self, scene: Scene) -> None:
        """Draw a scene.

        Parameters
        ----------
        scene : Scene
            What is on.
        """
        if self._live:
            self._live.update(self.drawn(scene, self._console.height), refresh=True)
        elif scene.line != self._told:  # a cue that goes on is one line
            self._told = scene.line
            self._console.print(scene.line, highlight=False, markup=False)

    def drawn(self, scene: Scene, height: int = 24) -> RenderableType:
        """A scene as it fills the screen.

        Parameters
        ----------
        scene : Scene
            What is on.
        height : int
            Lines of the screen.

        Returns
        -------
        drawn : renderable
            The instruction in the middle; the rest at the edges, and little of it while somebody
            does the task.
        """
        calm = scene.kind in _CALM
        words = Text(_spread(scene.instruction), style="bold", justify="center")
        frame = box.ROUNDED if calm else box.DOUBLE
        middle = Panel(
            Align.center(words, vertical="middle"),
            box=frame,
            height=max(5, height - 4),
            title=Text(f" {self._title} "),
            subtitle=Text(f" {DISCLAIMER} "),
        )
        lines = (_count(scene), scene.last if calm else "", scene.staff if calm else "")
        return Group(middle, *(Text(line, style="dim", justify="center") for line in lines))


def _spread(words: str) -> str:
    """Capitals with spaces between them: as large as a terminal's letters get."""
    return "\n\n".join(" ".join(word.upper()) for word in words.split())


def _count(scene: Scene) -> str:
    trial = f"Trial {scene.trial}. " if scene.trial else ""
    return f"{trial}{scene.good} of {scene.planned} trials are good."
