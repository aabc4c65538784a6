"""Whether the decoder may change while a session runs, by which rule, and who allows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .errors import ConfigError

REWARDS = ("error potential", "undo", "task", "operator", "cue")
"""Who may say of a trial that it was right or wrong."""

TRIALS = ("selection", "cue", "window")
"""What a trial can be: what was selected, what a cue asked for, or each window by itself."""

PERMISSIONS = ("clinician", "session")
"""Who lets the decoder change: a clinician while it runs, or the session's file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptationConfig:
    """The table ``[adaptation]`` of a session.

    Parameters
    ----------
    learner : str
        Rule in the catalogue by which the decoder changes; empty for none: it stays as it is.
    settings : mapping
        Fields of the rule's own ``Config``.
    rewards : tuple of str
        Out of `REWARDS`: who is believed. ``"cue"`` takes what the task asked for as what was
        meant, which it is only in calibration.
    error_model : str
        Bundle of the task error_potential, counted from the session file; for the reward of that
        name.
    trial : str
        Out of `TRIALS`.
    trial_s : float
        How far back from a selection its windows reach at most, or how long after a cue they
        belong to it, 0.1 to 60 s.
    feedback_delay_s : float
        From a command until the person can see what was selected, -1 to 1 s, as somebody measured
        it, beyond what the session's ``[timing]`` holds already: nothing is counted twice.
    permission : str
        Out of `PERMISSIONS`. Of ``"clinician"`` the decoder changes only while a clinician's
        permission runs, see ``runtime.access``.
    envelope : mapping
        Fields of ``rl.envelope``'s settings: how far and how often it may change.

    Raises
    ------
    ConfigError
        If a value is not allowed, or two do not go together.
    """

    learner: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    rewards: tuple[str, ...] = ()
    error_model: str = ""
    trial: str = "selection"
    trial_s: float = 4.0
    feedback_delay_s: float = 0.0
    permission: str = "clinician"
    envelope: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, got, allowed in (
            ("rewards", self.rewards, REWARDS),
            ("trial", (self.trial,), TRIALS),
            ("permission", (self.permission,), PERMISSIONS),
        ):
            if unknown := [one for one in got if one not in allowed]:
                raise ConfigError(
                    f"adaptation.{name} knows {', '.join(allowed)}, got {unknown[0]!r}: choose "
                    f"out of these."
                )
        if len(set(self.rewards)) < len(self.rewards):
            raise ConfigError(
                f"adaptation.rewards names one twice, got {', '.join(self.rewards)}: name each "
                f"once."
            )
        if not 0.1 <= self.trial_s <= 60:
            raise ConfigError(f"adaptation.trial_s must be in [0.1, 60] s, got {self.trial_s} s.")
        if not -1 <= self.feedback_delay_s <= 1:
            raise ConfigError(
                f"adaptation.feedback_delay_s must be in [-1, 1] s, got {self.feedback_delay_s} s."
            )
        self._check_fit()

    def _check_fit(self) -> None:
        """What is said must go together."""
        if not self.learner and (self.settings or self.rewards or self.envelope):
            raise ConfigError(
                "adaptation.learner names no rule, but there are settings, rewards or an envelope "
                "for one: name it, or leave them out."
            )
        if ("error potential" in self.rewards) is not bool(self.error_model):
            raise ConfigError(
                "The reward 'error potential' and adaptation.error_model need each other: give "
                "both, or neither."
            )
        if self.error_model and self.trial != "selection":
            raise ConfigError(
                f"An error potential answers to what was selected, but adaptation.trial is "
                f"{self.trial!r}: set it to 'selection'."
            )

    @property
    def on(self) -> bool:
        """Whether there is a rule."""
        return bool(self.learner)

    def beside(self, folder: Path) -> AdaptationConfig:
        """The same, with a bundle that is counted from a folder written out.

        Parameters
        ----------
        folder : Path
            Of the session file.

        Returns
        -------
        config : AdaptationConfig
            With a path that means the same from anywhere.
        """
        if not self.error_model:
            return self
        try:
            return replace(self, error_model=str(folder / Path(self.error_model).expanduser()))
        except RuntimeError as error:
            raise ConfigError(
                f"adaptation.error_model starts with the home folder of nobody here, got "
                f"{self.error_model!r}: write the path out."
            ) from error
