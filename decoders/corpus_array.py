"""The array of a corpus entry: written block by block, so that it need not fit into memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import RecordingError

Signal = NDArray[np.float32]
"""Shape (n_channels, n_times), microvolts at 500 Hz."""


def write_blocks(
    path: Path,
    name: str,
    n_channels: int,
    blocks: Iterable[tuple[bool, Signal]],
    edges: list[int],
) -> int:
    """Write an array one sample of all channels after the other.

    So a block is appended as it is, and a segment is one piece of the file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Of the recording, for errors.
    n_channels : int
        Rows.
    blocks : iterable of (bool, ndarray of shape (n_channels, n_times))
        Microvolts, and whether something is missing before them.
    edges : list of int
        Filled with the columns at which stretches begin.

    Returns
    -------
    n_times : int
        Columns in all.

    Raises
    ------
    RecordingError
        If a block has other rows, a value is not finite, or nothing is left.
    """
    n_times = 0
    with path.open("wb") as file:
        _write_header(file, n_channels, 0)
        for starts, block in blocks:
            if len(block) != n_channels or not np.isfinite(block).all():
                raise RecordingError(
                    f"{name} has {len(block)} rows for {n_channels} channels, or "
                    f"values that are not finite: give finite microvolts, one row for each channel."
                )
            if not block.shape[1]:
                continue
            if starts or not edges:
                edges.append(n_times)
            file.write(np.ascontiguousarray(block.T, dtype="<f4").tobytes())
            n_times += block.shape[1]
        file.seek(0)
        _write_header(file, n_channels, n_times)
    if not n_times:
        raise RecordingError(f"{name} has no signal to put into a corpus: leave it out.")
    return n_times


def _write_header(file: BinaryIO, n_channels: int, n_times: int) -> None:
    # numpy leaves room for the last dimension to grow, so both headers are of one length.
    shape = (n_channels, n_times)
    told = {"descr": "<f4", "fortran_order": True, "shape": shape}
    np.lib.format.write_array_header_1_0(file, told)
