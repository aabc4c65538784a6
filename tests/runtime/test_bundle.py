from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from diverloop.runtime.bundle import Bundle, join_parts, load_bundle, save_bundle, sign_bundle
from diverloop.runtime.card import Card, CardInput, CardWindow
from diverloop.runtime.errors import BundleError
from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.record.seal import give_seal
from diverloop.runtime.record.signing import fingerprint, load_or_create_key, new_key

SPEC = StreamSpec(name="cap", rate_hz=160.0, channels=(Channel(name="C3"), Channel(name="C4")))


def card() -> Card:
    return Card(
        task="motor_imagery",
        classes=("left", "right"),
        encoder="csp",
        adapter="linear",
        encoder_config={"n_bands": 2, "n_components": None},
        adapter_config={"abstain_below": 0.6},
        conditioning={"bands": [[8, 12], [12, 16.5]]},
        input=CardInput.of(SPEC),
        conditioned_rows=("8-12/C3", "8-12/C4"),
        window=CardWindow(length_s=2.0, step_s=0.1, n_times=320),
        reference="average",
        band=(8.0, 16.5),
        trained_on=(),
        scores={"accuracy": 0.8, "confusion": [[4, 1], [1, 4]]},
        versions={"numpy": "2"},
        created_utc="2026-11-22T08:00:00Z",
    )


def bundle() -> Bundle:
    rng = np.random.default_rng(0)
    encoder = {"filters": rng.normal(size=(2, 3, 4)), "small": rng.normal(size=3).astype("f4")}
    adapter = {"weights": rng.normal(size=(4, 2)).T, "temperature": np.array(1.5)}
    return Bundle(card=card(), arrays=join_parts(encoder=encoder, adapter=adapter))


@pytest.fixture
def saved(tmp_path):
    save_bundle(bundle(), tmp_path / "m.bundle")
    return tmp_path / "m.bundle"


def card_of(folder) -> Card:
    """The card as it lies there, whoever has signed what."""
    return msgspec.convert(json.loads((folder / "card.json").read_text()), Card)


def edit_card(folder, **fields) -> None:
    content = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(content | fields))


def test_what_was_saved_is_what_is_loaded_bit_for_bit(saved):
    back, sent = load_bundle(saved), bundle()
    assert back.arrays.keys() == sent.arrays.keys()
    for name, array in sent.arrays.items():
        assert back.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(back.arrays[name], array, strict=True)
    assert replace(back.card, weights_sha256="") == sent.card


def test_parts_come_apart_as_they_were_joined(saved):
    back = load_bundle(saved)
    assert back.part("encoder").keys() == {"filters", "small"}
    assert back.part("adapter").keys() == {"weights", "temperature"}
    assert back.part("enc") == {}


def test_saving_returns_the_hash_of_the_card_that_a_loader_sees(tmp_path):
    sha256 = save_bundle(bundle(), tmp_path / "m.bundle")
    assert load_bundle(tmp_path / "m.bundle", sha256=sha256).card.sha256 == sha256
    canonical = json.dumps(
        json.loads((tmp_path / "m.bundle" / "card.json").read_text()),
        sort_keys=True,
        separators=(",", ":"),
    )
    assert sha256 == hashlib.sha256(canonical.encode()).hexdigest()


def test_an_int_given_for_a_float_does_not_change_the_hash_on_the_way(tmp_path):
    window = CardWindow(length_s=2, step_s=1, n_times=320)
    sent = Bundle(card=replace(card(), window=window, band=(8, 30)), arrays=bundle().arrays)
    sha256 = save_bundle(sent, tmp_path / "m.bundle")
    assert load_bundle(tmp_path / "m.bundle").card.sha256 == sha256


def test_the_same_bundle_has_the_same_hash_wherever_it_is_saved(tmp_path):
    first = save_bundle(bundle(), tmp_path / "a.bundle")
    assert save_bundle(bundle(), tmp_path / "b.bundle") == first


def test_the_card_can_be_read_by_a_person(saved):
    lines = (saved / "card.json").read_text().splitlines()
    assert '  "adapter": "linear",' in lines
    assert len(lines) > 30


def test_only_the_three_files_are_left_behind(saved):
    found = sorted(path.name for path in saved.iterdir())
    assert found == ["card.json", "card.sig", "weights.safetensors"]
    assert [path.name for path in saved.parent.iterdir()] == ["m.bundle"]


def test_a_bundle_is_never_overwritten(saved):
    before = (saved / "card.json").read_bytes()
    with pytest.raises(BundleError, match="never overwritten"):
        save_bundle(bundle(), saved)
    assert (saved / "card.json").read_bytes() == before


