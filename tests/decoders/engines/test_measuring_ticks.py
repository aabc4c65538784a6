"""Ticks of a second thread: all are counted, and a call that never lets go is seen."""

from __future__ import annotations

import itertools

import pytest

from diverloop.decoders.engines.measuring_ticks import summary_of_ticks, ticks_lost


def test_a_tick_is_late_when_it_comes_more_than_a_millisecond_after_it_was_due():
    found = summary_of_ticks([0.0, 0.0005, 0.001, 0.0011, 0.020])
    assert found["ticks"] == 5
    assert found["late_share"] == pytest.approx(0.4)
    assert found["worst_ms"] == pytest.approx(20.0)


def test_every_tick_is_counted_with_the_call_and_without_it():
    calls = itertools.count()
    found = ticks_lost(lambda: next(calls), seconds=0.02)
    assert found["idle"]["ticks"] == found["busy"]["ticks"] == 20
    assert next(calls) > 0


def test_a_call_that_never_lets_go_is_seen():
    # Adding up integers is one call into C that holds the lock for as long as it takes.
    found = ticks_lost(lambda: sum(range(2_000_000)), seconds=0.05)
    assert found["busy"]["worst_ms"] > 5.0
    assert found["busy"]["late_share"] > 0.2
