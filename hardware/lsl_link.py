"""Finding LSL streams, staying bound to one, and knowing how its clock differs from ours."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Container

import pylsl

from ..runtime.errors import DiverloopError, SchemaMismatch, SourceUnavailable
from .lsl_pin import StreamPin

_SECOND_LOOK_S = 0.2
_NEXT_LOOK_S = 0.5
_MOST_REFUSALS = 100  # told; a flood of impostors must not fill the memory
_POLL_S = 0.01


def find_one(wanted: dict[str, str], wait_s: float) -> pylsl.StreamInfo:
    """Find the one stream that matches.

    Parameters
    ----------
    wanted : dict of str to str
        ``name``, ``type``, ``source_id``, ``hostname``; empty values match anything.
    wait_s : float
        How long to look.

    Returns
    -------
    info : pylsl.StreamInfo
        Short description, enough to connect.

    Raises
    ------
    SourceUnavailable
        If none matches in time, or several do.
    """
    with _Search(wanted) as search:
        found = search.wait(wait_s, threading.Event())
        if not found:
            raise SourceUnavailable(
                f"No LSL stream with {search.predicate} answered within {wait_s:g} s; on the "
                f"network are: {_names(_everything())}. Start the sender, or correct the session; "
                f"of other machines, diverloop doctor --network tells more."
            )
        # A little longer shows whether another sender answers to the same description.
        threading.Event().wait(_SECOND_LOOK_S)
        found = search.results()
    if len({info.uid() for info in found}) > 1:
        raise SourceUnavailable(
            f"{len(found)} LSL streams match {search.predicate}: {_names(found)}. Add a source_id "
            f"or a hostname to the session, so that it binds to one."
        )
    return found[0]


def find_optional(wanted: dict[str, str], wait_s: float) -> pylsl.StreamInfo | None:
    """Find a stream that need not be there.

    Parameters
    ----------
    wanted : dict of str to str
        As for `find_one`.
    wait_s : float
        How long to look.

    Returns
    -------
    info : pylsl.StreamInfo or None
        The first that answered.
    """
    with _Search(wanted) as search:
        found = search.wait(wait_s, threading.Event())
    return found[0] if found else None


def connect(info: pylsl.StreamInfo, buffer_s: float) -> pylsl.StreamInlet:
    """Subscribe to a stream, without the library's own silent recovery.

    Parameters
    ----------
    info : pylsl.StreamInfo
        From `find_one`.
    buffer_s : float
        Signal the library keeps while nobody reads.

    Returns
    -------
    inlet : pylsl.StreamInlet
        Everything sent from now on will be delivered.

    Raises
    ------
    SourceUnavailable
        If the sender does not answer within 5 s.
    """
    inlet = pylsl.StreamInlet(info, max_buflen=max(1, round(buffer_s)), recover=False)
    try:
        inlet.open_stream(5.0)
    except (pylsl.util.LostError, pylsl.util.TimeoutError) as error:
        raise SourceUnavailable(
            f"The stream {info.name()!r} was announced but does not answer: {error}. Check that "
            f"no firewall blocks TCP ports 16572 to 16604."
        ) from error
    return inlet


def full_info(inlet: pylsl.StreamInlet, wait_s: float) -> pylsl.StreamInfo:
    """Ask a stream for its whole description, channels included.

    Parameters
    ----------
    inlet : pylsl.StreamInlet
        From `connect`.
    wait_s : float
        How long to wait for the answer.

    Returns
    -------
    info : pylsl.StreamInfo
        With its extended description.

    Raises
    ------
    SourceUnavailable
        If the sender does not answer in time, or is gone.
    """
    try:
        return inlet.info(wait_s)
    except (pylsl.util.LostError, pylsl.util.TimeoutError) as error:
        raise SourceUnavailable(
            f"The stream does not describe itself within {wait_s:g} s ({error}): check that its "
            f"sender still runs, then try again."
        ) from error


def await_pinned(
    wanted: dict[str, str],
    pin: StreamPin,
    wait_s: float,
    buffer_s: float,
    accept: Callable[[pylsl.StreamInlet], object],
) -> tuple[pylsl.StreamInlet, list[str]]:
    """Find and connect to the pinned stream, whatever else answers to its name.

    Parameters
    ----------
    wanted : dict of str to str
        As for `find_one`.
    pin : StreamPin
        What it must be.
    wait_s : float
        How long to look.
    buffer_s : float
        As for `connect`.
    accept : callable
        As for `Finder`.

    Returns
    -------
    inlet : pylsl.StreamInlet
        Connected.
    refusals : list of str
        Why others were refused meanwhile.

    Raises
    ------
    SourceUnavailable
        If nothing answers in time.
    SchemaMismatch
        If only others do, saying in what they differ.
    """
    finder = Finder(wanted, buffer_s, accept, pin)
    inlet = finder.wait(wait_s)
    finder.stop()
    refusals = list(iter(finder.take_refusal, ""))
    if inlet is not None:
        return inlet, refusals
    if refusals:
        raise SchemaMismatch(" ".join(refusals[:3]))
    raise SourceUnavailable(
        f"No LSL stream {wanted['name'] or wanted['type'] or wanted['source_id']!r} answered "
        f"within {wait_s:g} s; on the network are: {_names(_everything())}. Start the sender, or "
        f"correct the session; of other machines, diverloop doctor --network tells more."
    )


class Finder:
    """Looks for a lost stream in a thread of its own and connects to it.

    Parameters
    ----------
    wanted : dict of str to str
        As for `find_one`.
    buffer_s : float
        As for `connect`.
    accept : callable
        Raises a `DiverloopError` for a stream that is not the one that was lost.
    pin : StreamPin, optional
        What the stream must be. Others of the name are refused without a connection, and so are
        two that both claim to be it, until one is gone.
    """

    def __init__(
        self,
        wanted: dict[str, str],
        buffer_s: float,
        accept: Callable[[pylsl.StreamInlet], object],
        pin: StreamPin | None = None,
    ) -> None:
        self._wanted = wanted
        self._buffer_s = buffer_s
        self._accept = accept
        self._pin = pin
        self._found: pylsl.StreamInlet | None = None
        self._refusals: deque[str] = deque(maxlen=_MOST_REFUSALS)
        self._last_refusal = ""
        self._done = threading.Event()
        self._stopped = threading.Event()
        threading.Thread(target=self._look, name="lsl-finder", daemon=True).start()

    def wait(self, timeout_s: float) -> pylsl.StreamInlet | None:
        """Return the stream once it is back, or None after the timeout."""
        self._done.wait(timeout_s)
        return self._found

    def take_refusal(self) -> str:
        """Why a candidate was refused, the first that was not told yet; empty if there is none."""
        return self._refusals.popleft() if self._refusals else ""

    def stop(self) -> None:
        """Give up."""
        self._stopped.set()

    def _look(self) -> None:
        refused: set[str] = set()
        with _Search(self._wanted) as search:
            while not self._stopped.is_set() and not self._done.is_set():
                for info in search.wait(1.0, self._stopped, refused):
                    if not self._done.is_set():
                        self._try(info, refused, search)

    def _try(self, info: pylsl.StreamInfo, refused: set[str], search: _Search) -> None:
        try:
            if self._pin is not None:
                self._pin.check_identity(info)
            inlet = connect(info, self._buffer_s)
            self._accept(inlet)
        except SourceUnavailable:
            return  # announced, but gone again
        except DiverloopError as error:
            refused.add(info.uid())
            self._tell(str(error))
            return
        if self._pin is not None and self._has_twin(info, search):
            inlet.close_stream()
            self._tell(
                f"Two streams {info.name()!r} with the pinned source_id {info.source_id()!r} and "
                f"hostname {info.hostname()!r} answer at once, so one of them is false: both are "
                f"refused until one is gone; stop the one that is not the amplifier."
            )
            self._stopped.wait(_NEXT_LOOK_S)
            return
        self._found = inlet
        self._done.set()

    def _has_twin(self, info: pylsl.StreamInfo, search: _Search) -> bool:
        """Whether another live stream claims to be the pinned one; a second look lets it answer.

        Others of the name that do not claim it are told of.
        """
        assert self._pin is not None
        self._stopped.wait(_SECOND_LOOK_S)
        found = False
        for other in search.results():
            if other.uid() == info.uid():
                continue
            try:
                self._pin.check_identity(other)
            except SchemaMismatch as error:
                self._tell(str(error))
            else:
                found = found or _lives(other)
        return found

    def _tell(self, refusal: str) -> None:
        """Note a refusal, unless it is the one before once more."""
        if refusal != self._last_refusal:
            self._last_refusal = refusal
            self._refusals.append(refusal)


class ClockOffset:
    """How many seconds to add to a sender's stamps to have them in this machine's clock.

    The first measurement takes the library half a second and more, so it is made in a thread;
    until then the offset is 0, which is right for senders on this machine, or what it was before.

    Parameters
    ----------
    inlet : pylsl.StreamInlet
        The stream.
    every_s : float
        How often to look again.
    before_s : float
        What an earlier connection to the same stream has measured.
    """

    def __init__(
        self, inlet: pylsl.StreamInlet, every_s: float = 5.0, before_s: float = 0.0
    ) -> None:
        self.seconds = before_s
        self._inlet = inlet
        self._every_s = every_s
        self._stopped = threading.Event()
        threading.Thread(target=self._measure, name="lsl-clock", daemon=True).start()

    def stop(self) -> None:
        """Measure no more."""
        self._stopped.set()

    def _measure(self) -> None:
        while not self._stopped.is_set():
            try:
                self.seconds = self._inlet.time_correction(timeout=2.0)
            except pylsl.util.LostError:
                return
            except pylsl.util.TimeoutError:
                continue
            self._stopped.wait(self._every_s)


class _Search:
    """The library's continuous resolver, asked every few milliseconds.

    Its one-shot sibling was seen to hang for ever when an inlet was torn down beside it (liblsl
    1.18.0.b6), and cannot be cancelled.
    """

    def __init__(self, wanted: dict[str, str]) -> None:
        self.predicate = " and ".join(
            f"{key}={_quoted(value)}" for key, value in wanted.items() if value
        )
        self._resolver: pylsl.ContinuousResolver | None = None

    def __enter__(self) -> _Search:
        self._resolver = pylsl.ContinuousResolver(pred=self.predicate)
        return self

    def __exit__(self, *exception: object) -> None:
        self._resolver = None

    def results(self) -> list[pylsl.StreamInfo]:
        """What has answered so far."""
        assert self._resolver is not None
        return list(self._resolver.results())

    def wait(
        self, timeout_s: float, stopped: threading.Event, refused: Container[str] = ()
    ) -> list[pylsl.StreamInfo]:
        """What has answered, as soon as something has that was not refused before."""
        for _ in range(max(1, round(timeout_s / _POLL_S))):
            fresh = [info for info in self.results() if info.uid() not in refused]
            if fresh or stopped.wait(_POLL_S):
                return fresh
        return []


def _quoted(text: str) -> str:
    """A text in an XPath query: what a stream calls itself may hold a quote."""
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text:
        return f'"{text}"'
    return "concat('" + text.replace("'", "', \"'\", '") + "')"


def _lives(info: pylsl.StreamInfo) -> bool:
    """Whether a stream that was announced can be connected to, or has died since."""
    try:
        connect(info, 1.0).close_stream()
    except SourceUnavailable:
        return False
    return True


def _everything() -> list[pylsl.StreamInfo]:
    return list(pylsl.resolve_streams(1.0))


def _names(found: list[pylsl.StreamInfo]) -> str:
    listed = [f"{i.name()!r} ({i.type()}, source_id {i.source_id()!r})" for i in found]
    return ", ".join(sorted(listed)) or "none"
