"""Commands that measure timing: loop-back, photodiode, recordings, and for hours."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import (
    NOTICE,
    AsJson,
    figures_table,
    findings_table,
    out,
    plain_errors,
    print_json,
    progress_bar,
)
from .runtime.errors import ConfigError, DiverloopError

if TYPE_CHECKING:
    from .runtime.messages import StreamSpec
    from .runtime.session import SessionConfig
    from .runtime.timing import TimingReport
    from .runtime.timing_capture import TimingCapture
    from .runtime.timing_figures import Spread
    from .runtime.timing_matching import MatchConfig
    from .runtime.timing_onsets import OnsetConfig

timing = typer.Typer(
    help=f"Measure the delay between markers and what really happened. {NOTICE}",
    no_args_is_help=True,
)

SessionFile = Annotated[Path, typer.Option("--session", help="Session file; its source is read.")]
ChannelName = Annotated[str, typer.Option("--channel", help="Channel with the sensor.")]
Markers = Annotated[
    str, typer.Option("--markers", help="Which markers: 'flash', 'flash*', several with commas.")
]
Kind = Annotated[str, typer.Option(help="The sensor: photodiode, audio or trigger.")]
Polarity = Annotated[str, typer.Option(help="auto, rising, falling, or both for a toggling patch.")]
QuietMs = Annotated[
    float, typer.Option(help="Rest before an onset; longer than a frame of the display.")
]
ShortestMs = Annotated[float, typer.Option(help="What is shorter is a glitch.")]
SearchS = Annotated[float, typer.Option(help="Largest constant delay, either way.")]
ToleranceMs = Annotated[float, typer.Option(help="Largest scatter of a single delay.")]
BiasMs = Annotated[float, typer.Option(help="Allowed constant delay.")]
JitterMs = Annotated[float, typer.Option(help="Allowed jitter.")]
Save = Annotated[
    Path | None, typer.Option(help="Write the delay into this file or session, as \\[timing].")
]


@timing.command("analyse")
def analyse_recording(
    recording: Annotated[Path, typer.Argument(help="A recording, or a session's folder.")],
    channel: ChannelName,
    markers: Markers = "*",
    kind: Kind = "photodiode",
    polarity: Polarity = "auto",
    quiet_ms: QuietMs = 40.0,
    shortest_ms: ShortestMs = 0.0,
    search_s: SearchS = 1.2,
    tolerance_ms: ToleranceMs = 50.0,
    bias_ms: BiasMs = 2.0,
    jitter_ms: JitterMs = 1.0,
    stream: Annotated[
        str | None, typer.Option(help="Stream to take, where there are more.")
    ] = None,
    assume_unit: Annotated[str | None, typer.Option(help="Unit where none is named.")] = None,
    save: Save = None,
    json: AsJson = False,
) -> None:
    """Compare the markers of a recording with its sensor channel."""
    from .hardware.recorded_timing import capture_recording
    from .hardware.recordings import read_recording
    from .runtime.record.reading import recording_file

    with plain_errors(json):
        matching, onsets = _settings(kind, polarity, quiet_ms, shortest_ms, search_s, tolerance_ms)
        file = recording_file(recording) if recording.is_dir() else recording
        read = read_recording(file, stream=stream, assume_unit=assume_unit)
        capture = capture_recording(read, channel, markers, onsets)
        report = _report(capture, matching, bias_ms, jitter_ms)
    title = f"{recording.name}, channel {channel}"
    _tell(report, title, json, lambda: _save(save, report, read.spec, read.data_id))


@timing.command()
def photodiode(
    session: SessionFile,
    channel: ChannelName,
    markers: Markers = "*",
    minutes: Annotated[float, typer.Option(help="For how long.", min=0.01, max=60)] = 3.0,
    kind: Kind = "photodiode",
    polarity: Polarity = "auto",
    quiet_ms: QuietMs = 40.0,
    shortest_ms: ShortestMs = 0.0,
    search_s: SearchS = 1.2,
    tolerance_ms: ToleranceMs = 50.0,
    bias_ms: BiasMs = 2.0,
    jitter_ms: JitterMs = 1.0,
    save: Save = None,
    json: AsJson = False,
) -> None:
    """Measure a set-up live: flashes of a task, seen by a sensor on an amplifier channel."""
    with plain_errors(json):
        matching, onsets = _settings(kind, polarity, quiet_ms, shortest_ms, search_s, tolerance_ms)
        if not json:
            _instruct(channel, markers, kind, minutes)
        capture = _measure(session, channel, markers, onsets, minutes * 60)
        report = _report(capture, matching, bias_ms, jitter_ms)
    title = f"{session.name}, channel {channel}"
    _tell(report, title, json, lambda: _save(save, report, capture.spec, ""))


@timing.command()
def watch(
    session: SessionFile,
    channel: ChannelName,
    markers: Markers = "*",
    hours: Annotated[float, typer.Option(help="For how long.", min=0.001, max=72)] = 2.0,
    every_s: Annotated[float, typer.Option(help="From one line to the next.", min=1)] = 60.0,
    kind: Kind = "photodiode",
    polarity: Polarity = "auto",
    quiet_ms: QuietMs = 40.0,
    shortest_ms: ShortestMs = 0.0,
    search_s: SearchS = 1.2,
    tolerance_ms: ToleranceMs = 50.0,
    bias_ms: BiasMs = 2.0,
    jitter_ms: JitterMs = 1.0,
    json: AsJson = False,
) -> None:
    """Measure for hours: a line every minute, and at the end drift, jitter and steps."""
    with plain_errors(json):
        matching, onsets = _settings(kind, polarity, quiet_ms, shortest_ms, search_s, tolerance_ms)
        if not json:
            _instruct(channel, markers, kind, hours * 60)
        line = _liner(every_s, matching, quiet=json)
        capture = _measure(session, channel, markers, onsets, hours * 3600, line)
        report = _report(capture, matching, bias_ms, jitter_ms)
    _tell(report, f"{session.name}, channel {channel}", json)


@timing.command()
def loopback(
    seconds: Annotated[float, typer.Option(help="For how long.")] = 30.0,
    rate_hz: Annotated[float, typer.Option(help="Sampling rate.")] = 1000.0,
    channels: Annotated[int, typer.Option(help="Rows of the stream.")] = 8,
    chunk_ms: Annotated[float, typer.Option(help="Length of a piece of signal.")] = 10.0,
    bias_ms: BiasMs = 2.0,
    jitter_ms: JitterMs = 1.0,
    json: AsJson = False,
) -> None:
    """Measure what LSL and this machine add, without any device: the floor of all else."""
    from .hardware.loopback import measure_loopback
    from .hardware.loopback_sender import LoopbackConfig
    from .runtime.clock import MonotonicClock
    from .runtime.timing import Tolerances

    with plain_errors(json):
        config = LoopbackConfig(
            name=_own_name(),
            seconds=seconds,
            rate_hz=rate_hz,
            n_channels=channels,
            chunk_s=chunk_ms / 1e3,
        )
        tolerances = Tolerances(bias_ms=bias_ms, jitter_ms=jitter_ms)
        with progress_bar("starting two senders") as step:
            report = measure_loopback(
                config,
                MonotonicClock(),
                tolerances=tolerances,
                on_progress=lambda at_s: step("looping back", at_s, seconds),
            )
    if json:
        print_json({"notice": NOTICE, **report.to_json()})
    else:
        _show(report.markers, "Loop-back: edges against markers", transport=report.transport)
        out.print(
            f"{report.n_samples} samples came, {report.n_lost} were lost. A real screen and "
            f"amplifier add to this: measure them with `diverloop timing photodiode`.",
            highlight=False,
        )
    raise typer.Exit(0 if report.markers.ok and not report.n_lost else 1)


def _own_name() -> str:
    """A stream's name that no other loop-back on the network has."""
    return f"diverloop-loopback-{secrets.token_hex(4)}"


