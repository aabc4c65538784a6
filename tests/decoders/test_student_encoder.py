"""A student as the loop's encoder: it streams, forgets across gaps, and heeds masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the student needs torch")

from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.decoders.engines.opening import reference_engine, untaught
from diverloop.decoders.shipped import find_student, open_student
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.student_encoder import (
    StudentEncoder,
    StudentEncoderConfig,
)
from diverloop.decoders.student_files import save_student
from diverloop.runtime.bundle import join_parts
from diverloop.runtime.conformance import check_encoder
from diverloop.runtime.errors import BundleError, ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, EventKind, StreamSpec, Window

ROWS = tuple(Channel(name=f"E{i}", position_m=(0.01 * i, 0.0, 0.09)) for i in range(5))
SPEC = StreamSpec(name="test", rate_hz=500.0, channels=(*ROWS, Channel(name="unknown")))
N_TIMES = 230  # four hops and a rest
HOP = 50


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    torch.manual_seed(3)
    student = Student(StudentConfig(width=32, n_layers=1, n_latents=2, context=6))
    path = tmp_path_factory.mktemp("student") / "small.safetensors"
    save_student(student, path, {"made_by": "a test"})
    return path


@pytest.fixture
def encoder(path):
    first = untaught(StudentEncoderConfig.for_stream(SPEC, str(path)))
    first.open(SPEC, N_TIMES)
    return first.taught(np.stack([first.encode(window(x)).values for x in noise(9, 6, N_TIMES)]))


def window(samples: np.ndarray, usable: np.ndarray | None = None, first: int = -1) -> Window:
    return Window(
        samples=samples,
        first_sample=0,
        stop_sample=samples.shape[1],
        due_ns=0,
        usable=usable,
        conditioned_first=first,
    )


def noise(*shape: int) -> np.ndarray:
    return 20 * np.random.default_rng(1).standard_normal(shape)


def heard(path, samples: np.ndarray) -> np.ndarray:
    """What the student itself says of each hop, (n_hops, n_features)."""
    student, _ = open_student(str(path))
    positions = [[10.0 * i, 0.0, 90.0] for i in range(5)] + [[np.nan] * 3]
    with torch.no_grad():
        found = student(
            torch.tensor(samples[None], dtype=torch.float32),
            positions=torch.tensor([positions]),
            modality=torch.tensor([0]),
        )
    return found.embedding[0].numpy()


def test_it_keeps_every_clause_of_an_encoder(encoder):
    check_encoder(encoder, SPEC, N_TIMES)


def test_a_window_of_no_stream_is_the_mean_of_its_hops(encoder, path):
    samples = noise(6, N_TIMES)
    encoder.open(SPEC, N_TIMES)
    expected = heard(path, samples[:, 30:]).mean(axis=0)
    np.testing.assert_allclose(encoder.encode(window(samples)).values, expected, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.integers(0, 999))
def test_a_stream_is_heard_as_a_whole_however_its_windows_overlap(encoder_once, path, steps, first):
    """Sliding by whole hops, some windows skipped: each is the mean over its last hops."""
    stops = N_TIMES + HOP * np.cumsum([0, *steps])
    samples = noise(6, int(stops[-1]))
    encoder_once.open(SPEC, N_TIMES)
    by_hop = heard(path, samples[:, 30:])
    for stop in stops:
        cut = window(samples[:, stop - N_TIMES : stop], first=first + int(stop) - N_TIMES)
        n = (int(stop) - 30) // HOP
        expected = by_hop[n - 4 : n].mean(axis=0)
        np.testing.assert_allclose(encoder_once.encode(cut).values, expected, atol=1e-4)


@pytest.fixture(scope="module")
def encoder_once(path):
    """For tests that open it themselves, many times."""
    return untaught(StudentEncoderConfig.for_stream(SPEC, str(path)))


@pytest.mark.parametrize("step", [25, 251, -50, 0])
def test_a_window_that_does_not_go_on_is_heard_from_its_own_beginning(encoder, path, step):
    encoder.open(SPEC, N_TIMES)
    encoder.encode(window(noise(6, N_TIMES), first=1000))
    samples = noise(6, N_TIMES)[:, ::-1].copy()
    expected = heard(path, samples[:, 30:]).mean(axis=0)
    found = encoder.encode(window(samples, first=1000 + step))
    np.testing.assert_allclose(found.values, expected, atol=1e-5)


def test_after_nan_nothing_is_remembered(encoder, path):
    encoder.open(SPEC, N_TIMES)
    samples = noise(6, N_TIMES + 2 * HOP)
    encoder.encode(window(samples[:, :N_TIMES], first=0))
    broken = samples[:, HOP : HOP + N_TIMES].copy()
    broken[3, 7] = np.nan
    nothing = encoder.encode(window(broken, first=HOP))
    assert nothing.quality == 0
    assert np.isnan(nothing.values).all()
    last = samples[:, -N_TIMES:]
    expected = heard(path, last[:, 30:]).mean(axis=0)
    found = encoder.encode(window(last, first=2 * HOP))
    np.testing.assert_allclose(found.values, expected, atol=1e-5)


def test_masked_rows_lower_the_quality_and_nothing_else_of_them_is_seen(encoder):
    encoder.open(SPEC, N_TIMES)
    usable = np.array([True, True, False, True, True, True])
    embedding = encoder.encode(window(noise(6, N_TIMES), usable))
    assert embedding.quality == pytest.approx(5 / 6)
    several = [encoder.encode(window(x)).values for x in noise(9, 6, N_TIMES)]
    usual = np.mean(several, axis=0)
    n = 24  # readings of a row
    rows = slice(len(usual) - 4 * n, len(usual) - 3 * n)
    np.testing.assert_allclose(embedding.values[rows], usual[rows], atol=1e-5)
    none = encoder.encode(window(noise(6, N_TIMES), np.zeros(6, bool)))
    assert none.quality == 0
    assert np.isnan(none.values).all()


def test_what_the_engine_has_to_tell_comes_with_the_embedding(encoder):
    class Talking:
        def __init__(self, engine):
            self.restart, self.hear, self.close = engine.restart, engine.hear, engine.close
            self.notes = ["the other one took over."]

        def take_notes(self):
            notes, self.notes = tuple(self.notes), []
            return notes

    encoder.engine = Talking(reference_engine(encoder))
    encoder.open(SPEC, N_TIMES)
    (event,) = encoder.encode(window(noise(6, N_TIMES))).events
    assert (event.kind, event.text) == (EventKind.ENGINE, "the other one took over.")
    assert encoder.encode(window(noise(6, N_TIMES))).events == ()


def test_a_bundle_holds_all_of_it(encoder):
    arrays = join_parts(encoder=encoder.to_arrays())
    part = {name.removeprefix("encoder."): array for name, array in arrays.items()}
    again = StudentEncoder.from_arrays(encoder.config, part)
    samples = noise(6, N_TIMES)
    values = []
    for one in (encoder, again):
        one.open(SPEC, N_TIMES)
        values.append(one.encode(window(samples)).values)
    np.testing.assert_array_equal(*values)
    assert len(encoder.config.sha256) == 64
    wrong = {"usual": np.ones((6, 24)), "student.norm.weight": np.ones(32)}
    with pytest.raises(BundleError, match="fit the model again"):
        StudentEncoder.from_arrays(encoder.config, wrong).open(SPEC, N_TIMES)


def test_a_model_that_was_fitted_on_windows_alone_is_refused(encoder):
    older = replace(encoder.config, streams=False)
    with pytest.raises(BundleError, match="served as a stream now: fit the model again"):
        StudentEncoder.from_arrays(older, encoder.to_arrays())


def test_another_rate_and_too_short_a_window_are_refused(encoder):
    with pytest.raises(SchemaMismatch, match=r"set conditioning\.rate_hz = 500"):
        encoder.open(replace(SPEC, rate_hz=250.0), N_TIMES)
    with pytest.raises(SchemaMismatch, match="lengthen it"):
        encoder.open(SPEC, 49)


def test_a_row_without_a_place_is_none(path):
    config = StudentEncoderConfig.for_stream(SPEC, str(path))
    assert config.positions_mm[5] is None
    assert config.positions_mm[1] == (10.0, 0.0, 90.0)


def test_the_modality_follows_from_the_electrodes():
    grid = tuple(Channel(name=f"G{i}", kind="ecog") for i in range(4))
    assert StudentEncoderConfig.for_stream(SPEC).modality == "EEG"
    assert StudentEncoderConfig.for_stream(replace(SPEC, channels=grid)).modality == "iEEG"


def test_no_student_and_no_file_is_told_in_one_sentence():
    with pytest.raises(ConfigError, match="is no student and no file"):
        find_student("eeg-xs")
