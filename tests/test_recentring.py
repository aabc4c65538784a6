"""A model that is moved to today's centre, and says so."""

from __future__ import annotations

import functools
import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from diverloop.assembly import open_encoder, open_model
from diverloop.calibration import fit_best
from diverloop.cli import app
from diverloop.demo import CLASSES, SPAN
from diverloop.fit_plan import FitPlan
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.recentring import _windows, recentre_model
from diverloop.runtime.bundle import Bundle, load_bundle, save_bundle
from diverloop.runtime.errors import ConfigError, RecordingError, SchemaMismatch
from diverloop.training_sources import TrainingSource

from .modelled import write_npz

QUICK = {"span": SPAN, "classifier": "lda", "settings": {"n_components": 4}}
PLANS = [
    FitPlan(**QUICK),
    FitPlan(**QUICK, encoder="aligned_covariance", aligned=True),
]


class Recapped:
    """A source seen through another cap: every row has something of the others."""

    def __init__(self, source, seed: int, labelled: bool) -> None:
        self._source, self._labelled = source, labelled
        n = source.spec.n_channels
        noise = np.random.default_rng(seed).standard_normal((n, n)) / np.sqrt(n)
        self._cap = (np.eye(n) + 0.4 * noise).astype(np.float32)

    def __getattr__(self, name):
        return getattr(self._source, name)

    def read(self, wanted, until_ns):
        chunk = self._source.read(wanted, until_ns)
        if chunk is None:
            return None
        markers = chunk.markers if self._labelled else ()
        return replace(chunk, samples=self._cap @ chunk.samples, markers=markers)


def day(number: int, *, seconds: float = 50.0, labelled: bool = True, **more) -> TrainingSource:
    settings = SimulatorConfig(seed=number, duration_s=seconds, classes=CLASSES, **more)
    return TrainingSource(
        name=f"day {number}",
        data_id=f"simulated {number}",
        make=lambda clock: Recapped(SimulatedParticipant(settings, clock), number, labelled),
    )


@functools.cache
def model() -> Bundle:
    return fit_best([day(1), day(2)], PLANS[1:])


@pytest.mark.long
def test_it_is_compared_where_there_are_several_recordings_and_nowhere_else():
    names = [each["name"] for each in fit_best([day(1), day(2)], PLANS).card.scores["compared"]]
    assert names == ["filterbank_covariance", "aligned_covariance"]
    assert "compared" not in fit_best([day(1)], PLANS).card.scores
    # Whoever names it gets it all the same.
    assert fit_best([day(1)], PLANS[1:]).card.encoder == "aligned_covariance"


def test_a_model_of_several_days_says_how_it_was_judged():
    scores = model().card.scores
    assert "leave_one_recording_out" in scores
    assert "as `diverloop recentre` does" in scores["alignment"]


@pytest.mark.parametrize("labelled", [True, False])
def test_nothing_but_the_centre_moves_and_the_card_says_it(labelled):
    before, today = model(), day(3, seconds=40.0, labelled=labelled)
    after = recentre_model(before, today)
    changed = {
        name
        for name, array in before.arrays.items()
        if not np.array_equal(array, after.arrays[name])
    }
    assert before.arrays.keys() == after.arrays.keys()
    assert changed == {"encoder.whiteners"}
    assert after.card.epoch == before.card.epoch + 1
    assert after.card.trained_on[:-1] == before.card.trained_on
    assert after.card.trained_on[-1].name == "day 3"
    of = "trials, whatever they asked for" if labelled else "of the whole recording in day 3"
    assert of in after.card.scores["recentred"]
    assert after.card.scores["cross_validation"] == before.card.scores["cross_validation"]
    assert open_model(after).adapter.epoch == after.card.epoch


def test_today_lies_around_the_centre_afterwards():
    def away(bundle: Bundle) -> float:
        part, _ = _windows(bundle, day(3))
        return float(np.linalg.norm(open_encoder(bundle).encode_many(part.windows).mean(axis=0)))

    assert away(recentre_model(model(), day(3))) < 0.7 * away(model())


def test_labels_are_not_looked_at():
    swapped = day(3, seconds=40.0)

    class Swapped:
        def __init__(self, source) -> None:
            self._source = source

        def __getattr__(self, name):
            return getattr(self._source, name)

        def read(self, wanted, until_ns):
            chunk = self._source.read(wanted, until_ns)
            other = dict(zip(CLASSES, reversed(CLASSES), strict=True))
            return chunk and replace(
                chunk,
                markers=tuple(
                    replace(one, label=other.get(one.label, one.label)) for one in chunk.markers
                ),
            )

    liar = replace(swapped, make=lambda clock: Swapped(swapped.make(clock)))
    one, two = (recentre_model(model(), each).arrays for each in (swapped, liar))
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_what_cannot_be_recentred_is_told_in_one_sentence():
    with pytest.raises(ConfigError, match="filterbank_covariance has no centre that could be"):
        recentre_model(fit_best([day(1)], PLANS[:1]), day(3))
    with pytest.raises(SchemaMismatch, match="rate is 500 Hz"):
        recentre_model(model(), day(3, rate_hz=500.0))
    with pytest.raises(RecordingError, match=r"has 3 windows .* record a minute or two"):
        recentre_model(model(), day(3, seconds=4.0, labelled=False))


def test_the_command_writes_the_next_epoch_and_leaves_the_model_as_it_is(tmp_path):
    before = save_bundle(model(), tmp_path / "mi.bundle")
    today = write_npz(tmp_path / "today.npz", seconds=40.0)
    told = ["recentre", str(tmp_path / "mi.bundle"), str(today), "-o", str(tmp_path / "new.bundle")]
    done = CliRunner().invoke(app, [*told, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    made = load_bundle(tmp_path / "new.bundle")
    assert (found["epoch"], made.card.epoch) == (1, 1)
    assert found["sha256"] == made.card.sha256
    assert found["recentred"] == made.card.scores["recentred"]
    assert load_bundle(tmp_path / "mi.bundle").card.sha256 == before
    again = CliRunner().invoke(app, told)
    assert again.exit_code != 0
    assert "never overwritten" in " ".join(again.output.split())


def test_the_command_says_of_another_model_why_not(tmp_path):
    save_bundle(fit_best([day(1)], PLANS[:1]), tmp_path / "mi.bundle")
    told = [
        str(tmp_path / "mi.bundle"),
        str(write_npz(tmp_path / "today.npz")),
        "-o",
        str(tmp_path / "n.bundle"),
    ]
    done = CliRunner().invoke(app, ["recentre", *told, "--json"])
    assert done.exit_code != 0
    assert "no centre that could be moved" in json.loads(done.output)["message"]
