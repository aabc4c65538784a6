"""The command line. Investigational, not a medical device."""

from __future__ import annotations

import signal
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from . import (
    __version__,
    calibration_commands,
    checking,
    cohort_commands,
    control_commands,
    corpus_commands,
    cost_commands,
    engine_commands,
    key_commands,
    model_commands,
    montage_commands,
    protocol_commands,
    record_commands,
    registry_commands,
    screen_commands,
    study_commands,
    timing_commands,
    trust_commands,
)
from .console import (
    NOTICE,
    AsJson,
    course_sentence,
    latency_table,
    out,
    overrides_of,
    pace_sentence,
    plain_errors,
    print_json,
    progress_bar,
    pseudonyms,
    score_text,
)
from .faults import commands as fault_commands
from .run_report import RunReport
from .running import RunOptions, run_session
from .runtime.errors import ConfigError
from .screening import telemetry_at
from .viewing import press

app = typer.Typer(
    help=f"Real-time closed-loop brain-computer interface runtime. {NOTICE}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

View = Annotated[bool, typer.Option("--view/--no-view", help="Live view in this terminal.")]
Listen = Annotated[bool, typer.Option("--listen", help="A speech decoder listens from the start.")]
Seconds = Annotated[float, typer.Option(help="Stop after so long; 0 runs on.", min=0)]
Reports = Annotated[Path, typer.Option(help="Folder for the report.")]
Recordings = Annotated[Path, typer.Option(help="Every session gets a folder of its own here.")]
Decisions = Annotated[Path | None, typer.Option(help="Write every decision here (JSON lines).")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Another value, as source.name=amp-2.")
]
Unit = Annotated[str | None, typer.Option(help="Unit of recordings that name none.")]


app.command()(checking.doctor)


@app.command()
def run(
    session: Annotated[Path, typer.Argument(help="Session file (TOML).")],
    arm: Annotated[bool, typer.Option("--arm", help="Let commands pass the guard.")] = False,
    listen: Listen = False,
    seconds: Seconds = 0.0,
    view: View = True,
    decisions: Decisions = None,
    recordings: Recordings = Path("recordings"),
    participant: Annotated[str, typer.Option(help="Pseudonym, never a name.")] = "",
    operator: Annotated[str, typer.Option(help="Who runs the session; a pseudonym.")] = "",
    unlock_flicker: Annotated[
        str,
        typer.Option(help="Why the operator lets flicker pass that the profile refuses; recorded."),
    ] = "",
    settings: Settings = None,
    json: AsJson = False,
) -> None:
    """Run a session live: stream in, decisions out, everything recorded."""
    from .runtime.session import read_session

    with plain_errors(json):
        overrides = _overrides(settings) | pseudonyms(participant, operator)
        checked = read_session(session, overrides)
        options = RunOptions(
            seconds=seconds,
            armed=arm,
            listen=listen,
            view=view and not json,
            decisions=decisions,
            recordings=recordings,
            unlock_flicker=unlock_flicker,
        )
        _tell_run(run_session(checked, options), json)


@app.command()
def replay(
    recording: Annotated[Path, typer.Argument(help="Recording to decode.")],
    model: Annotated[Path | None, typer.Option(help="Fitted bundle.")] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Run a recorded session again, as it was.")
    ] = False,
    decisions: Decisions = None,
    listen: Listen = False,
    reports: Reports = Path("reports"),
    step_s: Annotated[float | None, typer.Option(help="Another window step.")] = None,
    engine: Annotated[str, typer.Option(help="What runs a student: NAME or NAME:PRECISION.")] = (
        "auto"
    ),
    assume_unit: Unit = None,
    json: AsJson = False,
) -> None:
    """Decode a recording with the live loop, as fast as the machine goes.

    With --exact, a recorded session is run again: same pieces, same clock, same model.
    """
    from .hardware.replay import ReplayConfig
    from .runtime.session import PartConfig, SessionConfig

    if exact:
        record_commands.replay_exactly(recording, json)
        return
    with plain_errors(json):
        if model is None:
            raise ConfigError("--model is missing: name a fitted bundle, or ask for --exact.")
        session = SessionConfig(
            name=f"replay of {recording.name}",
            source=PartConfig(
                kind="replay",
                settings=ReplayConfig(path=str(recording), assume_unit=assume_unit),
            ),
            model=model,
            step_s=step_s,
            engine=engine,
            engine_fallback=engine == "auto",
        )
        options = RunOptions(
            live=False, armed=True, listen=listen, decisions=decisions, reports=reports,
            fitted_on=record_commands.was_fitted_on(model, recording, assume_unit),
        )  # fmt: skip
        _tell_run(run_session(session, options), json)


