"""What has been decoded of speech."""

from __future__ import annotations

import math

from diverloop.gui.participant.spoken import Spoken, SpokenWord
from diverloop.runtime.messages import Event, EventKind, Turn

from .shown import commanded, marked

LISTENS = Event(kind=EventKind.LISTENING, text="The decoder listens to speech: asked.", count=1)
DEAF = Event(kind=EventKind.LISTENING, text="The decoder stopped listening to speech: asked.")


def word(text: str, chance: float = 0.9) -> Turn:
    return commanded(text, classes=(text, "other"), chances=(chance, 1 - chance))


def silent(reason: str = "no attempt to speak") -> Turn:
    return commanded(None, reason=reason, classes=("a", "b"))


def heard(*messages: Turn | Event) -> Spoken:
    spoken = Spoken()
    for message in messages:
        spoken.take(message)
    return spoken


def texts(spoken: Spoken) -> list[str]:
    return [" ".join(each.text for each in words) for words in spoken.utterances]


def test_words_of_one_attempt_are_one_utterance() -> None:
    spoken = heard(LISTENS, word("good"), word("morning"), silent(), word("water"))
    assert texts(spoken) == ["good morning", "water"]
    assert spoken.take_begun() == ("word:good", "word:morning", "word:water")
    assert spoken.take_begun() == ()


def test_each_word_bears_the_confidence_with_which_it_was_decided() -> None:
    spoken = heard(word("sure", 0.9), word("fair", 0.6), word("guess", 0.2))
    assert [each.doubt for each in spoken.utterances[0]] == [0, 1, 2]
    assert SpokenWord(text="corrected").doubt == 0
    assert math.isnan(SpokenWord(text="corrected").confidence)


def test_a_correction_takes_the_place_of_the_last_utterance() -> None:
    correction = Event(
        kind=EventKind.CORRECTED, text="Utterance 2 was corrected to: I want water", count=2
    )
    spoken = heard(word("good"), silent(), word("i"), word("won"), correction)
    assert texts(spoken) == ["good", "I want water"]


def test_when_it_stops_listening_all_that_was_heard_is_forgotten() -> None:
    for ending in (DEAF, silent("not listening: nobody has tried to speak for a while")):
        spoken = heard(LISTENS, word("secret"), ending)
        assert spoken.utterances == []
        assert not spoken.listening


def test_somebody_in_mid_word_is_seen_to_speak() -> None:
    assert heard(silent("in mid-word")).attempting
    assert not heard(silent("in mid-word"), silent()).attempting


def test_a_prompt_of_the_stream_is_shown_until_the_rest() -> None:
    spoken = Spoken()
    spoken.take(marked("say:good morning"))
    assert spoken.prompt == "good morning"
    assert spoken.take_begun() == ("say:good morning",)
    spoken.take(marked("onset", "offset", "rest"))
    assert spoken.prompt == ""


def test_hours_of_speech_do_not_grow() -> None:
    spoken = heard(*(turn for n in range(200) for turn in (word(f"w{n}"), silent())))
    assert len(spoken.utterances) == 6
    spoken = heard(*(word("on") for _ in range(500)))
    assert sum(map(len, spoken.utterances)) <= 6 * 60
