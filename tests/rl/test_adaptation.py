"""Weights change while a session runs, are taken back to the bit, and all of it replays."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from diverloop.adapters.linear import OUTLIERS, LinearAdapter, LinearConfig
from diverloop.adapters.outliers import Outliers
from diverloop.assembly import open_adapter
from diverloop.rl.adaptation import Adaptation
from diverloop.rl.adaptation_parts import Neighbours, Serving, numbers_on_record
from diverloop.rl.envelope.config import EnvelopeConfig
from diverloop.rl.envelope.envelope import Envelope
from diverloop.rl.error_link import Judged
from diverloop.rl.learning_here import LearningHere
from diverloop.rl.reward_desk import RewardDesk
from diverloop.runtime.adaptation_config import AdaptationConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import BundleError
from diverloop.runtime.fanout import DirectFanOut
from diverloop.runtime.guard import Signal
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import LoopConfig, Stages
from diverloop.runtime.messages import Event, EventKind, Promotion, StreamSpec, Turn
from diverloop.runtime.record.audit import AuditKind, AuditLog, read_audit
from diverloop.runtime.record.entries import TurnEntry
from diverloop.runtime.record.signing import new_key
from diverloop.runtime.record.tape import Tape
from diverloop.runtime.signal.conditioning import StreamConditioner

from ..runtime.record.taped import (
    WINDOW,
    Means,
    Postbox,
    RestlessClock,
    Trial,
    World,
    _feedback,
    replay,
    write,
)
from .heads import CLASSES, Nudge, head
from .test_trial_making import turn

TRIAL = Trial(
    seed=11, n_packets=150, persons=0, promotions=0, wilful=0, abstain_below=0.0,
    config=LoopConfig(deadline_s=60.0),
)  # fmt: skip
BLIND = EnvelopeConfig(holds=False, least_gap_s=0.0, outlier_factor=1e9)


# Wide enough that hardly any window of the session is refused.
LIKE = Outliers.fit(np.random.default_rng(5).normal(0, 500, (60, 3))).to_arrays()
NET = {OUTLIERS + name: array for name, array in LIKE.items()}


def adapter(made) -> LinearAdapter:
    config = LinearConfig(classes=CLASSES)
    arrays = {**made.linear(), **made.to_arrays(), **NET}
    return LinearAdapter.from_arrays(config, arrays, epoch=1)


class Kit:
    """An adaptation and what stands around it."""

    def __init__(self, envelope=BLIND, clock=None, audit=None, errors=None, **config):
        adapter_of = config.pop("adapter_of", open_adapter)
        first = head(3)
        self.adapter = adapter(first)
        self.figures, self.told, self.why_not = [], [], ""
        self.config = AdaptationConfig(learner="nudge", **{"trial": "window", **config})
        card = SimpleNamespace(
            classes=CLASSES, adapter="linear", adapter_config=asdict(self.adapter.config)
        )
        self.clock = clock or VirtualClock()
        self.learner = Nudge(first)
        self.envelope = Envelope(first, envelope, epoch=1)
        beside = Neighbours(
            learning=LearningHere(self.learner),
            rewards=RewardDesk(self.config, CLASSES),
            clock=self.clock,
            adapter_of=adapter_of,
            why_not=lambda: self.why_not,
            errors=errors,
            audit=audit,
            post=self.figures.append,
        )
        serving = Serving(
            card=card, head=first, arrays=self.adapter.to_arrays(), reference=OUTLIERS + "mean"
        )
        self.adaptation = Adaptation(self.config, serving, self.envelope, beside)

    def watch(self, *messages, promotions):
        self.adaptation.serve(promotions, lambda event: self.told.append(event.text))
        for message in messages:
            self.adaptation.watch(message)


class Box(list):
    """Where promotions would wait."""

    def offer(self, promotion, made):
        self.append((promotion, made))


class Second:
    """A person who takes every third change back, on seeing a decision."""

    lossless = True

    def __init__(self, adaptation) -> None:
        self._adaptation, self.n_turns, self.done = adaptation, 0, []

    def watch(self, message) -> None:
        if isinstance(message, Turn):
            self.n_turns += 1
            if self.n_turns % 3 == 0:
                self.done.append(self._adaptation.roll_back("somebody")[0])

    def close(self) -> None:
        pass


def adapted():
    """A taped session in which weights change all the time."""
    rng = np.random.default_rng(TRIAL.seed)
    clock, box, kit = RestlessClock(rng, TRIAL.jumps), Postbox(), Kit()
    tape, person = Tape(clock, box.post), Second(kit.adaptation)
    tape.guard.tell(Signal.PERSON_ARMS)
    stages = Stages(
        source=tape.source(World(TRIAL, clock, rng)),
        conditioner=StreamConditioner(TRIAL.condition),
        encoder=Means(),
        adapter=kit.adapter,
        feedback=_feedback(),
    )
    loop = Loop(
        stages, clock=tape.clock, window=WINDOW, config=TRIAL.config, guard=tape.guard,
        fanout=DirectFanOut((box, kit.adaptation, person)), promotions=tape.promotions,
    )  # fmt: skip
    kit.adaptation.serve(loop.promotions, loop.tell)
    loop.run()
    return box.sent, person


@pytest.fixture(scope="module")
def session():
    return adapted()


def test_a_session_of_many_promotions_and_roll_backs_replays_exactly(session, tmp_path):
    sent, person = session
    changes = [one for one in sent if isinstance(one, Promotion)]
    back = [one for one in changes if one.rule == "roll-back"]
    assert len(changes) > 50
    assert len(back) > 20
    assert 0 <= sum(person.done) - len(back) < 10  # those in the last pass came too late
    outcome = replay(write(tmp_path / "recording.xdf", sent), TRIAL, adapter(head(3)))
    assert outcome.comparison.ok, outcome.comparison.sentence()
    assert outcome.comparison.n_turns == sum(isinstance(one, TurnEntry) for one in sent)


def test_each_roll_back_brings_the_same_arrays_back_to_the_bit_under_a_new_epoch(session):
    served = {head(3).sha256: adapter(head(3)).to_arrays()}
    epoch = 1
    for change in (one for one in session[0] if isinstance(one, Promotion)):
        assert change.epoch > epoch
        epoch = change.epoch
        if change.rule == "roll-back":
            before = served[change.sha256]
            assert before.keys() == change.arrays.keys()
            for name, array in before.items():
                assert array.tobytes() == change.arrays[name].tobytes()
        served[change.sha256] = dict(change.arrays)


def test_where_calibration_lies_moves_with_the_weights_and_nothing_else_of_that_net_does(session):
    changes = [one for one in session[0] if isinstance(one, Promotion)]
    middles = {one.arrays[OUTLIERS + "mean"].tobytes() for one in changes}
    assert len(middles) > 10
    for name, array in NET.items():
        same = all(one.arrays[name].tobytes() == array.tobytes() for one in changes)
        assert same == (name != OUTLIERS + "mean"), name


def test_what_is_offered_decides_from_the_next_window_on(session):
    offered, decided, late = [], 1, 0
    for one in session[0]:
        if isinstance(one, Promotion):
            offered.append(one.epoch)
        elif isinstance(one, TurnEntry):
            late += bool(offered) and one.decision.epoch != offered[-1]
            decided = one.decision.epoch
    assert late == 0
    assert decided == offered[-1]


SPEC = StreamSpec(name="made", rate_hz=100.0, channels=())


def test_every_change_is_on_record_with_parent_rule_trials_and_hash(tmp_path):
    box, clock = Box(), VirtualClock()
    with closing(AuditLog.create(tmp_path / "s", new_key(), clock)) as audit:
        kit = Kit(audit=audit, clock=clock)
        kit.watch(SPEC, turn(100, epoch=1), turn(200, epoch=2), promotions=box)
        done, text = kit.adaptation.roll_back("c1")
        kit.watch(turn(300, epoch=4), promotions=box)
    assert done
    assert "decide again, as epoch 4" in text
    changes = [e for e in read_audit(tmp_path / "s") if e.details.get("sha256")]
    assert [e.what for e in changes] == [
        AuditKind.PROMOTION, AuditKind.PROMOTION, AuditKind.ROLLBACK, AuditKind.PROMOTION
    ]  # fmt: skip
    first, second, back, _ = (e.details for e in changes)
    assert first["parent"] == head(3).sha256
    assert (first["trials"], first["rule"]) == ([100], "nudged at 100")
    assert second["parent"] == back["sha256"] == first["sha256"]
    assert (changes[2].who, back["epoch"]) == ("c1", 4)
    assert [promotion.sha256 for promotion, _ in box[:3]] == [
        first["sha256"], second["sha256"], first["sha256"]
    ]  # fmt: skip


def test_proposals_that_cannot_serve_are_on_record_once_and_then_summed_up(tmp_path):
    with closing(AuditLog.create(tmp_path / "s", new_key(), VirtualClock())) as audit:
        kit = Kit(audit=audit)
        kit.learner.head = replace(head(3), basis=2 * head(3).basis)
        turns = [turn(100 * n, epoch=1) for n in range(1, 20)]
        kit.watch(SPEC, *turns, promotions=(box := Box()))
        kit.clock.advance(61_000_000_000)
        kit.watch(turn(3000, epoch=1), promotions=box)
    assert not box
    entries = [e for e in read_audit(tmp_path / "s") if e.what == AuditKind.LEARNER]
    assert [e.details["more_since_last"] for e in entries] == [0, 19]
    assert entries[0].why.startswith("A proposal was turned down: ")
    assert kit.figures[-1].turned_down == 21


def refuse(promotion):
    raise BundleError("They fit nothing.")


def test_weights_of_which_no_adapter_can_be_made_end_all_changes_and_are_on_record(tmp_path):
    with closing(AuditLog.create(tmp_path / "s", new_key(), VirtualClock())) as audit:
        kit = Kit(audit=audit, adapter_of=refuse)
        kit.watch(SPEC, turn(100, epoch=1), turn(200, epoch=1), promotions=(box := Box()))
    assert not box
    (entry,) = (e for e in read_audit(tmp_path / "s") if e.what == AuditKind.LEARNER)
    assert entry.why.startswith("Adaptation is frozen: its weights cannot be made")
    assert kit.told == [entry.why]


def test_a_person_is_not_told_that_weights_are_back_which_cannot_serve():
    made = iter([open_adapter, refuse])
    kit = Kit(adapter_of=lambda promotion: next(made)(promotion))
    kit.watch(SPEC, turn(100, epoch=1), promotions=(box := Box()))
    assert len(box) == 1
    done, text = kit.adaptation.roll_back("c1")
    assert not done
    assert text.startswith("The weights of before cannot serve: its weights cannot be made")
    assert len(box) == 1


def test_nobody_thaws_while_other_weights_decide_than_are_judged():
    kit = Kit()
    kit.watch(SPEC, turn(100, epoch=1), promotions=(box := Box()))
    text = "Weights of epoch 2 were refused: those of epoch 1 stay."
    kit.watch(Event(kind=EventKind.PROMOTED, text=text), promotions=box)
    done, said = kit.adaptation.thaw("c1")
    assert not done
    assert "the loop refused other weights" in said
    assert kit.envelope.frozen
    assert kit.adaptation.roll_back("c1")[0]
    assert kit.adaptation.thaw("c1")[0]
    assert not kit.envelope.frozen


def test_without_permission_it_learns_beside_but_nothing_changes():
    kit = Kit()
    kit.why_not = "no clinician's permission runs"
    kit.watch(SPEC, *(turn(100 * n, epoch=1) for n in range(1, 5)), promotions=(box := Box()))
    assert not box
    assert kit.learner.rule == "nudged at 400"
    kit.why_not = ""
    kit.watch(turn(500, epoch=1), promotions=box)
    assert len(box) == 1


def test_a_frozen_one_changes_nothing_until_it_is_let_and_people_are_told():
    kit = Kit()
    kit.watch(SPEC, promotions=(box := Box()))
    kit.adaptation.freeze("c1")
    kit.watch(turn(100, epoch=1), promotions=box)
    assert not box
    assert kit.envelope.frozen == "c1 froze it"
    kit.adaptation.thaw("c1")
    kit.watch(turn(200, epoch=1), promotions=box)
    assert len(box) == 1
    assert [text.split()[0] for text in kit.told] == ["The", "c1"]


def test_there_is_nothing_before_calibration_to_go_back_to():
    kit = Kit()
    kit.watch(SPEC, promotions=Box())
    done, text = kit.adaptation.roll_back("c1")
    assert not done
    assert "no earlier ones" in text


@pytest.mark.parametrize("kind", [EventKind.SPIKE, EventKind.SEIZURE, EventKind.STIMULATION])
def test_nothing_is_learnt_shortly_after_what_is_not_the_persons_mind(kind):
    kit = Kit()
    event = Event(kind=kind, text="something of that kind.")
    kit.watch(SPEC, event, turn(100, epoch=1), promotions=(box := Box()))
    assert not box
    assert kit.learner.rule == "nothing yet"
    kit.clock.advance(61_000_000_000)
    kit.watch(turn(200, epoch=1), promotions=box)
    assert len(box) == 1


def test_weights_that_the_loop_refuses_end_all_changes():
    kit = Kit()
    text = "Weights of epoch 2 were refused: those of epoch 7 stay."
    kit.watch(SPEC, Event(kind=EventKind.PROMOTED, text=text), promotions=(box := Box()))
    kit.watch(turn(100, epoch=1), promotions=box)
    assert not box
    assert "the loop refused" in kit.envelope.frozen


class Detector:
    """An error detector that answers at once."""

    def __init__(self) -> None:
        self.tell, self.shown, self.fed = None, [], 0

    def open(self, spec):
        pass

    def feed(self, chunk):
        self.fed += 1

    def show(self, trial, sample):
        self.shown.append((trial, sample))

    def judged(self):
        return tuple(Judged(trial=trial, error=0.9) for trial, _ in self.shown[-1:])

    def close(self):
        pass


def test_what_was_selected_is_shown_to_the_error_detector_when_the_person_saw_it():
    detector = Detector()
    kit = Kit(
        errors=detector, trial="selection", rewards=("error potential",), error_model="any",
        feedback_delay_s=0.03,
    )  # fmt: skip
    kit.watch(SPEC, turn(100), turn(150, selected=True), promotions=Box())
    assert detector.shown == [(150, 153)]


def test_figures_are_posted_once_a_second_and_at_each_change():
    kit = Kit()
    kit.why_not = "nobody allows it"
    kit.watch(SPEC, *(turn(100 * n, epoch=1) for n in range(1, 9)), promotions=Box())
    assert len(kit.figures) == 1
    kit.clock.advance(1_000_000_000)
    kit.watch(turn(900, epoch=1), promotions=Box())
    assert kit.figures[-1].n_trials == 9
    assert kit.figures[-1].learner == "nudge"


def test_many_trials_go_on_record_by_their_hash():
    assert numbers_on_record((1, 2)) == {"trials": [1, 2]}
    many = numbers_on_record(tuple(range(100)))
    assert (many["n_trials"], many["first_trial"], many["last_trial"]) == (100, 0, 99)
    assert len(many["trials_sha256"]) == 64
