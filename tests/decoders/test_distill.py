"""Distillation: the student learns, the teacher does not change, and a file comes out."""

import csv
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="teacher and student need torch")

from diverloop.decoders.augment import AugmentConfig, Drawn
from diverloop.decoders.corpus import Corpus, CorpusEntry
from diverloop.decoders.distill import Distillation, distill, groups_of, loss_of
from diverloop.decoders.distill_check import Agreement, Checker
from diverloop.decoders.distill_config import DistillConfig
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.student_files import load_student, save_student, student_note
from diverloop.decoders.teacher import Teacher, TeacherConfig
from diverloop.decoders.training_plan import TrainPlan
from diverloop.runtime.errors import ConfigError

SMALL = StudentConfig(width=32, n_layers=1, n_latents=2, context=10)
QUICK = DistillConfig(
    aside=0.25, validation_batches=2, max_channels=4, min_channels=4, max_seconds=2, min_seconds=2
)

# Without augmentation, and with the losses that are judged here, few steps are enough.
CLEAR = DistillConfig(
    aside=0.25, validation_batches=4, max_channels=4, min_channels=4, max_seconds=2, min_seconds=2,
    augment=AugmentConfig.off(), magnitude=0, phase=0, level=0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def rhythm(rng, seconds=12):
    """Two rhythms that come and go, on the same channels in each recording, and noise."""
    time = np.arange(500 * seconds) / 500
    mixing = np.array([[20, 0], [10, 5], [5, 10], [0, 20]])
    tones = [
        np.sin(2 * np.pi * hz * time) * (1 + np.sin(2 * np.pi * slow * time + rng.uniform(0, 6)))
        for hz, slow in ((10, 0.2), (24, 0.3))
    ]
    return (mixing @ np.stack(tones) + 4 * rng.standard_normal((4, len(time)))).astype(np.float32)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    rng = np.random.default_rng(0)
    signals = [
        (
            CorpusEntry(
                name=f"r{number}",
                data_id=f"simulated {number}",
                licence="CC0-1.0",
                modality="EEG",
                channel_names=("a", "b", "c", "d"),
                positions_mm=((np.nan,) * 3,) * 4,
                subtypes=(-1,) * 4,
            ),
            [rhythm(rng)],
        )
        for number in range(8)
    ]
    return Corpus.build(tmp_path_factory.mktemp("corpus"), signals)


def make_teacher(patch=500):
    torch.manual_seed(1)
    return Teacher(TeacherConfig(width=32, n_layers=3, patch=patch), with_heads=False)


def make_module(config=QUICK, patch=500):
    return Distillation(Student(SMALL), make_teacher(patch), config)


def draw(corpus, config=QUICK, patch=500, n=3, seed=0):
    clean = corpus.draw(np.random.default_rng(seed), n, config.draws(patch))
    return Drawn.of(clean, config.augment, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("patch", [500, 50])
def test_gradients_reach_the_student_and_its_readers_but_not_the_teacher(corpus, patch):
    teacher = make_teacher(patch)
    module = Distillation(Student(SMALL), teacher, QUICK)
    loss, parts = module(draw(corpus, patch=patch))
    loss.backward()
    silent = [name for name, p in module.named_parameters() if p.grad is None]
    # No position is known in this corpus, so that its table multiplies zeros.
    assert silent == []
    zero = [n for n, p in module.named_parameters() if not p.grad.any()]
    assert zero == ["student.position.weight"]
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    assert not teacher.training
    assert set(parts) == {
        "routed", "balance", "pooled", "within", "token", "relation", "magnitude", "phase", "level",
    }  # fmt: skip
    total = sum(getattr(QUICK, name) * float(part.detach()) for name, part in parts.items())
    assert float(loss.detach()) == pytest.approx(total, rel=1e-5)


def test_the_teacher_is_neither_trained_nor_saved():
    module = make_module()
    assert not any("teacher" in name for name in module.state_dict())
    module.train()
    names = [name for group in groups_of(module) for name in group.names]
    assert sorted(names) == sorted(name for name, _ in module.named_parameters())


def test_only_matrices_decay_and_the_body_may_learn_at_its_own_rate():
    module = make_module(DistillConfig(body_rate=0.1))
    shapes = {name: p.ndim for name, p in module.named_parameters()}
    for group in groups_of(module):
        for name in group.names:
            assert group.weight_decay == float(shapes[name] >= 2)
            if name.startswith("student."):
                assert group.learning_rate == 0.1


def test_a_reading_of_many_latents_learns_more_slowly():
    wide = Student(StudentConfig(width=64, n_layers=1, n_latents=8))
    module = Distillation(wide, make_teacher(), QUICK)
    rates = {name: group.learning_rate for group in groups_of(module) for name in group.names}
    assert rates["pooled.weight"] == rates["routed.read.weight"] == 128 / (2 * 8 * 64)
    assert rates["pooled.bias"] == rates["token.weight"] == 1.0


def test_the_teacher_reads_the_clean_signal(corpus):
    drawn = draw(corpus)
    assert not torch.equal(drawn.clean.x, drawn.seen.x)
    module = make_module()
    alone = make_teacher().eval()
    targets = module.targets(drawn.clean)
    wanted = alone(drawn.clean.x, drawn.clean.positions, drawn.clean.modality)
    torch.testing.assert_close(targets.features, wanted, rtol=1e-4, atol=1e-5)
    assert targets.hidden.shape == (3, 2, 3, 32)


def test_a_loss_of_no_weight_is_not_computed(corpus):
    config = DistillConfig(routed=0, within=0, token=0, relation=0, magnitude=0, phase=0, level=0)
    _, parts = make_module(config)(draw(corpus))
    assert set(parts) == {"pooled"}


def test_what_a_lost_channel_held_changes_no_loss(corpus):
    module = make_module().eval()
    drawn = draw(corpus)
    usable = drawn.seen.usable.clone()
    usable[:, 1] = False
    spoilt = drawn.seen.x.clone()
    spoilt[:, 1] = 1e3
    quiet = drawn._replace(seen=drawn.seen._replace(usable=usable))
    loud = drawn._replace(seen=drawn.seen._replace(usable=usable, x=spoilt))
    torch.testing.assert_close(module(loud)[0], module(quiet)[0])


def run(corpus, out, steps=60, **changed):
    plan = TrainPlan(
        out=out, steps=steps, batch=8, learning_rate=5e-3, log_every=1, validate_every=1000,
        tensorboard=False, device="cpu",
    )  # fmt: skip
    return distill(
        corpus,
        changed.pop("teacher", make_teacher()),
        SMALL,
        changed.pop("config", QUICK),
        plan,
        lambda *_: None,
        **changed,
    )


def test_the_student_comes_to_agree_with_its_teacher_on_held_out_recordings(corpus, tmp_path):
    path = run(corpus, tmp_path, steps=80, config=CLEAR)
    with next(tmp_path.glob("*.csv")).open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]
    assert np.mean(losses[-10:]) < 0.85 * np.mean(losses[:5])
    note = student_note(path)
    assert note["held_out"] is True
    assert note["validation"]["pooled_cosine"] > 0.3
    assert note["validation"]["pooled_r2"] > 0.1
    assert note["validation"]["pooled_r2_within"] > 0.1
    assert len(note["validated_on"]) == 2
    trained_on = {recording["name"] for recording in note["corpus"]["recordings"]}
    assert trained_on == {f"r{number}" for number in range(8)} - set(note["validated_on"])
    assert {r["licence"] for r in note["corpus"]["recordings"]} == {"CC0-1.0"}
    assert len(note["teacher"]["weights_sha256"]) == 64
    student = load_student(path)
    assert student(torch.zeros(1, 3, 100)).embedding.isfinite().all()


def test_a_run_that_is_over_gives_the_same_file_again(corpus, tmp_path):
    path = run(corpus, tmp_path, steps=2)
    before = load_student(path).state_dict()
    again = load_student(run(corpus, tmp_path, steps=2)).state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in before.items())


