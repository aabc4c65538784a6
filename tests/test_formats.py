"""What is written says which format it has; another one is refused in one sentence.

`formats/` holds stored samples of what can come from another machine or another year:
NAME-VERSION, or NAME-none for one of before there were formats. They are never made anew. Who makes
a format 2 adds samples of it; those of 1 then have to be read, or refused, and a test here says
which.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from diverloop.decoders.corpus_files import read_index
from diverloop.decoders.engines.compiled import Compiled, Index
from diverloop.rl.protocol.history import read_history
from diverloop.runtime.access import Role
from diverloop.runtime.bundle import load_bundle, save_bundle
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.decision_log import read_decisions
from diverloop.runtime.errors import BundleError, ConfigError, EngineError, RecordingError
from diverloop.runtime.keys import PersonKey, new_curve_key, read_person_key, write_person_key
from diverloop.runtime.people import People
from diverloop.runtime.record import audit, reading
from diverloop.runtime.record.audit import AuditLog
from diverloop.runtime.record.audit_chain import verify_audit
from diverloop.runtime.record.entries import read_entry
from diverloop.runtime.record.manifest import Manifest
from diverloop.runtime.record.seal import parse_seal
from diverloop.runtime.record.signing import new_key
from diverloop.runtime.record.trusted import read_trusted
from diverloop.runtime.toml_file import parse_toml, read_toml

from .runtime.test_bundle import bundle

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = Path(__file__).with_name("formats")
# Every format of the product, where its number stands. A number that grows has to be entered here:
# with a sample of the one before in `SAMPLES`, and a test that it is read, or refused and why.
FORMATS = {
    "cohort/outputs.py": {"FORMAT": 1},  # results of a cohort; others are computed again
    "decoders/corpus_files.py": {"_FORMAT": 1},
    "decoders/engines/compiled.py": {"_FORMAT": 1},
    "decoders/shards.py": {"FORMAT": "diverloop-shards-1"},
    "decoders/student_files.py": {"_FORMAT": "diverloop-student-1"},
    "decoders/teacher_files.py": {"_FORMAT": "diverloop-teacher-1"},
    "decoders/training_files.py": {"_FORMAT": "diverloop-training-2"},  # 1 was one file
    "gui/layouts.py": {"_VERSION": 1},  # where panels stand; another is not restored
    "hardware/fieldtrip_wire.py": {"_VERSION": 1},  # FieldTrip's
    "rl/protocol/history.py": {"FORMAT": "diverloop protocol 1"},
    "runtime/card.py": {"FORMAT_VERSION": 1},
    "runtime/decision_log.py": {"FORMAT_VERSION": 1},
    "runtime/keys.py": {"_FORMAT": 1},
    "runtime/people.py": {"FORMAT_VERSION": 1},
    "runtime/record/audit_chain.py": {"FORMAT_VERSION": 1},
    "runtime/record/manifest.py": {"FORMAT_VERSION": 1},  # of recording and tape
    "runtime/record/seal.py": {"FORMAT_VERSION": 1},
    "runtime/record/trusted.py": {"FORMAT_VERSION": 1},
    "runtime/toml_file.py": {"SETTINGS_FORMAT": 1},  # session, calibration, study, recipe, ...
    "runtime/wire.py": {"WIRE_VERSION": 2},  # between processes; nothing of it is kept
}


FOLDERS = ("adapters", "cohort", "decoders", "faults", "gui", "hardware", "rl", "runtime")


NUMBER = re.compile(r'^(_?(?:\w+_)?(?:FORMAT|VERSION)) = (\d+|"[^"]*[- ]\d+")', re.MULTILINE)


def test_every_format_of_the_product_is_in_the_table():
    own = [*ROOT.glob("*.py"), *(path for one in FOLDERS for path in (ROOT / one).rglob("*.py"))]
    found = {
        path.relative_to(ROOT).as_posix(): {name: ast.literal_eval(value) for name, value in named}
        for path in own
        if (named := NUMBER.findall(path.read_text(encoding="utf-8")))
    }
    assert found == FORMATS


@pytest.mark.parametrize("version", ["none", "1"])
def test_stored_settings_decisions_and_keys_of_every_format_are_read(tmp_path, version):
    assert read_toml(SAMPLES / f"settings-{version}.toml") == {"session": {"name": "sample"}}
    (line,) = read_decisions(SAMPLES / f"decisions-{version}.jsonl")
    assert (line["first_sample"], line["label"]) == (1, "left")
    shutil.copy(SAMPLES / f"trusted-{version}" / "trusted.json", tmp_path)
    os.chmod(tmp_path / "trusted.json", 0o600)
    assert [key.name for key in read_trusted(tmp_path)] == ["lab a"]


def test_a_stored_bundle_with_its_signature_is_read_and_has_kept_its_hash():
    stored = load_bundle(SAMPLES / "card-1.bundle")
    assert stored.card.sha256 == "b8baf214cbca15036c7a95bcefca230abd49ba3a530552b3884c01413cbc33ae"
    assert stored.origin.seal.holds("bundle", stored.card.sha256)
    assert replace(stored.card, weights_sha256="") == bundle().card


def test_a_stored_audit_log_is_still_proved():
    verdict = verify_audit(SAMPLES / "audit-1")
    assert (verdict.ok, verdict.n_entries) == (True, 2)


def test_a_stored_manifest_is_read_and_a_newer_one_is_refused():
    line = (SAMPLES / "manifest-1.json").read_text().strip()
    stored = read_entry(line)
    assert isinstance(stored, Manifest)
    assert (stored.session, stored.format_version) == ("sample", 1)
    with pytest.raises(RecordingError, match="has format 2, this program reads up to 1"):
        reading._refuse_newer(replace(stored, format_version=2), Path("recording.xdf"))


def test_a_signature_of_another_format_is_refused():
    told = json.loads((SAMPLES / "card-1.bundle" / "card.sig").read_text()) | {"format": 2}
    with pytest.raises(ConfigError, match=r"signature of format 2 .* reads format 1"):
        parse_seal(json.dumps(told).encode(), "card.sig")


def test_a_list_of_people_of_another_format_is_refused(tmp_path):
    path = People(tmp_path).path
    path.write_text('{"format": 2, "people": []}')
    os.chmod(path, 0o600)
    with pytest.raises(ConfigError, match="has format 2, this diverloop reads 1"):
        People(tmp_path).enrol("a", Role.OPERATOR, "x")


def test_a_key_file_of_another_format_is_refused(tmp_path):
    key = new_curve_key()
    write_person_key(tmp_path / "a.key", PersonKey(name="a", key=key, server=key.public))
    told = json.loads((tmp_path / "a.key").read_text()) | {"format": 2}
    (tmp_path / "a.key").write_text(json.dumps(told))
    with pytest.raises(ConfigError, match="has format 2, this version reads 1"):
        read_person_key(tmp_path / "a.key")


def test_what_was_compiled_in_another_format_is_refused(tmp_path):
    (tmp_path / "engines").mkdir()
    index = msgspec.json.encode(replace(Index(bundle_sha256="0" * 64), format=2))
    (tmp_path / "engines" / "index.json").write_bytes(index)
    with pytest.raises(EngineError, match="has format 2, this diverloop reads 1"):
        Compiled.of(tmp_path, "0" * 64)


def test_a_corpus_of_another_format_is_refused(tmp_path):
    (tmp_path / "corpus.json").write_text('{"format": 2, "entries": []}')
    with pytest.raises(RecordingError, match="has format 2, this version reads 1"):
        read_index(tmp_path)


def test_settings_name_their_format_or_none_and_another_is_refused():
    assert parse_toml(b"format = 1\n[a]\nb = 2\n", "x") == {"a": {"b": 2}}
    assert parse_toml(b"[a]\nb = 2\n", "x") == {"a": {"b": 2}}
    for other in (b"2", b"true", b'"1"'):
        with pytest.raises(ConfigError, match=r"x has format .*, this diverloop reads 1: use"):
            parse_toml(b"format = " + other + b"\n", "x")


def test_a_log_of_decisions_of_before_formats_is_read_and_of_another_refused(tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_text('{"first_sample": 1}\n{"format": 1, "first_sample": 2}\n')
    assert [one["first_sample"] for one in read_decisions(path)] == [1, 2]
    path.write_text('{"format": 2, "first_sample": 1}\n')
    with pytest.raises(RecordingError, match="lines of format 2, this diverloop reads 1"):
        read_decisions(path)


def test_a_list_of_trusted_keys_of_before_formats_is_read_and_of_another_refused(tmp_path):
    path = tmp_path / "trusted.json"
    path.write_text('{"keys": []}')
    os.chmod(path, 0o600)
    assert read_trusted(tmp_path) == ()
    path.write_text('{"format": 2, "keys": []}')
    with pytest.raises(ConfigError, match="format 2, this diverloop reads 1"):
        read_trusted(tmp_path)


def test_a_history_of_another_format_is_refused_as_such_and_not_as_damaged(tmp_path):
    path = tmp_path / "history.json"
    path.write_text(json.dumps({"sha256": "0" * 64, "format": "later"}))
    os.chmod(path, 0o600)
    with pytest.raises(ConfigError, match="has format 'later', this diverloop reads"):
        read_history(path)


def test_an_audit_log_of_another_format_is_not_vouched_for(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "FORMAT_VERSION", 2)
    with closing(AuditLog.create(tmp_path / "s", new_key(), VirtualClock())):
        pass
    verdict = verify_audit(tmp_path / "s")
    assert not verdict.ok
    assert "format 2, this diverloop reads 1" in verdict.first_fault


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_a_bundle_of_another_format_is_refused(tmp_path, version):
    save_bundle(bundle(), tmp_path / "m.bundle")
    card = tmp_path / "m.bundle" / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"format_version": version}))
    with pytest.raises(BundleError, match=r"has format version .*, this diverloop reads 1 to 1"):
        load_bundle(tmp_path / "m.bundle")
    assert replace(bundle().card).format_version == 1
