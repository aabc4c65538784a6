from __future__ import annotations

import math
from dataclasses import asdict
from functools import cache

import numpy as np
import pytest

from diverloop.adapters.linear import LinearAdapter, LinearConfig
from diverloop.adapters.speller import (
    KnownSelection,
    SpellerAdapter,
    SpellerConfig,
    fit_evidence_scale,
    speller_arrays,
)
from diverloop.runtime.bundle import Bundle, join_parts, load_bundle, save_bundle
from diverloop.runtime.card import Card, CardInput, CardWindow
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.conformance import check_adapter
from diverloop.runtime.errors import BundleError, ConfigError
from diverloop.runtime.fanout import FanOut
from diverloop.runtime.feedback import EvidenceFeedback, FeedbackConfig
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import LoopConfig, Stages
from diverloop.runtime.messages import (
    Channel,
    Chunk,
    Embedding,
    Marker,
    StreamSpec,
    Turn,
    Window,
)
from diverloop.runtime.paradigms.letters import LetterModel, everyday
from diverloop.runtime.paradigms.speller import (
    MATRIX,
    SpellerPlan,
    items_label,
    lit,
    membership,
    sequence,
    timeline,
)
from diverloop.runtime.session import build
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.stages import Adapter
from diverloop.runtime.windows import WindowConfig

PLAN = SpellerPlan(repetitions=10)
WINDOW_SAMPLES = 200
ARRAYS = {
    # A flash's feature is its log-likelihood ratio: targets came once on five nontargets.
    "mean": np.zeros(1),
    "scale": np.ones(1),
    "weights": np.ones((1, 1)),
    "bias": np.array([-math.log(5)]),
    "temperature": np.ones(1),
    "prior_log_odds": np.array([-math.log(5)]),
    "evidence_scale": np.ones(1),
}


@cache
def letters() -> dict[str, np.ndarray]:
    return LetterModel.fit(everyday(), MATRIX).to_arrays()


def speller(arrays=None, **settings) -> SpellerAdapter:
    config = SpellerConfig(**{"plan": PLAN, **settings})
    return SpellerAdapter.from_arrays(config, {**ARRAYS, **(arrays or {})}, epoch=3)


def window(label: str | None, sample: int = 0) -> Window:
    marker = None if label is None else Marker(label=label, sample=sample)
    return Window(
        samples=np.zeros((1, 4)),
        first_sample=sample,
        stop_sample=sample + WINDOW_SAMPLES,
        due_ns=7,
        marker=marker,
        lsl_raw_s=1.5,
        lsl_corrected_s=2.5,
    )


class Person:
    """Looks at items; a flash's evidence is drawn so that its likelihood ratio is true."""

    def __init__(self, adapter: SpellerAdapter, strength: float = 2.0, seed: int = 0) -> None:
        self.adapter, self.strength = adapter, strength
        self.rng, self.sample = np.random.default_rng(seed), 0

    def hear(self, label: str | None, ratio: float = 0.0, later: int = 50):
        self.sample += later
        embedding = Embedding(values=np.array([ratio]))
        return self.adapter.decide(embedding, window(label, self.sample))

    def attend(self, item: str) -> list:
        """Decisions of one whole selection."""
        return [self.flash(label, item) for _, label in timeline(PLAN, self.rng)]

    def flash(self, label: str, item: str):
        target = MATRIX.index(item) in lit(self.adapter.config.plan, label)
        mean = self.strength**2 / 2 * (1 if target else -1)
        return self.hear(label, self.rng.normal(mean, self.strength))


def test_it_is_an_adapter_like_any_other():
    assert isinstance(speller(), Adapter)
    check_adapter(speller(), 1)
    check_adapter(speller(letters()), 1)
    assert speller().classes == MATRIX
    assert speller().epoch == 3


