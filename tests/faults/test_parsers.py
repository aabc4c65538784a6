"""Every parser of what comes from outside answers hostile input with a value or with a sentence.

The long form is ``tests/bench/fuzz.py``; ``tests/bench/fuzz_coverage.py`` looks for new lines.
"""

from __future__ import annotations

import os
import signal
import tempfile
from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.errors import DiverloopError

from .hostile import drawn, forge, recipes
from .one_case import feed
from .parsers import TARGETS, Target

_LIMIT_S = 20.0  # two cores are shared with other tests: the long form has a limit of 2 s

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGALRM"), reason="a hang is ended by a signal that Windows has not"
)


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target.short])
def test_hostile_input_ends_in_a_value_or_in_a_refusal_with_a_sentence(name, tmp_path):
    target = TARGETS[name]
    if target.needs:
        pytest.importorskip(target.needs, reason=f"{name} needs {target.needs}")
    for file in target.files:
        feed(target, file, tmp_path, 600.0)  # imports what it needs

    for number in range(target.short):
        start, steps = drawn(target.form, Random(f"{name} {number}"))
        outcome = feed(target, forge(target.files, target.form, start, steps), tmp_path, _LIMIT_S)
        assert not outcome.bad, (outcome, start, steps)


@given(st.data())
def test_settings_and_messages_hold_what_hypothesis_draws_and_shrinks(data):
    target = TARGETS[data.draw(st.sampled_from(["session", "card", "telemetry", "tape_line"]))]
    recipe = data.draw(recipes(target.form))
    outcome = feed(target, forge(target.files, target.form, *recipe), _folder(), _LIMIT_S)
    assert not outcome.bad, outcome


@cache
def _folder() -> Path:
    home = Path(os.environ["DIVERLOOP_HOME"])  # the suite's own, taken away at its end
    home.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=home))


def test_a_parser_that_crashes_or_hangs_or_says_nothing_is_found(tmp_path):
    def target(read):
        return Target(name="t", what="t", read=read, seeds=lambda: [b"x"])

    def endless(data, folder):
        while True:
            pass

    def silent(data, folder):
        raise DiverloopError("")

    assert feed(target(lambda data, folder: [][0]), b"", tmp_path).kind == "crash: IndexError"
    assert feed(target(endless), b"", tmp_path, 0.01).kind == "hang"
    assert feed(target(silent), b"", tmp_path).bad
    assert not feed(target(lambda data, folder: data), b"", tmp_path).bad


def test_the_same_recipe_always_gives_the_same_input():
    for target in (TARGETS["session"], TARGETS["npz"], TARGETS["telemetry"]):
        steps = [("repeat", 5), ("flip", 7), ("splice", 1)]
        once = forge(target.files, target.form, 1, steps)
        assert once == forge(target.files, target.form, 1, steps)
        assert once != target.files[1 % len(target.files)]
