"""What a clinician allows: how hard training may be, how long its blocks, how fast that changes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from ...runtime.errors import ConfigError
from ...runtime.settings import build
from ...runtime.toml_file import read_toml

DIFFICULTY = {
    "neurofeedback": ("share of windows that is rewarded", 0.1, 0.9),
    "motor_imagery": ("probability at which a class is selected", 0.5, 0.99),
}
"""What difficulty means for a task, and what its setting allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one setting.

    Parameters
    ----------
    least, most : float
        It never leaves these.
    usual : float
        Where the first session begins, and what everything is compared with.
    max_change : float
        Most that it may change from one session to the next.
    step : float
        From one value that is tried to the next.
    """

    least: float
    most: float
    usual: float
    max_change: float
    step: float

    def __post_init__(self) -> None:
        if not -math.inf < self.least <= self.usual <= self.most < math.inf:
            raise ConfigError(
                f"usual must lie between least and most, got {self.usual:g} for {self.least:g} to "
                f"{self.most:g}: correct it."
            )
        if not 0 < self.step < math.inf or not 0 <= self.max_change < math.inf:
            raise ConfigError(
                f"step must be positive and max_change at least 0, got {self.step:g} and "
                f"{self.max_change:g}: correct them."
            )
        if (self.most - self.least) / self.step > 50:
            raise ConfigError(
                f"From {self.least:g} to {self.most:g} in steps of {self.step:g} are more than 50 "
                f"values, which no person's sessions could tell apart: take longer steps."
            )

    @property
    def span(self) -> float:
        """Half of what is allowed; 1 where nothing may be chosen."""
        return (self.most - self.least) / 2 or 1.0

    def values(self, last: float | None = None) -> tuple[float, ...]:
        """What may be tried, around the usual value.

        Parameters
        ----------
        last : float, optional
            The session before's; what is further from it than allowed is left out.

        Returns
        -------
        values : tuple of float
            Rising; at least one. If the last one lies outside the bounds, the nearest that they
            allow is the only one.
        """
        below = math.floor((self.usual - self.least) / self.step + 1e-9)
        above = math.floor((self.most - self.usual) / self.step + 1e-9)
        every = [round(self.usual + place * self.step, 9) for place in range(-below, above + 1)]
        if last is None:
            return (self.usual,)
        near = [value for value in every if abs(value - last) <= self.max_change + 1e-9]
        return tuple(near) or (min(every, key=lambda value: abs(value - last)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """What one session asks of the person.

    Parameters
    ----------
    difficulty : float
        In the task's own terms, see `DIFFICULTY`.
    block_s : float
        Length of a block with feedback.
    """

    difficulty: float
    block_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolBounds:
    """Bounds of a training over sessions; nothing that is proposed leaves them.

    Parameters
    ----------
    task : str
        ``"neurofeedback"`` or ``"motor_imagery"``.
    difficulty : Limits
        In the task's own terms, see `DIFFICULTY`.
    block_s : Limits
        Length of a block, 10 to 600 s.
    pause_s : float
        Pause between two blocks, 5 to 600 s.
    practice_s : float
        All blocks of a session together at most, 60 to 7200 s.
    apart_h : float
        Hours from one session to the next at least.
    most_fatigue : float
        Above this, in [0, 1], blocks do not get longer.
    most_frustration : float
        Above this, in [0, 1], it does not get harder.
    """

    task: str = "neurofeedback"
    difficulty: Limits = field(
        default_factory=lambda: Limits(least=0.5, most=0.8, usual=0.65, max_change=0.05, step=0.05)
    )
    block_s: Limits = field(
        default_factory=lambda: Limits(
            least=60.0, most=180.0, usual=120.0, max_change=30.0, step=30.0
        )
    )
    pause_s: float = 30.0
    practice_s: float = 1800.0
    apart_h: float = 20.0
    most_fatigue: float = 0.6
    most_frustration: float = 0.6

    def __post_init__(self) -> None:
        if self.task not in DIFFICULTY:
            raise ConfigError(
                f"task must be one of {', '.join(DIFFICULTY)}, got {self.task!r}: other tasks are "
                f"not trained by sessions."
            )
        words, low, high = DIFFICULTY[self.task]
        if not low <= self.difficulty.least <= self.difficulty.most <= high:
            raise ConfigError(
                f"difficulty is the {words} and must lie in [{low:g}, {high:g}], got "
                f"{self.difficulty.least:g} to {self.difficulty.most:g}: correct it."
            )
        for name, least, most, lowest, highest in (
            ("block_s", self.block_s.least, self.block_s.most, 10.0, 600.0),
            ("pause_s", self.pause_s, self.pause_s, 5.0, 600.0),
            ("practice_s", self.practice_s, self.practice_s, 60.0, 7200.0),
            ("apart_h", self.apart_h, self.apart_h, 0.0, 1000.0),
            ("most_fatigue", self.most_fatigue, self.most_fatigue, 0.0, 1.0),
            ("most_frustration", self.most_frustration, self.most_frustration, 0.0, 1.0),
        ):
            if not lowest <= least <= most <= highest:
                raise ConfigError(
                    f"{name} must lie in [{lowest:g}, {highest:g}], got {least:g}"
                    + (f" to {most:g}" if most != least else "")
                    + ": correct it."
                )

    @property
    def usual(self) -> Dose:
        """Where the first session begins."""
        return Dose(difficulty=self.difficulty.usual, block_s=self.block_s.usual)

    @property
    def harder(self) -> int:
        """1 if larger numbers are harder, -1 if smaller ones are."""
        return -1 if self.task == "neurofeedback" else 1

    def doses(self, last: Dose | None = None) -> tuple[Dose, ...]:
        """What may be tried after a session; the usual one alone before the first."""
        return tuple(
            Dose(difficulty=difficulty, block_s=block_s)
            for difficulty in self.difficulty.values(last.difficulty if last else None)
            for block_s in self.block_s.values(last.block_s if last else None)
        )

    def n_blocks(self, dose: Dose) -> int:
        """Blocks of a session, 1 to 60."""
        return int(min(60, max(1, self.practice_s // dose.block_s)))


def read_bounds(path: Path) -> ProtocolBounds:
    """Read a clinician's bounds.

    Parameters
    ----------
    path : Path
        A TOML file with the table ``[protocol]``; what it leaves out is as usual.

    Returns
    -------
    bounds : ProtocolBounds
        Checked.

    Raises
    ------
    ConfigError
        If the file cannot be used.
    """
    tables = read_toml(path, "file of bounds")
    if list(tables) != ["protocol"]:
        raise ConfigError(
            f"{path.name} must hold the table [protocol] and nothing else, got "
            f"{', '.join(tables) or 'nothing'}: correct it."
        )
    try:
        bounds: ProtocolBounds = build(ProtocolBounds, tables["protocol"], "protocol")
    except ConfigError as error:
        raise type(error)(f"{path.name}: {error}") from error
    return bounds
