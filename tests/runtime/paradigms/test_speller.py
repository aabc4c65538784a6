from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Marker
from diverloop.runtime.paradigms.speller import (
    MATRIX,
    SpellerPlan,
    attended,
    flash_label,
    groups,
    is_flash,
    items_label,
    label_of,
    lit,
    membership,
    select_label,
    sequence,
    timeline,
)
from diverloop.runtime.settings import build

RING = {
    "items": ("drink", "food", "pain", "rest"),
    "positions": ((0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)),
}
SINGLE: dict[str, Any] = {**RING, "flashing": "single"}


def markers(*labels: str) -> list[Marker]:
    return [Marker(label=label, sample=10 * place) for place, label in enumerate(labels)]


@pytest.mark.parametrize("flashing", ["row_column", "checkerboard", "single"])
def test_every_item_can_be_told_from_every_other_by_the_groups_it_is_in(flashing):
    member = membership(SpellerPlan(flashing=flashing))
    assert len(np.unique(member, axis=1).T) == 36
    assert len(set(member.sum(axis=0).tolist())) == 1
    assert member.sum(axis=0)[0] == (1 if flashing == "single" else 2)


def test_rows_and_columns_are_those_of_the_matrix():
    rows_and_columns = groups(SpellerPlan())
    shown = ["".join(MATRIX[item] for item in sorted(group)) for group in rows_and_columns]
    assert shown[:2] == ["ABCDEF", "GHIJKL"]
    assert shown[6] == "AGMSY6"
    assert len(shown) == 12


@pytest.mark.parametrize("seed", range(4))
def test_on_a_checkerboard_no_item_flashes_with_one_beside_it(seed):
    plan = SpellerPlan(flashing="checkerboard", seed=seed)
    for group in groups(plan):
        places = [divmod(item, 6) for item in group]
        for a in places:
            assert all(abs(a[0] - b[0]) + abs(a[1] - b[1]) != 1 for b in places)
    assert len(groups(plan)) == 18


def test_checkerboards_differ_by_seed_and_repeat_with_it():
    boards = [groups(SpellerPlan(flashing="checkerboard", seed=seed)) for seed in (3, 3, 4)]
    assert boards[0] == boards[1] != boards[2]


@pytest.mark.parametrize("flashing", ["row_column", "checkerboard", "single"])
@pytest.mark.parametrize("soa_s", [0.12, 0.175, 0.6])
def test_no_item_flashes_again_within_the_refractory_time(flashing, soa_s):
    plan = SpellerPlan(flashing=flashing, soa_s=soa_s, repetitions=4)
    last = np.full(36, -np.inf)
    for repetition in sequence(plan, np.random.default_rng(0)):
        assert sorted(flash.group for flash in repetition) == list(range(len(groups(plan))))
        for flash in repetition:
            items = list(groups(plan)[flash.group])
            assert (flash.at_s - last[items] >= 0.5 - 1e-9).all()
            last[items] = flash.at_s


def test_flashes_never_come_closer_than_the_interval_and_waits_are_rare():
    plan = SpellerPlan(flashing="checkerboard")
    flashes = [f.at_s for each in sequence(plan, np.random.default_rng(0)) for f in each]
    assert min(b - a for a, b in pairwise(flashes)) >= plan.soa_s - 1e-9
    assert flashes[0] == 0
    assert flashes[-1] <= 1.1 * (plan.n_flashes - 1) * plan.soa_s


def test_without_a_refractory_time_nothing_waits():
    plan = SpellerPlan(refractory_s=0.0)
    flashes = [f.at_s for each in sequence(plan, np.random.default_rng(0)) for f in each]
    np.testing.assert_allclose(flashes, np.arange(180) * plan.soa_s)


