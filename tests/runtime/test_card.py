from __future__ import annotations

from dataclasses import replace

import pytest

from diverloop.runtime.card import (
    Card,
    CardData,
    CardInput,
    CardWindow,
    pick_rows,
    versions_now,
)
from diverloop.runtime.errors import BundleError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec


def stream(*names: str, rate_hz: float = 160.0, kind: str = "eeg") -> StreamSpec:
    channels = tuple(Channel(name=name, kind=kind) for name in names)
    return StreamSpec(name="cap", rate_hz=rate_hz, channels=channels)


FITTED_ON = stream("C3", "Cz", "C4")


@pytest.fixture
def card() -> Card:
    return Card(
        task="motor_imagery",
        classes=("left", "right"),
        encoder="filterbank_covariance",
        adapter="linear",
        encoder_config={"n_bands": 2},
        adapter_config={"classes": ["left", "right"]},
        conditioning={"reference": "average"},
        input=CardInput.of(FITTED_ON),
        conditioned_rows=("8-12/C3", "8-12/Cz", "8-12/C4"),
        window=CardWindow(length_s=2.0, step_s=0.1, n_times=320),
        reference="average",
        band=(8.0, 30.0),
        trained_on=(CardData(data_id="ab12", name="run 4", seconds=125.0, n_trials=15),),
        scores={"accuracy": 0.8},
        versions={"python": "3.11.7"},
        created_utc="2026-11-22T08:00:00Z",
    )


def test_the_input_of_a_card_is_the_stream_it_was_made_of(card):
    assert card.input.schema == FITTED_ON.schema
    assert [row.name for row in card.input.channels] == ["C3", "Cz", "C4"]
    assert pick_rows(card, FITTED_ON) == [0, 1, 2]


def test_equal_cards_have_equal_hashes_and_any_change_gives_another(card):
    assert replace(card).sha256 == card.sha256
    assert replace(card, epoch=1).sha256 != card.sha256
    assert replace(card, weights_sha256="00").sha256 != card.sha256


def test_the_hash_does_not_depend_on_the_order_in_which_a_dict_was_filled(card):
    one = replace(card, scores={"a": 1, "b": 2})
    other = replace(card, scores={"b": 2, "a": 1})
    assert one.sha256 == other.sha256


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_a_card_refuses_what_json_cannot_hold(card, value):
    with pytest.raises(BundleError, match="JSON cannot"):
        replace(card, scores={"kappa": value}).to_json()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (stream("C3", "Cz", "C4", rate_hz=250.0), "rate is 250 Hz, expected 160 Hz"),
        (stream("Cz", "Pz"), "missing channels C3, C4"),
        (
            stream("C3..", "CZ", "C4"),
            r"missing channels C3, Cz; channels written otherwise \(C3\.\. for C3, CZ for Cz\)",
        ),
        (stream("C3", "Cz", "C4", kind="emg"), r"kinds differ \(C3 is emg, expected eeg;"),
        (stream("C3", "C3", "Cz", "C4"), "more than once C3"),
    ],
)
def test_a_stream_that_differs_is_refused_with_the_difference(card, spec, words):
    with pytest.raises(SchemaMismatch, match=words):
        pick_rows(card, spec)


def test_all_differences_are_told_at_once(card):
    with pytest.raises(SchemaMismatch, match=r"rate is .*; missing .*; kinds .*"):
        pick_rows(card, stream("C3", "Oz", rate_hz=500.0, kind="emg"))


def test_rows_are_picked_from_another_order_and_from_among_others(card):
    assert pick_rows(card, stream("Oz", "C4", "C3", "Cz")) == [2, 3, 1]


@pytest.mark.parametrize(
    "spec",
    [
        stream("C3", "C4", "Oz"),
        stream("C4", "C3", "Cz", rate_hz=161.0),
        stream("C4", "C3", "Cz", kind="eog"),
        stream("C4", "C3", "Cz", "C3"),
    ],
)
def test_rows_are_not_picked_where_something_is_missing_or_ambiguous(card, spec):
    with pytest.raises(SchemaMismatch, match="not the one the model was fitted on"):
        pick_rows(card, spec)


def test_a_stream_with_two_rows_of_one_name_still_fits_a_model_fitted_on_just_that(card):
    twins = stream("bip", "bip")
    assert pick_rows(replace(card, input=CardInput.of(twins)), twins) == [0, 1]


def test_versions_name_python_and_numpy():
    assert {"python", "numpy", "scipy"} <= versions_now().keys()
