"""Alarms in three priorities: what is wrong, how urgent, and whether a person has seen it.

Priorities, colours and flashing follow the model of [1]_: high is red and flashes at 1.4 to 2.8 Hz,
medium is yellow and flashes at 0.4 to 0.8 Hz, low is steady; each has its own group of tones. It is
taken as a guide to what staff know from other devices and not claimed as met. No alarm flashes
three times a second or more often, because a participant may see the screen [2]_.

References
----------
.. [1] IEC 60601-1-8:2006 with amendments 1:2012 and 2:2020, alarm systems in medical electrical
   equipment.
.. [2] W3C (2023). Web Content Accessibility Guidelines 2.2, "three flashes or below threshold".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum


class Priority(IntEnum):
    """How urgent; a higher number goes first."""

    LOW = 1  # advice: to be known
    MEDIUM = 2  # to be seen to soon
    HIGH = 3  # to be seen to at once


class Alarm(StrEnum):
    """What can be wrong; each is a sentence of `words` under the same name."""

    STOP_UNANSWERED = "alarm_stop_unanswered"
    SEIZURE = "alarm_seizure"
    STOPPED = "alarm_stopped"
    LOOP_GONE = "alarm_loop_gone"
    RECORDER = "alarm_recorder"
    ELECTRODES = "alarm_electrodes"
    SIGNAL_LOST = "alarm_signal_lost"
    LATE = "alarm_late"
    QUIET = "alarm_quiet"
    NOT_DONE = "alarm_not_done"
    BREAK_DUE = "alarm_break_due"
    WEAK_SIGNAL = "alarm_weak_signal"
    MESSAGES_LOST = "alarm_messages_lost"


PRIORITIES: Mapping[Alarm, Priority] = {
    Alarm.STOP_UNANSWERED: Priority.HIGH,
    Alarm.SEIZURE: Priority.HIGH,
    Alarm.STOPPED: Priority.HIGH,
    Alarm.LOOP_GONE: Priority.HIGH,
    Alarm.RECORDER: Priority.HIGH,
    Alarm.ELECTRODES: Priority.MEDIUM,
    Alarm.SIGNAL_LOST: Priority.MEDIUM,
    Alarm.LATE: Priority.MEDIUM,
    Alarm.QUIET: Priority.MEDIUM,
    Alarm.NOT_DONE: Priority.MEDIUM,
    Alarm.BREAK_DUE: Priority.LOW,
    Alarm.WEAK_SIGNAL: Priority.LOW,
    Alarm.MESSAGES_LOST: Priority.LOW,
}
"""Of every alarm. Within a priority, the order of `Alarm` decides which is shown first."""

FLASH_HZ: Mapping[Priority, float] = {
    Priority.HIGH: 2.0,
    Priority.MEDIUM: 0.6,
    Priority.LOW: 0.0,
}
"""How often an alarm flashes that nobody has acknowledged; 0 is steady."""

TONES: Mapping[Priority, int] = {Priority.HIGH: 3, Priority.MEDIUM: 2, Priority.LOW: 1}
"""How many tones in a row: told apart without a speaker that plays melodies."""

REPEAT_S: Mapping[Priority, float] = {
    Priority.HIGH: 10.0,
    Priority.MEDIUM: 20.0,
    Priority.LOW: float("inf"),
}
"""After how long the tones come again while nobody has acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One alarm that is shown.

    Parameters
    ----------
    alarm : Alarm
        Which.
    values : mapping
        What is put into its sentence.
    since_s : float
        When it began, on the clock that was given.
    present : bool
        Whether what it warns of is still so; a high alarm stays until somebody acknowledges it.
    seen : bool
        Whether a person has acknowledged it.
    """

    alarm: Alarm
    values: Mapping[str, str] = field(default_factory=dict)
    since_s: float = 0.0
    present: bool = True
    seen: bool = False

    @property
    def priority(self) -> Priority:
        """How urgent."""
        return PRIORITIES[self.alarm]

    def lit(self, now_s: float) -> bool:
        """Whether it is bright at a moment: half of each flash, and always when it is steady."""
        rate_hz = 0.0 if self.seen else FLASH_HZ[self.priority]
        return not rate_hz or ((now_s - self.since_s) * rate_hz) % 1.0 < 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """All alarms that stand, the most urgent first.

    Parameters
    ----------
    standing : tuple of Standing
        High before medium before low, what nobody has seen before what was seen.
    """

    standing: tuple[Standing, ...] = ()

    def update(self, wrong: Mapping[Alarm, Mapping[str, str]], now_s: float) -> Alarms:
        """Learn what is wrong now.

        Parameters
        ----------
        wrong : mapping of Alarm to mapping
            All that is so now, with what is put into the sentences.
        now_s : float
            On any clock that only goes forward.

        Returns
        -------
        alarms : Alarms
            What is over is gone, unless it was high and nobody has acknowledged it.
        """
        kept = [
            replace(one, present=one.alarm in wrong, values=wrong.get(one.alarm, one.values))
            for one in self.standing
            if one.alarm in wrong or (one.priority is Priority.HIGH and not one.seen)
        ]
        known = {one.alarm for one in kept}
        new = [
            Standing(alarm=alarm, values=values, since_s=now_s)
            for alarm, values in wrong.items()
            if alarm not in known
        ]
        return _sorted([*kept, *new])

    def acknowledge(self) -> Alarms:
        """A person has seen the alarms that stand: they are steady and silent from here on."""
        return _sorted([replace(one, seen=True) for one in self.standing if one.present])

    @property
    def first(self) -> Standing | None:
        """The one to show."""
        return self.standing[0] if self.standing else None

    @property
    def unseen(self) -> bool:
        """Whether there is anything to acknowledge."""
        return any(not one.seen for one in self.standing)

    @property
    def high(self) -> bool:
        """Whether something of the highest priority is wrong now."""
        return any(one.present and one.priority is Priority.HIGH for one in self.standing)


class Sound:
    """Says when tones are due: at once for what is new and more urgent, then from time to time."""

    def __init__(self) -> None:
        self._told: dict[Alarm, float] = {}

    def due(self, alarms: Alarms, now_s: float) -> int:
        """How many tones to play now.

        Parameters
        ----------
        alarms : Alarms
            As they stand.
        now_s : float
            On the clock of `Alarms.update`.

        Returns
        -------
        tones : int
            Of the most urgent alarm that is due; 0 for silence.
        """
        unseen = [one for one in alarms.standing if not one.seen]
        self._told = {one.alarm: self._told[one.alarm] for one in unseen if one.alarm in self._told}
        due = [
            one
            for one in unseen
            if now_s - self._told.get(one.alarm, -float("inf")) >= REPEAT_S[one.priority]
        ]
        if not due:
            return 0
        self._told |= dict.fromkeys((one.alarm for one in due), now_s)
        return TONES[max(one.priority for one in due)]


def _sorted(standing: list[Standing]) -> Alarms:
    order = list(Alarm)
    ranked = sorted(standing, key=lambda one: (-one.priority, one.seen, order.index(one.alarm)))
    return Alarms(standing=tuple(ranked))
