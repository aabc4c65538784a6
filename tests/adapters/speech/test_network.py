from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.calibration import softmax
from diverloop.adapters.speech.network import CausalNetwork
from diverloop.runtime.errors import BundleError

torch = pytest.importorskip("torch")


def trained_in_torch(seed=0, n_in=20, n_tokens=9, n_hidden=24):
    from diverloop.adapters.speech.training import SpeechNetwork, TrainingConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = SpeechNetwork(n_in, n_tokens, TrainingConfig(n_hidden=n_hidden))
    return net.eval()


def test_numpy_says_what_torch_says_step_by_step():
    net = trained_in_torch()
    frames = 2 * np.random.default_rng(0).standard_normal((60, 20)).astype(np.float32)
    with torch.no_grad():
        wanted = net(torch.from_numpy(frames)[None])[0].numpy()
    mine = CausalNetwork(net.to_arrays())
    got = np.stack([mine.step(frame) for frame in frames])
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4)


def test_a_restart_forgets_every_frame():
    mine = CausalNetwork(trained_in_torch().to_arrays())
    frames = np.random.default_rng(1).standard_normal((5, 20))
    first = [mine.step(frame) for frame in frames]
    mine.restart()
    again = [mine.step(frame) for frame in frames]
    np.testing.assert_array_equal(first, again)


def test_what_comes_later_changes_nothing_that_was_said():
    frames = np.random.default_rng(2).standard_normal((8, 20))
    other = frames.copy()
    other[5:] += 3.0
    mine, twin = (CausalNetwork(trained_in_torch().to_arrays()) for _ in range(2))
    a = np.stack([mine.step(frame) for frame in frames])
    b = np.stack([twin.step(frame) for frame in other])
    np.testing.assert_array_equal(a[:5], b[:5])
    assert (a[5:] != b[5:]).any()


def test_weights_survive_a_bundle():
    mine = CausalNetwork(trained_in_torch().to_arrays())
    again = CausalNetwork(mine.to_arrays())
    frame = np.ones(20)
    np.testing.assert_array_equal(mine.step(frame), again.step(frame))


def test_a_missing_or_misfitting_array_is_refused():
    arrays = trained_in_torch().to_arrays()
    with pytest.raises(BundleError, match="lacks"):
        CausalNetwork({name: array for name, array in arrays.items() if name != "bias_hh_l1"})
    with pytest.raises(BundleError, match="needed are"):
        CausalNetwork(arrays | {"weight_hh_l1": np.zeros((72, 3))})


def test_probabilities_sum_to_one_and_flatten_with_the_temperature():
    scores = np.array([[1000.0, 0.0, -1000.0], [1.0, 2.0, 3.0]])
    sharp, flat = softmax(scores), softmax(scores, 10.0)
    np.testing.assert_allclose(sharp.sum(axis=1), 1)
    assert flat[1].max() < sharp[1].max()
