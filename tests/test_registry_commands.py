"""`diverloop models`: from one user's disk to another's, through a folder, with no network."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from diverloop.runtime.bundle import load_bundle, save_bundle
from diverloop.runtime.card import CardData
from diverloop.runtime.record.signing import new_key

from .modelled import quickly_saved
from .runtime.test_bundle import bundle as small
from .test_cli import SESSION, call, refused, told


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """A configuration folder of this test's own, on a machine without a network."""
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DIVERLOOP_MODELS", raising=False)

    def refuse(*_: object) -> None:
        pytest.fail("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tmp_path / "home"


def shared(tmp_path, model) -> str:
    """A folder with one model of this user's in it, as a place."""
    save_bundle(model, tmp_path / "m.bundle")
    told("models", "push", tmp_path / "m.bundle", f"folder:{tmp_path / 'share'}")
    return f"folder:{tmp_path / 'share'}"


@pytest.fixture
def share(tmp_path) -> str:
    """Such a place; its model is small, and not made to decode anything."""
    return shared(tmp_path, small())


def test_a_model_goes_through_a_folder_and_is_listed_and_verified(share, tmp_path):
    sha256 = load_bundle(tmp_path / "m.bundle").card.sha256
    got = told("models", "pull", share, "--sha256", sha256)
    assert (got["sha256"], got["new"], got["trusted"]) == (sha256, True, True)
    assert [one["sha256"] for one in told("models", "list")["models"]] == [sha256]
    assert sha256[:12] in call("models", "list").stdout
    assert told("models", "verify", sha256[:12])["whole"] is True
    assert "Was here already" in call("models", "pull", share).stdout
    assert told("models", "remove", sha256[:12]) == {"removed": sha256}
    assert "No model is kept" in call("models", "list").stdout


def test_names_of_recordings_are_told_and_become_public_only_when_somebody_has_read_them(tmp_path):
    model = small()
    row = CardData(data_id="0" * 64, name="JaneDoe.edf", seconds=60.0, n_trials=10)
    save_bundle(replace(model, card=replace(model.card, trained_on=(row,))), tmp_path / "m.bundle")
    push = ("models", "push", tmp_path / "m.bundle", f"folder:{tmp_path / 'share'}")
    assert "JaneDoe.edf" in refused(*push, "--public")["message"]
    assert not (tmp_path / "share").exists()
    assert told(*push)["names"] == ["JaneDoe.edf"]
    assert "It names its recordings: JaneDoe.edf." in call(*push, "--public", "--names-read").stdout


def test_what_is_kept_already_is_not_asked_for_again(share, tmp_path):
    sha256 = told("models", "pull", share)["sha256"]
    again = told("models", "pull", "hf://lab/nothing", "--sha256", sha256)
    assert (again["sha256"], again["new"]) == (sha256, False)


def test_a_session_names_its_model_by_hash_and_needs_no_network(tmp_path):
    place = shared(tmp_path, load_bundle(quickly_saved(tmp_path)))
    sha256 = told("models", "pull", place)["sha256"]
    session = tmp_path / "s.toml"
    session.write_text(SESSION.format(bundle=f"sha256:{sha256}"))
    report = told("run", session, "--seconds", 0.5, "--recordings", tmp_path / "kept")
    kept = load_bundle(Path(report["recording"]) / "model.bundle", sha256=sha256)
    assert kept.standing().trusted
    call("models", "remove", sha256[:8])
    assert "models pull PLACE" in refused("run", session, "--no-view")["message"]
    session.write_text(SESSION.format(bundle="sha256:abc"))
    assert (
        "model.bundle: A model's hash has 64" in refused("doctor", "--session", session)["message"]
    )


def test_a_kept_model_that_was_altered_is_refused_by_the_session(share, tmp_path):
    got = told("models", "pull", share)
    (tmp_path / "s.toml").write_text(SESSION.format(bundle=f"sha256:{got['sha256']}"))
    card = Path(got["path"]) / "card.json"
    card.write_text(card.read_text().replace("motor_imagery", "motor_imagerx"))
    assert "was edited" in refused("run", tmp_path / "s.toml", "--no-view")["message"]
    assert "damaged" in call("models", "list").stdout
    assert refused("models", "verify", got["sha256"])


def test_a_model_that_nobody_trusted_signed_is_neither_pushed_nor_verified(tmp_path):
    bundle = tmp_path / "x.bundle"
    save_bundle(small(), bundle, new_key())
    assert "trust sign" in refused("models", "push", bundle, f"folder:{tmp_path}/s")["message"]
    assert call("models", "verify", bundle).exit_code == 1


def test_what_is_not_there_is_said_in_one_sentence(tmp_path):
    assert "is not there" in refused("models", "verify", tmp_path / "no.bundle")["message"]
    assert "8 digits" in refused("models", "verify", "abc")["message"]
    assert "folder:/path" in refused("models", "pull", "somewhere")["message"]
    assert "64 of the digits" in refused("models", "pull", "folder:/x", "--sha256", "1")["message"]
