"""Real recordings as trials: what a decoder saw in them, what was meant, and what it was fitted on.

Features of a cued recording do not depend on what a decoder says, so what any rule of adaptation
would have done on them can be computed exactly. What the person would have done had the decoder
said something else cannot: nobody learns here, is frustrated or looks away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import RecordingError
from ...runtime.prototype_head import Floats, PrototypeHead, softmax
from ..trial import ABSTAINED, Trial

_TEMPERATURES = np.geomspace(0.25, 64, 80)
_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """One selection of a recording.

    Parameters
    ----------
    features : ndarray, shape (n_windows, n_features)
        Embeddings of its windows.
    under : ndarray of int, shape (n_options, n_windows)
        Class of each window if that option was meant.
    meant : int
        The option that was.
    """

    features: Floats
    under: NDArray[np.int64]
    meant: int

    def shown(self, number: int, at_s: float) -> Trial:
        """As a decoder sees it, not decided; all options are equally probable beforehand."""
        prior = np.full(len(self.under), 1 / len(self.under))
        return Trial(
            number=number, features=self.features, under=self.under, prior=prior,
            decided=ABSTAINED, at_s=at_s,
        )  # fmt: skip

    def trial(self, number: int, head: PrototypeHead, at_s: float = 0.0) -> Trial:
        """The same, decided by a head."""
        shown = self.shown(number, at_s)
        return replace(shown, decided=int(shown.posterior(head).argmax()))


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordedCase:
    """One person, the calibration of the decoder, and the sessions that followed.

    Parameters
    ----------
    person : str
        Pseudonym; cases of one person are not independent.
    name : str
        What it is.
    task : str
        Of the catalogue.
    classes : tuple of str
        Of the decoder.
    calibration : tuple of Asked
        What the decoder is fitted on.
    sessions : tuple of tuple of Asked
        What it decodes afterwards, in order.
    observed_priors : bool
        Whether classes are expected as often as calibration had them.
    """

    person: str
    name: str
    task: str
    classes: tuple[str, ...]
    calibration: tuple[Asked, ...]
    sessions: tuple[tuple[Asked, ...], ...]
    observed_priors: bool = False

    @cached_property
    def head(self) -> PrototypeHead:
        """Fitted on the calibration, with a temperature from trials held out of it.

        Raises
        ------
        RecordingError
            If there are too few trials to hold any out.
        """
        if len(self.calibration) < 2 * _FOLDS:
            raise RecordingError(
                f"{self.name} ({self.person}) has {len(self.calibration)} trials to calibrate on, "
                f"needed are {2 * _FOLDS}: record more."
            )
        place = np.arange(len(self.calibration)) % _FOLDS
        held = []
        for fold in range(_FOLDS):
            head = self._fit([one for one, at in zip(self.calibration, place, strict=True)
                              if at != fold])  # fmt: skip
            held += [(one, head) for one, at in zip(self.calibration, place, strict=True)
                     if at == fold]  # fmt: skip
        return replace(self._fit(self.calibration), temperature=_temperature(held))

    def _fit(self, trials: list[Asked] | tuple[Asked, ...]) -> PrototypeHead:
        features = np.concatenate([one.features for one in trials])
        places = np.concatenate([one.under[one.meant] for one in trials])
        labels = np.array(self.classes)[places]
        counts = [len(one.features) for one in trials]
        return PrototypeHead.fit(
            features,
            labels,
            self.classes,
            equal_priors=not self.observed_priors,
            trials=np.repeat(np.arange(len(trials)), counts),
        )


def _temperature(held: list[tuple[Asked, PrototypeHead]]) -> float:
    """The one at which trials that were held out are least surprising."""
    sums = [
        head.scores(one.features)[np.arange(len(one.features)), one.under].sum(axis=1)
        for one, head in held
    ]
    surprise = [
        -sum(
            float(np.log(max(softmax(total / temperature)[one.meant], 1e-9)))
            for total, (one, _) in zip(sums, held, strict=True)
        )
        for temperature in _TEMPERATURES
    ]
    return float(_TEMPERATURES[int(np.argmin(surprise))])


def selections(
    features: Floats,
    targets: NDArray[np.bool_],
    *,
    one_of: int,
    repeats: int,
    rng: np.random.Generator,
) -> tuple[Asked, ...]:
    """Flashes of a recording, in order, made into selections of one item.

    Items that are not attended take nontarget flashes, the attended one target flashes, so a
    selection is made of what was really recorded; which flash belonged to which item is not.

    Parameters
    ----------
    features : ndarray, shape (n_flashes, n_features)
        In order of the recording.
    targets : ndarray of bool, shape (n_flashes,)
        Which of them showed what was attended.
    one_of : int
        How many items there are.
    repeats : int
        How often each flashes.
    rng : Generator
        Draws which item is attended.

    Returns
    -------
    asked : tuple of Asked
        As many as there are flashes for.
    """
    hits, others = np.flatnonzero(targets), np.flatnonzero(~targets)
    n = min(len(hits) // repeats, len(others) // (repeats * (one_of - 1)))
    made = []
    for k in range(n):
        meant = int(rng.integers(one_of))
        rest = iter(others[k * repeats * (one_of - 1) : (k + 1) * repeats * (one_of - 1)].tolist())
        own = iter(hits[k * repeats : (k + 1) * repeats].tolist())
        rows = [
            next(own if item == meant else rest) for _ in range(repeats) for item in range(one_of)
        ]
        items = np.tile(np.arange(one_of), repeats)
        under = (items == np.arange(one_of)[:, None]).astype(np.int64)
        made.append(Asked(features=features[rows], under=under, meant=meant))
    return tuple(made)