def _settings(
    kind: str,
    polarity: str,
    quiet_ms: float,
    shortest_ms: float,
    search_s: float,
    tolerance_ms: float,
) -> tuple[MatchConfig, OnsetConfig]:
    from .runtime.timing_matching import MatchConfig
    from .runtime.timing_onsets import OnsetConfig

    onsets = OnsetConfig(
        kind=kind, polarity=polarity, quiet_s=quiet_ms / 1e3, shortest_s=shortest_ms / 1e3
    )
    return MatchConfig(search_s=search_s, tolerance_s=tolerance_ms / 1e3), onsets


def _report(
    capture: TimingCapture, matching: MatchConfig, bias_ms: float, jitter_ms: float
) -> TimingReport:
    from .runtime.timing import Tolerances

    return capture.report(matching, Tolerances(bias_ms=bias_ms, jitter_ms=jitter_ms))


def _measure(
    path: Path,
    channel: str,
    markers: str,
    onsets: OnsetConfig,
    seconds: float,
    line: Callable[[TimingCapture], None] = lambda capture: None,
) -> TimingCapture:
    """Read a session's source, and nothing else of it; Ctrl-C ends it early."""
    from .runtime.catalog import find
    from .runtime.clock import MonotonicClock
    from .runtime.session import read_session
    from .runtime.timing_capture import TimingCapture, capture_live

    session: SessionConfig = read_session(path)
    clock = MonotonicClock()
    source = find("source", session.source.kind)(session.source.settings, clock)

    def open_capture(spec: StreamSpec) -> TimingCapture:
        return TimingCapture(spec, channel, markers, onsets)

    with progress_bar("looking for the stream") as step, _Interrupt() as interrupt:

        def tell(capture: TimingCapture) -> None:
            step(f"{capture.n_markers} markers so far", capture.seconds, seconds)
            line(capture)

        return capture_live(
            source, clock, open_capture, seconds=seconds, on_progress=tell, stop=interrupt.came
        )


