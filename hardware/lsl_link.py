"""Finding LSL streams, staying bound to one, and knowing how its clock differs from ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container

import pylsl

from ..runtime.errors import DiverloopError, SourceUnavailable

_SECOND_LOOK_S = 0.2
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
                f"network are: {_names(_everything())}. Start the sender, or correct the session."
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
    """

    def __init__(
        self,
        wanted: dict[str, str],
        buffer_s: float,
        accept: Callable[[pylsl.StreamInlet], None],
    ) -> None:
        self._wanted = wanted
        self._buffer_s = buffer_s
        self._accept = accept
        self._found: pylsl.StreamInlet | None = None
        self._refusal = ""
        self._done = threading.Event()
        self._stopped = threading.Event()
        threading.Thread(target=self._look, name="lsl-finder", daemon=True).start()

    def wait(self, timeout_s: float) -> pylsl.StreamInlet | None:
        """Return the stream once it is back, or None after the timeout."""
        self._done.wait(timeout_s)
        return self._found

    def take_refusal(self) -> str:
        """Why the last candidate was refused; empty if none was since the last call."""
        refusal, self._refusal = self._refusal, ""
        return refusal

    def stop(self) -> None:
        """Give up."""
        self._stopped.set()

    def _look(self) -> None:
        refused: set[str] = set()
        with _Search(self._wanted) as search:
            while not self._stopped.is_set() and not self._done.is_set():
                for info in search.wait(1.0, self._stopped, refused):
                    self._try(info, refused)

    def _try(self, info: pylsl.StreamInfo, refused: set[str]) -> None:
        try:
            inlet = connect(info, self._buffer_s)
            self._accept(inlet)
        except SourceUnavailable:
            return  # announced, but gone again
        except DiverloopError as error:
            refused.add(info.uid())
            self._refusal = str(error)
            return
        self._found = inlet
        self._done.set()


class ClockOffset:
    """How many seconds to add to a sender's stamps to have them in this machine's clock.

    The first measurement takes the library half a second and more, so it is made in a thread;
    until then the offset is 0, which is right for senders on this machine.

    Parameters
    ----------
    inlet : pylsl.StreamInlet
        The stream.
    every_s : float
        How often to look again.
    """

    def __init__(self, inlet: pylsl.StreamInlet, every_s: float = 5.0) -> None:
        self.seconds = 0.0
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
        self.predicate = " and ".join(f"{key}='{value}'" for key, value in wanted.items() if value)
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


def _everything() -> list[pylsl.StreamInfo]:
    return list(pylsl.resolve_streams(1.0))


def _names(found: list[pylsl.StreamInfo]) -> str:
    listed = [f"{i.name()!r} ({i.type()}, source_id {i.source_id()!r})" for i in found]
    return ", ".join(sorted(listed)) or "none"
