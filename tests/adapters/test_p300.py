"""From flashes to a speller."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diverloop.adapters.folds import Trials
from diverloop.adapters.p300 import (
    P300_SPELLER,
    SLOW,
    FlashSpan,
    SelectionSpan,
    SpellerOptions,
    known_selections,
)
from diverloop.adapters.speller import SpellerConfig
from diverloop.adapters.trial_scorer import TrialScorer
from diverloop.assembly import open_model
from diverloop.calibration import fit_best
from diverloop.fit_plan import plans_for, read_options
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.running import RunOptions, run_session
from diverloop.runtime.bundle import load_bundle, save_bundle
from diverloop.runtime.collection import Collected
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import (
    Chunk,
    Command,
    Decision,
    Marker,
    StageTimes,
    StreamSpec,
    Turn,
)
from diverloop.runtime.paradigms.flicker import FlickerConfig
from diverloop.runtime.paradigms.speller import SpellerPlan, groups, lit, timeline
from diverloop.runtime.session import PartConfig, SessionConfig
from diverloop.training_sources import TrainingSource

PLAN = SpellerPlan(repetitions=1)
SPEC = StreamSpec(name="s", rate_hz=100.0, channels=())


def markers(letters: str, seed: int = 0) -> list[Marker]:
    """Selections of these letters, 20 s apart, at 100 Hz."""
    rng, found = np.random.default_rng(seed), []
    for place, letter in enumerate(letters):
        for at_s, label in timeline(PLAN, rng, letter):
            found.append(Marker(label=label, sample=round((20 * place + at_s) * 100)))
    return found


def collected(shown: list[Marker]) -> Collected:
    """One window for each flash."""
    span = FlashSpan(classes=("nontarget", "target"), plan=PLAN)
    places = [p for p in range(len(shown)) if span.label(shown, p)]
    cues = np.array([shown[place].sample for place in places])
    n = len(places)
    return Collected(
        windows=np.zeros((n, 1, 80)),
        labels=np.array([span.label(shown, place) for place in places]),
        trials=np.arange(n),
        cues=cues,
        stops=cues + 80,
        spec=SPEC,
        conditioned=SPEC,
        n_samples=10_000,
        markers=tuple(shown),
        usable=np.ones((n, 1), bool),
    )


def test_flashes_are_called_after_what_they_were_to_the_person():
    part = collected(markers("QZ"))
    assert len(part.labels) == 24
    assert (part.labels == "target").sum() == 4


def test_held_out_flashes_become_selections_in_order():
    parts = [collected(markers("QZ")), collected(markers("A", seed=1))]
    labels = np.concatenate([part.labels for part in parts])
    trials = Trials.of(
        labels,
        np.concatenate([part.cues for part in parts]),
        np.repeat([0, 1], [len(part.labels) for part in parts]),
        n_windows=len(labels),
    )
    held_out = np.zeros((len(labels), 2))
    held_out[:, trials.classes.index("target")] = labels == "target"
    known = known_selections(trials, held_out, parts, PLAN)
    assert [PLAN.items[each.item] for each in known] == ["Q", "Z", "A"]
    for each in known:
        assert each.lit.sum(axis=1).tolist() == [6] * 12
        np.testing.assert_array_equal(each.scores == 1, each.lit[:, each.item])


def test_a_flash_that_was_refused_is_missing_and_the_others_keep_their_place():
    part = collected(markers("Q"))
    fewer = part.only(np.arange(len(part.labels)) != 3)
    trials = Trials.of(fewer.labels, fewer.cues, None, n_windows=len(fewer.labels))
    scores = np.arange(2.0 * len(fewer.labels)).reshape(-1, 2)
    (known,) = known_selections(trials, scores, [fewer], PLAN)
    assert len(known.scores) == 11
    left = [marker for marker in fewer.markers if marker.sample in fewer.cues]
    for row, marker in zip(known.lit, left, strict=True):
        assert set(np.flatnonzero(row)) == lit(PLAN, marker.label)


@pytest.mark.parametrize(("said", "right"), [("Q", 1), ("A", 0)])
def test_a_selection_is_judged_by_the_item_that_was_asked_for(said, right):
    shown = markers("Q")
    scorer = TrialScorer(SelectionSpan(classes=PLAN.items, start_s=0.0, stop_s=60.0))
    scorer.watch(SPEC)
    nothing = np.empty((0, 0), np.float32)
    scorer.watch(Chunk(samples=nothing, first_sample=0, arrived_ns=0, markers=tuple(shown)))
    flash = shown[5]
    probabilities = np.full(36, 0.01)
    probabilities[PLAN.items.index(said)] = 0.65
    decision = Decision(
        classes=PLAN.items,
        probabilities=probabilities,
        label=said,
        first_sample=flash.sample,
        stop_sample=flash.sample + 80,
        marker=flash,
    )
    times = StageTimes(
        due_ns=0, arrived_ns=0, conditioned_ns=0, cut_ns=0,
        encoded_ns=0, decided_ns=0, fed_back_ns=0, acted_ns=0,
    )  # fmt: skip
    scorer.watch(Turn(decision=decision, command=Command(label=said), times=times))
    report = scorer.report()
    assert (report.n, report.n_correct) == (1, right)
    ((cue, decided),) = scorer.outcomes()
    assert (cue.label, decided) == ("Q", said)


MENU = """
threshold = 0.95

