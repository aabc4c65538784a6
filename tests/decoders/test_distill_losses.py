"""A perfect student costs nothing, an ignorant one about 1, and the masked do not count."""

import math

import pytest

torch = pytest.importorskip("torch", reason="teacher and student need torch")

from diverloop.decoders.distill_losses import (
    LayerRouter,
    RoutedTarget,
    RunningScale,
    agreement,
    balance,
    pool_channels,
    pool_hops,
    pooled_width,
    relation,
    routed_agreement,
    within,
)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


# --- statistics ------------------------------------------------------------------------------


def test_running_statistics_become_those_of_all_that_was_seen():
    scale = RunningScale(3)
    batches = torch.randn(20, 50, 3) * torch.tensor([1.0, 5.0, 0.2]) + torch.tensor([0, 10.0, -1])
    batches = batches + torch.randn(20, 1, 3)
    for batch in batches:
        scale(batch)
        scale.learn(scale.take_sums())
    flat = batches.flatten(0, 1)
    torch.testing.assert_close(scale.mean, flat.mean(0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(scale.variance, flat.var(0, unbiased=False), rtol=1e-3, atol=1e-4)


def test_running_statistics_rest_in_eval_mode_and_ignore_what_is_not_there():
    scale = RunningScale(2)
    features = torch.randn(40, 2)
    present = torch.arange(40) < 30
    features[~present] = 1e6
    scale(features, present)
    scale.learn(scale.take_sums())
    torch.testing.assert_close(scale.mean, features[:30].mean(0))
    before = scale.mean.clone()
    scale.eval()(features)
    assert torch.equal(scale.mean, before)


def test_who_saw_which_batch_of_an_update_does_not_matter():
    batches = 3 + 2 * torch.randn(6, 40, 3)
    alone, shared = RunningScale(3), (RunningScale(3), RunningScale(3))
    for update in batches.split(2):
        wanted = [alone(batch) for batch in update]
        got = [one(batch) for one, batch in zip(shared, update, strict=True)]
        torch.testing.assert_close(got, wanted)
        alone.learn(alone.take_sums())
        sums = sum(one.take_sums() for one in shared)
        for one in shared:
            one.learn(sums)
    torch.testing.assert_close(shared[1].mean, alone.mean)
    torch.testing.assert_close(shared[0].variance, alone.variance)


def test_the_first_batch_is_scaled_by_itself():
    batch = 100 + 7 * torch.randn(50, 2)
    scaled = RunningScale(2)(batch)
    torch.testing.assert_close(scaled.mean(0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.std(0, unbiased=False), torch.ones(2), atol=1e-4, rtol=0)


# --- agreement -------------------------------------------------------------------------------


def test_a_perfect_student_costs_nothing_and_an_ignorant_one_about_one():
    target = torch.randn(50, 256)
    assert agreement(target, target) == pytest.approx(0.0, abs=1e-6)
    assert agreement(1e-4 * torch.randn(50, 256), target) == pytest.approx(1.0, abs=0.05)


def test_what_a_recording_has_in_common_is_left_out_of_what_sets_its_patches_apart():
    wanted = torch.randn(30, 64)
    assert within(wanted + torch.randn(64), wanted) == pytest.approx(0.0, abs=1e-6)
    assert within(wanted.mean(0).expand(30, -1), wanted) == pytest.approx(1.0, abs=0.05)


def test_what_is_not_present_does_not_count():
    target = torch.randn(10, 8)
    said = target.clone()
    said[5:] = 1e3
    assert agreement(said, target, torch.arange(10) < 5) == pytest.approx(0.0, abs=1e-6)
    assert agreement(said, target, torch.zeros(10, dtype=torch.bool)) == 0.0


def test_pooling_over_channels_leaves_absent_ones_out():
    features = torch.randn(2, 4, 3, 5)
    usable = torch.tensor([[True, True, False, False], [True] * 4])
    pooled = pool_channels(features, usable)
    torch.testing.assert_close(pooled[0], features[0, :2].mean(0))
    torch.testing.assert_close(pooled[1], features[1].mean(0))


def test_pooling_over_hops_gives_their_mean_and_the_last_inside_each_patch():
    latents = torch.randn(2, 6, 4, 8)
    pooled = pool_hops(latents, 3)
    assert pooled.shape == (2, 2, pooled_width(32, 3))
    torch.testing.assert_close(pooled[:, 1, :32], latents[:, 3:].mean(1).flatten(1))
    assert torch.equal(pooled[:, 0, 32:], latents[:, 2].flatten(1))
    assert torch.equal(pool_hops(latents, 1), latents.flatten(2))


# --- router ----------------------------------------------------------------------------------


def test_router_weights_sum_to_one_and_depend_on_what_comes_in():
    router = LayerRouter(16, 3)
    torch.nn.init.normal_(router.score.weight)
    weights = router(torch.randn(2, 5, 3, 16))
    assert weights.shape == (2, 5, 3)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5))
    assert weights.std(dim=(0, 1)).min() > 0.05


def test_balance_is_zero_for_even_use_and_largest_for_one_layer():
    even = torch.eye(3).repeat(4, 1)  # each patch chooses one layer, all layers are used alike
    assert balance(even) == pytest.approx(0.0, abs=1e-5)
    assert balance(torch.tensor([[1.0, 0, 0]]).expand(9, 3)) == pytest.approx(math.log(3), abs=1e-4)


def test_readings_equal_to_their_layers_cost_nothing_however_they_are_mixed():
    teacher = torch.randn(2, 4, 3, 16)
    weights = torch.tensor([0.7, 0.2, 0.1]).expand(2, 4, 3)
    assert routed_agreement(teacher, teacher, weights) == pytest.approx(0.0, abs=1e-5)
    assert routed_agreement(teacher.flip(2), teacher, weights) > 0.1


def test_the_router_and_the_readings_learn_but_the_teacher_does_not():
    routed = RoutedTarget(n_features=24, width=16, n_layers=3)
    student = torch.randn(2, 4, 24, requires_grad=True)
    loss, weights = routed(student, torch.randn(2, 4, 3, 16))
    loss.backward()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4))
    assert student.grad.abs().sum() > 0
    assert routed.router.score.weight.grad.abs().sum() > 0
    assert routed.read.weight.grad.abs().sum() > 0


# --- read-back -------------------------------------------------------------------------------


def test_a_turned_and_scaled_copy_has_the_same_relations():
    teacher = torch.randn(3, 6, 8)
    turn = torch.linalg.qr(torch.randn(8, 8))[0]
    present = torch.ones(3, 6, dtype=torch.bool)
    assert relation(5 * teacher @ turn + 1, teacher, present) == pytest.approx(0.0, abs=1e-6)
    assert relation(torch.randn(3, 6, 12), teacher, present) > 0.05


def test_an_absent_channel_has_no_relations():
    student, teacher = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    present = torch.tensor([[True, True, True, False, True]]).expand(2, -1)
    before = relation(student, teacher, present)
    student[:, 3], teacher[:, 3] = 100.0, -50.0
    torch.testing.assert_close(relation(student, teacher, present), before)
    assert relation(student, teacher, torch.zeros(2, 5, dtype=torch.bool)) == 0.0