def test_an_order_repeats_with_its_seed_only():
    plan = SpellerPlan()
    first, again, other = (sequence(plan, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_a_timeline_says_what_to_attend_when_it_flashes_and_when_it_is_over():
    plan = SpellerPlan(repetitions=2)
    shown = timeline(plan, np.random.default_rng(0), "Q")
    assert shown[0] == (0.0, "select:Q")
    assert shown[1][0] == plan.lead_s
    assert shown[-1][1] == "end"
    assert [time for time, _ in shown] == sorted(time for time, _ in shown)
    texts = [text for _, text in shown[1:-1]]
    assert len(texts) == plan.n_flashes == 24
    targets = [text for text in texts if MATRIX.index("Q") in lit(plan, text)]
    assert len(targets) == 4
    assert timeline(plan, np.random.default_rng(0))[0] == (0.0, "select")


def test_a_flash_lights_a_group_or_the_items_it_names():
    plan = SpellerPlan()
    assert lit(plan, flash_label(3)) == groups(plan)[3]
    assert lit(plan, "flash:0,5,11") == {0, 5, 11}
    for items in ({7}, {35, 0}):
        assert lit(plan, items_label(items)) == items
    assert items_label({7}) != flash_label(7)


@pytest.mark.parametrize(
    "text",
    ["", "select", "flash", "flash:", "flash:,", "flash:12", "flash:36,", "flash:-1", "flash:a",
     "flash:1,,2", "flash:²", "left", pytest.param("flash:" + 5000 * "9", id="digits")],
)  # fmt: skip
def test_what_is_no_flash_of_the_plan_lights_nothing(text):
    assert lit(SpellerPlan(), text) == frozenset()


def test_a_selection_names_its_item_or_none():
    assert attended(select_label()) == ""
    assert attended(select_label("Q")) == "Q"
    assert attended(select_label("10:30")) == "10:30"
    assert attended("end") is None
    assert attended("selected") is None
    assert is_flash("flash:9")
    assert not is_flash("flashing")


def test_a_flash_is_a_target_if_it_shows_what_the_latest_selection_asks_for():
    plan = SpellerPlan(**SINGLE)
    row = markers("flash:0", "select:pain", "flash:2", "noise", "flash:1,2", "flash:1",
                  "select:food", "flash:1", "end", "flash:1", "select", "flash:1",
                  "select:nothing", "flash:1", "select:rest", "flash:9")  # fmt: skip
    found = [label_of(plan, row, place) for place in range(len(row))]
    assert found == [None, None, "target", None, "target", "nontarget", None, "target", None, None,
                     None, None, None, None, None, None]  # fmt: skip


def test_any_menu_is_a_plan_and_survives_being_written_down():
    plan = SpellerPlan(**SINGLE, repetitions=5)
    assert plan.n_flashes == 20
    assert build(SpellerPlan, asdict(plan), "plan") == plan
    places = [[0, -1], [1, 0], [0, 1], [-1, 0]]
    written = {**asdict(plan), "items": list(plan.items), "positions": places}
    assert build(SpellerPlan, written, "plan") == plan


def test_items_without_places_stand_in_rows():
    plan = SpellerPlan(items=("a", "b", "c"), flashing="single")
    assert plan.positions == ((0, 0), (1, 0), (0, 1))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"items": ("A",)}, "at least 2"),
        ({"items": ("A", "A", "B", "C")}, "different"),
        ({"items": ("A", "")}, "different"),
        ({"positions": ((0.0, 0.0),)}, "positions"),
        ({"items": ("A", "B"), "positions": ((0, 0), (0, 0))}, "different place"),
        ({"flashing": "random"}, "row_column"),
        ({"soa_s": 0.01}, "soa_s"),
        ({"soa_s": float("nan")}, "soa_s"),
        ({"repetitions": 0}, "repetitions"),
        ({"refractory_s": -1.0}, "refractory_s"),
        ({"pause_s": 0.0}, "pause_s"),
        ({**RING, "flashing": "checkerboard"}, "tell all|beside"),
        ({"items": ("A", "B", "C"), "positions": ((0, 0), (1, 1), (2, 2)),
          "flashing": "checkerboard"}, "tell all|beside"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_be_shown_is_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        SpellerPlan(**wrong)
