"""Motor imagery: a cue, and feedback that grows or moves with what is decoded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from ...runtime.errors import ConfigError
from ...runtime.messages import Chunk
from ...runtime.telemetry import Telegram
from ..look import DARK, Look
from .drawing import LARGE, MIDDLE, Writing, arrow, draw_cross, draw_pause, write
from .following import Following, FollowingConfig, Mood
from .lamp import Lamp
from .picture import Shown
from .trials import Trials, TrialsConfig
from .words import words_of

STYLES = ("bar", "ball", "arrow")
CUES = ("stream", "own", "none")
SHOWN = "shown:"
"""Before the label of a cue that came with the stream: the marker tells when it was seen, and is no
second cue."""

_REACH = 0.3  # of the shorter side of the area: from the middle to where full strength leads

_FULL_AT = 0.2  # of the reach: there a ball is filled


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageryConfig:
    """What motor imagery looks like.

    Parameters
    ----------
    style : str
        Feedback as a ``"bar"``, a ``"ball"`` or an ``"arrow"``.
    cues : str
        Cues from the ``"stream"`` (markers that are classes), the screen's ``"own"``, or
        ``"none"``.
    trials : TrialsConfig
        Of the screen's own cues; its classes are also those that the stream may cue, and `cue_s`
        and `trial_s` are how long.
    words : mapping of str to str
        What is written below the arrow of a class.
    language : str
        ``"en"`` or ``"ko"``.
    following : FollowingConfig
        How feedback follows.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    style: str = "bar"
    cues: str = "stream"
    trials: TrialsConfig = field(default_factory=TrialsConfig)
    words: Mapping[str, str] = field(default_factory=dict)
    language: str = "en"
    following: FollowingConfig = field(default_factory=FollowingConfig)

    def __post_init__(self) -> None:
        for name, allowed in (("style", STYLES), ("cues", CUES)):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}: "
                    "choose one."
                )
        words_of(self.language)


