"""What a loop runs, when work is too late, and when data is too old."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import ConfigError
from .stages import Adapter, Conditioner, Encoder, Feedback, Sink, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """How patient the loop is.

    Parameters
    ----------
    deadline_s : float
        A window older than this is skipped once a newer one is complete, and a decision later
        than this counts as missed; 0 stands for one window step, or 1 s where windows are locked
        to markers. A sender that delivers in packets longer than this needs more.
    stale_s : float
        Output turns neutral when nothing has come for this long, 0.1 to 1 s.
    lead_s : float
        How long before a window is complete the loop wakes to take in what is there, 0 to 1 s.
    look_s : float
        The loop looks what persons did, and gives a sign of life, this often at least, 0.01 to
        0.1 s.
    history_s : float
        Signal kept in memory beyond what windows reach back, 0.5 to 600 s.
    """

    deadline_s: float = 0.0
    stale_s: float = 0.25
    lead_s: float = 0.005
    look_s: float = 0.05
    history_s: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.deadline_s <= 60:
            raise ConfigError(f"loop.deadline_s must be in [0, 60] s, got {self.deadline_s} s.")
        if not 0.1 <= self.stale_s <= 1:
            raise ConfigError(f"loop.stale_s must be in [0.1, 1] s, got {self.stale_s} s.")
        if not 0 <= self.lead_s <= 1:
            raise ConfigError(f"loop.lead_s must be in [0, 1] s, got {self.lead_s} s.")
        if not 0.01 <= self.look_s <= 0.1:
            raise ConfigError(f"loop.look_s must be in [0.01, 0.1] s, got {self.look_s} s.")
        if not 0.5 <= self.history_s <= 600:
            raise ConfigError(f"loop.history_s must be in [0.5, 600] s, got {self.history_s} s.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The implementations a loop runs, in the order in which the data meets them.

    Parameters
    ----------
    source, conditioner, encoder, adapter, feedback : objects
        One of each protocol in `diverloop.runtime.stages`.
    sinks : sequence of Sink
        Each is asked to do what the one before it really did.
    """

    source: Source
    conditioner: Conditioner
    encoder: Encoder
    adapter: Adapter
    feedback: Feedback
    sinks: Sequence[Sink] = ()
