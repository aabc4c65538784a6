"""How large words are: what matters is read at two metres.

The rule: capitals of what matters are at least 7 mm high on a screen of 96 dots per inch. At 2 m
that is 12 minutes of arc, above the 10 that [1]_ calls for at least; the status word, 12 mm high,
is at the 20 to 22 that it prefers. Everything grows with the window, and never shrinks.

References
----------
.. [1] ISO 9241-303:2011, requirements for electronic visual displays, character height.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..look import Look, style_sheet

CAP_SHARE = 0.71
"""Height of a capital as a share of the size of its font, of the fonts in `look.FONTS`."""

LEAST_CAP_MM = 7.0
"""Of what matters."""

MM_PER_POINT = 25.4 / 72


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes of the console's words, in points.

    Parameters
    ----------
    status : int
        The word beside the light.
    main : int
        What happens now, what to do next, and the main button.
    stop : int
        On the emergency stop.
    alarm : int
        The sentence of an alarm.
    fact, small, least : int
        Facts and the pseudonym; other buttons and notes; the foot.
    """

    status: int = 48
    main: int = 28
    stop: int = 36
    alarm: int = 28
    fact: int = 20
    small: int = 14
    least: int = 11

    @classmethod
    def for_window(cls, width: int, height: int) -> Sizes:
        """Sizes for a window, given in pixels: as above up to 1280 by 800, larger beyond."""
        grow = max(1.0, min(width / 1280, height / 800, 2.0))
        standard = cls()
        names = cls.__slots__
        return cls(**{name: int(getattr(standard, name) * grow) for name in names})


def cap_height_mm(points: float) -> float:
    """How high a capital is on a screen of 96 dots per inch."""
    return points * MM_PER_POINT * CAP_SHARE


def console_style(look: Look, sizes: Sizes) -> str:
    """The style sheet of the console.

    Parameters
    ----------
    look : Look
        Colours.
    sizes : Sizes
        Of the words; a label says which it takes by its property ``words``.

    Returns
    -------
    text : str
        A Qt style sheet.
    """
    roles = "\n".join(
        f'*[words="{name}"] {{ font-size: {getattr(sizes, name)}pt; }}' for name in Sizes.__slots__
    )
    return f"""{style_sheet(look, sizes.small)}
    {roles}
    QWidget#console {{ background: {look.ground}; }}
    QLabel[strong="true"], QPushButton[strong="true"] {{ font-weight: bold; }}
    QLabel[faint="true"] {{ color: {look.faint}; }}
    QLabel[here="true"] {{ color: {look.text}; font-weight: bold;
        border-bottom: 3px solid {look.accent}; }}
    QFrame#alarm {{ background: {look.surface}; border: 2px solid {look.line};
        border-radius: 6px; }}
    QFrame#alarm[state="none"] QLabel {{ color: {look.faint}; }}
    QFrame#alarm[state="high"] {{ background: {look.stop}; border-color: {look.stop}; }}
    QFrame#alarm[state="high"] QLabel {{ color: {look.on_stop}; }}
    QFrame#alarm[state="high-dark"] {{ border: 4px solid {look.bad}; }}
    QFrame#alarm[state="medium"] {{ background: {look.doubtful}; border-color: {look.doubtful}; }}
    QFrame#alarm[state="medium"] QLabel {{ color: {look.ground}; }}
    QFrame#alarm[state="medium-dark"] {{ border: 4px solid {look.doubtful}; }}
    QFrame#alarm[state="low"] {{ border: 2px solid {look.accent}; }}
    QFrame#card {{ background: {look.surface}; border: 1px solid {look.line};
        border-radius: 8px; }}
    QPushButton#main {{ background: {look.accent}; color: {look.ground}; font-weight: bold;
        border: 3px solid {look.accent}; border-radius: 10px; padding: 2px 28px; }}
    QPushButton#main:focus, QPushButton#main:hover {{ border: 3px solid {look.text}; }}
    QPushButton#main:disabled {{ background: {look.raised}; color: {look.faint};
        border: 3px dashed {look.line}; }}
    QPushButton#stop {{ padding: 0; border-radius: 10px; }}
    QPushButton#stop QLabel {{ color: {look.on_stop}; background: transparent; }}
    QLineEdit {{ padding: 8px 14px; border: 2px solid {look.accent}; }}
    """
