"""Pictures of how the session went: the timeline and the delays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...limits import State
from ...messages import EventKind
from ..contents import Record
from .course import Course
from .drawing import ALARM, INK, NEUTRAL, PALE, bare, colours, picture, time_axis
from .inputs import Judged
from .locked import Cues, classes_of
from .markup import Html
from .wording import spoken

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Strips are pictures of this many columns: a session of any length prints the same.
_COLUMNS = 1400
_GUARD_COLOURS = {
    State.ARMED: "#009E73",
    State.DISARMED: "#dfe3e8",
    State.HOLDING: "#E69F00",
    State.STOPPED: ALARM,
}


def timeline(
    record: Record, course: Course, cues: Cues | None, trials: Sequence[Judged], *, caption: str
) -> Html:
    """Everything that happened, one row for each kind, session time from left to right.

    Parameters
    ----------
    record : Record
        The session.
    course : Course
        Its course.
    cues : Cues, optional
        What was asked.
    trials : sequence of Judged
        Which trials were right; may be empty.
    caption : str
        What to see.

    Returns
    -------
    html : Html
        A figure.
    """
    classes = classes_of(record) or (cues.labels if cues is not None else ())
    shades = colours(classes)
    rows: list[tuple[str, Any]] = []
    if cues is not None:
        rows.append(("Cues", lambda axes, y: _cues(axes, y, cues, shades)))
    if trials:
        rows.append(("Trials right", lambda axes, y: _trials(axes, y, trials, record.spec.rate_hz)))
    if record.turns:
        decided = [turn.decision.label for turn in record.turns]
        rows.append(("Decisions", lambda axes, y: _strip(axes, y, course, decided, shades)))
        done = [turn.command.label for turn in record.turns]
        rows.append(("Commands", lambda axes, y: _strip(axes, y, course, done, shades)))
    if course.guard:
        rows.append(("Guard", lambda axes, y: _guard(axes, y, course)))
    rows.append(("Signal", lambda axes, y: _signal(axes, y, record, course)))
    if record.turns:
        rows.append(("Weights", lambda axes, y: _weights(axes, y, record, course)))
    if record.notes:
        rows.append(("Notes", lambda axes, y: _notes(axes, y, record, course)))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for y, (_, paint) in enumerate(rows):
            paint(axes, y)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        time_axis(axes, course.duration_s)
        bare(axes)
        axes.tick_params(axis="y", pad=9)
        _legend(figure, [*shades.items(), ("neutral", PALE)] if record.turns else shades.items())

    alt = f"Timeline with rows for {', '.join(name.lower() for name, _ in rows)}"
    return picture("timeline", 0.95 + 0.36 * len(rows), draw, caption=caption, alt=alt)


def _legend(figure: Figure, entries: Any) -> None:
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(color=shade, label=spoken(name)) for name, shade in entries]
    if handles:
        figure.legend(handles=handles, loc="outside upper right", ncols=8, fontsize=7.5)


def _cues(axes: Axes, y: int, cues: Cues, shades: dict[str, str]) -> None:
    for label in cues.labels:
        at_s = [s / cues.rate_hz for s, name in zip(cues.samples, cues.label_of, strict=True)
                if name == label]  # fmt: skip
        axes.vlines(at_s, y - 0.32, y + 0.32, color=shades.get(label, INK), lw=1.6)


def _trials(axes: Axes, y: int, trials: Sequence[Judged], rate_hz: float) -> None:
    """Hit, miss and silence differ in form, not in colour alone."""
    kinds = {"right": ("o", "#009E73"), "wrong": ("x", ALARM), "silent": ("_", NEUTRAL)}
    sorted_s: dict[str, list[float]] = {kind: [] for kind in kinds}
    for trial in trials:
        kind = "silent" if trial.predicted is None else (
            "right" if trial.predicted == trial.cue else "wrong"
        )  # fmt: skip
        sorted_s[kind].append(trial.onset_sample / rate_hz)
    for kind, (marker, shade) in kinds.items():
        axes.plot(
            sorted_s[kind], [y] * len(sorted_s[kind]), marker, color=shade, markersize=4.2,
            linestyle="none",
        )  # fmt: skip


def _strip(
    axes: Axes, y: int, course: Course, labels: Sequence[str | None], shades: dict[str, str]
) -> None:
    """A colour for every column: the commonest label in it."""
    from matplotlib.colors import to_rgb

    names = [None, *shades]
    table = np.array([to_rgb(PALE), *(to_rgb(shade) for shade in shades.values())])
    column = (course.turns_s / max(course.duration_s, 1e-9) * _COLUMNS).astype(int)
    column = np.clip(column, 0, _COLUMNS - 1)
    code = np.array([names.index(label) if label in names else 0 for label in labels])
    counts = np.zeros((_COLUMNS, len(names)))
    np.add.at(counts, (column, code), 1)
    strip = np.ones((1, _COLUMNS, 3))
    filled = _held(counts)
    strip[0, filled >= 0] = table[filled[filled >= 0]]
    axes.imshow(
        strip, aspect="auto", interpolation="nearest",
        extent=(0, course.duration_s, y + 0.34, y - 0.34),
    )  # fmt: skip


def _held(counts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Code of every column, -1 where nothing is known; a decision holds until the next one."""
    known = counts.any(axis=1)
    code = np.where(known, counts.argmax(axis=1), -1)
    places = np.flatnonzero(known)
    # A pause longer than ten usual steps is a pause, and stays white.
    longest = 10 * max(1, int(np.median(np.diff(places)))) if len(places) > 1 else 1
    for first, stop in zip(places, [*places[1:], len(code)], strict=True):
        if stop - first <= longest:
            code[first:stop] = code[first]
    held: NDArray[np.int64] = code
    return held


