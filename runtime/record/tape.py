"""What determines a run from outside: the tape.

The loop is a function of five things: what `Source.read` returned, what the clock said each time
it was asked, what persons told the guard, what the decoder was told, and what the sinks answered.
A recording that holds all five determines every decision, lateness and skipped windows included.
The tape sits between the loop and its clock, source, guard and inbox, notes what passes, and
changes nothing; chunks and answers reach the recorder as messages anyway, so what is left to note
is small: a `Pass` for every call of `Source.read`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..guard import Guard, Signal
from ..inbox import Inbox, Told
from ..limits import GuardConfig, State
from ..messages import Chunk, Promotion, StreamSpec
from ..promotion import Promotions
from ..stages import Adapter, Clock, Source

OPENING, NOTHING, CHUNK, BROKEN = "opening", "nothing", "chunk", "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What came from outside between one reading of the source and the next.

    Parameters
    ----------
    number : int
        0 is the opening of the loop, before anything was read.
    outcome : str
        What the reading gave: `OPENING` (there was none), `NOTHING` or `CHUNK`; `BROKEN` for a
        last pass that an error cut short, which cannot be replayed.
    readings_ns : tuple of int
        What the clock said, each time the loop asked.
    heard : tuple of (int, str)
        What persons told the guard, and at which of its looks in this pass it heard of it.
    promotions : int
        How many sets of weights the loop took out of the box at the end of this pass.
    told : tuple of (int, Told)
        What the decoder was told, and at which of its looks in this pass it found it.
    """

    number: int
    outcome: str
    readings_ns: tuple[int, ...]
    heard: tuple[tuple[int, str], ...] = ()
    promotions: int = 0
    told: tuple[tuple[int, Told], ...] = ()


class Tape:
    """Stands between a loop and what determines it.

    Make the loop with its `clock`, `guard`, `promotions`, `inbox` and what `source` gives.
    Everything is called from the loop's thread.

    Parameters
    ----------
    clock : Clock
        The clock of the session.
    post : callable
        Takes each `Pass` when it is over. Must not wait.
    limits : GuardConfig, optional
        Of the guard.
    """

    def __init__(
        self, clock: Clock, post: Callable[[Pass], None], limits: GuardConfig | None = None
    ) -> None:
        self._post = post
        self._readings: list[int] = []
        self._heard: list[tuple[int, str]] = []
        self._told: list[tuple[int, Told]] = []
        self._looks = self._decoder_looks = 0
        self._promoted = 0
        self._number = 0
        self._outcome = OPENING
        self._whole = False
        self.clock = TapedClock(clock, self._readings)
        self.guard = TapedGuard(self, limits)
        self.promotions = TapedPromotions(self)
        self.inbox = TapedInbox(self)

    def source(self, source: Source) -> TapedSource:
        """Put the tape in front of a source."""
        return TapedSource(source, self)

    def begin_pass(self) -> None:
        """The source is about to be read: what was noted so far belongs to the pass before."""
        self._post(
            Pass(
                number=self._number,
                outcome=self._outcome,
                readings_ns=tuple(self._readings),
                heard=tuple(self._heard),
                promotions=self._promoted,
                told=tuple(self._told),
            )
        )
        self._promoted = 0
        self._number += 1
        self._whole = False
        self._readings.clear()
        self._heard.clear()
        self._told.clear()
        self._looks = self._decoder_looks = 0

    def end(self) -> None:
        """No pass comes any more; the last one may have been cut short by an error."""
        if not self._whole:
            self._outcome = BROKEN
        self.begin_pass()

    def note_outcome(self, chunk: Chunk | None) -> None:
        """The source was read."""
        self._outcome = NOTHING if chunk is None else CHUNK

    def note_settled(self) -> None:
        """The guard was settled, which is how the loop ends its opening and every pass."""
        self._whole = True

    def note_look(self, signals: tuple[Signal, ...]) -> None:
        """The guard looked whether somebody had told it anything."""
        self._heard += [(self._looks, str(signal)) for signal in signals]
        self._looks += 1

    def note_told(self, told: tuple[Told, ...]) -> None:
        """The decoder looked whether it had been told anything."""
        self._told += [(self._decoder_looks, one) for one in told]
        self._decoder_looks += 1

    def note_promotions(self, count: int) -> None:
        """The loop looked whether other weights are there, and found so many."""
        self._promoted += count