def test_another_teacher_does_not_go_on_with_the_run_of_the_first(corpus, tmp_path):
    run(corpus, tmp_path, steps=1)
    other = Teacher(TeacherConfig(width=32, n_layers=3), with_heads=False)
    with pytest.raises(ConfigError):
        run(corpus, tmp_path, steps=1, teacher=other)


def test_a_given_student_goes_on_from_its_weights(corpus, tmp_path):
    student = Student(StudentConfig(width=32, n_layers=1, n_latents=2, context=10, ffn=(40,)))
    save_student(student, tmp_path / "before.safetensors", {})
    path = run(
        corpus, tmp_path / "run", steps=1, student=student,
        config=DistillConfig(
            body_rate=1e-9, aside=0.25, validation_batches=1, max_channels=4, max_seconds=2
        ),
        note={"pruned": True},
    )  # fmt: skip
    after = load_student(path)
    assert after.config.ffn == (40,)
    assert student_note(path)["pruned"] is True
    before = load_student(tmp_path / "before.safetensors").state_dict()
    for name, tensor in after.state_dict().items():
        torch.testing.assert_close(tensor, before[name])


# --- the check -------------------------------------------------------------------------------


def test_a_perfect_student_explains_everything_and_the_mean_explains_nothing():
    torch.manual_seed(0)
    batches = [torch.randn(50, 8) + shift for shift in (-2, 0, 2)]
    overall = torch.cat(batches).mean(0)
    for said, r2, within in (
        (lambda batch: batch, 1.0, 1.0),
        (lambda batch: overall.expand_as(batch), 0.0, None),
        (lambda batch: batch.mean(0).expand_as(batch), None, 0.0),
        (lambda batch: batch + 3, None, 1.0),
    ):
        agreement = Agreement()
        for batch in batches:
            agreement.add(said(batch), batch)
        figures = agreement.figures("x")
        if r2 is not None:
            assert figures["x_r2"] == pytest.approx(r2, abs=1e-6)
        if within is not None:
            assert figures["x_r2_within"] == pytest.approx(within, abs=1e-6)