def test_the_attended_item_is_selected_exactly_once_and_then_flashes_are_ignored():
    decisions = Person(speller()).attend("Q")
    made = [place for place, decision in enumerate(decisions) if decision.label is not None]
    assert [decisions[place].label for place in made] == ["Q"]
    (at,) = made
    assert at < len(decisions) - 10
    assert decisions[at].probabilities.max() >= 0.98
    assert decisions[at].reason == ""
    assert {decision.reason for decision in decisions[at + 1 :]} == {"already selected: 'Q'"}
    assert decisions[0].reason == "a selection begins"
    assert all(d.reason.startswith("still deciding: ") for d in decisions[1:at])
    assert decisions[at - 1].reason.endswith("of 0.98")


def test_the_posterior_is_that_of_bayes():
    adapter = speller()
    person = Person(adapter)
    person.hear("select")
    person.hear("flash:0,1,2", 1.0)
    decision = person.hear("flash:2,3", -0.5)
    weights = np.ones(36)
    weights[[0, 1]] = math.exp(1.0)
    weights[2], weights[3] = math.exp(0.5), math.exp(-0.5)
    np.testing.assert_allclose(decision.probabilities, weights / weights.sum(), rtol=1e-9)


def test_the_evidence_is_tempered_and_clipped():
    person = Person(speller({"evidence_scale": np.array([0.5])}, clip=2.0))
    decision = person.hear("flash:4,", 50.0)
    assert decision.probabilities[4] / decision.probabilities[5] == pytest.approx(math.e)
    decision = person.hear("flash:4,", -50.0)
    assert decision.probabilities[4] == pytest.approx(decision.probabilities[5])


def test_at_the_cap_nothing_is_selected_however_near_the_best_is():
    person = Person(speller())
    said = [person.hear(label) for _, label in timeline(PLAN, person.rng)]
    assert all(decision.label is None for decision in said)
    assert said[-2].reason == "no selection: the best item reached 0.03"
    assert said[-3].reason.startswith("still deciding")
    assert said[-1].reason == said[-2].reason
    assert person.adapter.spelled == ()


def test_an_end_before_the_cap_selects_nothing_either():
    person = Person(speller())
    for label in ("select", "flash:0", "flash:6"):
        person.hear(label, 1.5)
    assert person.hear("end").reason.startswith("no selection: the best item reached 0.")
    # The next flash belongs to another selection, even if its "select" is lost.
    assert person.hear("flash:0", 0.0).probabilities == pytest.approx(np.full(36, 1 / 36))


def test_a_new_selection_starts_from_nothing():
    person = Person(speller())
    person.attend("Q")
    begun = person.hear("select:B")
    assert begun.label is None
    np.testing.assert_allclose(begun.probabilities, 1 / 36)
    made = [decision.label for decision in person.attend("B") if decision.label]
    assert made == ["B"]
    assert person.adapter.spelled == ("Q", "B")


def test_backspace_takes_the_last_item_back():
    person = Person(speller())
    for item in ("C", "A", "T", "<", "<", "O"):
        person.attend(item)
    assert person.adapter.spelled == ("C", "O")
    empty = Person(speller())
    empty.attend("<")
    assert empty.adapter.spelled == ()


def test_letters_make_likely_items_quicker_and_the_history_counts():
    flashes = {}
    for name, arrays in (("equal", {}), ("letters", letters())):
        person = Person(speller(arrays), strength=1.5)
        counts = []
        for item in "PLEASE_HELP":
            said = person.attend(item)
            counts += [next(n for n, decision in enumerate(said) if decision.label)]
        flashes[name] = np.mean(counts)
        assert person.adapter.spelled == tuple("PLEASE_HELP")
    assert flashes["letters"] < 0.8 * flashes["equal"]


def test_after_backspace_the_prior_is_that_of_the_shorter_text():
    long, short = Person(speller(letters())), Person(speller(letters()))
    for item in ("T", "H", "Q", "<"):
        long.attend(item)
    for item in ("T", "H"):
        short.attend(item)
    np.testing.assert_array_equal(
        long.hear("select").probabilities, short.hear("select").probabilities
    )


def test_a_letter_that_is_as_good_as_certain_is_not_written_before_anything_was_seen():
    weights = {"letter_grams": np.array([[1.0]]), "letter_counts": np.array([1e9]),
               "letter_floor": np.array([1e-4])}  # fmt: skip
    person = Person(speller(weights, min_flashes=6))
    assert person.hear("select").probabilities[1] > 0.95
    said = [person.hear("flash:6").label for _ in range(7)]
    assert said == [None] * 5 + ["B", None]


