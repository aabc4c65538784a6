"""Runs rows of the fault matrix, one after the other, each in a folder of its own."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..runtime.catalog import nearest
from ..runtime.errors import ConfigError
from . import processes
from .acts import ACTS
from .checks import Calm, Result, decisions_by_window, judge
from .lsl import over_lsl
from .matrix import ROWS, Row
from .refusals import refused, started_twice
from .rig import Rig

Progress = Callable[[str, float, float], None]
Trial = Callable[["Stage", Row, Path], Result]

CALM = Row(
    name="calm",
    group="stream",
    done="Nothing.",
    must="Every sample is decoded.",
)


class Stage:
    """What the rows of a campaign share.

    Parameters
    ----------
    folder : Path
        Temporary.
    short : bool
        Whether recordings are read rather than replayed, and recorders run in threads even where
        the session runs in real time.
    """

    def __init__(self, folder: Path, *, short: bool = False) -> None:
        self.folder, self.short = folder, short
        self._calm: Calm | None = None

    @property
    def calm(self) -> Calm:
        """Decisions of a session in which nothing goes wrong, by their window."""
        if self._calm is None:
            rig = Rig(CALM, self.folder / "calm")
            self._calm = decisions_by_window(rig.run())
        return self._calm

    def run(self, row: Row) -> Result:
        """Try one fault.

        Parameters
        ----------
        row : Row
            Which.

        Returns
        -------
        result : Result
            Whatever comes of it: nothing is raised for what the product does wrong.
        """
        if row.pending:
            return Result(row=row, pending=row.pending)
        began_s = time.monotonic()
        folder = self.folder / row.name
        folder.mkdir()
        result = TRIALS[row.how](self, row, folder)
        return Result(
            row=row,
            findings=result.findings,
            said=result.said,
            pending=result.pending,
            took_s=time.monotonic() - began_s,
        )


def in_loop(stage: Stage, row: Row, folder: Path) -> Result:
    """A session on a clock that jumps, or in real time if the row says so."""
    live = bool(row.settings.get("live"))
    process = bool(row.settings.get("process")) or (live and not stage.short)
    rig = Rig(row, folder, live=live, process=process)
    if row.act:
        (processes.ACTS if live else ACTS)[row.act](rig)
    outcome = rig.run()
    calm = stage.calm if row.calm else None
    findings = judge(row, outcome, calm=calm, proof=not stage.short)
    return Result(row=row, findings=findings, said=tuple(one.text for one in outcome.events))


TRIALS: Mapping[str, Trial] = {
    "loop": in_loop,
    "refused": lambda stage, row, folder: refused(row, folder),
    "twice": lambda stage, row, folder: started_twice(row, folder),
    "lsl": lambda stage, row, folder: over_lsl(row, folder),
}
"""How a row is run, by the name that it gives."""


def chosen(only: Sequence[str], *, short: bool) -> tuple[Row, ...]:
    """Rows that were asked for.

    Parameters
    ----------
    only : sequence of str
        Names, or groups; empty for all.
    short : bool
        Only those of the short form.

    Returns
    -------
    rows : tuple of Row
        In the order of the matrix.

    Raises
    ------
    ConfigError
        If a name is no row's and no group's.
    """
    known = {row.name for row in ROWS} | {row.group for row in ROWS}
    for name in only:
        if name not in known:
            raise ConfigError(f"No fault is called {name!r}. {nearest(name, known)}")
    wanted = [row for row in ROWS if not only or row.name in only or row.group in only]
    return tuple(row for row in wanted if row.short or not short)


@contextmanager
def own_home(folder: Path) -> Iterator[None]:
    """Let keys and whatever else a session makes lie in a folder of the campaign."""
    before = os.environ.get("DIVERLOOP_HOME")
    os.environ["DIVERLOOP_HOME"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["DIVERLOOP_HOME"]
        else:
            os.environ["DIVERLOOP_HOME"] = before


def campaign(
    rows: Sequence[Row], *, short: bool = False, on_progress: Progress | None = None
) -> tuple[Result, ...]:
    """Try rows of the matrix; nothing of the user's is touched.

    Parameters
    ----------
    rows : sequence of Row
        Which.
    short : bool
        See `Stage`.
    on_progress : callable, optional
        Takes what is being tried, how many rows are done, and of how many.

    Returns
    -------
    results : tuple of Result
        In the same order.
    """
    tell = on_progress or (lambda what, done, of: None)
    results = []
    with tempfile.TemporaryDirectory(prefix="diverloop-faults-") as place:
        folder = Path(place)
        with own_home(folder / "home"):
            stage = Stage(folder, short=short)
            for done, row in enumerate(rows):
                tell(row.name, done, len(rows))
                results.append(stage.run(row))
    return tuple(results)