[plan]
items = ["yes", "no", "help", "pain"]
repetitions = 8
refractory_s = 0.35
"""


def written(place: Path, text: str) -> Path:
    path = place / "menu.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_menu_of_words_is_fitted_saved_and_selected_from(tmp_path):
    options = read_options("p300_speller", written(tmp_path, MENU))
    person = {
        "task": "speller", "person": 1, "montage": "eeg8", "snr": 4.0, "chunk_s": 1.0,
        "duration_s": 60.0, "plan": options.plan, "text": "help no pain yes",
    }  # fmt: skip
    source = TrainingSource(
        name="simulated",
        data_id="seed 1",
        make=lambda clock: SimulatedParticipant(SimulatorConfig(seed=1, **person), clock),
    )
    # Nothing breaks off here, and watching for bad electrodes takes most of the time.
    watched = replace(SLOW, bad_channels=None)
    plans = plans_for(
        "p300_speller",
        encoder="evoked_epoch",
        conditioning=watched,
        options=options,
        promised_error=0.2,
    )
    fitted = fit_best([source], plans)
    assert "(the adapter speller) and was not judged here" in fitted.card.scores["served"]
    assert fitted.card.scores["promise"].startswith("No share of errors is promised")
    save_bundle(fitted, tmp_path / "menu.bundle")
    model = open_model(load_bundle(tmp_path / "menu.bundle"))
    assert model.card.classes == ("yes", "no", "help", "pain")
    assert model.adapter.config == options.config
    assert not any(name.startswith("letter_") for name in model.adapter.to_arrays())
    settings = SimulatorConfig(seed=2, **person)
    session = SessionConfig(
        name="menu", source=PartConfig(kind="simulator", settings=settings), model=tmp_path
    )
    accuracy = run_session(session, RunOptions(live=False, armed=True), model).score
    assert accuracy.n >= 8
    assert accuracy.interval[0] > 1.5 * accuracy.chance


def test_the_files_of_options_in_the_documentation_are_read(tmp_path):
    pages = Path(__file__).parents[2] / "docs" / "tasks.md"
    blocks = re.findall(r"```toml\n(.*?)```", pages.read_text(encoding="utf-8"), re.DOTALL)
    menu, letters = (
        read_options("p300_speller", written(tmp_path, text)) for text in blocks if "[plan]" in text
    )
    assert menu.plan.items == ("yes", "no", "help", "pain")
    assert [sorted(group) for group in groups(menu.plan)] == [[0, 1], [2, 3], [0, 2], [1, 3]]
    assert letters.letters == tmp_path / "what-i-write.txt"
    (said,) = (text for text in blocks if "[flicker]" in text)
    assert FlickerConfig(**tomllib.loads(said)["flicker"]).profile == "epilepsy"


def test_what_was_chosen_reaches_markers_and_adapter(tmp_path):
    options = read_options("p300_speller", written(tmp_path, MENU))
    (plan, *_) = plans_for("p300_speller", encoder="xdawn", options=options)
    assert plan.span.plan == options.plan
    assert options.config == SpellerConfig(threshold=0.95, plan=options.plan)
    (usual, *_) = plans_for("p300_speller", encoder="xdawn")
    assert usual.span == P300_SPELLER.span


def test_a_text_of_ones_own_lies_beside_the_options_and_says_which_letter_follows(tmp_path):
    (tmp_path / "mine.txt").write_text("QQQQ\n" * 20, encoding="utf-8")
    options = read_options("p300_speller", written(tmp_path, 'letters = "mine.txt"'))
    mine, usual = options.letter_model(), SpellerOptions().letter_model()
    q = usual.alphabet.index("Q")
    assert mine.prior("Q")[q] > 0.5 > 10 * usual.prior("Q")[q]


def test_a_menu_of_words_has_no_letter_model_unless_a_text_is_named(tmp_path):
    menu = SpellerPlan(items=("yes", "no"), flashing="single")
    assert SpellerOptions(plan=menu).letter_model() is None
    text = tmp_path / "mine.txt"
    text.write_text("yes no", encoding="utf-8")
    with pytest.raises(ConfigError, match="none of the speller's letters"):
        SpellerOptions(plan=menu, letters=text).letter_model()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("treshold = 0.9", "'treshold' is no key of .options.. Did you mean 'threshold'"),
        ("threshold = 0.5", r"menu.toml: threshold must be in \[0.9, 0.99\], got 0.5"),
        ("letters = 3", "options.letters must be a path in quotes, got 3"),
        ('[plan]\nitems = ["yes"]', "items must be at least 2 different names"),
        ("[plan", "menu.toml is not valid TOML"),
    ],
)
def test_options_that_cannot_be_used_are_refused_by_file_and_key(tmp_path, text, why):
    with pytest.raises(ConfigError, match=why):
        read_options("p300_speller", written(tmp_path, text))


def test_a_text_that_is_not_there_is_refused_before_anything_is_fitted(tmp_path):
    options = read_options("p300_speller", written(tmp_path, 'letters = "none.txt"'))
    with pytest.raises(ConfigError, match=r"letters names .*none\.txt, which cannot be read"):
        plans_for("p300_speller", options=options)