@app.command()
def play(
    recording: Annotated[Path, typer.Argument(help="Recording to serve over LSL.")],
    name: Annotated[str, typer.Option(help="Name of the LSL stream.")] = "diverloop-player",
    wait_s: Annotated[float, typer.Option(help="Wait so long for a listener.")] = 60.0,
    loop: Annotated[bool, typer.Option("--loop", help="Start again at the end.")] = False,
    events: Annotated[
        bool, typer.Option("--events", help="Send the markers as numbers, too, for MNE-LSL.")
    ] = False,
    start_s: Annotated[float, typer.Option(min=0)] = 0.0,
    stop_s: Annotated[float | None, typer.Option(min=0)] = None,
    assume_unit: Unit = None,
    json: AsJson = False,
) -> None:
    """Serve a recording as a live LSL stream with its markers."""
    from .hardware.player import PlayerConfig, play
    from .hardware.recordings import read_recording
    from .runtime.clock import MonotonicClock

    with plain_errors(json):
        config = PlayerConfig(
            path=str(recording),
            name=name,
            wait_for_consumer_s=wait_s,
            events=events,
            loop=loop,
            start_s=start_s,
            stop_s=stop_s,
            assume_unit=assume_unit,
        )
        whole_s = read_recording(recording, assume_unit=assume_unit).duration_s
        length_s = (stop_s or whole_s) - start_s
        with progress_bar(f"waiting for a listener to {name!r}") as step:
            report = play(
                config,
                MonotonicClock(),
                on_progress=lambda at_s: step(f"playing {recording.name}", at_s, length_s),
            )
    if json:
        print_json(asdict(report))
    else:
        out.print(
            f"Sent {report.samples_sent} samples and {report.markers_sent} markers as "
            f"{report.name!r}; at worst {report.worst_late_s * 1e3:.1f} ms late."
        )


@app.command()
def demo(
    live_s: Annotated[float, typer.Option(help="Length of the live part.", min=5)] = 30.0,
    long_s: Annotated[float, typer.Option(help="Signal in the long part.", min=0)] = 700.0,
    view: View = True,
    task: Annotated[str, typer.Option(help="What the participant does.")] = "motor_imagery",
    encoder: Annotated[
        str, typer.Option(help="How it is decoded; auto: the way that does best.")
    ] = "",
    montage: Annotated[str, typer.Option(help="Electrodes of the participant.")] = "",
    keep: Annotated[Path | None, typer.Option(help="Folder to keep the fitted bundle in.")] = None,
    reports: Reports = Path("reports"),
    json: AsJson = False,
) -> None:
    """Show the whole loop on a simulated participant: calibrate, then close the loop, live."""
    from .demo import DemoPlan, calibrate, live_block, long_block
    from .runtime.bundle import save_bundle
    from .runtime.catalog import find

    with plain_errors(json):
        plan = DemoPlan(task=task, encoder=encoder, live_s=live_s, long_s=long_s, montage=montage)
        kept = keep / f"demo-{montage or task}.bundle" if keep else None
        if kept:
            model_commands.refuse_overwriting(kept)
        title = find("task", task).title
        _say(json, f"[bold]{NOTICE}[/] A simulated participant does this task: {title}.")
        with progress_bar("simulating a calibration block") as step:
            bundle = calibrate(plan, step)
        if kept:
            save_bundle(bundle, kept)
        scores = bundle.card.scores
        score = score_text(scores["cross_validation"]) if "cross_validation" in scores else "done."
        _say(json, f"1. Calibrated on {plan.calibration_s:g} s of signal: {score}")
        if "verdict" in scores:
            _say(json, f"   {scores['verdict']}")
        _say(json, f"2. Closed loop in real time, {plan.live_s:g} s:")
        live = live_block(bundle, plan, view=view and not json, reports=reports)
        if not json:
            _print_run(live)
        long = long_block(bundle, plan) if plan.long_s else None
    if json:
        parts = {"long_block": long.to_json() if long else None, "bundle": kept and str(kept)}
        print_json({**live.to_json(), **parts})
        return
    if long:
        said = _achieved(long)
        out.print(
            f"3. Closed loop again, {plan.long_s:g} s of signal as fast as this machine goes: "
            f"{said}"
        )
    if kept:
        out.print(f"The model is kept in {kept}.")


