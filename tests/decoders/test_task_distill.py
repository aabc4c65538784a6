"""Fine-tuning for a task: the labels, the teacher's word, when to stop, and what comes out."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="teacher and student need torch")

from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.task_config import LabelledWindows, TaskPlan
from diverloop.decoders.task_distill import distill_task, inner_split, train_from_scratch
from diverloop.runtime.errors import ConfigError

SMALL = StudentConfig(width=32, n_layers=1, n_latents=2, context=10)
QUICK = TaskPlan(epochs=4, batch=16, head_rate=3e-3, body_rate=1e-3, inner_share=0.25, seed=1)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def make_windows(n_trials=24, seed=0):
    """Two windows a trial; class "b" has 10 Hz on the first channel, class "a" on the second."""
    rng = np.random.default_rng(seed)
    labels = np.array(["a", "b"])[np.arange(n_trials) % 2]
    x = 5 * rng.standard_normal((2 * n_trials, 3, 250))
    tone = 12 * np.sin(2 * np.pi * 10 * np.arange(250) / 500)
    y = labels.repeat(2)
    x[y == "b", 0] += tone
    x[y == "a", 1] += tone
    return LabelledWindows(x=x, y=y, groups=np.arange(n_trials).repeat(2))


@pytest.fixture
def student():
    torch.manual_seed(0)
    return Student(SMALL).eval()


def accuracy(fitted, windows):
    return float((fitted.classes[fitted.logits(windows).argmax(1)] == windows.y).mean())


def test_training_from_scratch_learns_what_a_single_channel_tells():
    places = np.array([[-50.0, 0, 50], [50, 0, 50], [0, 0, 90]])
    base, test = make_windows(32), make_windows(16, seed=9)

    def placed(windows):
        return LabelledWindows(x=windows.x, y=windows.y, groups=windows.groups, positions_mm=places)

    plan = TaskPlan.scratch(epochs=16, batch=16, body_rate=3e-3, head_rate=3e-3, refit=False)
    fitted = train_from_scratch(SMALL, placed(base), plan)
    assert min(fitted.inner_losses) < 0.8 * fitted.inner_losses[0]
    assert accuracy(fitted, placed(test)) > 0.8


def test_the_students_own_weights_are_not_touched(student):
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    fitted = distill_task(student, make_windows(), QUICK)
    for name, tensor in student.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert fitted.student is not student


def test_the_numpy_head_reads_the_students_own_embedding(student):
    windows = make_windows()
    fitted = distill_task(student, windows, QUICK)
    x = torch.from_numpy(windows.x.astype(np.float32))
    with torch.no_grad():
        heard = fitted.student(x, modality=torch.zeros(len(x), dtype=torch.int64))
    features = heard.embedding.mean(1).double().numpy()
    said = features @ fitted.weights.T + fitted.bias
    np.testing.assert_allclose(fitted.logits(windows), said, atol=1e-4)


def test_the_head_may_read_every_hop_for_itself(student):
    plan = TaskPlan(epochs=0, pooling="hops", refit=False)
    fitted = distill_task(student, make_windows(), plan)
    assert fitted.weights.shape == (2, 5 * SMALL.n_features(make_windows().x.shape[1]))


def test_the_same_seed_gives_the_same_weights(student):
    first, second = (distill_task(student, make_windows(), QUICK) for _ in range(2))
    np.testing.assert_array_equal(first.weights, second.weights)
    assert first.inner_losses == second.inner_losses


def test_the_best_epoch_is_the_one_that_comes_back(student):
    fitted = distill_task(student, make_windows(), QUICK)
    assert fitted.best_epoch == int(np.argmin(fitted.inner_losses))


def test_no_epochs_leave_the_student_as_it_is_and_fit_the_head(student):
    windows = make_windows()
    fitted = distill_task(student, windows, TaskPlan(epochs=0))
    for name, tensor in student.state_dict().items():
        assert torch.equal(tensor, fitted.student.state_dict()[name])
    assert accuracy(fitted, windows) > 0.5


def test_a_teacher_that_says_the_opposite_is_believed_when_only_it_counts(student):
    windows = make_windows()
    logits = np.where((windows.y == "b")[:, None], [6.0, 0.0], [0.0, 6.0])
    plan = TaskPlan(epochs=0, kl_weight=1.0, temperature=2.0, refit=False)
    with_teacher = distill_task(student, windows, plan, logits)
    without = distill_task(student, windows, plan)
    assert accuracy(with_teacher, windows) < 0.4
    assert accuracy(without, windows) > 0.6


def test_soft_logits_are_matched_better_with_the_teacher_than_without(student):
    windows = make_windows(40)
    logits = np.where((windows.y == "b")[:, None], [-0.3, 0.3], [0.3, -0.3])
    plan = TaskPlan(epochs=0, kl_weight=0.9, refit=False, label_smoothing=0.0)

    def apart(fitted):
        said = fitted.logits(windows)
        return np.abs((said[:, 1] - said[:, 0]) - (logits[:, 1] - logits[:, 0])).mean()

    assert apart(distill_task(student, windows, plan, logits)) < apart(
        distill_task(student, windows, plan)
    )


def test_time_runs_out_before_the_epochs_do(student):
    ticks = iter(range(0, 10_000, 10))
    plan = TaskPlan(epochs=50, limit_s=25.0, patience=50, refit=False)
    fitted = distill_task(student, make_windows(), plan, clock=lambda: float(next(ticks)))
    assert len(fitted.inner_losses) == 3  # before training, and after two epochs


def test_progress_is_told_of_each_epoch(student):
    told = []
    plan = TaskPlan(epochs=3, patience=3, refit=False)
    distill_task(student, make_windows(), plan, progress=lambda *args: told.append(args[1:]))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_noise_first_brings_the_heads_confidence_to_chance(student):
    windows = make_windows()

    def confidence(steps):
        plan = TaskPlan(
            epochs=0, head_start="noise", noise_steps=steps, head_rate=3e-3, refit=False
        )
        logits = distill_task(student, windows, plan).logits(windows)
        return torch.from_numpy(logits).softmax(1).amax(1).mean()

    assert abs(confidence(400) - 0.5) < 0.6 * abs(confidence(0) - 0.5)


def test_the_inner_split_keeps_trials_whole_and_classes_present():
    windows = make_windows()
    labels = (windows.y == "b").astype(int)
    train, held = inner_split(windows.groups, labels, QUICK)
    assert not set(windows.groups[train]) & set(windows.groups[held])
    assert sorted([*train, *held]) == list(range(48))
    assert set(labels[held]) == set(labels[train]) == {0, 1}
    assert len(held) == pytest.approx(12, abs=2)


def test_windows_lose_samples_at_the_start_that_do_not_fill_a_hop():
    windows = make_windows()
    longer = LabelledWindows(
        x=np.concatenate([np.full((48, 3, 30), 77.0), windows.x], axis=2),
        y=windows.y,
        groups=windows.groups,
    )
    rows = np.arange(48)
    assert torch.equal(longer.batch(rows, 50).x, windows.batch(rows, 50).x)


def test_what_does_not_fit_is_refused_in_one_sentence(student):
    windows = make_windows()
    with pytest.raises(ConfigError, match="teacher_logits"):
        distill_task(student, windows, QUICK, np.zeros((48, 3)))
    one = LabelledWindows(x=windows.x, y=np.zeros(48), groups=windows.groups)
    with pytest.raises(ConfigError, match="Got 1 class"):
        distill_task(student, one, QUICK)
    lone = LabelledWindows(x=windows.x, y=windows.y, groups=np.zeros(48))
    with pytest.raises(ConfigError, match="at least 2"):
        distill_task(student, lone, QUICK)
    with pytest.raises(ConfigError, match="NaN"):
        LabelledWindows(x=np.full((2, 1, 50), np.nan), y=[0, 1], groups=[0, 1])
    with pytest.raises(ConfigError, match="a class and a group each"):
        LabelledWindows(x=windows.x, y=windows.y[:3], groups=windows.groups)
    with pytest.raises(ConfigError, match="pooling"):
        TaskPlan(pooling="max")
    with pytest.raises(ConfigError, match="temperature"):
        TaskPlan(temperature=0.0)
