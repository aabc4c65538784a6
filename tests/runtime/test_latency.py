from __future__ import annotations

import json

import pytest

from diverloop.runtime.latency import STAGES, LatencyBook
from diverloop.runtime.messages import Event, EventKind, StageTimes

MS = 1_000_000


def times(*steps_ms, due_ns=0):
    """Stage times from the milliseconds each of the seven stages takes."""
    ends_ns = [due_ns]
    for step_ms in steps_ms:
        ends_ns.append(ends_ns[-1] + int(step_ms * MS))
    names = (
        "due_ns", "arrived_ns", "conditioned_ns", "cut_ns",
        "encoded_ns", "decided_ns", "fed_back_ns", "acted_ns",
    )  # fmt: skip
    return StageTimes(**dict(zip(names, ends_ns, strict=True)))


def test_each_stage_is_charged_its_own_time():
    book = LatencyBook()
    book.turn(times(8, 2, 1, 16, 4, 3, 5, due_ns=77), True)
    took_ms = {row.name: row.max_ms for row in book.report().stages}
    assert took_ms == {
        "wait": 8, "condition": 2, "cut": 1, "encode": 16, "decide": 4, "feedback": 3, "act": 5,
        "loop": 31, "total": 39,
    }  # fmt: skip


def test_rows_come_in_the_order_of_the_stages():
    assert tuple(row.name for row in LatencyBook().report().stages) == STAGES


def test_the_effective_latency_adds_the_filters_and_half_the_window():
    book = LatencyBook()
    book.turn(times(10, 0, 0, 20, 0, 0, 0))
    report = book.report(filter_delay_s=0.05, window_s=1.0)
    assert report.effective.p50_ms == pytest.approx(30 + 50 + 500)
    assert report.sentence() == (
        "Effective latency 580.0 ms in the median and 580.0 ms at the 99th percentile: 30.0 ms "
        "from the last sample to the act in the median, plus 50.0 ms of filter delay, plus "
        "500.0 ms for half a window."
    )


def test_a_devices_delay_is_part_of_the_effective_latency():
    book = LatencyBook(0.0125)
    book.turn(times(10, 0, 0, 20, 0, 0, 0))
    report = book.report(window_s=1.0)
    assert report.device_delay_ms == report.to_json()["device_delay_ms"] == 12.5
    assert report.effective.p50_ms == pytest.approx(30 + 500 + 12.5)
    assert report.sentence().endswith("for half a window, plus 12.5 ms in the device, as measured.")


def test_a_device_that_dates_its_samples_back_makes_nothing_newer():
    report = LatencyBook(-0.01).report(window_s=1.0)
    assert (report.device_delay_ms, "in the device" in report.sentence()) == (0.0, False)


def test_every_window_that_was_due_is_accounted_for():
    book = LatencyBook()
    book.turn(times(1, 1, 1, 1, 1, 1, 1))
    book.turn(times(1, 1, 1, 1, 1, 1, 1), False, "artefact")
    book.turn(times(1, 1, 1, 1, 1, 1, 1), False)
    book.count_refused("artefact", 3)
    book.count_refused("never", 0)
    book.count_skipped(4)
    report = book.report()
    assert report.refused == {"artefact": 4, "no reason given": 1}
    assert (report.decoded, report.skipped_late, report.windows_due) == (1, 4, 10)


def test_a_refused_window_does_not_flatter_the_histograms():
    book = LatencyBook()
    book.turn(times(9, 9, 9, 9, 9, 9, 9), False, "artefact")
    assert {row.n for row in book.report().stages} == {0}


def test_losses_and_misses_are_counted():
    book = LatencyBook()
    book.count_lost(40)
    book.count_missed()
    book.count_missed()
    report = book.report()
    assert (report.samples_lost, report.missed_deadlines) == (40, 2)


def test_events_are_counted_by_kind_alone():
    book = LatencyBook()
    for _ in range(2):
        book.count_event(Event(kind=EventKind.GAP, text="40 samples were lost.", count=40))
    report = book.report()
    assert report.events == {"gap": 2}
    assert report.samples_lost == 0


def test_endless_new_reasons_do_not_grow_the_book():
    book = LatencyBook()
    for number in range(100):
        book.count_refused(f"reason {number}")
    refused = book.report().refused
    assert len(refused) == 33
    assert refused["other reasons"] == 68


def test_the_table_ends_with_the_effective_row_and_shows_dashes_when_empty():
    table = LatencyBook().report().table()
    assert table[0] == ("wait", "0", "-", "-", "-", "-")
    assert [row[0] for row in table] == [*STAGES, "effective"]


def test_the_report_survives_strict_json():
    book = LatencyBook()
    empty = json.loads(json.dumps(book.report().to_json(), allow_nan=False))
    assert empty["stages"][0] == {
        "name": "wait", "n": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None, "max_ms": None,
    }  # fmt: skip
    book.turn(times(8, 2, 1, 16, 4, 3, 5))
    full = json.loads(json.dumps(book.report().to_json(), allow_nan=False))
    assert full["stages"][-1]["max_ms"] == 39
    assert full["windows_due"] == 1
