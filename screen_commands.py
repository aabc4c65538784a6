"""Commands that open windows: for the experimenter, the bedside, the participant."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import NOTICE, err, out, overrides_of, plain_errors
from .hardware.montage import scalp_position_m
from .hardware.ten_five import LABELS
from .runtime.access import Action
from .runtime.clock import MonotonicClock
from .runtime.errors import ConfigError
from .runtime.realtime import RealtimeConfig, realtime
from .screening import Watched, watched

if TYPE_CHECKING:
    from .gui.controls import Controls
    from .gui.feed import Teller
    from .gui.look import Look
    from .gui.panels.panel import Panel
    from .gui.participant.flips import FlipRecord
    from .gui.participant.picture import Picture

_PRIORITY = 50  # of the participant's screen: without one, a busy machine loses frames

Where = Annotated[
    str,
    typer.Argument(help="Session folder, recording, or telemetry address; newest if left out."),
]
Key = Annotated[Path | None, typer.Option(envvar="DIVERLOOP_KEY", help="Your key file.")]
Light = Annotated[bool, typer.Option("--light", help="Dark words on light ground.")]


class Language(StrEnum):
    """Of what staff and participants read."""

    EN = "en"
    KO = "ko"


Spoken = Annotated[Language, typer.Option("--language", help="Language of the window.")]


class Style(StrEnum):
    """Feedback of motor imagery."""

    BAR = "bar"
    BALL = "ball"
    ARROW = "arrow"


class Clocks(StrEnum):
    """What keeps the time of frames."""

    AUTO = "auto"
    VSYNC = "vsync"
    PACED = "paced"


def monitor(
    where: Where = "",
    key: Key = None,
    light: Light = False,
    control: Annotated[
        str, typer.Option(help="Control address, for a session on another machine.")
    ] = "",
    web: Annotated[
        str, typer.Option(help="Also serve the key figures for a browser at HOST:PORT.")
    ] = "",
) -> None:
    """Watch a session, running or recorded, in a window: signal, decisions, delays, learning.

    The session does not notice: the window may be opened late, hang, or be closed at any time.
    """
    with plain_errors(json_wanted=False), _windows(), ExitStack() as stack:
        from .gui.application import application, kept_settings, step_back, until_closed
        from .gui.controls import Controls
        from .gui.dashboard import Dashboard

        found = watched(where, key, control)
        step_back()
        if web:
            stack.enter_context(_web_view(web, found))
        app = application()
        controls = Controls(found.link)
        stack.callback(controls.close)
        window = Dashboard(
            panels(_look(light), controls, found.may),
            teller_of(found),
            controls,
            session=found.title,
            look=_look(light),
            may=found.may,
            store=kept_settings("monitor"),
        )
        window.show()
        window.start()
        until_closed(app)


def screen(
    session: Annotated[Path, typer.Argument(help="Session file, or a calibration file (TOML).")],
    at: Annotated[
        str, typer.Option(help="Session folder or telemetry address; none to only show.")
    ] = "",
    key: Key = None,
    language: Spoken = Language.EN,
    light: Light = False,
    style: Annotated[Style, typer.Option(help="Feedback of motor imagery.")] = Style.BAR,
    text: Annotated[str, typer.Option(help="What is to be spelled or said.")] = "",
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="The screen points at what to attend.")
    ] = False,
    markers: Annotated[
        str, typer.Option(help="Name of the LSL stream of its markers; none without it.")
    ] = "",
    log: Annotated[Path | None, typer.Option(help="NAME.jsonl to write, a line a flip.")] = None,
    rate_hz: Annotated[
        float, typer.Option(help="Frames a second that are planned with.", min=20, max=1000)
    ] = 60.0,
    clock: Annotated[
        Clocks, typer.Option(help="What keeps time: the display, this computer, or what works.")
    ] = Clocks.AUTO,
    display_ms: Annotated[
        float, typer.Option(help="From a flip to light, as a photodiode told.")
    ] = 0.0,
    window: Annotated[bool, typer.Option("--window", help="Do not fill the screen.")] = False,
    unlock_flicker: Annotated[
        str, typer.Option(help="Why flicker is shown that the profile refuses.")
    ] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Another value, as model.bundle=today.bundle.")
    ] = None,
) -> None:
    """Show the participant what a session asks for and answers; F11 fills the screen.

    Each flip is timed: what became visible goes into the log and, with the time of its flip, into
    a stream of markers that the session's source can read. Esc, twice, closes.
    """
    from .showing import Asked, picture_for

    with plain_errors(json_wanted=False), _windows(), ExitStack() as stack:
        asked = Asked(
            language=language,
            style=style,
            text=text,
            calibrate=calibrate,
            refresh_hz=rate_hz,
            unlock=unlock_flicker,
        )
        picture = picture_for(session, asked, overrides_of(settings))
        found = watched(at, key) if at else Watched(title=session.name)
        record = _flip_record(stack, session.name, log, markers, display_ms)
        filled = False if window else None
        _show_stage(stack, picture, found, record, _look(light), (clock, rate_hz, filled))


def _flip_record(
    stack: ExitStack, name: str, log: Path | None, markers: str, display_ms: float
) -> FlipRecord:
    """Where flips go: a file, a stream, both or neither."""
    from .gui.participant.flips import FlipConfig, FlipRecord
    from .hardware.flip_outlet import FlipOutlet

    outlet = FlipOutlet(markers, MonotonicClock()) if markers else None
    if outlet:
        stack.callback(outlet.close)
    return FlipRecord(
        log,
        outlet.send if outlet else None,
        config=FlipConfig(display_ms=display_ms),
        tell=_tell,
        about={"session": name},
    )


def _show_stage(
    stack: ExitStack,
    picture: Picture,
    found: Watched,
    record: FlipRecord,
    look: Look,
    timing: tuple[str, float, bool | None],
) -> None:
    """Run the picture until the screen is closed."""
    from .gui.application import application, until_closed
    from .gui.controls import Controls
    from .gui.participant.stage import Stage
    from .gui.participant.which_clock import clock_for

    app = application()
    controls = Controls(found.link)
    stack.callback(controls.close)
    controls.answered.connect(lambda answer: _tell(answer.text))  # the stop, done or not
    kind, rate_hz, filled = timing
    stage = Stage(
        picture,
        clock_for(kind, rate_hz, full_screen=filled, tell=_tell),
        record=record,
        teller=found.listen() if found.listen else None,
        look=look,
        tell=_tell,
        stop=lambda: controls.ask(Action.STOP),
    )
    stack.callback(stage.close)
    stage.closed.connect(app.quit)
    out.print(NOTICE)
    out.print(_keys_of(picture, stops=controls.connected), highlight=False)
    stack.enter_context(realtime(RealtimeConfig(fifo_priority=_PRIORITY, lock_memory=True)))
    stage.show(filled)
    until_closed(app)
    out.print(record.sentence(), highlight=False)


def console(
    guide: Annotated[
        Path | None, typer.Argument(help="Calibration file (TOML); none with --rehearse.")
    ] = None,
    session: Annotated[Path | None, typer.Argument(help="Session file (TOML).")] = None,
    recordings: Annotated[
        Path, typer.Option(help="Where recordings, models and reports go.")
    ] = Path("recordings"),
    key: Key = None,
    language: Spoken = Language.EN,
    light: Light = False,
    participant_screen: Annotated[
        bool,
        typer.Option("--screen/--no-screen", help="This machine also shows the participant's."),
    ] = True,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Practise: nobody is connected.")
    ] = False,
) -> None:
    """Run a session at the bedside, step by step, in plain words.

    Identify, check, calibrate, decide, give feedback, pause, close, report. The stop is the space
    bar, always.
    """
    from .console_work import work_of

    with plain_errors(json_wanted=False), _windows(), ExitStack() as stack:
        from .gui.application import application, until_closed
        from .gui.console.rehearsal import RehearsedWork
        from .gui.console.window import Console
        from .gui.console.work import Work
        from .gui.quality_map import QualityMap

        if not rehearse and (guide is None or session is None):
            raise ConfigError(
                "The console needs a calibration file and a session file, in this order: name "
                "both, or practise with --rehearse."
            )
        app = application()
        work: Work = RehearsedWork()
        if guide and session and not rehearse:
            work = work_of(
                guide,
                session,
                recordings.resolve(),
                key,
                language=language,
                screen=participant_screen,
            )
        stack.callback(work.close)  # whatever happens: no command of a session is left behind
        window = Console(
            work,
            QualityMap(_look(light), positions=standard_places()),
            language=language,
            look=_look(light),
            rehearsal=rehearse,
        )
        window.show()
        until_closed(app)


def panels(look: Look, controls: Controls, may: Collection[Action]) -> list[Panel]:
    """Everything that the dashboard can show, in the order of the number keys.

    Parameters
    ----------
    look : Look
        Colours.
    controls : Controls
        Who asks the session for things.
    may : collection of Action
        What the person's role allows.

    Returns
    -------
    panels : list of Panel
        They share one store of the signal.
    """
    from .gui.panels.adaptation import Adaptation
    from .gui.panels.drift_panel import DriftPanel
    from .gui.panels.events import Events
    from .gui.panels.guard_panel import GuardPanel
    from .gui.panels.latency_panel import LatencyPanel
    from .gui.panels.maps import Maps
    from .gui.panels.probabilities import Probabilities
    from .gui.panels.spectra import Spectra
    from .gui.panels.spectrogram import TimeFrequency
    from .gui.panels.traces import Traces
    from .gui.trace_store import TraceStore

    store = TraceStore()
    return [
        Traces(look, store),
        Probabilities(look),
        Maps(look, positions=standard_places()),
        Spectra(look, store),
        TimeFrequency(look, store),
        DriftPanel(look),
        LatencyPanel(look),
        GuardPanel(look),
        Adaptation(look, controls, may),
        Events(look),
    ]


def standard_places() -> dict[str, tuple[float, float, float]]:
    """Usual places of scalp electrodes, for streams that do not know their own."""
    return {name: scalp_position_m(name) for name in LABELS}


def teller_of(found: Watched) -> Teller:
    """Where a window's messages come from: the session, or its recording."""
    from .gui.recorded import Recorded, SessionTape, SignalTape
    from .hardware.recordings import read_recording

    if found.recording is None:
        assert found.listen is not None
        return found.listen()
    if found.recording.is_dir():
        return Recorded(SessionTape(found.recording), MonotonicClock())
    recording = read_recording(found.recording)
    return Recorded(SignalTape(recording, found.recording.name), MonotonicClock())


