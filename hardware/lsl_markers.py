"""LSL marker streams beside a signal stream.

Markers are texts. What MNE-LSL sends in their place is read as well: a stream of type
``annotations`` with a channel for each label, of which one at a time is not 0.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pylsl

from ..runtime.errors import SchemaMismatch, SourceUnavailable
from ..runtime.messages import Marker
from ..runtime.timeline import Timeline
from .lsl_link import ClockOffset, Finder, connect, find_optional, full_info

_MARKERS_S = 60  # markers kept for a loop that is busy; they are few


class LslMarkers:
    """A marker stream beside a signal: labels with the sample they belong to.

    Parameters
    ----------
    found : pylsl.StreamInfo
        The stream; it must hold texts, or be one of annotations.
    same_clock : bool
        Whether it comes from the machine that sends the signal.
    """

    def __init__(self, found: pylsl.StreamInfo, same_clock: bool) -> None:
        _refuse_numbers(found)
        self._wanted = {"name": found.name(), "source_id": found.source_id()}
        self._same_clock = same_clock
        self._inlet: pylsl.StreamInlet | None = None
        self._offset: ClockOffset | None = None
        self._finder: Finder | None = None
        inlet = connect(found, _MARKERS_S)
        self._columns: tuple[str, ...] = ()
        if found.channel_format() != pylsl.cf_string:
            self._columns = _named_columns(inlet, found.name())
        self._use(inlet)

    def _use(self, inlet: pylsl.StreamInlet) -> None:
        self._inlet, self._finder = inlet, None
        # Two streams of one machine share its clock; measuring it twice would only add noise.
        self._offset = None if self._same_clock else ClockOffset(inlet)

    @classmethod
    def beside(cls, signal: pylsl.StreamInfo, names: str, wait_s: float) -> tuple[LslMarkers, ...]:
        """Find the marker streams that belong to a signal.

        Parameters
        ----------
        signal : pylsl.StreamInfo
            The signal stream.
        names : str
            As in `LslConfig.markers`.
        wait_s : float
            How long to look for each that was named.

        Returns
        -------
        markers : tuple of LslMarkers
            Subscribed.

        Raises
        ------
        SourceUnavailable
            If one that was named does not answer.
        SchemaMismatch
            If one holds numbers.
        """
        if names == "*":
            info = find_optional({"name": f"{signal.name()}-markers"}, 0.5)
            return (cls(info, info.hostname() == signal.hostname()),) if info else ()
        # A name that is given twice is still one stream.
        wanted = dict.fromkeys(name.strip() for name in names.split(",") if name.strip())
        found: list[LslMarkers] = []
        with ExitStack() as undo:
            for name in wanted:
                found.append(cls._named(name, wait_s, signal.hostname()))
                undo.callback(found[-1].close)
            undo.pop_all()
        return tuple(found)

    @classmethod
    def _named(cls, name: str, wait_s: float, signal_host: str) -> LslMarkers:
        info = find_optional({"name": name}, wait_s)
        if info is None:
            raise SourceUnavailable(
                f"No LSL marker stream {name!r} answered within {wait_s:g} s: start it, or "
                f'leave source.markers empty ("").'
            )
        return cls(info, info.hostname() == signal_host)

    def take(self, timeline: Timeline, signal_offset_s: float) -> tuple[Marker, ...]:
        """What has come since the last call. Never waits.

        Parameters
        ----------
        timeline : Timeline
            Knows which sample a moment belongs to.
        signal_offset_s : float
            Clock offset of the signal stream.

        Returns
        -------
        markers : tuple of Marker
            In the order in which they came; 64 at most.
        """
        inlet = self._inlet or self._found_again()
        if inlet is None:
            return ()
        try:
            labels, stamps = inlet.pull_chunk(0.0, 64)
        except pylsl.util.LostError:
            # The signal stream tells of the loss; without markers the decoder works on.
            self.lose()
            return ()
        offset_s = signal_offset_s if self._offset is None else self._offset.seconds
        return tuple(
            Marker(
                label=label,
                sample=timeline.sample_at(stamp + offset_s - signal_offset_s),
                lsl_raw_s=stamp,
                lsl_corrected_s=stamp + offset_s,
                stream=self._wanted["name"],
            )
            for sent, stamp in zip(labels, stamps, strict=True)
            for label in self._labels(sent)
        )

    def lose(self) -> None:
        """Look for the stream anew: it, or the host that it is on, is gone."""
        self.close()
        self._finder = Finder(
            self._wanted, _MARKERS_S, lambda other: _refuse_numbers(full_info(other, 2.0))
        )

    def _labels(self, sent: list[Any]) -> list[str]:
        """What one sample of the stream says."""
        if not self._columns:
            return [sent[0]]
        return [label for label, value in zip(self._columns, sent, strict=True) if value]

    def _found_again(self) -> pylsl.StreamInlet | None:
        inlet = self._finder.wait(0.0) if self._finder else None
        if inlet is not None:
            self._use(inlet)
        return inlet

    def close(self) -> None:
        """Unsubscribe. Calling it twice is harmless."""
        for helper in (self._finder, self._offset):
            if helper is not None:
                helper.stop()
        if self._inlet is not None:
            self._inlet.close_stream()
        self._inlet = self._finder = self._offset = None


def _refuse_numbers(info: pylsl.StreamInfo) -> None:
    if info.channel_format() != pylsl.cf_string and info.type().lower() != "annotations":
        raise SchemaMismatch(f"The stream {info.name()!r} holds numbers, not marker texts.")


def _named_columns(inlet: pylsl.StreamInlet, name: str) -> tuple[str, ...]:
    """What the channels of a stream of annotations stand for."""
    with ExitStack() as undo:
        undo.callback(inlet.close_stream)
        labels = full_info(inlet, 5.0).get_channel_labels() or []
        if labels and all(labels):
            undo.pop_all()
            return tuple(labels)
        raise SchemaMismatch(
            f"The stream {name!r} holds numbers and does not name its channels, so nobody can say "
            f"what they mean: name them at the sender, or send marker texts."
        )
