"""A student in the loop: hop after hop of a stream through an engine, a window to their mean.

Where a window goes on from the one before it, as sliding windows do, only its new hops are heard,
and each is heard with all that the student remembers of the stream. A window that does not (the
first, one behind a gap, one locked to an event between two hops) is heard from its own first
sample, as if nothing had come before. The bundle holds the student's weights: it needs no other
file, and no torch where the bundle was compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import take
from ..runtime.errors import BundleError, ConfigError, SchemaMismatch
from ..runtime.messages import Embedding, Event, EventKind, Samples, StreamSpec, Window
from .bands import Floats, check_announced, check_stream, embed
from .engines.engine import Bools, Engine
from .student_config import RATE_HZ, StudentConfig

MODALITIES = ("EEG", "iEEG")
POOLINGS = ("mean", "attention")

Place = tuple[float, float, float]
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentEncoderConfig:
    """What can be chosen about `StudentEncoder`.

    Parameters
    ----------
    positions_mm : tuple of (float, float, float) or None
        Place of each row in millimetres: head frame for scalp electrodes, MNI for intracranial
        ones; None where it is not known.
    modality : str
        ``"EEG"`` or ``"iEEG"``.
    student : str
        A shipped student, or the path of one; empty for the one shipped for the modality.
    architecture : dict
        What the student looks like; filled in by `engines.opening.untaught`.
    sha256 : str
        Hash of the student's file, or, if they were tuned, of the weights; filled in likewise.
    streams : bool
        Whether the model was fitted on what the student says of a stream; filled in likewise. One
        that was fitted on windows heard each by itself would read other numbers than it knows.
    pooling : str
        ``"mean"`` over the hops of a window, or ``"attention"`` with a learnt query.
    tuned : dict
        What was learnt beyond the student as it was distilled: from which, and how; filled in by
        `student_tuning`. Empty if nothing was.
    """

    positions_mm: tuple[Place | None, ...]
    modality: str = "EEG"
    student: str = ""
    architecture: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    streams: bool = False
    pooling: str = "mean"
    tuned: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        places = tuple(None if p is None else _place(p) for p in self.positions_mm)
        object.__setattr__(self, "positions_mm", places)
        if not places:
            raise ConfigError("positions_mm must name every row, got none: None where unknown.")
        if self.modality not in MODALITIES:
            raise ConfigError(
                f"modality must be one of {', '.join(MODALITIES)}, got {self.modality!r}."
            )
        if self.pooling not in POOLINGS:
            raise ConfigError(f"pooling must be mean or attention, got {self.pooling!r}.")

    @classmethod
    def for_stream(cls, spec: StreamSpec, student: str = "") -> Self:
        """For the rows of a conditioned stream, with the places that it names."""
        scalp = all(channel.kind == "eeg" for channel in spec.channels)
        return cls(
            positions_mm=tuple(_in_mm(channel.position_m) for channel in spec.channels),
            modality="EEG" if scalp else "iEEG",
            student=student,
        )


class StudentEncoder:
    """Encoder: a student's embedding, the mean over the hops of a window, weighted or not.

    Parameters
    ----------
    config : StudentEncoderConfig
        With the student's architecture.
    weights : mapping of str to ndarray
        The student's, by name.
    usual : ndarray, shape (n_rows, n_readings)
        Readings of each row in the mean calibration window.
    query : ndarray, shape (n_latents * width,), optional
        What a hop's latents are multiplied with for the logit of its weight; None weighs all alike.

    Attributes
    ----------
    engine : Engine or None
        What runs the student. `open` makes a plain one in torch where nobody has set another.

    Notes
    -----
    Of a window that is no whole number of hops the oldest samples are not looked at. Masked rows
    are absent, and their own features are those of the mean calibration window; quality is the
    share of rows that are there. A window that holds NaN or infinity in a usable row, or has none,
    is encoded as NaN with quality 0, and what was remembered is forgotten.
    """

    Config = StudentEncoderConfig

    def __init__(
        self,
        config: StudentEncoderConfig,
        weights: Arrays,
        usual: Floats,
        query: Floats | None = None,
    ) -> None:
        self.config, self.weights, self.usual, self.query = config, weights, usual, query
        self.architecture = StudentConfig.from_dict(config.architecture)
        self.n_features = self.architecture.n_features(len(config.positions_mm))
        self.engine: Engine | None = None
        self._n_times = self._n_hops = 0
        self._heard_to = -1
        self._ring = np.zeros((1, self.n_features), np.float32)
        self._turn = 0

    @classmethod
    def from_arrays(cls, config: StudentEncoderConfig, arrays: Arrays) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        if not config.streams:
            raise BundleError(
                "This student was fitted by an earlier diverloop, on windows that were heard each "
                "by itself, and is served as a stream now: fit the model again."
            )
        prefix = "student."
        weights = {
            name.removeprefix(prefix): array
            for name, array in arrays.items()
            if name.startswith(prefix)
        }
        query = take(arrays, "query", 1) if config.pooling == "attention" else None
        return cls(config, weights, take(arrays, "usual", 2), query)

    def to_arrays(self) -> dict[str, NDArray[np.floating[Any]]]:
        """The student's weights and what rows usually read, for a bundle."""
        weights = {f"student.{name}": array for name, array in self.weights.items()}
        query = {} if self.query is None else {"query": self.query}
        return {"usual": self.usual, **query, **weights}

    def taught(self, features: Floats) -> Self:
        """The same encoder, knowing what its rows usually read.

        Parameters
        ----------
        features : ndarray, shape (n_windows, n_features)
            What `encode` made of calibration windows in which every row was good.

        Returns
        -------
        encoder : StudentEncoder
            Another one, without an engine.
        """
        usual = features.mean(axis=0)[-self.usual.size :].reshape(self.usual.shape)
        return type(self)(self.config, self.weights, usual.astype(np.float64), self.query)

    def encode_many(self, features: Floats) -> Floats:
        """What a fit asks for; windows that were heard in their stream come as features already."""
        return features

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Check the stream and start anew.

        Parameters
        ----------
        spec : StreamSpec
            Conditioned stream: 500 Hz, the rows of `StudentEncoderConfig.positions_mm`.
        n_times : int
            Samples in a window, at least a hop.

        Raises
        ------
        SchemaMismatch
            If rate, rows or length are others.
        BundleError, ConfigError
            If nobody has set an engine, and torch is not there or the weights do not fit.
        """
        check_stream(spec, len(self.config.positions_mm))
        hop = self.architecture.hop
        if spec.rate_hz != RATE_HZ:
            raise SchemaMismatch(
                f"A student reads {RATE_HZ} Hz, the conditioned stream {spec.name!r} has "
                f"{spec.rate_hz:g} Hz: set conditioning.rate_hz = {RATE_HZ}."
            )
        if n_times < hop:
            raise SchemaMismatch(
                f"A student reads hops of {hop} samples, the window has {n_times}: lengthen it."
            )
        if self.engine is None:
            from .engines.opening import reference_engine

            self.engine = reference_engine(self)
        self._n_times, self._n_hops = n_times, n_times // hop
        self._ring = np.zeros((self._n_hops, self.n_features), np.float32)
        self._forget()

    def encode(self, window: Window) -> Embedding:
        """Embedding of one window, which must be as long as `open` was told.

        Parameters
        ----------
        window : Window
            Conditioned window.

        Returns
        -------
        embedding : Embedding
            Its hops' mean, as `query` weighs them.

        Raises
        ------
        SchemaMismatch
            If the window has another shape than announced.
        EngineError
            If the engine stopped and nothing can take over.
        """
        if not self._n_times:
            raise RuntimeError("encode was called before open: open the encoder first.")
        expected = (len(self.config.positions_mm), self._n_times)
        check_announced(window.samples, expected)
        usable = window.usable if window.usable is not None else np.ones(expected[0], bool)
        if not usable.any() or not np.isfinite(window.samples[usable]).all():
            self._forget()
            return embed(None, self.n_features)
        self._hear(window.samples, self._n_new(window.conditioned_first), usable)
        values = self._pooled()
        self._put_usual(values, usable)
        embedding = embed(values, self.n_features, float(usable.mean()))
        said = self._said()
        return replace(embedding, events=said) if said else embedding

    def close(self) -> None:
        """Forget the stream. Calling it twice is harmless.

        The engine stays for the next stream: opening one can take seconds.
        """
        self._n_times = 0

    def _forget(self) -> None:
        self._heard_to = -1

    def _n_new(self, first: int) -> int:
        """How many hops of a window are still to be heard; restarts where it does not go on."""
        hop, stop = self.architecture.hop, first + self._n_times
        ahead = stop - self._heard_to
        goes_on = first >= 0 <= self._heard_to and ahead % hop == 0 < ahead <= self._n_hops * hop
        if not goes_on:
            assert self.engine is not None
            self.engine.restart()
            self._turn = 0  # so that the order of summation knows nothing of before either
        self._heard_to = stop if first >= 0 else -1
        return ahead // hop if goes_on else self._n_hops

    def _hear(self, samples: Samples, n_new: int, usable: Bools) -> None:
        """Put the last hops of a window through the engine and into the ring."""
        assert self.engine is not None
        hop = self.architecture.hop
        for back in range(n_new, 0, -1):
            stop = self._n_times - (back - 1) * hop
            patch = np.ascontiguousarray(samples[:, stop - hop : stop], dtype=np.float32)
            said = self.engine.hear(patch, usable)
            self._put_usual(said, usable)
            self._ring[self._turn] = said
            self._turn = (self._turn + 1) % self._n_hops

    def _pooled(self) -> Floats:
        """The hops of the ring made one; their order does not matter."""
        if self.query is None:
            mean: Floats = self._ring.mean(axis=0, dtype=np.float64)
            return mean
        logits = self._ring[:, : len(self.query)].astype(np.float64) @ self.query
        weights = np.exp(logits - logits.max())
        pooled: Floats = weights / weights.sum() @ self._ring
        return pooled

    def _put_usual(self, values: NDArray[np.floating], usable: Bools) -> None:
        """Where a row is absent, write what it usually reads."""
        if not usable.all():
            readings = values[-self.usual.size :].reshape(self.usual.shape)
            readings[~usable] = self.usual[~usable]

    def _said(self) -> tuple[Event, ...]:
        """What the engine has to tell, once."""
        take_notes = getattr(self.engine, "take_notes", None)
        notes = take_notes() if take_notes is not None else ()
        return tuple(Event(kind=EventKind.ENGINE, text=text) for text in notes)


def _in_mm(place_m: Place | None) -> Place | None:
    if place_m is None:
        return None
    x, y, z = place_m
    return 1e3 * x, 1e3 * y, 1e3 * z


def _place(place: Any) -> Place:
    values = tuple(float(value) for value in place)
    if len(values) != 3 or not np.isfinite(values).all():
        raise ConfigError(
            f"A place is three finite numbers in millimetres, got {list(place)}: None if unknown."
        )
    return values[0], values[1], values[2]
