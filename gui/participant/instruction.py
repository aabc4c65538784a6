"""A guided calibration as the person sees it: one instruction at a time."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter

from ...runtime.paradigms.guided_course import Scene
from ...runtime.paradigms.guided_plan import GuidedPlan
from ...runtime.telemetry import Telegram
from ..look import DARK, Look
from .drawing import LARGE, MIDDLE, SMALL, Writing, arrow, draw_cross, draw_pause, write
from .following import DIRECTIONS
from .lamp import Lamp
from .picture import Shown
from .words import words_of

_CALM = ("pause", "wait", "over")  # scenes in which reading disturbs nobody


class Instruction:
    """A picture of scenes.

    Parameters
    ----------
    plan : GuidedPlan
        Of the calibration: it tells which class an instruction asks for.
    language : str
        ``"en"`` or ``"ko"``, of what is said before the first scene; scenes bring their own words.

    Notes
    -----
    Its labels are those that the calibration writes into the stream, at the time at which they
    were seen: the class at the cue, the plan's `end_marker`, ``"pause"``.
    """

    def __init__(self, plan: GuidedPlan | None = None, language: str = "en") -> None:
        self.plan = plan or GuidedPlan()
        self.look: Look = DARK
        self.scene = Scene(kind="wait", instruction=words_of(language)["waiting"])
        self._labels: list[str] = []
        self._lamp = Lamp()

    def begin(self, rate_hz: float, look: Look) -> None:
        """Learn how many frames a second there are, and the colours."""
        self.look = look
        self._lamp.begin(rate_hz)

    def show(self, scene: Scene) -> None:
        """Show a scene from the next frame on.

        Parameters
        ----------
        scene : Scene
            What is on.
        """
        began = (scene.kind, scene.trial) != (self.scene.kind, self.scene.trial)
        self.scene = scene
        if began and (label := self._label(scene)):
            self._labels.append(label)

    def take(self, message: Telegram) -> None:
        """Show a scene that came over the wire; of all else there is nothing to show."""
        if isinstance(message, Scene):
            self.show(message)

    def paint(self, painter: QPainter, area: QRectF, frame: int) -> Shown:
        """Draw a frame."""
        labels, self._labels = tuple(self._labels), []
        scene, height = self.scene, area.height()
        if scene.kind == "cue":
            self._draw_cue(painter, area)
        elif scene.kind in ("trial", "rest", "end"):
            draw_cross(painter, area.center(), height * 0.1, self.look.text)
        elif scene.kind == "pause":
            draw_pause(painter, area.center() - QPointF(0, height * 0.22), height * 0.1,
                       self.look.faint)  # fmt: skip
        self._write(painter, area)
        return Shown(labels=labels, lit=self._lamp.lit(frame, labels))

    def _label(self, scene: Scene) -> str:
        if scene.kind == "cue":
            return self._class_of(scene.instruction)
        return {"end": self.plan.end_marker, "pause": "pause"}.get(scene.kind, "")

    def _class_of(self, instruction: str) -> str:
        said = {self.plan.said(label): label for label in self.plan.classes}
        return said.get(instruction, "cue")

    def _draw_cue(self, painter: QPainter, area: QRectF) -> None:
        toward = DIRECTIONS.get(self._class_of(self.scene.instruction))
        if toward is None:
            draw_cross(painter, area.center(), area.height() * 0.1, self.look.text)
            return
        along = QPointF(toward[0], -toward[1]) * area.height() * 0.24
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self.look.text))
        painter.drawPath(arrow(area.center() - along, area.center() + along, area.height() * 0.07))

    def _write(self, painter: QPainter, area: QRectF) -> None:
        scene, height = self.scene, area.height()
        calm = scene.kind in _CALM
        middle = area.adjusted(area.width() * 0.08, height * 0.1, -area.width() * 0.08,
                               -height * 0.1)  # fmt: skip
        below = QRectF(middle.left(), area.bottom() - height * 0.26, middle.width(), height * 0.16)
        write(
            painter, middle if calm else below, scene.instruction,
            Writing(colour=self.look.text, height=(MIDDLE if calm else LARGE) * height,
                    bold=not calm),
        )  # fmt: skip
        if calm and scene.planned:
            self._draw_progress(painter, area)

    def _draw_progress(self, painter: QPainter, area: QRectF) -> None:
        """How much is done: a line that fills, and the count."""
        scene, height = self.scene, area.height()
        line = QRectF(0, 0, area.width() * 0.4, height * 0.012)
        line.moveCenter(QPointF(area.center().x(), area.bottom() - height * 0.17))
        painter.setPen(Qt.PenStyle.NoPen)
        for share, colour in ((1.0, self.look.line), (scene.good / scene.planned, self.look.text)):
            painter.setBrush(QColor(colour))
            done = QRectF(line.left(), line.top(), line.width() * min(1.0, share), line.height())
            painter.drawRoundedRect(done, line.height() / 2, line.height() / 2)
        count = QRectF(line.left(), line.bottom(), line.width(), height * 0.05)
        write(painter, count, f"{scene.good} / {scene.planned}",
              Writing(colour=self.look.faint, height=SMALL * height))  # fmt: skip
