from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.adapters.speech.adapter import MID_WORD, NO_ATTEMPT, SpeechAdapter
from diverloop.adapters.speech.gate import GateConfig
from diverloop.runtime.conformance import check_adapter
from diverloop.runtime.errors import BundleError
from diverloop.runtime.inbox import Kind, Told
from diverloop.runtime.messages import EventKind

from .person import N_IN, Session, adapter, config, hops_of, labels, listening_network

SENTENCE = "bad bee key"


def same(a, b):
    return [(one.label, one.reason) for one in a] == [(one.label, one.reason) for one in b] and all(
        np.array_equal(x.probabilities, y.probabilities, equal_nan=True)
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize(
    "mode", [{}, {"mode": "phonemes"}, {"mode": "keywords", "keywords": ("bee", "key")}]
)
def test_it_keeps_the_clauses_of_an_adapter(mode):
    speech = adapter(gate=GateConfig(open_at=0.0, close_at=0.0, open_hops=1), **mode)
    speech.inbox.listen("the operator")
    check_adapter(speech, 2 * N_IN)


def test_a_sentence_comes_out_word_by_word_while_it_is_said():
    session = Session(adapter())
    hops = hops_of(SENTENCE, rest=6)
    said = session.hear(hops)
    assert labels(said) == SENTENCE.split()
    spoken = [place for place, one in enumerate(said) if one.label]
    assert spoken[0] < len(hops) - 12, "the first word comes before the last one is over"
    assert session.speech.text == SENTENCE
    assert {one.reason for one in said if one.label is None} == {NO_ATTEMPT, MID_WORD}
    for one in said:
        total = one.probabilities.sum()
        assert math.isnan(total) == (one.reason == NO_ATTEMPT)
        assert math.isnan(total) or total == pytest.approx(1)
        if one.label is not None:
            assert one.classes[int(one.probabilities.argmax())] == one.label


def test_phonemes_come_out_as_they_begin():
    session = Session(adapter(mode="phonemes"))
    said = session.hear(hops_of("bad key"))
    assert labels(said) == ["B", "AA", "D", "K", "IY"]
    assert session.speech.text == "B AA D K IY"


def test_keywords_are_told_and_other_words_are_not():
    session = Session(adapter(mode="keywords", keywords=("bee", "key"), keyword_at=-0.5))
    assert labels(session.hear(hops_of("key"))) == ["key"]
    assert labels(session.hear(hops_of("sack"))) == []
    assert labels(session.hear(hops_of("sack key"))) == []
    assert labels(session.hear(hops_of("bee"))) == ["bee"]


def test_nothing_is_decoded_at_rest():
    session = Session(adapter())
    said = session.hear(np.zeros((20, 2 * N_IN)))
    assert {one.reason for one in said} == {NO_ATTEMPT}
    assert session.speech.phonemes == ()


def test_until_it_is_asked_to_listen_it_is_deaf():
    speech = adapter()
    said = Session(speech, asked=False).hear(hops_of(SENTENCE))
    assert labels(said) == []
    assert all("not listening" in one.reason for one in said)
    assert all(np.isnan(one.probabilities).all() for one in said)
    assert (speech.text, speech.phonemes) == ("", ())


def test_what_was_said_before_it_listened_leaves_no_trace_in_what_comes_after():
    late, fresh = Session(adapter(), asked=False), Session(adapter())
    half = len(hops_of(SENTENCE)) // 2
    late.hear(hops_of("sack beads")[: half + 3])
    late.speech.inbox.listen("the operator")
    assert same(late.hear(hops_of(SENTENCE)[4:]), fresh.hear(hops_of(SENTENCE)[4:]))


def test_told_to_ignore_it_stops_in_mid_word_and_forgets():
    session = Session(adapter())
    hops = hops_of(SENTENCE)
    session.hear(hops[:14])
    assert session.speech.phonemes != ()
    session.speech.inbox.ignore("the person")
    said = session.hear(hops[14:])
    assert labels(said) == []
    assert {one.reason for one in said} == {"not listening: stopped by the person"}
    assert (session.speech.text, session.speech.phonemes) == ("", ())
    session.speech.inbox.listen("the operator")
    fresh = Session(adapter())
    assert same(session.hear(hops), fresh.hear(hops))


def test_silence_ends_listening_by_itself():
    session = Session(adapter(ignore_after_s=1.0))
    said = session.hear(np.zeros((20, 2 * N_IN)))
    reasons = [one.reason for one in said]
    assert reasons[:11] == [NO_ATTEMPT] * 11
    assert all("for a while" in reason for reason in reasons[12:])


def test_a_long_gap_ends_listening_too():
    session = Session(adapter(ignore_after_s=1.0))
    session.hear(np.zeros((2, 2 * N_IN)))
    session.lose(50)
    assert "not listening" in session.hear(np.zeros((1, 2 * N_IN)))[0].reason


def test_its_unlock_keyword_lets_it_listen_and_no_other_word_does():
    session = Session(adapter(unlock="key"), asked=False)
    first = session.hear(hops_of("bad sack bee"))
    assert not session.speech.listening.on
    second = session.hear(hops_of("key"))
    assert session.speech.listening.on
    assert [one.reason for one in second].count("unlocked by its keyword") == 1
    deaf = [one for one in (*first, *second) if "not listening" in one.reason]
    assert len(deaf) > len(first)
    assert labels(first) == labels(second) == []
    assert all(np.isnan(one.probabilities).all() for one in deaf)
    assert labels(session.hear(hops_of("bad"))) == ["bad"]


def test_while_it_waits_for_its_keyword_no_phoneme_can_be_seen():
    session = Session(adapter(unlock="key"), asked=False)
    for hop in hops_of(SENTENCE):
        session.hear(hop[None])
        if not session.speech.listening.on:
            assert session.speech.phonemes == ()


def test_a_gap_restarts_everything():
    session, fresh = Session(adapter()), Session(adapter())
    hops = hops_of(SENTENCE)
    session.hear(hops[:13])
    session.lose(1)
    fresh.at = session.at
    assert same(session.hear(hops), fresh.hear(hops))


@pytest.mark.parametrize(("value", "quality"), [(np.nan, 1.0), (0.0, 0.2), (0.0, np.nan)])
def test_a_poor_window_breaks_the_attempt_off(value, quality):
    session, fresh = Session(adapter()), Session(adapter())
    hops = hops_of(SENTENCE)
    session.hear(hops[:13])
    (poor,) = session.hear(np.full((1, 2 * N_IN), value), quality)
    assert poor.label is None
    assert "could not be encoded" in poor.reason or "too poor" in poor.reason
    assert np.isnan(poor.probabilities).all()
    assert same(session.hear(hops), fresh.hear(hops))


def test_an_endless_attempt_is_ended():
    session = Session(adapter(longest_s=1.0))
    hops = np.tile(hops_of("sack", rest=0), (8, 1))
    said = session.hear(hops)
    assert len(session.speech.phonemes) <= 20
    assert NO_ATTEMPT in {one.reason for one in said}


class Answering:
    """A second stage that answers when the test says so."""

    def __init__(self):
        self.asked, self.ready, self.forgot = [], [], 0

    def ask(self, request):
        self.asked.append(request)

    def answers(self):
        ready, self.ready = tuple(self.ready), []
        return ready

    def forget(self):
        self.forgot += 1

    def correct(self, request, text):
        version, utterance = request.version, request.utterance
        self.ready.append(Told(kind=Kind.CORRECT, text=text, utterance=utterance, version=version))


def test_the_second_stage_is_asked_at_every_word_and_at_the_end():
    session = Session(adapter())
    session.speech.second_stage = stage = Answering()
    session.hear(hops_of(SENTENCE))
    assert [one.version for one in stage.asked] == list(range(1, len(stage.asked) + 1))
    assert [one.final for one in stage.asked] == [False] * (len(stage.asked) - 1) + [True]
    assert stage.asked[-1].hypotheses[0][0] == SENTENCE
    scores = [score for _, score in stage.asked[-1].hypotheses]
    assert scores == sorted(scores, reverse=True)
    session.hear(hops_of("bee"))
    assert stage.asked[-1].utterance == 2


def test_a_correction_becomes_an_event():
    session = Session(adapter())
    session.speech.second_stage = stage = Answering()
    session.hear(hops_of(SENTENCE))
    session.speech.take_events()
    stage.correct(stage.asked[-1], "bad bee sack")
    said = session.hear(np.zeros((3, 2 * N_IN)))
    (event,) = session.speech.take_events()
    assert event.kind is EventKind.CORRECTED
    assert event.text == "Utterance 1 was corrected to: bad bee sack"
    assert session.speech.take_events() == ()
    assert labels(said) == []
    assert session.speech.text == "bad bee sack"


def test_people_are_told_when_it_listens_and_when_it_stops():
    session = Session(adapter(ignore_after_s=1.0), asked=False)
    session.hear(np.zeros((2, 2 * N_IN)))
    assert session.speech.take_events() == ()
    session.speech.inbox.listen("the operator")
    session.speech.inbox.listen("the operator")
    session.hear(np.zeros((20, 2 * N_IN)))
    began, stopped = session.speech.take_events()
    assert began.kind is stopped.kind is EventKind.LISTENING
    assert began.text == "The decoder listens to speech: asked by the operator."
    assert "nobody has tried to speak for a while" in stopped.text


def test_other_weights_listen_as_those_before_and_know_their_texts():
    session = Session(adapter())
    session.speech.second_stage = stage = Answering()
    session.hear(hops_of(SENTENCE))
    newer = adapter(epoch=1)
    newer.follow(session.speech)
    session.speech = newer
    stage.correct(stage.asked[-1], "bad bee sack")
    assert labels(session.hear(hops_of("bee"))) == ["bee"]
    assert stage.asked[-1].utterance == 2
    assert EventKind.CORRECTED in {event.kind for event in newer.take_events()}


def test_weights_that_follow_a_deaf_decoder_are_deaf():
    deaf, newer = adapter(), adapter(epoch=1)
    newer.follow(deaf)
    assert labels(Session(newer, asked=False).hear(hops_of(SENTENCE))) == []


def test_an_answer_to_an_older_question_is_passed_over():
    session = Session(adapter())
    session.speech.second_stage = stage = Answering()
    session.hear(hops_of(SENTENCE))
    stage.correct(stage.asked[0], "sack")
    session.hear(np.zeros((2, 2 * N_IN)))
    assert session.speech.text == SENTENCE


def test_a_correction_that_comes_after_listening_is_dropped():
    session = Session(adapter())
    session.speech.second_stage = stage = Answering()
    session.hear(hops_of(SENTENCE))
    session.speech.inbox.ignore("the person")
    session.hear(np.zeros((1, 2 * N_IN)))
    stage.correct(stage.asked[-1], "bad bee sack")
    said = session.hear(np.zeros((2, 2 * N_IN)))
    assert stage.forgot == 1
    assert EventKind.CORRECTED not in {e.kind for e in session.speech.take_events()}
    assert labels(said) == []
    assert session.speech.text == ""


def test_without_a_second_stage_the_same_words_come():
    with_one, without = Session(adapter()), Session(adapter())
    with_one.speech.second_stage = Answering()
    assert same(with_one.hear(hops_of(SENTENCE)), without.hear(hops_of(SENTENCE)))


def test_a_model_survives_a_bundle():
    speech = adapter(epoch=3)
    arrays = speech.to_arrays()
    assert all(np.isfinite(one).all() and one.dtype.kind == "f" for one in arrays.values())
    again = SpeechAdapter.from_arrays(speech.config, arrays, epoch=3)
    assert again.epoch == 3
    hops = hops_of(SENTENCE)
    assert same(Session(again).hear(hops), Session(speech).hear(hops))


def test_parts_that_do_not_fit_are_refused():
    arrays = adapter().to_arrays()
    with pytest.raises(BundleError, match="missing is temperature"):
        SpeechAdapter.from_arrays(
            config(), {name: one for name, one in arrays.items() if name != "temperature"}
        )
    with pytest.raises(BundleError, match="do not fit 2 frames"):
        SpeechAdapter.from_arrays(config(), arrays | {"gate_weights": np.zeros(3)})
    smaller = listening_network(5).to_arrays()
    with pytest.raises(BundleError, match="do not fit 7 phonemes"):
        SpeechAdapter.from_arrays(config(), arrays | smaller)
