"""The learner's process: takes in trials and rewards, and proposes heads.

    python -m diverloop.rl.learning_process DESCRIPTOR

is started by a session, not by hand. It holds nothing that the session needs: it can hang or die.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..runtime.catalog import find
from ..runtime.errors import DiverloopError
from ..runtime.prototype_head import PrototypeHead
from ..runtime.settings import build
from .learners.learner import Learner
from .learning_words import TYPES, Adopt, Bye, Heard, Learnt, Opened, Opening, Saw
from .pipe import Pipe

_LONGEST = 1 << 26
_POLITE = 5  # below the loop, which shares the machine's cores with it


class Learning:
    """Serves one session until it says goodbye or is gone.

    Parameters
    ----------
    pipe : Pipe
        To the session.
    """

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._learner: Learner | None = None
        self._told = ""

    def run(self) -> None:
        """Take in what comes; answer each batch."""
        while not self._pipe.gone:
            self._pipe.wait()
            after = -1
            for said in self._pipe.take():
                if isinstance(said, Bye):
                    return
                after = max(after, self._take(said))
            if after >= 0:
                self._answer(after)

    def _take(self, said: Any) -> int:
        """Take one message in; its number, or -1 if it has none."""
        if isinstance(said, Opening):
            self._open(said)
            return -1
        assert self._learner is not None
        match said:
            case Saw(trial=trial):
                self._learner.see(trial)
            case Heard(reward=reward):
                self._learner.hear(reward)
            case Adopt(arrays=arrays):
                head = PrototypeHead.from_arrays(self._learner.head.classes, arrays)
                self._learner.adopt(head)
                self._told = self._learner.head.sha256
        number: int = said.n
        return number

    def _open(self, opening: Opening) -> None:
        try:
            cls = find("learner", opening.learner)
            config = build(cls.Config, opening.settings, "adaptation.settings")
            head = PrototypeHead.from_arrays(opening.classes, opening.arrays)
            self._learner = cls(head, config)
        except DiverloopError as error:
            self._pipe.post(Opened(refusal=str(error)))
            raise
        self._told = head.sha256
        self._pipe.post(Opened())

    def _answer(self, after: int) -> None:
        assert self._learner is not None
        head = self._learner.head
        new = head.sha256 != self._told
        self._told = head.sha256
        arrays = head.to_arrays() if new else {}
        self._pipe.post(Learnt(after=after, arrays=arrays, rule=self._learner.rule if new else ""))


def main(arguments: Sequence[str]) -> int:
    """Run a learner: the descriptor of its socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the loop, which says goodbye then
    with suppress(OSError, AttributeError):
        os.nice(_POLITE)
    link = socket.socket(fileno=int(arguments[0]))
    pipe = Pipe(link, TYPES, longest=_LONGEST)
    try:
        Learning(pipe).run()
    except DiverloopError as error:
        sys.stderr.write(f"The learner ended: {error}\n")
        return 1
    finally:
        pipe.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
