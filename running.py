"""Running a loop for a person: live view, decision log, scores, report on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .adapters.scorer import Judgement, Scorer
from .adapters.task import Task
from .adapting import adaptive
from .assembly import Model, assemble, open_session_model, timing_doubts
from .console import err
from .controlling import check_doors, controlled, entrance, stimulation_permit
from .flicker_lock import allow, look
from .keeping import Keeping, file_name, keep
from .listening import hearing
from .rl.adaptation import Adaptation
from .run_report import RunReport
from .runtime.card import Card
from .runtime.catalog import find
from .runtime.clock import MonotonicClock, VirtualClock
from .runtime.decision_log import DecisionLog
from .runtime.errors import ConfigError
from .runtime.json_text import json_text
from .runtime.loop import Loop
from .runtime.messages import Event, EventKind
from .runtime.paradigms.flicker import Unlock
from .runtime.realtime import realtime
from .runtime.record.audit import AuditKind
from .runtime.security import whose
from .runtime.session import SessionConfig
from .runtime.stages import Clock, Watcher
from .runtime.telemetry import Score, TelemetryPublisher
from .viewing import stopped_by, viewer


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a person asked for on the command line.

    Parameters
    ----------
    seconds : float
        Stop after so long; 0 runs until the source ends or somebody stops it.
    live : bool
        In real time on the machine's clock; False lets a recording pass at once.
    armed : bool
        Commands pass the guard.
    listen : bool
        A speech decoder listens from the start.
    view : bool
        Draw the live view in this terminal.
    decisions : Path, optional
        Where to write every decision.
    reports : Path, optional
        Folder for the report; none is written without it.
    recordings : Path, optional
        Folder in which the session gets a folder of its own, with recording, audit log, model and
        report; nothing is kept without it.
    unlock_flicker : str
        Why the session's operator lets flicker pass that the participant's profile refuses; empty
        if nobody does. It goes on record, so there must be one.
    fitted_on : bool
        What is replayed is among what the model was fitted on; the report says so.
    """

    seconds: float = 0.0
    live: bool = True
    armed: bool = False
    listen: bool = False
    view: bool = False
    decisions: Path | None = None
    reports: Path | None = None
    recordings: Path | None = None
    unlock_flicker: str = ""
    fitted_on: bool = False


def run_session(
    session: SessionConfig, options: RunOptions, model: Model | None = None
) -> RunReport:
    """Run a session to its end and report.

    Parameters
    ----------
    session : SessionConfig
        Checked settings.
    options : RunOptions
        What was asked for.
    model : Model, optional
        Instead of the session's own.

    Returns
    -------
    report : RunReport
        Also written to ``options.reports``.
    """
    model = model or open_session_model(session, live=options.live)
    unlock = _unlocked(session, model.card, options)
    wall = MonotonicClock()
    clock: Clock = wall if options.live else VirtualClock()
    with ExitStack() as stack:
        # The loop closes its watchers; until it has them, nobody else would.
        unclosed = stack.enter_context(ExitStack())
        scorer, publisher, watchers = _own_watchers(model, options, unclosed)
        keeping = stack.enter_context(_keeping(session, model, clock, options, unlock))
        watchers += keeping.watchers if keeping else ()
        told = _posters(publisher, keeping)
        scorer.on_change = _to_views(told)
        adaptation = stack.enter_context(
            adaptive(session, model, clock, keeping, told, live=options.live)
        )
        watchers += [adaptation] if adaptation else ()
        loop = assemble(
            session,
            clock=clock,
            watchers=watchers,
            armed=options.armed,
            model=model,
            tape=keeping.tape if keeping else None,
            unlock=unlock,
            watched=options.live,
            stimulation=stimulation_permit(keeping, clock),
            prompt=adaptation is not None and not options.live,
        )
        stack.enter_context(_reached(model, loop, session, options, keeping, adaptation))
        unclosed.pop_all()
        _introduce(loop, keeping, model, clock)
        if publisher:
            stack.enter_context(viewer(publisher.address, session.name, loop))
        stack.enter_context(stopped_by(loop, options.seconds))
        # What stays is entered last, so that no thread of ours inherits the loop's privileges.
        grants = stack.enter_context(realtime(session.realtime)) if options.live else ()
        began_ns, wall_began_ns = clock.now_ns(), wall.now_ns()
        latency = loop.run()
        ended_ns, wall_ended_ns = clock.now_ns(), wall.now_ns()
    report = RunReport(
        session=session.name,
        model=keeping.model_sha256 if keeping else model.sha256,
        live=options.live,
        signal_s=(ended_ns - began_ns) / 1e9,
        wall_s=(wall_ended_ns - wall_began_ns) / 1e9,
        first_decision_s=loop.first_decision_s,
        latency=latency,
        score=scorer.report(),
        unscored=scorer.why_nothing(),
        grants=tuple(grants),
        kept=keeping.folder if keeping else None,
        engine=model.engine,
        notes=model.notes,
        course=_course(model.adapter),
        fitted_on=options.fitted_on,
    )
    return _kept(report, options)


def _own_watchers(
    model: Model, options: RunOptions, unclosed: ExitStack
) -> tuple[Scorer, TelemetryPublisher | None, list[Watcher]]:
    """Who looks on in any run, told to close if no loop comes to do so."""
    publisher = TelemetryPublisher() if options.view else None
    scorer = scorer_for(model.card)
    watchers: list[Watcher] = [scorer, *([publisher] if publisher else [])]
    for watcher in watchers:
        unclosed.callback(watcher.close)
    if options.decisions:
        watchers.append(DecisionLog(options.decisions))
        unclosed.callback(watchers[-1].close)
    return scorer, publisher, watchers


@contextmanager
def _reached(
    model: Model,
    loop: Loop,
    session: SessionConfig,
    options: RunOptions,
    keeping: Keeping | None,
    adaptation: Adaptation | None,
) -> Iterator[None]:
    """Let people tell the decoder things, and control the loop, while it runs."""
    folder, live, listen = keeping.folder if keeping else None, options.live, options.listen
    if adaptation:
        adaptation.serve(loop.promotions, loop.tell)
    if live:
        _doubt_timing(session, model, keeping)
    told = hearing(
        model.adapter, loop.inbox, session,
        listen=listen, live=live, folder=folder, tell=loop.tell,
    )  # fmt: skip
    with told, controlled(keeping, loop, model.adapter, session, adaptation):
        yield


def scorer_for(card: Card) -> Scorer:
    """Who judges a model's decisions, as its task sees them."""
    task: Task = find("task", card.task)
    return task.scorer(card)


def _unlocked(session: SessionConfig, card: Card, options: RunOptions) -> Unlock | None:
    """Who lets locked flicker pass, if anybody has to and does; nobody does without a record."""
    if not options.unlock_flicker:
        allow(session, card)
        return None
    if options.recordings is None:
        raise ConfigError(
            "An unlock of flicker goes on record, and this run keeps none: name a folder with "
            "--recordings."
        )
    if not session.operator.strip():
        raise ConfigError(
            "An unlock of flicker needs to know who takes responsibility, and the session names "
            "no operator: give --operator."
        )
    return Unlock(operator=session.operator, reason=options.unlock_flicker)


def _introduce(loop: Loop, keeping: Keeping | None, model: Model, clock: Clock) -> None:
    """Let the loop hear of what keeps it, and of how its engine was chosen."""
    if keeping:
        keeping.link.tell = loop.tell
    for text in (*whose(model.bundle), *model.notes):
        err.print(text, highlight=False, markup=False)
    for text in model.notes:
        loop.tell(Event(kind=EventKind.ENGINE, text=text, at_ns=clock.now_ns()))


def _doubt_timing(session: SessionConfig, model: Model, keeping: Keeping | None) -> None:
    """Say what is doubtful about the device's delay, to the person and on record."""
    for text in timing_doubts(session, model.card, datetime.now(UTC).date()):
        err.print(text, highlight=False, markup=False)
        if keeping:
            keeping.audit.append(AuditKind.FAULT, who="diverloop", why=text, details={})


def _course(adapter: object) -> dict[str, Any]:
    """What an adapter keeps of a session, if it keeps anything."""
    record = getattr(adapter, "record", None)
    kept: dict[str, Any] = record() if record else {}
    return kept


@contextmanager
def _keeping(
    session: SessionConfig,
    model: Model,
    clock: Clock,
    options: RunOptions,
    unlock: Unlock | None,
) -> Iterator[Keeping | None]:
    """What keeps the session, if it is to be kept; who unlocked flicker is told at once."""
    root, live, armed = options.recordings, options.live, options.armed
    check_doors(session.control, live=live, armed=armed, kept=root is not None)
    if root is None:
        yield None
        return
    with keep(session, model, clock, root, live=live, armed=armed) as keeping:
        if unlock:
            keeping.audit.append(
                AuditKind.OVERRIDE,
                who=unlock.operator,
                why=f"Flicker was unlocked: {unlock.reason}",
                details=look(session, model.card).record(),
            )
        with entrance(session.control, keeping, clock, live=live) as made_ready:
            yield made_ready


def _kept(report: RunReport, options: RunOptions) -> RunReport:
    """The same, written down where it belongs, if anywhere."""
    if report.kept:
        return _written(report, report.kept / "report.json")
    return _written(report, _report_path(report, options.reports)) if options.reports else report


def _report_path(report: RunReport, folder: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return folder / f"{file_name(report.session)}-{stamp}.json"


def _written(report: RunReport, path: Path) -> RunReport:
    path.parent.mkdir(parents=True, exist_ok=True)
    report = replace(report, path=path)
    path.write_text(json_text(report.to_json()) + "\n", encoding="utf-8")
    return report


def _posters(
    view: TelemetryPublisher | None, keeping: Keeping | None
) -> tuple[TelemetryPublisher, ...]:
    """Through whom everybody is told who looks, here or with a key."""
    doors = keeping.doors if keeping else None
    return tuple(one for one in (view, doors.publisher if doors else None) if one)


def _to_views(publishers: Sequence[TelemetryPublisher]) -> Callable[[Judgement], None]:
    """Tell everybody who looks how often it was right."""

    def post(report: Judgement) -> None:
        score = Score(
            hits=report.n_correct,
            trials=report.n,
            interval=report.interval,
            meaning=report.meaning,
        )
        for publisher in publishers:
            publisher.post(score)

    return post
