"""Colours, sizes and the style sheet of every window: dark for a room at night, light for a day."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

FONTS = "'Noto Sans', 'Noto Sans CJK KR', 'Malgun Gothic', 'DejaVu Sans', sans-serif"
"""With Hangul, wherever one of them is installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One set of colours, each ``"#rrggbb"``.

    The three states also differ in lightness, and no window tells a state by colour alone: about
    one man in twelve cannot tell red from green.

    Parameters
    ----------
    name : str
        For settings.
    ground, surface, raised : str
        Behind everything, of a panel, of a button.
    text, faint, line : str
        Words; words that matter less; borders and grids.
    accent : str
        What is chosen, or has the keyboard.
    good, doubtful, bad : str
        States.
    stop, on_stop : str
        The emergency stop, and what is written on it.
    series : tuple of str
        Of curves side by side, in order; tellable apart with any colour vision.
    """

    name: str
    ground: str
    surface: str
    raised: str
    text: str
    faint: str
    line: str
    accent: str
    good: str
    doubtful: str
    bad: str
    stop: str
    on_stop: str
    series: tuple[str, ...]


DARK = Look(
    name="dark",
    ground="#0f1418",
    surface="#161d23",
    raised="#222c34",
    text="#e6edf1",
    faint="#9fb0bb",
    line="#33414b",
    accent="#6cb8ff",
    good="#4fc3a1",
    doubtful="#f0c04c",
    bad="#ff8a70",
    stop="#c8102e",
    on_stop="#ffffff",
    series=(
        "#6cb8ff", "#f0a35c", "#4fc3a1", "#e58fc2", "#f0e06c", "#9d8cf0", "#7fd6e8", "#c9d3da",
    ),
)  # fmt: skip
LIGHT = Look(
    name="light",
    ground="#eef2f4",
    surface="#ffffff",
    raised="#e2e9ed",
    text="#14212a",
    faint="#4d5f6b",
    line="#c3ced6",
    accent="#0b63b0",
    good="#00705a",
    doubtful="#8a5a00",
    bad="#b3261e",
    stop="#b00020",
    on_stop="#ffffff",
    series=(
        "#0b63b0", "#b85a00", "#00705a", "#a0327a", "#7a6a00", "#5b45c2", "#00768c", "#4d5f6b",
    ),
)  # fmt: skip


def contrast(one: str, other: str) -> float:
    """How well one colour is read on another, as WCAG 2 counts it.

    Parameters
    ----------
    one, other : str
        Colours, ``"#rrggbb"``.

    Returns
    -------
    ratio : float
        1 (the same) to 21 (black on white). Text wants 4.5, large text and signs 3.

    References
    ----------
    W3C (2023). Web Content Accessibility Guidelines 2.2, "relative luminance".
    """
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@lru_cache(maxsize=256)
def blend(under: str, over: str, share: float) -> str:
    """A colour between two.

    Parameters
    ----------
    under, over : str
        Colours, ``"#rrggbb"``.
    share : float
        0 is `under`, 1 is `over`.

    Returns
    -------
    colour : str
        ``"#rrggbb"``.
    """
    parts = [(int(under[k : k + 2], 16), int(over[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in parts)


def style_sheet(look: Look, size_pt: int = 10) -> str:
    """What Qt draws its own widgets with.

    Parameters
    ----------
    look : Look
        Colours.
    size_pt : int
        Of plain text.

    Returns
    -------
    text : str
        A Qt style sheet. A button named ``stop`` is the emergency stop.
    """
    return f"""
    * {{ font-family: {FONTS}; font-size: {size_pt}pt; color: {look.text}; }}
    QMainWindow, QDialog, QWidget#window {{ background: {look.ground}; }}
    QDockWidget {{ titlebar-close-icon: none; titlebar-normal-icon: none; }}
    QDockWidget::title {{ background: {look.raised}; padding: 4px 8px; text-align: left; }}
    QMainWindow::separator {{ background: {look.line}; width: 2px; height: 2px; }}
    QFrame#panel {{ background: {look.surface}; border: 1px solid {look.line}; }}
    QLabel[faint="true"] {{ color: {look.faint}; }}
    QPushButton, QToolButton, QComboBox, QLineEdit, QSpinBox, QDoubleSpinBox {{
        background: {look.raised}; border: 1px solid {look.line}; border-radius: 4px;
        padding: 4px 10px; }}
    QPushButton:hover, QToolButton:hover {{ border-color: {look.accent}; }}
    QPushButton:focus, QToolButton:focus, QComboBox:focus, QLineEdit:focus, QSpinBox:focus,
    QDoubleSpinBox:focus, QListView:focus, QTableView:focus {{ border: 2px solid {look.accent}; }}
    QPushButton:disabled, QToolButton:disabled {{ color: {look.faint}; border-style: dashed; }}
    QPushButton:checked, QToolButton:checked {{ border: 2px solid {look.accent}; }}
    QPushButton#stop {{ background: {look.stop}; color: {look.on_stop}; font-weight: bold;
        border: 3px solid {look.on_stop}; border-radius: 8px; padding: 8px 22px; }}
    QComboBox QAbstractItemView, QListView, QTableView, QTextEdit, QPlainTextEdit {{
        background: {look.surface}; selection-background-color: {look.accent};
        selection-color: {look.ground}; border: 1px solid {look.line}; }}
    QHeaderView::section {{ background: {look.raised}; border: 0; padding: 4px 6px; }}
    QMenuBar, QMenu, QStatusBar {{ background: {look.surface}; }}
    QMenu::item:selected, QMenuBar::item:selected {{
        background: {look.accent}; color: {look.ground}; }}
    QToolTip {{ background: {look.raised}; border: 1px solid {look.line}; }}
    QTabBar {{ qproperty-drawBase: 0; }}
    QDockWidget[active="true"]::title {{ border-left: 3px solid {look.accent}; }}
    QToolButton::menu-indicator {{ image: none; }}
    QScrollBar {{ background: {look.surface}; border: 0; margin: 0; }}
    QScrollBar:vertical {{ width: 10px; }}
    QScrollBar:horizontal {{ height: 10px; }}
    QScrollBar::handle {{ background: {look.line}; border-radius: 5px; min-height: 24px;
        min-width: 24px; }}
    QScrollBar::handle:hover {{ background: {look.faint}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: none; }}
    QTabBar::tab {{ background: {look.raised}; padding: 4px 12px; }}
    QTabBar::tab:selected {{ background: {look.surface}; border-bottom: 2px solid {look.accent}; }}
    QSlider::groove:horizontal {{ background: {look.line}; height: 6px; border-radius: 3px; }}
    QSlider::handle:horizontal {{
        background: {look.accent}; width: 14px; margin: -6px 0; border-radius: 7px; }}
    """


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
