"""What a malicious or broken learner offers to a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..assembly import open_adapter
from ..runtime.errors import DiverloopError
from ..runtime.messages import Promotion
from .rig import AT, MANY, Rig


def _offer(rig: Rig, name: str, **changes: Any) -> Callable[[], None]:
    """Offer other weights as a learner does: a promotion, and the adapter that it describes."""
    arrays = {key: np.array(value) for key, value in rig.model.bundle.part("adapter").items()}
    arrays |= changes.pop("arrays", {})
    plain = {
        "epoch": 1,
        "kind": "linear",
        "settings": rig.model.card.adapter_config,
        "reason": "The learner wanted it.",
        **changes,
    }

    def offer() -> None:
        promotion = Promotion(arrays=arrays, **plain)
        try:
            rig.loop.promotions.offer(promotion, open_adapter(promotion))
        except DiverloopError as error:
            rig.extra[f"{name} is refused in a sentence"] = "" if str(error) else "without a word"

    return offer


def _unharmed(rig: Rig) -> None:
    """Whatever was offered: the weights at the end are those of the beginning."""

    def look() -> None:
        epochs = {one.epoch for _, one, _ in rig.witness.seen}
        rig.extra["the weights stay"] = "" if epochs == {0} else f"epochs {sorted(epochs)} decided"

    rig.after.append(look)


def _nan_weights(rig: Rig) -> None:
    nothing = np.full_like(rig.model.bundle.part("adapter")["weights"], np.nan)
    rig.at[AT] = _offer(rig, "nan", arrays={"weights": nothing})
    _unharmed(rig)


def _absurd_gain(rig: Rig) -> None:
    rig.at[AT] = _offer(
        rig,
        "gain",
        arrays={"weights": np.full((1, rig.model.bundle.part("adapter")["mean"].size), 1e308)},
    )
    _unharmed(rig)


def _other_classes(rig: Rig) -> None:
    settings = {**rig.model.card.adapter_config, "classes": ["up", "down"]}
    rig.at[AT] = _offer(rig, "classes", settings=settings)
    _unharmed(rig)


def _older_epoch(rig: Rig) -> None:
    rig.at[AT] = _offer(rig, "epoch", epoch=0)
    _unharmed(rig)


def _other_features(rig: Rig) -> None:
    two = np.ones(2)
    rig.at[AT] = _offer(
        rig, "features", arrays={"weights": np.ones((1, 2)), "mean": 0 * two, "scale": two}
    )
    _unharmed(rig)


def _unknown_kind(rig: Rig) -> None:
    rig.at[AT] = _offer(rig, "kind", kind="os.system")
    _unharmed(rig)


def _flood_of_promotions(rig: Rig) -> None:
    offer = _offer(rig, "flood", epoch=0)

    def flood() -> None:
        for _ in range(20):
            offer()

    for n in range(AT, AT + MANY):
        rig.at[n] = flood
    _unharmed(rig)


ACTS: Mapping[str, Callable[[Rig], None]] = {
    "nan-weights": _nan_weights,
    "absurd-gain": _absurd_gain,
    "other-classes": _other_classes,
    "older-epoch": _older_epoch,
    "other-features": _other_features,
    "unknown-kind": _unknown_kind,
    "flood-of-promotions": _flood_of_promotions,
}
"""What is done to a rig before it runs."""
