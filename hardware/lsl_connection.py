"""A connection to one LSL stream that is kept, lost, missed and found again.

A sender that ends says so, and the library tells. A host that loses its power or its network says
nothing: TCP would wait for it for a quarter of an hour, and for as long as it was away once it is
back; a host that has started anew would never be heard again. So a stream that is silent for too
long is looked for, while the old connection is still listened to; what brings samples first counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pylsl

from ..runtime.messages import EventKind
from ..runtime.stages import Clock
from .lsl_link import ClockOffset, Finder

if TYPE_CHECKING:
    from .lsl_inlet import LslConfig

_PATIENCE_GROWS, _PATIENCE_AT_MOST_S = 2.0, 60.0


class Connection:
    """The inlet of a source, or the search for it.

    Parameters
    ----------
    config : LslConfig
        Which stream.
    clock : Clock
        The machine's monotonic clock.
    accept : callable
        Raises a `DiverloopError` for a stream that is not the one that was lost.
    tell : callable
        Takes what people should know.

    Attributes
    ----------
    inlet : pylsl.StreamInlet or None
        Where samples come from; None while the sender is known to be gone.
    outage : bool
        Whether another connection took over, so that the next samples follow a hole.
    """

    def __init__(
        self,
        config: LslConfig,
        clock: Clock,
        accept: Callable[[pylsl.StreamInlet], object],
        tell: Callable[[EventKind, str], None],
    ) -> None:
        self._config, self._clock, self._accept, self._tell = config, clock, accept, tell
        self.inlet: pylsl.StreamInlet | None = None
        self.outage = False
        self._name = self._source_id = ""
        self._offset: ClockOffset | None = None
        self._offset_before_s = 0.0
        self._finder: Finder | None = None
        self._patience_s, self._heard_ns, self._missed = config.silent_s, 0, False

    @property
    def offset_s(self) -> float:
        """What to add to the sender's stamps to have them in this machine's clock."""
        return self._offset.seconds if self._offset else 0.0

    def begin(self, inlet: pylsl.StreamInlet, name: str, source_id: str) -> None:
        """Use the first connection, of a stream so called."""
        self._name, self._source_id = name, source_id
        self._use(inlet)

    def heard(self) -> None:
        """Samples have come: whatever was missed is back."""
        self._patience_s, self._heard_ns = self._config.silent_s, self._clock.now_ns()
        if self._finder is not None:
            self._finder.stop()
            self._finder = None
        self._return()

    def lose(self) -> None:
        """The sender has said goodbye, or its system for it."""
        self._miss(f"The stream {self._name!r} is gone; looking for it.")
        self._drop()
        self.outage = True
        self._look()

    def mind_silence(self) -> bool:
        """Nothing has come: look for the stream anew if that has lasted too long.

        Returns
        -------
        renewed : bool
            Whether a new connection has taken over.
        """
        if self.inlet is None:
            return False
        if self._finder is None:
            if self._clock.now_ns() - self._heard_ns >= self._patience_s * 1e9:
                silent_s = self._config.silent_s
                self._miss(f"The stream {self._name!r} is silent for {silent_s:g} s; looking anew.")
                self._look()
        elif self._take_over(0.0):
            self.outage = True
            # A sender that only rests is not dialled again and again.
            self._patience_s = min(self._patience_s * _PATIENCE_GROWS, _PATIENCE_AT_MOST_S)
            return True
        return False

    def await_return(self, until_ns: int) -> None:
        """Wait for a stream that is gone, until a deadline."""
        if self._take_over(max(0.0, (until_ns - self._clock.now_ns()) / 1e9)):
            self._return()

    def close(self) -> None:
        """Unsubscribe and stop looking. Calling it twice is harmless."""
        if self._finder is not None:
            self._finder.stop()
            self._finder = None
        self._drop()

    def _use(self, inlet: pylsl.StreamInlet) -> None:
        self.inlet = inlet
        self._offset = ClockOffset(inlet, before_s=self._offset_before_s)
        self._heard_ns = self._clock.now_ns()

    def _drop(self) -> None:
        if self._offset is not None:
            self._offset_before_s = self._offset.seconds
            self._offset.stop()
        if self.inlet is not None:
            self.inlet.close_stream()
        self.inlet = self._offset = None

    def _miss(self, text: str) -> None:
        if not self._missed:
            self._missed = True
            self._tell(EventKind.SOURCE_LOST, text)

    def _return(self) -> None:
        if self._missed:
            self._missed = False
            self._tell(EventKind.SOURCE_BACK, f"The stream {self._name!r} is back.")

    def _look(self) -> None:
        if self._finder is not None:
            return
        # The device itself is wanted back, not another one under the same name; of a pinned one,
        # another one is also to be told of.
        config = self._config
        own = {} if config.pin else {"source_id": self._source_id}
        self._finder = Finder({**config.wanted, **own}, config.buffer_s, self._accept, config.pin)

    def _take_over(self, wait_s: float) -> bool:
        """Use what the search has found, if it has."""
        assert self._finder is not None
        inlet = self._finder.wait(wait_s)
        if refusal := self._finder.take_refusal():
            pinned = self._config.pin is not None
            self._tell(EventKind.IMPOSTOR if pinned else EventKind.SOURCE_LOST, refusal)
        if inlet is None:
            return False
        self._finder = None
        self._drop()
        self._use(inlet)
        return True
