"""When commands really left: what the watchdog's process reports back, paired with what was asked.

`StageTimes.acted_ns` says when the loop was done with a command. For a sink in the loop's own
process that is the moment of sending; behind a watchdog it is the moment of handing over, and the
sending comes a little later, in another process, on the same monotonic clock of the machine.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from .histogram import Histogram
from .messages import Command

_MOST_KEPT = 20_000  # a quarter of an hour at 20 a second
_MOST_WAITING = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCommand:
    """One command on its way out.

    Parameters
    ----------
    stop_sample : int
        Of the decision: names the turn.
    asked, done : Command
        What was handed over, and what the sinks really did.
    handed_ns, sent_ns : int
        When it was handed over, and when the last sink had done it; monotonic clock.
    """

    stop_sample: int
    asked: Command
    done: Command
    handed_ns: int
    sent_ns: int


class SentLog:
    """Commands handed over, and what is known of their sending. For one thread.

    Attributes
    ----------
    sent : deque of SentCommand
        The newest 20 000.
    times : Histogram
        From handing over to sending, of all.
    handed : int
        How many were handed over.
    """

    def __init__(self) -> None:
        self.sent: deque[SentCommand] = deque(maxlen=_MOST_KEPT)
        self.times = Histogram()
        self.handed = 0
        self._waiting: dict[int, tuple[int, Command, int]] = {}

    def hand_over(self, stop_sample: int, asked: Command, now_ns: int) -> int:
        """Note that a command is handed over.

        Parameters
        ----------
        stop_sample : int
            Of its decision.
        asked : Command
            What it is.
        now_ns : int
            When.

        Returns
        -------
        number : int
            By which the answer names it.
        """
        number, self.handed = self.handed, self.handed + 1
        self._waiting[number] = (stop_sample, asked, now_ns)
        self._waiting.pop(number - _MOST_WAITING, None)  # nobody answered: it died with a watchdog
        return number

    def take_answer(self, number: int, done: Command, sent_ns: int) -> None:
        """Note that it was done.

        Parameters
        ----------
        number : int
            As `hand_over` gave it.
        done : Command
            What was really done.
        sent_ns : int
            When.
        """
        if number not in self._waiting:
            return
        stop_sample, asked, handed_ns = self._waiting.pop(number)
        self.times.record(sent_ns - handed_ns)
        self.sent.append(
            SentCommand(
                stop_sample=stop_sample,
                asked=asked,
                done=done,
                handed_ns=handed_ns,
                sent_ns=sent_ns,
            )
        )

    def sentence(self) -> str:
        """How many were sent, and how long after they were handed over; empty if none was."""
        if not self.times.count:
            return ""
        half, most = (self.times.quantile_ns(q) / 1e6 for q in (0.5, 0.99))
        return (
            f"Of {self.handed} commands handed to the outputs {self.times.count} were done, "
            f"{half:.2f} ms later in the median, {most:.2f} ms at the 99th percentile, "
            f"{self.times.max_ns / 1e6:.2f} ms at most."
        )
