"""The few words that a picture says by itself, in the languages of the screen."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...runtime.errors import ConfigError

_ENGLISH = {
    "waiting": "We begin in a moment.",
    "pause": "Pause",
    "rest": "Rest",
    "left": "Left hand",
    "right": "Right hand",
    "feet": "Both feet",
    "both_feet": "Both feet",
    "both_fists": "Both hands",
    "tongue": "Tongue",
    "listening": "Listening",
    "not listening": "Not listening",
    "wait": "Sit comfortably. We begin in a moment.",
    "baseline": "Rest and do nothing in particular.",
    "baseline:eyes_open": "Rest with your eyes open and look at the cross.",
    "baseline:eyes_closed": "Rest with your eyes closed until you hear the tone.",
    "block": "Let the bar rise. Find out what helps, and do not strain.",
    "transfer": "Do what helped before. The bar stays hidden.",
    "break": "Pause. Move, blink, stretch.",
    "end": "Done. Thank you.",
    "still": "Sit still for a moment.",
    "left over": "{minutes}:{seconds:02d} left",
}
_KOREAN = {
    "waiting": "곧 시작합니다.",
    "pause": "잠시 멈춤",
    "rest": "쉬세요",
    "left": "왼손",
    "right": "오른손",
    "feet": "두 발",
    "both_feet": "두 발",
    "both_fists": "두 손",
    "tongue": "혀",
    "listening": "듣는 중",
    "not listening": "듣지 않음",
    "wait": "편하게 앉으세요. 곧 시작합니다.",
    "baseline": "아무것도 하지 말고 편히 쉬세요.",
    "baseline:eyes_open": "눈을 뜨고 십자 표시를 보며 쉬세요.",
    "baseline:eyes_closed": "소리가 들릴 때까지 눈을 감고 쉬세요.",
    "block": "막대를 올려 보세요. 도움이 되는 방법을 찾고, 애쓰지는 마세요.",
    "transfer": "앞에서 도움이 되었던 대로 하세요. 막대는 보이지 않습니다.",
    "break": "쉬는 시간입니다. 움직이고, 눈을 깜박이고, 기지개를 켜세요.",
    "end": "끝났습니다. 고맙습니다.",
    "still": "잠시 가만히 계세요.",
    "left over": "{minutes}:{seconds:02d} 남음",
}
LANGUAGES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"en": MappingProxyType(_ENGLISH), "ko": MappingProxyType(_KOREAN)}
)
"""Language -> key -> words; every language has the same keys."""


def words_of(language: str) -> Mapping[str, str]:
    """The words of a language.

    Parameters
    ----------
    language : str
        A key of `LANGUAGES`.

    Returns
    -------
    words : mapping of str to str
        By key.

    Raises
    ------
    ConfigError
        If the screen does not speak it.
    """
    if language not in LANGUAGES:
        raise ConfigError(
            f"The participant's screen speaks {' and '.join(LANGUAGES)}, got {language!r}: "
            "choose one of them."
        )
    return LANGUAGES[language]
