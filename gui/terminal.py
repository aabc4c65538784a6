"""The live view for a terminal: what is decided now, whether the signal is sound, how late it is.

It reads from the wire and can be started, killed and restarted at any time. Nothing is said by
colour alone. Where there is no terminal, it prints a plain line every few seconds. The screen says
at its top that all of this is investigational, not a medical device.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..runtime.clock import MonotonicClock
from ..runtime.messages import Turn
from ..runtime.stages import Clock
from ..runtime.telemetry import TelemetrySubscriber
from .stop_key import HINT
from .view_state import (
    DISCLAIMER,
    HISTORY,
    SEIZURE,
    ViewState,
    count_text,
    gaps_text,
    guard_text,
    label_of,
    ms_text,
    plain_line,
    score_text,
    signal_text,
    velocity_text,
    warnings_about,
)

_FRAME_NS = 100_000_000
_PLAIN_NS = 5_000_000_000
_LEFT_WIDTH = 45
_MIDDLE_HEIGHT = 18  # 24 lines less header, warnings and history
_MAX_CLASSES = 6  # what is then left, with the source below
_LOW_PANEL = 7
_BAR = 20
_EIGHTHS = " ▏▎▍▌▋▊▉"
_STEPS = "▁▂▃▄▅▆▇█"


class TerminalView:
    """Reads a session from the wire and draws it.

    Parameters
    ----------
    subscriber : TelemetrySubscriber
        Where messages come from; stays the caller's to close.
    console : Console
        Where to draw.
    session : str
        Name for the header.
    clock : Clock, optional
        For the frame rate and to notice silence; the monotonic one by default.
    """

    def __init__(
        self,
        subscriber: TelemetrySubscriber,
        console: Console,
        *,
        session: str = "",
        clock: Clock | None = None,
    ) -> None:
        self._subscriber = subscriber
        self._console = console
        self._clock = clock or MonotonicClock()
        self.state = ViewState(session=session)

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Draw until `until` says so, or until the person presses Ctrl-C.

        Parameters
        ----------
        until : callable
            Asked once per frame.
        """
        draw = self._draw_live if self._console.is_terminal else self._print_lines
        try:
            draw(until)
        except KeyboardInterrupt:
            self._console.print("The view was closed; the session goes on.")

    def _draw_live(self, until: Callable[[], bool]) -> None:
        ascii_only = self._console.options.ascii_only
        with Live(
            render(self.state, ascii_only=ascii_only),
            console=self._console,
            screen=True,
            auto_refresh=False,
        ) as live:
            while not until():
                self._listen(_FRAME_NS)
                live.update(render(self.state, ascii_only=ascii_only), refresh=True)

    def _print_lines(self, until: Callable[[], bool]) -> None:
        due_ns = self._clock.now_ns()
        while not until():
            self._listen(_FRAME_NS)
            if self.state.now_ns >= due_ns:
                self._console.print(plain_line(self.state), markup=False, soft_wrap=True)
                due_ns = self.state.now_ns + _PLAIN_NS

    def _listen(self, for_ns: int) -> None:
        """Take messages until the time is over; the deadline holds however many there are."""
        deadline_ns = self._clock.now_ns() + for_ns
        while (left_ns := deadline_ns - self._clock.now_ns()) > 0:
            message = self._subscriber.poll(math.ceil(left_ns / 1e6))
            if message is not None:
                self.state.take(message, self._clock.now_ns())
        self.state.now_ns = self._clock.now_ns()
        self.state.missed_messages = self._subscriber.lost
        self.state.unreadable = self._subscriber.unreadable


def render(state: ViewState, *, ascii_only: bool = False) -> RenderableType:
    """The whole screen, for 80 columns by 24 lines or more.

    Parameters
    ----------
    state : ViewState
        Left as it is.
    ascii_only : bool
        Draw bars with ``#``, for terminals without Unicode.

    Returns
    -------
    screen : RenderableType
        For a rich console.
    """
    columns = Table.grid(expand=True)
    columns.add_column(width=_LEFT_WIDTH)
    columns.add_column(ratio=1)
    decision = _decision(state, ascii_only)
    columns.add_row(
        Group(decision, _source(state, _MIDDLE_HEIGHT - (decision.height or 0))),
        Group(_latency(state), _accuracy(state)),
    )
    if state.seizure:
        # Nothing is decided now: what was decided before makes room for what matters.
        return Group(_alarm(state), _header(state), columns)
    return Group(_header(state), columns, _history(state, ascii_only))


def _alarm(state: ViewState) -> RenderableType:
    words = Text(f" {SEIZURE} ", "bold white on red", justify="center")
    return Group(_one_line(words), _one_line(Text(state.seizure, "bold red", justify="center")))


