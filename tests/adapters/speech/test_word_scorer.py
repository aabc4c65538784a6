"""Words are compared with the texts that markers asked for."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.speech.word_scorer import WordScorer
from diverloop.runtime.conformance import check_watcher
from diverloop.runtime.messages import Command, Decision, Turn

from ..test_trial_scorer import SPEC, TIMES, cues

WORDS = ("open", "the", "door")


def word(at, label, reason="no attempt to speak"):
    decision = Decision(
        classes=WORDS,
        probabilities=np.full(3, np.nan),
        label=label,
        reason="" if label else reason,
        first_sample=at - 8,
        stop_sample=at,
    )
    return Turn(decision=decision, command=Command(label=label), times=TIMES)


def scored(*messages, **how):
    scorer = WordScorer(**how)
    for message in (SPEC, *messages):
        scorer.watch(message)
    return scorer


def asked(text, at, stop):
    return cues((f"say:{text}", at), ("onset", at + 10), ("offset", stop))


def test_it_is_a_watcher():
    check_watcher(WordScorer(), SPEC)


def test_errors_are_counted_over_all_utterances():
    report = scored(
        asked("open the door", 100, 300),
        word(200, "open"), word(250, "door"),
        asked("open", 500, 600),
        word(560, "open"), word(650, "the"),
    ).report()  # fmt: skip
    assert (report.n, report.n_utterances, report.n_exact) == (4, 2, 0)
    assert report.error_rate == 0.5  # one was missing, one was added
    assert report.interval[0] <= 0.5 <= report.interval[1]
    assert "error" in report.meaning


def test_a_perfect_session_has_no_error():
    said = [(asked("open", 1000 * k, 1000 * k + 300), word(1000 * k + 310, "open")) for k in (1, 2)]
    report = scored(*said[0], *said[1]).report()
    assert (report.error_rate, report.n_exact) == (0.0, 2)
    assert report.interval[0] < 0.5  # two words are few
    assert report.interval[1] == 1.0
    assert report.sentence().startswith("2 of 2 utterances without an error")


def test_a_word_before_anything_was_asked_is_told_apart():
    report = scored(word(50, "door"), asked("open", 100, 200), word(150, "open")).report()
    assert (report.n_unasked, report.error_rate) == (1, 0.0)
    assert "although nothing was to be said: 1" in report.sentence()


def test_an_utterance_that_goes_on_is_not_judged_yet():
    scorer = scored(cues(("say:open", 100), ("onset", 110)), word(150, "open"))
    assert scorer.report() is None
    assert "not over" in scorer.why_nothing()


def test_what_it_did_not_listen_to_is_no_error():
    deaf = word(150, None, "not listening: nobody has asked it to")
    scorer = scored(cues(("say:open", 100)), deaf, cues(("offset", 200)))
    assert scorer.report() is None
    assert "--listen" in scorer.why_nothing()
    for message in (asked("the", 300, 400), word(350, "the")):
        scorer.watch(message)
    report = scorer.report()
    assert (report.n, report.n_unheard, report.error_rate) == (1, 1, 0.0)


def test_deafness_after_the_end_does_not_matter():
    late = word(450, None, "not listening: nobody has tried to speak for a while")
    report = scored(asked("open", 100, 300), word(290, "open"), late).report()
    assert (report.n_unheard, report.n) == (0, 1)


def test_without_a_text_it_says_so():
    assert "no marker said" in scored(word(50, "door")).why_nothing()


def test_phonemes_are_compared_with_the_pronunciation():
    spelled = {"open": ["OW", "P"], "door": ["D", "AO"]}
    how = {"unit": "phonemes", "spell": lambda text: [p for w in text.split() for p in spelled[w]]}
    report = scored(asked("open door", 100, 300), word(200, "OW"), word(210, "P"), **how).report()
    assert (report.unit, report.n, report.error_rate) == ("phonemes", 4, 0.5)


def test_whoever_shows_it_hears_of_every_word():
    heard = []
    scorer = WordScorer()
    scorer.on_change = heard.append
    for message in (SPEC, asked("open", 100, 200), word(150, "open"), word(160, None)):
        scorer.watch(message)
    assert [report.error_rate for report in heard] == [0.0]
    assert heard[0].n_correct == pytest.approx(1)


def test_what_asks_for_nothing_is_not_judged():
    silent = scored(asked("", 100, 300), asked(" ", 400, 500), word(450, "open"))
    assert silent.report() is None
    both = scored(asked("", 100, 300), asked("open", 500, 600), word(560, "open")).report()
    assert (both.n, both.n_utterances, both.error_rate) == (1, 1, 0.0)
