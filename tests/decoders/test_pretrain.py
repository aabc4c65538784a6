"""Pretraining: what is hidden is guessed, and nothing else counts."""

from __future__ import annotations

import csv
import os
import signal

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pretraining needs torch")

from diverloop.decoders.corpus import Corpus, CorpusEntry, DrawPlan
from diverloop.decoders.masking import MaskedBatch
from diverloop.decoders.pretrain import PretrainConfig, pretrain, teacher_groups
from diverloop.decoders.reconstruction import Reconstruction
from diverloop.decoders.teacher import Teacher, TeacherConfig
from diverloop.decoders.teacher_files import load_teacher
from diverloop.decoders.training_plan import TrainPlan
from diverloop.runtime.errors import ConfigError, TrainingStopped

LONG = TeacherConfig(width=32, n_layers=1, patch=500)
SHORT = TeacherConfig(width=32, n_layers=1, patch=50)


def draws(patch):
    return DrawPlan(patch=patch, max_channels=4, max_patches=4, min_channels=3, min_patches=3)


def signal_uv(rng, n_channels, seconds, scale_uv=10.0):
    """A 10 Hz rhythm of changing size in every channel, under noise."""
    t = np.arange(seconds * 500) / 500
    size = 1 + 0.5 * np.sin(2 * np.pi * 0.1 * t + rng.uniform(0, 6))
    rhythm = size * np.sin(2 * np.pi * 10 * t + rng.uniform(0, 6))
    noise = rng.standard_normal((n_channels, len(t)))
    return (scale_uv * (rhythm + 0.3 * noise)).astype(np.float32)


def corpus_of(folder, n=4, modality="EEG"):
    rng = np.random.default_rng(8)
    names = tuple(f"C{i}" for i in range(5))
    entries = [
        CorpusEntry(
            name=f"recording {i}", data_id=f"made-{i}", licence="simulated", modality=modality,
            channel_names=names, positions_mm=((0.0, 10.0, 20.0),) * 5, subtypes=(-1,) * 5,
            calibrated=True,
        )
        for i in range(n)
    ]  # fmt: skip
    return Corpus.build(folder, [(entry, [signal_uv(rng, 5, 20)]) for entry in entries])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return corpus_of(tmp_path_factory.mktemp("corpus"))


def plan_of(out, **changed):
    settings = {
        "out": out, "steps": 4, "batch": 4, "learning_rate": 3e-3, "log_every": 1,
        "validate_every": 1000, "tensorboard": False, "device": "cpu",
    }  # fmt: skip
    return TrainPlan(**(settings | changed))


def config_of(patch, **changed):
    return PretrainConfig(**({"draw": draws(patch), "validation_batches": 3} | changed))


def row(path):
    with path.open(newline="", encoding="utf-8") as file:
        return {name: float(value) for name, value in list(csv.DictReader(file))[-1].items()}


def assert_same_weights(one, two):
    one, two = load_teacher(one).state_dict(), load_teacher(two).state_dict()
    for name in one:
        assert torch.equal(one[name], two[name]), name


# --- learning ----------------------------------------------------------------------------------


def test_a_teacher_learns_to_guess_better_than_those_who_know_nothing(tmp_path, corpus):
    path = pretrain(corpus, SHORT, config_of(50), plan_of(tmp_path, steps=80, batch=8))
    found = row(tmp_path / "validation.csv")
    assert found["loss"] < found["typical_loss"]
    assert found["time"] < found["typical_time"]
    assert found["visible_loss"] < found["typical_loss"]
    assert path == tmp_path / "teacher.safetensors"
    assert load_teacher(path).config == SHORT


@pytest.mark.parametrize(
    ("config", "columns"), [(LONG, {"time", "fft", "stft"}), (SHORT, {"time", "fft"})]
)
def test_the_log_has_the_domains_of_the_patch(tmp_path, corpus, config, columns):
    pretrain(corpus, config, config_of(config.patch), plan_of(tmp_path, steps=2))
    found = row(tmp_path / "log.csv")
    assert columns == set(found) & {"time", "fft", "stft"}
    weights = {500: (1.0, 0.1, 1.0), 50: (1.0, 1.0, 0.0)}[config.patch]
    expected = sum(w * found.get(name, 0.0) for w, name in zip(weights, ("time", "fft", "stft")))  # noqa: B905
    assert found["loss"] == pytest.approx(expected, rel=1e-4)


def test_a_run_that_was_stopped_goes_on_to_the_same_teacher(tmp_path, corpus):
    arguments = (corpus, SHORT, config_of(50))
    whole = pretrain(*arguments, plan_of(tmp_path / "whole"))

    def stop(_text, done, _of):
        if done == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingStopped, match="goes on from"):
        pretrain(*arguments, plan_of(tmp_path / "parts"), stop)
    assert_same_weights(pretrain(*arguments, plan_of(tmp_path / "parts")), whole)


def test_other_data_in_the_same_folder_are_refused(tmp_path, corpus):
    pretrain(corpus, SHORT, config_of(50), plan_of(tmp_path / "run", steps=1))
    other = corpus_of(tmp_path / "other", n=3)
    with pytest.raises(ConfigError, match="corpus was"):
        pretrain(other, SHORT, config_of(50), plan_of(tmp_path / "run", steps=1))


