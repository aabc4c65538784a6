"""A signature beside what it speaks of."""

from __future__ import annotations

import json

import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.record.seal import give_seal, parse_seal, read_seal
from diverloop.runtime.record.signing import new_key, public_text

KEY = new_key()
SHA256 = "ab" * 32


def test_a_seal_comes_back_as_it_was_given():
    seal = give_seal("bundle", SHA256, KEY)
    assert parse_seal(seal.to_bytes(), "x") == seal
    assert seal.holds("bundle", SHA256)
    assert seal.public == KEY.public


def test_a_seal_is_of_one_thing_and_one_content_only():
    seal = give_seal("bundle", SHA256, KEY)
    assert not seal.holds("session", SHA256)
    assert not seal.holds("bundle", "ba" * 32)
    assert give_seal("bundle", SHA256, new_key()).signature != seal.signature


def test_the_key_of_another_cannot_be_put_in_its_place():
    told = json.loads(give_seal("bundle", SHA256, KEY).to_bytes())
    told["public_key"] = public_text(new_key())
    assert not parse_seal(json.dumps(told).encode(), "x").holds("bundle", SHA256)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2}, {"format": None}, {"public_key": "ab"}, {"public_key": 7},
        {"signature": "abc"}, {"signature": "ab" * 63}, {"signature": None},
    ],
)  # fmt: skip
def test_what_is_no_seal_is_refused_by_name(changes):
    told = json.loads(give_seal("bundle", SHA256, KEY).to_bytes()) | changes
    with pytest.raises(ConfigError, match="here"):
        parse_seal(json.dumps(told).encode(), "here")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"\xff\xfe", b"{", b"[" * 4000, b"[" * 10**6, b"7" * 4000]
)
def test_rubbish_is_refused(content):
    with pytest.raises(ConfigError, match="no signature of diverloop"):
        parse_seal(content, "here")


def test_a_seal_that_is_not_there_is_none_and_one_that_cannot_be_read_is_named(tmp_path):
    assert read_seal(tmp_path / "none") is None
    with pytest.raises(ConfigError, match="cannot be read"):
        read_seal(tmp_path)
