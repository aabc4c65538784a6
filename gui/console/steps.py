"""The session as a state machine: pure, so that its laws can be tested.

`act` is what a person does, `learning.learn` what the console is told. Both return the next state
and what has to be done for it. Only a person arms: `learn` never orders it.

The order of the steps:

    identify -> pre-flight -> signal -> calibration -> go or no-go
        -> feedback (-> break -> feedback)* -> close -> report

with a short cut past the calibration while a model of today fits this person, and a stop from
everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from .session import Act, Checked, Model, Order, Outcome, Output, Reason, Session, Step

PSEUDONYM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,31}")
"""What a participant may be called here: no space, so that no name fits by accident."""

_LIVE = (Output.ON, Output.HOLDING, Output.ASKED)
_ANYWHERE = tuple(Step)
_AFTER_IDENTIFY = tuple(s for s in Step if s not in (Step.IDENTIFY, Step.CLOSE, Step.REPORT))
_ALLOWED_WHEN_STOPPED = (Act.STOP, Act.RESET, Act.END, Act.BACK, Act.FINISH)
_ALLOWED_WHEN_BUSY = (Act.STOP, Act.END_CALIBRATION, Act.END, Act.BACK)


def act(session: Session, what: Act, text: str = "") -> Outcome:
    """Let a person do something.

    Parameters
    ----------
    session : Session
        As it is.
    what : Act
        What the person does.
    text : str
        The pseudonym, to identify.

    Returns
    -------
    outcome : Outcome
        With `refused` and nothing changed, if it cannot be done now.
    """
    if what is Act.STOP:
        return _stop(session)
    places, function = _ACTS[what]
    if session.output is Output.STOPPED and what not in _ALLOWED_WHEN_STOPPED:
        return _refuse(session, "refuse_stopped")
    if session.step not in places:
        return _refuse(session, "refuse_not_now")
    if session.task and what not in _ALLOWED_WHEN_BUSY and _waits(session, what):
        return _refuse(session, "refuse_busy")
    outcome = function(session, text)
    if outcome.refused:
        return outcome
    cost = 2 if what is Act.IDENTIFY else 1  # typing, and a press
    return replace(outcome, session=_counted(session, outcome.session, cost))


def steps_of(session: Session) -> tuple[tuple[Step, bool], ...]:
    """Every step with whether it lies behind; calibration counts as behind if it was skipped."""
    here = tuple(Step).index(session.step)
    return tuple((step, place < here) for place, step in enumerate(Step))


def model_of_today(session: Session) -> Model | None:
    """A model that makes a calibration needless, if there is one."""
    model = session.model
    usable = model and model.today and model.beats_chance and model.fits_signal is not False
    return model if usable else None


# ------------------------------------------------------------------------------ what a person does


def _waits(session: Session, what: Act) -> bool:
    """Whether an act has to wait for what is being done; looking at a signal holds up nobody."""
    return session.task is not Order.WATCH and not (
        what is Act.RESET and session.output is Output.STOPPED
    )


def _refuse(session: Session, key: str, **values: str) -> Outcome:
    return Outcome(session=session, refused=Reason(key=key, values=values))


def _stop(session: Session) -> Outcome:
    """From everywhere, however often: asked again, it is ordered again."""
    counted = session if session.output is Output.STOPPED else session.paused()
    stopped = replace(counted, output=Output.STOPPED, task=_without_calibration(session))
    orders: tuple[Order, ...] = (Order.STOP,)
    if session.task is Order.CALIBRATE:
        orders = (Order.STOP, Order.END_CALIBRATION)
    return Outcome(session=_counted(session, stopped, 1), orders=orders)


def _counted(before: Session, after: Session, cost: int) -> Session:
    """Actions so far; the way back from a pause begins behind the act that paused."""
    actions = before.actions + cost
    paused_at = after.paused_at if after.paused_at == before.paused_at else actions
    return replace(after, actions=actions, paused_at=paused_at)


def _without_calibration(session: Session) -> Order | None:
    return None if session.task in (Order.CALIBRATE, Order.ARM) else session.task


def _identify(session: Session, text: str) -> Outcome:
    person = text.strip()
    if not PSEUDONYM.fullmatch(person):
        return _refuse(session, "refuse_pseudonym")
    there = replace(session, person=person, step=Step.PREFLIGHT)
    return _check_again(there, "")


def _check_again(session: Session, _: str) -> Outcome:
    asked = replace(session, task=Order.PREFLIGHT, checked=Checked.NOT_YET, findings=())
    return Outcome(session=replace(asked, trouble=""), orders=(Order.PREFLIGHT,))


def _to_signal(session: Session, _: str) -> Outcome:
    if session.checked in (Checked.NOT_YET, Checked.BAD):
        return _refuse(session, "refuse_preflight")
    there = replace(session, step=Step.SIGNAL, task=Order.WATCH, trouble="")
    return Outcome(session=there, orders=(Order.WATCH,))


def _signal_refusal(session: Session) -> Outcome | None:
    if session.watchable and not session.electrodes:
        return _refuse(session, "refuse_no_signal")
    if session.too_many_bad:
        return _refuse(
            session, "refuse_electrodes", count=str(len(session.bad)), names=session.named_bad
        )
    return None


def _to_calibration(session: Session, _: str) -> Outcome:
    there = replace(session, step=Step.CALIBRATION, task=None, trouble="", done=0, of=0)
    return _signal_refusal(session) or Outcome(session=there)


def _use_model(session: Session, _: str) -> Outcome:
    if model_of_today(session) is None:
        return _refuse(session, "refuse_no_model")
    there = replace(session, step=Step.DECISION, task=None, trouble="")
    return _signal_refusal(session) or Outcome(session=there)


def _calibrate(session: Session, _: str) -> Outcome:
    begun = replace(session, task=Order.CALIBRATE, trouble="", done=0, of=0)
    return _signal_refusal(session) or Outcome(session=begun, orders=(Order.CALIBRATE,))


def _end_calibration(session: Session, _: str) -> Outcome:
    if session.task is not Order.CALIBRATE:
        return _refuse(session, "refuse_not_now")
    return Outcome(session=session, orders=(Order.END_CALIBRATION,))


def _approve(session: Session, _: str) -> Outcome:
    if session.model is None:
        return _refuse(session, "refuse_no_model")
    if session.running:  # the page was left and came to again
        return Outcome(session=replace(session, step=Step.FEEDBACK, trouble=""))
    there = replace(session, step=Step.FEEDBACK, task=Order.RUN, trouble="")
    return Outcome(session=there, orders=(Order.RUN,))


def _start(session: Session, _: str) -> Outcome:
    if not session.running:
        return _refuse(session, "refuse_no_loop")
    if session.output in _LIVE:
        return _refuse(session, "refuse_not_now")
    there = replace(session, step=Step.FEEDBACK, output=Output.ASKED, task=Order.ARM, trouble="")
    return Outcome(session=there, orders=(Order.ARM,))


def _restart(session: Session, _: str) -> Outcome:
    if session.running:
        return _refuse(session, "refuse_not_now")
    there = replace(session, step=Step.FEEDBACK, task=Order.RUN, trouble="")
    return Outcome(session=there, orders=(Order.RUN,))


def _break(session: Session, _: str) -> Outcome:
    off = replace(session.paused(), step=Step.BREAK, output=Output.OFF, task=None)
    return Outcome(session=off, orders=(Order.DISARM,))


def _end(session: Session, _: str) -> Outcome:
    """To the page that asks whether to end; on the way there nothing passes any more."""
    output = Output.STOPPED if session.output is Output.STOPPED else Output.OFF
    there = replace(session.paused(), step=Step.CLOSE, output=output, task=_loading(session))
    orders = (Order.DISARM,) if session.running else ()
    if session.task is Order.CALIBRATE:
        orders = (*orders, Order.END_CALIBRATION)
    return Outcome(session=there, orders=orders)


def _loading(session: Session) -> Order | None:
    """A session that is being started is this person's: nobody goes on before it has come."""
    return Order.RUN if session.task is Order.RUN else None