def test_the_weight_of_the_letters_can_be_turned_off():
    person = Person(speller(letters(), letter_weight=0.0))
    np.testing.assert_allclose(person.hear("select").probabilities, 1 / 36)


@pytest.mark.parametrize("values", [np.array([np.nan]), np.array([np.inf])])
def test_a_flash_that_cannot_be_read_adds_nothing(values):
    adapter = speller()
    person = Person(adapter)
    person.hear("flash:3", 1.0)
    before = adapter.posterior()
    lost = adapter.decide(Embedding(values=values), window("flash:3", 60))
    assert lost.label is None
    assert "not finite" in lost.reason
    assert np.isnan(lost.probabilities).all()
    assert lost.probabilities.shape == (36,)
    poor = adapter.decide(Embedding(values=np.ones(1), quality=0.2), window("flash:3", 60))
    assert "quality" in poor.reason
    np.testing.assert_array_equal(adapter.posterior(), before)


@pytest.mark.parametrize("label", [None, "left", "flash:99", "flash:x"])
def test_what_is_no_flash_changes_nothing(label):
    person = Person(speller())
    before = person.hear("flash:3", 1.0).probabilities
    decision = person.hear(label, 3.0)
    assert decision.label is None
    assert "flash" in decision.reason
    np.testing.assert_array_equal(decision.probabilities, before)


def test_after_a_hole_in_an_open_selection_evidence_starts_anew():
    person = Person(speller(hole_windows=3.0))
    person.hear("flash:0", 3.0)
    kept = person.hear("flash:6", 0.0, later=3 * WINDOW_SAMPLES)
    assert kept.probabilities[0] > 0.05
    anew = person.hear("flash:6", 0.0, later=3 * WINDOW_SAMPLES + 1)
    np.testing.assert_allclose(anew.probabilities, 1 / 36)


def test_a_hole_after_a_selection_does_not_select_again():
    person = Person(speller())
    person.attend("Q")
    person.hear("select")
    said = [person.hear(items_label({4}), 4.0) for _ in range(8)]
    assert [d.label for d in said if d.label] == ["E"]
    later = [person.hear(items_label({4}), 4.0, later=10_000) for _ in range(8)]
    assert all(decision.reason == "already selected: 'E'" for decision in later)


def test_a_decision_says_what_it_rests_on():
    for label in ("select", "flash:1", "end", None):
        decision = speller().decide(Embedding(values=np.ones(1)), window(label, 100))
        assert (decision.first_sample, decision.stop_sample) == (100, 100 + WINDOW_SAMPLES)
        assert decision.epoch == 3
        assert (decision.lsl_raw_s, decision.lsl_corrected_s) == (1.5, 2.5)
        assert decision.classes == MATRIX
        assert decision.probabilities.sum() == pytest.approx(1)


def test_a_session_replays_exactly():
    runs = []
    for _ in range(2):
        person = Person(speller(letters()), strength=1.2, seed=4)
        runs.append([decision for item in "HE" for decision in person.attend(item)])
    for one, other in zip(*runs, strict=True):
        assert (one.label, one.reason) == (other.label, other.reason)
        np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_feedback_that_remembers_nothing_commands_each_selection_once():
    feedback = EvidenceFeedback(
        FeedbackConfig(memory_s=0, select_at=0.9, dwell_s=0, refractory_s=0)
    )
    person = Person(speller())
    commands = [feedback.advance(d, n * 10**9) for n, d in enumerate(person.attend("Q"))]
    assert [command.label for command in commands if command.selected] == ["Q"]
    assert all(command.label is None for command in commands if not command.selected)


