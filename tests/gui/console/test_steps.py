"""The session's steps by their laws, looked at in every state that can be reached."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import cache

import pytest

from diverloop.gui.console import news as n
from diverloop.gui.console.learning import learn
from diverloop.gui.console.session import Act, Found, Model, Order, Output, Session, Step
from diverloop.gui.console.steps import act, model_of_today, steps_of
from diverloop.runtime.limits import State

GOOD = Model(accuracy=0.86, low=0.73, high=0.95, chance=0.5, trials=20, fits_signal=True)
POOR = replace(GOOD, accuracy=0.55, low=0.42)
FINE = (Found(name="session", ok=True),)
NEWS = (
    n.PreflightDone(findings=FINE, model=GOOD),
    n.PreflightDone(findings=(Found(name="free disk", ok=False),)),
    n.SignalSeen(electrodes=16),
    n.SignalSeen(electrodes=16, bad=("C3", "C4", "Cz", "Pz")),
    n.Calibrated(),
    n.Fitted(model=GOOD),
    n.ScreenGone(),
    n.LoopRuns(),
    n.LoopGone(),
    n.ResetDone(),
    n.Ended(folder="kept", verified=True),
    n.Reported(path="report.html"),
    *(n.GuardIs(state=state) for state in State),
    *(n.Failed(order=order) for order in (Order.FIT, Order.RUN, Order.ARM, Order.STOP, Order.END)),
)


def bare(session: Session) -> Session:
    """Without what only counts, so that there are finitely many states."""
    counts = {"actions": 0, "to_feedback": None, "paused_at": None, "to_resume": None, "blocks": 0}
    return replace(session, **counts, trouble="x" if session.trouble else "")


def possible(session: Session, news: n.News) -> bool:
    """Whether a session could be told this now: a guard speaks only while there is a loop.

    What a calibration and a fit come to may be told when the person has long been left.
    """
    match news:
        case n.GuardIs():
            return session.running
        case n.LoopRuns():
            return session.task is Order.RUN
        case n.LoopGone():
            return session.running
        case n.Ended():
            return session.task is Order.END
        case n.Reported():
            return session.task is Order.REPORT
        case n.PreflightDone():
            return session.task is Order.PREFLIGHT
        case n.Failed():
            return session.task is news.order or news.order is Order.STOP
    return True


@cache
def reached() -> tuple[Session, ...]:
    """Every state that acts and news lead to, from the beginning."""
    seen, todo = {bare(Session())}, deque([Session()])
    while todo:
        here = todo.popleft()
        outcomes = [act(here, what, "P-017") for what in Act]
        outcomes += [learn(here, news) for news in NEWS if possible(here, news)]
        for outcome in outcomes:
            if (there := bare(outcome.session)) not in seen:
                seen.add(there)
                todo.append(there)
    return tuple(seen)


def through(session: Session, *done: Act | n.News) -> Session:
    """What comes of acts and news, none of them refused."""
    for one in done:
        outcome = act(session, one, "P-017") if isinstance(one, Act) else learn(session, one)
        assert outcome.refused is None, (one, outcome.refused)
        session = outcome.session
    return session


CHECKED = (Act.IDENTIFY, n.PreflightDone(findings=FINE), Act.TO_SIGNAL)
SEEN = (*CHECKED, n.SignalSeen(electrodes=16))
FITTED = (*SEEN, Act.TO_CALIBRATION, Act.CALIBRATE, n.Calibrated(), n.Fitted(model=GOOD))
READY = (*FITTED, Act.APPROVE, n.LoopRuns(), n.GuardIs(state=State.DISARMED))
ON = (*READY, Act.START, n.GuardIs(state=State.ARMED))


def test_many_states_are_looked_at_and_every_step_and_output_is_among_them():
    assert len(reached()) > 500
    assert {session.step for session in reached()} == set(Step)
    assert {session.output for session in reached()} == set(Output)


def test_from_every_state_one_act_stops():
    for session in reached():
        outcome = act(session, Act.STOP)
        assert outcome.refused is None
        assert outcome.session.output is Output.STOPPED
        assert outcome.orders[0] is Order.STOP


def test_nothing_arms_but_a_person_who_starts():
    for session in reached():
        for news in NEWS:
            assert Order.ARM not in learn(session, news).orders
        for what in Act:
            assert (Order.ARM in act(session, what, "P-017").orders) <= (what is Act.START)


def test_nothing_starts_while_a_stop_stands():
    for session in reached():
        if session.output is Output.STOPPED:
            orders = {order for what in Act for order in act(session, what, "P-017").orders}
            assert not orders & {Order.ARM, Order.RUN, Order.CALIBRATE}


def test_a_stop_is_left_by_a_reset_that_was_done_and_by_nothing_else_but_the_end():
    for session in reached():
        if session.output is Output.STOPPED:
            for news in NEWS:
                over = learn(session, news).session.output is not Output.STOPPED
                assert over <= isinstance(news, n.ResetDone | n.Ended)
            for what in Act:
                assert act(session, what, "P-017").session.output is Output.STOPPED


def test_from_every_step_one_act_leads_to_the_close():
    for session in reached():
        if session.step in (Step.IDENTIFY, Step.CLOSE, Step.REPORT):
            continue
        there = act(session, Act.END)
        assert there.refused is None
        assert there.session.step is Step.CLOSE


def test_what_is_refused_changes_nothing_orders_nothing_and_says_why():
    for session in reached():
        for what in Act:
            outcome = act(session, what, "P 017")
            if outcome.refused:
                assert outcome.session == session
                assert not outcome.orders
                assert outcome.refused.key.startswith("refuse_")


def test_a_person_goes_from_identify_to_report():
    closed = (Act.BREAK, Act.END, Act.FINISH, n.Ended(folder="kept", verified=True))
    session = through(Session(), *ON, *closed, Act.REPORT, n.Reported(path="report.html"))
    assert (session.step, session.report, session.blocks) == (Step.REPORT, "report.html", 1)
    assert act(session, Act.OPEN).orders == (Order.OPEN,)


def test_the_first_feedback_comes_after_seven_actions():
    assert through(Session(), *ON).to_feedback == 7


def test_with_a_model_of_today_it_comes_sooner():
    known = n.PreflightDone(findings=FINE, model=GOOD)
    session = through(
        Session(), Act.IDENTIFY, known, Act.TO_SIGNAL, n.SignalSeen(electrodes=16), Act.USE_MODEL,
        Act.APPROVE, n.LoopRuns(), Act.START, n.GuardIs(state=State.ARMED),
    )  # fmt: skip
    assert session.to_feedback == 6


def test_after_a_pause_one_action_resumes_and_after_a_stop_two():
    armed = n.GuardIs(state=State.ARMED)
    disarmed = n.GuardIs(state=State.DISARMED)
    paused = through(Session(), *ON, Act.BREAK, disarmed, Act.START, armed)
    assert paused.to_resume == 1
    stopped = through(
        Session(), *ON, Act.STOP, n.GuardIs(state=State.STOPPED), Act.RESET, n.ResetDone(),
        disarmed, Act.START, armed,
    )  # fmt: skip
    assert stopped.to_resume == 2


def test_a_calibration_is_refused_while_three_electrodes_are_bad():
    bad = n.SignalSeen(electrodes=16, bad=("C3", "Cz", "C4"))
    outcome = act(through(Session(), *CHECKED, bad), Act.TO_CALIBRATION)
    assert outcome.refused is not None
    assert outcome.refused.key == "refuse_electrodes"
    assert outcome.refused.values == {"count": "3", "names": "C3, Cz, C4"}


def test_of_many_electrodes_a_tenth_may_be_bad():
    bad = n.SignalSeen(electrodes=128, bad=tuple(f"E{k}" for k in range(12)))
    assert through(Session(), *CHECKED, bad, Act.TO_CALIBRATION).step is Step.CALIBRATION


def test_where_nothing_can_look_at_the_signal_a_person_goes_on():
    assert through(Session(), *CHECKED, n.SignalUnseen(), Act.TO_CALIBRATION)


@pytest.mark.parametrize(
    "model", [POOR, replace(GOOD, today=False), replace(GOOD, fits_signal=False), None]
)
def test_a_model_that_is_poor_old_or_foreign_makes_no_calibration_needless(model):
    known = n.PreflightDone(findings=FINE, model=model)
    session = through(Session(), Act.IDENTIFY, known, Act.TO_SIGNAL, n.SignalSeen(electrodes=16))
    assert model_of_today(session) is None
    assert act(session, Act.USE_MODEL).refused


@pytest.mark.parametrize("name", ["", "J", "Jane Doe", "김철수", "a" * 33, "-x"])
def test_a_name_is_no_pseudonym(name):
    assert act(Session(), Act.IDENTIFY, name).refused


def test_a_stop_during_the_calibration_ends_it_and_what_it_left_is_not_fitted():
    outcome = act(through(Session(), *SEEN, Act.TO_CALIBRATION, Act.CALIBRATE), Act.STOP)
    assert outcome.orders == (Order.STOP, Order.END_CALIBRATION)
    after = learn(outcome.session, n.Calibrated())
    assert after.orders == ()
    assert after.session.step is Step.CALIBRATION


def test_what_nobody_waits_for_any_more_is_neither_fitted_nor_taken_for_a_model():
    for session in reached():
        fitted = learn(session, n.Fitted(model=replace(GOOD, trials=99))).session
        assert (fitted.model == session.model) == (session.task is not Order.FIT)
        calibrated = learn(session, n.Calibrated())
        assert (Order.FIT in calibrated.orders) == (session.task is Order.CALIBRATE)


def test_the_model_of_one_person_never_comes_to_the_next():
    left = through(Session(), *SEEN, Act.TO_CALIBRATION, Act.CALIBRATE, n.Calibrated(), Act.END)
    other = through(left, Act.NEXT_PERSON, Act.IDENTIFY, n.PreflightDone(findings=FINE))
    assert through(other, n.Fitted(model=GOOD)).model is None


def test_a_stopped_calibration_is_not_fitted_though_the_stop_was_released_meanwhile():
    stopped = through(Session(), *SEEN, Act.TO_CALIBRATION, Act.CALIBRATE, Act.STOP, Act.RESET)
    assert learn(through(stopped, n.ResetDone()), n.Calibrated()).orders == ()


def test_a_loop_that_is_being_started_is_waited_for_before_the_next_person_comes():
    for session in reached():
        if session.task is Order.RUN:
            for what in Act:
                assert act(session, what, "P-017").session.task is Order.RUN
    loading = through(Session(), *FITTED, Act.APPROVE, Act.END)
    assert act(loading, Act.NEXT_PERSON).refused
    assert through(loading, Act.BACK).step is Step.FEEDBACK
    assert act(through(loading, n.LoopRuns()), Act.FINISH).orders == (Order.END,)
    assert through(loading, n.Failed(order=Order.RUN), Act.NEXT_PERSON).person == ""


def test_a_participants_screen_that_closes_is_trouble_and_changes_nothing_else():
    session = through(Session(), *ON)
    gone = through(session, n.ScreenGone(detail="no display"))
    assert (gone.trouble, gone.trouble_detail) == ("trouble_screen", "no display")
    assert replace(gone, trouble="", trouble_detail="") == session


def test_a_loop_that_goes_can_be_started_again():
    session = through(Session(), *ON, n.LoopGone(detail="status 1"))
    assert (session.output, session.running, session.trouble) == (Output.OFF, False, "trouble_gone")
    assert act(session, Act.RESTART).orders == (Order.RUN,)


def test_the_screen_follows_the_guard_whoever_moved_it():
    session = through(Session(), *ON, n.GuardIs(state=State.HOLDING))
    assert session.output is Output.HOLDING
    assert through(session, n.GuardIs(state=State.DISARMED)).output is Output.OFF
    assert through(session, n.GuardIs(state=State.STOPPED)).output is Output.STOPPED


def test_old_word_of_an_armed_guard_does_not_undo_a_stop():
    stopped = through(Session(), *ON, Act.STOP)
    assert through(stopped, n.GuardIs(state=State.ARMED)).output is Output.STOPPED


def test_who_is_not_allowed_to_arm_is_told_and_nothing_is_on():
    session = through(Session(), *READY, Act.START, n.Failed(order=Order.ARM, detail="no right"))
    assert (session.output, session.trouble) == (Output.OFF, "trouble_arm")
    assert act(session, Act.START).orders == (Order.ARM,)


def test_the_strip_knows_what_lies_behind():
    behind = dict(steps_of(through(Session(), *FITTED)))
    assert behind[Step.SIGNAL]
    assert not behind[Step.DECISION]
    assert not behind[Step.FEEDBACK]
