"""What commands print, understood."""

from __future__ import annotations

from diverloop.gui.console.reading import findings_of, found_of, model_of, quality_of


def test_a_finding_keeps_its_mark_and_its_detail():
    found = found_of({"name": "model", "ok": None, "got": "x", "advice": "do y"})
    assert (found.name, found.ok, found.detail) == ("model", None, "x: do y")


def test_of_several_scores_the_one_that_paid_for_its_choices_counts():
    score = {"accuracy": 0.9, "interval": [0.8, 0.95], "chance": 0.5, "n": 40}
    both = {"cross_validation": score, "nested_choice": {**score, "accuracy": 0.8}}
    assert model_of(both).accuracy == 0.8
    assert model_of({"cross_validation": score}).high == 0.95


def test_a_fit_without_a_test_has_no_trials_and_beats_nothing():
    model = model_of({"verdict": "none"})
    assert (model.trials, model.beats_chance) == (0, False)


def test_electrodes_are_read_from_a_looked_at_stream():
    channels = [
        {"name": "C3", "score": 0.9, "masked": False, "cause": ""},
        {"name": "C4", "score": None, "masked": True, "cause": "flat"},
    ]
    quality = quality_of({"stream": {"channels": channels}})
    assert quality is not None
    assert quality.channels == ("C3", "C4")
    assert list(quality.usable) == [True, False]
    assert list(quality.scores) == [0.9, 0.0]


def test_where_nothing_was_seen_there_is_no_quality():
    assert quality_of({"error": "x"}) is None


def test_packages_are_one_line_for_staff_and_what_is_merely_not_installed_is_good():
    told = [
        {"name": "Python", "ok": True, "got": "3.11"},
        {"name": "package a", "ok": None, "got": "not installed"},
        {"name": "free disk", "ok": None, "got": "12 GB", "advice": "Make room."},
    ]
    disk, program = findings_of(told)
    assert (disk.name, disk.ok, disk.detail) == ("free disk", None, "12 GB: Make room.")
    assert (program.name, program.ok, program.detail) == ("program", True, "")
    worse = findings_of([*told, {"name": "package b", "ok": False, "got": "1.0", "advice": "2."}])
    assert (worse[-1].ok, worse[-1].detail) == (False, "1.0: 2.")
    assert findings_of([{"name": "LSL", "ok": True}])[0].name == "LSL"
