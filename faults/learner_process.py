"""A learner beside a session that dies, hangs, floods or says rubbish, in real time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping

import numpy as np

from ..rl.child import Starts
from ..rl.learning_link import LearningLink, LinkConfig
from ..rl.trial import Trial
from ..runtime.messages import Message, Turn
from ..runtime.prototype_head import PrototypeHead
from .rig import CLASSES, Rig

AT = 8
"""At which window it is killed or stopped."""

PATIENCE = LinkConfig(silence_s=0.5, restarts=1)
READY_LIMIT_S = 30.0

_RUBBISH = """\
import os, socket, sys, time
link = socket.socket(fileno=int(sys.argv[1]))
link.recv(1)
link.sendall(os.urandom(4000))
time.sleep(60)
"""
_FLOOD = """\
import socket, sys
from diverloop.rl.learning_words import TYPES, Learnt, Opened
from diverloop.rl.pipe import Pipe
pipe = Pipe(socket.socket(fileno=int(sys.argv[1])), TYPES, longest=1 << 24)
pipe.wait()
pipe.post(Opened())
while not pipe.gone:
    pipe.post(Learnt(after=0, arrays={}))
    pipe.push()
"""


class Taught:
    """A watcher that tells a learner of every decision, and counts what it proposes."""

    lossless = True

    def __init__(self, link: LearningLink) -> None:
        self.link, self.proposals = link, 0
        self._n = 0

    def watch(self, message: Message) -> None:
        """Tell of a decision, and look what the learner says."""
        if not isinstance(message, Turn) or message.embedding is None:
            return
        self._n += 1
        features = np.asarray(message.embedding.values, dtype=np.float64).ravel()
        self.link.see(Trial.plain(self._n, features, len(CLASSES), 0))
        self.proposals += self.link.proposal() is not None

    def close(self) -> None:
        """End the learner."""
        self.link.close()


def head_by_hand(n_features: int) -> PrototypeHead:
    """A head that nobody has fitted, for a learner to begin with.

    Parameters
    ----------
    n_features : int
        Of the model.

    Returns
    -------
    head : PrototypeHead
        Both classes a step from the middle.
    """
    step = np.full(n_features, 0.1)
    return PrototypeHead(
        classes=CLASSES,
        mean=np.zeros(n_features),
        scale=np.ones(n_features),
        basis=np.eye(n_features),
        centre=np.zeros(n_features),
        prototypes=np.stack([step, -step]),
        log_priors=np.full(2, -np.log(2)),
    )


def _saying(code: str) -> Starts:
    """What starts a program in the learner's place."""

    def start(theirs: socket.socket) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", code, str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )

    return start


def _taught(rig: Rig, start: Starts | None = None) -> LearningLink:
    """A learner beside the loop; what it says never reaches the weights."""
    n_features = rig.model.bundle.part("adapter")["mean"].size
    link = LearningLink("recentring", {}, head_by_hand(n_features), config=PATIENCE, start=start)
    rig.watchers.append(Taught(link))

    def tell() -> None:
        link.tell = rig.loop.tell

    def look() -> None:
        epochs = {one.epoch for _, one, _ in rig.witness.seen}
        rig.extra["the weights stay"] = "" if epochs == {0} else f"epochs {sorted(epochs)} decided"
        rig.extra["another learner"] = "" if link.restarts == 1 else f"{link.restarts} came"

    rig.ready.append(tell)
    rig.after.append(look)
    return link


def _struck(number: int) -> Callable[[Rig], None]:
    def act(rig: Rig) -> None:
        link = _taught(rig)
        # It has to be there before it can be struck, and begins more slowly than the session.
        settled = threading.Event()
        for _ in range(round(READY_LIMIT_S / 0.05)):
            link.proposal()
            if link.ready or settled.wait(0.05):
                break
        rig.extra["it was there"] = "" if link.ready else "it was not"
        rig.at[AT] = lambda: os.kill(link.pid, number)

    return act


def _saying_act(code: str) -> Callable[[Rig], None]:
    def act(rig: Rig) -> None:
        _taught(rig, _saying(code))

    return act


ACTS: Mapping[str, Callable[[Rig], None]] = {
    "learner-killed": _struck(signal.SIGKILL),
    "learner-hangs": _struck(signal.SIGSTOP),
    "learner-rubbish": _saying_act(_RUBBISH),
    "learner-floods": _saying_act(_FLOOD),
}
"""What is done to a rig that runs in real time."""
