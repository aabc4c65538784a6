"""The vocabulary: what the stages hand to each other.

Every message is frozen and carries its provenance: which samples it rests on, when they
arrived, which weights judged them. Three rules hold everywhere:

- signal is ``(n_channels, n_times)`` in microvolts;
- a sample is named by its *stream index*, a count that starts at 0 when the source opens and
  that also counts samples known to be lost, so an index is always a time;
- times called ``_ns`` are whole nanoseconds of the loop's own clock (monotonic or virtual);
  times called ``_s`` with ``lsl`` in the name are LSL seconds, raw as the sender stamped them,
  or corrected into this machine's clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .events import Event as Event
from .events import EventKind as EventKind
from .quality import Quality
from .received import Received
from .stream_spec import BRAIN as BRAIN
from .stream_spec import INTRACRANIAL as INTRACRANIAL
from .stream_spec import Channel as Channel
from .stream_spec import StreamSpec as StreamSpec
from .stretch import Stretch

Samples = NDArray[np.floating]
"""Signal, shape (n_channels, n_times), microvolts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A label that the task put into the stream: a cue, a flash, a key.

    Parameters
    ----------
    label : str
        What the task said, for example ``"left"``.
    sample : int
        Stream index of the nearest sample.
    lsl_raw_s : float
        LSL time as the sender stamped it; NaN where there is none.
    lsl_corrected_s : float
        The same moment in this machine's LSL clock; NaN where there is none.
    stream : str
        Name of the marker stream it came on; empty where the source has none.
    """

    label: str
    sample: int
    lsl_raw_s: float = math.nan
    lsl_corrected_s: float = math.nan
    stream: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """Rows of a stream beside the one that drives the loop, as they were received.

    Parameters
    ----------
    place : int
        Which of the session's streams beside.
    arrived_ns : int
        Loop time at which the last row reached this process.
    rows : Received
        The rows.
    spec : StreamSpec, optional
        What the stream promises; with its first rows only.
    """

    place: int
    arrived_ns: int
    rows: Received
    spec: StreamSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Samples as a source delivered them.

    Parameters
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Signal in microvolts, float32; rows in the order of `StreamSpec.channels`. May be empty
        when only markers or events came. The receiver owns it: a source never touches it again.
    first_sample : int
        Stream index of ``samples[:, 0]``. A jump means that samples were lost.
    arrived_ns : int
        Loop time at which the last sample reached this process.
    lsl_raw_s, lsl_corrected_s : float
        LSL time of the last sample as the sender stamped it, and in this machine's clock.
    markers : tuple of Marker
        Labels that arrived with it.
    events : tuple of Event
        What the source noticed while reading it.
    received : tuple of Received
        What has come since the last chunk, from sources that know it as it was sent.
    rows : tuple of (int, int)
        Which received rows `samples` were made of, in order, stop exclusive; they may have come
        with an earlier chunk.
    beside : tuple of Aside
        What has come on streams beside this one since the last chunk.
    """

    samples: Samples
    first_sample: int
    arrived_ns: int
    lsl_raw_s: float = math.nan
    lsl_corrected_s: float = math.nan
    markers: tuple[Marker, ...] = ()
    events: tuple[Event, ...] = ()
    received: tuple[Received, ...] = ()
    rows: tuple[tuple[int, int], ...] = ()
    beside: tuple[Aside, ...] = ()

    @property
    def stop_sample(self) -> int:
        """Stream index one past the last sample."""
        return self.first_sample + int(self.samples.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of conditioned signal, complete and without a hole.

    Parameters
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Read-only view into the ring: valid until the loop reads again, so copy what you keep.
    first_sample, stop_sample : int
        Stream indices, stop exclusive.
    due_ns : int
        Loop time at which its last sample was produced, as well as arrival times can tell.
    marker : Marker, optional
        The marker it is locked to; None for a sliding window.
    lsl_raw_s, lsl_corrected_s : float
        LSL time of its last sample.
    usable : ndarray of bool, shape (n_channels,), optional
        False in rows that are masked: their electrode was bad somewhere in the window, and what
        they hold must not be looked at. None if every row is good.
    conditioned_first : int
        Index of its first sample in the conditioned stream; -1 if it is of no stream. An encoder
        that streams goes on from the window before where this one overlaps it.
    beside : tuple of Stretch
        The same time of the streams beside this one, for encoders that ask for it.
    """

    samples: Samples
    first_sample: int
    stop_sample: int
    due_ns: int
    marker: Marker | None = None
    lsl_raw_s: float = math.nan
    lsl_corrected_s: float = math.nan
    usable: NDArray[np.bool_] | None = None
    conditioned_first: int = -1
    beside: tuple[Stretch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """What an encoder makes of a window.

    Parameters
    ----------
    values : ndarray, shape (n_features,)
        Features, owned by the receiver.
    quality : float
        0 (unusable) to 1 (clean), as the encoder judges its input.
    events : tuple of Event
        What happened in the encoder, for example that another engine took over.
    """

    values: NDArray[np.floating]
    quality: float = 1.0
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the adapter reads from an embedding, or why there is nothing to read.

    Parameters
    ----------
    classes : tuple of str
        What the probabilities speak of.
    probabilities : ndarray, shape (n_classes,)
        Sums to 1, or is all NaN when nothing was decoded.
    label : str, optional
        The decided class; None means *neutral*: the loop abstains.
    reason : str
        Why it is neutral; empty when a class was decided.
    first_sample, stop_sample : int
        The samples it rests on, stop exclusive.
    epoch : int
        Which set of weights judged them; grows with every promotion.
    marker : Marker, optional
        The marker the window was locked to.
    lsl_raw_s, lsl_corrected_s : float
        LSL time of the last sample.
    """

    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    label: str | None
    reason: str = ""
    first_sample: int = -1
    stop_sample: int = -1
    epoch: int = 0
    marker: Marker | None = None
    lsl_raw_s: float = math.nan
    lsl_corrected_s: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a sink is asked to do, and, returned by the sink, what it really did.

    Parameters
    ----------
    label : str, optional
        The class to show or act on; None is neutral.
    strength : float
        Accumulated evidence for it, 0 to 1.
    selected : bool
        True once, at the moment evidence and dwell suffice for a selection.
    reason : str
        Why it is neutral; empty otherwise.
    velocity : tuple of float
        Share of full speed along each axis, -1 to 1. Of a neutral command it is empty or zero, and
        empty means standing still, too.
    """

    label: str | None
    strength: float = 0.0
    selected: bool = False
    reason: str = ""
    velocity: tuple[float, ...] = ()

    def at_rest(self, reason: str) -> Command:
        """The neutral command in its place: as many axes, none of which moves.

        Parameters
        ----------
        reason : str
            Why it does not pass.
        """
        return Command(label=None, reason=reason, velocity=(0.0,) * len(self.velocity))


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """When each stage was done with a window, in loop time.

    Parameters
    ----------
    due_ns : int
        Its last sample was produced.
    arrived_ns : int
        Its last sample was in this process.
    conditioned_ns, cut_ns, encoded_ns, decided_ns, fed_back_ns, acted_ns : int
        The stage of that name was done.
    """

    due_ns: int
    arrived_ns: int
    conditioned_ns: int
    cut_ns: int
    encoded_ns: int
    decided_ns: int
    fed_back_ns: int
    acted_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One pass through the loop, for watchers: what was decided, done, and when.

    Parameters
    ----------
    decision : Decision
        What the adapter said.
    command : Command
        What the sinks really did.
    times : StageTimes
        When each stage was done.
    embedding : Embedding, optional
        What the encoder saw; None when nothing was encoded.
    asked : Command, optional
        What the guard let through to the sinks, if they did anything else.
    """

    decision: Decision
    command: Command
    times: StageTimes
    embedding: Embedding | None = field(default=None)
    asked: Command | None = field(default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Other weights that decide from here on; complete, so that a recording needs no other file.

    Parameters
    ----------
    epoch : int
        Of the new weights; larger than that of the old ones.
    kind : str
        The adapter's name in the catalogue.
    settings : mapping
        What was chosen for it.
    arrays : mapping of str to ndarray
        What it has learnt.
    reason : str
        Why, in one sentence.
    who : str
        A rule or a person.
    rule : str
        By what the weights came about; empty where nobody said.
    parent, sha256 : str
        Hashes of what served before, and of what serves from here on, as whoever offers them takes
        them.
    """

    epoch: int
    kind: str
    settings: Mapping[str, Any]
    arrays: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    reason: str
    who: str = "rule"
    rule: str = ""
    parent: str = ""
    sha256: str = ""


Message = StreamSpec | Chunk | Turn | Event | Promotion | Quality
"""What watchers receive."""
