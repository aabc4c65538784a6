"""A device's measured delay: written, read, refused on another device, and never taken silently."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import pytest

from diverloop.runtime.errors import ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.timing_offset import DeviceTiming, timing_of

MEASURED = DeviceTiming(
    offset_ms=31.25, measured="2026-03-01", n=200, sd_ms=0.4, recording="ab" * 32,
    source_id="amp-7", stream="amp", rate_hz=500.0,
)  # fmt: skip
SPEC = StreamSpec(name="amp", rate_hz=500.0, channels=(Channel(name="C3"),), source_id="amp-7")


def test_nothing_is_corrected_unless_somebody_measured():
    timing = timing_of({}, Path())
    assert (timing.on, timing.offset_s) == (False, 0.0)
    timing.check(SPEC)
    assert timing.warning(date(2099, 1, 1)) == ""


def test_what_was_saved_is_read_again(tmp_path):
    MEASURED.save(tmp_path / "amp.toml")
    assert timing_of({"file": "amp.toml"}, tmp_path) == MEASURED
    replace(MEASURED, offset_ms=-2.5, sd_ms=1e-5).save(tmp_path / "amp.toml")
    assert timing_of({"file": "amp.toml"}, tmp_path).offset_s == -0.0025


def test_a_session_keeps_all_else_when_the_delay_is_written_into_it(tmp_path):
    file = tmp_path / "session.toml"
    file.write_text('# mine\n[session]\nname = "a"\n')
    MEASURED.save(file)
    text = file.read_text()
    assert text.startswith('# mine\n[session]\nname = "a"\n')
    assert timing_of(tomllib.loads(text)["timing"], tmp_path) == MEASURED


def test_a_file_that_cannot_be_made_is_told_in_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"):
        MEASURED.save(tmp_path / "nowhere" / "amp.toml")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (replace(SPEC, source_id="amp-8"), "source_id 'amp-7'.*'amp-8'.*measure it on this device"),
        (replace(SPEC, rate_hz=1000.0), "500 Hz.*1000 Hz"),
    ],
)
def test_another_device_or_rate_is_refused(spec, words):
    with pytest.raises(SchemaMismatch, match=words):
        MEASURED.check(spec)
    MEASURED.check(SPEC)


def test_a_device_without_an_identity_goes_by_its_name():
    nameless = replace(MEASURED, source_id="")
    nameless.check(SPEC)
    with pytest.raises(SchemaMismatch, match="with name 'amp'"):
        nameless.check(replace(SPEC, name="other"))


@pytest.mark.parametrize(
    ("today", "words"),
    [
        (date(2026, 3, 1), ""),
        (date(2026, 8, 28), ""),
        (date(2026, 8, 29), "181 days ago"),
        (date(2026, 2, 1), "still to come"),
    ],
)
def test_age_is_a_warning_and_no_more(today, words):
    said = MEASURED.warning(today)
    assert words in said
    assert bool(said) == bool(words)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"offset_ms": 1500.0}, "offset_ms must be in"),
        ({"offset_ms": float("nan")}, "offset_ms must be in"),
        ({"measured": "yesterday"}, "YYYY-MM-DD, got 'yesterday'"),
        ({"measured": ""}, "needs timing.measured"),
        ({"rate_hz": 0.0}, "needs timing.measured"),
        ({"n": -1}, "must not be negative"),
        ({"sd_ms": -0.1}, "must not be negative"),
        ({"max_age_days": 0}, "max_age_days must be in"),
    ],
)
def test_a_delay_that_makes_no_sense_is_refused(changed, words):
    with pytest.raises(ConfigError, match=words):
        timing_of({**asdict(MEASURED), **changed}, Path())


def test_a_file_stands_alone_and_exists_and_holds_the_table(tmp_path):
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "circle.toml").write_text('[timing]\nfile = "circle.toml"\n')
    (tmp_path / "odd.toml").write_text("timing = 3\n")
    for table, words in (
        ({"file": "a.toml", "n": 3}, "stand alone"),
        ({"file": 3}, "path in quotes"),
        ({"file": "none.toml"}, "There is no timing file"),
        ({"file": "empty.toml"}, "has no table"),
        ({"file": "circle.toml"}, "has no table"),
        ({"file": "odd.toml"}, "has no table"),
        ({"offset": 3}, "offset_ms"),
    ):
        with pytest.raises(ConfigError, match=words):
            timing_of(table, tmp_path)


def test_what_a_signature_does_not_cover_is_refused(tmp_path):
    MEASURED.save(tmp_path / "amp.toml")
    with pytest.raises(ConfigError, match="signature does not cover"):
        timing_of({"file": "amp.toml"}, tmp_path, signed=lambda: True)
    assert timing_of(asdict(MEASURED), tmp_path, signed=lambda: True) == MEASURED