def _guard(axes: Axes, y: int, course: Course) -> None:
    for span in course.guard:
        width_s = span.stop_s - span.start_s
        axes.barh(
            y, width_s, left=span.start_s, height=0.68, color=_GUARD_COLOURS[State(span.what)]
        )
        if width_s > 0.09 * course.duration_s:
            dark = span.what in (State.ARMED, State.STOPPED)
            axes.text(span.start_s + width_s / 2, y, span.what, ha="center", va="center",
                      fontsize=7.5, color="white" if dark else INK)  # fmt: skip
    for at_s in course.stops_s:
        axes.plot([at_s], [y], marker="8", color=ALARM, markeredgecolor="white", markersize=9)


def _signal(axes: Axes, y: int, record: Record, course: Course) -> None:
    axes.barh(y, course.duration_s, left=0, height=0.2, color="#8fbfdd")
    for first, stop in course.lost:
        # Two thousandths of the width: shorter losses would not be seen at all.
        width_s = max((stop - first) / record.spec.rate_hz, course.duration_s / 500)
        axes.barh(y, width_s, left=first / record.spec.rate_hz, height=0.62, color=INK)
    for event in record.events:
        if event.kind is EventKind.SOURCE_LOST:
            axes.plot([course.when(event)], [y], marker="X", color=ALARM, markersize=7,
                      markeredgecolor="white", markeredgewidth=0.6)  # fmt: skip


def _weights(axes: Axes, y: int, record: Record, course: Course) -> None:
    shades = ("#dfe3e8", "#c3cad3")
    for place, span in enumerate(course.weights):
        width_s = span.stop_s - span.start_s
        axes.barh(y, width_s, left=span.start_s, height=0.5, color=shades[place % 2])
        if width_s > 0.06 * course.duration_s:
            axes.text(span.start_s + width_s / 2, y, f"version {span.what}", ha="center",
                      va="center", fontsize=7)  # fmt: skip
    for event in record.events:
        if event.kind is EventKind.PROMOTED:
            axes.plot([course.when(event)], [y], marker="^", color=INK, markersize=6)


def _notes(axes: Axes, y: int, record: Record, course: Course) -> None:
    for number, note in enumerate(record.notes, start=1):
        at_s = min(max(course.second_of(note.at_ns), 0), course.duration_s)
        axes.plot([at_s], [y], "o", color=INK, markersize=10)
        axes.text(at_s, y, str(number), color="white", fontsize=6.5, ha="center", va="center")


def delays(course: Course, *, caption: str) -> Html:
    """How long the loop took, window by window.

    Parameters
    ----------
    course : Course
        With at least one decoded window.
    caption : str
        What to see.

    Returns
    -------
    html : Html
        A figure.
    """
    total_ms = np.maximum(course.delays_ms["total"], 1e-3)
    deadline_ms = course.deadline_ms

    def draw(figure: Figure) -> None:
        axes, over = figure.subplots(1, 2, width_ratios=[1, 1.25])
        low, high = float(total_ms.min()), float(total_ms.max())
        if not np.isnan(deadline_ms):
            high = max(high, deadline_ms)
        edges = np.geomspace(0.9 * low, 1.1 * high, 45)
        axes.hist(total_ms, edges.tolist(), color="#0072B2")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(0.7)
        axes.set_xlabel("From last sample to output, ms")
        axes.set_ylabel("Decisions")
        _plain_log_ticks(axes, low, high)
        at_s, worst_ms = _worst_over_time(course, total_ms)
        over.plot(at_s, worst_ms, ".", color="#0072B2", markersize=3)
        over.set_ylabel("Slowest of each moment, ms")
        over.set_ylim(0, 1.15 * high)
        time_axis(over, course.duration_s)
        if not np.isnan(deadline_ms):
            axes.axvline(deadline_ms, color=ALARM, lw=1.4, ls=(0, (3, 2)))
            over.axhline(deadline_ms, color=ALARM, lw=1.4, ls=(0, (3, 2)))
            over.text(0.99, deadline_ms, "deadline ", color=ALARM, ha="right", va="bottom",
                      fontsize=8, transform=over.get_yaxis_transform())  # fmt: skip

    alt = "Histogram of delays, and the slowest over the session"
    return picture("delays", 2.4, draw, caption=caption, alt=alt)


def _plain_log_ticks(axes: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    wanted = [m * 10.0**power for power in range(-3, 6) for m in (1, 2, 5)]
    ticks = [tick for tick in wanted if 0.9 * low <= tick <= 1.1 * high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:,.0f}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _worst_over_time(
    course: Course, total_ms: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The slowest of up to 400 stretches: a page with every decision would be megabytes."""
    at_s = course.decoded_s
    n = min(400, max(1, len(at_s)))
    cell = np.minimum((at_s / max(course.duration_s, 1e-9) * n).astype(int), n - 1)
    worst = np.full(n, np.nan)
    np.fmax.at(worst, np.maximum(cell, 0), total_ms)
    known = np.isfinite(worst)
    return (np.arange(n)[known] + 0.5) * course.duration_s / n, worst[known]
