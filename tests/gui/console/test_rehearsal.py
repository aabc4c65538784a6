"""A rehearsal behaves as a session would."""

from __future__ import annotations

import pytest

from diverloop.gui.console import news as n
from diverloop.gui.console.rehearsal import ELECTRODES, Fault, RehearsedWork
from diverloop.gui.console.session import Order, Session
from diverloop.runtime.messages import Event, EventKind, StreamSpec, Turn
from diverloop.runtime.quality import Quality


@pytest.fixture
def played(qapp):
    def play(*orders: tuple[Order, float], **settings):
        work, told = RehearsedWork(0, **settings), []
        work.news.connect(told.append)
        work.heard.connect(told.append)
        for order, seconds in orders:
            work.do(order, Session())
            work.tick(seconds)
        return told

    return play


def test_it_plays_by_itself_as_fast_as_it_was_asked_to(qtbot):
    work = RehearsedWork(speed=1000.0)
    with qtbot.waitSignal(work.news, timeout=10_000) as told:
        work.do(Order.PREFLIGHT, Session())
    assert isinstance(told.args[0], n.PreflightDone)
    work.close()


def test_the_electrodes_are_told_as_a_session_tells_them(played):
    told = played((Order.WATCH, 2.0))
    assert [type(one) for one in told] == [StreamSpec, Quality, Quality, Quality]
    assert told[1].channels == ELECTRODES == told[0].channel_names


def test_nothing_is_armed_before_a_person_arms(played):
    commands = [t.command for t in played((Order.RUN, 10.0)) if isinstance(t, Turn)]
    assert commands
    assert all(command.label is None for command in commands)


def test_a_stop_holds_against_arming_until_it_is_reset(played):
    told = played(
        (Order.RUN, 4.0), (Order.ARM, 1.0), (Order.STOP, 1.0), (Order.ARM, 2.0), (Order.RESET, 1.0)
    )
    guard = [t.text for t in told if isinstance(t, Event) and t.kind is EventKind.GUARD]
    assert guard == [
        "The guard is disarmed.",
        "The guard went from disarmed to armed.",
        "The guard went from armed to stopped.",
        "The guard went from stopped to disarmed.",
    ]
    assert told[-1] == n.ResetDone() or n.ResetDone() in told


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_shows_somewhere_in_a_session(played, fault):
    day = (
        (Order.PREFLIGHT, 4.0), (Order.WATCH, 2.0), (Order.CALIBRATE, 40.0), (Order.FIT, 8.0),
        (Order.RUN, 4.0), (Order.ARM, 12.0), (Order.STOP, 1.0),
    )  # fmt: skip
    good, bad = repr(played(*day)), repr(played(*day, fault=fault))
    assert (good == bad) == (fault is Fault.NONE)


def test_a_calibration_that_is_ended_early_counts_only_if_it_was_half_done(played):
    early = played((Order.CALIBRATE, 5.0), (Order.END_CALIBRATION, 0.0))
    late = played((Order.CALIBRATE, 20.0), (Order.END_CALIBRATION, 0.0))
    assert early[-1] == n.Calibrated(usable=False)
    assert late[-1] == n.Calibrated(usable=True)