class Stream:
    """A recording whose first sample after each flash is that flash's evidence."""

    spec = StreamSpec(name="made", rate_hz=100.0, channels=(Channel(name="Pz"),))

    def __init__(self, clock, shown, attend, lost=()) -> None:
        self._clock, self._at = clock, 0
        self._markers = [Marker(label=text, sample=round(100 * at)) for at, text in shown]
        self._signal = np.zeros((1, self._markers[-1].sample + 200), np.float32)
        rng = np.random.default_rng(0)
        for marker in self._markers:
            target = MATRIX.index(attend) in lit(PLAN, marker.label)
            self._signal[0, marker.sample] = rng.normal(2.0 if target else -2.0, 2.0)
        for first, stop in lost:
            self._signal[:, first:stop] = np.nan

    @property
    def ended(self) -> bool:
        return self._at >= self._signal.shape[1]

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def read(self, wanted: int, until_ns: int) -> Chunk:
        first, self._at = self._at, min(self._at + 10, self._signal.shape[1])
        self._clock.wait_until(round(self._at * 1e7))
        came = tuple(m for m in self._markers if first <= m.sample < self._at)
        samples = self._signal[:, first : self._at].copy()
        return Chunk(
            samples=samples, first_sample=first, arrived_ns=self._clock.now_ns(), markers=came
        )


class FirstSample:
    def open(self, spec, n_times) -> None:
        pass

    def encode(self, window) -> Embedding:
        return Embedding(values=window.samples[:, 0].astype(float))

    def close(self) -> None:
        pass


class Notes:
    lossless = True

    def __init__(self) -> None:
        self.decisions: list = []

    def watch(self, message) -> None:
        if isinstance(message, Turn):
            self.decisions.append(message.decision)

    def close(self) -> None:
        pass


def spell_in_the_loop(lost=()) -> tuple[SpellerAdapter, list]:
    one = timeline(PLAN, np.random.default_rng(1), "Q")
    other = timeline(PLAN, np.random.default_rng(2), "Q")
    later = one[-1][0] + PLAN.pause_s
    clock, adapter, notes = VirtualClock(), speller(), Notes()
    shown = (*one, *((at + later, text) for at, text in other))
    stages = Stages(
        source=Stream(clock, shown, "Q", lost),
        conditioner=StreamConditioner(ConditionConfig()),
        encoder=FirstSample(),
        adapter=adapter,
        feedback=EvidenceFeedback(),
    )
    window = WindowConfig(length_s=0.8, lock_to=("*",))
    config = LoopConfig(deadline_s=10.0)
    Loop(stages, clock=clock, window=window, config=config, fanout=FanOut((notes,))).run()
    return adapter, notes.decisions


def test_in_the_loop_each_selection_is_made_once():
    adapter, decisions = spell_in_the_loop()
    assert [d.label for d in decisions if d.label] == ["Q", "Q"]
    assert adapter.spelled == ("Q", "Q")
    assert len(decisions) == 2 * (PLAN.n_flashes + 2)


def test_in_the_loop_a_lost_beginning_does_no_harm_and_refused_flashes_add_nothing():
    whole = spell_in_the_loop()[1]
    selects = [d.marker.sample for d in whole if d.reason == "a selection begins"]
    _, decisions = spell_in_the_loop([(selects[1] + 20, selects[1] + 60), (300, 360)])
    assert [d.label for d in decisions if d.label] == ["Q", "Q"]
    refused = [d for d in decisions if "damaged" in d.reason or "lost" in d.reason]
    assert refused
    assert all(np.isnan(d.probabilities).all() for d in refused)


def test_a_ring_of_pictures_is_a_speller_too():
    items = ("drink", "food", "pain", "rest")
    plan = SpellerPlan(items=items, flashing="single", repetitions=10)
    adapter = speller(plan=plan, min_flashes=4)
    person = Person(adapter)
    rng = np.random.default_rng(0)
    for each in sequence(plan, rng):
        for flash in each:
            mean = 2.0 if flash.group == 2 else -2.0
            decision = person.hear(f"flash:{flash.group}", rng.normal(mean, 2.0))
            if decision.label:
                assert decision.label == "pain"
    assert adapter.spelled == ("pain",)


# --- bundles and settings --------------------------------------------------------------------