@app.command()
def watch(
    address: Annotated[str, typer.Argument(help="Telemetry address of a running loop.")],
    session: Annotated[str, typer.Option(help="Name for the header.")] = "",
    key: Annotated[
        Path | None, typer.Option(envvar="DIVERLOOP_KEY", help="Your key file, if it asks for one.")
    ] = None,
    stop_line: Annotated[int, typer.Option(hidden=True)] = -1,
) -> None:
    """Watch a running loop in this terminal; the loop does not notice."""
    from .gui.stop_key import stop_key
    from .gui.terminal import TerminalView

    # A terminated view still puts the terminal back as it was.
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with plain_errors(json_wanted=False):
        subscriber = telemetry_at(address, key)
        try:
            view = TerminalView(subscriber, out, session=session)
            if stop_line < 0:
                view.run(until=ended.is_set)
                return
            with stop_key(lambda: press(stop_line)) as view.state.can_stop:
                view.run(until=ended.is_set)
        except KeyboardInterrupt:
            return
        finally:
            subscriber.close()


@app.command()
def version(json: AsJson = False) -> None:
    """Print the version."""
    if json:
        print_json({"diverloop": __version__, "notice": NOTICE})
        return
    out.print(f"diverloop {__version__}. {NOTICE}")


for command in (
    model_commands.fit,
    calibration_commands.calibrate,
    calibration_commands.recentre,
    corpus_commands.corpus,
    cost_commands.cost,
    model_commands.pretrain,
    model_commands.distill,
    model_commands.fetch_teacher,
    model_commands.student,
    protocol_commands.plan,
    record_commands.look,
    record_commands.verify,
    record_commands.note,
    record_commands.listen,
    record_commands.report,
    record_commands.export,
    record_commands.repair,
    control_commands.stop,
    control_commands.disarm,
    control_commands.arm,
    control_commands.reset,
    control_commands.enable,
    control_commands.disable,
    control_commands.roll_back,
    control_commands.status,
    control_commands.hold,
    fault_commands.faults,
    screen_commands.monitor,
    screen_commands.console,
    screen_commands.screen,
):
    app.command()(command)
app.command("compile")(engine_commands.compile_model)
app.add_typer(engine_commands.bench, name="bench")
app.add_typer(key_commands.keys, name="keys")
app.add_typer(timing_commands.timing, name="timing")
app.add_typer(trust_commands.trust, name="trust")
app.add_typer(registry_commands.models, name="models")
app.add_typer(montage_commands.montage, name="montage")
app.add_typer(study_commands.app, name="study")
app.add_typer(cohort_commands.app, name="cohort")


def main() -> None:
    """Run the command line."""
    app()


def _overrides(settings: list[str] | None) -> dict[str, str]:
    found = overrides_of(settings)
    if "model.bundle" in found:
        # What is typed counts from where it is typed, what is written from the file's folder.
        found["model.bundle"] = str(Path(found["model.bundle"]).expanduser().absolute())
    return found


def _tell_run(report: RunReport, json: bool) -> None:
    if json:
        print_json(report.to_json())
    else:
        _print_run(report)


def _print_run(report: RunReport) -> None:
    if report.live:
        out.print(latency_table(report.latency))
        out.print(report.latency.sentence())
        if report.latency.decoded:
            out.print(f"First decision {report.first_decision_s:.2f} s after the loop started.")
    else:
        out.print(pace_sentence(report.latency, report.signal_s, report.wall_s))
    out.print(_achieved(report), highlight=False)
    if report.fitted_on:
        out.print(
            "The model was fitted on this recording: how it does here says nothing of others."
        )
    if report.engine:
        out.print(f"The student ran on {report.engine.replace(':', ', ')}.", highlight=False)
    for grant in report.grants:
        if not grant.obtained:
            out.print(f"Real time: {grant.name} refused: {grant.detail}", highlight=False)
    if report.kept:
        out.print(f"Recorded: {report.kept}", highlight=False)
        out.print("A report for people: diverloop report, with that folder.", highlight=False)
    elif report.path:
        out.print(f"Report: {report.path}")


def _achieved(report: RunReport) -> str:
    """How a run went, in words."""
    if report.course:
        return course_sentence(report.course)
    return report.score.sentence() if report.score else report.unscored


def _say(json: bool, text: str) -> None:
    if not json:
        out.print(text)
