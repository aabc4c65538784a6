"""A student's card says what it is for, and how little it has seen."""

import json

from diverloop.decoders.corpus_files import CorpusEntry
from diverloop.decoders.student_card import student_card, summary
from diverloop.decoders.student_config import StudentConfig


def entry(name: str, licence: str, minutes: float, calibrated: bool = True) -> CorpusEntry:
    return CorpusEntry(
        name=name,
        data_id=name,
        licence=licence,
        modality="EEG",
        channel_names=("a",),
        positions_mm=((float("nan"),) * 3,),
        subtypes=(-1,),
        calibrated=calibrated,
        seconds=60 * minutes,
    )


def test_a_small_corpus_is_called_small():
    entries = [entry("one", "CC0-1.0", 60.0), entry("two", "simulated", 30.0)]
    card = student_card(StudentConfig.named("S"), entries, "EEG")
    words = " ".join(card["limits"])
    assert "90.0 min of signal, 30.0 min of it simulated, from 2 recordings" in words
    assert "not a foundation model" in words
    assert "unknown units" not in words


def test_unknown_units_are_told():
    card = student_card(StudentConfig.named("S"), [entry("x", "CC0-1.0", 60.0, False)], "EEG")
    assert "unknown units" in " ".join(card["limits"])


def test_the_signal_it_reads_is_on_it_in_seconds_and_hertz():
    card = student_card(StudentConfig.named("S", "iEEG"), [entry("x", "MIT", 1.0)], "iEEG")
    assert card["signal"]["hop_s"] == 0.1
    assert card["signal"]["patches_s"] == [0.1, 0.25]
    assert card["signal"]["context_s"] == 3.0
    assert card["signal"]["band_hz"] == [0.5, 250]
    json.dumps(card, allow_nan=False)


def test_what_is_read_first_begins_with_the_notice():
    card = student_card(StudentConfig.named("S"), [entry("x", "MIT", 1.0)], "EEG")
    lines = summary(card)
    assert "not a medical device" in lines[0]
    assert lines[2:] == card["limits"]
