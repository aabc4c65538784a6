"""The participant's screen: one picture, frame by frame, each flip on record."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QGuiApplication, QPainter

from ..feed import Teller
from ..look import DARK, Look
from ..view_state import DISCLAIMER
from .bare_window import BareWindow, fills, place
from .drawing import Writing, warm_up, write
from .flips import FlipRecord
from .frame_clock import FrameClock
from .frame_count import Flip
from .lamp import PatchConfig, PatchLight
from .patch import draw_patch, patch_area
from .picture import NOTHING, Picture, Shown, Waits

_MOST_MESSAGES = 200  # taken in before one frame; the wire keeps the rest, and drops what is old
_SURE_S = 3.0
_AGAIN = "Press Esc again to close this screen."
_PATCH_PAUSED = (
    "The picture asked for more flashes of the patch than may be shown in a second; those beyond "
    "are left out, and the log says which labels had none."
)


class Stage(QObject):
    """Runs a picture on a frame clock. All on one thread.

    Before each frame it takes in what the session told, then the picture draws, then the patch is
    drawn over it; once the frame is seen, its labels go on record. Keys: the space bar stops all
    output, Enter lets a picture go on that waits for a person, F11 fills the screen or leaves it,
    Esc twice closes.

    Parameters
    ----------
    picture : Picture
        What is shown.
    clock : FrameClock
        When.
    record : FlipRecord, optional
        Where flips go; it is closed with the stage.
    teller : Teller, optional
        Where messages come from; it is closed with the stage.
    look : Look
        Colours.
    patch : PatchConfig, optional
        The square for a photodiode.
    tell : callable, optional
        Told sentences for the operator. Nothing of the kind is shown to the participant.
    stop : callable, optional
        The emergency stop; without it the space bar does nothing, and whoever opened the screen
        says so.
    """

    closed = Signal()
    """The screen is going away."""

    def __init__(
        self,
        picture: Picture,
        clock: FrameClock,
        *,
        record: FlipRecord | None = None,
        teller: Teller | None = None,
        look: Look = DARK,
        patch: PatchConfig | None = None,
        tell: Callable[[str], None] = lambda sentence: None,
        stop: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self._stop = stop
        self.picture, self.clock, self.look = picture, clock, look
        self.record = record or FlipRecord()
        self.patch = patch or PatchConfig()
        self._teller, self._tell = teller, tell
        self._light = PatchLight(self.patch.flashes_hz, clock.rate_hz)
        self._shown: Shown = NOTHING
        self._filled = self._running = False
        self._frame = self._sure_until = -1
        if isinstance(clock.window, BareWindow):
            clock.window.pressed.connect(self.press)
            clock.window.closed.connect(self.close)

    def show(self, full_screen: bool | None = None) -> None:
        """Open the window and begin.

        Parameters
        ----------
        full_screen : bool, optional
            Whether it fills a screen; None for only where there is a second one.
        """
        if self.clock.window is not None:
            self._filled = place(self.clock.window, full_screen)
        self._running = True
        warm_up(self.look.text)
        self.picture.begin(self.clock.rate_hz, self.look)
        self._light = PatchLight(self.patch.flashes_hz, self.clock.rate_hz)
        self.clock.start(self._draw, self._flipped)

    def close(self) -> None:
        """End, and put everything away. Twice is harmless."""
        if not self._running:
            return
        self._running = False
        self.clock.stop()
        self.record.close()
        if self._teller is not None:
            self._teller.close()
        if self.clock.window is not None:
            self.clock.window.close()
        self.closed.emit()

    def press(self, key: int) -> None:
        """A key was pressed.

        Parameters
        ----------
        key : int
            As ``Qt.Key`` numbers it.
        """
        if key == Qt.Key.Key_Space:
            self._stop()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and isinstance(self.picture, Waits):
            self.picture.start()
        elif key == Qt.Key.Key_F11 and self.clock.window is not None:
            self._filled = not self._filled
            fills(self.clock.window, self._filled)
        elif key == Qt.Key.Key_Escape:
            if self._frame <= self._sure_until:
                self.close()
            else:
                self._sure_until = self._frame + round(_SURE_S * self.clock.rate_hz)

    def _draw(self, painter: QPainter, area: QRectF, frame: int) -> None:
        self._take_in()
        self._frame = frame
        painter.setRenderHints(
            QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing
        )
        painter.fillRect(area, QColor(self.look.ground))
        painter.save()
        shown = self.picture.paint(painter, area, frame)
        painter.restore()
        self._write_notice(painter, area)
        self._shown = Shown(labels=shown.labels, lit=self._lit(painter, area, shown.lit, frame))

    def _lit(self, painter: QPainter, area: QRectF, wanted: bool, frame: int) -> bool:
        if not self.patch.corner:
            return False
        withheld = self._light.withheld
        lit = self._light.ask(wanted, frame)
        if self._light.withheld == 1 and not withheld:
            self._tell(_PATCH_PAUSED)
        window = self.clock.window
        screen = window.screen() if window else QGuiApplication.primaryScreen()
        draw_patch(painter, patch_area(self.patch, area, screen.physicalDotsPerInch()), lit)
        return lit

    def _write_notice(self, painter: QPainter, area: QRectF) -> None:
        sure = self._frame <= self._sure_until
        strip = QRectF(area.left(), area.bottom() - area.height() * 0.05,
                       area.width(), area.height() * 0.04)  # fmt: skip
        colour = self.look.text if sure else self.look.faint
        write(painter, strip, _AGAIN if sure else DISCLAIMER,
              Writing(colour=colour, height=area.height() * 0.018))  # fmt: skip

    def _take_in(self) -> None:
        if self._teller is None:
            return
        for _ in range(_MOST_MESSAGES):
            unreadable = self._teller.unreadable
            message = self._teller.poll(0)
            if message is not None:
                self.picture.take(message)
            elif self._teller.unreadable == unreadable:
                return

    def _flipped(self, flip: Flip) -> None:
        shown, self._shown = self._shown, NOTHING
        self.record.flipped(flip, shown.labels, lit=shown.lit)
