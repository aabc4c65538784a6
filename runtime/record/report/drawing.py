"""From a matplotlib figure to SVG that can stand in a page beside others, and on paper."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import ConfigError
from .markup import Html, element, joined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN = 7.2
"""Of every picture: the text width of an A4 page, so that nothing is scaled in print."""

INK, PALE, NEUTRAL = "#1c1f24", "#c9ced6", "#a7adb5"
ALARM = "#b3261e"

# Okabe and Ito's colours, which people with any colour vision tell apart; the darkest first.
_OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
"""For black-and-white print: no two classes share colour and dash."""

# Read by every system: measured in one sans-serif font, set in whichever is there.
_FONTS = "Arial, Helvetica, 'Liberation Sans', 'DejaVu Sans', sans-serif"

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": "#6b7280",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.5,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "figure.facecolor": "white",
    "axes.grid": False,
}


def colours(labels: Sequence[str]) -> dict[str, str]:
    """A colour for every class, the same on all pictures; from the seventh on they repeat."""
    return {label: _OKABE_ITO[i % len(_OKABE_ITO)] for i, label in enumerate(labels)}


def dashes(labels: Sequence[str]) -> dict[str, Any]:
    """A line style for every class."""
    return {label: LINES[i % len(LINES)] for i, label in enumerate(labels)}


def picture(
    name: str, height_in: float, draw: Callable[[Figure], None], *, caption: str, alt: str
) -> Html:
    """Draw, and wrap into a figure with its caption.

    Parameters
    ----------
    name : str
        Unique on the page.
    height_in : float
        Height in inches.
    draw : callable
        Draws on the empty figure it is given.
    caption : str
        One sentence: what to see, with the figure in it.
    alt : str
        What the picture shows, for those who cannot see it.

    Returns
    -------
    html : Html
        Markup.

    Raises
    ------
    ConfigError
        If matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            'The report needs matplotlib, which is not installed: pip install "diverloop[report]".'
        ) from error
    written = io.StringIO()
    # The salt makes ids depend on the drawing alone: the same session gives the same page.
    style: Any = {**_STYLE, "svg.hashsalt": name}
    with rc_context(style):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(written, format="svg", metadata=unsaid)
    svg = _embedded(written.getvalue(), name, alt)
    return element("figure", svg, element("figcaption", caption))


def _embedded(svg: str, name: str, alt: str) -> Html:
    """Without the head of a file of its own, with ids that are unique on the page."""
    svg = svg[svg.index("<svg") :]
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\1{name}-", svg)
    svg = re.sub(r"'DejaVu Sans'(?:, [^;\"]*?)?(?=[;\"])", _FONTS, svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    size = re.search(r'width="[\d.]+pt" height="[\d.]+pt"', svg)
    head = f'role="img" aria-label="{joined([alt])}" width="100%"'
    return Html(svg.replace(size[0], head, 1) if size else svg)


def time_axis(axes: Axes, duration_s: float) -> None:
    """Minutes and seconds along the bottom."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    from .wording import moment

    axes.set_xlim(0, max(duration_s, 1e-3))
    steps = [1, 1.2, 1.5, 1.8, 2, 3, 6, 9, 10] if duration_s > 60 else [1, 2, 5, 10]
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at_s, _: moment(at_s + 1e-6)))
    axes.set_xlabel("Session time, minutes:seconds")


def bare(axes: Axes) -> None:
    """Take the frame away from an axes that is a strip or a map."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)


def diverging() -> Any:
    """Blue for less, white for none, vermilion for more: told apart with any colour vision."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = ["#003f6b", "#0072B2", "#8dc3e3", "#ffffff", "#f3b18a", "#D55E00", "#7d3500"]
    return LinearSegmentedColormap.from_list("less_more", stops)
