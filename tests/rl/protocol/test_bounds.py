from __future__ import annotations

from dataclasses import replace

import pytest

from diverloop.rl.protocol.bounds import Dose, Limits, ProtocolBounds, read_bounds
from diverloop.runtime.errors import ConfigError

BOUNDS = ProtocolBounds()


def test_the_first_session_is_the_usual_one():
    assert BOUNDS.doses() == (Dose(difficulty=0.65, block_s=120.0),)


def test_no_dose_leaves_the_bounds_or_changes_faster_than_allowed():
    seen, todo = set(), [BOUNDS.usual]
    while todo:
        last = todo.pop()
        for dose in BOUNDS.doses(last):
            assert 0.5 <= dose.difficulty <= 0.8
            assert 60 <= dose.block_s <= 180
            assert abs(dose.difficulty - last.difficulty) <= 0.05 + 1e-9
            assert abs(dose.block_s - last.block_s) <= 30
            if dose not in seen:
                seen.add(dose)
                todo.append(dose)
    assert len(seen) == 7 * 5


def test_a_session_outside_the_bounds_is_followed_by_the_nearest_inside():
    assert BOUNDS.doses(Dose(difficulty=0.3, block_s=500.0)) == (
        Dose(difficulty=0.5, block_s=180.0),
    )


def test_blocks_fill_the_time_that_may_be_practised():
    assert BOUNDS.n_blocks(Dose(difficulty=0.65, block_s=120.0)) == 15
    assert replace(BOUNDS, practice_s=60.0).n_blocks(Dose(difficulty=0.65, block_s=120.0)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "p300"},
        {"difficulty": Limits(least=0.05, most=0.8, usual=0.5, max_change=0.1, step=0.1)},
        {"block_s": Limits(least=5.0, most=100.0, usual=50.0, max_change=10.0, step=10.0)},
        {"pause_s": 0.0},
        {"most_fatigue": 1.5},
    ],
)
def test_bounds_that_make_no_sense_are_refused(changes):
    with pytest.raises(ConfigError, match="must"):
        replace(BOUNDS, **changes)


@pytest.mark.parametrize("changes", [{"usual": 0.9}, {"step": 0.0}, {"step": 1e-4}])
def test_limits_that_make_no_sense_are_refused(changes):
    with pytest.raises(ConfigError, match=r"usual must|step must|more than 50"):
        replace(BOUNDS.difficulty, **changes)


def test_a_file_of_bounds_is_read_and_its_faults_are_named(tmp_path):
    path = tmp_path / "bounds.toml"
    path.write_text(
        '[protocol]\ntask = "motor_imagery"\npractice_s = 900\n[protocol.difficulty]\n'
        "least = 0.6\nmost = 0.9\nusual = 0.75\nmax_change = 0.05\nstep = 0.05\n"
    )
    bounds = read_bounds(path)
    assert (bounds.task, bounds.practice_s, bounds.harder) == ("motor_imagery", 900.0, 1)
    assert bounds.difficulty.most == 0.9
    path.write_text("[protocol]\npractise_s = 900\n")
    with pytest.raises(ConfigError, match=r"bounds\.toml: .*practice_s"):
        read_bounds(path)
    path.write_text("[other]\n")
    with pytest.raises(ConfigError, match="must hold the table"):
        read_bounds(path)
