import math

import pytest

from diverloop.runtime.record.report import wording


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.834, "83 %"),
        (1.0, "100 %"),
        (0.999, "over 99 %"),
        (0.0, "0 %"),
        (0.001, "under 1 %"),
        (math.nan, "unknown"),
    ],
)
def test_a_share_is_never_rounded_to_certainty(share, text):
    assert wording.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.02, "20 ms"),
        (4.2, "4.2 s"),
        (59.97, "1 min"),
        (724, "12 min 4 s"),
        (5400, "1 h 30 min"),
    ],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert wording.duration(seconds) == text


def test_long_lists_are_counted_instead_of_told():
    assert wording.listed(["F7", "T8", "Oz"]) == "F7, T8 and Oz"
    assert wording.listed(["F7"]) == "F7"
    assert wording.listed(list("abcdefgh"), 3) == "a, b, c and 5 more"


def test_nouns_agree_with_their_number():
    assert wording.count(1, "gap") == "1 gap"
    assert wording.count(2000, "gap") == "2,000 gaps"
    assert wording.count(2, "loss", "losses") == "2 losses"


def test_moments_count_from_the_first_sample():
    assert wording.moment(331.9) == "5:31"
    assert wording.moment(3931) == "1:05:31"
    assert wording.moment(-3) == "0:00"


def test_small_p_values_are_bounded_and_not_rounded_to_zero():
    assert wording.probability(1e-9) == "p < 0.001"
    assert wording.probability(0.0213) == "p = 0.021"


def test_milliseconds_keep_the_digits_that_mean_something():
    assert wording.milliseconds(0.05) == "0.05"
    assert wording.milliseconds(7.43) == "7.4"
    assert wording.milliseconds(1007.2) == "1,007"


def test_differences_carry_a_true_minus():
    assert wording.signed(-70.2) == "\N{MINUS SIGN}70"
    assert wording.signed(7.46, 1) == "+7.5"


def test_abbreviations_are_spoken_in_capitals():
    assert wording.spoken("p300") == "P300"
    assert wording.spoken("both_fists") == "both fists"
