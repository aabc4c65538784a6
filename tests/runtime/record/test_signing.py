from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.record import signing
from diverloop.runtime.record.signing import (
    PrivateKey,
    PublicKey,
    canonical,
    configuration_folder,
    fingerprint,
    load_or_create_key,
    new_key,
    plain,
    public_text,
    sign,
    sync_folder,
    verify,
    write_through,
)

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="rights are written otherwise there")
# RFC 8032, section 7.1, test 2.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


# --- signatures ------------------------------------------------------------------------------


def test_signatures_are_those_of_the_standard():
    key = PrivateKey(SEED, PublicKey(PUBLIC))
    assert sign(key, b"\x72").hex() == SIGNATURE
    assert verify(key.public, b"\x72", bytes.fromhex(SIGNATURE))


@given(st.binary(max_size=40), st.integers(0, 511))
def test_a_signature_with_one_bit_changed_is_refused(data, bit):
    key = PrivateKey(SEED, PublicKey(PUBLIC))
    signature = bytearray(sign(key, data))
    assert verify(key.public, data, bytes(signature))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify(key.public, data, bytes(signature))


def test_other_data_another_key_and_another_length_are_refused():
    key = new_key()
    signature = sign(key, b"stimulate")
    assert not verify(key.public, b"stimulatE", signature)
    assert not verify(new_key().public, b"stimulate", signature)
    assert not verify(key.public, b"stimulate", signature[:-1])
    assert not verify(key.public, b"stimulate", b"")


def test_a_key_that_is_no_point_on_the_curve_verifies_nothing():
    assert not verify(PublicKey(b"\xff" * 32), b"data", bytes(64))


def test_the_text_of_a_public_key_is_read_back_and_no_other_spelling_of_it():
    key = new_key()
    text = public_text(key)
    assert text == public_text(key.public)
    assert PublicKey.from_text(text) == key.public
    for wrong in (text.upper() + " ", text[:-2], text + "00", f" {text}", "zz" * 32, ""):
        with pytest.raises(ConfigError, match="is no public key, which is 64"):
            PublicKey.from_text(wrong)


def test_a_public_key_of_the_wrong_length_is_refused():
    with pytest.raises(ConfigError, match="32 bytes, got 31"):
        PublicKey(bytes(31))


def test_a_fingerprint_is_half_a_hash_in_groups_of_four():
    public = PublicKey(PUBLIC)
    groups = fingerprint(public).split(" ")
    assert [len(group) for group in groups] == [4] * 8
    assert hashlib.sha256(PUBLIC).hexdigest().startswith("".join(groups))
    assert fingerprint(new_key().public) != fingerprint(public)


def test_the_text_of_a_private_key_does_not_show_its_secret():
    key = new_key()
    assert "seed" not in repr(key)
    assert repr(key.seed) not in repr(key)
    assert key.seed.hex() not in str(key)


# --- canonical JSON --------------------------------------------------------------------------


@given(PLAIN)
def test_canonical_text_of_anything_plain_is_one_line_that_comes_back_as_the_same_bytes(value):
    line = canonical(plain(value))
    assert b"\n" not in line
    assert canonical(json.loads(line)) == line


def test_canonical_text_has_sorted_keys_no_space_and_letters_as_they_are():
    assert canonical({"b": [1, 0.5], "a": {"µ": None}}) == '{"a":{"µ":null},"b":[1,0.5]}'.encode()


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800"])
def test_what_has_no_canonical_text_is_refused(value):
    with pytest.raises(ValueError, match=r"JSON compliant|surrogates"):
        canonical({"value": value})


def test_plain_values_have_no_nan_no_tuple_no_numpy_and_no_half_character():
    value = {"a": (math.nan, np.float64(2.5)), 3: np.int16(4), "\udc80": np.bool_(True)}
    assert plain(value) == {"a": [None, 2.5], "3": 4, "\\udc80": True}
    assert [type(plain(one)) for one in (np.float32(2.5), np.uint8(1), np.True_)] == [
        float,
        int,
        bool,
    ]


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", np.zeros(2)])
def test_what_is_not_plain_is_refused_with_its_type(value):
    with pytest.raises(ConfigError, match=type(value).__name__):
        plain({"value": [value]})


# --- the key on the disk ---------------------------------------------------------------------


def test_the_key_is_made_once_and_then_found_again(tmp_path):
    key = load_or_create_key(tmp_path / "new" / "folder")
    assert load_or_create_key(str(tmp_path / "new" / "folder")) == key
    assert load_or_create_key(tmp_path / "other") != key
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["signing-key.pem"]


