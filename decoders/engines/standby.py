"""A spare engine behind the one that runs: a GPU that is lost costs a hop, not the session.

The spare is open from the start. What the last hops were is kept, as far back as the student's
state can remember, so that the spare can be brought to where the lost engine was.
"""

from __future__ import annotations

import time
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import EngineError
from ..student_config import StudentConfig
from .engine import Bools, Engine, EngineAbout, Hop


def hops_remembered(config: StudentConfig) -> int:
    """How many hops back the state of a stream can depend on.

    Parameters
    ----------
    config : StudentConfig
        Every layer looks back by its context; the tokens by the tail.

    Returns
    -------
    n_hops : int
        Hearing so many again gives the same state whatever came before.
    """
    return config.n_layers * (config.context - 1) + -(-config.tail // config.hop) + 1


class StandbyEngine:
    """Engine: another one, and a spare that takes over when it stops.

    Parameters
    ----------
    running : Engine
        Hears every hop until it raises `EngineError`.
    spare : Engine
        Open and idle; on the processor, so that it does not share the other's fate.
    config : StudentConfig
        Says how much has to be remembered.
    n_rows : int
        Rows of a hop.
    """

    def __init__(self, running: Engine, spare: Engine, config: StudentConfig, n_rows: int) -> None:
        self._running, self._spare = running, spare
        n_hops = hops_remembered(config)
        self._hops = np.zeros((n_hops, n_rows, config.hop), np.float32)
        self._usable = np.zeros((n_hops, n_rows), bool)
        self._heard = 0
        self._notes: list[str] = []

    @property
    def about(self) -> EngineAbout:
        """Of the engine that runs now."""
        return self._running.about

    def restart(self) -> None:
        """Forget the stream."""
        self._heard = 0
        try:
            self._running.restart()
        except EngineError as error:
            self._take_over(error)

    def hear(self, hop_uv: Hop, usable: Bools) -> NDArray[np.float32]:
        """Embedding of the next hop; see `Engine.hear`. Raises only if the spare stops as well."""
        place = self._heard % len(self._hops)
        self._hops[place], self._usable[place] = hop_uv, usable
        self._heard += 1
        try:
            return self._running.hear(hop_uv, usable)
        except EngineError as error:
            return self._take_over(error)

    def take_notes(self) -> tuple[str, ...]:
        """What happened since the last call, in sentences."""
        notes, self._notes = tuple(self._notes), []
        return notes

    def close(self) -> None:
        """Release both."""
        self._running.close()
        self._spare.close()

    def _take_over(self, error: EngineError) -> NDArray[np.float32]:
        """The spare's embedding of the newest hop, after all that is remembered before it."""
        if self._running is self._spare:
            raise error
        lost, self._running = self._running, self._spare
        with suppress(EngineError, RuntimeError):  # what is lost may not even be put away
            lost.close()
        began_s = time.monotonic()
        self._spare.restart()
        embedding = np.zeros(0, np.float32)
        n = len(self._hops)
        for place in range(max(0, self._heard - n), self._heard):
            embedding = self._spare.hear(self._hops[place % n], self._usable[place % n])
        took_ms = 1e3 * (time.monotonic() - began_s)
        self._notes.append(
            f"{error} {self._spare.about} took over within {took_ms:.0f} ms, knowing the last "
            f"{min(self._heard, n)} hops."
        )
        return embedding
