"""Where the traces are shown: the picture, the names beside it, the time below it."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QPoint, QRect, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetrics, QImage, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from ..trace_marks import Grade
from ..trace_picture import TracePicture

SIGNS = {Grade.GOOD: "", Grade.DOUBTFUL: "!", Grade.BAD: "✕"}
"""Said beside a name, since colour alone does not tell."""
HELD = "PAUSED"
"""Over a picture that is held."""

_BAR = 10  # columns left dark before the sweep
_LABEL = 160  # pixels that a marker's label may take
_SHADED = 26  # of 255
_STRIP = 5  # pixels of the strip over an abstained stretch
_NAMES_PX = 116
_AXIS_PX = 18


class TraceCanvas(QWidget):
    """Shows a `TracePicture`, and what lies over it: markers, abstained stretches, the sweep.

    Parameters
    ----------
    picture : TracePicture
        What to show.
    """

    painted = Signal(int)
    """The stream index one past the newest sample, whenever a paint has ended."""

    def __init__(self, picture: TracePicture) -> None:
        super().__init__()
        self.picture = picture
        self._voids = -1
        self._shown: object = None
        self._image = QImage()
        self._held = picture.pixels  # what the image points at, for as long as it does
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(160, 80)

    def advance(self) -> None:
        """Draw new columns, and have only those painted."""
        scale = self.devicePixelRatioF()
        width, height = round(self.width() * scale), round(self.height() * scale)
        first, stop = self.picture.advance(max(width, 1), max(height, 1))
        touched, self.picture.marks.touched = self.picture.marks.touched, None
        layout = (self.picture.voids, self.sweeping, self.picture.last_column)
        if self._shown is None or layout[:2] != self._shown[:2]:  # type: ignore[index]
            self.update()
        elif self.sweeping:
            if touched is not None:
                first = min(first, int(touched / self.picture.per_column))
            self._update_columns(first, stop, labelled=touched is not None)
        elif stop > first or layout != self._shown or touched is not None:
            self.update()
        self._shown = layout

    @property
    def sweeping(self) -> bool:
        """Whether columns stay where they are."""
        return self.picture.view.sweep and self.picture.view.paused_at is None

    def places(self, first: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Where columns lie that are to be seen: one or two pieces.

        Parameters
        ----------
        first, stop : int
            Columns of the stream, stop exclusive.

        Yields
        ------
        column, x, width : int
            First column of the piece; its place and width in device pixels.
        """
        width, last = self.picture.pixels.shape[1], self.picture.last_column
        first, stop = max(first, last - width), min(stop, last)
        while first < stop:
            x = first % width if self.sweeping else first - (last - width)
            piece = min(stop - first, width - x)
            yield first, x, piece
            first += piece

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint what is asked for."""
        picture, look, scale = self.picture, self.picture.look, self.devicePixelRatioF()
        painter = QPainter(self)
        ground = QColor(look.surface)
        if picture.end - picture.begin < picture.pixels.shape[1]:
            painter.fillRect(event.rect(), ground)
        image, height = self._wrapped(), picture.pixels.shape[0]
        painter.scale(1 / scale, 1 / scale)
        for column, x, width in self.places(picture.begin, picture.end):
            source = QRect(column % picture.pixels.shape[1], 0, width, height)
            self._copy(painter, x, image, source)
        self._paint_abstained(painter, height)
        self._paint_markers(painter, height)
        if self.sweeping and picture.end:
            x = picture.end % picture.pixels.shape[1]
            painter.fillRect(x, 0, _BAR, height, ground)
            painter.fillRect(x, 0, 2, height, QColor(look.accent))
        if picture.view.paused_at is not None:
            self._paint_hold(painter)
        painter.end()
        self.painted.emit(picture.shown_stop)

    def _copy(self, painter: QPainter, x: int, image: QImage, source: QRect) -> None:
        """A piece of the ring, which may run over the ring's end."""
        straight = min(source.width(), image.width() - source.x())
        painter.drawImage(QPoint(x, 0), image, QRect(source.x(), 0, straight, source.height()))
        if straight < source.width():
            rest = QRect(0, 0, source.width() - straight, source.height())
            painter.drawImage(QPoint(x + straight, 0), image, rest)

    def _wrapped(self) -> QImage:
        """The picture's own memory, as Qt wants it."""
        pixels = self.picture.pixels
        if self._voids != self.picture.voids:
            height, width = pixels.shape
            self._image = QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32)
            self._held, self._voids = pixels, self.picture.voids
        return self._image

    def _paint_abstained(self, painter: QPainter, height: int) -> None:
        picture = self.picture
        tint = QColor(picture.look.text)
        strip = QBrush(tint, Qt.BrushStyle.BDiagPattern)
        tint.setAlpha(_SHADED)
        oldest = (picture.last_column - picture.pixels.shape[1]) * picture.per_column
        for first, stop in reversed(picture.marks.abstained):
            if stop < oldest:
                break
            columns = int(first / picture.per_column), int(stop / picture.per_column)
            for _, x, width in self.places(columns[0], min(columns[1], picture.end)):
                painter.fillRect(x, 0, width, height, tint)
                painter.fillRect(x, height - _STRIP, width, _STRIP, strip)

    def _paint_markers(self, painter: QPainter, height: int) -> None:
        picture, scale = self.picture, self.devicePixelRatioF()
        painter.setPen(QPen(QColor(picture.look.text), 1, Qt.PenStyle.DashLine))
        font = QFont(self.font())
        font.setPixelSize(round(11 * scale))
        painter.setFont(font)
        metrics = QFontMetrics(font)
        oldest = (picture.last_column - picture.pixels.shape[1]) * picture.per_column
        for back, marker in enumerate(reversed(picture.marks.markers)):
            if marker.sample < oldest:
                break
            column = int(marker.sample / picture.per_column)
            for _, x, _ in self.places(column, min(column + 1, picture.end)):
                painter.drawLine(x, 0, x, height)
                line = (picture.marks.n_markers - back) % 3  # so that near ones can all be read
                self._paint_label(painter, metrics, x, line, marker.label)

    def _paint_label(
        self, painter: QPainter, metrics: QFontMetrics, x: int, line: int, label: str
    ) -> None:
        text = metrics.elidedText(label, Qt.TextElideMode.ElideRight, _LABEL - 12)
        tall = metrics.height() + 2
        wide = metrics.horizontalAdvance(text) + 8
        # On the left, where a sweep has been already.
        box = QRect(x - wide if x > wide else x + 1, line * (tall + 1), wide, tall)
        head = self.picture.end % self.picture.pixels.shape[1]
        if self.sweeping and box.left() < head < box.right():
            return  # it is being wiped out
        painter.fillRect(box, QColor(self.picture.look.raised))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_hold(self, painter: QPainter) -> None:
        """Nobody must take a picture that is held for what happens now."""
        look, scale = self.picture.look, self.devicePixelRatioF()
        height, width = self.picture.pixels.shape
        font = QFont(self.font())
        font.setPixelSize(round(15 * scale))
        font.setBold(True)
        painter.setFont(font)
        metrics = QFontMetrics(font)
        wide, tall = metrics.horizontalAdvance(HELD) + 16, metrics.height() + 6
        box = QRect(width - wide - 8, height - tall - 12, wide, tall)
        painter.fillRect(box, QColor(look.doubtful))
        painter.setPen(QColor(look.surface))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, HELD)
        painter.setPen(QPen(QColor(look.doubtful), 3 * scale))
        painter.drawRect(1, 1, width - 3, height - 3)

    def _update_columns(self, first: int, stop: int, *, labelled: bool) -> None:
        """Ask for the paint of some columns, of the sweep before them, and of labels on them."""
        scale, height = self.devicePixelRatioF(), self.height()
        total = self.picture.pixels.shape[1]
        if stop <= first:
            return
        first -= _LABEL if labelled else 0
        wide = min(stop - first + _BAR + 2, total)
        x = first % total
        for begin, width in ((x, min(wide, total - x)), (0, max(x + wide - total, 0))):
            if width:
                left, right = int(begin / scale) - 1, int((begin + width) / scale) + 2
                self.update(QRect(left, 0, right - left, height))


