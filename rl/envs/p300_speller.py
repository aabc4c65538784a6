"""A speller with flashes, one decision a selection: ``diverloop/P300Speller-v0``.

A step is a selection: all items flash by rows and columns, some times over. The observation is the
features of every flash and which items it lit; the action is the item to write, or to abstain.

References
----------
- Farwell, Donchin. Talking off the top of your head: toward a mental prosthesis utilizing
  event-related brain potentials. Electroencephalography and Clinical Neurophysiology, 1988.
"""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from ...runtime.prototype_head import Floats
from ..trial import ABSTAINED
from .people import FLASHES
from .simulated import SignalConfig, SimulatedEnvironment
from .trial_environment import UTILITY, Asked, Observation, TrialsConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class P300SpellerConfig:
    """What may be set by ``gymnasium.make``.

    Parameters
    ----------
    rows, columns : int
        Of the items; six by six is usual.
    rounds : int
        How often every row and column flashes for one selection.
    single : bool
        Whether items flash one by one instead.
    n_trials : int
        Selections of an episode.
    n_features : int
        Of a flash.
    calibration : int
        Cued selections.
    language : float
        How uneven wishes are: probabilities fall as ``rank ** -language``, and are shown as the
        prior. 0 makes all items equally probable.
    backspace : bool
        Whether the last item takes back; after an error the person then wants it next.
    flash_s, pause_s : float
        From flash to flash, and between selections, in seconds.
    artefacts : float
        Share of spoilt selections.
    reward : str
        ``"utility"`` or ``"observed"``; see `TrialsConfig`.

    Raises
    ------
    ConfigError
        If a value is outside its bounds.
    """

    rows: int = 6
    columns: int = 6
    rounds: int = 3
    single: bool = False
    n_trials: int = 60
    n_features: int = 12
    calibration: int = 15
    language: float = 0.0
    backspace: bool = False
    flash_s: float = 0.175
    pause_s: float = 2.5
    artefacts: float = 0.03
    reward: str = UTILITY

    def __post_init__(self) -> None:
        bounds = {
            "rows": (2, 20), "columns": (2, 20), "rounds": (1, 50), "language": (0, 3),
            "flash_s": (0.01, 2),
        }  # fmt: skip
        for name, (low, high) in bounds.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ConfigError(f"{name} must be in [{low}, {high}], got {value}.")

    @property
    def n_items(self) -> int:
        """What can be written."""
        return self.rows * self.columns

    @property
    def n_flashes(self) -> int:
        """Of one selection."""
        return self.rounds * (self.n_items if self.single else self.rows + self.columns)


class P300Speller(SimulatedEnvironment):
    """A person looks at one of many items while they flash.

    Parameters
    ----------
    config : P300SpellerConfig or None
        All of it; or single settings by name.
    **settings : object
        Of `P300SpellerConfig`.
    """

    Config = P300SpellerConfig
    classes = ("nontarget", "target")

    def __init__(self, config: P300SpellerConfig | None = None, **settings: object) -> None:
        config = config or P300SpellerConfig(**settings)  # type: ignore[arg-type]
        self.config = config
        signal = SignalConfig(
            n_classes=2,
            n_windows=config.n_flashes,
            n_features=config.n_features,
            calibration=config.calibration,
            artefacts=config.artefacts,
        )
        trials = TrialsConfig(
            n_trials=config.n_trials,
            trial_s=config.n_flashes * config.flash_s,
            pause_s=config.pause_s,
            reward=config.reward,
        )
        seen = {
            "lit": gymnasium.spaces.MultiBinary([config.n_items, config.n_flashes]),
            "prior": gymnasium.spaces.Box(0.0, 1.0, (config.n_items,), np.float64),
        }
        # Who looks away sees no target at all.
        super().__init__(config.n_items, FLASHES, np.array([1.0, 0.0]), seen, signal, trials)

    def _fresh(self) -> None:
        self._to_undo = False

    def _prior(self) -> Floats:
        """How probable each item is before any flash; backspace as any other of middle rank."""
        prior: Floats = np.arange(1.0, self.config.n_items + 1) ** -self.config.language
        if self.config.backspace:
            prior[-1] = np.median(prior)
        shares: Floats = prior / prior.sum()
        return shares

    def _flashes(self) -> NDArray[np.int8]:
        """Which items each flash lights, those of a round in random order."""
        rows, columns = self.config.rows, self.config.columns
        places = np.arange(rows * columns)
        of_row = places // columns == np.arange(rows)[:, None]
        of_column = places % columns == np.arange(columns)[:, None]
        groups = np.eye(len(places)) if self.config.single else np.concatenate([of_row, of_column])
        orders = [self.np_random.permutation(len(groups)) for _ in range(self.config.rounds)]
        lit: NDArray[np.int8] = groups[np.concatenate(orders)].T.astype(np.int8)
        return lit

    def _wants(self, number: int) -> tuple[int, NDArray[np.int64], Observation]:
        """An item by the prior, or to take back what went wrong."""
        prior, lit = self._prior(), self._flashes()
        item = int(self.np_random.choice(len(prior), p=prior))
        if self._to_undo:
            item = self.config.n_items - 1
        return item, lit[item].astype(np.int64), {"lit": lit, "prior": prior}

    def _shown(self, asked: Asked, decided: int) -> None:
        """Whether something wrong stands there now that has to be taken back."""
        super()._shown(asked, decided)
        if self.config.backspace and decided != ABSTAINED:
            self._to_undo = asked.attended and decided != asked.meant
