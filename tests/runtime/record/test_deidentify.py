"""What leaves with a recording, and what never does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, Marker
from diverloop.runtime.record.deidentify import DeidentifyOptions, deidentify
from diverloop.runtime.record.pseudonym import pseudonym

from .example import SCALP, SECRETS, foreign, recording


def test_nothing_that_names_the_participant_is_left():
    cleaned, _ = deidentify(recording())
    text = repr(cleaned) + repr(list(cleaned.chunks()))
    assert [secret for secret in SECRETS if secret in text] == []


def test_the_report_never_repeats_what_it_took_out():
    _, report = deidentify(recording())
    assert report.removals
    assert [secret for secret in SECRETS if secret in repr(report)] == []


def test_samples_markers_decisions_and_positions_stay_as_they_are():
    record = recording()
    cleaned, _ = deidentify(record)
    assert np.array_equal(cleaned.samples(), record.samples(), equal_nan=True)
    assert cleaned.spec.channels == record.spec.channels
    assert [m.sample for m in cleaned.markers] == [m.sample for m in record.markers]
    assert [m.label for m in cleaned.markers][:4] == ["left", "right", "left", "rest"]
    assert [t.decision.label for t in cleaned.turns] == [t.decision.label for t in record.turns]


def test_the_start_moves_by_the_stated_number_of_days_to_before_1925():
    cleaned, report = deidentify(recording(), DeidentifyOptions(shift_days=42_000))
    assert report.shift_days == 42_000
    assert cleaned.manifest.started_utc == "1911-11-26T10:11:12.123456+00:00"


def test_equal_participants_get_equal_labels_and_shifts_in_any_session():
    first = recording()
    second = replace(first, manifest=replace(first.manifest, session="2"), notes=())
    reports = [deidentify(record)[1] for record in (first, second)]
    assert reports[0].participant == reports[1].participant == pseudonym("Jane Doe")
    assert reports[0].shift_days == reports[1].shift_days


def test_a_given_participant_and_given_words_are_used():
    options = DeidentifyOptions(participant="P07", redact=("husband",))
    cleaned, report = deidentify(recording(), options)
    assert report.participant == cleaned.manifest.participant == "P07"
    assert "husband" not in cleaned.notes[0].text


def test_a_file_without_a_participant_is_named_after_itself_and_says_so():
    _, report = deidentify(foreign())
    assert report.participant == pseudonym("Jane_Doe")
    assert any("file name" in remark for remark in report.remarks)


def test_two_sessions_that_name_nobody_are_not_one_participant():
    unnamed = [
        replace(
            recording(),
            path=Path("recording.xdf"),
            manifest=replace(recording().manifest, participant="", started_utc=start),
        )
        for start in ("2026-11-22T10:12:03+00:00", "2026-11-23T09:00:00+00:00")
    ]
    reports = [deidentify(record)[1] for record in unnamed]
    assert reports[0].participant != reports[1].participant
    assert any("the session's name and start" in remark for remark in reports[0].remarks)


def test_a_key_makes_the_warning_about_guessing_go_away():
    warned = [deidentify(recording(), DeidentifyOptions(key=key))[1].remarks for key in ("", "k")]
    assert any("guesses" in remark for remark in warned[0])
    assert warned[1] == ()


def test_switched_off_it_keeps_texts_and_dates_but_still_no_host_path_or_setting():
    record = recording()
    cleaned, report = deidentify(record, DeidentifyOptions(enabled=False))
    assert not report.applied
    assert report.participant == "JaneDoe"
    assert cleaned.notes[0].text == record.notes[0].text
    assert cleaned.manifest.started_utc == record.manifest.started_utc
    assert cleaned.spec.sent is None
    assert cleaned.spec.source_id == ""
    assert cleaned.manifest.settings == cleaned.manifest.machine == {}
    assert "jsmith" not in str(cleaned.path)


def test_a_participant_called_like_a_channel_does_not_cost_the_channel():
    record = recording((*SCALP, Channel(name="P3")))
    record = replace(record, manifest=replace(record.manifest, participant="P3"))
    assert deidentify(record)[0].spec.channel_names[-1] == "P3"


def test_a_marker_that_is_the_participant_s_name_goes():
    record = recording()
    record = replace(record, markers=(Marker(label="Jane Doe", sample=1),))
    assert "Jane" not in deidentify(record)[0].markers[0].label


def test_what_leaves_is_counted_and_the_limits_are_stated():
    _, report = deidentify(recording())
    assert "markers: 5" in report.leaves
    assert "notes: 2" in report.leaves
    assert any("read the free text" in limit for limit in report.limits)


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"participant": "sub-01"}, "participant"),
        ({"shift_days": -1}, "shift_days"),
        ({"redact": (" ",)}, "redact"),
    ],
)
def test_options_that_cannot_be_used_are_refused_by_name(wrong, key):
    with pytest.raises(ConfigError, match=rf"export\.{key}"):
        DeidentifyOptions(**wrong)


def test_the_key_is_not_shown_when_options_are_printed():
    assert "hunter2" not in repr(DeidentifyOptions(key="hunter2"))
