"""Both languages say the same, plainly."""

from __future__ import annotations

import re
import string

import pytest

from diverloop.gui.console.alarms import Alarm
from diverloop.gui.console.lights import Light
from diverloop.gui.console.session import Act, Order, Step
from diverloop.gui.console.words import LANGUAGES, NOTES, Words
from diverloop.runtime.errors import ConfigError

ENGLISH, KOREAN = LANGUAGES["en"], LANGUAGES["ko"]
ENGINEERING = re.compile(
    r"\b(ms|k?hz|zmq|epochs?|traceback|null|nan|latency|buffer|stream|socket|process|exception|"
    r"error|json|decoder|adapter|embedding|bundle|guard|loop|arm(ed)?|disarm(ed)?|µ?uv|kω|"
    r"accuracy|interval|parameter|config(uration)?|telemetry)\b|_|%",
    re.IGNORECASE,
)


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_know_every_sentence():
    assert list(ENGLISH) == list(KOREAN)


@pytest.mark.parametrize("key", list(ENGLISH))
def test_a_sentence_has_the_same_places_in_both_languages_and_says_something(key):
    assert places(ENGLISH[key]) == places(KOREAN[key])
    assert ENGLISH[key].strip()
    assert KOREAN[key].strip()


def test_there_is_no_engineering_text():
    for language, table in LANGUAGES.items():
        for key, text in table.items():
            plain = re.sub(r"\{\w+\}", "", text)
            assert not ENGINEERING.search(plain), (language, key, text)


def test_korean_is_korean():
    for key, text in KOREAN.items():
        letters = re.sub(r"\{\w+\}|[^A-Za-z가-힣]", "", text)
        hangul = re.findall(r"[가-힣]", letters)
        assert key == "language" or len(hangul) >= len(letters) / 2, (key, text)


def test_korean_sentences_are_polite():
    for key, text in KOREAN.items():
        for sentence in re.findall(r"[^.?]+[.?]", text):
            polite = re.search(r"(니다|세요|요|나요|까요)[.?]$", sentence.strip())
            assert polite or not re.search(r"[가-힣]다[.?]$", sentence.strip()), (key, sentence)


@pytest.mark.parametrize("table", [ENGLISH, KOREAN], ids=["en", "ko"])
def test_everything_that_can_be_shown_has_its_sentence(table):
    wanted = [
        *(f"step_{step}" for step in Step),
        *(f"{step}_head" for step in Step),
        *(f"do_{what}" for what in Act if what is not Act.STOP),
        *(f"light_{light}" for light in Light),
        *map(str, Alarm),
        *(f"trouble_{order}" for order in Order),
        "trouble_gone",
        "trouble_screen",
        *(f"note_{number}" for number in NOTES),
    ]
    assert [key for key in wanted if key not in table] == []


def test_words_are_filled_and_the_other_language_is_one_call_away():
    words = Words("en")
    assert words("participant", person="P-017") == "Participant P-017"
    assert words.other("participant", person="P-017") == "참가자 P-017"
    assert words.other.other == words


def test_an_unknown_language_is_refused_in_one_sentence():
    with pytest.raises(ConfigError, match="en, ko"):
        Words("fr")
