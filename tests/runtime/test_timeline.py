"""Faults are injected into a stream whose sample number is written into every channel, so any
placed sample can be compared with the index it was given."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.messages import EventKind
from diverloop.runtime.timeline import Timeline

RATES = (160.0, 250.0, 1000.0, 2048.0)


@dataclass
class Packet:
    first: int
    stamps: np.ndarray
    arrived_s: float

    @property
    def samples(self) -> np.ndarray:
        numbers = np.arange(self.first, self.first + len(self.stamps), dtype=np.float64)
        return np.vstack([numbers, -numbers])


@dataclass
class Result:
    index: list[int] = field(default_factory=list)
    number: list[int] = field(default_factory=list)
    events: list[EventKind] = field(default_factory=list)
    worst_hold: int = 0

    @property
    def error(self) -> np.ndarray:
        """Index given minus true number, per sample."""
        return np.asarray(self.index) - np.asarray(self.number)


def stream(rate: float, seconds: float, packet_s: float = 0.02, delay_s: float = 0.003):
    size = max(1, round(packet_s * rate))
    for first in range(0, round(seconds * rate), size):
        stamps = 100.0 + (first + np.arange(size)) / rate
        yield Packet(first, stamps, stamps[-1] + delay_s)


def feed(timeline: Timeline, packets) -> Result:
    result = Result()
    seen = 0
    for packet in packets:
        seen += len(packet.stamps)
        for placed in timeline.place(packet.samples, packet.stamps, packet.arrived_s):
            count = placed.samples.shape[1]
            result.index += range(placed.first_sample, placed.first_sample + count)
            result.number += placed.samples[0].astype(int).tolist()
        result.worst_hold = max(result.worst_hold, seen - len(result.index))
        result.events += [event.kind for event in timeline.take_events()]
    return result


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("packet_s", [0.0, 0.005, 0.02, 0.1, 0.5])
def test_a_clean_stream_is_counted_and_nothing_is_reported(rate, packet_s):
    result = feed(Timeline(rate), stream(rate, 20, packet_s))
    assert not result.events
    assert result.index == list(range(len(result.index)))
    assert len(result.index) >= 19 * rate


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("lost_s", [0.02, 0.1, 0.3, 1.0, 5.0])
def test_lost_packets_leave_a_hole_of_the_right_size(rate, lost_s):
    packets = [p for p in stream(rate, 20) if not 8 <= p.stamps[0] - 100 < 8 + lost_s]
    result = feed(Timeline(rate), packets)
    assert result.events == [EventKind.GAP]
    assert not result.error.any()
    assert len(result.index) == sum(len(p.stamps) for p in packets)


@pytest.mark.parametrize("rate", RATES)
def test_a_single_lost_sample_is_noticed(rate):
    packets = list(stream(rate, 20))
    cut = packets[200]
    packets[200] = Packet(cut.first + 1, cut.stamps[1:], cut.arrived_s)
    result = feed(Timeline(rate), packets)
    assert result.events == [EventKind.GAP]
    assert not result.error.any()


@pytest.mark.parametrize("rate", RATES)
def test_samples_that_come_twice_are_dropped_the_second_time(rate):
    packets = list(stream(rate, 20))
    again = packets[300]
    packets.insert(302, Packet(again.first, again.stamps, packets[301].arrived_s))
    result = feed(Timeline(rate), packets)
    assert result.events == [EventKind.DUPLICATE]
    assert result.index == result.number == list(range(len(result.index)))


@pytest.mark.parametrize("rate", RATES)
def test_swapped_packets_are_put_back_in_order(rate):
    packets = list(stream(rate, 20))
    packets[300], packets[301] = packets[301], packets[300]
    result = feed(Timeline(rate), packets)
    assert result.events == [EventKind.REORDERED]
    assert result.index == result.number == list(range(len(result.index)))


@pytest.mark.parametrize("step_s", [0.5, -0.5, 0.2, -0.2, 10.0])
@pytest.mark.parametrize("rate", RATES)
def test_a_clock_step_is_not_a_gap(rate, step_s):
    packets = list(stream(rate, 20))
    for packet in packets[400:]:
        packet.stamps += step_s
    result = feed(Timeline(rate), packets)
    assert result.events == [EventKind.CLOCK_STEP]
    assert result.index == result.number == list(range(len(result.index)))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("jitter_s", [0.005, 0.03, 0.1])
@pytest.mark.parametrize("seed", range(8))
def test_jitter_of_the_stamps_never_moves_a_sample(rate, jitter_s, seed):
    rng = np.random.default_rng(seed)
    packets = list(stream(rate, 30))
    for packet in packets:
        late = rng.uniform(0, jitter_s)
        packet.stamps += late
        packet.arrived_s += late
    result = feed(Timeline(rate), packets)
    assert set(result.events) <= {EventKind.JITTER}
    assert jitter_s < 0.03 or EventKind.JITTER in result.events
    assert result.index == result.number
    assert result.worst_hold <= 0.25 * rate


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("stall_s", [0.1, 1.0])
def test_late_arrival_alone_changes_nothing(rate, stall_s):
    packets = list(stream(rate, 20))
    for packet in packets[400:450]:
        packet.arrived_s += stall_s
    result = feed(Timeline(rate), packets)
    assert not result.events
    assert result.index == result.number


@pytest.mark.parametrize("rate", RATES)
def test_one_late_stamp_is_jitter_and_not_a_loss(rate):
    packets = list(stream(rate, 20))
    packets[400].stamps += 0.08
    packets[400].arrived_s += 0.08
    result = feed(Timeline(rate), packets)
    assert EventKind.GAP not in result.events
    assert result.index == result.number == list(range(len(result.index)))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("off", [0.001, -0.001, 0.024])
def test_a_wrong_nominal_rate_is_reported_and_costs_no_sample(rate, off):
    result = feed(Timeline(rate), stream(rate * (1 + off), 60))
    assert result.events in ([EventKind.RATE], [EventKind.RATE] * 2)  # again if it gets worse
    assert result.index == result.number == list(range(len(result.index)))


@pytest.mark.parametrize(
    ("off", "lasting"), [(0.001, False), (0.009, False), (0.012, True), (-0.024, True)]
)
def test_a_rate_far_off_rules_out_decoding(off, lasting):
    timeline = Timeline(250.0)
    for packet in stream(250.0 * (1 + off), 60):
        timeline.place(packet.samples, packet.stamps, packet.arrived_s)
    events = timeline.take_events()
    assert {event.kind for event in events} == {EventKind.RATE}
    assert events[-1].lasting is lasting


@pytest.mark.parametrize("rate", RATES)
def test_a_true_rate_within_tolerance_is_not_reported(rate):
    assert not feed(Timeline(rate), stream(rate * 1.0003, 60)).events


@pytest.mark.parametrize("rate", RATES)
def test_markers_land_on_the_sample_of_their_stamp(rate):
    timeline = Timeline(rate)
    feed(timeline, stream(rate, 10))
    for sample in (0, 7, int(5 * rate), int(9 * rate)):
        assert timeline.sample_at(100.0 + sample / rate) == sample


def test_a_backlog_of_many_seconds_in_one_piece_is_placed_whole():
    timeline = Timeline(100.0)
    packets = list(stream(100.0, 60, packet_s=20.0))
    assert feed(timeline, packets).index == list(range(6000))


@pytest.mark.parametrize("outage_s", [0.5, 2.0, 3600.0])
@pytest.mark.parametrize("new_clock", [False, True])
def test_a_sender_that_comes_back_leaves_a_gap_as_long_as_its_outage(outage_s, new_clock):
    rate = 1000.0
    timeline = Timeline(rate)
    before = feed(timeline, stream(rate, 5))
    stamp = 3.25 if new_clock else 105.0 + outage_s
    timeline.resume(stamp, outage_s)
    placed = timeline.place(np.zeros((2, 5)), stamp + np.arange(5) / rate, 105 + outage_s)
    assert placed[0].first_sample == pytest.approx(before.index[-1] + 1 + outage_s * rate, abs=1)
    kinds = [event.kind for event in timeline.take_events()]
    assert kinds == ([EventKind.CLOCK_STEP] if new_clock else []) + [EventKind.GAP]


def test_after_a_return_with_another_clock_a_step_is_still_no_gap():
    rate = 1000.0
    timeline = Timeline(rate)
    feed(timeline, stream(rate, 5))
    timeline.resume(3.25, 2.0)  # its host has started anew, and counts from its start
    again = list(stream(rate, 10))
    for packet in again:
        packet.stamps += 3.25 - 100.0
        packet.arrived_s += 7.0
    for packet in again[250:]:
        packet.stamps += 1.0
    result = feed(timeline, again)
    assert result.events == [EventKind.CLOCK_STEP, EventKind.GAP, EventKind.CLOCK_STEP]
    assert set(result.error) == {7000}


# What a broken sender may stamp, and liblsl hands on.
NO_TIMES = (np.nan, np.inf, -1e300)


@pytest.mark.parametrize("packet_s", [0.02, 0.5])
@pytest.mark.parametrize("wrong", NO_TIMES)
@pytest.mark.parametrize("place", [0, -1, slice(None)])
def test_samples_whose_stamps_are_no_times_count_as_the_next(packet_s, wrong, place):
    packets = list(stream(250.0, 8, packet_s))
    for packet in (packets[0], packets[len(packets) // 2]):
        packet.stamps[place] = wrong
    timeline = Timeline(250.0)
    result = feed(timeline, packets)
    assert set(result.events) == {EventKind.NOT_A_NUMBER}
    assert result.index == result.number == list(range(2000))
    assert timeline.sample_at(104.0) == pytest.approx(1000, abs=1)


@pytest.mark.parametrize("wrong", NO_TIMES)
def test_a_loss_beside_stamps_that_are_no_times_is_still_a_gap_of_its_size(wrong):
    packets = [p for p in stream(250.0, 20) if not 8 <= p.stamps[0] - 100 < 8.5]
    packets[401].stamps[:] = wrong
    result = feed(Timeline(250.0), packets)
    assert set(result.events) == {EventKind.NOT_A_NUMBER, EventKind.GAP}
    assert not result.error.any()


@pytest.mark.parametrize("wrong", NO_TIMES)
def test_a_return_or_a_marker_without_a_time_is_taken_as_of_now(wrong):
    timeline = Timeline(250.0)
    feed(timeline, stream(250.0, 8))
    assert timeline.sample_at(wrong) == 1999
    timeline.resume(wrong, 2.0)
    (placed,) = timeline.place(np.zeros((2, 5)), np.full(5, wrong), 110.0)
    assert placed.first_sample == pytest.approx(2500, abs=1)


@given(
    cuts=st.lists(st.integers(1, 200), min_size=5, max_size=60),
    lost=st.integers(0, 400),
    rate=st.sampled_from(RATES),
)
def test_indices_do_not_depend_on_how_the_stream_was_cut(cuts, lost, rate):
    numbers = np.arange(round(12 * rate))
    hole = round(6 * rate)
    numbers = np.r_[numbers[:hole], numbers[hole + lost :]]
    stamps = 100.0 + numbers / rate
    timeline = Timeline(rate)
    got: list[int] = []
    at = turn = 0
    while at < len(numbers):
        size = cuts[turn % len(cuts)]
        part = slice(at, at + size)
        samples = numbers[None, part].astype(float)
        for placed in timeline.place(samples, stamps[part], stamps[part][-1] + 0.002):
            first = placed.first_sample
            got += range(first, first + placed.samples.shape[1])
            np.testing.assert_array_equal(placed.samples[0], got[-placed.samples.shape[1] :])
        at += size
        turn += 1
    assert got == numbers[: len(got)].tolist()
    assert len(numbers) - len(got) <= 0.2 * rate + max(cuts)


# ------------------------------------------------------------------ which rows a run is made of


@st.composite
def mistreated(draw) -> list[Packet]:
    """Packets that are lost, repeated, swapped, torn, held up, or jump in time, in any mixture."""
    rate = 250.0
    packets = list(stream(rate, 12, packet_s=draw(st.sampled_from([0.004, 0.02, 0.1]))))
    n = len(packets)
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(n // 4, len(packets) - 8))
        kind = draw(st.sampled_from(["lose", "repeat", "swap", "tear", "late", "step", "shake"]))
        one = packets[at]
        if kind == "lose":
            del packets[at : at + draw(st.integers(1, 6))]
        elif kind == "repeat":
            packets.insert(at + draw(st.integers(1, 3)), dataclasses.replace(one))
        elif kind == "swap":
            other = at + draw(st.integers(1, 3))
            packets[at], packets[other] = packets[other], one
        elif kind == "tear" and len(one.stamps) > 2:
            cut = draw(st.integers(1, len(one.stamps) - 1))
            packets[at] = Packet(one.first + cut, one.stamps[cut:], one.arrived_s)
        elif kind == "late":
            one.stamps = one.stamps + draw(st.floats(0, 0.3))
        elif kind == "step":
            step_s = draw(st.sampled_from([0.5, -0.5, 0.2]))
            for packet in packets[at:]:
                packet.stamps = packet.stamps + step_s
        elif kind == "shake":
            one.stamps = one.stamps + np.linspace(0, draw(st.floats(0, 0.05)), len(one.stamps))
    return packets


@given(packets=mistreated(), joined=st.integers(1, 4))
def test_every_run_knows_which_received_rows_it_is_made_of(packets, joined):
    timeline = Timeline(250.0)
    rows = np.zeros((2, 0))
    used: list[int] = []
    stop = 0
    for at in range(0, len(packets), joined):
        group = packets[at : at + joined]
        samples = np.hstack([packet.samples for packet in group])
        # Noise, so that no two rows are alike by chance, and a repeat is one only if it is.
        samples = np.vstack([samples, np.sin(samples[:1] * 12.9898) * 43758.5453])
        stamps = np.concatenate([packet.stamps for packet in group])
        first_row = rows.shape[1]
        rows = np.hstack([rows.reshape(3, -1), samples]) if rows.size else samples
        placed = timeline.place(samples, stamps, group[-1].arrived_s, first_row)
        for run in placed:
            size = run.samples.shape[1]
            assert size
            assert run.first_sample >= stop
            stop = run.first_sample + size
            own = range(run.first_row, run.first_row + size)
            np.testing.assert_array_equal(run.samples, rows[:, own.start : own.stop])
            used += own
    assert len(set(used)) == len(used)


@given(packets=mistreated())
def test_rows_that_no_run_is_made_of_were_dropped_as_repeats_or_are_still_held(packets):
    timeline = Timeline(250.0)
    n_rows, used, dropped = 0, 0, 0
    for packet in packets:
        size = len(packet.stamps)
        used += sum(
            run.samples.shape[1]
            for run in timeline.place(packet.samples, packet.stamps, packet.arrived_s, n_rows)
        )
        n_rows += size
        dropped += sum(
            event.count for event in timeline.take_events() if event.kind is EventKind.DUPLICATE
        )
    held = sum(run.size for run in timeline._held)
    assert used + dropped + timeline._repeats.untold + held == n_rows


def test_without_a_number_rows_count_from_each_call():
    (placed,) = Timeline(100.0).place(np.zeros((1, 3)), np.arange(3) / 100, 1.0)
    assert placed.first_row == 0


@pytest.mark.parametrize("fault", ["swap", "repeat", "lose"])
def test_rows_of_a_single_fault_are_named_one_by_one(fault):
    packets = list(stream(250.0, 4, packet_s=0.02))
    packets = {
        "swap": [*packets[:100], packets[101], packets[100], *packets[102:]],
        "repeat": [*packets[:101], packets[100], *packets[101:]],
        "lose": [*packets[:100], *packets[101:]],
    }[fault]
    timeline, n_rows, found = Timeline(250.0), 0, []
    for packet in packets:
        found += [
            (run.first_row, run.first_sample, run.samples.shape[1])
            for run in timeline.place(packet.samples, packet.stamps, packet.arrived_s, n_rows)
        ]
        n_rows += len(packet.stamps)
    near = [one for one in found if 490 <= one[1] <= 515]
    assert (
        near
        == {
            "swap": [
                (490, 490, 5),
                (495, 495, 5),
                (505, 500, 5),
                (500, 505, 5),
                (510, 510, 5),
                (515, 515, 5),
            ],
            "repeat": [
                (490, 490, 5),
                (495, 495, 5),
                (500, 500, 5),
                (510, 505, 5),
                (515, 510, 5),
                (520, 515, 5),
            ],
            "lose": [(490, 490, 5), (495, 495, 5), (500, 505, 5), (505, 510, 5), (510, 515, 5)],
        }[fault]
    )
