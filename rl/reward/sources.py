"""Rewards that arrive as markers: an undo, an outcome of the task, a mark of the operator, a cue.

Each kind has a reliability of its own. Somebody who takes a selection back nearly always thought it
wrong, but by no means every wrong selection is taken back; so an undo says much, and its absence
little. These rates are choices, not measurements: whoever knows better of a person says so.

===============================  =====================================================
marker                           meaning
===============================  =====================================================
``undo``, ``backspace``          the person takes it back
``outcome:right``, ``:wrong``    the task says what came of it
``operator:right``, ``:wrong``   somebody beside the person says it
``meant:NAME``                   it is known which option was meant
===============================  =====================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..trial import Reward
from .confusion import Confusion, ConfusionConfig

UNDO = ("undo", "backspace")


def _rates(source: str, tpr: float, tnr: float) -> ConfusionConfig:
    return ConfusionConfig(source=source, tpr=tpr, tnr=tnr)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesConfig:
    """How reliable each kind of marker is.

    Parameters
    ----------
    undo, task, operator : ConfusionConfig
        Share of wrong decisions that get such a mark, and of right ones that do not.
    """

    undo: ConfusionConfig = field(default_factory=lambda: _rates("undo", 0.6, 0.97))
    task: ConfusionConfig = field(default_factory=lambda: _rates("task", 0.95, 0.95))
    operator: ConfusionConfig = field(default_factory=lambda: _rates("operator", 0.95, 0.95))


class Sources:
    """Markers to rewards.

    Parameters
    ----------
    options : sequence of str
        Names of what could have been meant, in the order of a trial's options.
    config : SourcesConfig
        What was chosen.
    """

    Config = SourcesConfig

    def __init__(
        self, options: Sequence[str] = (), config: SourcesConfig = SourcesConfig()
    ) -> None:
        self.config = config
        self._options = list(options)
        self._undo = Confusion(config.undo)
        self._said = {"outcome": Confusion(config.task), "operator": Confusion(config.operator)}

    def reward(self, trial: int, label: str, *, at_s: float = 0.0) -> Reward | None:
        """What a marker says of a decision.

        Parameters
        ----------
        trial : int
            Number of the decision that it is about.
        label : str
            As it came.
        at_s : float
            When, in seconds of the loop's clock.

        Returns
        -------
        reward : Reward or None
            None for a marker of another kind.
        """
        if label in UNDO:
            return self._undo.detected(trial, True, at_s=at_s)
        kind, _, what = label.partition(":")
        if kind in self._said and what in ("right", "wrong"):
            return self._said[kind].detected(trial, what == "wrong", at_s=at_s)
        if kind == "meant" and what in self._options:
            meant = self._options.index(what)
            return Reward(trial=trial, meant=meant, at_s=at_s, source="cue")
        return None

    def kept(self, trial: int, *, at_s: float = 0.0) -> Reward:
        """What it says that a decision was not taken back while it could have been.

        Parameters
        ----------
        trial : int
            Its number.
        at_s : float
            When the time for taking it back was over, in seconds of the loop's clock.

        Returns
        -------
        reward : Reward
            A little in its favour. Without these, undo alone would tell of errors only, and the
            mean value would not be the accuracy.
        """
        return self._undo.detected(trial, False, at_s=at_s)
