from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.conditioned import Conditioned, Shut
from diverloop.runtime.messages import Channel, Chunk, Marker, StreamSpec
from diverloop.runtime.trust import LOST, OLD, Damage, Masks, Trust, describe_damage, finite_parts
from diverloop.runtime.windows import Slot


def test_the_start_is_not_trusted_until_the_filters_have_settled():
    trust = Trust(settle_samples=30, capacity=1000)
    assert trust.refusal(Slot(first=29, stop=60)) == LOST
    assert not trust.refusal(Slot(first=30, stop=60))


def test_nothing_is_decoded_while_what_comes_is_old():
    trust = Trust(settle_samples=0, capacity=1000)
    trust.old = True
    assert trust.refusal(Slot(first=30, stop=60)) == OLD
    trust.old = False
    assert not trust.refusal(Slot(first=30, stop=60))


@given(
    holes=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 50)), max_size=5),
    settle=st.integers(0, 40),
    first=st.integers(0, 500),
    length=st.integers(1, 100),
)
def test_a_window_is_allowed_exactly_if_it_touches_no_hole_and_nothing_unsettled(
    holes, settle, first, length
):
    trust = Trust(settle, capacity=10_000)
    shut = set(range(settle))
    for start, size in sorted(holes):
        trust.lose(start, start + size)
        shut |= set(range(start, start + size + settle))
    allowed = not trust.refusal(Slot(first=first, stop=first + length))
    assert allowed == shut.isdisjoint(range(first, first + length))


def test_holes_that_the_ring_has_passed_are_forgotten():
    trust = Trust(settle_samples=10, capacity=100)
    for start in range(0, 100_000, 50):
        trust.lose(start, start + 10)
    assert len(trust._shut) <= 4


def test_what_is_forbidden_stays_forbidden_and_says_why():
    trust = Trust(settle_samples=0, capacity=100)
    trust.forbid("The rate is wrong.")
    assert trust.refusal(Slot(first=50, stop=60)) == "The rate is wrong."


def test_a_stretch_that_is_shut_says_why_and_leaves_its_neighbours_alone():
    trust = Trust(settle_samples=5, capacity=100)
    shut = Shut(first=20, stop=30, reason="a spike")
    nothing = np.empty((1, 0))
    trust.learn(Conditioned(samples=nothing, first_sample=40, shut=(shut,)))
    assert trust.refusal(Slot(first=10, stop=21)) == "a spike"
    assert trust.refusal(Slot(first=29, stop=40)) == "a spike"
    assert not trust.refusal(Slot(first=30, stop=40))
    assert not trust.refusal(Slot(first=10, stop=20))


def test_what_is_suspended_is_decoded_again_when_a_person_has_cleared_it():
    trust = Trust(settle_samples=0, capacity=100)
    trust.suspend("suspected seizure")
    assert trust.refusal(Slot(first=50, stop=60)) == "suspected seizure"
    trust.resume()
    assert not trust.refusal(Slot(first=50, stop=60))


@given(
    changes=st.lists(st.tuples(st.integers(0, 300), st.tuples(*[st.booleans()] * 3)), max_size=8),
    first=st.integers(0, 300),
    length=st.integers(1, 100),
)
def test_a_row_counts_as_good_in_a_window_if_it_was_good_at_every_sample_of_it(
    changes, first, length
):
    masks = Masks(capacity=10_000)
    good = np.ones((3, 500), bool)
    for at, usable in sorted(changes, key=lambda change: change[0]):
        masks.change(at, np.array(usable))
        good[:, at:] = np.array(usable)[:, None]
    found = masks.over(Slot(first=first, stop=first + length))
    wanted = good[:, first : first + length].all(axis=1)
    assert (np.ones(3, bool) if found is None else found).tolist() == wanted.tolist()


def test_masks_that_no_window_reaches_any_more_are_forgotten():
    masks = Masks(capacity=100)
    for at in range(0, 100_000, 50):
        masks.change(at, np.array([at % 100 == 0]))
    assert len(masks._changes) <= 4


@given(bad=st.sets(st.integers(0, 29)))
def test_the_finite_parts_of_a_chunk_are_all_its_good_samples_with_their_indices(bad):
    samples = np.vstack([np.arange(100.0, 130.0), np.ones(30)])
    samples[1, list(bad)] = np.nan
    chunk = Chunk(samples=samples, first_sample=100, arrived_ns=0)
    seen = []
    for part in finite_parts(chunk):
        assert np.isfinite(part.samples).all()
        np.testing.assert_array_equal(
            part.samples[0], np.arange(part.first_sample, part.stop_sample)
        )
        seen += range(part.first_sample, part.stop_sample)
    assert seen == [100 + k for k in range(30) if k not in bad]


def test_a_marker_goes_with_the_first_finite_part_alone():
    samples = np.zeros((1, 9))
    samples[0, 4] = np.nan
    marker = Marker(label="pulse", sample=2)
    chunk = Chunk(samples=samples, first_sample=0, arrived_ns=0, markers=(marker,))
    assert [part.markers for part in finite_parts(chunk)] == [(marker,), ()]


def test_damage_is_counted_and_the_channels_are_named():
    samples = np.zeros((3, 10))
    samples[2, 4] = np.inf
    samples[0, 4:6] = np.nan
    chunk = Chunk(samples=samples, first_sample=0, arrived_ns=0)
    count, text = describe_damage(chunk, ("C3", "Cz", "C4"))
    assert count == 2
    assert text.startswith("2 samples hold NaN or infinity in C3, C4 and are treated as lost")


def damaged(first: int, row: int = 1) -> Chunk:
    samples = np.zeros((3, 5))
    samples[row] = np.nan
    return Chunk(samples=samples, first_sample=first, arrived_ns=0)


def told_of(first: int, stop: int, row: int = 1) -> list[tuple[str, int] | None]:
    rows = tuple(Channel(name=name) for name in ("C3", "Cz", "C4"))
    damage = Damage(StreamSpec(name="made", rate_hz=100.0, channels=rows))
    return [damage.tell(damaged(at, row)) for at in range(first, stop, 5)]


def test_an_episode_of_damage_is_one_message_and_a_long_one_a_few():
    short, long = told_of(0, 100), told_of(0, 10_000)
    assert [one is not None for one in short] == [True] + [False] * 19
    told = [one for one in long if one]
    assert len(told) == 7  # at once, then after 1, 3, 7, 15, 31 and 63 s
    assert told[1][0].startswith("100 samples hold NaN or infinity in Cz and")
    assert told[1][1] == 100


def test_another_channel_that_breaks_meanwhile_is_told_at_once():
    rows = tuple(Channel(name=name) for name in ("C3", "Cz", "C4"))
    damage = Damage(StreamSpec(name="made", rate_hz=100.0, channels=rows))
    assert "in Cz and" in damage.tell(damaged(0))[0]
    assert damage.tell(damaged(5)) is None
    assert "in C4 and" in damage.tell(damaged(10, row=2))[0]
