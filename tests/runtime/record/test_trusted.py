"""The list of keys whose signatures count."""

from __future__ import annotations

import json
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.record.seal import give_seal
from diverloop.runtime.record.signing import (
    PrivateKey,
    PublicKey,
    fingerprint,
    load_or_create_key,
    new_key,
)
from diverloop.runtime.record.trusted import (
    TRUSTED_NAME,
    Standing,
    add_trusted,
    own_standing,
    read_trusted,
    remove_trusted,
    standing_of,
)

SEED = bytes(range(32))  # always the same: tests are named after its fingerprint
RAW = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
KEY = PrivateKey(SEED, PublicKey(RAW))
MARK = fingerprint(KEY.public)
SEAL = give_seal("bundle", "ab" * 32, KEY)


def test_nobody_else_is_trusted_at_first(tmp_path):
    assert read_trusted(tmp_path) == ()
    assert standing_of(SEAL, tmp_path) == Standing(signed_by=MARK)
    assert not standing_of(SEAL, tmp_path).trusted
    assert list(tmp_path.iterdir()) == []  # looking leaves nothing behind


def test_this_users_own_key_is_trusted_by_itself(tmp_path):
    seal = give_seal("bundle", "ab" * 32, load_or_create_key(tmp_path))
    assert standing_of(seal, tmp_path) == own_standing(tmp_path)
    assert standing_of(seal, tmp_path).name == "this user"


@pytest.mark.parametrize("written", [MARK, MARK.replace(" ", ""), f" {MARK.upper()} "])
def test_a_key_is_trusted_once_it_is_added_and_no_more_once_it_is_removed(tmp_path, written):
    added = add_trusted(written, "lab a", tmp_path)
    assert read_trusted(tmp_path) == (added,)
    assert standing_of(SEAL, tmp_path).words() == f"signed by lab a ({MARK})"
    assert remove_trusted(written.strip().lower(), tmp_path) == added
    assert not standing_of(SEAL, tmp_path).trusted


def test_a_key_is_removed_by_its_name(tmp_path):
    add_trusted(fingerprint(new_key().public), "lab b", tmp_path)
    add_trusted(MARK, "lab a", tmp_path)
    remove_trusted("lab b", tmp_path)
    assert [key.name for key in read_trusted(tmp_path)] == ["lab a"]
    with pytest.raises(ConfigError, match="trusted are: lab a"):
        remove_trusted("lab b", tmp_path)


def test_one_key_has_one_name_and_one_name_one_key(tmp_path):
    add_trusted(MARK, "lab a", tmp_path)
    with pytest.raises(ConfigError, match="trusted already"):
        add_trusted(MARK, "lab b", tmp_path)
    with pytest.raises(ConfigError, match="trusted already"):
        add_trusted(fingerprint(new_key().public), "lab a", tmp_path)


@pytest.mark.parametrize("name", ["", "  ", "this user", "a\x1b[2J", "a" * 81])
def test_a_name_says_something_and_is_nobody_elses(tmp_path, name):
    with pytest.raises(ConfigError, match="--name must be"):
        add_trusted(MARK, name, tmp_path)


@pytest.mark.parametrize("mark", ["", "abcd", MARK[:-1], MARK + "0", "g" * 32])
def test_what_is_no_fingerprint_is_refused(tmp_path, mark):
    with pytest.raises(ConfigError, match="no fingerprint"):
        add_trusted(mark, "lab a", tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", '{"keys": 3}', '{"keys": [{"name": "x"}]}', "[" * 10**5,
        json.dumps({"keys": [{"name": "x", "fingerprint": "short", "added_utc": ""}]}),
        " " * 1_000_001,
    ],
)  # fmt: skip
def test_a_damaged_list_trusts_nobody_and_is_named(tmp_path, content):
    (tmp_path / TRUSTED_NAME).write_text(content)
    (tmp_path / TRUSTED_NAME).chmod(0o600)
    with pytest.raises(ConfigError, match="no list of trusted keys"):
        standing_of(SEAL, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="rights are another thing there")
def test_a_list_that_others_may_write_is_refused(tmp_path):
    add_trusted(MARK, "lab a", tmp_path)
    assert (tmp_path / TRUSTED_NAME).stat().st_mode & 0o777 == 0o600
    (tmp_path / TRUSTED_NAME).chmod(0o622)
    with pytest.raises(ConfigError, match="0622"):
        read_trusted(tmp_path)


def test_words_of_what_nobody_signed():
    assert Standing().words() == "signed by nobody"
    assert Standing(signed_by=MARK).words().startswith("signed by a key that this user does not")
