"""What goes too far is brought back along its way, until every limit holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.rl.envelope.trust_region import (
    Limits,
    between,
    divergence,
    shorten,
    step_share,
    unfit,
)

from .streams import Person, World

PERSON = Person(World(), 3)
HEAD = PERSON.head()
WINDOWS = np.array([PERSON.trial(0)[0] for _ in range(60)])


def test_divergence_is_zero_of_the_same_and_positive_of_others():
    assert divergence(HEAD, HEAD, WINDOWS) == 0
    assert divergence(replace(HEAD, temperature=2.0), HEAD, WINDOWS) > 0


@pytest.mark.parametrize("seed", range(20))
def test_a_shortened_step_keeps_every_limit_and_uses_one(seed):
    rng = np.random.default_rng(seed)
    far = replace(HEAD, prototypes=HEAD.prototypes + rng.standard_normal(HEAD.prototypes.shape))
    limits = Limits(kl=0.05, kl_block=0.2, share=0.3)
    head, share = shorten(far, HEAD, HEAD, WINDOWS, limits)
    reached = (divergence(head, HEAD, WINDOWS) / limits.kl, step_share(head, HEAD) / limits.share)
    assert max(reached) <= 1
    assert max(reached) > 0.99
    assert 0 < share < 1


def test_what_is_near_enough_passes_untouched():
    near = replace(HEAD, centre=HEAD.centre + 1e-3)
    head, share = shorten(near, HEAD, HEAD, WINDOWS, Limits(kl=0.05, kl_block=0.2, share=0.1))
    assert head is near
    assert share == 1


def test_moving_prototypes_and_centre_against_each_other_is_no_step():
    same = replace(HEAD, prototypes=HEAD.prototypes + 1, centre=HEAD.centre - 1)
    assert step_share(same, HEAD) == pytest.approx(0, abs=1e-12)
    assert divergence(same, HEAD, WINDOWS) == pytest.approx(0, abs=1e-9)


def test_the_way_begins_and_ends_at_its_ends():
    far = replace(HEAD, prototypes=-HEAD.prototypes, temperature=4.0)
    assert between(HEAD, far, 1.0) is far
    assert between(HEAD, far, 0.0).sha256 == HEAD.sha256
    assert between(HEAD, far, 0.5).temperature == pytest.approx(2)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"basis": 2 * HEAD.basis}, "basis"),
        ({"mean": HEAD.mean + 1}, "mean"),
        ({"scale": HEAD.scale * 2}, "scale"),
        ({"log_priors": HEAD.log_priors - 1}, "log_priors"),
        ({"classes": ("a", "b", "d", "c")}, "other classes"),
        ({"prototypes": HEAD.prototypes * 1e9}, "no signal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_must_not_change_makes_a_head_unfit(change, why):
    assert why in unfit(replace(HEAD, **change), HEAD)


def test_another_shape_or_no_head_at_all_is_unfit():
    other = Person(World(n_directions=5), 3).head()
    assert "mean" in unfit(other, HEAD)
    assert "no head" in unfit("a string", HEAD)
    assert unfit(HEAD, HEAD) == ""