class TraceNames(QWidget):
    """Names at the left of the traces, with a sign and the cause where something is wrong.

    Parameters
    ----------
    picture : TracePicture
        Whose rows.
    """

    def __init__(self, picture: TracePicture) -> None:
        super().__init__()
        self.picture = picture
        self._shown: tuple[object, ...] = ()
        self.setFixedWidth(_NAMES_PX)

    def advance(self) -> None:
        """Have it painted, if anything has changed."""
        marks, rows = self.picture.marks, self.picture.rows
        shown = (rows.tobytes(), marks.grades.tobytes(), marks.causes, self.picture.look)
        if shown != self._shown:
            self._shown = shown
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint as many names as there is room for, those of bad channels first."""
        rows, spec, marks = self.picture.rows, self.picture.store.spec, self.picture.marks
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self.picture.look.surface))
        if spec is None or not len(rows):
            return
        pitch = self.height() / len(rows)
        font = QFont(self.font())
        font.setPixelSize(max(min(round(pitch * 0.92), 13), 9))
        painter.setFont(font)
        tall = QFontMetrics(font).height() if pitch < 12 else pitch
        taken: list[float] = []
        for place in sorted(range(len(rows)), key=lambda n: (-marks.grades[rows[n]], n)):
            middle = (place + 0.5) * pitch
            grade = Grade(marks.grades[rows[place]])
            self._paint_tick(painter, middle, pitch, grade)
            if all(abs(middle - other) >= tall * 0.8 for other in taken):
                taken.append(middle)
                box = QRect(4, round(middle - tall / 2), self.width() - 12, round(tall))
                row = rows[place]
                self._paint_name(painter, box, spec.channels[row].name, grade, marks.causes[row])

    def _paint_tick(self, painter: QPainter, middle: float, pitch: float, grade: Grade) -> None:
        """At the edge, so that a row without room for its name shows its state as well."""
        if grade is not Grade.GOOD:
            wide = 6 if grade is Grade.BAD else 3
            tall = max(round(pitch) - 1, 2)
            at = QRect(self.width() - wide, round(middle - tall / 2), wide, tall)
            painter.fillRect(at, self._colour(grade))

    def _paint_name(
        self, painter: QPainter, box: QRect, name: str, grade: Grade, cause: str
    ) -> None:
        look, metrics = self.picture.look, painter.fontMetrics()
        left, middle = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignVCenter
        painter.setPen(self._colour(grade))
        painter.drawText(box, left | middle, SIGNS[grade])
        box = box.adjusted(14, 0, 0, 0)
        painter.setPen(QColor(look.text))
        painter.drawText(box, left | middle, name)
        room = box.adjusted(metrics.horizontalAdvance(name) + 6, 0, 0, 0)
        painter.setPen(QColor(look.faint))
        said = metrics.elidedText(cause, Qt.TextElideMode.ElideRight, max(room.width(), 0))
        painter.drawText(room, left | middle, said)

    def _colour(self, grade: Grade) -> QColor:
        look = self.picture.look
        return QColor((look.text, look.doubtful, look.bad)[grade])


class TraceTimes(QWidget):
    """Time below the traces, from the start of the stream.

    Parameters
    ----------
    canvas : TraceCanvas
        Under which it lies.
    """

    def __init__(self, canvas: TraceCanvas) -> None:
        super().__init__()
        self._canvas = canvas
        self._shown: object = None
        self.setFixedHeight(_AXIS_PX)

    def advance(self) -> None:
        """Have it painted, if another second is to be seen."""
        picture = self._canvas.picture
        newest = self._tick(picture.last_column)
        place = newest if self._canvas.sweeping else picture.last_column
        shown = (place, picture.voids, self._canvas.sweeping, self.width())
        if shown != self._shown:
            self._shown = shown
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the times of the upright lines."""
        picture, canvas = self._canvas.picture, self._canvas
        scale, left = canvas.devicePixelRatioF(), canvas.x() - self.x()
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(picture.look.surface))
        painter.setPen(QColor(picture.look.faint))
        font = QFont(self.font())
        font.setPixelSize(11)
        painter.setFont(font)
        newest = self._tick(picture.last_column)
        oldest = self._tick(picture.last_column - picture.pixels.shape[1])
        for tick in range(max(oldest, 0), newest + 1):
            time_s = tick * picture.tick_s
            column = int(time_s * picture.store.rate_hz / picture.per_column)
            for _, x, _ in canvas.places(column, column + 1):
                box = QRect(left + round(x / scale) - 30, 0, 60, self.height())
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, clock_text(time_s))

    def _tick(self, column: int) -> int:
        picture = self._canvas.picture
        return int(column * picture.per_column / picture.store.rate_hz / picture.tick_s)


def clock_text(time_s: float) -> str:
    """Minutes and seconds, with a tenth where it is not whole."""
    minutes, seconds = divmod(time_s, 60)
    if abs(time_s - round(time_s)) > 1e-6:
        return f"{int(minutes)}:{seconds:04.1f}"
    return f"{int(minutes)}:{round(seconds):02d}"
