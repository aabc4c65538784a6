from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from diverloop.adapters.speech.training import Spoken, TrainingConfig, ctc_loss, train_network
from diverloop.runtime.errors import ConfigError


def spoken(n_frames=12, tokens=(1, 2), onset=4, offset=10):
    return Spoken(
        frames=np.zeros((n_frames, 3), np.float32),
        tokens=tokens,
        latest=onset,
        onset=onset,
        offset=offset,
    )


def test_a_flat_start_spreads_the_sounds_evenly_over_the_attempt():
    assert spoken().flat().tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0]


def test_the_loss_is_the_sum_over_all_paths():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.4, 0.4, 0.2]])
    a, b, c = probabilities
    # Token 1 alone: in one frame, in two neighbours, or in all three.
    paths = [a[1] * b[0] * c[0], a[0] * b[1] * c[0], a[0] * b[0] * c[1]]
    paths += [a[1] * b[1] * c[0], a[0] * b[1] * c[1], a[1] * b[1] * c[1]]
    loss = ctc_loss(np.log(probabilities).astype(np.float32), (1,))
    assert loss == pytest.approx(-np.log(sum(paths)), rel=1e-5)


def test_training_leaves_torchs_own_chance_alone():
    before = torch.random.get_rng_state()
    train_network([spoken()], [spoken()], 4, TrainingConfig(n_hidden=4, epochs=1))
    assert torch.equal(before, torch.random.get_rng_state())


def test_it_stops_when_what_is_held_out_gets_no_better():
    told = []
    config = TrainingConfig(n_hidden=4, epochs=60, patience=2, flat_epochs=1, rate=0.5)
    trained = train_network(
        [spoken(tokens=(1, 2))], [spoken(tokens=(3,))], 4, config,
        lambda done, most: told.append((done, most)),
    )  # fmt: skip
    assert len(trained.losses) == len(told) < 60
    assert told[-1] == (len(told), 60)


def test_nothing_to_learn_and_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="record more"):
        train_network([], [spoken()], 4, TrainingConfig())
    with pytest.raises(ConfigError, match=r"training\.dropout"):
        TrainingConfig(dropout=1.0)