def test_arrays_and_settings_rebuild_the_same_speller():
    adapter = speller(letters())
    settings = build(SpellerConfig, asdict(adapter.config), "card.adapter_config")
    again = SpellerAdapter.from_arrays(settings, adapter.to_arrays(), epoch=3)
    assert settings == adapter.config
    for label in ("select", "flash:3", "flash:7"):
        said = [one.decide(Embedding(values=np.ones(1)), window(label)) for one in (adapter, again)]
        np.testing.assert_array_equal(said[0].probabilities, said[1].probabilities)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"weights": np.ones((3, 1)), "bias": np.ones(3)}, "do not fit"),
        ({"evidence_scale": np.zeros(1)}, "evidence_scale"),
        ({"evidence_scale": np.array([np.nan])}, "evidence_scale"),
        ({"letter_grams": np.ones((1, 1))}, "letter_counts"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays, says):
    with pytest.raises(BundleError, match=says):
        speller(arrays)


def test_missing_arrays_and_foreign_parts_are_refused():
    for name in ARRAYS:
        less = {key: array for key, array in ARRAYS.items() if key != name}
        with pytest.raises(BundleError, match=name):
            SpellerAdapter.from_arrays(SpellerConfig(), less)
    two = {"mean": np.zeros(1), "scale": np.ones(1), "weights": np.ones((1, 1)), "bias": np.ones(1)}
    foreign = LinearAdapter(LinearConfig(classes=("target", "nontarget")), **two)
    with pytest.raises(BundleError, match="order"):
        SpellerAdapter(SpellerConfig(), flashes=foreign, prior_log_odds=0.0)
    other = LetterModel.fit("AB", ("A", "B"))
    right = LinearAdapter(LinearConfig(classes=("nontarget", "target")), **two)
    with pytest.raises(BundleError, match="other items"):
        SpellerAdapter(SpellerConfig(), flashes=right, prior_log_odds=0.0, letters=other)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"threshold": 0.89}, "threshold"),
        ({"threshold": 1.0}, "threshold"),
        ({"threshold": math.nan}, "threshold"),
        ({"clip": 0.0}, "clip"),
        ({"letter_weight": 1.5}, "letter_weight"),
        ({"min_flashes": 0}, "min_flashes"),
        ({"min_flashes": 181}, "min_flashes"),
        ({"hole_windows": 0.5}, "hole_windows"),
        ({"min_quality": -0.1}, "min_quality"),
    ],
)
def test_settings_outside_their_range_are_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        SpellerConfig(**wrong)


# --- fitting ---------------------------------------------------------------------------------


def known(n: int, strength: float, seed: int, repeat: int = 1, gain: float = 1.0, shift: float = 0):
    """Selections whose flashes' true likelihood ratios are known; each is said `repeat` times."""
    rng, member = np.random.default_rng(seed), membership(PLAN)
    found = []
    for _ in range(n):
        item = int(rng.integers(36))
        order = np.concatenate([rng.permutation(12) for _ in range(6)])
        shown = member[order]
        ratios = rng.normal(np.where(shown[:, item], 0.5, -0.5) * strength**2, strength)
        found.append(
            KnownSelection(
                scores=gain * np.repeat(ratios, repeat) + shift,
                lit=np.repeat(shown, repeat, axis=0),
                item=item,
            )
        )
    return found


def test_independent_flashes_need_no_tempering_and_repeated_ones_count_once():
    assert fit_evidence_scale(known(40, 1.2, 0)) == pytest.approx(1.0, abs=0.12)
    assert fit_evidence_scale(known(40, 1.2, 0, repeat=3)) == pytest.approx(1 / 3, abs=0.05)


def test_a_few_perfect_selections_do_not_make_it_certain():
    assert fit_evidence_scale(known(2, 5.0, 0)) < 1.3


