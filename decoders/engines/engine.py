"""What an engine is: one student and the state of one stream, run somewhere, a hop at a time.

Every engine hears the same hops and must say the same numbers, within what its arithmetic allows.
`torch_engine` is the reference; the others run what `step_export` made of the same student.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Hop = NDArray[np.float32]
Bools = NDArray[np.bool_]

TOLERANCE: Mapping[str, float] = MappingProxyType(
    {"fp32": 1e-4, "fp16": 1e-2, "bf16": 5e-2, "int8": 0.5}
)
"""Precision -> largest `disagreement` with the reference in 32-bit floating point.

What 8-bit integers may do to a single number is a coarse check that the right graph runs; whether
they may serve is measured in decoded trials.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAbout:
    """Which engine it is.

    Parameters
    ----------
    name : str
        For example ``"onnxruntime"``.
    precision : str
        A key of `TOLERANCE`.
    device : str
        Where it runs: ``"cpu"``, or the name of a GPU.
    version : str
        Of the library that runs it.
    """

    name: str
    precision: str
    device: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.precision}, {self.device})"


@runtime_checkable
class Engine(Protocol):
    """One stream through one student. Called from one thread; holds the stream's state."""

    @property
    def about(self) -> EngineAbout:
        """Which engine it is."""

    def restart(self) -> None:
        """Forget the stream: the next hop is the first."""

    def hear(self, hop_uv: Hop, usable: Bools) -> NDArray[np.float32]:
        """Embedding of the next hop, owned by the receiver.

        Parameters
        ----------
        hop_uv : ndarray of float32, shape (n_rows, hop)
            The next samples in microvolts; not kept.
        usable : ndarray of bool, shape (n_rows,)
            False where a row is absent; what it holds then does not matter.

        Returns
        -------
        embedding : ndarray of float32, shape (n_features,)
            As `Heard.embedding` of the student has it.

        Raises
        ------
        EngineError
            If it cannot go on; the stream is lost with it.
        """

    def close(self) -> None:
        """Release memory and devices. Calling it twice is harmless."""


def disagreement(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """How far two sets of embeddings are apart.

    Parameters
    ----------
    found, expected : ndarray, any one shape
        Embeddings.

    Returns
    -------
    largest : float
        Largest absolute difference, in units of the expected numbers' root mean square where that
        is above 1; infinite if a number is not finite.
    """
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    size = max(1.0, float(np.sqrt(np.mean(np.square(expected, dtype=np.float64)))))
    return float(np.abs(found.astype(np.float64) - expected).max()) / size
