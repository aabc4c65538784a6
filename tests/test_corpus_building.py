"""Recordings and simulated participants become a corpus, and recipes say which."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import numpy as np
import pytest

from diverloop.corpus_building import (
    CONDITIONING,
    SHIPPED,
    UNCALIBRATED_UV,
    CorpusSource,
    build_corpus,
    read_recipe,
)
from diverloop.corpus_recipe import RecipeRecordings
from diverloop.decoders.corpus import SUBTYPES, Corpus
from diverloop.hardware.montage import scalp_position_m
from diverloop.hardware.recordings import Recording
from diverloop.hardware.replay import ReplayConfig, ReplaySource
from diverloop.runtime.errors import ConfigError, RecordingError
from diverloop.runtime.messages import Channel, Chunk, StreamSpec
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.training_sources import TrainingSource

from .data import data_root, recording_path

GRID, STRIP, DEPTH = (SUBTYPES.index(name) for name in ("grid", "strip", "depth"))


def rows(*names, kind="eeg", place=None):
    return tuple(Channel(name=name, kind=kind, position_m=place) for name in names)


def recorded(channels, rate_hz=250.0, seconds=12.0, seed=0, uv=10.0):
    n_times = round(seconds * rate_hz)
    noise = np.random.default_rng(seed).standard_normal((len(channels), n_times))
    return Recording(
        spec=StreamSpec(name="made up", rate_hz=rate_hz, channels=channels),
        samples=(uv * noise).astype(np.float32),
        data_id=f"noise {seed}",
        path="made up",
    )


def replayed(recording, name="one", opened=None, **told):
    def make(clock):
        if opened is not None:
            opened.append(name)
        return ReplaySource(ReplayConfig(path="made up"), clock, recording)

    source = TrainingSource(name=name, data_id=recording.data_id, make=make)
    return CorpusSource(**{"source": source, "licence": "CC0-1.0", **told})


# ----------------------------------------------------------------------------------- the signal


def test_the_signal_is_what_the_live_conditioner_gives_once_it_has_settled(tmp_path):
    recording = recorded(rows("C3", "Cz"))
    config = replace(CONDITIONING["EEG"], line_hz=50.0)
    live = StreamConditioner(config)
    live.open(recording.spec)
    chunk = Chunk(samples=recording.samples, first_sample=0, arrived_ns=0)
    expected = live.process(chunk).samples[:, live.settle_samples :]
    corpus = build_corpus([replayed(recording)], tmp_path)
    assert np.array_equal(corpus.samples(0), expected.astype(np.float32))
    assert corpus.entries[0].seconds == expected.shape[1] / 500
    assert corpus.entries[0].conditioning["line_hz"] == 50.0


@pytest.mark.parametrize("rate_hz", [128.0, 160.0, 256.0, 500.0, 999.4, 1375.0])
def test_any_rate_comes_out_at_500_hz(tmp_path, rate_hz):
    recording = recorded(rows("C3"), rate_hz)
    times_s = np.arange(recording.n_times) / rate_hz
    tone = (20 * np.sin(2 * np.pi * 11.0 * times_s)).astype(np.float32)[None]
    corpus = build_corpus([replayed(replace(recording, samples=tone))], tmp_path)
    signal = corpus.samples(0)[0, :4000].astype(np.float64)
    power = np.abs(np.fft.rfft(signal))
    assert np.fft.rfftfreq(4000, 1 / 500)[power.argmax()] == 11.0
    assert signal.std() == pytest.approx(20 / np.sqrt(2), rel=0.02)


def test_the_mains_of_each_source_are_taken_out(tmp_path):
    recording = recorded(rows("C3"), 500.0)
    hum = 200 * np.sin(2 * np.pi * 60 * np.arange(recording.n_times) / 500)
    loud = replace(recording, samples=recording.samples + hum.astype(np.float32))
    corpus = build_corpus(
        [replayed(loud, "60", line_hz=60.0), replayed(loud, "50", line_hz=50.0)], tmp_path
    )
    assert corpus.samples(0).std() < 15
    assert corpus.samples(1).std() > 100


def test_a_hole_splits_the_signal_and_never_enters_it(tmp_path):
    recording = recorded(rows("C3", "Cz"), seconds=24.0)
    holed = recording.samples.copy()
    holed[0, 2500:2600] = np.nan
    lost = replace(recording, samples=holed)
    gap = replace(lost, gaps=((2500, 2600),))
    by_value = build_corpus([replayed(lost)], tmp_path / "value")
    by_gap = build_corpus([replayed(gap)], tmp_path / "gap")
    for corpus in (by_value, by_gap):
        assert np.isfinite(corpus.samples(0)).all()
        first, second = corpus.entries[0].stretches
        assert first[1] < 2500 * 2
        assert second[0] == first[1]
        # Of both, the filters' settling is left out.
        assert 24.0 - 0.4 - corpus.entries[0].seconds > 2 * 3.0
    assert np.array_equal(by_value.samples(0), by_gap.samples(0))


def test_a_channel_that_is_not_picked_may_be_missing(tmp_path):
    recording = recorded(rows("C3", "Cz"))
    recording.samples[1] = np.nan
    corpus = build_corpus([replayed(recording, pick=("C3",))], tmp_path)
    assert corpus.entries[0].channel_names == ("C3",)
    with pytest.raises(RecordingError, match="has no stretch of 1 s without a hole"):
        build_corpus([replayed(recording)], tmp_path)


def test_signal_in_unknown_units_is_scaled_to_a_usual_size(tmp_path):
    channels = rows("C3", "Cz", "C4")
    recording = recorded(channels)
    recording.samples[:] *= np.array([[1e6], [2e6], [4e6]], dtype=np.float32)
    corpus = build_corpus([replayed(recording, calibrated=False)], tmp_path)
    rms = np.sqrt(np.mean(np.asarray(corpus.samples(0), float) ** 2, axis=1))
    assert rms[1] == pytest.approx(UNCALIBRATED_UV, rel=1e-4)
    assert rms[2] / rms[0] == pytest.approx(4.0, rel=0.05)
    assert not corpus.entries[0].calibrated
    silent = replace(recording, samples=np.zeros_like(recording.samples), data_id="zeros")
    with pytest.raises(RecordingError, match="zeros alone"):
        build_corpus([replayed(silent, calibrated=False)], tmp_path)


def test_a_recording_shorter_than_the_filters_need_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="leave it out"):
        build_corpus([replayed(recorded(rows("C3"), seconds=4.0))], tmp_path)


# ------------------------------------------------------------------------------------- the rows


def test_a_mixed_recording_becomes_two_entries(tmp_path):
    channels = (*rows("C3", "Cz"), *rows("S1", "S2", kind="ecog"), *rows("EOG", kind="eog"))
    both = build_corpus([replayed(recorded(channels))], tmp_path / "both")
    assert [(e.name, e.modality, e.channel_names) for e in both.entries] == [
        ("one EEG", "EEG", ("C3", "Cz")),
        ("one iEEG", "iEEG", ("S1", "S2")),
    ]
    assert both.entries[0].conditioning["high_pass_hz"] == 0.3
    assert both.entries[1].conditioning["high_pass_hz"] == 0.5
    one = build_corpus([replayed(recorded(channels), modality="iEEG")], tmp_path / "one")
    assert [e.name for e in one.entries] == ["one"]


def test_places_come_from_the_recording_or_from_the_label(tmp_path):
    known = rows("x1", place=(0.01, -0.02, 0.03))
    channels = (*known, *rows("FP1", "CZ", "T3", "Fz", "Fc5.", "nowhere"))
    corpus = build_corpus([replayed(recorded(channels))], tmp_path)
    places = np.array(corpus.entries[0].positions_mm)
    labels = ("Fp1", "Cz", "T7", "Fz", "FC5")
    assert places[0].tolist() == [10.0, -20.0, 30.0]
    assert np.allclose(places[1:6], [1000 * np.array(scalp_position_m(n)) for n in labels], 0, 1e-3)
    assert np.isnan(places[6]).all()


def test_intracranial_places_are_never_guessed_and_may_be_written_in_millimetres(tmp_path):
    channels = (*rows("C1", kind="ecog"), *rows("L1", kind="lfp", place=(-11.3, -15.9, -9.9)))
    corpus = build_corpus([replayed(recorded(channels))], tmp_path)
    places = np.array(corpus.entries[0].positions_mm)
    assert np.isnan(places[0]).all()
    assert places[1].tolist() == [-11.3, -15.9, -9.9]


def test_kind_and_numbering_tell_grids_strips_and_depths_apart(tmp_path):
    channels = (
        *rows(*(f"G{n}" for n in range(1, 17)), kind="ecog"),
        *rows(*(f"ECOG_L_{n}_AT" for n in range(1, 7)), "lone", kind="ecog"),
        *rows("LA1", kind="seeg"),
        *rows("LFP_L_1", kind="lfp"),
    )
    corpus = build_corpus([replayed(recorded(channels, seconds=6.0))], tmp_path)
    expected = (*[GRID] * 16, *[STRIP] * 6, -1, DEPTH, DEPTH)
    assert corpus.entries[0].subtypes == expected
    scalp = build_corpus([replayed(recorded(rows("C3", "C4")))], tmp_path)
    assert scalp.entries[0].subtypes == (-1, -1)


def test_a_file_that_calls_everything_eeg_can_be_corrected(tmp_path):
    channels = rows("LA1", "LA2", "EKG")
    source = replayed(recorded(channels), kind="seeg", modality="iEEG", pick=("LA1", "LA2"))
    corpus = build_corpus([source], tmp_path)
    assert corpus.entries[0].modality == "iEEG"
    assert corpus.entries[0].subtypes == (DEPTH, DEPTH)
    with pytest.raises(RecordingError, match="has no iEEG electrode"):
        build_corpus([replayed(recorded(channels), modality="iEEG")], tmp_path)
    with pytest.raises(RecordingError, match="lacks LA3"):
        build_corpus([replayed(recorded(channels), pick=("LA1", "LA3"))], tmp_path)


# ------------------------------------------------------------------------------------ the folder


def test_a_second_build_makes_only_what_is_new_or_changed(tmp_path):
    made, said = [], []
    a, b = recorded(rows("C3"), seed=1), recorded(rows("C3"), seed=2)
    first = build_corpus([replayed(a, "a"), replayed(b, "b")], tmp_path)
    files = {path.name: path.stat().st_ino for path in tmp_path.glob("*.npy")}
    sources = [replayed(b, "b", made), replayed(a, "a", made, line_hz=60.0)]
    second = build_corpus(sources, tmp_path, lambda *told: said.append(told))
    assert made == ["b", "a", "a"]  # once for its rows, once more for its signal
    assert said == [("conditioning b", 0, 2), ("conditioning a", 1, 2)]
    kept = second.entries[0].file
    assert (tmp_path / kept).stat().st_ino == files[kept]
    assert len(list(tmp_path.glob("*.npy"))) == 2
    assert second.sha256 != first.sha256


def test_a_failed_build_can_go_on(tmp_path):
    good, short = recorded(rows("C3"), seed=1), recorded(rows("C3"), seconds=2.0)
    with pytest.raises(RecordingError):
        build_corpus([replayed(good, "good"), replayed(short, "short")], tmp_path)
    assert [e.name for e in Corpus.open(tmp_path).entries] == ["good"]
    made = []
    build_corpus([replayed(good, "good", made)], tmp_path)
    assert made == ["good"]


@pytest.mark.parametrize(
    "told",
    [
        {"rate_hz": 250.0},
        {"reference": "bipolar"},
        {"bands_hz": ((8.0, 12.0),)},
        {"clean": ("line",)},
    ],
)
def test_conditioning_that_does_not_keep_the_electrodes_is_refused(tmp_path, told):
    config = ConditionConfig(**{"rate_hz": 500.0, **told})
    with pytest.raises(ConfigError, match="500 Hz"):
        build_corpus([], tmp_path, conditioning={"EEG": config})


def test_a_source_without_a_licence_is_refused():
    with pytest.raises(ConfigError, match="has no licence"):
        replayed(recorded(rows("C3")), licence="")
    with pytest.raises(ConfigError, match="modality must be one of"):
        replayed(recorded(rows("C3")), modality="ECoG")


# ------------------------------------------------------------------------------------ the recipe

SIMULATED = """
[[simulated]]
name = "grid"
montage = "ecog8x8"
task = "motor_imagery"
rate_hz = 500
seconds = 5
seeds = [1, 2]

