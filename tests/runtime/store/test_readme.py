from __future__ import annotations

from dataclasses import replace

import pytest

from diverloop.runtime.card import CardData
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.store.readme import readme_of

from ..test_bundle import card


def test_the_model_card_says_what_it_is_for_and_what_not():
    text = readme_of(card(), place="hf://lab/m", signed_by="1234 5678", licence="apache-2.0")
    head, body = text.removeprefix("---\n").split("\n---\n", 1)
    assert {"library_name: diverloop", "license: apache-2.0"} <= set(head.splitlines())
    for words in (
        "Investigational, not a medical device", "## Intended use", "Not for: diagnosis",
        "2 channels\nat 160 Hz (C3, C4)", "left, right", "1234 5678", "accuracy: 0.8",
        f"models pull hf://lab/m --sha256 {card().sha256}",
    ):  # fmt: skip
        assert words in body


def test_recordings_are_counted_and_never_named():
    data = CardData(data_id="x" * 64, name="sub-secret", seconds=90.0, n_trials=40)
    text = readme_of(replace(card(), trained_on=(data, data)), place="folder:/a", signed_by="")
    assert "2, 3.0 minutes, 80 trials" in text
    assert "secret" not in text
    assert "signed by | nobody" in text


def test_what_a_card_says_cannot_write_html_or_links():
    evil = replace(card(), task="<script>[x](http://y)|`", classes=("a\n# b", "c"))
    body = readme_of(evil, place="folder:/a", signed_by="").split("\n---\n", 1)[1]
    assert "<script>" not in body
    assert "[x]" not in body
    assert "\n# b" not in body


@pytest.mark.parametrize("licence", ["", "Apache 2.0", "a\nb: c", "x" * 80])
def test_a_licence_is_one_small_word(licence):
    with pytest.raises(ConfigError, match=r"apache-2\.0 or other"):
        readme_of(card(), place="folder:/a", signed_by="", licence=licence)
