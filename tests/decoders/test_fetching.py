import hashlib
from dataclasses import replace

import numpy as np
import pytest

from diverloop.decoders import fetching
from diverloop.decoders.fetching import PUBLISHED, PublishedFile, fetch_published
from diverloop.runtime.errors import BundleError, ConfigError, UnknownName

from .test_downloading import serving

NAME = "ieeg-tiny-0.1s"
OWN = np.random.default_rng(3).bytes(50_000)
COPY = np.random.default_rng(4).bytes(70_000)


def sha256_of(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def authors():
    with serving() as shelf:
        shelf.content = OWN
        yield shelf


@pytest.fixture
def copies():
    with serving() as shelf:
        shelf.content = COPY
        yield shelf


@pytest.fixture(autouse=True)
def addresses(authors, copies, monkeypatch):
    entry = replace(
        PUBLISHED[NAME],
        url=authors.url,
        sha256=sha256_of(OWN),
        n_bytes=len(OWN),
        converted_url=copies.url,
    )
    monkeypatch.setitem(fetching.PUBLISHED, NAME, entry)


def test_the_authors_file_comes_first_and_is_pinned(authors, copies, tmp_path):
    seen = []
    fetched = fetch_published(NAME, tmp_path / "teachers", lambda *n: seen.append(n))
    assert fetched.pinned
    assert fetched.sha256 == sha256_of(OWN)
    assert fetched.path == tmp_path / "teachers" / f"diver1-{NAME}.pt"
    assert fetched.path.read_bytes() == OWN
    assert seen[-1] == (len(OWN), len(OWN))
    assert copies.ranges == []
    assert fetching.recorded_sha256(fetched.path) is None
    assert fetch_published(NAME, tmp_path / "teachers") == fetched
    assert authors.ranges == [0]


@pytest.mark.parametrize("how", ["gone", "pointer"])
def test_the_converted_copy_comes_second_and_says_that_it_is_not_pinned(authors, tmp_path, how):
    if how == "gone":
        authors.status = 404
    else:
        authors.content = b"version https://git-lfs.github.com/spec/v1\n" + 90 * b"0"
    fetched = fetch_published(NAME, tmp_path)
    assert not fetched.pinned
    assert fetched.sha256 == sha256_of(COPY)
    assert fetched.path.suffix == ".safetensors"
    noted = fetched.path.with_name(f"{fetched.path.name}.sha256").read_text()
    assert noted.split() == [fetched.sha256, fetched.path.name]
    assert fetching.recorded_sha256(fetched.path) == fetched.sha256
    assert fetch_published(NAME, tmp_path) == fetched


def test_a_copy_without_a_pinned_hash_can_be_declined(authors, copies, tmp_path):
    authors.status = 404
    with pytest.raises(BundleError, match="could not be fetched"):
        fetch_published(NAME, tmp_path, converted=False)
    assert copies.ranges == []


def test_if_nothing_comes_both_reasons_and_the_way_by_hand_are_told(authors, copies, tmp_path):
    authors.status, copies.kind = 404, "text/html"
    with pytest.raises(BundleError) as caught:
        fetch_published(NAME, tmp_path)
    told = str(caught.value)
    for part in (NAME, "HTTP 404", "a web page", "by hand", "github.com/DIVER-Project/DIVER-1"):
        assert part in told
    assert list(tmp_path.iterdir()) == []


def test_an_altered_authors_file_is_not_kept(authors, tmp_path):
    authors.content = OWN[:-1] + bytes([OWN[-1] ^ 1])
    with pytest.raises(BundleError, match=r"SHA-256 .*was removed"):
        fetch_published(NAME, tmp_path, converted=False)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(UnknownName, match=r"'base'.*ieeg-tiny-0\.1s, joint-small-1s"):
        fetch_published("base", tmp_path)


def test_the_catalogue_names_the_two_published_files_over_https():
    # `addresses` stands in for the first; the rest is as published.
    entry = PUBLISHED["joint-small-1s"]
    assert sorted(PUBLISHED) == ["ieeg-tiny-0.1s", "joint-small-1s"]
    assert entry.n_bytes == 102_787_420
    assert entry.sha256.startswith("dbfa4828")
    assert entry.url.startswith("https://")
    assert entry.converted_url.startswith("https://")
    assert "MIT" in entry.licence


@pytest.mark.parametrize("wrong", [{"sha256": "abc"}, {"sha256": "A" * 64}, {"n_bytes": 0}])
def test_an_entry_that_proves_nothing_is_refused(wrong):
    entry = PUBLISHED[NAME]
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        replace(entry, **wrong)
    assert isinstance(entry, PublishedFile)
