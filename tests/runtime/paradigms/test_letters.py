from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from diverloop.runtime.errors import BundleError, ConfigError
from diverloop.runtime.paradigms.letters import LetterModel, everyday, spell
from diverloop.runtime.paradigms.speller import MATRIX

ABC = ("A", "B", "C", "_", "1", "<")


@cache
def everything() -> LetterModel:
    return LetterModel.fit(everyday(), MATRIX)


def parts() -> tuple[str, str]:
    lines = everyday().splitlines()
    return "\n".join(line for n, line in enumerate(lines) if n % 5), "\n".join(lines[::5])


def test_a_text_is_spelled_with_the_items_there_are():
    assert spell("Ab, c!  1", ABC) == [0, 1, 3, 2]
    assert spell("cab", ("A", "B", "C")) == [2, 0, 1]
    assert spell("?!", ABC) == []


def test_the_probabilities_are_those_of_witten_and_bell():
    # After "_": A twice of two, one kind. Before that: A 2, B 1, C 1, _ 2 of six, four kinds.
    model = LetterModel.fit("AB\nAC", ABC, 2, floor=1e-9)
    uniform = np.array([1, 1, 1, 1, 0, 0]) / 4
    single = (np.array([2, 1, 1, 2, 0, 0]) + 4 * uniform) / (6 + 4)
    after_space = (np.array([2, 0, 0, 0, 0, 0]) + 1 * single) / (2 + 1)
    np.testing.assert_allclose(model.prior([]), after_space, atol=1e-8)
    np.testing.assert_allclose(model.prior(["_"]), after_space, atol=1e-8)
    after_a = (np.array([0, 1, 1, 0, 0, 0]) + 2 * single) / (2 + 2)
    np.testing.assert_allclose(model.prior(["B", "A"]), after_a, atol=1e-8)


def test_after_q_comes_u_and_after_the_end_of_a_word_a_space():
    model = everything()
    assert MATRIX[model.prior(["Q"]).argmax()] == "U"
    assert MATRIX[model.prior([*"PLEASE"]).argmax()] == "_"
    assert model.prior([*"PLEAS"])[MATRIX.index("E")] > 0.8


def test_what_no_text_holds_keeps_a_floor_and_everything_sums_to_one():
    model = everything()
    for history in ([], ["Q"], [*"THERE_I"], ["7", "<", "no item"]):
        prior = model.prior(history)
        assert prior.sum() == pytest.approx(1)
        assert (prior > 0.003).all()
    assert prior[MATRIX.index("7")] == pytest.approx(prior[MATRIX.index("<")])


def test_held_out_sentences_are_worth_far_fewer_items_than_there_are():
    fitted, held_out = parts()
    orders = [LetterModel.fit(fitted, MATRIX, order).perplexity(held_out) for order in (1, 2, 5)]
    assert 36 / 1.5 > orders[0] > orders[1] > orders[2]
    assert orders[2] < 8


def test_a_model_that_saw_other_letters_still_knows_nothing_for_sure():
    model = LetterModel.fit("BBBB", ABC, 3)
    assert model.prior(["B"])[0] > 0.003
    # Cs were never seen: surprise stays bounded by the floor.
    assert model.perplexity("CCC") <= 1.1 / 0.004


def test_arrays_rebuild_the_same_model_even_in_single_precision():
    model = everything()
    arrays = {name: array.astype(np.float32) for name, array in model.to_arrays().items()}
    again = LetterModel.from_arrays(MATRIX, arrays)
    assert again.order == model.order == 5
    for history in ([], [*"I_WANT_TO_"]):
        np.testing.assert_allclose(again.prior(history), model.prior(history), rtol=1e-6)


def test_arrays_of_other_items_are_refused():
    arrays = everything().to_arrays()
    with pytest.raises(BundleError, match="do not fit"):
        LetterModel.from_arrays(ABC, arrays)
    with pytest.raises(BundleError, match="letter_counts"):
        LetterModel.from_arrays(MATRIX, {"letter_grams": arrays["letter_grams"]})
    with pytest.raises(BundleError, match="do not fit"):
        LetterModel.from_arrays(MATRIX, {**arrays, "letter_counts": np.ones(3)})


@pytest.mark.parametrize("name", ["letter_grams", "letter_counts", "letter_floor"])
def test_damaged_arrays_are_refused(name):
    arrays = everything().to_arrays()
    damaged = np.full(2, 0.004) if name == "letter_floor" else arrays[name] * np.nan
    with pytest.raises(BundleError, match="do not fit"):
        LetterModel.from_arrays(MATRIX, {**arrays, name: damaged})


@pytest.mark.parametrize(
    ("text", "settings", "says"),
    [
        ("ab", {"order": 0}, "order"),
        ("ab", {"order": 6}, "order"),
        ("ab", {"floor": 0.2}, "floor"),
        ("ab", {"floor": 0.0}, "floor"),
        ("", {}, "none of"),
        ("?!\n7", {}, "none of"),
    ],
)
def test_what_cannot_be_counted_is_refused(text, settings, says):
    with pytest.raises(ConfigError, match=says):
        LetterModel.fit(text, ABC, **settings)


def test_the_sentences_are_enough_and_all_different():
    lines = everyday().splitlines()
    assert 240 <= len(lines) == len(set(lines))
    assert all(line.strip() == line and line for line in lines)
