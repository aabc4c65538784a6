"""A head from above: places on the disc, and a field that goes through what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.gui.head_map import EDGE_RAD, Scalp, directions, from_disc, on_disc
from diverloop.hardware.montage import scalp_position_m

NAMES = [
    "Fp1",
    "Fp2",
    "F7",
    "F3",
    "Fz",
    "F4",
    "F8",
    "T7",
    "C3",
    "Cz",
    "C4",
    "T8",
    "P7",
    "P3",
    "Pz",
    "P4",
    "P8",
    "O1",
    "O2",
]


def places(names=NAMES):
    return np.array([scalp_position_m(name) for name in names])


def test_the_vertex_is_in_the_middle_the_nose_up_and_left_on_the_left():
    at = dict(zip(NAMES, on_disc(directions(places())), strict=True))
    assert np.hypot(*at["Cz"]) < 0.02
    assert at["Fz"][1] > 0.3
    assert abs(at["Fz"][0]) < 0.02
    assert at["C3"][0] < -0.3
    assert np.allclose(at["C3"] * (-1, 1), at["C4"], atol=1e-6)


def test_every_standard_electrode_of_the_10_20_system_is_on_the_head():
    assert np.all(np.hypot(*on_disc(directions(places())).T) < 1)


def test_the_disc_is_undone_exactly():
    rng = np.random.default_rng(0)
    flat = rng.uniform(-0.7, 0.7, (200, 2))
    assert np.allclose(on_disc(from_disc(flat)), flat)
    assert np.allclose(np.linalg.norm(from_disc(flat), axis=1), 1)


def test_the_edge_of_the_disc_goes_through_nasion_and_inion():
    nasion = np.array([[0.0, np.sin(EDGE_RAD), np.cos(EDGE_RAD)]])
    assert np.allclose(on_disc(nasion), [[0, 1]])


def test_a_frame_with_its_origin_between_the_ears_gives_the_same_picture():
    moved = places() + np.array([0.0, 0.01, 0.04])
    assert np.allclose(directions(moved), directions(places()), atol=1e-3)


def test_few_places_or_places_of_no_head_are_seen_from_the_origin():
    few = places()[:5] + np.array([0.0, 0.0, 0.02])
    assert np.allclose(directions(few), few / np.linalg.norm(few, axis=1, keepdims=True))
    assert np.allclose(np.linalg.norm(directions(np.zeros((9, 3))), axis=1), 1)


def test_the_field_goes_through_the_electrodes_and_stays_within_their_range():
    towards = directions(places())
    scalp = Scalp(towards, n_pixels=96, smooth=0.0)
    values = np.random.default_rng(1).normal(size=len(NAMES))
    field = scalp.between(values)
    column, row = ((on_disc(towards) * (1, -1) + 1) / 2 * 96).astype(int).T
    assert np.allclose(field[row, column], values, atol=0.35)
    assert np.corrcoef(field[row, column], values)[0, 1] > 0.98
    assert field.min() >= np.float32(values.min())
    assert field.max() <= np.float32(values.max())


def test_a_constant_stays_one_and_scaling_scales():
    scalp = Scalp(directions(places()))
    values = np.random.default_rng(2).normal(size=len(NAMES))
    assert np.allclose(scalp.between(np.full(len(NAMES), 3.0)), 3.0)
    assert np.allclose(scalp.between(2 * values + 1), 2 * scalp.between(values) + 1, atol=1e-4)


def test_what_is_not_finite_is_left_out_as_if_it_were_not_there():
    towards = directions(places())
    values = np.random.default_rng(3).normal(size=len(NAMES))
    values[4] = np.nan
    known = np.isfinite(values)
    without = Scalp(towards[known]).between(values[known])
    assert np.allclose(Scalp(towards).between(values), without, atol=1e-4)


@pytest.mark.parametrize("n", [0, 3])
def test_too_few_electrodes_say_nothing_of_what_lies_between(n):
    values = np.full(len(NAMES), np.nan)
    values[:n] = 1.0
    assert Scalp(directions(places())).between(values) is None
