"""A stack of heads answers as each of them would alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.rl.learners.head_stack import HeadStack
from diverloop.rl.trial import Trial
from diverloop.runtime.prototype_head import PrototypeHead


@pytest.mark.parametrize("seed", range(5))
def test_a_stack_gives_the_posterior_of_each_head(seed):
    rng = np.random.default_rng(seed)
    space = PrototypeHead(
        classes=("a", "b"), mean=rng.normal(size=6), scale=rng.uniform(0.5, 2, 6),
        basis=rng.normal(size=(6, 3)), centre=rng.normal(size=3),
        prototypes=rng.normal(size=(2, 3)), log_priors=np.log([0.7, 0.3]),
    )  # fmt: skip
    heads = [
        replace(
            space, centre=rng.normal(size=3), prototypes=rng.normal(size=(2, 3)),
            temperature=float(rng.uniform(0.5, 3)),
        )
        for _ in range(4)
    ]  # fmt: skip
    trial = Trial(
        number=1, features=rng.normal(size=(5, 6)), under=rng.integers(2, size=(3, 5)),
        prior=np.array([0.5, 0.3, 0.2]), decided=0,
    )  # fmt: skip
    alone = np.stack([trial.posterior(head) for head in heads])
    assert HeadStack(heads).posteriors(trial) == pytest.approx(alone)