[[simulated]]
name = "cap"
montage = "eeg8"
task = "rest"
rate_hz = 250
seconds = 5
seeds = [3]
pick = ["C3", "C4"]
"""


def test_simulated_participants_come_from_a_recipe(tmp_path):
    (tmp_path / "r.toml").write_text(SIMULATED)
    sources = read_recipe(tmp_path / "r.toml", tmp_path)
    corpus = build_corpus(sources, tmp_path / "a")
    assert [e.name for e in corpus.entries] == ["grid 1", "grid 2", "cap 3"]
    assert {e.licence for e in corpus.entries} == {"simulated"}
    assert set(corpus.entries[0].subtypes) == {GRID}
    assert corpus.entries[2].channel_names == ("C3", "C4")
    assert not np.array_equal(corpus.samples(0), corpus.samples(1))
    scalp = read_recipe(tmp_path / "r.toml", tmp_path, modality="EEG")
    assert [s.source.name for s in scalp] == ["cap 3"]
    again = build_corpus(scalp, tmp_path / "b")
    assert again.sha256 == corpus.only(modality="EEG").sha256


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[recordings", "not valid TOML"),
        ("[data]\n", "has data"),
        (SIMULATED.replace("seeds = [3]", "seed = 3"), "unknown seed"),
        (SIMULATED.replace("seconds = 5", "seconds = 'six'"), "'grid' of the recipe"),
        ("[[recordings]]\nname = 'x'\n", "'x' of the recipe"),
        ("recordings = 3", r"recordings of the recipe .* \[\[recordings\]\]"),
        ("recordings = [1]", r"recordings of the recipe .* \[\[recordings\]\]"),
        ("[simulated]\nname = 'x'\n", r"simulated of the recipe .* \[\[simulated\]\]"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_refused(tmp_path, text, says):
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_recipe(tmp_path / "r.toml", tmp_path)


def shipped_tables():
    return tomllib.loads(SHIPPED.read_text(encoding="utf-8"))["recordings"]


def test_the_shipped_recipe_names_nothing_that_models_are_judged_on():
    named = {file: table for table in shipped_tables() for file in table["files"]}
    held_out = [
        *(f"mi/eegmmidb_S001_R{n:02}.npz" for n in (7, 8, 9, 10)),
        *(f"ssvep/exo_X{n:02}_run2.npz" for n in (1, 3, 4, 7)),
        "ssvep/exo_X10_run4.npz", "ssvep/exo_X12_run3.npz",
        *(f"p300/muse_M1_ses2_run{n}.npz" for n in range(1, 6)),
        *(f"ssvep/muse_V1_run{n}.npz" for n in (3, 4)),
        *(f"erp/muse_L1_ses1_run{n}.npz" for n in (4, 5)),
        "formats/eegmmidb_S001R04.edf", "speech/feis_F01_articulators.npz",
    ]  # fmt: skip
    assert not set(named) & set(held_out)
    halves = {file: table["to_s"] for file, table in named.items() if table["modality"] == "iEEG"}
    assert halves == {
        "ecog/mne_sample_ecog_ictal.edf": 10.8,
        "seeg/mne_sample_seeg.edf": 10.0,
        "ecog/berlin_B1_buttonpress.npz": 9.0,
    }
    assert len(named) == sum(len(table["files"]) for table in shipped_tables())


def test_the_shipped_recipe_names_only_data_that_may_be_passed_on():
    allowed = {"ODC-BY-1.0", "CC0-1.0", "BSD-2-Clause", "BSD-3-Clause", "MPL-2.0", "MIT"}
    tables = shipped_tables()
    assert {table["licence"] for table in tables} <= allowed
    assert all(table["credit"] for table in tables)
    unlicensed = ("gtec", "openbmi", "emotiv", "sp1s")
    named = [file for table in tables for file in table["files"]]
    assert not [file for file in named if any(word in file for word in unlicensed)]


@pytest.mark.data
def test_real_recordings_of_the_shipped_recipe_become_a_corpus_of_a_usual_size(tmp_path):
    recording_path("ssvep/exo_X01_run1.npz")
    wanted = (
        "mi/eegmmidb_S001_R01.npz",
        "ssvep/exo_X01_run1.npz",
        "ecog/berlin_B1_buttonpress.npz",
    )
    sources = []
    for table in shipped_tables():
        files = tuple(file for file in table["files"] if file in wanted)
        sources += RecipeRecordings(**{**table, "files": files}).sources(data_root())
    corpus = build_corpus(sources, tmp_path)
    told = {e.name: (e.modality, e.n_channels, e.calibrated) for e in corpus.entries}
    assert told == {
        "mi/eegmmidb_S001_R01.npz": ("EEG", 64, True),
        "ssvep/exo_X01_run1.npz": ("EEG", 8, False),
        "ecog/berlin_B1_buttonpress.npz from 0 s to 9 s": ("iEEG", 11, False),
    }
    for place, one in enumerate(corpus.entries):
        rms = np.median(np.asarray(corpus.samples(place)).std(axis=1))
        assert 5 < rms < 60, one.name
        assert np.isfinite(one.positions_mm).all()
        assert one.credit
