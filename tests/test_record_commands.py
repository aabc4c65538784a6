"""Commands for recorded sessions: they prove, annotate, export and report, or say why not."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from diverloop.assembly import open_model
from diverloop.keeping import keep
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.record.audit import read_audit
from diverloop.runtime.record.contents import Note
from diverloop.runtime.record.reading import TapeReader
from diverloop.runtime.record.signing import load_or_create_key

from .kept import copy_of, folder_of, model_of, session
from .modelled import saved, write_npz
from .test_cli import call, refused, strict, told

SESSION = """
[session]
name = "full"
[source]
kind = "simulator"
classes = ["left", "right"]
duration_s = 3.2
[model]
bundle = "{bundle}"
"""


def flat(text: str) -> str:
    """What was printed, whatever the terminal's width."""
    return " ".join(text.split())


# --- what a recording holds --------------------------------------------------------------------


def test_a_recording_is_looked_at_in_words_and_as_json(tmp_path):
    recording = write_npz(tmp_path / "run.npz", seconds=12.0)
    found = told("look", recording)
    text = flat(call("look", recording).stdout)
    assert found["duration_s"] == 12.0
    assert "Length: 0 min 12 s." in text
    for label, times in found["markers"].items():
        assert f"{label} {times} x" in text
    assert f"Channels, eeg ({found['n_channels']}): {found['channels'][0]['name']}, " in text
    assert "Lost: nothing." in text


def test_what_cannot_be_read_is_refused(tmp_path):
    assert "nowhere.npz" in refused("look", tmp_path / "nowhere.npz")["message"]


# --- verify and replay -------------------------------------------------------------------------


def test_verify_proves_a_session_in_words():
    result = call("verify", folder_of())
    text = flat(result.stdout)
    assert result.exit_code == 0
    assert text.startswith("Proved. The audit log holds: ")
    assert "Not compared: turn.embedding" in text
    assert "Not proved" not in text


def test_several_sessions_are_proved_one_after_the_other(tmp_path):
    whole, broken = folder_of(), copy_of(tmp_path)
    log = broken / "audit.jsonl"
    before, after = b"The guard is armed", b"The guard is Armed"
    log.write_bytes(log.read_bytes().replace(before, after, 1))
    result = call("verify", whole, broken)
    assert result.exit_code == 1
    text = flat(result.stdout)
    assert text.index("Proved.") < text.index("Not proved.")
    found = json.loads(call("verify", whole, broken, "--json").stdout)
    assert not found["ok"]
    assert [one["ok"] for one in found["recordings"].values()] == [True, False]


def test_verify_proves_a_session_in_json():
    found = told("verify", folder_of())
    assert found["ok"] is found["audit"]["ok"] is found["sealed"] is found["replay"]["ok"] is True
    assert found["recording_fault"] == found["replay_fault"] == found["failure"] == ""
    assert found["replay"]["first"] is None
    assert found["replay"]["n_decoded"] > 200
    assert found["tolerances"]["decision.probabilities"] == 1e-9
    assert "turn.embedding" in found["ignored"]
    assert found["signal_s"] == 30.0


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("recording.xdf", b'"seed":71', b'"seed":72'),
        ("audit.jsonl", b"The guard is armed", b"The guard is Armed"),
        ("model.bundle/card.json", b'"classes"', b'"Classes"'),
    ],
)
def test_verify_exits_with_1_where_something_was_touched(tmp_path, name, before, after):
    folder = copy_of(tmp_path)
    content = (folder / name).read_bytes()
    assert before in content
    (folder / name).write_bytes(content.replace(before, after, 1))
    result, machine = call("verify", folder), call("verify", folder, "--json")
    assert result.exit_code == machine.exit_code == 1
    assert flat(result.stdout).startswith("Not proved. ")
    assert strict(machine.stdout)["ok"] is False
    assert result.stderr == machine.stderr == ""


