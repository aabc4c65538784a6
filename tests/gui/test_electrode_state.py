"""What is known of an electrode, in one word and in a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.gui.electrode_state import Electrodes, MapWords, State
from diverloop.runtime.quality import Quality


def judged(**scores: float) -> Quality:
    names = tuple(scores)
    return Quality(
        channels=names,
        scores=np.array(list(scores.values())),
        causes=tuple("flat" if score < 0.2 else "" for score in scores.values()),
        usable=np.array([score >= 0.2 for score in scores.values()]),
    )


@pytest.fixture
def electrodes() -> Electrodes:
    electrodes = Electrodes()
    electrodes.take(judged(C3=0.9, Cz=0.1, C4=0.4))
    return electrodes


def test_each_has_one_of_four_states(electrodes):
    states = [electrodes.state(name) for name in ("C3", "Cz", "C4", "Oz")]
    assert states == [State.GOOD, State.BAD, State.DOUBTFUL, State.UNKNOWN]


def test_the_sentence_says_why(electrodes):
    assert electrodes.sentence("Cz") == "Cz: bad, flat, left out"
    assert electrodes.sentence("C4") == "C4: doubtful, weak signal quality"
    assert electrodes.sentence("C3") == "C3: good"
    assert electrodes.sentence("Oz") == "Oz: not judged yet"


def test_the_worse_of_quality_and_impedance_counts(electrodes):
    electrodes.measure({"C3": 60.0, "Cz": 3.0, "Oz": 5.0, "C4": None, "Fz": float("nan")})
    assert electrodes.state("C3") == State.BAD
    assert electrodes.sentence("C3") == "C3: bad, 60 kOhm"
    assert electrodes.state("Cz") == State.BAD
    assert electrodes.sentence("Oz") == "Oz: good, 5 kOhm"
    assert set(electrodes.impedance) == {"C3", "Cz", "Oz"}
    electrodes.measure(None)
    assert electrodes.state("C3") == State.GOOD


def test_what_a_person_called_bad_is_bad(electrodes):
    electrodes.forget(frozenset({"C3"}))
    assert electrodes.sentence("C3") == "C3: bad, marked as bad by a person"
    assert electrodes.state("Cz") == State.UNKNOWN


def test_the_summary_names_what_is_wrong_worst_first(electrodes):
    names = ("C3", "Cz", "C4")
    assert electrodes.summary(names) == "Cz: flat, left out; C4: weak signal quality"
    assert electrodes.counts(names)[State.GOOD] == 1
    many = judged(**{f"E{n}": 0.1 for n in range(9)})
    electrodes.take(many)
    assert electrodes.summary(many.channels).endswith("and 5 more")


def test_the_summary_tells_good_from_unknown_from_none(electrodes):
    assert electrodes.summary(("C3",)) == "All electrodes are good."
    assert electrodes.summary(("Oz",)) == "No electrode was judged yet."
    assert electrodes.summary(()) == "This stream has no electrodes."


def test_the_same_quality_again_changes_nothing(electrodes):
    assert not electrodes.take(judged(C3=0.95, Cz=0.1, C4=0.45))
    assert electrodes.take(judged(C3=0.95, Cz=0.9, C4=0.45))


def test_another_language_says_the_same_in_its_words():
    korean = MapWords(bad="불량", left_out="제외", cause={"flat": "신호 없음"}.__getitem__)
    electrodes = Electrodes(korean)
    electrodes.take(judged(Cz=0.1))
    assert electrodes.sentence("Cz") == "Cz: 불량, 신호 없음, 제외"
