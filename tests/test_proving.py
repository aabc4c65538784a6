"""What was recorded runs again as it was; whatever was touched afterwards is found and named."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from diverloop import running
from diverloop.assembly import open_model
from diverloop.hardware.simulator import SimulatedParticipant
from diverloop.proving import Verification, replay_exact, verify
from diverloop.running import RunOptions, run_session
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.errors import DiverloopError, RecordingError
from diverloop.runtime.events import EventKind
from diverloop.runtime.record.audit import AuditLog, read_audit
from diverloop.runtime.record.reading import open_record
from diverloop.runtime.record.signing import load_or_create_key, new_key

from .kept import copy_of, folder_of, kept, model_of, session, settings
from .stimulating import ALWAYS, stimulating

SAMPLE = 2000


def replaced(folder: Path, name: str, before: bytes, after: bytes) -> None:
    """Put other bytes in the place of some that are there; the length stays."""
    path = folder / name
    content = path.read_bytes()
    assert before in content
    assert len(before) == len(after)
    path.write_bytes(content.replace(before, after, 1))


def found(folder: Path) -> tuple[Verification, str]:
    """What a verification finds, also as one text."""
    verification = verify(folder)
    return verification, " ".join(verification.sentences())


def unsealed(folder: Path) -> Path:
    """Make of a session one that was cut off: its log does not tell of an end."""
    entries = read_audit(folder)
    for name in ("audit.jsonl", "audit.head.json"):
        (folder / name).unlink()
    log = AuditLog.create(folder, load_or_create_key(), MonotonicClock())
    for entry in entries[1:-1]:
        log.append(entry.what, who=entry.who, why=entry.why, details=entry.details)
    log.close()
    return folder


# --- what is whole -----------------------------------------------------------------------------


def test_a_session_runs_again_as_it_was():
    comparison, latency = replay_exact(folder_of())
    counts = kept().latency
    assert comparison.ok
    assert comparison.n_turns == comparison.n_equal > 250
    assert comparison.n_decoded == comparison.n_bit_equal == counts.decoded > 200
    assert comparison.n_commanded > 200
    assert latency.to_json() == counts.to_json()


@pytest.mark.long
def test_a_session_that_stimulated_runs_again_as_it_was_and_delivers_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "stimulation_permit", lambda keeping, clock: lambda: ALWAYS)
    options = RunOptions(live=False, armed=True, recordings=tmp_path / "kept")
    ledger = tmp_path / "P01"
    run_session(stimulating(ledger), options, open_model(model_of("eeg16")))
    before = {path: path.read_bytes() for path in ledger.iterdir()}
    (folder,) = (tmp_path / "kept").iterdir()
    told = [one.text for one in open_record(folder).events if one.kind is EventKind.STIMULATION]
    assert any(text.startswith("Stimulation was delivered: 10 of 10 pulses") for text in told)
    comparison, _ = replay_exact(folder)
    assert comparison.ok
    assert comparison.n_turns == comparison.n_equal > 300
    assert {path: path.read_bytes() for path in ledger.iterdir()} == before


def test_the_file_will_do_in_place_of_the_folder():
    assert replay_exact(folder_of() / "recording.xdf")[0] == replay_exact(folder_of())[0]
    assert verify(folder_of() / "recording.xdf").ok


def test_everything_holds_of_a_session_that_nobody_touched():
    verification, text = found(folder_of())
    assert verification.ok
    assert verification.sealed
    assert verification.signal_s == 30.0
    assert verification.wall_s > 0
    assert re.match(r"The audit log holds: \d+ entries, signed by( [0-9a-f]{4}){8}\.", text)
    assert "The recording is the file that the log names." in text
    assert "The replay is the recorded run" in text


def test_the_folder_may_lie_anywhere(tmp_path):
    assert verify(copy_of(tmp_path)).ok


def test_a_session_on_a_grid_runs_again_as_it_was():
    assert verify(folder_of("ecog8x8")).ok


def test_a_session_that_was_cut_off_can_be_proved_without_a_seal(tmp_path):
    verification, text = found(unsealed(copy_of(tmp_path)))
    assert verification.ok
    assert not verification.sealed
    assert "The session was cut off: its log holds no hash of the recording." in text


def test_a_session_that_failed_runs_again_up_to_its_failure(tmp_path, monkeypatch):
    read, calls = SimulatedParticipant.read, []

    def failing(self, *given):
        calls.append(given)
        if len(calls) == 200:
            raise OSError(5, "unplugged")
        return read(self, *given)

    monkeypatch.setattr(SimulatedParticipant, "read", failing)
    options = RunOptions(live=False, armed=True, recordings=tmp_path)
    with pytest.raises(OSError, match="unplugged"):
        run_session(session(settings(faults=())), options, open_model(model_of("eeg16")))
    (folder,) = tmp_path.iterdir()
    verification, text = found(folder)
    assert verification.ok
    assert verification.comparison.n_equal == verification.comparison.n_turns > 50
    assert "The session failed: [Errno 5] unplugged" in text


def test_a_session_that_failed_before_anything_was_read_is_not_proved(tmp_path):
    options = RunOptions(live=False, recordings=tmp_path)
    with pytest.raises(DiverloopError):
        run_session(session(settings("eeg8")), options, open_model(model_of("eeg16")))
    (folder,) = tmp_path.iterdir()
    verification, text = found(folder)
    assert not verification.ok
    assert verification.comparison is None
    assert "The session failed: The stream 'simulated motor_imagery' is not the one" in text
    assert "The replay cannot be made" in text


# --- what was touched --------------------------------------------------------------------------


def edit_log(folder: Path) -> None:
    replaced(folder, "audit.jsonl", b"The guard is armed", b"The guard is ARMED")


def cut_log(folder: Path) -> None:
    path = folder / "audit.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def lose_log(folder: Path) -> None:
    (folder / "audit.jsonl").unlink()


def lose_head(folder: Path) -> None:
    (folder / "audit.head.json").unlink()


def edit_signal(folder: Path) -> None:
    row = open_record(folder).samples()[:, SAMPLE].astype("<f4")
    other = row.copy()
    other[0] = np.nextafter(row[0], np.float32(np.inf))
    replaced(folder, "recording.xdf", row.tobytes(), other.tobytes())


def edit_decision(folder: Path) -> None:
    """Another digit in a probability on the tape."""
    content = (folder / "recording.xdf").read_bytes()
    shape = re.compile(rb'"turn":\{"decision":\{[^}]*?"probabilities":\[0\.\d{5}')
    before = shape.search(content, len(content) // 2).group()
    replaced(folder, "recording.xdf", before, before[:-1] + (b"2" if before[-1:] == b"1" else b"1"))


def edit_decision_row(folder: Path) -> None:
    record = open_record(folder)
    turn = record.turns[50]
    row = np.array(turn.decision.probabilities, "<f8").tobytes()
    replaced(folder, "recording.xdf", row, np.array([0.5, 0.5], "<f8").tobytes())


def edit_settings(folder: Path) -> None:
    replaced(folder, "recording.xdf", b'"seed":71', b'"seed":72')


def edit_feedback(folder: Path) -> None:
    replaced(folder, "recording.xdf", b'"stale_s":', b'"stale_S":')


def cut_recording(folder: Path) -> None:
    path = folder / "recording.xdf"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def edit_weights(folder: Path) -> None:
    path = folder / "model.bundle" / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def edit_card(folder: Path) -> None:
    path = folder / "model.bundle" / "card.json"
    card = json.loads(path.read_text())
    card["adapter_config"]["threshold"] = 0.9
    path.write_text(json.dumps(card))


def lose_model(folder: Path) -> None:
    shutil.rmtree(folder / "model.bundle")


CHANGED = "recording.xdf is not the file that the log names: it was changed afterwards."


@pytest.mark.parametrize(
    ("touch", "words"),
    [
        (edit_log, "The audit log does not hold: Line 6 of the log was edited"),
        (cut_log, "The audit log does not hold: The head was signed over"),
        (lose_log, "audit.jsonl cannot be read"),
        (lose_head, "audit.head.json cannot be read"),
        (edit_signal, CHANGED),
        (edit_decision, CHANGED),
        (edit_decision_row, CHANGED),
        (edit_settings, CHANGED),
        (edit_feedback, CHANGED),
        (cut_recording, CHANGED),
        (edit_weights, "The weights in"),
        (edit_card, "card"),
        (lose_model, "has no readable card.json"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_whatever_is_touched_afterwards_is_found_and_named(tmp_path, touch, words):
    folder = copy_of(tmp_path)
    touch(folder)
    verification, text = found(folder)
    assert not verification.ok
    assert words in text


@pytest.mark.parametrize(
    ("touch", "words"),
    [
        (edit_signal, "embeddings|probabilities|The replay"),
        (edit_decision, r"decision\.probabilities was .* in the recording"),
        (edit_settings, "The settings in recording.xdf are not those that the log names"),
        (edit_weights, "The weights in"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_without_a_seal_the_log_and_the_replay_still_find_it(tmp_path, touch, words):
    folder = unsealed(copy_of(tmp_path))
    touch(folder)
    verification, text = found(folder)
    assert re.search(words, text)
    bits_differ = verification.comparison and (
        verification.comparison.n_bit_equal < verification.comparison.n_decoded
    )
    assert bits_differ or not verification.ok


def test_another_model_on_the_tape_than_in_the_log_is_named(tmp_path):
    folder = unsealed(copy_of(tmp_path))
    sha256 = open_record(folder).manifest.model_sha256.encode()
    replaced(folder, "recording.xdf", sha256, sha256[::-1])
    assert "The model in recording.xdf is not the one that the log names" in found(folder)[1]


def test_nothing_is_said_of_a_recording_whose_log_does_not_hold(tmp_path):
    folder = copy_of(tmp_path)
    edit_log(folder)
    verification, text = found(folder)
    assert verification.comparison.ok
    assert "Nothing vouches for the recording, as the log does not hold." in text
    assert "cut off" not in text


def test_the_fingerprint_gives_away_who_signed(tmp_path):
    folder = copy_of(tmp_path)
    entries = read_audit(folder)
    for name in ("audit.jsonl", "audit.head.json"):
        (folder / name).unlink()
    log = AuditLog.create(folder, new_key(), MonotonicClock())
    for entry in entries[1:]:
        log.append(entry.what, who="somebody else", why=entry.why, details=entry.details)
    log.close()
    forged, true = verify(folder), verify(folder_of())
    assert forged.ok
    assert forged.audit.fingerprint != true.audit.fingerprint
    assert true.audit.fingerprint in true.sentences()[0]


# --- what is no session ------------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, b"", b"XDF:", b"anything else"])
def test_what_is_no_session_is_refused_with_one_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / "recording.xdf").write_bytes(content)
    with pytest.raises(
        RecordingError, match=r"^[^\n]+ a (recorded session|session's folder)[^\n]+$"
    ):
        verify(tmp_path)


def test_a_session_whose_beginning_is_destroyed_is_refused(tmp_path):
    folder = copy_of(tmp_path)
    path = folder / "recording.xdf"
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])
    with pytest.raises(RecordingError, match="its beginning is destroyed"):
        verify(folder)


def test_a_log_that_another_key_signed_is_not_proof():
    audit = verify(folder_of()).audit
    assert verify(folder_of(), audit.fingerprint.replace(" ", "").upper()).ok
    other = verify(folder_of(), "0000 1111 2222 3333")
    assert not other.ok
    assert f"signed by {audit.fingerprint}, not by 0000 1111" in " ".join(other.sentences())