def _header(state: ViewState) -> RenderableType:
    line = Table.grid(expand=True)
    line.add_column(ratio=1, no_wrap=True)
    line.add_column(justify="right", no_wrap=True)
    line.add_row(Text(f"diverloop  {state.session}", "bold"), Text(DISCLAIMER.upper(), "bold"))
    lines: list[RenderableType] = [line]
    guard = Table.grid(expand=True)
    guard.add_column(ratio=1, no_wrap=True)
    guard.add_column(justify="right", no_wrap=True)
    hint = Text(HINT, "bold reverse") if state.can_stop else Text("")
    guard.add_row(_one_line(Text.assemble(("guard: ", "bold"), guard_text(state))), hint)
    lines.append(guard)
    if warnings := warnings_about(state):
        lines.append(_one_line(Text("WARNING: " + "; ".join(warnings), "bold red")))
    return Group(*lines)


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _decision(state: ViewState, ascii_only: bool) -> Panel:
    label = Text(f" {label_of(state)} ", "bold reverse", justify="center")
    height = 4  # with its frame
    rows: list[RenderableType] = [_one_line(label)]
    if state.turn is None:
        rows.append(Text("waiting for the first window", justify="center"))
    else:
        bars = _bars(state.turn, ascii_only)
        height += bars.row_count
        rows += [_one_line(_why(state.turn)), bars]
    return _panel(Group(*rows), "decision now", height)


def _panel(inside: RenderableType, title: str, height: int | None = None) -> Panel:
    return Panel(inside, title=title, title_align="left", box=box.ROUNDED, height=height)


def _why(turn: Turn) -> Text:
    """The line under the label: what was really done, or why nothing was."""
    command = turn.command
    if reason := turn.decision.reason or command.reason:
        return Text(f"neutral: {reason}", justify="center")
    if command.velocity:
        return Text(velocity_text(command), justify="center")
    if command.selected:
        return Text(f"selected: {command.label}", "bold", justify="center")
    return Text(f"showing {command.label or 'neutral'}", justify="center")


def _bars(turn: Turn, ascii_only: bool) -> Table:
    bars = Table.grid(padding=(0, 1), expand=True)
    bars.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    bars.add_column(width=_BAR)
    bars.add_column(justify="right", width=4)
    decision = turn.decision
    pairs = list(zip(decision.classes, decision.probabilities, strict=True))
    for name, probability in pairs[:_MAX_CLASSES]:
        mark = "> " if name == decision.label else "  "
        bars.add_row(f"{mark}{name}", _bar(probability, ascii_only), _fraction(probability))
    if len(pairs) > _MAX_CLASSES:
        bars.add_row(f"  and {len(pairs) - _MAX_CLASSES} more", "", "")
    strength = turn.command.strength
    if len(pairs) < _MAX_CLASSES:
        bars.add_row()
    what = "  speed" if turn.command.velocity else "  evidence"
    bars.add_row(what, _bar(strength, ascii_only), _fraction(strength))
    return bars


def _bar(value: float, ascii_only: bool) -> Text:
    """A bar of `_BAR` cells, to an eighth of a cell; dots where it is empty."""
    eighths = 0 if math.isnan(value) else round(min(max(value, 0.0), 1.0) * _BAR * 8)
    full, rest = divmod(eighths, 8)
    if ascii_only:
        return Text(("#" * full).ljust(_BAR, "."))
    part = _EIGHTHS[rest] if rest else ""
    return Text("█" * full + part, "cyan").append("·" * (_BAR - full - len(part)), "dim")


def _history(state: ViewState, ascii_only: bool) -> Panel:
    """One cell a decision, newest right; a blank where the loop abstained."""
    steps = ".:-=+*%#" if ascii_only else _STEPS
    cells = (" " if math.isnan(p) else steps[min(int(p * 8), 7)] for p in state.history)
    line = Text.assemble(("".join(cells).rjust(HISTORY), "cyan"), " now")
    title = f"probability of what was decided, last {HISTORY} windows (blank: neutral)"
    return _panel(_one_line(line), title)


def _source(state: ViewState, height: int) -> Panel:
    spec = state.spec
    what = "no stream announced yet"
    if spec is not None:
        # The name last: where there is no room for all of it, the rate is still told.
        what = f"{spec.n_channels} channels at {spec.rate_hz:g} Hz: {spec.name}"
    lines: list[RenderableType] = [
        _one_line(Text(what)),
        _one_line(Text(f"{count_text(state.n_samples)} samples, {gaps_text(state)}")),
    ]
    if state.quality is not None:
        signal = Text(signal_text(state.quality))
        # On a low panel one line has to do, so that the last event is seen, too.
        lines.append(signal if height > _LOW_PANEL else _one_line(signal))
    lines.append(Text.assemble(("last event: ", "bold"), state.last_event))
    return _panel(Group(*lines), "source", height)


def _latency(state: ViewState) -> Panel:
    report = state.latency()
    table = Table(box=None, expand=True, padding=0, header_style="bold")
    for name in ("stage", "p50", "p99", "max"):
        table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    for row in report.stages:
        style = "bold" if row.name == "total" else ""
        times = (ms_text(row.p50_ms), ms_text(row.p99_ms), ms_text(row.max_ms))
        table.add_row(row.name, *times, style=style)
    missed = Text(f"deadlines missed  {report.missed_deadlines}")
    skipped = Text(f"windows skipped   {report.skipped_late}")
    panel = _panel(Group(table, missed, skipped), "latency, milliseconds")
    panel.subtitle = "from the loop" if state.report else "as seen by this view"
    panel.subtitle_align = "right"
    return panel


def _accuracy(state: ViewState) -> Panel:
    if state.score is None:
        why = Text("judged by cues, where there are any", "dim")
        return _panel(Group(Text("no trial judged yet"), _one_line(why)), "accuracy", 4)
    result = _one_line(Text(score_text(state.score), "bold"))
    return _panel(Group(result, _one_line(Text(state.score.meaning))), "accuracy", 4)


def _fraction(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
