from __future__ import annotations

import socket
import sys

import pytest

pytest.importorskip("huggingface_hub")

import huggingface_hub
from huggingface_hub import ModelCard, constants

from diverloop.runtime.bundle import load_bundle, save_bundle
from diverloop.runtime.errors import BundleError, ConfigError
from diverloop.runtime.store.hub import HubPlace
from diverloop.runtime.store.kept_models import KeptModels
from diverloop.runtime.store.places import FILES, place_of
from diverloop.runtime.store.readme import readme_of

from ..test_bundle import bundle
from .hub_stand_in import Repository, hub_stand_in


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A stand-in for the hub, which the library takes for the real one."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    with hub_stand_in() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub
    huggingface_hub.close_session()


@pytest.fixture
def saved(hub, tmp_path):
    """A bundle of this user on the disk."""
    save_bundle(bundle(), tmp_path / "m.bundle")
    return load_bundle(tmp_path / "m.bundle")


@pytest.fixture
def there(hub, saved):
    """The same in a repository; the place."""
    hub.repositories["lab/model"] = Repository()
    hub.repositories["lab/model"].commit({n: (saved.folder / n).read_bytes() for n in FILES})
    return place_of("hf://lab/model")


def pull(place, store, sha256=None):
    return store.keep(lambda draft: place.fetch(draft, sha256), sha256)


def left(store) -> list[str]:
    """What lies in the store, but for its lock."""
    return sorted(one.name for one in store.root.iterdir() if one.suffix != ".lock")


@pytest.fixture
def store(tmp_path) -> KeptModels:
    return KeptModels(tmp_path / "models")


def test_a_pulled_model_is_the_pushed_one_to_the_byte(there, saved, store):
    got, new = pull(there, store, saved.card.sha256)
    assert new
    for name in FILES:
        assert (got.folder / name).read_bytes() == (saved.folder / name).read_bytes()
    assert left(store) == [f"{saved.card.sha256}.bundle"]
    assert sorted(one.name for one in got.folder.iterdir()) == sorted(FILES)


def test_nothing_is_taken_but_the_three_files(there, hub, saved, store):
    hub.repositories["lab/model"].commit({"run_me.py": b"print(1)", "engines/x.onnx": b"1"})
    got, _ = pull(there, store)
    assert sorted(one.name for one in got.folder.iterdir()) == sorted(FILES)
    assert not [one for one in hub.asked if "run_me" in one or "engines" in one]


def test_an_earlier_revision_gives_the_earlier_model(there, hub, saved, store):
    first = hub.repositories["lab/model"].branches["main"]
    hub.repositories["lab/model"].commit({"card.json": b"{}"})
    assert pull(place_of(f"hf://lab/model@{first}"), store)[0].card == saved.card
    with pytest.raises(BundleError, match="format version None"):
        pull(there, store)


def test_another_hash_than_the_wanted_one_is_refused_and_leaves_nothing(there, store):
    with pytest.raises(BundleError, match="wanted is aaaaaaaaaaaa"):
        pull(there, store, "a" * 64)
    assert left(store) == []


@pytest.mark.parametrize("broken", ["card.json", "/large/"])
def test_a_download_that_breaks_off_leaves_nothing(there, hub, store, monkeypatch, broken):
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.broken = broken
    with pytest.raises(BundleError, match="cannot be read"):
        pull(there, store)
    assert left(store) == []


def test_what_is_not_there_is_said_in_one_sentence(there, store):
    for text, words in (
        ("hf://lab/nothing", "no such repository, or it is private"),
        ("hf://lab/model@v9", "no such revision"),
    ):
        with pytest.raises(BundleError, match=words):
            pull(place_of(text), store)


def test_a_repository_without_a_bundle_is_no_model(there, hub, store):
    hub.repositories["lab/empty"] = Repository()
    hub.repositories["lab/empty"].commit({"README.md": b"hello"})
    with pytest.raises(BundleError, match=r"holds no card\.json and no weights"):
        pull(place_of("hf://lab/empty"), store)


def test_who_may_not_is_told_so(there, hub, store, monkeypatch):
    hub.repositories["lab/model"].gated = True
    with pytest.raises(BundleError, match="has to let you in"):
        pull(there, store)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert pull(there, store)[1]


@pytest.mark.parametrize(("status", "words"), [(403, "you may not"), (500, "HTTP 500")])
def test_a_hub_that_refuses_is_quoted(there, hub, store, status, words):
    hub.status = status
    with pytest.raises(BundleError, match=words):
        pull(there, store)


def test_a_hub_that_does_not_answer_points_to_a_folder(there, store, monkeypatch):
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(BundleError, match="did not answer"):
            pull(there, store)


def test_offline_nothing_is_asked(there, hub, store, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.asked.clear()
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE is set"):
        pull(there, store)
    assert hub.asked == []


def test_without_the_library_the_extra_is_named(there, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r"diverloop\[hub\]"):
        pull(there, store)


def test_a_full_disk_is_said_before_anything_is_downloaded(there, hub, store, monkeypatch):
    monkeypatch.setattr("diverloop.runtime.store.hub._SPARE_BYTES", 1 << 60)
    hub.asked.clear()
    with pytest.raises(BundleError, match="make room"):
        pull(there, store)
    assert not [one for one in hub.asked if "resolve" in one]


@pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # the library's own
def test_a_pushed_model_comes_back_by_what_the_push_said(hub, saved, store, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.token)
    text = readme_of(saved.card, place="hf://lab/new", signed_by="1234")
    where = place_of("hf://lab/new").publish(saved, text, public=False)
    assert hub.repositories["lab/new"].private
    assert [one for one in hub.asked if one.startswith("PUT /large/")]
    got, _ = pull(place_of(where), store, saved.card.sha256)
    assert got.card == saved.card
    files = hub.repositories["lab/new"].commits[where.split("@")[1]]
    assert sorted(files) == sorted([*FILES, "README.md", ".gitattributes"])
    card = ModelCard(files["README.md"].decode())
    assert card.data.library_name == "diverloop"
    assert card.data.to_dict()["diverloop_sha256"] == saved.card.sha256
    assert "not a medical device" in card.text


def test_a_push_without_the_right_changes_nothing(hub, saved):
    with pytest.raises(BundleError, match=r"cannot be written: you may not \(HTTP 401\)"):
        HubPlace(repository="lab/new").publish(saved, "---\ntags: []\n---\n", public=True)
    assert hub.repositories == {}