def test_a_folder_of_another_name_is_refused(tmp_path):
    with pytest.raises(BundleError, match=r"NAME\.bundle"):
        save_bundle(bundle(), tmp_path / "model")


def test_a_disk_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BundleError, match="No space left"):
        save_bundle(bundle(), tmp_path / "m.bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("array", "words"),
    [(np.array([1.0, np.nan]), "NaN"), (np.array([np.inf]), "NaN"), (np.arange(3), "int64")],
)
def test_arrays_that_are_not_finite_floats_are_not_saved(tmp_path, array, words):
    with pytest.raises(BundleError, match=words):
        save_bundle(Bundle(card=card(), arrays={"x": array}), tmp_path / "m.bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["card.json", "weights.safetensors"])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(BundleError, match=f"no readable {name}"):
        load_bundle(saved)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(BundleError, match="nowhere"):
        load_bundle(tmp_path / "nowhere.bundle")


@pytest.mark.parametrize("where", [0, 8, 200, -1])
def test_a_single_altered_byte_in_the_weights_is_noticed(saved, where):
    content = bytearray((saved / "weights.safetensors").read_bytes())
    content[where] ^= 1
    (saved / "weights.safetensors").write_bytes(content)
    with pytest.raises(BundleError, match="altered or cut short"):
        load_bundle(saved)


def test_weights_cut_short_are_noticed(saved):
    content = (saved / "weights.safetensors").read_bytes()
    (saved / "weights.safetensors").write_bytes(content[:-8])
    with pytest.raises(BundleError, match="altered or cut short"):
        load_bundle(saved)


def test_weights_that_are_no_weights_are_refused_even_with_the_right_hash(saved):
    (saved / "weights.safetensors").write_bytes(b"not a safetensors file")
    (saved / "card.sig").unlink()
    edit_card(saved, weights_sha256=hashlib.sha256(b"not a safetensors file").hexdigest())
    with pytest.raises(BundleError, match="not a safetensors file"):
        load_bundle(saved)


def crafted(header: dict | bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file with a header of one's own."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype: str = "F32", shape: tuple = (1,), stop: int = 4) -> dict:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": [0, stop]}}


@pytest.mark.parametrize(
    "content",
    [
        crafted(tensor(), bytes(4), length=2**63), crafted(tensor(), bytes(4), length=10**6),
        crafted(tensor(shape=(10**12,)), bytes(4)),
        crafted(tensor(shape=(2**62, 2**62), stop=0)), crafted(tensor(stop=400), bytes(4)),
        crafted(tensor(shape=(-1,)), bytes(4)), crafted(tensor("BF16", (2,)), bytes(4)),
        crafted(tensor("OBJECT"), bytes(4)), crafted(tensor("C64", stop=8), bytes(8)),
        crafted(tensor("I32"), bytes(4)), crafted(tensor(shape=(1,) * 100), bytes(4)),
        crafted(tensor() | {"y": tensor()["x"]}, bytes(4)), crafted(tensor(), bytes(8)),
        crafted(b"[" * 10**5), crafted(b"\xff" * 8), b"",
    ],
)  # fmt: skip
def test_a_header_that_lies_is_refused_even_if_it_is_signed(saved, content):
    (saved / "weights.safetensors").write_bytes(content)
    edit_card(saved, weights_sha256=hashlib.sha256(content).hexdigest())
    told = card_of(saved)
    seal = give_seal("bundle", told.sha256, load_or_create_key())
    (saved / "card.sig").write_bytes(seal.to_bytes())
    with pytest.raises(BundleError, match=r"safetensors|allowed is floating point"):
        load_bundle(saved)


@pytest.mark.parametrize("content", [b"[" * 10**6, b'{"a":' * 10**5, b"\xff\xfe", b"7" * 5000])
def test_a_card_that_is_a_bomb_is_refused(saved, content):
    (saved / "card.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"is not JSON|format version"):
        load_bundle(saved)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999"])
def test_a_card_with_what_is_no_number_is_refused(saved, text):
    content = (saved / "card.json").read_text().replace("16.5", text)
    assert text in content
    (saved / "card.json").write_text(content)
    with pytest.raises(BundleError, match=r"finite|no number"):
        load_bundle(saved)


def test_a_card_cut_short_is_refused(saved):
    text = (saved / "card.json").read_text()
    (saved / "card.json").write_text(text[: len(text) // 2])
    with pytest.raises(BundleError, match="is not JSON"):
        load_bundle(saved)


@pytest.mark.parametrize("version", [2, 0, None, "1"])
def test_a_format_this_version_does_not_read_is_refused(saved, version):
    edit_card(saved, format_version=version)
    with pytest.raises(BundleError, match="update diverloop"):
        load_bundle(saved)


def test_a_card_that_is_a_list_is_refused(saved):
    (saved / "card.json").write_text("[]")
    with pytest.raises(BundleError, match="format version None"):
        load_bundle(saved)


def test_a_field_of_the_wrong_type_is_named(saved):
    edit_card(saved, epoch="new")
    with pytest.raises(BundleError, match="epoch"):
        load_bundle(saved)


def test_an_edited_card_is_noticed_by_whoever_knows_the_hash(tmp_path):
    sha256 = save_bundle(bundle(), tmp_path / "m.bundle")
    (tmp_path / "m.bundle" / "card.sig").unlink()
    edit_card(tmp_path / "m.bundle", adapter_config={"abstain_below": 0.0})
    assert load_bundle(tmp_path / "m.bundle").card.adapter_config == {"abstain_below": 0.0}
    with pytest.raises(BundleError, match="card was edited"):
        load_bundle(tmp_path / "m.bundle", sha256=sha256)


def test_a_bundle_is_signed_by_the_user_who_saves_it(saved):
    own = fingerprint(load_or_create_key().public)
    standing = load_bundle(saved).standing()
    assert (standing.trusted, standing.name, standing.signed_by) == (True, "this user", own)


def test_what_was_made_here_and_never_saved_is_this_users(saved):
    assert bundle().standing().name == "this user"
    read = load_bundle(saved)
    assert replace(read, card=replace(read.card, epoch=9)).standing().name == "this user"


@pytest.mark.parametrize(
    "edit",
    [{"epoch": 7}, {"classes": ["left", "feet"]}, {"scores": {}}, {"band": [1, 2]}],
    ids=["epoch", "classes", "scores", "band"],
)  # fmt: skip
def test_an_edited_card_is_refused_whoever_signed_it(saved, edit):
    edit_card(saved, **edit)
    with pytest.raises(BundleError, match="not the one that was signed"):
        load_bundle(saved)


def test_weights_exchanged_together_with_their_hash_are_refused(saved, tmp_path):
    other = Bundle(card=card(), arrays={"x": np.ones(3)})
    save_bundle(other, tmp_path / "other.bundle")
    for name in ("card.json", "weights.safetensors"):
        (saved / name).write_bytes((tmp_path / "other.bundle" / name).read_bytes())
    with pytest.raises(BundleError, match="not the one that was signed"):
        load_bundle(saved)


def test_any_altered_byte_of_a_signature_is_noticed(saved):
    content = (saved / "card.sig").read_bytes()
    for at in (0, content.index(b"public_key") + 15, content.index(b"signature") + 14):
        spoilt = bytearray(content)
        spoilt[at] = ord("e") if spoilt[at] != ord("e") else ord("f")
        (saved / "card.sig").write_bytes(spoilt)
        with pytest.raises(BundleError, match=r"signed|signature"):
            load_bundle(saved)


def test_a_copy_keeps_the_signature_of_whoever_signed(tmp_path):
    stranger = new_key()
    save_bundle(bundle(), tmp_path / "a.bundle", stranger)
    save_bundle(load_bundle(tmp_path / "a.bundle"), tmp_path / "b.bundle")
    copied = load_bundle(tmp_path / "b.bundle").standing()
    assert (copied.trusted, copied.signed_by) == (False, fingerprint(stranger.public))


def test_copying_does_not_vouch_for_what_nobody_signed(saved, tmp_path):
    (saved / "card.sig").unlink()
    save_bundle(load_bundle(saved), tmp_path / "copy.bundle")
    assert not (tmp_path / "copy.bundle" / "card.sig").exists()
    assert load_bundle(tmp_path / "copy.bundle").standing().words() == "signed by nobody"


def test_what_was_changed_after_it_was_read_is_signed_anew(tmp_path):
    save_bundle(bundle(), tmp_path / "a.bundle", new_key())
    read = load_bundle(tmp_path / "a.bundle")
    save_bundle(replace(read, card=replace(read.card, epoch=1)), tmp_path / "b.bundle")
    assert load_bundle(tmp_path / "b.bundle").standing().name == "this user"


def test_a_bundle_from_before_can_be_signed(saved):
    (saved / "card.sig").unlink()
    assert not load_bundle(saved).standing().trusted
    sign_bundle(saved)
    assert load_bundle(saved).standing().trusted
    assert len(list(saved.iterdir())) == 3


def test_a_bundle_that_was_altered_cannot_be_signed(saved):
    edit_card(saved, epoch=3)
    with pytest.raises(BundleError, match="not the one that was signed"):
        sign_bundle(saved)