def test_what_stands_in_brackets_is_printed_like_everything_else(tmp_path):
    folder = copy_of(tmp_path).rename(tmp_path / "[nan nan]")
    (folder / "model.bundle" / "card.json").unlink()
    text = flat(call("verify", folder).stdout)
    assert text.startswith("Not proved. ")
    assert "[nan nan]" in text


def test_verify_refuses_what_is_no_session(tmp_path):
    error = refused("verify", tmp_path)
    assert error["error"] == "RecordingError"
    assert "There is no recording" in error["message"]


def test_replay_exact_runs_a_session_again():
    text = flat(call("replay", folder_of(), "--exact").stdout)
    assert "times faster than real time" in text
    assert "The replay is the recorded run" in text
    found = told("replay", folder_of(), "--exact")
    assert found["ok"] is True
    assert found["times_real_time"] == found["signal_s"] / found["wall_s"]
    assert found["latency"]["decoded"] == found["n_decoded"]


def test_replay_exact_refuses_what_cannot_be_replayed(tmp_path):
    folder = copy_of(tmp_path)
    (folder / "model.bundle" / "card.json").unlink()
    assert "has no readable card.json" in refused("replay", folder, "--exact")["message"]
    (folder / "recording.xdf").unlink()
    assert "There is no recording" in refused("replay", folder, "--exact")["message"]


# --- note --------------------------------------------------------------------------------------


def test_a_note_reaches_a_recording_that_runs(tmp_path):
    model = open_model(model_of("eeg16"))
    with keep(session(), model, MonotonicClock(), tmp_path, live=True, armed=False) as keeper:
        folder = keeper.folder
        assert told("note", folder, "moved", "--who", "p1") == {"noted": "moved"}
        assert flat(call("note", folder, "slept").stdout) == "Noted."
        assert "1 to 4000 characters" in refused("note", folder, "")["message"]
    notes = [entry for entry in TapeReader(folder) if isinstance(entry, Note)]
    assert [(note.text, note.who) for note in notes] == [("moved", "p1"), ("slept", "")]


def test_a_note_to_a_session_that_is_over_is_refused():
    assert "Nothing is being recorded" in refused("note", folder_of(), "too late")["message"]


# --- export ------------------------------------------------------------------------------------


def test_an_export_says_what_it_wrote_and_what_it_kept_back(tmp_path):
    whole = shutil.copytree(folder_of(), tmp_path / "session")
    command = ("export", whole, "--bids", tmp_path / "bids", "--nwb", tmp_path / "one.nwb")
    first, second = told(*command)["exports"]
    assert first["path"] == str(tmp_path / "bids")
    assert second["files"] == [str(tmp_path / "one.nwb")]
    assert all(Path(file).is_file() for file in (*first["files"], *second["files"]))
    assert first["privacy"]["applied"] is True
    assert first["privacy"]["participant"] == second["privacy"]["participant"]
    assert {removal["kind"] for removal in first["privacy"]["removals"]} >= {"e-mail", "date"}
    assert "is there already" in refused(*command)["message"]
    text = flat(call(*command, "--overwrite").stdout)
    assert "De-identified: dates shifted" in text
    assert "100 lost samples in 1 stretches are zeros" in text


def test_an_identified_export_says_so_loudly(tmp_path):
    command = ("export", copy_of(tmp_path), "--nwb", tmp_path / "one.nwb", "--identified")
    assert "Not de-identified" in flat(call(*command).stdout)
    (report,) = told(*command, "--overwrite")["exports"]
    assert report["privacy"]["applied"] is False


def test_the_log_of_a_session_tells_that_data_left(tmp_path):
    folder, target = copy_of(tmp_path), tmp_path / "one.nwb"
    told("export", folder, "--nwb", target, "--operator", "OP-9")
    last = read_audit(folder)[-1]
    assert (last.what, last.who, last.details) == ("export", "OP-9", {"nwb": str(target)})
    assert told("verify", folder)["ok"]


