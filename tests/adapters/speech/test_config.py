from __future__ import annotations

import dataclasses
import json

import pytest

from diverloop.adapters.speech.config import SpeechConfig
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.session import build

from .person import LEXICON, PHONEMES, config


def test_classes_follow_the_mode():
    assert config().classes == tuple(LEXICON)
    assert config(mode="phonemes").classes == PHONEMES
    assert config(mode="keywords", keywords=("bee", "key")).classes == ("bee", "key")


def test_tokens_are_numbered_after_the_blank():
    assert config().tokens("bad") == (2, 1, 3)
    assert config().separator == 7


def test_settings_survive_a_card():
    chosen = config(unlock="key")
    card = json.loads(json.dumps(dataclasses.asdict(chosen)))
    assert build(SpeechConfig, card, "card.adapter_config") == chosen


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (dict(mode="songs"), "mode must be one of"),
        (dict(mode="keywords", keywords=("bee",)), "at least 2"),
        (dict(unlock="sesame"), "'sesame' must be a word"),
        (dict(silence="QUIET"), "silence must be one of"),
        (dict(pronunciations=("B",)), "needs its pronunciation"),
        (dict(pronunciations=("B AA D", "B IY", "B IY D S", "K IY", "XX")), "'sack'"),
        (dict(commit_at=0.4), "commit_at must be in"),
        (dict(ignore_after_s=0.0), "ignore_after_s must be in"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        config(**wrong)