def _look(light: bool) -> Look:
    from .gui.look import DARK, LIGHT

    return LIGHT if light else DARK


def _keys_of(picture: Picture, *, stops: bool) -> str:
    """What can be pressed at the screen, for whoever opens it."""
    from .gui.participant.picture import Waits

    space = (
        "Space stops all output"
        if stops
        else "This screen has no link to a session, so nothing can be stopped from it"
    )
    begin = "; Enter begins, and goes on after a stop" if isinstance(picture, Waits) else ""
    return f"{space}{begin}; F11 fills the screen; Esc, twice, closes it."


def _tell(sentence: str) -> None:
    err.print(sentence, highlight=False, markup=False)


@contextmanager
def _windows() -> Iterator[None]:
    """Say which extra is missing, rather than which module."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("PySide6", "pyqtgraph"):
            raise
        raise ConfigError(
            f"Windows need {error.name}, which is not installed: pip install 'diverloop[gui]'."
        ) from error


@contextmanager
def _web_view(address: str, found: Watched) -> Iterator[None]:
    """Serve the key figures, from a connection of its own."""
    from .gui.web_view import WebView

    host, _, port = address.rpartition(":")
    if found.listen is None or not port.isdigit():
        raise ConfigError(
            f"--web shows a running session at HOST:PORT, such as 127.0.0.1:8000, got {address!r} "
            f"for {found.title}: name both, or leave it out."
        )
    with WebView(
        found.listen(), session=found.title, host=host or "127.0.0.1", port=int(port)
    ) as view:
        out.print(f"For a second room, to look only: {view.url}", highlight=False, soft_wrap=True)
        yield
