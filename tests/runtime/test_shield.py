"""What a decoder or a sink raises stays outside the loop, and is told once."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.runtime.errors import EngineError
from diverloop.runtime.events import EventKind
from diverloop.runtime.messages import Command, Decision, Embedding, Window
from diverloop.runtime.shield import Complaint, Kept, ShieldedEncoder, ShieldedSink

GO = Command(label="left", strength=0.9, velocity=(0.5, 0.1))
DECISION = Decision(classes=("left", "right"), probabilities=np.array([0.9, 0.1]), label="left")


def window(due_ns=0):
    return Window(samples=np.zeros((1, 4)), first_sample=0, stop_sample=4, due_ns=due_ns)


class Broken:
    """Encoder and sink in one, that raises what it is given."""

    def __init__(self, error):
        self.error, self.closed = error, 0

    def open(self, spec, n_times):
        self.opened_with = (spec, n_times)

    def encode(self, window):
        raise self.error

    def act(self, decision, command):
        raise self.error

    def close(self):
        self.closed += 1


class Whole(Broken):
    def encode(self, window):
        return Embedding(values=np.ones(2))

    def act(self, decision, command):
        return command


def test_an_encoder_that_raises_gives_no_values_and_says_so_once():
    shield = ShieldedEncoder(Broken(ValueError("no\nroom.")))
    said = [shield.encode(window(at * 100_000_000)) for at in range(10)]
    assert all(one.quality == 0 and not one.values.size for one in said)
    (event,) = (event for one in said for event in one.events)
    assert event.kind is EventKind.FAILED
    assert event.text == (
        "The encoder raised ValueError (no room); output is neutral while it does."
    )


def test_a_sink_that_raises_has_done_nothing_and_says_so_once():
    told = []
    shield = ShieldedSink(Broken(OSError("unplugged")), told.append)
    done = [shield.act(DECISION, GO) for _ in range(5)]
    assert {(one.label, one.velocity, one.reason) for one in done} == {
        (None, (0.0, 0.0), "the sink failed")
    }
    (event,) = told
    assert event.text.startswith("The sink Broken raised OSError (unplugged)")


def test_what_raises_nothing_passes_untouched():
    shield = ShieldedSink(Whole(None), lambda event: None)
    assert shield.act(DECISION, GO) is GO
    encoder = ShieldedEncoder(Whole(None))
    encoder.open("spec", 4)
    assert encoder.encode(window()).values.tolist() == [1.0, 1.0]
    encoder.close()
    assert encoder._encoder.opened_with == ("spec", 4)
    assert encoder._encoder.closed == 1


@pytest.mark.parametrize("error", [EngineError("gone"), KeyboardInterrupt()])
def test_an_engine_that_stops_for_good_and_a_person_who_wants_an_end_are_not_kept(error):
    with pytest.raises(type(error)):
        ShieldedEncoder(Broken(error)).encode(window())


def test_a_context_keeps_the_last_error_only():
    kept = Kept()
    with kept:
        raise ValueError("first")
    assert str(kept.error) == "first"
    with kept:
        pass
    assert kept.error is None


def test_an_error_without_words_makes_a_sentence():
    event = Complaint("The encoder", "it is told").of(RuntimeError(), 5)
    assert event.text == "The encoder raised RuntimeError (no reason given); it is told."
    assert event.at_ns == 5
