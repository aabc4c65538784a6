"""How good each electrode is, on a map that a nurse and an experimenter can both read."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QPainter

from ..runtime.messages import StreamSpec
from ..runtime.quality import Quality
from .drawing import MIDDLE, pen
from .electrode_map import ElectrodeMap
from .electrode_state import IMPEDANCE_KOHM, Electrodes, MapWords, State
from .look import DARK, Look, blend
from .map_plan import MapPlan, Place, Spot

_SHAPES = {State.UNKNOWN: 0, State.GOOD: 0, State.DOUBTFUL: 1, State.BAD: 2}
_SIGNS = {State.DOUBTFUL: "!", State.BAD: "\N{MULTIPLICATION SIGN}"}
_LEGEND = (State.GOOD, State.DOUBTFUL, State.BAD, State.UNKNOWN)


class QualityMap(ElectrodeMap):
    """Electrodes as signs: a disc is good, a triangle doubtful, a square with a cross bad.

    Under them stand how many are in which state, and what is wrong; where the mouse or the cursor
    is, what is known of that electrode.

    Parameters
    ----------
    look : Look
        Colours.
    size_pt : int
        Of plain text; 16 and more reads from two metres.
    positions : mapping of str to tuple of 3 float, optional
        Usual places of scalp electrodes by name, metres.
    words : MapWords, optional
        English by default.
    limits_kohm : tuple of 2 float
        Impedance is good up to the first, bad from the second.
    """

    def __init__(
        self,
        look: Look = DARK,
        size_pt: int = 10,
        *,
        positions: Mapping[str, Place] | None = None,
        words: MapWords | None = None,
        limits_kohm: tuple[float, float] = IMPEDANCE_KOHM,
    ) -> None:
        super().__init__(look, size_pt, positions=positions)
        self.electrodes = Electrodes(words, limits_kohm)
        self._describe()

    def show_spec(self, spec: StreamSpec) -> None:
        """Draw the electrodes of a stream from now on; nothing is known of them yet."""
        self.electrodes.forget(frozenset(c.name for c in spec.channels if c.bad))
        super().show_spec(spec)
        self._describe()

    def show_quality(self, quality: Quality) -> None:
        """Show how good they are.

        Parameters
        ----------
        quality : Quality
            As the session tells it; electrodes that are not on the map are passed over.
        """
        if self.electrodes.take(quality):
            self._describe()
            self.update()

    def show_impedance(self, impedance: Mapping[str, float | None] | None) -> None:
        """Show impedances beside the quality; the worse of the two counts.

        Parameters
        ----------
        impedance : mapping of str to float or None
            Name -> kOhm, None where it was not measured; None altogether shows none.
        """
        self.electrodes.measure(impedance)
        self._describe()
        self.update()

    def set_words(self, words: MapWords) -> None:
        """Speak another language."""
        self.electrodes.words = words
        self._describe()
        self.update()

    def foot(self) -> list[str]:
        """The chosen electrode or what is wrong; notes on places."""
        said = self.electrodes.sentence(self.choice) if self.choice else self._summary
        notes = " ".join(plan.note for plan in self.plans if plan.note)
        return [said, *([notes] if notes else [])]

    def paint(self, painter: QPainter) -> None:
        """Draw the map, and how many electrodes are in which state."""
        super().paint(painter)
        if self.plans:
            self._paint_legend(painter)
        else:
            box = QRectF(self.rect())
            said = self.electrodes.words.waiting
            self.write(painter, box, said, colour=self.look.faint, align=MIDDLE)

    def paint_spot(
        self, painter: QPainter, plan: MapPlan, spot: Spot, at: QPointF, radius: float
    ) -> None:
        """Draw a sign."""
        self._paint_sign(painter, self.electrodes.state(spot.name), at, radius)

    def paint_label(
        self, painter: QPainter, plan: MapPlan, spot: Spot, at: QPointF, radius: float
    ) -> None:
        """Write the name: in the sign where it is good, under it where it is not."""
        state = self.electrodes.state(spot.name)
        if plan.kind == "shafts":
            self._beside(painter, spot, state, at, radius)
            return
        scale = label_scale(spot.short, radius, self.line_height())
        if state > State.GOOD:
            self._below(painter, spot.short, at, radius, max(scale, 0.72), bold=True)
            return
        if scale >= 0.5:
            box = QRectF(at.x() - radius, at.y() - radius, 2 * radius, 2 * radius)
            self._label(painter, box, spot.short, scale)
        if spot.name in self.electrodes.impedance and radius >= 10:
            kohm = f"{self.electrodes.impedance[spot.name]:.0f}"
            self._below(painter, kohm, at, radius, 0.65)

    def _beside(
        self, painter: QPainter, spot: Spot, state: State, at: QPointF, radius: float
    ) -> None:
        """The number of a contact, and its impedance, where a shaft leaves room."""
        scale = min(0.85, 2.6 * radius / self.line_height())
        if scale < 0.5:
            return
        kohm = self.electrodes.impedance.get(spot.name)
        text = spot.short if kohm is None else f"{spot.short} · {kohm:.0f}"
        box = QRectF(at.x() + 1.3 * radius + 3, at.y() - 20, 90, 40)
        bad = state > State.GOOD
        colour = self.look.text if bad else self.look.faint
        self.write(painter, box, text, scale=scale, bold=bad, colour=colour)

    def _below(
        self,
        painter: QPainter,
        text: str,
        at: QPointF,
        radius: float,
        scale: float,
        *,
        bold: bool = False,
    ) -> None:
        """Under a sign, on a ground of its own: the next sign may be near."""
        width, height = self.width_of(text, scale, bold=bold) + 2, 0.82 * self.line_height(scale)
        box = QRectF(at.x() - width / 2, at.y() + radius, width, height)
        ground = QColor(self.look.surface)
        ground.setAlpha(190)
        painter.fillRect(box, ground)
        self._label(painter, box, text, scale, bold=bold)

    def _label(
        self, painter: QPainter, box: QRectF, text: str, scale: float, *, bold: bool = False
    ) -> None:
        painter.setFont(self.type_of(scale, bold=bold))
        painter.setPen(pen(self.look.text))
        painter.drawText(box, MIDDLE, text)

    def _paint_sign(self, painter: QPainter, state: State, at: QPointF, radius: float) -> None:
        colours = (self.look.faint, self.look.good, self.look.doubtful, self.look.bad)
        colour = colours[state]
        quiet = blend(self.look.surface, colour, 0.28)
        fill = ("", quiet, colour, colour)[state]
        self.stamp(painter, _SHAPES[state], at, radius, fill, colour)
        if state in _SIGNS and radius >= 4.5:
            box = QRectF(at.x() - radius, at.y() - 0.85 * radius, 2 * radius, 2 * radius)
            box.translate(0, -0.15 * radius if state is State.BAD else 0)
            scale = 1.55 * radius / self.line_height()
            painter.setFont(self.type_of(scale, bold=True))
            painter.setPen(pen(self.look.surface))
            painter.drawText(box, MIDDLE, _SIGNS[state])

    def _paint_legend(self, painter: QPainter) -> None:
        line = self.line_height()
        left, top = 12.0, self.height() - self.foot_height() + 0.25 * line
        for state in _LEGEND:
            count = self._counts[state]
            if not count and state is State.UNKNOWN:
                continue
            text = f"{count} {self.electrodes.words.of(state)}"
            width = self.width_of(text, bold=bool(count)) + 4
            middle = QPointF(left + 0.4 * line, top + 0.5 * line)
            self._paint_sign(painter, state, middle, 0.36 * line)
            box = QRectF(left + line, top, width, line)
            self.write(painter, box, text, bold=bool(count))
            left += line + width + 0.9 * line

    def _describe(self) -> None:
        """Keep what is said with every frame; and say it to a screen reader."""
        self._counts = self.electrodes.counts(self.names)
        self._summary = self.electrodes.summary(self.names)
        self.setAccessibleName("signal quality of the electrodes")
        self.setAccessibleDescription(self._summary)


def label_scale(text: str, radius: float, line_height: float) -> float:
    """Share of the plain size at which a name fits into a disc.

    Parameters
    ----------
    text : str
        The name.
    radius : float
        Of the disc, pixels.
    line_height : float
        Of plain text, pixels.

    Returns
    -------
    scale : float
        0.9 at most; below 0.5 it cannot be read.
    """
    return min(0.9, 1.05 * radius / line_height * min(1.0, 3.2 / max(len(text), 1)))
