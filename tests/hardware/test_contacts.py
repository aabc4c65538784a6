"""Shafts and grids: read from names, filled in between known ends."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.hardware.contacts import (
    along_line,
    between_ends,
    over_grid,
    shafts_of,
    spacing_m,
)
from diverloop.hardware.montage import montage
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.signal.referencing import Reference


def test_names_tell_the_shaft_and_the_contact():
    shafts = shafts_of(["LA2", "LA1", "LA10", "GA12", "LA'1", "REF", "POL B3"])
    assert list(shafts) == ["LA", "GA", "LA'", "POL B"]
    assert shafts["LA"].channels == {1: "LA1", 2: "LA2", 10: "LA10"}
    assert shafts["LA"].missing == (3, 4, 5, 6, 7, 8, 9)
    assert shafts["GA"].missing == ()


def test_two_labels_of_one_contact_are_refused():
    with pytest.raises(ConfigError, match=r"'LA1' and 'LA01' both read as contact 1 of LA"):
        shafts_of(["LA1", "LA01"])


def test_neighbours_follow_the_shaft_and_a_missing_contact_is_nobodys_neighbour():
    shaft = shafts_of(["LA1", "LA2", "LA4"])["LA"]
    assert shaft.neighbours(1) == (2,)
    assert shaft.neighbours(2) == (1,)
    assert shaft.neighbours(4) == ()


@pytest.mark.parametrize(
    ("contact", "near"), [(1, {2, 9}), (8, {7, 16}), (9, {10, 1, 17}), (20, {19, 21, 12, 28})]
)
def test_neighbours_in_a_grid_do_not_reach_around_its_edge(contact, near):
    grid = shafts_of(f"G{n}" for n in range(1, 65))["G"]
    assert set(grid.neighbours(contact, 8)) == near


def test_neighbours_are_those_that_the_laplacian_reference_takes():
    channels = montage("ecog8x8")
    spec = StreamSpec(name="s", rate_hz=500.0, channels=channels)
    matrix = Reference("laplacian", spec, grids={"G": 8}).matrix(np.ones(64, bool))
    grid = shafts_of(spec.channel_names)["G"]
    for row, name in enumerate(spec.channel_names):
        others = {spec.channel_names[at] for at in np.flatnonzero(matrix[row] < 0)}
        wanted = {grid.channels[n] for n in grid.neighbours(int(name[1:]), 8)}
        assert others == wanted


def test_contacts_between_two_known_ends_lie_on_the_line_at_equal_distances():
    whole = montage("seeg4x10")
    ends = [
        c if c.name.endswith(("A1", "A10", "B1", "B10")) else Channel(name=c.name, kind=c.kind)
        for c in whole
    ]
    for got, wanted in zip(between_ends(ends), whole, strict=True):
        assert got.position_m == pytest.approx(wanted.position_m, abs=1e-12)


def test_nothing_is_placed_beyond_the_known_ends_nor_on_the_scalp():
    rows = (
        Channel(name="LA1", kind="seeg"),
        Channel(name="LA2", kind="seeg", position_m=(0.0, 0.0, 0.0)),
        Channel(name="LA3", kind="seeg"),
        Channel(name="LA4", kind="seeg", position_m=(0.01, 0.0, 0.0)),
        Channel(name="LA5", kind="seeg"),
        Channel(name="C1"),
        Channel(name="C3", position_m=(0.0, 0.0, 0.1)),
    )
    placed = between_ends(rows)
    assert placed[2].position_m == pytest.approx((0.005, 0.0, 0.0))
    assert [c for n, c in enumerate(placed) if n != 2] == [c for n, c in enumerate(rows) if n != 2]


def test_spacing_is_the_median_and_shares_a_hole_among_its_steps():
    places = {1: (0.0, 0, 0), 2: (0.0035, 0, 0), 5: (0.014, 0, 0), 6: (0.0177, 0, 0)}
    assert spacing_m(places) == pytest.approx(0.0035)


def test_a_grid_is_spanned_by_three_corners():
    sheet = [c.position_m for c in montage("ecog8x8")]
    got = over_grid(sheet[0], sheet[7], sheet[56], rows=8, in_a_row=8)
    np.testing.assert_allclose(got, sheet, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: along_line((0, 0, 0), (0, 0, 0), 5), "0.1 mm apart"),
        (lambda: along_line((0, 0, 0), (0, 0, 1), 1), "2 contacts or more, got 1"),
        (lambda: over_grid((0, 0, 0), (1, 0, 0), (0, 1, 0), rows=1, in_a_row=4), "got 1 by 4"),
        (lambda: spacing_m({1: (0, 0, 0)}), "two contacts, got 1"),
    ],
)
def test_what_spans_no_line_is_refused(call, says):
    with pytest.raises(ConfigError, match=says):
        call()


def test_a_line_has_both_its_ends():
    line = along_line((0.0, 0.0, 0.0), (0.0, 0.0, 0.035), 11)
    assert len(line) == 11
    assert line[0] == (0.0, 0.0, 0.0)
    assert math.dist(line[-1], (0.0, 0.0, 0.035)) < 1e-12