def test_the_check_asks_the_teacher_once_and_leaves_statistics_alone(corpus):
    module = make_module()
    loss_of(module, draw(corpus))
    checker = Checker(corpus, QUICK.draws(500), 2, 3)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    first = checker.validate(module)
    module.targets = None  # a second question to the teacher would fail
    assert checker.validate(module) == first
    assert module.training
    assert all(torch.equal(tensor, before[n]) for n, tensor in module.state_dict().items())
    assert all(math.isfinite(value) for value in first.values())


# --- settings --------------------------------------------------------------------------------


def test_layers_default_to_thirds_of_the_teacher():
    assert DistillConfig().layers_of(12) == (4, 8, 12)
    assert DistillConfig().layers_of(2) == (1, 2)
    assert DistillConfig(layers=(2, 3)).layers_of(3) == (2, 3)
    with pytest.raises(ConfigError, match="1 to 3"):
        DistillConfig(layers=(4,)).layers_of(3)


def test_a_hop_that_does_not_divide_the_patch_is_refused():
    student = Student(StudentConfig(width=32, n_layers=1, hop=60, scales=(60,)))
    with pytest.raises(ConfigError, match="whole number of hops"):
        Distillation(student, make_teacher(), QUICK)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pooled": -1.0}, "pooled"),
        ({name: 0.0 for name in ("routed", "pooled", "within", "token", "relation", "magnitude",
                                  "phase", "level")},
         "All losses"),
        ({"min_seconds": 9.0}, "min_seconds"),
        ({"min_channels": 0}, "min_channels"),
        ({"aside": 0.9}, "aside"),
    ],
)  # fmt: skip
def test_a_setting_out_of_range_is_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        DistillConfig(**wrong)


def test_augmentation_can_be_turned_off(corpus):
    drawn = draw(corpus, DistillConfig(augment=AugmentConfig.off(), max_seconds=2))
    assert torch.equal(drawn.clean.x, drawn.seen.x)
