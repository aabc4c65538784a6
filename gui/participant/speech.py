"""Speech: what to say, and what was understood, word by word with how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen

from ...runtime.errors import ConfigError
from ...runtime.messages import Event, Turn
from ...runtime.telemetry import Telegram
from ..look import DARK, Look
from .drawing import LARGE, MIDDLE, Writing, font_of, write
from .lamp import Lamp
from .picture import Shown
from .spoken import Spoken, SpokenWord
from .words import words_of

OLDER = 0.036
"""Size of the letters of utterances before, as a share of the height of the screen."""

_SILENT_S = 3.0  # a session that says nothing for so long does not listen either
_LINE = 1.7  # from one line to the next, in sizes of the letters
_GAP = 0.38  # between two words


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechScreenConfig:
    """What speech looks like.

    Parameters
    ----------
    prompt : str
        What to say where the stream gives no prompts; empty for nothing.
    size : float
        Of the decoded letters, as a share of the screen's height, 0.03 to 0.2.
    language : str
        ``"en"`` or ``"ko"``, of the few words around; what is decoded may have any letters.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    prompt: str = ""
    size: float = LARGE
    language: str = "en"

    def __post_init__(self) -> None:
        words_of(self.language)
        if not 0.03 <= self.size <= 0.2:
            raise ConfigError(
                f"size must be in [0.03, 0.2] of the screen's height, got {self.size}: 0.075 is "
                "large."
            )


