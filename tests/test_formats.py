"""What is written says which format it has; another one is refused in one sentence."""

from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import replace

import pytest

from diverloop.rl.protocol.history import read_history
from diverloop.runtime.bundle import load_bundle, save_bundle
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.decision_log import read_decisions
from diverloop.runtime.errors import BundleError, ConfigError, RecordingError
from diverloop.runtime.record import audit
from diverloop.runtime.record.audit import AuditLog
from diverloop.runtime.record.audit_chain import verify_audit
from diverloop.runtime.record.signing import new_key
from diverloop.runtime.record.trusted import read_trusted
from diverloop.runtime.toml_file import parse_toml

from .runtime.test_bundle import bundle


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