def test_the_seed_decides_the_teacher(tmp_path, corpus):
    runs = [
        pretrain(corpus, SHORT, config_of(50), plan_of(tmp_path / name, steps=1, seed=seed))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert_same_weights(runs[0], runs[1])
    with pytest.raises(AssertionError):
        assert_same_weights(runs[0], runs[2])


# --- the loss ----------------------------------------------------------------------------------


def asked(config, corpus, patch=50, seed=3):
    teacher = TeacherConfig(width=32, n_layers=1, patch=patch, dropout=0.0)
    objective = Reconstruction(teacher, config)
    masked = objective.draw(corpus, np.random.default_rng(seed), 4)
    torch.manual_seed(1)
    made = Teacher(teacher).eval()
    for head in made.heads.values():
        torch.nn.init.normal_(head.weight, std=0.1)
    return objective, masked, made


def test_what_is_visible_does_not_count_and_what_is_hidden_is_not_seen(corpus):
    objective, masked, teacher = asked(config_of(50), corpus)
    loss, _ = objective.loss(teacher, masked)
    features = teacher(*masked.batch, mask=masked.mask)
    hidden = masked.mask.repeat_interleave(50, dim=2)
    # Other samples under the mask: the same features, another truth.
    changed = masked.batch._replace(x=torch.where(hidden, 5.0, masked.batch.x))
    assert torch.equal(teacher(*changed, mask=masked.mask), features)
    assert objective.loss(teacher, MaskedBatch(changed, masked.mask))[0] != loss
    targets = objective.targets(masked)
    guess = teacher.reconstruct(features)
    expected = sum(
        (guess[name] - targets[name])[masked.mask].square().mean() for name in ("time", "fft")
    )
    torch.testing.assert_close(loss, expected)


def test_unusable_channels_do_not_count(corpus):
    objective, masked, teacher = asked(config_of(50), corpus)
    usable = masked.batch.usable.clone()
    usable[:, 0] = False
    noise = masked.batch.x.clone()
    noise[:, 0] = 77.0
    losses = [
        objective.loss(teacher, MaskedBatch(masked.batch._replace(x=x, usable=usable), masked.mask))
        for x in (masked.batch.x, noise)
    ]
    assert torch.equal(losses[0][0], losses[1][0])


def test_targets_are_scaled_by_modality_and_clipped(corpus):
    objective, masked, _ = asked(config_of(50), corpus)
    x = torch.full_like(masked.batch.x, 150.0)
    for code, expected in ((0, 1.0), (1, 0.75)):
        batch = masked.batch._replace(x=x, modality=torch.full((4,), code))
        assert (objective.targets(MaskedBatch(batch, masked.mask))["time"] == expected).all()


def test_a_weight_on_high_frequencies_raises_their_share_and_keeps_the_sum(corpus):
    plain, masked, _ = asked(config_of(50), corpus)
    raised, _, _ = asked(config_of(50, high_frequency_weight=4.0), corpus)
    targets = plain.targets(masked)
    for hz, goes in ((10, -1), (180, 1)):
        guess = {name: value.clone() for name, value in targets.items()}
        guess["fft"][..., hz] += 1.0
        before, after = (one._judge(guess, masked)[1]["fft"] for one in (plain, raised))
        assert before.item() == pytest.approx(1 / 200, rel=1e-4)
        assert (after - before) * goes > 0
    off = {name: value + 1.0 for name, value in targets.items()}
    assert raised._judge(off, masked)[1]["fft"].item() == pytest.approx(1.0, rel=1e-4)


def test_half_of_the_patches_are_hidden(corpus):
    objective = Reconstruction(SHORT, config_of(50))
    rng = np.random.default_rng(0)
    shares = [objective.draw(corpus, rng, 8).mask.float().mean().item() for _ in range(40)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.04)


def test_every_trainable_parameter_of_a_teacher_learns(corpus):
    objective, masked, teacher = asked(config_of(500), corpus, patch=500)
    mixed = masked.batch._replace(subtypes=torch.zeros_like(masked.batch.subtypes))
    objective.loss(teacher, MaskedBatch(mixed, masked.mask))[0].backward()
    still = {name for name, value in teacher.named_parameters() if value.grad is None}
    assert not still
    names = [name for group in teacher_groups(teacher) for name in group.names]
    assert sorted(names) == sorted(name for name, _ in teacher.named_parameters())


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mask_share", 0.0), ("mask_share", 1.0), ("weights", (0.0, 0.0, 0.0)),
        ("weights", (1.0, -1.0, 1.0)), ("amplitude", "power"), ("high_frequency_weight", -1.0),
        ("correlated_masking", 0.0), ("held_out", 1.0), ("validation_batches", 0),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        PretrainConfig(**{name: value})


def test_draws_with_another_patch_than_the_teacher_are_refused():
    with pytest.raises(ConfigError, match="patches of 500 samples, the teacher takes 50"):
        Reconstruction(SHORT, config_of(500))


def test_short_time_spectra_of_short_patches_are_refused():
    with pytest.raises(ConfigError, match="third weight"):
        Reconstruction(SHORT, config_of(50, weights=(1.0, 1.0, 1.0)))


def test_a_single_recording_cannot_be_held_out(tmp_path):
    single = corpus_of(tmp_path / "corpus", n=1)
    with pytest.raises(ConfigError, match="set held_out to 0"):
        pretrain(single, SHORT, config_of(50), plan_of(tmp_path / "run"))
    path = pretrain(single, SHORT, config_of(50, held_out=0.0), plan_of(tmp_path / "run", steps=1))
    assert path.exists()
    assert not (tmp_path / "run" / "validation.csv").exists()
