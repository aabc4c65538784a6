from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.calibration import softmax
from diverloop.adapters.speech.readers import KeywordReader, PhonemeReader, WordReader

from .person import LEXICON, config, frames_of, language, listening_network


def probabilities(text):
    network = listening_network()
    return [softmax(network.step(frame)) for frame in frames_of(text)]


def read(reader, text):
    for place, row in enumerate(probabilities(text), start=1):
        reader.step(row)
        if place % 2 == 0:
            reader.end_hop()
    reader.finish()
    said = list(reader.due)
    reader.due.clear()
    return said


def words(said):
    return [list(LEXICON)[place] for place, _ in said]


def test_words_are_decided_once_each_and_in_order():
    reader = WordReader(config(), language())
    assert words(read(reader, "bad bee sack")) == ["bad", "bee", "sack"]
    reader.restart()
    assert words(read(reader, "key")) == ["key"]


@pytest.mark.parametrize("commit_at", [0.5, 0.99, 1.0])
def test_what_is_not_agreed_on_before_is_decided_at_the_end(commit_at):
    reader = WordReader(config(commit_at=commit_at), language())
    assert words(read(reader, "sack beads")) == ["sack", "beads"]


def test_every_decision_has_its_own_probabilities_and_the_label_leads():
    for place, posterior in read(WordReader(config(), language()), "bad bee sack"):
        assert posterior.sum() == pytest.approx(1)
        assert posterior.argmax() == place


def test_texts_come_with_the_best_first_before_and_after_the_end():
    reader = WordReader(config(), language())
    for row in probabilities("bad bee"):
        reader.step(row)
    reader.end_hop()
    before = reader.texts()
    reader.finish()
    after = reader.texts()
    assert before[0][0].startswith("bad")
    assert after[0][0] == "bad bee"
    for texts in (before, after):
        assert [score for _, score in texts] == sorted((s for _, s in texts), reverse=True)


def test_silence_is_no_phoneme_to_be_said():
    said = read(PhonemeReader(config(mode="phonemes")), "bee")
    assert [config().phonemes[place] for place, _ in said] == ["B", "IY"]


def test_a_keyword_is_decided_once_for_each_time_it_is_said():
    chosen = config(mode="keywords", keywords=("bee", "key"))
    reader = KeywordReader(chosen, chosen.keywords, -0.5, anywhere=True)
    said = read(reader, "bee bad bee key")
    assert [place for place, _ in said] == [0, 0, 1]
    assert [int(posterior.argmax()) for _, posterior in said] == [0, 0, 1]
    reader.restart()
    assert read(reader, "sack") == []


def test_an_attempt_is_a_keyword_if_it_is_nothing_else():
    chosen = config(mode="keywords", keywords=("bee", "key"))
    reader = KeywordReader(chosen, chosen.keywords, -0.5)
    for text, wanted in (("key", [1]), ("bee", [0]), ("bee key", []), ("sack", [])):
        reader.restart()
        assert [place for place, _ in read(reader, text)] == wanted


def test_probabilities_of_keywords_sum_to_one():
    chosen = config(mode="keywords", keywords=("bee", "key"))
    reader = KeywordReader(chosen, chosen.keywords, -0.5)
    for row in probabilities("bad key"):
        reader.step(row)
        reader.end_hop()
        assert np.isclose(reader.posterior.sum(), 1)
