from __future__ import annotations

import shutil

import pytest

from diverloop.runtime.bundle import Bundle, load_bundle, save_bundle
from diverloop.runtime.errors import BundleError, ConfigError
from diverloop.runtime.store.hub import HubPlace
from diverloop.runtime.store.places import FILES, FolderPlace, contents, place_of

from ..test_bundle import bundle


@pytest.fixture
def saved(tmp_path, monkeypatch) -> Bundle:
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "home"))
    save_bundle(bundle(), tmp_path / "m.bundle")
    return load_bundle(tmp_path / "m.bundle")


def test_a_place_is_read_without_looking_anything_up():
    assert place_of("hf://lab/model") == HubPlace(repository="lab/model", revision="main")
    assert place_of("hf://lab/model@v1.0").revision == "v1.0"
    assert place_of("folder:/a/b").path.as_posix() == "/a/b"


@pytest.mark.parametrize("text", ["", "folder:", "hf://model", "hf://a/b/c", "s3://a/b", "/a/b"])
def test_what_is_no_place_is_refused(text):
    with pytest.raises(ConfigError, match="folder:/path or hf://owner/name@revision"):
        place_of(text)


def test_a_pushed_model_lies_in_the_folder_whole_with_its_card_for_people(saved, tmp_path):
    (saved.folder / "engines").mkdir()
    place = FolderPlace(path=tmp_path / "share")
    where = place.publish(saved, "# hello\n", public=False)
    target = place_of(where).path
    assert sorted(one.name for one in target.iterdir()) == sorted([*FILES, "README.md"])
    assert load_bundle(target).card == saved.card
    assert place.publish(saved, "# hello\n", public=False) == where
    assert [one.name for one in (tmp_path / "share").iterdir()] == [target.name]


def test_one_of_several_bundles_is_chosen_by_its_hash(saved, tmp_path):
    shutil.copytree(saved.folder, tmp_path / "share" / "a.bundle")
    (tmp_path / "share" / "broken.bundle").mkdir()
    place, draft = FolderPlace(path=tmp_path / "share"), tmp_path / "draft"
    draft.mkdir()
    with pytest.raises(BundleError, match="holds 2 bundles"):
        place.fetch(draft, None)
    with pytest.raises(BundleError, match="None of the 2 bundles"):
        place.fetch(draft, "a" * 64)
    place.fetch(draft, saved.card.sha256)
    assert load_bundle(draft).card == saved.card


def test_a_folder_that_is_not_there_is_said_in_one_sentence(saved, tmp_path):
    with pytest.raises(BundleError, match="is not there: check the path, and whether the share"):
        FolderPlace(path=tmp_path / "nothing").fetch(tmp_path, None)


def test_a_folder_that_cannot_be_written_is_left_as_it_was(saved, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="cannot be written"):
        FolderPlace(path=tmp_path / "file").publish(saved, "", public=False)
    assert (tmp_path / "file").read_text() == ""


def test_an_unsigned_bundle_is_carried_unsigned(saved, tmp_path):
    (saved.folder / "card.sig").unlink()
    (tmp_path / "draft").mkdir()
    FolderPlace(path=saved.folder).fetch(tmp_path / "draft", None)
    assert load_bundle(tmp_path / "draft").standing().signed_by == ""


def test_what_lies_on_no_disk_cannot_be_pushed():
    with pytest.raises(BundleError, match="save it first"):
        contents(bundle())