class Imagery:
    """A picture: cue arrow, then feedback.

    Parameters
    ----------
    config : ImageryConfig, optional
        How it looks.

    Notes
    -----
    With cues of its own its labels are those that a calibration writes: the class at the cue,
    ``"rest"`` at the end, ``"reject"`` for a trial that a pause broke off. Of a cue that came with
    the stream, the label is `SHOWN` and the class.
    """

    Config = ImageryConfig

    def __init__(self, config: ImageryConfig | None = None) -> None:
        self.config = config or ImageryConfig()
        self.following = Following(self.config.following)
        self.trials = Trials(self.config.trials)
        self.look: Look = DARK
        self._words = words_of(self.config.language)
        self._lamp = Lamp()
        self._waiting: list[str] = []
        self._cue, self._cue_until, self._goal_until, self._before = "", -1, -1, 0
        self._rate_hz = 60.0

    def begin(self, rate_hz: float, look: Look) -> None:
        """Learn how many frames a second there are, and the colours."""
        self.look, self._rate_hz = look, rate_hz
        self.following.begin(rate_hz)
        self.trials.begin(rate_hz)
        self._lamp.begin(rate_hz)

    def take(self, message: Telegram) -> None:
        """Learn from a message of the session."""
        self.following.take(message)
        if isinstance(message, Chunk) and self.config.cues == "stream":
            classes = self.config.trials.classes
            ended = self.config.trials.end_marker
            self._waiting += [
                marker.label for marker in message.markers if marker.label in (*classes, ended)
            ]

    def paint(self, painter: QPainter, area: QRectF, frame: int) -> Shown:
        """Draw a frame."""
        self.following.advance(frame)
        labels = self._cued(frame)
        self._before = frame
        mood = self.following.mood
        if mood is Mood.WAITING:
            self._say(painter, area, self._words["waiting"], area.height())
        elif mood is Mood.PAUSED:
            self._draw_pause(painter, area)
        elif self.config.cues == "own" and self.trials.phase == "over":
            self._say(painter, area, self._words["end"], area.height())
        elif frame < self._cue_until:
            self._draw_cue(painter, area)
        else:
            self._draw_feedback(painter, area, goal=frame < self._goal_until)
        return Shown(labels=labels, lit=self._lamp.lit(frame, labels))

    # ------------------------------------------------------------------------------- cues

    def _cued(self, frame: int) -> tuple[str, ...]:
        """What begins with this frame."""
        paused = self.following.mood in (Mood.PAUSED, Mood.WAITING)
        if self.config.cues == "own":
            labels = self.trials.advance(frame - self._before, paused=paused)
            self._cue = self.trials.label
            self._cue_until = frame + 1 if self.trials.phase == "cue" else -1
            self._goal_until = frame + 1 if self.trials.phase == "trial" else -1
            return labels
        waiting, self._waiting = self._waiting, []
        if paused:
            self._cue_until = self._goal_until = -1
            return ()  # a cue that nobody sees has no time at which it was seen
        for label in waiting:
            self._begin_cue(label, frame)
        return tuple(SHOWN + label for label in waiting)

    def _begin_cue(self, label: str, frame: int) -> None:
        trials = self.config.trials
        self._cue, self._cue_until, self._goal_until = label, -1, -1
        if label in trials.classes:
            self._cue_until = frame + round(trials.cue_s * self._rate_hz)
            self._goal_until = self._cue_until + round(trials.trial_s * self._rate_hz)

    def _said(self, label: str) -> str:
        plain = label.replace("_", " ").capitalize()
        return self.config.words.get(label) or self._words.get(label) or plain

    # ------------------------------------------------------------------------------- drawing

    def _say(self, painter: QPainter, area: QRectF, words: str, height: float) -> None:
        write(painter, area, words, Writing(colour=self.look.text, height=MIDDLE * height))

    def _draw_pause(self, painter: QPainter, area: QRectF) -> None:
        size = area.height() * 0.12
        draw_pause(painter, area.center() - QPointF(0, size * 0.4), size, self.look.faint)
        below = QRectF(area.left(), area.center().y() + size * 0.4, area.width(), size)
        self._say(painter, below, self._words["pause"], area.height())

    def _draw_cue(self, painter: QPainter, area: QRectF) -> None:
        middle, reach = area.center(), _REACH * min(area.width(), area.height())
        toward = self.following.direction(self._cue)
        painter.setBrush(QColor(self.look.text))
        painter.setPen(Qt.PenStyle.NoPen)
        if toward is None:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(self.look.text), reach * 0.08))
            painter.drawEllipse(middle, reach * 0.4, reach * 0.4)
        else:
            along = QPointF(toward[0], -toward[1]) * reach * 0.75
            painter.drawPath(arrow(middle - along, middle + along, reach * 0.22))
        line = QRectF(area.left(), 0, area.width(), LARGE * 1.6 * area.height())
        line.moveBottom(area.bottom() - area.height() * 0.07)
        write(
            painter, line, self._said(self._cue),
            Writing(colour=self.look.text, height=LARGE * area.height(), bold=True),
        )  # fmt: skip

    def _draw_feedback(self, painter: QPainter, area: QRectF, *, goal: bool) -> None:
        middle, reach = area.center(), _REACH * min(area.width(), area.height())
        self._draw_places(painter, middle, reach, goal=goal)
        at = middle + QPointF(self.following.x, -self.following.y) * reach
        draw = {"bar": self._bar, "ball": self._ball, "arrow": self._arrow}
        draw[self.config.style](painter, middle, at, reach)

    def _draw_places(self, painter: QPainter, middle: QPointF, reach: float, *, goal: bool) -> None:
        """Where each class leads; the one that is asked for has a double line."""
        size = reach * 0.14
        for label in self.config.trials.classes:
            toward = self.following.direction(label)
            if toward is None:
                continue
            place = middle + QPointF(toward[0], -toward[1]) * (reach * 1.25)
            asked = goal and toward == self.following.direction(self._cue)
            colour = QColor(self.look.text if asked else self.look.faint)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colour, size * (0.22 if asked else 0.1)))
            painter.drawEllipse(place, size, size)
            if asked:
                painter.setBrush(colour)
                painter.drawEllipse(place, size * 0.4, size * 0.4)
        draw_cross(painter, middle, reach * 0.16, self.look.faint)

    def _bar(self, painter: QPainter, middle: QPointF, at: QPointF, reach: float) -> None:
        """From the middle towards the side that leads, and as long as it is strong."""
        width = reach * 0.2
        painter.setPen(QPen(QColor(self.look.accent), width, c=Qt.PenCapStyle.FlatCap))
        level = abs(at.x() - middle.x()) >= abs(at.y() - middle.y())
        end = QPointF(at.x(), middle.y()) if level else QPointF(middle.x(), at.y())
        if (end - middle).manhattanLength() > 1:
            painter.drawLine(middle, end)
        aside = QPointF(0, width * 0.8) if level else QPointF(width * 0.8, 0)
        painter.setPen(QPen(QColor(self.look.text), reach * 0.03, c=Qt.PenCapStyle.RoundCap))
        painter.drawLine(end - aside, end + aside)

    def _ball(self, painter: QPainter, middle: QPointF, at: QPointF, reach: float) -> None:
        """Hollow at rest; it fills as it leaves the middle, so that it never flashes."""
        inside = QColor(self.look.accent)
        inside.setAlphaF(min(1.0, math.hypot(self.following.x, self.following.y) / _FULL_AT))
        painter.setPen(QPen(QColor(self.look.text), reach * 0.025))
        painter.setBrush(inside)
        painter.drawEllipse(at, reach * 0.13, reach * 0.13)

    def _arrow(self, painter: QPainter, middle: QPointF, at: QPointF, reach: float) -> None:
        painter.setPen(QPen(QColor(self.look.text), reach * 0.02))
        painter.setBrush(QColor(self.look.accent))
        if (at - middle).manhattanLength() > 1:  # it shrinks to nothing: the cross is rest
            painter.drawPath(arrow(middle, at, reach * 0.14))