class _Interrupt:
    """Ctrl-C asks for an end, so that what was measured is told."""

    def __init__(self) -> None:
        self._asked = False

    def came(self) -> bool:
        return self._asked

    def __enter__(self) -> _Interrupt:
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _ask(self, *_: object) -> None:
        self._asked = True


def _liner(
    every_s: float, matching: MatchConfig, *, quiet: bool
) -> Callable[[TimingCapture], None]:
    """What writes a line now and then while a measurement of hours runs."""
    due = [every_s]

    def line(capture: TimingCapture) -> None:
        if quiet or capture.seconds < due[0]:
            return
        due[0] = capture.seconds + every_s
        try:
            report = capture.report(matching)
        except DiverloopError as error:
            out.print(f"{capture.seconds / 60:7.1f} min  {error}", highlight=False, markup=False)
            return
        newest = report.newest
        out.print(
            f"{capture.seconds / 60:7.1f} min  {newest.n} newest: {newest.median_ms:+.2f} ms, SD "
            f"{newest.sd_ms:.2f} ms; since the start: drift {report.drift.ppm:+.2f} ppm, "
            f"{len(report.steps)} steps, {report.n_missing} missing, {report.n_extra} extra",
            highlight=False,
        )

    return line


def _instruct(channel: str, markers: str, kind: str, minutes: float) -> None:
    """What to plug where, in plain words."""
    sensor = {
        "photodiode": "Tape the photodiode onto the patch of the screen that flashes, and cover "
        "it against the light of the room.",
        "audio": "Lead the sound from a second plug of the loudspeaker to the amplifier, "
        "attenuated to what its input takes.",
        "trigger": "Lead the trigger line to the amplifier, at the level that its input takes.",
    }[kind]
    out.print(f"[bold]{NOTICE}[/] No person is connected to the amplifier for this.")
    steps = (
        sensor,
        f"Plug it into the amplifier's input {channel!r}, its ground as the maker says.",
        "Full screen, vertical refresh on, brightness as in the session, no automatic dimming.",
        f"Start the task. It writes a marker ({markers}) for each event, at uneven distances of "
        f"0.3 to 1 s.",
        f"Leave it alone for {minutes:g} minutes. Ctrl-C ends it earlier and tells what was seen.",
    )
    for number, text in enumerate(steps, 1):
        out.print(f"{number}. {text}", highlight=False, markup=False)


def _save(path: Path | None, report: TimingReport, spec: StreamSpec, data_id: str) -> str:
    """Write a delay down if it is one; what was done, in words."""
    from .runtime.timing_offset import DeviceTiming

    if path is None:
        return ""
    bad = [one.name for one in report.findings() if one.ok is False and one.name != "delay"]
    if bad:
        raise ConfigError(
            f"Nothing was saved, because a constant cannot correct this ({', '.join(bad)}): "
            f"{report.sentence()}"
        )
    DeviceTiming(
        offset_ms=round(report.delay.median_ms, 4),
        measured=datetime.now(UTC).date().isoformat(),
        n=report.n_pairs,
        sd_ms=round(report.jitter_ms, 4),
        recording=data_id,
        source_id=spec.source_id,
        stream=spec.name,
        rate_hz=spec.rate_hz,
    ).save(path)
    return f"Saved in {path}: windows that are locked to markers will be moved by it."


def _tell(
    report: TimingReport, title: str, json: bool, save: Callable[[], str] = lambda: ""
) -> None:
    """Show what was measured, and only then save it: that may fail, and nobody measures again."""
    if not json:
        _show(report, title)
    with plain_errors(json):
        saved = save()
    if json:
        print_json({"notice": NOTICE, **report.to_json(), "saved": saved})
    elif saved:
        out.print(saved, highlight=False, markup=False)
    raise typer.Exit(0 if report.ok or saved else 1)


def _show(report: TimingReport, title: str, transport: Spread | None = None) -> None:
    """The figures, what is good of them, and the verdict."""
    told = {"onset - marker": report.delay, **({"transport": transport} if transport else {})}
    # A figure a line: side by side they are cut off on a terminal of 80 columns.
    figures = ("n", "median", "95 %", "mean", "SD", "MAD", "min", "p5", "p95", "max")
    rows = list(zip(figures, *map(_figures, told.values()), strict=True))
    out.print(f"[bold]{NOTICE}[/]")
    out.print(figures_table(("ms", *told), rows, title))
    out.print(findings_table(report.findings(), "Good enough?"))
    out.print(report.sentence(), highlight=False, markup=False)


def _figures(one: Spread) -> tuple[str, ...]:
    low, high = one.median_interval_ms
    figures = (one.mean_ms, one.sd_ms, one.mad_ms, one.min_ms, one.p5_ms, one.p95_ms, one.max_ms)
    told = (f"{figure:.2f}" for figure in figures)
    return (str(one.n), f"{one.median_ms:.2f}", f"{low:.2f} to {high:.2f}", *told)
