"""The error detector's process: a loop of its own over the session's chunks.

    python -m diverloop.error_detecting DESCRIPTOR

is started by a session, not by hand. Each selection of the session becomes a marker to which the
model's window is locked; so what was fitted offline is what reads here.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections import OrderedDict, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from .adapters.error_potential import error_probability
from .assembly import Model, open_model
from .rl.error_link import WORDS, Detecting, Judged, Shown
from .rl.learning_words import Bye, Opened
from .rl.pipe import Pipe
from .runtime.bundle import load_bundle
from .runtime.clock import MonotonicClock
from .runtime.errors import ConfigError, DiverloopError
from .runtime.fanout import DirectFanOut
from .runtime.feedback import EvidenceFeedback, FeedbackConfig
from .runtime.loop import Loop
from .runtime.loop_config import LoopConfig, Stages
from .runtime.messages import Chunk, Marker, Message, StreamSpec, Turn
from .runtime.windows import WindowConfig

_LONGEST = 1 << 28
_MOST_OPEN = 256
_POLITE = 3
_PATIENT = LoopConfig(deadline_s=30.0, history_s=10.0)


class ChunksThrough:
    """Source: the chunks that a session hands on, with a marker for each selection.

    Parameters
    ----------
    pipe : Pipe
        To the session.
    spec : StreamSpec
        Of its stream.
    label : str
        What the model's windows are locked to.
    clock : MonotonicClock
        This process's.
    """

    def __init__(self, pipe: Pipe, spec: StreamSpec, label: str, clock: MonotonicClock) -> None:
        self.spec = spec
        self.ended = False
        self.trial_at: OrderedDict[int, int] = OrderedDict()
        """Number of the trial whose selection was seen at a sample."""
        self._pipe, self._label, self._clock = pipe, label, clock
        self._chunks: deque[Chunk] = deque()
        self._markers: list[Marker] = []

    def open(self) -> None:
        """Nothing: the pipe is open."""

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """The next chunk, or None if none comes in time."""
        while not self._chunks and not self.ended:
            left_s = (until_ns - self._clock.now_ns()) / 1e9
            if left_s <= 0 or not self._pipe.wait(left_s):
                return None
            for said in self._pipe.take():
                self.take_in(said)
            self.ended = self.ended or self._pipe.gone
        if not self._chunks:
            return None
        chunk, markers = self._chunks.popleft(), tuple(self._markers)
        self._markers.clear()
        return replace(chunk, markers=markers, arrived_ns=self._clock.now_ns())

    def close(self) -> None:
        """Nothing to release."""

    def take_in(self, said: object) -> None:
        """Take what the session says."""
        match said:
            case Chunk():
                self._chunks.append(said)
            case Shown(trial=trial, sample=sample):
                self._markers.append(Marker(label=self._label, sample=sample))
                self.trial_at[sample] = trial
                while len(self.trial_at) > _MOST_OPEN:
                    self.trial_at.popitem(last=False)
            case Bye():
                self.ended = True


class Answers:
    """Watcher: tells the session what each selection looked like.

    Parameters
    ----------
    pipe : Pipe
        To the session.
    source : ChunksThrough
        Who knows which trial it was.
    """

    lossless = True

    def __init__(self, pipe: Pipe, source: ChunksThrough) -> None:
        self._pipe, self._source = pipe, source

    def watch(self, message: Message) -> None:
        """Answer a decision that is locked to a selection."""
        if not isinstance(message, Turn) or (marker := message.decision.marker) is None:
            return
        trial = self._source.trial_at.pop(marker.sample, None)
        if trial is not None:
            self._pipe.post(Judged(trial=trial, error=error_probability(message.decision)))

    def close(self) -> None:
        """Nothing to release."""


def detect(pipe: Pipe) -> None:
    """Serve one session until it says goodbye or is gone.

    Parameters
    ----------
    pipe : Pipe
        To the session.

    Raises
    ------
    DiverloopError
        If the model cannot be used, which the session is told.
    """
    while not (said := pipe.take()):
        if pipe.gone:
            return
        pipe.wait()
    opening = said[0]
    assert isinstance(opening, Detecting)
    try:
        model = open_error_model(opening.bundle)
        model.accept(opening.spec)
        # As the session's own windows: where its device is late, what followed is late as well.
        window = replace(model.window, device_delay_s=opening.device_delay_s)
    except DiverloopError as error:
        pipe.post(Opened(refusal=str(error)))
        raise
    clock = MonotonicClock()
    source = ChunksThrough(pipe, opening.spec, window.lock_to[0], clock)
    for early in said[1:]:
        source.take_in(early)
    pipe.post(Opened())
    _loop(pipe, source, model, window, clock).run()


def open_error_model(path: str) -> Model:
    """The model that reads error potentials.

    Parameters
    ----------
    path : str
        Of a bundle.

    Returns
    -------
    model : Model
        Fresh stages.

    Raises
    ------
    ConfigError
        If it is a model of another task.
    BundleError
        If it cannot be read.
    """
    model = open_model(load_bundle(path))
    if model.card.task != "error_potential" or not model.window.lock_to:
        raise ConfigError(
            f"adaptation.error_model {path} is a model of the task {model.card.task}: name one "
            f"of the task error_potential."
        )
    return model


def _loop(
    pipe: Pipe, source: ChunksThrough, model: Model, window: WindowConfig, clock: MonotonicClock
) -> Loop:
    return Loop(
        Stages(
            source=source,
            conditioner=model.conditioner,
            encoder=model.encoder,
            adapter=model.adapter,
            feedback=EvidenceFeedback(FeedbackConfig(memory_s=0.0)),
        ),
        clock=clock,
        window=window,
        config=_PATIENT,
        fanout=DirectFanOut((Answers(pipe, source),)),
    )


def main(arguments: Sequence[str]) -> int:
    """Run a detector: the descriptor of its socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the loop, which says goodbye then
    with suppress(OSError, AttributeError):
        os.nice(_POLITE)
    pipe = Pipe(socket.socket(fileno=int(arguments[0])), WORDS, longest=_LONGEST)
    try:
        detect(pipe)
    except DiverloopError as error:
        sys.stderr.write(f"The error detector ended: {error}\n")
        return 1
    finally:
        pipe.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
