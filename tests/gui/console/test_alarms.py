"""Alarms: which goes first, which stays, what flashes, what sounds."""

from __future__ import annotations

from diverloop.gui.console.alarms import (
    FLASH_HZ,
    PRIORITIES,
    REPEAT_S,
    TONES,
    Alarm,
    Alarms,
    Priority,
    Sound,
)


def standing(*alarms: Alarm, now_s: float = 0.0) -> Alarms:
    return Alarms().update({key: {} for key in alarms}, now_s)


def test_every_alarm_has_a_priority_and_every_priority_its_flash_and_tones():
    assert set(PRIORITIES) == set(Alarm)
    assert set(FLASH_HZ) == set(TONES) == set(REPEAT_S) == set(Priority)


def test_flashing_is_within_the_rates_of_the_standard_and_below_three_a_second():
    assert 1.4 <= FLASH_HZ[Priority.HIGH] <= 2.8
    assert 0.4 <= FLASH_HZ[Priority.MEDIUM] <= 0.8
    assert FLASH_HZ[Priority.LOW] == 0
    assert max(FLASH_HZ.values()) < 3


def test_the_most_urgent_is_shown_first_in_whatever_order_they_came():
    alarms = standing(Alarm.BREAK_DUE, Alarm.LATE, Alarm.RECORDER, Alarm.SEIZURE)
    shown = [one.alarm for one in alarms.standing]
    assert shown == [Alarm.SEIZURE, Alarm.RECORDER, Alarm.LATE, Alarm.BREAK_DUE]


def test_a_high_alarm_stays_until_it_is_acknowledged_and_the_others_leave_with_their_cause():
    alarms = standing(Alarm.LOOP_GONE, Alarm.LATE).update({}, 1.0)
    assert [one.alarm for one in alarms.standing] == [Alarm.LOOP_GONE]
    assert alarms.unseen
    assert not alarms.high
    assert alarms.acknowledge().standing == ()


def test_an_acknowledged_alarm_stays_steady_while_its_cause_does_and_comes_anew_after_it():
    alarms = standing(Alarm.SEIZURE).acknowledge().update({Alarm.SEIZURE: {}}, 1.0)
    assert not alarms.unseen
    assert alarms.high
    assert all(alarms.standing[0].lit(moment / 10) for moment in range(20))
    again = alarms.update({}, 2.0).update({Alarm.SEIZURE: {}}, 3.0)
    assert again.unseen


def test_what_nobody_has_seen_is_shown_before_what_was_seen():
    alarms = standing(Alarm.SEIZURE).acknowledge()
    alarms = alarms.update({Alarm.SEIZURE: {}, Alarm.RECORDER: {}}, 1.0)
    assert alarms.first is not None
    assert alarms.first.alarm is Alarm.RECORDER


def test_an_unseen_high_alarm_is_bright_half_of_the_time():
    one = standing(Alarm.SEIZURE).standing[0]
    assert sum(one.lit(k / 1000) for k in range(1000)) == 500


def test_new_values_take_the_place_of_old_ones():
    alarms = Alarms().update({Alarm.ELECTRODES: {"count": "4"}}, 0.0)
    alarms = alarms.update({Alarm.ELECTRODES: {"count": "3"}}, 1.0)
    assert alarms.standing[0].values == {"count": "3"}
    assert alarms.standing[0].since_s == 0.0


def test_tones_come_at_once_then_from_time_to_time_and_never_for_what_was_seen():
    sound, alarms = Sound(), standing(Alarm.SEIZURE)
    played = [sound.due(alarms, second) for second in range(21)]
    assert [k for k, tones in enumerate(played) if tones] == [0, 10, 20]
    assert played[0] == TONES[Priority.HIGH]
    assert sound.due(alarms.acknowledge(), 99.0) == 0


def test_a_low_alarm_sounds_once_and_a_more_urgent_one_at_once():
    sound, alarms = Sound(), standing(Alarm.BREAK_DUE)
    assert sound.due(alarms, 0.0) == TONES[Priority.LOW]
    assert sound.due(alarms, 1e6) == 0
    more = alarms.update({Alarm.BREAK_DUE: {}, Alarm.LATE: {}}, 1e6)
    assert sound.due(more, 1e6) == TONES[Priority.MEDIUM]
