"""Finding LSL streams, staying bound to one, and knowing how its clock differs from ours."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pylsl

from ..runtime.errors import DiverloopError, SourceUnavailable


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
    predicate = " and ".join(f"{key}='{value}'" for key, value in wanted.items() if value)
    found = pylsl.resolve_bypred(predicate, 1, wait_s)
    if not found:
        raise SourceUnavailable(
            f"No LSL stream with {predicate} answered within {wait_s:g} s; on the network are: "
            f"{_names(pylsl.resolve_streams(1.0))}. Start the sender, or correct the session."
        )
    # A second look shows whether another sender answers to the same description.
    found = pylsl.resolve_bypred(predicate, 2, 0.2) or found
    if len({info.uid() for info in found}) > 1:
        raise SourceUnavailable(
            f"{len(found)} LSL streams match {predicate}: {_names(found)}. Add a source_id or a "
            f"hostname to the session, so that it binds to one."
        )
    return found[0]


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
        self._stopped = False
        threading.Thread(target=self._search, name="lsl-finder", daemon=True).start()

    def wait(self, timeout_s: float) -> pylsl.StreamInlet | None:
        """Return the stream once it is back, or None after the timeout."""
        self._done.wait(timeout_s)
        return self._found

    def take_refusal(self) -> str:
        """Why the last candidate was refused; empty if none was since the last call."""
        refusal, self._refusal = self._refusal, ""
        return refusal

    def stop(self) -> None:
        """Give up; the thread ends within half a second."""
        self._stopped = True

    def _search(self) -> None:
        refused: set[str] = set()
        while not self._stopped:
            try:
                info = find_one(self._wanted, 0.5)
                if info.uid() in refused:
                    continue
                inlet = connect(info, self._buffer_s)
            except SourceUnavailable:
                continue
            try:
                self._accept(inlet)
            except DiverloopError as error:
                refused.add(info.uid())
                self._refusal = str(error)
                continue
            self._found = inlet
            self._done.set()
            return


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


def _names(found: list[pylsl.StreamInfo]) -> str:
    listed = [f"{i.name()!r} ({i.type()}, source_id {i.source_id()!r})" for i in found]
    return ", ".join(sorted(listed)) or "none"
