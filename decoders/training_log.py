"""The log of a training run: tables that survive being cut off, and TensorBoard if it is there."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..runtime.errors import RecordingError
from .training_plan import TrainPlan

if TYPE_CHECKING:
    from .ranks import Ranks

_STEP = re.compile(r"[0-9]{1,18}")


@dataclass(slots=True)
class CsvLog:
    """A table that grows by a row at a time and survives being cut off.

    Parameters
    ----------
    path : Path
        The CSV file.
    upto : int
        Rows of later steps are dropped: the run goes on from there and writes them again.
    """

    path: Path
    upto: int = 0
    _columns: list[str] = field(default_factory=list, init=False)
    _last: int = field(default=-1, init=False)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            return
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))
        except (OSError, ValueError, csv.Error) as error:
            raise RecordingError(
                f"{self.path} is no table of a training run ({error}): move it away, and the run "
                f"begins another."
            ) from error
        if not rows or rows[0][:1] != ["step"]:
            self.path.unlink()
            return
        self._columns = rows[0]
        whole = (row for row in rows[1:] if len(row) == len(rows[0]) and _STEP.fullmatch(row[0]))
        kept = [row for row in whole if int(row[0]) <= self.upto]
        self._last = int(kept[-1][0]) if kept else -1
        self._write([rows[0], *kept], "w")

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Add the row of a step, unless the table already has it."""
        if step <= self._last:
            return
        if not self._columns:
            self._columns = ["step", *values]
            self._write([self._columns], "w")
        self._last = step
        cells = [f"{values[name]:.9g}" if name in values else "" for name in self._columns[1:]]
        self._write([[str(step), *cells]], "a")

    def _write(self, rows: Sequence[Sequence[str]], mode: str) -> None:
        with self.path.open(mode, newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


class TrainingLog:
    """Log of a run, written by process 0: ``log.csv``, ``validation.csv``, TensorBoard files.

    Parameters
    ----------
    plan : TrainPlan
        How often, and where.
    ranks : Ranks
        The processes.
    step : int
        Where this part of the run begins; later rows of an earlier part are dropped.
    seconds : float
        Time spent before.
    waiting : sequence of mapping
        As `waiting` was then.
    """

    def __init__(
        self,
        plan: TrainPlan,
        ranks: Ranks,
        step: int,
        seconds: float,
        waiting: Sequence[Mapping[str, float]] = (),
    ) -> None:
        self._plan, self._writes = plan, ranks.rank == 0
        self._n_samples = plan.batch * plan.accumulate * ranks.n
        self._rows = list(waiting)
        self._n_before = len(waiting)
        self._since_s = seconds
        self.recent_loss = math.nan
        if self._writes:
            self._steps = CsvLog(plan.out / "log.csv", step)
            self._validations = CsvLog(plan.out / "validation.csv", step)
        self._board = _board(plan.out) if self._writes and plan.tensorboard else None

    def step(self, step: int, seconds: float, values: Mapping[str, float], last: bool) -> None:
        """Take in a step; every ``log_every`` steps, and at the end, their mean is a row."""
        self._rows.append(values)
        if step % self._plan.log_every and not last:
            return
        row = {name: sum(r[name] for r in self._rows) / len(self._rows) for name in values}
        n_samples = self._n_samples * (len(self._rows) - self._n_before)
        row["samples_per_s"] = n_samples / max(seconds - self._since_s, 1e-9)
        self.recent_loss, self._rows, self._since_s = row["loss"], [], seconds
        self._n_before = 0
        if self._writes:
            self._steps.add(step, {"seconds": seconds, **row})
            self._show("train", step, row)

    @property
    def waiting(self) -> list[Mapping[str, float]]:
        """Steps since the last row: kept in a checkpoint, so that a run in parts logs the same."""
        return list(self._rows)

    def validation(self, step: int, values: Mapping[str, float]) -> None:
        """Write the row of a validation."""
        if self._writes:
            self._validations.add(step, values)
            self._show("validation", step, values)

    def _show(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Write what is still in memory."""
        if self._board is not None:
            self._board.close()


def _board(out: Path) -> Any:
    """Open a TensorBoard writer, or None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out / "tensorboard"))
