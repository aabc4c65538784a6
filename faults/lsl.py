"""Faults of a real LSL stream, in real time: its sender dies, and is back as itself or another."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..hardware.faulty_link import FaultyLink
from ..hardware.lsl_check import CONFINED
from ..runtime.messages import Chunk, StreamSpec
from ..runtime.stages import Clock, Source
from .checks import Result, judge
from .matrix import Row
from .rig import PEOPLE, Rig

_FROM_S = 0.1  # arrivals that lie further apart are a silence


@contextmanager
def confined(folder: Path) -> Iterator[None]:
    """Keep LSL on this machine, in a session of its own, unless somebody has said otherwise."""
    if "LSLAPICFG" not in os.environ:
        config = folder / "lsl_api.cfg"
        config.write_text(CONFINED.format(session=f"faults-{uuid.uuid4().hex}"))
        os.environ["LSLAPICFG"] = str(config)  # it is read once, and stays
    yield


class Watched:
    """A source that is read as ever, and what has come of it.

    Parameters
    ----------
    source : Source
        Which.
    clock : Clock
        The session's.
    """

    ended = False

    def __init__(self, source: Source, clock: Clock) -> None:
        self._source, self._clock = source, clock
        self._blocks: list[NDArray[np.generic]] = []
        self._last_s = 0.0
        self.invalid: list[tuple[int, int]] = []
        self.silences_s: list[tuple[float, float]] = []

    @property
    def spec(self) -> StreamSpec:
        """Of the source."""
        return self._source.spec

    @property
    def delivered(self) -> NDArray[np.float32]:
        """All rows that have come, shape (n_rows, n_channels)."""
        if not self._blocks:
            return np.empty((0, 0), np.float32)
        return np.concatenate(self._blocks).astype(np.float32)

    def open(self) -> None:
        """Open the source."""
        self._began_ns = self._clock.now_ns()
        self._source.open()

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """Read the source."""
        chunk = self._source.read(wanted, until_ns)
        if chunk is None:
            return None
        self._blocks += [one.values for one in chunk.received]
        if chunk.samples.shape[1]:
            now_s = (self._clock.now_ns() - self._began_ns) / 1e9
            if self._last_s and now_s - self._last_s > _FROM_S:
                self.silences_s.append((self._last_s, now_s))
            self._last_s = now_s
        return chunk

    def close(self) -> None:
        """Close the source."""
        self._source.close()
        now_s = (self._clock.now_ns() - self._began_ns) / 1e9
        if now_s - self._last_s > _FROM_S:
            self.silences_s.append((self._last_s, now_s))


def over_lsl(row: Row, folder: Path) -> Result:
    """A session on a real stream whose sender dies.

    Parameters
    ----------
    row : Row
        Its settings say when the sender dies, is back, and whether as another.
    folder : Path
        Empty.

    Returns
    -------
    result : Result
        As of any session.
    """
    from ..hardware.faulty_sender import FaultySender
    from ..hardware.lsl_inlet import LslConfig, LslSource

    said = row.settings
    with confined(folder):
        name = f"faults-{uuid.uuid4().hex}"
        rig = Rig(row, folder, live=True, process=True)
        whole = FaultyLink(PEOPLE, (), rig.clock)
        sender = FaultySender(
            whole.spec,
            whole.signal,
            name,
            dies_s=float(said["dies_s"]),
            back_s=float(said.get("back_s", np.inf)),
            renamed=bool(said.get("renamed")),
        )
        config = LslConfig(name=name, markers="")
        rig.link = Watched(LslSource(config, rig.clock), rig.clock)
        sender.start()
        sender.ready.wait()
        timer = threading.Timer(float(said["length_s"]), lambda: rig.loop.stop())
        timer.daemon = True
        timer.start()
        try:
            outcome = rig.run()
        finally:
            timer.cancel()
            sender.finish()
    findings = judge(row, outcome)
    return Result(row=row, findings=findings, said=tuple(one.text for one in outcome.events))
