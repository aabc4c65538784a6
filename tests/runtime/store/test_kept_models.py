from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys

import pytest

from diverloop.runtime.bundle import load_bundle, save_bundle
from diverloop.runtime.claim import Claim
from diverloop.runtime.errors import BundleError, ConfigError
from diverloop.runtime.record.signing import new_key
from diverloop.runtime.record.trusted import add_trusted
from diverloop.runtime.store.kept_models import KeptModels, checked_hash, models_folder

from ..test_bundle import bundle


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DIVERLOOP_MODELS", raising=False)
    return KeptModels()


def giver(folder):
    """Copies a bundle into a draft, as a place does."""
    return lambda draft: shutil.copytree(folder, draft, dirs_exist_ok=True)


@pytest.fixture
def lab(store, tmp_path):
    """A bundle that this user signed, elsewhere."""
    save_bundle(bundle(), tmp_path / "lab.bundle")
    return tmp_path / "lab.bundle"


@pytest.fixture
def foreign(store, tmp_path):
    """The same bundle, signed by somebody unknown."""
    save_bundle(bundle(), tmp_path / "foreign.bundle", new_key())
    return tmp_path / "foreign.bundle"


def left(store) -> list[str]:
    """What lies in the store, but for its lock."""
    return sorted(one.name for one in store.root.iterdir() if one.suffix != ".lock")


def test_a_kept_model_is_found_by_its_hash_alone(store, lab):
    kept, new = store.keep(giver(lab))
    sha256 = load_bundle(lab).card.sha256
    assert (new, store.hashes(), store.find(sha256[:8])) == (True, (sha256,), sha256)
    assert store.load(sha256).card == kept.card
    assert kept.folder == store.path_of(sha256)


def test_the_same_model_from_two_places_is_kept_once(store, lab, tmp_path):
    shutil.copytree(lab, tmp_path / "copy.bundle")
    assert [store.keep(giver(one))[1] for one in (lab, tmp_path / "copy.bundle")] == [True, False]
    assert len(left(store)) == 1


def test_a_model_of_somebody_unknown_is_kept_once_their_key_is_trusted(store, foreign):
    with pytest.raises(BundleError, match="diverloop trust add") as refused:
        store.keep(giver(foreign))
    mark = load_bundle(foreign).standing().signed_by
    assert (mark in str(refused.value), left(store)) == (True, [])
    add_trusted(mark, "lab a")
    assert store.keep(giver(foreign))[0].standing().name == "lab a"


def test_a_model_that_nobody_signed_is_not_kept(store, lab):
    (lab / "card.sig").unlink()
    with pytest.raises(BundleError, match="trust sign"):
        store.keep(giver(lab))
    assert left(store) == []


def test_a_signature_that_counts_replaces_one_that_does_not(store, foreign, lab):
    sha256 = load_bundle(lab).card.sha256
    shutil.copytree(foreign, store.path_of(sha256))
    assert not store.load(sha256).standing().trusted
    kept, new = store.keep(giver(lab))
    assert (kept.standing().name, new) == ("this user", False)


def test_a_damaged_copy_is_replaced_by_a_sound_one(store, lab):
    kept, _ = store.keep(giver(lab))
    (kept.folder / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(BundleError, match="altered or cut short"):
        store.load(kept.card.sha256)
    again, new = store.keep(giver(lab))
    assert new
    assert load_bundle(again.folder).card == kept.card


def test_another_model_than_the_wanted_one_is_refused(store, lab):
    with pytest.raises(BundleError, match="wanted is bbbbbbbbbbbb"):
        store.keep(giver(lab), "b" * 64)
    assert left(store) == []


def test_a_pull_that_fails_half_way_leaves_nothing(store, lab):
    def breaks_off(draft):
        giver(lab)(draft)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(BundleError, match="no room left, and nothing was changed"):
        store.keep(breaks_off)
    assert left(store) == []


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_what_a_killed_pull_left_is_swept_by_the_next(store, lab):
    script = (
        "import os, sys, signal\n"
        "from diverloop.runtime.store.kept_models import KeptModels\n"
        "def fetch(draft):\n"
        "    (draft / 'card.json').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "KeptModels().keep(fetch)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert [one.startswith(".pull-") for one in left(store)] == [True]
    assert store.hashes() == ()
    kept, _ = store.keep(giver(lab))
    assert left(store) == [kept.folder.name]


@pytest.mark.skipif(os.name != "posix", reason="locks that die with their process")
def test_two_pulls_at_a_time_do_not_mix(store, lab):
    other = Claim("models", store.root)
    with pytest.raises(BundleError, match="Another pull"):
        store.keep(giver(lab))
    other.release()
    assert store.keep(giver(lab))[1]


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "may not be written"), (errno.EROFS, "may not"), (errno.EIO, "cannot be used")],
)
def test_a_store_that_cannot_be_written_says_why(store, lab, number, words):
    def refuses(draft):
        raise OSError(number, os.strerror(number))

    with pytest.raises(BundleError, match=words):
        store.keep(refuses)


def test_a_model_that_is_not_here_says_how_to_get_it(store):
    with pytest.raises(BundleError, match=f"models pull PLACE --sha256 {'c' * 64}"):
        store.load("c" * 64)


def test_a_beginning_that_means_none_or_is_short_is_refused(store, lab):
    sha256 = store.keep(giver(lab))[0].card.sha256
    for beginning in ("d" * 12, sha256[:7], ""):
        with pytest.raises(BundleError, match="8 digits or more"):
            store.find(beginning)


def test_what_is_forgotten_is_gone(store, lab):
    sha256 = store.keep(giver(lab))[0].card.sha256
    store.forget(sha256)
    assert (store.hashes(), left(store)) == ((), [])


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, "sha256:" + "a" * 63])
def test_a_part_of_a_hash_is_no_hash(text):
    with pytest.raises(ConfigError, match="64 of the digits"):
        checked_hash(text)
    assert checked_hash(f"sha256:{'A' * 64}") == "a" * 64


def test_the_store_lies_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path))
    monkeypatch.delenv("DIVERLOOP_MODELS", raising=False)
    assert models_folder() == tmp_path / "models"
    monkeypatch.setenv("DIVERLOOP_MODELS", "/share/models")
    assert models_folder().as_posix() == "/share/models"