class SpeechScreen:
    """A picture: prompt above, decoded words below it.

    A word that is sure is written plainly; one that is less so has a dotted line below it; one
    that is hardly more than a guess is slanted, with a question mark.

    Parameters
    ----------
    config : SpeechScreenConfig, optional
        How it looks.

    Notes
    -----
    Labels: ``"say:"`` and the prompt when it is seen, ``"word:"`` and each word, ``"corrected"``.
    """

    Config = SpeechScreenConfig

    def __init__(self, config: SpeechScreenConfig | None = None) -> None:
        self.config = config or SpeechScreenConfig()
        self.spoken = Spoken(prompt=self.config.prompt)
        self.look: Look = DARK
        self._words = words_of(self.config.language)
        self._lamp = Lamp()
        self._rate_hz = 60.0
        self._frame = self._heard_frame = 0

    def begin(self, rate_hz: float, look: Look) -> None:
        """Learn how many frames a second there are, and the colours."""
        self.look, self._rate_hz = look, rate_hz
        self._lamp.begin(rate_hz)

    def take(self, message: Telegram) -> None:
        """Learn from a message of the session."""
        self.spoken.take(message)
        if isinstance(message, Turn | Event):
            self._heard_frame = self._frame

    def paint(self, painter: QPainter, area: QRectF, frame: int) -> Shown:
        """Draw a frame."""
        labels, self._frame = self.spoken.take_begun(), frame
        height = area.height()
        inner = area.adjusted(area.width() * 0.07, height * 0.05, -area.width() * 0.07,
                              -height * 0.13)  # fmt: skip
        self._draw_state(painter, QRectF(inner.left(), inner.top(), inner.width(), height * 0.06))
        top = QRectF(inner.left(), inner.top() + height * 0.08, inner.width(), height * 0.2)
        write(painter, top, self.spoken.prompt,
              Writing(colour=self.look.faint, height=MIDDLE * height,
                      where=Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop))  # fmt: skip
        rest = QRectF(inner)
        if self.spoken.prompt:
            rest.setTop(top.bottom())
            self._draw_rule(painter, rest)
        else:
            rest.setTop(top.top())
        rest.adjust(0, height * 0.03, 0, 0)
        self._draw_words(painter, rest, height)
        return Shown(labels=labels, lit=self._lamp.lit(frame, labels))

    def _draw_rule(self, painter: QPainter, rest: QRectF) -> None:
        painter.setPen(QPen(QColor(self.look.line), 2))
        painter.drawLine(rest.topLeft(), rest.topRight())

    def _draw_state(self, painter: QPainter, strip: QRectF) -> None:
        """A disc while it listens, a ring while it does not, and the word for it."""
        silent = self._frame - self._heard_frame > _SILENT_S * self._rate_hz
        size, on = strip.height() * 0.28, self.spoken.listening and not silent
        place = QPointF(strip.left() + size * 1.2, strip.center().y())
        colour = QColor(self.look.text if on else self.look.faint)
        painter.setPen(QPen(colour, size * 0.25))
        painter.setBrush(colour if on else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(place, size, size)
        words = strip.adjusted(size * 3.4, 0, 0, 0)
        write(painter, words, self._words["listening" if on else "not listening"],
              Writing(colour=colour.name(), height=strip.height() * 0.55,
                      where=Qt.AlignmentFlag.AlignLeft
                      | Qt.AlignmentFlag.AlignVCenter))  # fmt: skip

    def _draw_words(self, painter: QPainter, area: QRectF, height: float) -> None:
        """The newest utterance large, at the top; older ones smaller and fainter below it."""
        utterances = [list(each) for each in self.spoken.utterances]
        newest = utterances.pop() if utterances else []
        size = self.config.size * height
        lines = _lines(newest, size, area.width(), more=self.spoken.attempting)
        most = max(1, int(area.height() / (size * _LINE)))
        y = area.top()
        for line in lines[-most:]:
            self._draw_line(painter, QRectF(area.left(), y, area.width(), size * _LINE), line, size)
            y += size * _LINE
        small = OLDER * height
        for words in reversed(utterances):
            for line in _lines(words, small, area.width(), more=False):
                if y + small * _LINE > area.bottom():
                    return
                box = QRectF(area.left(), y, area.width(), small * _LINE)
                self._draw_line(painter, box, line, small, old=True)
                y += small * _LINE

    def _draw_line(
        self, painter: QPainter, box: QRectF, words: Sequence[SpokenWord], size: float, *,
        old: bool = False,
    ) -> None:  # fmt: skip
        x, base = box.left(), box.top() + size * 1.1
        for word in words:
            font = _font(word, size)
            wide = QFontMetricsF(font).horizontalAdvance(_written(word))
            colour = QColor(self.look.faint if old or word.doubt == 2 else self.look.text)
            painter.setFont(font)
            painter.setPen(colour)
            painter.drawText(QPointF(x, base), _written(word))
            if word.doubt == 1:
                pen = QPen(colour, max(1.5, size * 0.06), Qt.PenStyle.CustomDashLine)
                pen.setDashPattern([1.0, 1.6])
                painter.setPen(pen)
                below = base + size * 0.22
                painter.drawLine(QPointF(x, below), QPointF(x + wide, below))
            x += wide + size * _GAP


def _written(word: SpokenWord) -> str:
    return f"{word.text}?" if word.doubt == 2 else word.text


def _font(word: SpokenWord, size: float) -> QFont:
    return font_of(size, bold=word.doubt == 0, slanted=word.doubt == 2)


def _lines(
    words: Sequence[SpokenWord], size: float, width: float, *, more: bool
) -> list[list[SpokenWord]]:
    """Words broken into lines; a word that is wider than a line is broken by letters."""
    found: list[list[SpokenWord]] = [[]]
    x = 0.0
    for word in (*words, *((SpokenWord(text="…"),) if more else ())):
        for piece in _pieces(word, size, width):
            wide = QFontMetricsF(_font(piece, size)).horizontalAdvance(_written(piece))
            if found[-1] and x + wide > width:
                found.append([])
                x = 0.0
            found[-1].append(piece)
            x += wide + size * _GAP
    return found


def _pieces(word: SpokenWord, size: float, width: float) -> list[SpokenWord]:
    wide = QFontMetricsF(_font(word, size)).horizontalAdvance(_written(word))
    if wide <= width:
        return [word]
    n_letters = max(1, int(len(word.text) * width / wide * 0.9))
    n_pieces = math.ceil(len(word.text) / n_letters)
    cuts = [word.text[n * n_letters : (n + 1) * n_letters] for n in range(n_pieces)]
    return [SpokenWord(text=cut, confidence=word.confidence) for cut in cuts]