def test_the_file_is_pkcs8_in_pem_and_any_tool_reads_it(tmp_path):
    key = load_or_create_key(tmp_path)
    pem = (tmp_path / "signing-key.pem").read_bytes()
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    loaded = serialization.load_pem_private_key(pem, password=None)
    assert isinstance(loaded, ed25519.Ed25519PrivateKey)
    assert loaded.sign(b"data") == sign(key, b"data")


@POSIX
def test_only_this_user_may_read_the_key_and_its_folder(tmp_path):
    load_or_create_key(tmp_path / "home")
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "home" / "signing-key.pem").stat().st_mode) == 0o600


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_key_that_others_can_reach_is_refused_and_the_way_out_named(tmp_path, mode):
    load_or_create_key(tmp_path)
    path = tmp_path / "signing-key.pem"
    path.chmod(mode)
    with pytest.raises(ConfigError, match=rf"rights {mode:04o}, .* run chmod 600"):
        load_or_create_key(tmp_path)
    path.chmod(0o600)
    assert load_or_create_key(tmp_path).seed


def put_key(folder: Path, pem: bytes) -> None:
    path = folder / "signing-key.pem"
    path.write_bytes(pem)
    path.chmod(0o600)


def pem_of(key, encryption) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"no key",
        pem_of(ec.generate_private_key(ec.SECP256R1()), serialization.NoEncryption()),
        pem_of(
            ed25519.Ed25519PrivateKey.generate(), serialization.BestAvailableEncryption(b"secret")
        ),
    ],
    ids=["empty", "garbage", "another kind", "with a password"],
)
def test_a_file_that_is_no_such_key_is_refused_and_never_overwritten(tmp_path, pem):
    put_key(tmp_path, pem)
    with pytest.raises(ConfigError, match="is not an Ed25519 private key without a password"):
        load_or_create_key(tmp_path)
    assert (tmp_path / "signing-key.pem").read_bytes() == pem


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigError, match=r"cannot be read or made \(.*set DIVERLOOP_HOME"):
        load_or_create_key(tmp_path / "file" / "home")


def test_a_starter_that_finds_another_was_faster_takes_the_key_of_the_other(tmp_path, monkeypatch):
    winners = []

    def draw_slowly():
        monkeypatch.undo()
        winners.append(load_or_create_key(tmp_path))
        return new_key()

    monkeypatch.setattr(signing, "new_key", draw_slowly)
    assert [load_or_create_key(tmp_path)] == winners
    assert [path.name for path in tmp_path.iterdir()] == ["signing-key.pem"]
    assert [load_or_create_key(tmp_path)] == winners


# --- where it is -----------------------------------------------------------------------------


def test_the_folder_is_the_one_that_was_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "mine"))
    assert configuration_folder() == tmp_path / "mine"
    load_or_create_key()
    assert (tmp_path / "mine" / "signing-key.pem").exists()


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {}, ".config/diverloop"),
        ("linux", {"XDG_CONFIG_HOME": "{home}/settings"}, "settings/diverloop"),
        ("darwin", {}, "Library/Application Support/diverloop"),
        ("win32", {"APPDATA": "{home}/Roaming"}, "Roaming/diverloop"),
        ("win32", {}, "AppData/Roaming/diverloop"),
    ],
)
def test_else_it_is_where_the_platform_keeps_settings(
    tmp_path, monkeypatch, platform, variables, folder
):
    for name in ("DIVERLOOP_HOME", "XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    monkeypatch.setattr(signing.Path, "home", lambda: tmp_path)
    monkeypatch.setattr(signing.sys, "platform", platform)
    assert configuration_folder() == tmp_path / folder


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("DIVERLOOP_HOME", raising=False)
    monkeypatch.setattr(signing.Path, "home", nowhere)
    with pytest.raises(ConfigError, match="set DIVERLOOP_HOME"):
        configuration_folder()


# --- to the disk -----------------------------------------------------------------------------


def test_a_write_that_the_system_takes_only_in_part_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(signing.os, "write", lambda handle, data: len(data) - 3)
    with (tmp_path / "file").open("wb") as file, pytest.raises(OSError, match="2 of 5 bytes"):
        write_through(file.fileno(), b"hello")


def test_a_write_and_its_folder_are_brought_to_the_disk(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync

    def watched(handle):
        synced.append(stat.S_ISDIR(os.fstat(handle).st_mode))
        fsync(handle)

    monkeypatch.setattr(signing.os, "fsync", watched)
    with (tmp_path / "file").open("wb") as file:
        write_through(file.fileno(), b"hello")
        assert (tmp_path / "file").read_bytes() == b"hello"
    sync_folder(tmp_path)
    folder_synced = [] if sys.platform == "win32" else [True]
    assert synced == [False, *folder_synced]


def test_the_cryptography_package_is_imported_only_by_who_signs():
    script = "import sys, diverloop.runtime.record.audit\nprint('cryptography' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr
