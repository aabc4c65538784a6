"""What the console is told, as the next state of its session: the other half of `steps`."""

from __future__ import annotations

from dataclasses import replace

from ...runtime.limits import State
from . import news as n
from .session import Checked, Model, Order, Outcome, Output, Session, Step

_LIVE = (Output.ON, Output.HOLDING, Output.ASKED)


def learn(session: Session, told: n.News) -> Outcome:
    """Learn something about the session.

    Parameters
    ----------
    session : Session
        As it is.
    told : News
        What is new.

    Returns
    -------
    outcome : Outcome
        Never refused, and never with an order to arm.
    """
    match told:
        case n.PreflightDone():
            return _checked(session, told)
        case n.SignalSeen():
            return Outcome(session=replace(session, electrodes=told.electrodes, bad=told.bad))
        case n.SignalUnseen():
            return Outcome(session=replace(session, watchable=False))
        case n.CalibrationWent():
            return Outcome(session=replace(session, done=told.done, of=told.of))
        case n.Calibrated():
            return _calibrated(session, told)
        case n.Fitted():
            return _fitted(session, told.model)
        case n.Failed():
            return _failed(session, told)
        case n.ScreenGone():
            gone = replace(session, trouble="trouble_screen", trouble_detail=told.detail)
            return Outcome(session=gone)
        case n.Judged():
            return Outcome(session=replace(session, hits=told.hits, trials=told.trials))
        case _:
            return _learn_of_the_loop(session, told)


def _checked(session: Session, told: n.PreflightDone) -> Outcome:
    marks = [found.ok for found in told.findings]
    checked = Checked.GOOD
    if None in marks:
        checked = Checked.DOUBTFUL
    if False in marks or not marks:
        checked = Checked.BAD
    known = replace(session, checked=checked, findings=told.findings, model=told.model)
    return Outcome(session=known.free(Order.PREFLIGHT))


def _calibrated(session: Session, told: n.Calibrated) -> Outcome:
    if session.task is not Order.CALIBRATE:
        return Outcome(session=session)  # stopped or left meanwhile: it is recorded, that is all
    if not told.usable:
        there = replace(session.free(Order.CALIBRATE), trouble="trouble_calibrate")
        return Outcome(session=there)
    return Outcome(session=replace(session, task=Order.FIT), orders=(Order.FIT,))


def _fitted(session: Session, model: Model) -> Outcome:
    if session.task is not Order.FIT:
        return Outcome(session=session)  # left meanwhile: it may be the model of another person
    known = replace(session.free(Order.FIT), model=model, trouble="")
    return Outcome(session=replace(known, step=Step.DECISION))


def _failed(session: Session, told: n.Failed) -> Outcome:
    known = replace(session.free(told.order), trouble=f"trouble_{told.order}")
    known = replace(known, trouble_detail=told.detail)
    if told.order is Order.PREFLIGHT:
        known = replace(known, checked=Checked.BAD)
    if told.order is Order.ARM and known.output is Output.ASKED:
        known = replace(known, output=Output.OFF)
    return Outcome(session=known)


def _learn_of_the_loop(session: Session, told: n.News) -> Outcome:
    match told:
        case n.LoopRuns():
            return Outcome(session=replace(session.free(Order.RUN), running=True, begun=True))
        case n.LoopGone():
            return Outcome(session=_gone(session, told.detail))
        case n.GuardIs():
            return Outcome(session=_guarded(session, told.state))
        case n.ResetDone() if session.output is Output.STOPPED:
            return Outcome(session=replace(session, output=Output.OFF))
        case n.Ended():
            kept = replace(session.free(Order.END), recorded=told.folder, verified=told.verified)
            return Outcome(session=replace(kept.off(), running=False, output=Output.OFF))
        case n.Reported():
            known = replace(session.free(Order.REPORT), report=told.path, step=Step.REPORT)
            return Outcome(session=known)
    return Outcome(session=session)


def _gone(session: Session, detail: str) -> Session:
    gone = replace(session.paused().off(), running=False, trouble="trouble_gone")
    waits = gone.task if gone.task in (Order.END, Order.REPORT) else None
    return replace(gone, trouble_detail=detail, task=waits)


def _guarded(session: Session, state: State) -> Session:
    """The screen follows the guard, whoever moved it."""
    if state is State.STOPPED:
        return replace(session.paused().free(Order.ARM), output=Output.STOPPED)
    if state is State.DISARMED:
        return session.paused().off() if session.output in _LIVE else session
    if session.output is Output.STOPPED:
        return session  # word from before the stop: only a reset leads on
    output = Output.ON if state is State.ARMED else Output.HOLDING
    if session.output in (Output.ON, Output.HOLDING):
        return replace(session, output=output)
    step = Step.FEEDBACK if session.step is Step.BREAK else session.step  # armed by somebody else
    begun = replace(session.free(Order.ARM), output=output, step=step)
    begun = replace(begun, blocks=session.blocks + 1)
    if begun.to_feedback is None:
        return replace(begun, to_feedback=begun.actions)
    since = begun.actions - begun.paused_at if begun.paused_at is not None else None
    return replace(begun, to_resume=since)
