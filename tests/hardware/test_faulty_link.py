"""A link that spoils packets does just what it is told, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.hardware.faulty_link import FaultyLink, LinkFault
from diverloop.hardware.simulator import SimulatorConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.conformance import check_source
from diverloop.runtime.errors import ConfigError, SourceUnavailable
from diverloop.runtime.messages import EventKind

PERSON = SimulatorConfig(montage="eeg8", duration_s=3.0, seed=5)


def sent(*faults, **more):
    """Everything that a link with these faults delivers."""
    clock = VirtualClock()
    link = FaultyLink(PERSON, faults, clock, **more)
    link.open()
    chunks = []
    while not link.ended:
        chunk = link.read(25, clock.now_ns() + 50_000_000)
        chunks += [chunk] if chunk is not None else []
    link.close()
    return link, chunks


def signal(chunks):
    return np.concatenate([chunk.samples for chunk in chunks], axis=1)


def kinds(chunks):
    return [event.kind for chunk in chunks for event in chunk.events]


def fault(kind, length_s=0.2, size=0.0):
    return LinkFault(kind=kind, at_s=1.0, length_s=length_s, size=size)


@pytest.mark.parametrize("faults", [(), (fault("drop"),), (fault("stall", 0.3),)])
def test_it_is_a_source_like_any_other(faults):
    clock = VirtualClock()
    check_source(FaultyLink(PERSON, faults, clock, linger_s=10.0), clock, seconds=1.0)


def test_without_a_fault_the_signal_comes_as_it_is():
    link, chunks = sent()
    np.testing.assert_array_equal(signal(chunks), link.signal)
    np.testing.assert_array_equal(link.delivered, link.signal.T)
    assert (link.invalid, link.silences_s, kinds(chunks)) == ([], [], [])


@pytest.mark.parametrize("kind", ["twice", "swap", "stall"])
def test_what_does_not_lose_samples_loses_none(kind):
    link, chunks = sent(fault(kind))
    np.testing.assert_array_equal(signal(chunks), link.signal)
    assert link.invalid == []
    assert len(link.delivered) == 750 + 50 * (kind == "twice")


@pytest.mark.parametrize("kind", ["drop", "away"])
def test_what_is_lost_is_a_gap_of_its_length(kind):
    link, chunks = sent(fault(kind))
    stops = [chunk.stop_sample for chunk in chunks if chunk.samples.shape[1]]
    firsts = [chunk.first_sample for chunk in chunks if chunk.samples.shape[1]]
    holes = [(a, b) for a, b in zip(stops, firsts[1:], strict=False) if a != b]
    assert holes == [(250, 300)]
    assert (link.invalid[0][0], link.invalid[-1][1]) == (250, 300)
    assert len(link.delivered) == 700
    assert EventKind.GAP in kinds(chunks)
    assert (EventKind.SOURCE_LOST in kinds(chunks)) is (kind == "away")


@pytest.mark.parametrize(("kind", "value"), [("nan", np.nan), ("inf", np.inf), ("flat", 0.0)])
def test_what_spoils_a_channel_spoils_that_one_for_so_long(kind, value):
    link, chunks = sent(fault(kind))
    got = signal(chunks)
    np.testing.assert_array_equal(got[0, 250:300], np.full(50, value, np.float32))
    np.testing.assert_array_equal(got[1:], link.signal[1:])
    np.testing.assert_array_equal(got[0, 300:], link.signal[0, 300:])


def test_a_wrong_unit_is_a_factor():
    link, chunks = sent(LinkFault(kind="scale", size=1e3))
    np.testing.assert_allclose(signal(chunks), 1e3 * link.signal, rtol=1e-6)


def test_another_order_of_rows_takes_the_names_along():
    plain, _ = sent()
    link, chunks = sent(order=(1, 0, 2, 3, 4, 5, 6, 7))
    assert link.spec.channel_names[:2] == plain.spec.channel_names[1::-1]
    np.testing.assert_array_equal(signal(chunks)[:2], plain.signal[1::-1])


def test_silences_are_known_to_the_packet():
    (silence,) = sent(fault("drop"))[0].silences_s
    assert silence == pytest.approx((1.0, 1.22))


def test_a_kind_that_no_link_knows_and_a_closed_link_are_refused():
    with pytest.raises(ConfigError, match="A link can do drop, twice"):
        LinkFault(kind="melt")
    with pytest.raises(SourceUnavailable, match="open it, then read"):
        FaultyLink(PERSON, (), VirtualClock()).read(1, 1)