def test_calibration_turns_any_scores_into_likelihood_ratios():
    linear = {**ARRAYS, "bias": np.zeros(2), "weights": np.array([[0.0], [1.0]])}
    made = known(80, 1.5, 1, gain=4.0, shift=7.0)
    arrays = speller_arrays(linear, made)
    adapter = SpellerAdapter.from_arrays(SpellerConfig(plan=PLAN), arrays)
    # A score of 4 x + 7 stands for a likelihood ratio of x.
    ratios = []
    for x in (-1.0, 0.0, 1.5):
        adapter.decide(Embedding(values=np.ones(1)), window("select"))
        said = adapter.decide(Embedding(values=np.array([4 * x + 7])), window("flash:0"))
        ratios.append(math.log(said.probabilities[0] / said.probabilities[35]))
    scale = arrays["evidence_scale"][0]
    np.testing.assert_allclose(np.array(ratios) / scale, [-1.0, 0.0, 1.5], atol=0.2)
    assert arrays["prior_log_odds"][0] == pytest.approx(-math.log(5), abs=0.02)


def test_scores_that_point_the_wrong_way_are_worth_nothing():
    linear = {**ARRAYS, "bias": np.zeros(2), "weights": np.array([[0.0], [1.0]])}
    arrays = speller_arrays(linear, known(20, 1.5, 1, gain=-1.0))
    assert arrays["temperature"][0] > 100


def test_after_calibration_a_probability_at_stopping_is_what_it_says_though_flashes_repeat():
    linear = {**ARRAYS, "bias": np.zeros(2), "weights": np.array([[0.0], [1.0]])}
    arrays = speller_arrays(linear, known(40, 1.8, 2, repeat=2))
    config = SpellerConfig(plan=PLAN, threshold=0.9)
    right, said = [], []
    for one in known(80, 1.8, 3, repeat=2):
        adapter = SpellerAdapter.from_arrays(config, arrays)
        for score, shown in zip(one.scores, one.lit, strict=True):
            marker = items_label(np.flatnonzero(shown).tolist())
            decision = adapter.decide(Embedding(values=np.array([score])), window(marker))
            if decision.label:
                right.append(decision.label == MATRIX[one.item])
                said.append(decision.probabilities.max())
                break
    assert len(right) > 70
    assert np.mean(right) == pytest.approx(np.mean(said), abs=0.07)


def test_a_speller_fits_into_a_bundle(tmp_path):
    adapter = speller(letters())
    spec = StreamSpec(name="cap", rate_hz=250.0, channels=(Channel(name="Pz"),))
    card = Card(
        task="p300",
        classes=MATRIX,
        encoder="xdawn",
        adapter="speller",
        encoder_config={},
        adapter_config=asdict(adapter.config),
        conditioning={},
        input=CardInput.of(spec),
        conditioned_rows=("Pz",),
        window=CardWindow(length_s=0.8, step_s=0.1, n_times=200),
        reference="none",
        band=(0.5, 12.0),
        trained_on=(),
        scores={},
        versions={},
        created_utc="2026-11-22T08:00:00Z",
    )
    arrays = join_parts(adapter=adapter.to_arrays())
    save_bundle(Bundle(card=card, arrays=arrays), tmp_path / "made.bundle")
    read = load_bundle(tmp_path / "made.bundle")
    settings = build(SpellerConfig, read.card.adapter_config, "card.adapter_config")
    again = SpellerAdapter.from_arrays(settings, read.part("adapter"))
    assert settings == adapter.config
    np.testing.assert_array_equal(again.posterior(), adapter.posterior())


def test_other_weights_go_on_with_the_text_and_the_selection():
    person = Person(speller())
    person.attend("Q")
    person.hear("select:B")
    for _ in range(3):
        person.flash("flash:0", "B")
    undisturbed = Person(speller())
    undisturbed.attend("Q")
    undisturbed.hear("select:B")
    for _ in range(3):
        undisturbed.flash("flash:0", "B")
    newer = speller()
    newer.follow(person.adapter)
    person.adapter = newer
    after, expected = person.flash("flash:1", "B"), undisturbed.flash("flash:1", "B")
    np.testing.assert_array_equal(after.probabilities, expected.probabilities)
    assert newer.spelled == ("Q",)


def test_a_speller_of_other_items_begins_anew():
    person = Person(speller())
    person.attend("Q")
    menu = speller(plan=SpellerPlan(items=tuple(reversed(MATRIX))))
    menu.follow(person.adapter)
    assert menu.spelled == ()
