"""A student in the loop: a window to the mean of its hops' embeddings.

The window is read as if nothing had come before it, so that one window gives one embedding
wherever it comes from. The bundle holds the student's weights: it needs no other file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import take
from ..runtime.errors import BundleError, ConfigError, SchemaMismatch
from ..runtime.messages import Embedding, Samples, StreamSpec, Window
from .bands import Floats, check_stream, embed
from .shipped import FOR_MODALITY, open_student
from .student_config import RATE_HZ, StudentConfig

if TYPE_CHECKING:
    from torch import Tensor

    from .student import Student

MODALITIES = ("EEG", "iEEG")
_AT_ONCE = 16  # windows in a batch when many are encoded
_ENOUGH = 64  # windows, for the mean of one

Place = tuple[float, float, float]


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
        What the student looks like; filled in by `StudentEncoder.fit`.
    sha256 : str
        Hash of the student's file; filled in likewise.
    """

    positions_mm: tuple[Place | None, ...]
    modality: str = "EEG"
    student: str = ""
    architecture: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""

    def __post_init__(self) -> None:
        places = tuple(None if p is None else _place(p) for p in self.positions_mm)
        object.__setattr__(self, "positions_mm", places)
        if not places:
            raise ConfigError("positions_mm must name every row, got none: None where unknown.")
        if self.modality not in MODALITIES:
            raise ConfigError(
                f"modality must be one of {', '.join(MODALITIES)}, got {self.modality!r}."
            )

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
    """Encoder: a student's embedding, the mean over the hops of a window.

    Parameters
    ----------
    config : StudentEncoderConfig
        What was chosen.
    student : Student
        In eval mode.
    usual : ndarray, shape (n_rows, n_readings)
        Readings of each row in the mean calibration window.

    Notes
    -----
    Of a window that is no whole number of hops the oldest samples are not looked at. Masked rows
    are absent, and their own features are those of the mean calibration window; quality is the
    share of rows that are there. A window that holds NaN or infinity
    in a usable row, or has none, is encoded as NaN with quality 0.
    """

    Config = StudentEncoderConfig

    def __init__(self, config: StudentEncoderConfig, student: Student, usual: Floats) -> None:
        self.config, self._student, self._usual = config, student, usual
        self.n_features = student.config.n_features(len(config.positions_mm))
        self._places = _as_tensor(config.positions_mm)
        self._n_times = 0

    @classmethod
    def fit(
        cls, windows: Samples, labels: NDArray[Any] | None, config: StudentEncoderConfig
    ) -> Self:
        """Open the student, and let it hear some windows for what a row usually reads.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_rows, n_times)
            Conditioned windows in microvolts at 500 Hz, all finite.
        labels : ndarray, optional
            Not looked at.
        config : StudentEncoderConfig
            What was chosen.

        Returns
        -------
        encoder : StudentEncoder
            Ready to `encode_many`, and to `encode` after `open`.

        Raises
        ------
        ConfigError, BundleError
            If there is no such student, or the windows have another number of rows.
        """
        if windows.shape[1] != len(config.positions_mm):
            raise ConfigError(
                f"Windows have {windows.shape[1]} rows and positions_mm names "
                f"{len(config.positions_mm)}: name every row."
            )
        name = config.student or FOR_MODALITY[config.modality]
        student, sha256 = open_student(name)
        settings = StudentEncoderConfig(
            positions_mm=config.positions_mm,
            modality=config.modality,
            student=name,
            architecture=student.config.to_dict(),
            sha256=sha256,
        )
        n_rows, n_readings = len(config.positions_mm), student.config.n_readings
        encoder = cls(settings, student, np.zeros((n_rows, n_readings)))
        some = windows[:: max(1, len(windows) // _ENOUGH)]
        usual = encoder.encode_many(some).mean(axis=0)[-n_rows * n_readings :]
        return cls(settings, student, usual.reshape(n_rows, n_readings))

    @classmethod
    def from_arrays(cls, config: StudentEncoderConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        import torch

        from .student import Student

        student = Student(StudentConfig.from_dict(config.architecture))
        usual = take(arrays, "usual", 2)
        tensors = {
            name.removeprefix("student."): torch.from_numpy(np.array(array))
            for name, array in arrays.items()
            if name.startswith("student.")
        }
        try:
            student.load_state_dict(tensors, strict=True)
        except RuntimeError as error:
            raise BundleError(
                f"The bundle's arrays are not those of the student on its card "
                f"({str(error).splitlines()[-1].strip()}): fit the model again."
            ) from error
        return cls(config, student.eval(), usual)

    def to_arrays(self) -> dict[str, NDArray[np.floating[Any]]]:
        """The student's weights and what rows usually read, for a bundle."""
        weights = self._student.state_dict().items()
        return {"usual": self._usual, **{f"student.{name}": w.numpy() for name, w in weights}}

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Check the stream.

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
        """
        import torch

        check_stream(spec, len(self.config.positions_mm))
        if spec.rate_hz != RATE_HZ:
            raise SchemaMismatch(
                f"A student reads {RATE_HZ} Hz, the conditioned stream {spec.name!r} has "
                f"{spec.rate_hz:g} Hz: set conditioning.rate_hz = {RATE_HZ}."
            )
        if n_times < self._student.config.hop:
            raise SchemaMismatch(
                f"A student reads hops of {self._student.config.hop} samples, the window has "
                f"{n_times}: lengthen it."
            )
        self._n_times = n_times
        torch.set_num_threads(1)  # more threads wait for each other while another process runs

    def encode(self, window: Window) -> Embedding:
        """Embedding of one window, which must be as long as `open` was told.

        Parameters
        ----------
        window : Window
            Conditioned window.

        Returns
        -------
        embedding : Embedding
            Its hops' mean.

        Raises
        ------
        SchemaMismatch
            If the window has another shape than announced.
        """
        if not self._n_times:
            raise RuntimeError("encode was called before open: open the encoder first.")
        expected = (len(self.config.positions_mm), self._n_times)
        if window.samples.shape != expected:
            raise SchemaMismatch(
                f"The window has shape {window.samples.shape}, announced was {expected}."
            )
        usable = window.usable if window.usable is not None else np.ones(expected[0], bool)
        there = window.samples[usable]
        if not len(there) or not np.isfinite(there).all():
            return embed(None, self.n_features)
        values = self._values(window.samples[None], usable)[0]
        return embed(values, self.n_features, float(usable.mean()))

    def encode_many(self, windows: Samples) -> Floats:
        """Embeddings of many windows.

        Parameters
        ----------
        windows : ndarray, shape (n_windows, n_rows, n_times)
            Conditioned windows in microvolts.

        Returns
        -------
        features : ndarray, shape (n_windows, n_features)
            NaN in the rows of windows that hold NaN or infinity.
        """
        features = np.full((len(windows), self.n_features), np.nan)
        usable = np.ones(windows.shape[1], bool)
        whole = np.flatnonzero(np.isfinite(windows).all(axis=(1, 2)))
        for first in range(0, len(whole), _AT_ONCE):
            rows = whole[first : first + _AT_ONCE]
            features[rows] = self._values(windows[rows], usable)
        return features

    def close(self) -> None:
        """Forget the stream. Calling it twice is harmless."""
        self._n_times = 0

    def _values(self, windows: Samples, usable: NDArray[np.bool_]) -> Floats:
        """Mean over the hops of each window, shape (n_windows, n_features)."""
        import torch

        n = len(windows)
        hop = self._student.config.hop
        newest = windows[:, :, windows.shape[2] % hop :]
        with torch.inference_mode():
            heard = self._student(
                torch.from_numpy(np.ascontiguousarray(newest, dtype=np.float32)),
                torch.from_numpy(usable)[None].expand(n, -1),
                self._places.expand(n, -1, -1),
                torch.full((n,), MODALITIES.index(self.config.modality)),
            )
        values: Floats = heard.embedding.mean(dim=1).double().numpy()
        if not usable.all():
            readings = values[:, -self._usual.size :].reshape(n, *self._usual.shape)
            readings[:, ~usable] = self._usual[~usable]
        return values


def _as_tensor(places: tuple[Place | None, ...]) -> Tensor:
    """Places as a student takes them, shape (1, n_rows, 3)."""
    import torch

    unknown = (np.nan,) * 3
    return torch.tensor([unknown if place is None else place for place in places])[None]


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
