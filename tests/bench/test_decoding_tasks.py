"""Tasks hold nothing of the future and nothing of the test; heads and scores are what they say."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diverloop.hardware.recordings import Recording
from diverloop.runtime.messages import Channel, Marker, StreamSpec

# The benches are programs that import each other by name, as Python lets programs do.
sys.path.append(str(Path(__file__).parent))
plans = importlib.import_module("decoding_plans")
tasks = importlib.import_module("decoding_tasks")
heads = importlib.import_module("decoding_heads")
rivals = importlib.import_module("decoding_rivals")

RATE_HZ, CUES = 160, 12


def recording(seed: int = 0, n_channels: int = 3) -> Recording:
    """Noise with a cue every 5 s; after every other cue 10 Hz is stronger on the first channel."""
    rng = np.random.default_rng(seed)
    n_times = RATE_HZ * 5 * (CUES + 1)
    samples = 10 * rng.standard_normal((n_channels, n_times))
    markers = []
    for cue in range(CUES):
        at = RATE_HZ * 5 * cue + RATE_HZ * 4
        markers.append(Marker(sample=at, label="ab"[cue % 2]))
        time_s = np.arange(4 * RATE_HZ) / RATE_HZ
        samples[0, at : at + 4 * RATE_HZ] += 30 * (cue % 2) * np.sin(2 * np.pi * 10 * time_s)
    channels = tuple(Channel(name=f"E{n}", kind="eeg") for n in range(n_channels))
    return Recording(
        spec=StreamSpec(name="made", rate_hz=float(RATE_HZ), channels=channels),
        samples=samples.astype(np.float32),
        data_id="made",
        path="made",
        markers=tuple(markers),
    )


def plan(**changed):
    settings = {
        "subject": "N", "train": ("a",), "test": ("b",), "classes": ("a", "b"),
        "start_s": 0.5, "stop_s": 3.5, "window_s": 2.0, "bands_hz": ((8.0, 12.0), (12.0, 16.0)),
    }  # fmt: skip
    return plans.Plan(**(settings | changed))


@pytest.fixture(scope="module")
def task():
    parts = [tasks.cut(recording(seed), plan()) for seed in (0, 1)]
    return tasks.assemble("made", plan(), recording().spec, *parts)


def test_windows_are_500_hz_microvolts_with_their_bands_beside_them(task):
    assert task.windows_train.shape == (3 * CUES, 3, 1000)
    assert task.banded_train.shape == (3 * CUES, 2 * 3, 2 * RATE_HZ)
    assert task.windows_train.dtype == np.float32
    noise = np.sqrt((task.windows_train[:, 1] ** 2).mean())
    assert 8 < noise < 12


def test_what_comes_after_a_window_does_not_change_it():
    whole = recording()
    before = tasks.cut(whole, plan())
    last = 4
    stop = whole.markers[last].sample + round(3.5 * RATE_HZ)
    spoilt = whole.samples.copy()
    spoilt[:, stop:] = 1e4
    after = tasks.cut(replace(whole, samples=spoilt), plan())
    early = before.events <= last
    assert early.sum() == 3 * (last + 1)
    np.testing.assert_array_equal(before.windows[early], after.windows[early])
    np.testing.assert_array_equal(before.banded[early], after.banded[early])
    assert not np.array_equal(before.windows[~early], after.windows[~early])


def test_windows_begin_after_the_filters_have_settled():
    early = recording()
    first = replace(early.markers[0], sample=RATE_HZ // 10)
    found = tasks.cut(replace(early, markers=(first, *early.markers[1:])), plan())
    settle = tasks.condition(early, plan())[2]
    assert found.first.min() >= settle > 0
    assert (found.events == 0).sum() < 3


def test_groups_of_both_parts_are_apart_and_never_torn(task):
    assert not set(task.groups_train) & set(task.groups_test)
    for learn, judge in heads.folds_of(task):
        assert not set(task.groups_train[learn]) & set(task.groups_train[judge])
    held_out = np.concatenate([judge for _, judge in heads.folds_of(task)])
    np.testing.assert_array_equal(np.sort(held_out), np.arange(len(task.y_train)))


def test_every_fold_has_targets_although_a_stretch_has_none(task):
    groups = np.repeat(np.arange(9), 4)
    y = np.where(groups == 5, 0, np.arange(36) % 2)
    folds = heads.folds_of(replace(task, score="auc", y_train=y, groups_train=groups))
    assert len(folds) == heads.N_FOLDS
    assert all(set(y[judge]) == {0, 1} == set(y[learn]) for learn, judge in folds)


def test_training_windows_that_overlap_the_test_are_left_out():
    flashes = plan(start_s=0.0, stop_s=1.0, window_s=1.0, group_s=2.0)
    dense = recording()
    markers = tuple(
        Marker(sample=at, label="ab"[at % 2]) for at in range(4 * RATE_HZ, 40 * RATE_HZ, 49)
    )
    everything = tasks.cut(replace(dense, markers=markers), flashes)
    judge = everything.first > np.median(everything.first)
    train, test = tasks.split_cut(everything, ~judge, judge, 500)
    assert len(test.first) == judge.sum()
    assert 0 < len(train.first) < (~judge).sum()
    assert np.abs(train.first[:, None] - test.first[None]).min() >= 500
    assert not set(train.groups) & set(test.groups)


def test_every_plan_keeps_training_and_test_files_apart():
    for name, one in plans.PLANS.items():
        assert not set(one.train) & set(one.test), name
        held_out = one.train_share is not None or name.split("/")[0] in tasks._SPECIAL
        assert bool(one.test) != held_out, name
    judged = {path for one in plans.PLANS.values() for path in one.test}
    fitted_mi = {path for n, p in plans.PLANS.items() if n.startswith("m") for path in p.train}
    assert not judged & fitted_mi


def test_a_head_on_the_tangent_space_finds_the_stronger_rhythm(task):
    outcome = heads.fit_source(task, rivals.Tangent(task), n_components=(25,), costs=(3.0,))
    score, draws = heads.Judge(task, n_draws=50)(outcome)
    assert score > 90
    low, high = heads.interval(draws)
    assert low <= score <= high


def test_the_covariance_without_a_channel_does_not_look_at_it(task):
    outcome = heads.fit_source(task, rivals.Tangent(task), n_components=(25,), costs=(3.0,))
    usable = np.array([True, True, False])
    spoilt = task.banded_test.reshape(len(task.y_test), 2, 3, -1).copy()
    spoilt[:, :, 2] = 1e3
    again = replace(task, banded_test=spoilt.reshape(task.banded_test.shape))
    other = heads.fit_source(again, rivals.Tangent(again), n_components=(25,), costs=(3.0,))
    np.testing.assert_allclose(outcome.lost(usable), other.lost(usable))
    assert not np.allclose(outcome.test, other.test)


def test_a_head_chooses_nothing_by_the_test_windows(task):
    small = {"n_components": (5, 25), "costs": (0.3, 30.0)}
    outcome = heads.fit_source(task, rivals.Tangent(task), **small)
    rng = np.random.default_rng(0)
    other = replace(
        task,
        y_test=1 - task.y_test,
        banded_test=rng.standard_normal(task.banded_test.shape).astype(np.float32),
    )
    again = heads.fit_source(other, rivals.Tangent(other), **small)
    assert again.choice == outcome.choice
    np.testing.assert_array_equal(again.held_out, outcome.held_out)


def test_a_missing_feature_counts_as_the_mean_of_the_training_data():
    rng = np.random.default_rng(0)
    block, y = rng.standard_normal((40, 30)), np.arange(40) % 2
    head = heads.Head([block], y)
    missing, mean = block.copy(), block.copy()
    missing[:, 3], mean[:, 3] = np.nan, block[:, 3].mean()
    np.testing.assert_allclose(head.scores([missing]), head.scores([mean]), rtol=1e-5, atol=1e-6)


def test_the_area_under_the_curve_is_that_of_all_pairs_and_counts_windows_by_weight():
    rng = np.random.default_rng(0)
    y, scores = np.arange(30) % 2, rng.integers(8, size=30).astype(float)
    weights = rng.integers(3, size=30)
    many, often = np.repeat(y, weights), np.repeat(scores, weights)
    pairs = often[many == 1][:, None] - often[many == 0][None]
    expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    assert heads.auc(scores, y, weights) == pytest.approx(expected)


def test_channels_that_are_left_keep_an_average_reference_of_their_own(task):
    referenced = replace(task, referenced=True)
    usable = np.array([True, False, True])
    found = rivals.without(task.banded_test, usable, referenced)
    found = found.reshape(len(found), 2, 3, -1)
    np.testing.assert_allclose(found[:, :, usable].mean(axis=2), 0, atol=1e-4)
    assert not found[:, :, 1].any()


@pytest.mark.data
def test_a_task_of_real_recordings_comes_back_from_its_cache_unchanged(tmp_path):
    root = os.environ.get("DIVERLOOP_DATA")
    if root is None or not (Path(root) / "ssvep" / "exo_X01_run1.npz").is_file():
        pytest.skip("point DIVERLOOP_DATA at the recordings")
    made = tasks.load_task("ssvep-exo/X01", Path(root), tmp_path)
    again = tasks.load_task("ssvep-exo/X01", Path(root), tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert made.windows_train.shape == (32, 8, 1500)
    assert sorted(np.bincount(made.y_test)) == [8, 8, 8, 8]
    levels = np.sqrt((made.windows_train**2).mean(axis=(0, 2)))
    assert np.median(levels) == pytest.approx(10, rel=1e-4)
    for name in tasks.Task.__slots__:
        np.testing.assert_array_equal(getattr(made, name), getattr(again, name), err_msg=name)
