"""A student's card says what it is for, and how little it has seen."""

import json

from diverloop.decoders.corpus_files import CorpusEntry
from diverloop.decoders.student_card import rows, student_card, summary
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


def test_rows_say_in_plain_words_what_a_file_holds():
    config = StudentConfig.named("S")
    score = {"points": 55.5, "interval": [43.4, 67.1], "subjects": 14}
    note = {
        "card": student_card(config, [entry("x", "MIT", 60.0)], "EEG"),
        "corpus": {
            "recordings": [
                {"seconds": 60.0, "licence": "MIT", "credit": "A. Nurse"},
                {"seconds": 120.0, "licence": "CC0-1.0", "credit": ""},
                {"seconds": 60.0, "licence": "MIT", "credit": "A. Nurse"},
            ]
        },
        "teacher": {"config": {"width": 256, "patch": 50}, "weights_sha256": "ab" * 32},
        "validation": {"pooled_cosine": 0.846, "token_cosine": 0.869},
        "evaluation": {
            "tasks": ["a", "b"],
            "overall": {"student": score, "both": {**score, "points": 78.0}},
            "lost": {"student": {"points": -0.9, "interval": [-2.9, 1.2], "subjects": 10}},
        },
    }
    found = rows(config, note)
    words = dict(found)
    assert words["learnt from"] == "3 recordings, 4 minutes (2 MIT, 1 CC0-1.0)"
    assert words["thanks to"] == "A. Nurse"
    assert words["taught by"] == "DIVER-1 of width 256, patches of 0.1 s (abababababab)"
    assert "cosine 0.85" in words["like its teacher"]
    assert words["judged"] == "2 tasks, 14 people, points of 100:"
    assert ("", " 55.5 (43 to 67)  it alone") in found
    assert words["a tenth masked"] == "-0.9 (-2.9 to +1.2) points"
    assert [what for what, _ in rows(config, {})] == ["says"]