class TapedClock:
    """A clock whose every reading is kept.

    Parameters
    ----------
    clock : Clock
        What tells the time.
    readings : list of int
        Where readings go.
    """

    def __init__(self, clock: Clock, readings: list[int]) -> None:
        self._clock = clock
        self._readings = readings

    def now_ns(self) -> int:
        """The clock's reading, which is also kept."""
        now_ns = self._clock.now_ns()
        self._readings.append(now_ns)
        return now_ns

    def wait_until(self, deadline_ns: int) -> None:
        """Wait as the clock does."""
        self._clock.wait_until(deadline_ns)


class TapedSource:
    """A source whose readings divide the run into passes.

    Parameters
    ----------
    source : Source
        What is read.
    tape : Tape
        Who is told.
    """

    def __init__(self, source: Source, tape: Tape) -> None:
        self._source = source
        self._tape = tape
        self._reading = False

    @property
    def spec(self) -> StreamSpec:
        """Of the source."""
        return self._source.spec

    @property
    def ended(self) -> bool:
        """Of the source."""
        return self._source.ended

    def open(self) -> None:
        """Open the source."""
        self._source.open()
        self._reading = True

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """Read the source; one pass ends here, the next begins."""
        self._tape.begin_pass()
        chunk = self._source.read(wanted, until_ns)
        self._tape.note_outcome(chunk)
        return chunk

    def close(self) -> None:
        """End the last pass, close the source."""
        if self._reading:
            self._reading = False
            self._tape.end()
        self._source.close()


class TapedGuard(Guard):
    """The guard of a session, telling the tape what persons told it.

    Parameters
    ----------
    tape : Tape
        Who is told.
    limits : GuardConfig, optional
        What it allows.
    """

    def __init__(self, tape: Tape, limits: GuardConfig | None = None) -> None:
        super().__init__(limits)
        self._tape = tape

    def take_in(self) -> tuple[Signal, ...]:
        """Take in what persons told it, and note it."""
        signals = super().take_in()
        self._tape.note_look(signals)
        return signals

    def settled(self) -> State:
        """The state after a look, which is the last of a pass."""
        state = super().settled()
        self._tape.note_settled()
        return state


class TapedPromotions(Promotions):
    """The box for other weights, telling the tape how many were taken out.

    Parameters
    ----------
    tape : Tape
        Who is told.
    """

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def take(self) -> tuple[tuple[Promotion, Adapter], ...]:
        """Take out what is there, and note how many."""
        taken = super().take()
        self._tape.note_promotions(len(taken))
        return taken


class TapedInbox(Inbox):
    """What waits for the decoder, telling the tape what it found.

    Parameters
    ----------
    tape : Tape
        Who is told.
    """

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def take(self) -> tuple[Told, ...]:
        """Look what is there, and note it."""
        told = super().take()
        self._tape.note_told(told)
        return told


class ReplayedInbox(Inbox):
    """The inbox of a replay: it holds what the recorded one held, at the same look."""

    def __init__(self) -> None:
        super().__init__()
        self._due: dict[int, list[Told]] = {}
        self._looks = 0

    def begin_pass(self, told: tuple[tuple[int, Told], ...]) -> None:
        """Take what the recorded decoder was told in the pass that begins.

        Parameters
        ----------
        told : tuple of (int, Told)
            As in `Pass`.
        """
        self._looks = 0
        self._due.clear()
        for look, one in told:
            self._due.setdefault(look, []).append(one)

    def tell(self, told: Told) -> None:
        """Pass over what is told now: a replay hears nothing but its recording."""

    def take(self) -> tuple[Told, ...]:
        """What the recorded inbox held at this look."""
        self._looks += 1
        return tuple(self._due.pop(self._looks - 1, ()))


class ReplayedGuard(Guard):
    """The guard of a replay: it hears what the recorded one heard, at the same look."""

    def __init__(self) -> None:
        super().__init__()
        self._due: dict[int, list[Signal]] = {}
        self._looks = 0

    def begin_pass(self, heard: tuple[tuple[int, str], ...]) -> None:
        """Take what the recorded guard heard in the pass that begins.

        Parameters
        ----------
        heard : tuple of (int, str)
            As in `Pass`.
        """
        self._looks = 0
        self._due.clear()
        for look, signal in heard:
            self._due.setdefault(look, []).append(Signal(signal))

    def take_in(self) -> tuple[Signal, ...]:
        """Take in what the recorded guard took in here."""
        for signal in self._due.get(self._looks, ()):
            self.tell(signal)
        self._looks += 1
        return super().take_in()
