"""What is known of a run before its first sample."""

from __future__ import annotations

import dataclasses
import getpass
import platform
import socket
from datetime import UTC, datetime, timedelta

import pytest

from diverloop.runtime.record.manifest import FORMAT_VERSION, Manifest, machine_now, utc_now


def test_it_is_frozen_and_of_the_present_format():
    manifest = Manifest(
        session="s", settings={}, model_sha256="0", live=True, started_utc=utc_now(), started_ns=0
    )
    assert manifest.format_version == FORMAT_VERSION == 1
    assert (manifest.participant, manifest.operator) == ("", "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        manifest.session = "other"


def test_the_wall_clock_is_utc_to_the_microsecond():
    before = datetime.now(UTC)
    told = datetime.fromisoformat(utc_now())
    assert told.utcoffset() == timedelta(0)
    assert before - timedelta(microseconds=1) <= told <= datetime.now(UTC)
    assert len(utc_now()) == len("2026-01-01T00:00:00.000000+00:00")


def test_the_machine_is_described_without_a_name_that_identifies_anybody():
    machine = machine_now()
    assert set(machine) == {"system", "processor", "cores", "python"}
    assert all(isinstance(value, str) and value for value in machine.values())
    assert machine["python"] == platform.python_version()
    assert int(machine["cores"]) >= 1
    words = " ".join(machine.values()).split()
    assert socket.gethostname() not in words
    assert getpass.getuser() not in words
