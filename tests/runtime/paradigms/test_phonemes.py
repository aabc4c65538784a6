import numpy as np
import pytest

from diverloop.runtime.errors import UnknownName
from diverloop.runtime.paradigms.phonemes import (
    FEATURES,
    PHONEMES,
    SILENCE,
    VOWELS,
    distances,
    features,
    index_of,
)


def apart(one, other):
    return distances()[index_of(one), index_of(other)]


def test_there_are_39_phonemes_in_order_and_silence_comes_last():
    assert len(PHONEMES) == 40
    assert list(PHONEMES[:-1]) == sorted(PHONEMES[:-1])
    assert PHONEMES[-1] == SILENCE
    assert len(VOWELS) == 15


def test_every_feature_is_a_degree_and_is_used():
    table = features()
    assert table.shape == (40, len(FEATURES))
    assert table.min() == 0
    assert table.max() == 1
    assert (table > 0).any(axis=0).all()


def test_silence_is_articulated_by_nothing():
    assert not features()[index_of(SILENCE)].any()


def test_no_two_phonemes_are_articulated_alike():
    others = distances()[~np.eye(40, dtype=bool)]
    assert others.min() > 0.4


@pytest.mark.parametrize(
    ("near", "far"),
    [(("P", "B"), ("P", "IY")), (("S", "Z"), ("S", "M")), (("IY", "IH"), ("IY", "AA"))],
)
def test_sounds_that_people_confuse_lie_closer(near, far):
    assert apart(*near) < apart(*far)


@pytest.mark.parametrize(
    ("voiceless", "voiced"),
    [("P", "B"), ("T", "D"), ("K", "G"), ("F", "V"), ("S", "Z"), ("SH", "ZH"), ("CH", "JH")],
)
def test_pairs_that_differ_in_voicing_differ_in_nothing_else(voiceless, voiced):
    differ = features()[index_of(voiced)] - features()[index_of(voiceless)]
    assert [FEATURES[at] for at in np.flatnonzero(differ)] == ["voiced"]


def test_vowels_are_the_sounds_with_the_feature_vowel():
    marked = features()[:, FEATURES.index("vowel")] == 1
    assert (
        tuple(name for name, is_vowel in zip(PHONEMES, marked, strict=True) if is_vowel) == VOWELS
    )


def test_the_table_belongs_to_who_asked_for_it():
    features()[:] = 7.0
    assert features().max() == 1


def test_an_unknown_phoneme_is_named():
    with pytest.raises(UnknownName, match="'AA1'"):
        index_of("AA1")
