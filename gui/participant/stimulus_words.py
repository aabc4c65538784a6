"""What the pictures with stimuli say to the participant, in each language."""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class StimulusWords:
    """Few words, plain, polite.

    Parameters
    ----------
    copy, written : str
        Before the text to copy, and before what was written.
    choose : str
        Instead of a text to copy.
    attend : str
        At the item or target to look at.
    wait, moment, done : str
        Nothing runs; the answer is on its way; the text or the calibration is complete.
    chosen : str
        At what was selected.
    not_written, taken_back : str
        Of a selection that did not get into the text.
    """

    copy: str
    written: str
    choose: str
    attend: str
    wait: str
    moment: str
    done: str
    chosen: str
    not_written: str
    taken_back: str


WORDS = {
    "en": StimulusWords(
        copy="Copy",
        written="Written",
        choose="Look at what you want",
        attend="Look here",
        wait="Please wait",
        moment="One moment",
        done="Done. Thank you.",
        chosen="Chosen",
        not_written="Shown only, not written",
        taken_back="Taken back",
    ),
    "ko": StimulusWords(
        copy="따라 쓰기",
        written="쓴 글",
        choose="원하는 것을 바라보세요",
        attend="여기를 보세요",
        wait="잠시 기다려 주세요",
        moment="잠시만요",
        done="끝났습니다. 수고하셨습니다.",
        chosen="선택됨",
        not_written="화면에만 표시되고 입력되지 않았습니다",
        taken_back="취소했습니다",
    ),
}
"""By language."""


def words_of(language: str) -> StimulusWords:
    """The words of a language; raises `ConfigError` if there are none."""
    if language not in WORDS:
        raise ConfigError(f"language must be one of {', '.join(WORDS)}, got {language!r}.")
    return WORDS[language]
