"""A session leaves a folder that speaks for itself, or it does not start."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from diverloop import keeping
from diverloop.assembly import open_model
from diverloop.hardware.replay import ReplayConfig
from diverloop.hardware.simulator import SimulatedParticipant
from diverloop.keeping import file_sha256, keep
from diverloop.running import RunOptions, run_session
from diverloop.runtime.bundle import load_bundle
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.errors import BundleError, ConfigError, RecordingError, SchemaMismatch
from diverloop.runtime.events import EventKind
from diverloop.runtime.json_text import json_text
from diverloop.runtime.record.audit import AuditEntry, read_audit, verify_audit
from diverloop.runtime.record.link import RecorderLink
from diverloop.runtime.record.reading import open_record
from diverloop.runtime.record.signing import load_or_create_key, public_text
from diverloop.runtime.session import PartConfig, SessionConfig, parse_session, tables_of

from .kept import LOST, NOTES, folder_of, kept, model_of, session, settings

WORDS = "[^\n]+"


@pytest.fixture
def links(monkeypatch) -> Iterator[list[RecorderLink]]:
    """Every link to a recorder that a test makes; all recorders have gone when it is over."""
    made: list[RecorderLink] = []

    class Listed(RecorderLink):
        def __init__(self, *given: object, **named: object) -> None:
            super().__init__(*given, **named)
            made.append(self)

    monkeypatch.setattr(keeping, "RecorderLink", Listed)
    yield made
    for link in made:
        assert link.done.is_set()
        with pytest.raises(ProcessLookupError):
            os.kill(link.recorder_pid, 0)


def run(root: Path, wanted: SessionConfig, **options: object) -> Path:
    """Run a session, whatever comes of it; its folder."""
    made = RunOptions(**({"live": False, "recordings": root} | options))
    run_session(wanted, made, open_model(model_of("eeg16")))
    (folder,) = root.iterdir()
    return folder


def last_entry(root: Path) -> AuditEntry:
    """What stands last in the log of the only session, which holds."""
    (folder,) = root.iterdir()
    assert verify_audit(folder).ok
    return read_audit(folder)[-1]


# --- what a session leaves ---------------------------------------------------------------------


def test_a_session_leaves_log_recording_model_and_report_and_nothing_else():
    assert {path.name for path in folder_of().iterdir()} == {
        "audit.head.json",
        "audit.jsonl",
        "model.bundle",
        "recording.xdf",
        "report.json",
    }


def test_the_folder_is_named_after_session_and_time_as_every_system_takes_it():
    name, _, stamp = folder_of().name.partition("-20")
    assert name == "Jane-s-first"
    assert len(f"20{stamp}") == len("20260101-000000")


def test_the_log_tells_the_session_from_its_beginning_to_its_end():
    entries = read_audit(folder_of())
    whats = [entry.what for entry in entries]
    assert whats[:5] == ["log_opened", "session_started", "configuration", "model", "armed"]
    assert whats[-1] == "session_ended"
    assert set(whats[5:-1]) == {"guard", "fault"}
    assert {entry.who for entry in entries} == {"diverloop", "jsmith", "loop"}
    (gap,) = [entry for entry in entries if entry.details.get("kind") == "gap"]
    assert (gap.details["sample"], gap.details["count"]) == (LOST[0], LOST[1] - LOST[0])


def test_the_log_names_settings_model_recording_and_the_versions_that_ran():
    folder = folder_of()
    told = {entry.what: entry.details for entry in read_audit(folder)}
    manifest = open_record(folder).manifest
    content = (folder / "recording.xdf").read_bytes()
    assert told["session_ended"] == {"recording_sha256": hashlib.sha256(content).hexdigest()}
    assert told["configuration"]["settings_sha256"] == manifest.settings_sha256
    assert told["model"]["sha256"] == manifest.model_sha256 == kept().model
    assert load_bundle(folder / "model.bundle", sha256=manifest.model_sha256)
    assert told["session_started"]["live"] is False
    assert {"diverloop", "numpy", "python"} <= set(told["session_started"])


def test_the_log_is_signed_with_the_key_of_this_user():
    key = load_or_create_key()
    assert verify_audit(folder_of(), public_key=key.public).ok
    assert read_audit(folder_of())[0].details["public_key"] == public_text(key)


def test_the_recorded_settings_are_those_of_the_session():
    manifest = open_record(folder_of()).manifest
    assert parse_session(manifest.settings, Path()) == session()
    assert json.loads(json_text(dict(manifest.settings))) == json.loads(
        json_text(tables_of(session()))
    )
    assert manifest.settings["source"]["faults"] == [{"kind": "gap", "at_s": 12.3, "length_s": 0.4}]
    assert (manifest.participant, manifest.operator) == ("Jane Doe", "jsmith")


def test_notes_that_come_while_it_runs_land_in_the_recording():
    notes = open_record(folder_of()).notes
    assert tuple((note.text, note.who) for note in notes) == NOTES


def test_nobody_is_said_to_have_armed_what_nobody_armed(tmp_path, links):
    folder = run(tmp_path, session(settings(duration_s=3.0, faults=()), operator=""))
    entries = read_audit(folder)
    assert "armed" not in {entry.what for entry in entries}
    assert {entry.who for entry in entries} == {"diverloop", "operator", "loop"}


def test_sessions_of_one_second_get_folders_of_their_own(tmp_path):
    folders = {keeping._new_folder(tmp_path, "same") for _ in range(5)}
    assert len(folders) == 5 == len(list(tmp_path.iterdir()))


# --- sessions that fail ------------------------------------------------------------------------


def test_a_stream_of_another_kind_ends_the_session_and_the_log_says_why(tmp_path, links):
    with pytest.raises(SchemaMismatch) as refusal:
        run(tmp_path, session(settings("eeg8")))
    entry = last_entry(tmp_path)
    assert (entry.what, entry.who) == ("session_ended", "diverloop")
    assert entry.why == f"The session failed: {refusal.value}"
    (folder,) = tmp_path.iterdir()
    assert entry.details == {
        "failure": "SchemaMismatch",
        "recording_sha256": file_sha256(folder / "recording.xdf"),
    }
    assert len(links) == 1


def test_a_source_that_is_not_there_ends_the_session_before_a_loop_was_made(tmp_path, links):
    nowhere = PartConfig(kind="replay", settings=ReplayConfig(path=str(tmp_path / "gone.npz")))
    root = tmp_path / "kept"
    with pytest.raises(RecordingError, match=r"gone\.npz"):
        run(root, session(source=nowhere))
    assert "gone.npz" in last_entry(root).why
    assert "recording_sha256" in last_entry(root).details
    assert len(links) == 1


def test_a_source_that_breaks_in_mid_session_ends_it_and_all_before_is_kept(
    tmp_path, links, monkeypatch
):
    model_of("eeg16")  # fitted before: it reads a participant, too
    fail(monkeypatch, "read", after=150)
    with pytest.raises(OSError, match="unplugged"):
        run(tmp_path, session(settings(faults=())), armed=True)
    assert last_entry(tmp_path).why == "The session failed: [Errno 5] unplugged"
    (folder,) = tmp_path.iterdir()
    assert len(open_record(folder).turns) > 20


def test_an_output_that_fails_once_is_told_and_the_session_goes_on(tmp_path, links, monkeypatch):
    fail(monkeypatch, "act", after=20)
    folder = run(tmp_path, session(settings(faults=(), duration_s=6.0)), armed=True)
    record = open_record(folder)
    (event,) = [event for event in record.events if event.kind is EventKind.FAILED]
    assert "OSError ([Errno 5] unplugged)" in event.text
    assert len(record.turns) > 40
    assert last_entry(tmp_path).why.startswith("The session is over")


def fail(monkeypatch, method: str, after: int) -> None:
    """Let a method of the participant raise an error at some call."""
    good, calls = getattr(SimulatedParticipant, method), []

    def failing(self, *given):
        calls.append(given)
        if len(calls) == after:
            raise OSError(5, "unplugged")
        return good(self, *given)

    monkeypatch.setattr(SimulatedParticipant, method, failing)


def test_a_failure_without_words_is_named(tmp_path, links):
    model = open_model(model_of("eeg16"))
    with (
        pytest.raises(KeyboardInterrupt),
        keep(session(), model, MonotonicClock(), tmp_path, live=True, armed=False),
    ):
        raise KeyboardInterrupt
    assert last_entry(tmp_path).why == "The session failed: KeyboardInterrupt"


def test_without_a_loop_the_recorder_ends_with_the_session(tmp_path, links):
    model = open_model(model_of("eeg16"))
    with keep(session(), model, MonotonicClock(), tmp_path, live=True, armed=False) as keeper:
        assert keeper.link is links[0]
        assert keeper.folder.parent == tmp_path
    assert last_entry(tmp_path).why == "The session is over and its recording is complete."


# --- sessions that cannot start ----------------------------------------------------------------


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_place_that_cannot_hold_a_folder_is_refused(tmp_path, links, place):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordingError, match=f"^No folder for the session {WORDS} --recordings.$"):
        run(tmp_path / place, session())
    assert links == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path, links):
    tmp_path.chmod(0o500)
    with pytest.raises(RecordingError, match=f"^No folder for the session {WORDS} --recordings.$"):
        run(tmp_path, session())


@pytest.mark.skipif(sys.platform == "win32", reason="no such rights there")
def test_a_key_that_others_can_read_is_refused_before_a_folder_is_made(
    tmp_path, links, monkeypatch
):
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path / "home"))
    load_or_create_key()
    (tmp_path / "home" / "signing-key.pem").chmod(0o644)
    with pytest.raises(ConfigError, match="has rights 0644"):
        run(tmp_path / "kept", session())
    assert not (tmp_path / "kept").exists()
    assert links == []


@pytest.mark.parametrize(
    ("taken", "error"),
    [("audit.jsonl", RecordingError), ("model.bundle", BundleError),
     ("recording.xdf", RecordingError)],
)  # fmt: skip
def test_what_cannot_be_written_stops_the_session(tmp_path, links, monkeypatch, taken, error):
    (tmp_path / taken).mkdir()
    monkeypatch.setattr(keeping, "_new_folder", lambda root, name: tmp_path)
    with pytest.raises(error, match=f"^{WORDS}$") as refusal:
        run(tmp_path, session())
    assert str(tmp_path) in str(refusal.value)
    if taken != "audit.jsonl":
        entry = read_audit(tmp_path)[-1]
        assert entry.why == f"The session failed: {refusal.value}"
        assert entry.details == {"failure": error.__name__}
    assert links == []


def test_a_log_that_cannot_be_begun_leaves_no_folder(tmp_path, links, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("diverloop.runtime.record.audit.write_through", full)
    with pytest.raises(RecordingError, match=r"No space left .*a session cannot start without it"):
        run(tmp_path, session())
    assert list(tmp_path.iterdir()) == []
    assert links == []


# --- a disk that does not take the end ---------------------------------------------------------


class Stuck:
    """A link whose recorder never gets the last messages onto the disk."""

    watched = True
    unsaved = 3

    def __init__(self) -> None:
        self.done = self

    def wait(self, limit_s: float) -> bool:
        return False

    def is_set(self) -> bool:
        return False


def test_a_recording_that_does_not_reach_the_disk_is_said_and_not_sealed(tmp_path, capsys):
    seal: dict[str, str] = {}
    with (
        pytest.raises(RecordingError, match=r"3 messages are missing at its end"),
        keeping._finished(Stuck(), tmp_path, seal),
    ):
        pass
    assert seal == {}
    assert "Waiting for the disk: 3 messages" in " ".join(capsys.readouterr().err.split())


def test_a_log_on_a_full_disk_does_not_hide_why_the_session_failed(tmp_path, monkeypatch):
    class Full:
        def append(self, *_: object, **__: object) -> None:
            raise RecordingError("full")

        def close(self) -> None:
            pass

    with (
        closing(Full()) as log,
        pytest.raises(ConfigError, match="the true reason"),
        keeping._Ending(log, "somebody"),
    ):
        raise ConfigError("the true reason")
