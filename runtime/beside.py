"""Streams beside the signal: on the loop's time base, masked where missing, never waited for.

The signal alone drives the loop. What has come on other streams rides on its chunks
(`Chunk.beside`), so that everything that is made of it is determined by what `Source.read`
returned, and an exact replay makes the same. Around the stages of a session stand three thin
ones: behind the source, what has come is taken in; behind the conditioner, appended channels
become rows, masked where their stream is missing; before an encoder that asks for it, a window is
given the same time of every stream.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .alignment import Alignment
from .beside_config import BesideConfig
from .card import Card
from .conditioned import Conditioned
from .errors import SchemaMismatch
from .loop_config import Stages
from .messages import Channel, Chunk, Embedding, Event, Samples, StreamSpec, Window
from .pace import Pace
from .session_config import SessionConfig
from .side_stream import SideStream
from .stages import Conditioner, Encoder, Source
from .stretch import Stretch

_KEEP_S = 12.0
_MASKS_S = 130.0  # twice the longest window


class Company:
    """The streams beside one signal.

    Parameters
    ----------
    configs : sequence of BesideConfig
        In the order of the session.
    """

    def __init__(self, configs: Sequence[BesideConfig]) -> None:
        self._streams = tuple(SideStream(config, _KEEP_S) for config in configs)
        self._clock = Alignment()
        self._period_s = 1.0
        self._measured = False

    @classmethod
    def of(cls, session: SessionConfig, card: Card) -> Company | None:
        """The streams beside a session's signal, if it has any.

        Parameters
        ----------
        session : SessionConfig
            Checked settings.
        card : Card
            What decodes.

        Returns
        -------
        company : Company or None
            To `attend` the stages of the session, or of its replay.

        Raises
        ------
        SchemaMismatch
            If the session appends rows that the model was not fitted on.
        """
        company = cls([side.beside for side in session.beside])
        names = company.names
        if names and card.conditioned_rows[-len(names) :] != names:
            raise SchemaMismatch(
                f"The session appends {', '.join(names)} to the rows of the signal, but the model "
                f"was fitted on {', '.join(card.conditioned_rows)}: leave beside.append out, and "
                f"these streams are recorded and watched, or fit a model on these rows."
            )
        return company if session.beside else None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the rows that are appended, in order."""
        return tuple(
            f"{stream.config.role}/{name}"
            for stream in self._streams
            for name in stream.config.append
        )

    def attend(self, stages: Stages) -> Stages:
        """The same stages with these streams beside them.

        Parameters
        ----------
        stages : Stages
            Of a session or of a replay.

        Returns
        -------
        stages : Stages
            What the loop runs. An encoder gets `Window.beside` if it has an attribute ``beside``
            that is true.
        """
        encoder = stages.encoder
        asks = bool(getattr(encoder, "beside", False))
        return replace(
            stages,
            source=AttendedSource(stages.source, self),
            conditioner=AppendingConditioner(stages.conditioner, self),
            encoder=AttendedEncoder(encoder, self) if asks else encoder,
        )

    def open(self, spec: StreamSpec) -> None:
        """Learn what the signal is."""
        self._period_s, self._measured = 1 / spec.rate_hz, spec.measured

    def keep(self, seconds: float) -> None:
        """Keep at least so much of every stream; to be called before anything has come."""
        for stream in self._streams:
            stream.keep_s = max(stream.keep_s, seconds)

    def take(self, chunk: Chunk) -> None:
        """Take in a chunk of the signal and what came beside it."""
        for aside in chunk.beside:
            self._streams[aside.place].take(aside)
        if not chunk.samples.shape[1]:
            return
        stamp_s = (chunk.stop_sample - 1) * self._period_s
        offset_s = chunk.lsl_corrected_s - stamp_s if self._measured else math.nan
        self._clock.hear(stamp_s, chunk.arrived_ns / 1e9, offset_s)
        self._clock.take_steps()  # the source tells of those
        now_s = float(self.loop_s(np.array([chunk.stop_sample - 1.0]))[0])
        for stream in self._streams:
            stream.watch(now_s)

    def loop_s(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """When samples of the signal were taken, on the loop's clock.

        Parameters
        ----------
        samples : ndarray of float64
            Stream indices; between two of them where the conditioned rate is another.

        Returns
        -------
        loop_s : ndarray of float64
            Seconds.
        """
        return self._clock.to_loop(samples * self._period_s)

    def rows(self, samples: NDArray[np.float64]) -> tuple[Samples, list[NDArray[np.bool_]]]:
        """The appended rows at given moments.

        Parameters
        ----------
        samples : ndarray of float64, shape (n_times,)
            Stream indices.

        Returns
        -------
        rows : ndarray, shape (n_appended, n_times)
            Zero where they are not known.
        good : list of ndarray of bool, shape (n_times,)
            Whether each row is known.
        """
        loop_s = self.loop_s(samples)
        blocks, good = [], []
        for stream in self._streams:
            if stream.config.append:
                values, known = stream.values_at(loop_s)
                blocks.append(values)
                good += [known] * len(values)
        return np.concatenate(blocks), good

    def over(self, window: Window) -> tuple[Stretch, ...]:
        """The time of a window on every stream, in the order of the session."""
        ends = np.array([window.first_sample, window.stop_sample - 1.0])
        first_s, last_s = self.loop_s(ends)
        return tuple(stream.over(float(first_s), float(last_s)) for stream in self._streams)

    def take_events(self) -> tuple[Event, ...]:
        """What was noticed since the last call."""
        return tuple(event for stream in self._streams for event in stream.take_events())


class AttendedSource:
    """A source; what it brings is also taken in by the company.

    Parameters
    ----------
    source : Source
        Live or replayed.
    company : Company
        Who takes it in.
    """

    def __init__(self, source: Source, company: Company) -> None:
        self._source, self._company = source, company

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
        self._company.open(self._source.spec)

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """Read the source, and let the company take in what came."""
        chunk = self._source.read(wanted, until_ns)
        if chunk is not None:
            self._company.take(chunk)
        return chunk

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class AppendingConditioner:
    """A conditioner behind which the appended channels become rows.

    They are not filtered: they are what their stream said at the time of each conditioned sample,
    as far as it had come when that sample was conditioned.

    Parameters
    ----------
    conditioner : Conditioner
        Of the signal.
    company : Company
        The streams beside it.
    """

    def __init__(self, conditioner: Conditioner, company: Company) -> None:
        self._inner, self._company = conditioner, company

    @property
    def settle_samples(self) -> int:
        """Of the conditioner."""
        return self._inner.settle_samples

    @property
    def delay_s(self) -> float:
        """Of the conditioner."""
        return self._inner.delay_s

    def open(self, spec: StreamSpec) -> StreamSpec:
        """Open the conditioner; what it gives has the appended rows behind its own."""
        conditioned = self._inner.open(spec)
        names = self._company.names
        self._pace = Pace.between(spec.rate_hz, conditioned.rate_hz)
        self._masks = JoinedMasks(
            conditioned.n_channels, len(names), round(_MASKS_S * conditioned.rate_hz)
        )
        appended = tuple(Channel(name=name, kind="misc") for name in names)
        return replace(conditioned, channels=(*conditioned.channels, *appended))

    def process(self, chunk: Chunk) -> Conditioned:
        """Condition a chunk and put the appended rows below it."""
        given = self._inner.process(chunk)
        events = (*given.events, *self._company.take_events())
        if not self._company.names:
            return replace(given, events=events)
        first, n_times = given.first_sample, given.samples.shape[1]
        places = np.arange(first, first + n_times) * (self._pace.down / self._pace.up)
        rows, good = self._company.rows(places)
        return replace(
            given,
            samples=np.concatenate([given.samples, rows]),
            masks=self._masks.join(given.masks, first, good),
            events=events,
        )


class AttendedEncoder:
    """An encoder that is given the same time of the streams beside the signal.

    Parameters
    ----------
    encoder : Encoder
        Which.
    company : Company
        The streams.
    """

    def __init__(self, encoder: Encoder, company: Company) -> None:
        self._encoder, self._company = encoder, company

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Open it; windows of this length are kept of every stream."""
        self._company.keep(2 * n_times / spec.rate_hz)
        self._encoder.open(spec, n_times)

    def encode(self, window: Window) -> Embedding:
        """Let it encode the window with what is beside it."""
        return self._encoder.encode(replace(window, beside=self._company.over(window)))

    def close(self) -> None:
        """Close it."""
        self._encoder.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)


class JoinedMasks:
    """Which rows are good from when on, of two sets of rows that change apart.

    A conditioner may say afterwards that a row has been bad for a while; what is known of the
    appended rows since then is said again, for a change replaces all that were at or behind it.

    Parameters
    ----------
    n_own, n_appended : int
        Rows of the conditioner, and behind them.
    reach : int
        Changes further back than so many samples are forgotten.
    """

    def __init__(self, n_own: int, n_appended: int, reach: int) -> None:
        self._reach = reach
        self._own: deque[tuple[int, NDArray[np.bool_]]] = deque([(-1, np.ones(n_own, bool))])
        self._appended = deque([(-1, np.ones(n_appended, bool))])

    def join(
        self,
        own: Sequence[tuple[int, NDArray[np.bool_]]],
        first: int,
        good: Sequence[NDArray[np.bool_]],
    ) -> tuple[tuple[int, NDArray[np.bool_]], ...]:
        """What to say of both.

        Parameters
        ----------
        own : sequence of (int, ndarray of bool)
            What the conditioner says, as in `Conditioned.masks`.
        first : int
            Conditioned index of the first column of `good`.
        good : sequence of ndarray of bool, shape (n_times,)
            Whether each appended row is known.

        Returns
        -------
        masks : tuple of (int, ndarray of bool)
            For all rows, in order.
        """
        changed = [*own, *self._changes(first, np.stack(good))]
        if not changed:
            return ()
        since = min(at for at, _ in changed)
        for at, usable in own:
            _change(self._own, at, usable, self._reach)
        places = {at for changes in (self._own, self._appended) for at, _ in changes}
        return tuple(
            (at, np.concatenate([_at(self._own, at), _at(self._appended, at)]))
            for at in sorted(places | {since})
            if at >= since
        )

    def _changes(self, first: int, good: NDArray[np.bool_]) -> list[tuple[int, NDArray[np.bool_]]]:
        """Where the appended rows change in a block, which is also remembered."""
        if not good.shape[1]:
            return []
        before = np.column_stack([self._appended[-1][1], good[:, :-1]])
        found = [
            (first + int(column), good[:, column].copy())
            for column in np.flatnonzero((good != before).any(axis=0))
        ]
        for at, usable in found:
            _change(self._appended, at, usable, self._reach)
        return found


def _change(
    changes: deque[tuple[int, NDArray[np.bool_]]], at: int, usable: NDArray[np.bool_], reach: int
) -> None:
    while len(changes) > 1 and changes[-1][0] >= at:
        changes.pop()  # it never held
    changes.append((at, usable))
    while len(changes) > 1 and changes[1][0] <= at - reach:
        changes.popleft()


def _at(changes: deque[tuple[int, NDArray[np.bool_]]], at: int) -> NDArray[np.bool_]:
    """What holds from a sample on."""
    return next((usable for start, usable in reversed(changes) if start <= at), changes[0][1])