def test_a_log_that_does_not_hold_is_not_gone_on_with(tmp_path):
    folder = copy_of(tmp_path)
    (folder / "audit.head.json").unlink()
    before = (folder / "audit.jsonl").read_bytes()
    found = told("export", folder, "--nwb", tmp_path / "one.nwb")
    assert "cannot be continued" in found["unlogged"]
    assert (folder / "audit.jsonl").read_bytes() == before
    text = flat(call("export", folder, "--nwb", tmp_path / "two.nwb").stdout)
    assert "The session's audit log does not tell of this export." in text


def test_the_log_tells_of_the_format_that_left_when_the_other_could_not_be_written(tmp_path):
    folder, root = copy_of(tmp_path), tmp_path / "bids"
    refused("export", folder, "--bids", root, "--overwrite", "--nwb", tmp_path / "wrong.name")
    assert read_audit(folder)[-1].details == {"bids": str(root)}


def test_an_export_to_nowhere_is_refused():
    assert "--bids FOLDER, --nwb FILE.nwb, or both" in refused("export", folder_of())["message"]


def test_labels_that_bids_does_not_know_are_refused(tmp_path):
    command = ("export", folder_of(), "--bids", tmp_path / "bids")
    assert "export.task" in refused(*command, "--task", "two words")["message"]
    assert "export.line_hz" in refused(*command, "--line-hz", 51)["message"]
    assert "export.participant" in refused(*command, "--participant", "P 7")["message"]
    assert not (tmp_path / "bids").exists()


# --- report ------------------------------------------------------------------------------------


def test_several_sessions_get_a_report_each_and_no_common_name(tmp_path):
    names = [write_npz(tmp_path / f"{name}.npz", seconds=4.0) for name in ("a", "b")]
    found = told("report", *names, "--no-pdf")
    assert found == {"files": [str(tmp_path / f"{name}-report.html") for name in ("a", "b")]}
    refusal = refused("report", *names, "--no-pdf", "--html", tmp_path / "both.html")
    assert "there are 2 sessions" in refusal["message"]


def test_a_report_is_written_where_it_is_wanted(tmp_path):
    path, recording = tmp_path / "mine.html", write_npz(tmp_path / "run.npz", seconds=4.0)
    assert told("report", folder_of(), "--no-pdf", "--html", path) == {"files": [str(path)]}
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    result = call("report", recording, "--no-pdf")
    assert "".join(result.stdout.split()) == f"Report:{tmp_path}/run-report.html"


def test_a_report_of_nothing_is_refused(tmp_path):
    assert "There is no recording" in refused("report", tmp_path)["message"]
    assert "There is no file" in refused("report", tmp_path / "gone.edf")["message"]


def test_a_report_that_cannot_be_written_is_refused(tmp_path):
    recording = write_npz(tmp_path / "run.npz", seconds=4.0)
    command = ("report", recording, "--no-pdf", "--html", tmp_path / "no" / "folder.html")
    assert "cannot be written" in refused(*command)["message"]


# --- sessions that cannot start ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("most_bytes", "what"), [(0, "audit.jsonl"), (16384, "model.bundle")], ids=["log", "model"]
)
def test_on_a_disk_that_takes_no_more_a_session_does_not_start(tmp_path, most_bytes, what):
    load_or_create_key()
    (tmp_path / "session.toml").write_text(SESSION.format(bundle=saved(tmp_path).as_posix()))
    command = [sys.executable, "-m", "diverloop", "run", tmp_path / "session.toml", "--no-view"]
    done = subprocess.run(
        [*command, "--json", "--recordings", tmp_path / "kept"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes)),
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    message = strict(done.stdout)["message"]
    assert what in message
    assert "File too large" in message
    assert not list((tmp_path / "kept").rglob("recording.xdf"))
    if what != "audit.jsonl":
        (log,) = (tmp_path / "kept").rglob("audit.jsonl")
        last = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
        assert last["why"] == f"The session failed: {message}"