def _back(session: Session, _: str) -> Outcome:
    if session.recorded or session.task is Order.END:
        return _refuse(session, "refuse_ended")
    if _loading(session):
        return Outcome(session=replace(session, step=Step.FEEDBACK))
    if session.running:
        step = Step.FEEDBACK if session.output in _LIVE else Step.BREAK
        return Outcome(session=replace(session, step=step))
    checked = session.checked in (Checked.GOOD, Checked.DOUBTFUL)
    if not checked:
        return Outcome(session=replace(session, step=Step.PREFLIGHT))
    there = replace(session, step=Step.SIGNAL, task=Order.WATCH)
    return Outcome(session=there, orders=(Order.WATCH,))


def _finish(session: Session, _: str) -> Outcome:
    if session.recorded:
        return _refuse(session, "refuse_ended")
    asked = replace(session, task=Order.END, trouble="")
    return Outcome(session=asked, orders=(Order.END,))


def _report(session: Session, _: str) -> Outcome:
    if not session.recorded:
        return _refuse(session, "refuse_nothing_recorded")
    asked = replace(session, task=Order.REPORT, trouble="", step=Step.REPORT)
    return Outcome(session=asked, orders=(Order.REPORT,))


def _open(session: Session, _: str) -> Outcome:
    if not session.report:
        return _refuse(session, "refuse_no_report")
    return Outcome(session=session, orders=(Order.OPEN,))


def _reset(session: Session, _: str) -> Outcome:
    if session.output is not Output.STOPPED:
        return _refuse(session, "refuse_not_now")
    return Outcome(session=replace(session, trouble=""), orders=(Order.RESET,))


def _next_person(session: Session, _: str) -> Outcome:
    if session.running:
        return _refuse(session, "refuse_not_now")
    return Outcome(session=Session(limits=session.limits))


_Does = Callable[[Session, str], Outcome]
_ACTS: dict[Act, tuple[tuple[Step, ...], _Does]] = {
    Act.IDENTIFY: ((Step.IDENTIFY,), _identify),
    Act.CHECK_AGAIN: ((Step.PREFLIGHT,), _check_again),
    Act.TO_SIGNAL: ((Step.PREFLIGHT, Step.CALIBRATION, Step.DECISION), _to_signal),
    Act.TO_CALIBRATION: ((Step.SIGNAL, Step.DECISION), _to_calibration),
    Act.USE_MODEL: ((Step.SIGNAL, Step.CALIBRATION), _use_model),
    Act.CALIBRATE: ((Step.CALIBRATION,), _calibrate),
    Act.END_CALIBRATION: ((Step.CALIBRATION,), _end_calibration),
    Act.APPROVE: ((Step.DECISION,), _approve),
    Act.START: ((Step.FEEDBACK, Step.BREAK), _start),
    Act.RESTART: ((Step.FEEDBACK, Step.BREAK), _restart),
    Act.BREAK: ((Step.FEEDBACK,), _break),
    Act.END: (_AFTER_IDENTIFY, _end),
    Act.BACK: ((Step.CLOSE,), _back),
    Act.FINISH: ((Step.CLOSE,), _finish),
    Act.REPORT: ((Step.CLOSE, Step.REPORT), _report),
    Act.OPEN: ((Step.REPORT,), _open),
    Act.NEXT_PERSON: ((Step.CLOSE, Step.REPORT), _next_person),
    Act.RESET: (_ANYWHERE, _reset),
}
