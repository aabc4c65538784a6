"""What the session saw of its signal comes out of messages as spans, counts and suspicions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from diverloop.runtime.messages import Event, EventKind
from diverloop.runtime.quality import Quality
from diverloop.runtime.record.report.course import Course
from diverloop.runtime.record.report.watch import watch_of

from .conftest import RATE_HZ, at_ns, noise

NAMES = ("Fp1", "Cz", "T8")


def told(second, **causes):
    """The quality at a second: who has a cause is masked."""
    usable = np.array([name not in causes for name in NAMES])
    return Quality(
        channels=NAMES, scores=np.where(usable, 1.0, 0.1).astype(np.float32), usable=usable,
        causes=tuple(causes.get(name, "") for name in NAMES), sample=round(second * RATE_HZ),
        at_ns=at_ns(second),
    )  # fmt: skip


def event(kind, second, text="Something."):
    return Event(kind=kind, text=text, sample=round(second * RATE_HZ), at_ns=at_ns(second))


def guard(second, before, after):
    return event(EventKind.GUARD, second, f"The guard went from {before} to {after}.")


@pytest.fixture
def record(bare_record):
    return lambda **given: bare_record(noise(3, 10 * 250), **given)


def watched(record):
    return watch_of(record, Course(record, ()))


def test_a_recording_without_such_messages_has_nothing_to_tell(record):
    found = watched(record(events=(guard(1, "disarmed", "armed"),)))
    assert found.empty
    assert (found.n_channels, found.masks, dict(found.found)) == (0, (), {})


def test_masks_become_spans_with_the_reason_for_which_they_began(record):
    qualities = (
        told(1), told(2, T8="flat"), told(3, T8="steps", Fp1="noisy"), told(4, T8="steps"),
        told(5), told(6), told(7, T8="noisy"), told(8, T8=""), told(9, T8="noisy"),
    )  # fmt: skip
    found = watched(record(qualities=qualities))
    spans = [(m.name, m.start_s, m.stop_s, m.cause, m.to_the_end) for m in found.masks]
    assert spans == [
        ("T8", 2.0, 5.0, "flat", False),
        ("Fp1", 3.0, 4.0, "noisy", False),
        ("T8", 7.0, 10.0, "noisy", True),
    ]
    assert found.names == ("T8", "Fp1")
    assert not found.empty


def test_an_electrode_that_was_masked_all_the_time_is_one_span(record):
    (mask,) = watched(record(qualities=tuple(told(n, Cz="flat") for n in range(1, 10)))).masks
    assert (mask.name, mask.start_s, mask.stop_s, mask.to_the_end) == ("Cz", 1.0, 10.0, True)


def test_the_one_number_is_kept_with_its_time(record):
    found = watched(record(qualities=(told(1), told(2, T8="flat"))))
    np.testing.assert_allclose(found.times_s, [1, 2])
    np.testing.assert_allclose(found.overall, [1, 0.7], atol=1e-6)
    assert found.masks[0].cause == "flat"


def test_findings_are_counted_by_kind_and_nothing_else_is(record):
    events = tuple(
        event(kind, second)
        for second, kind in enumerate(
            [EventKind.RIPPLE, EventKind.SPIKE, EventKind.GAP, EventKind.SPIKE, EventKind.CLEANED]
        )
    )
    found = watched(record(events=events)).found
    assert {kind: at_s.tolist() for kind, at_s in found.items()} == {
        EventKind.SPIKE: [1, 3], EventKind.RIPPLE: [0], EventKind.CLEANED: [4],
    }  # fmt: skip


SEIZURE = event(EventKind.SEIZURE, 3, "Research guard, not a diagnosis: seizure-like activity.")


def test_a_suspected_seizure_has_the_stop_that_it_caused(record):
    events = (
        guard(0, "disarmed", "armed"), SEIZURE, guard(3.1, "armed", "stopped"),
        guard(7, "stopped", "disarmed"),
    )  # fmt: skip
    (found,) = watched(record(events=events)).suspicions
    assert found.at_s == 3.0
    assert (found.halt.start_s, found.halt.stop_s) == pytest.approx((3.1, 7.0), abs=0.01)
    assert found.text == SEIZURE.text


def test_a_seizure_while_output_is_stopped_already_stops_nothing(record):
    events = (guard(1, "armed", "stopped"), SEIZURE, guard(7, "stopped", "disarmed"))
    (found,) = watched(record(events=events)).suspicions
    assert found.halt is None


def test_only_a_stop_by_a_person_is_called_an_emergency_stop(record):
    events = (
        guard(1, "armed", "stopped"), guard(2, "stopped", "disarmed"),
        guard(2.5, "disarmed", "armed"), SEIZURE, guard(3.1, "armed", "stopped"),
        guard(5, "stopped", "disarmed"), guard(6, "disarmed", "armed"),
        guard(8, "armed", "stopped"),
    )  # fmt: skip
    course = Course(record(events=events), ())
    assert course.stops_s == pytest.approx((1.0, 8.0), abs=0.01)
    assert [round(span.start_s, 1) for _, span in course.halts] == [3.1]


def test_a_seizure_of_which_the_guard_never_spoke_is_still_told(record):
    found = watched(record(events=(SEIZURE, dataclasses.replace(SEIZURE, sample=1500))))
    assert [(one.at_s, one.halt) for one in found.suspicions] == [(3.0, None), (6.0, None)]
