"""What a hop must cost at least: its arithmetic and its bytes, against what this machine can do.

A step is a list of matrix products; everything else (norms, gates, softmax) is left out, and so is
what depends on the electrodes' places alone, which a compiled student holds as a constant. The
bytes are the weights once, the state read and written, the hop and the embedding; what stays within
a hop is taken to stay in the caches.

Both are held against *measured* peaks of one thread: the best matrix product of 32-bit floats that
numpy's BLAS reaches on any shape, and copying an array far larger than the caches. ``floor_ms`` is
the longer of the two times. Weights that are still in a cache from the hop before come faster than
that, so the part of the bytes is what a hop costs when something else has used the caches. Beside
it stands what the same products take in BLAS at the very shapes that the student has, one after
the other: small ones are far from the peak, and this is where a better engine has to begin.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from ..student_config import HEAD_DIM, RATE_HZ, StudentConfig

_N_BANDS = 4  # of high gamma, from 70 to 250 Hz
_HIGH_GAMMA_HZ = (70.0, 250.0)
_BIG = (256, 512, 1024, 1536)
_COPY_MB = 256
_REPEATS = 7
_AT_LEAST_S = 2e-3  # of one timing, so that the clock's own cost does not count


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A matrix product of a hop, (m, k) times (k, n).

    Parameters
    ----------
    part : str
        Where in the student: ``"tokens"``, ``"mix"``, ``"gather"``, ``"blocks"``, ``"read back"``.
    m, k, n : int
        Its shape.
    times : int
        How often: once for each head of an attention.
    learnt : bool
        Whether the second factor comes with the student, and is not made of the hop.
    """

    part: str
    m: int
    k: int
    n: int
    times: int = 1
    learnt: bool = True

    @property
    def flops(self) -> int:
        """Operations, two to a multiplication with its addition."""
        return 2 * self.m * self.k * self.n * self.times


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """What one thread of a machine was measured to do.

    Parameters
    ----------
    gflop_per_s : float
        Of the best matrix product of 32-bit floats.
    gb_per_s : float
        Read and written together, copying a large array.
    """

    gflop_per_s: float
    gb_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The least that a hop can cost.

    Parameters
    ----------
    mflop, mb : float
        Million operations and megabytes.
    flops_ms, bytes_ms : float
        What they take at the peaks.
    shapes_ms : float
        What the products take in BLAS at their own shapes.
    """

    mflop: float
    mb: float
    flops_ms: float
    bytes_ms: float
    shapes_ms: float

    @property
    def floor_ms(self) -> float:
        """The longer of both."""
        return max(self.flops_ms, self.bytes_ms)

    def to_dict(self) -> dict[str, float]:
        """As JSON holds it."""
        return {**asdict(self), "floor_ms": self.floor_ms}


def products(config: StudentConfig, n_channels: int) -> list[Product]:
    """Every matrix product of one hop.

    Parameters
    ----------
    config : StudentConfig
        Of the student.
    n_channels : int
        Rows of the stream.

    Returns
    -------
    found : list of Product
        In the order of the step.
    """
    width, latents, rows = config.width, config.n_latents, n_channels
    return [
        *_of_tokens(config, rows),
        Product(part="mix", m=rows, k=width, n=2 * width),
        Product(part="mix", m=rows, k=width, n=width),
        Product(part="gather", m=rows, k=width, n=2 * width),
        *_of_attention("gather", latents, rows, width // HEAD_DIM),
        Product(part="gather", m=latents, k=width, n=width),
        *(one for layer in range(config.n_layers) for one in _of_block(config, layer)),
        Product(part="read back", m=rows, k=width, n=HEAD_DIM),
        Product(part="read back", m=latents, k=width, n=2 * HEAD_DIM),
        *_of_attention("read back", rows, latents, 1),
        Product(part="read back", m=rows, k=width + HEAD_DIM, n=config.n_readings),
    ]


def bytes_of_hop(config: StudentConfig, n_channels: int, weight_bytes: int = 4) -> int:
    """Bytes that one hop has to move.

    Parameters
    ----------
    config : StudentConfig
        Of the student.
    n_channels : int
        Rows of the stream.
    weight_bytes : int
        Of one weight: 4, 2 or 1.

    Returns
    -------
    size : int
        Weights and fixed matrices read once, rings of keys and values read and one slot of them
        written, tail read and written, hop, mask and embedding.
    """
    heads = sum(config.heads_of(layer) for layer in range(config.n_layers))
    slot = 2 * config.n_latents * heads * HEAD_DIM
    state = (config.context + 1) * slot + 2 * n_channels * config.tail
    passing = n_channels * config.hop + config.n_features(n_channels)
    learnt = sum(one.k * one.n for one in products(config, n_channels) if one.learnt)
    return weight_bytes * learnt + 4 * (state + passing) + n_channels


def floor_of(config: StudentConfig, n_channels: int, peaks: Peaks, shapes_ms: float) -> Floor:
    """The floor of a student on so many rows.

    Parameters
    ----------
    config : StudentConfig
        Of the student.
    n_channels : int
        Rows of the stream.
    peaks : Peaks
        Of the machine.
    shapes_ms : float
        From `time_at_shapes`.

    Returns
    -------
    floor : Floor
        In milliseconds.
    """
    operations = sum(one.flops for one in products(config, n_channels))
    size = bytes_of_hop(config, n_channels)
    return Floor(
        mflop=operations / 1e6,
        mb=size / 1e6,
        flops_ms=operations / peaks.gflop_per_s / 1e6,
        bytes_ms=size / peaks.gb_per_s / 1e6,
        shapes_ms=shapes_ms,
    )


def measure_peaks(clock_s: Callable[[], float] = time.perf_counter) -> Peaks:
    """What this thread can do; a second or two. BLAS must have been told to use one thread.

    Parameters
    ----------
    clock_s : callable
        Monotonic seconds.

    Returns
    -------
    peaks : Peaks
        Best of several tries.
    """
    found = [2e-9 * n**3 / _time_product(n, n, n, clock_s) for n in _BIG]
    source = np.ones(_COPY_MB * 250_000, np.float32)
    target = np.empty_like(source)
    copied_s = _best_s(lambda: np.copyto(target, source), clock_s)
    return Peaks(gflop_per_s=max(found), gb_per_s=2e-9 * source.nbytes / copied_s)


def time_at_shapes(
    config: StudentConfig, n_channels: int, clock_s: Callable[[], float] = time.perf_counter
) -> float:
    """What a hop's products take in BLAS at their own shapes.

    Parameters
    ----------
    config : StudentConfig
        Of the student.
    n_channels : int
        Rows of the stream.
    clock_s : callable
        Monotonic seconds.

    Returns
    -------
    together_ms : float
        The best time of each shape, as often as it occurs.
    """
    often: dict[tuple[int, int, int], int] = {}
    for one in products(config, n_channels):
        shape = (one.m, one.k, one.n)
        often[shape] = often.get(shape, 0) + one.times
    return 1e3 * sum(n * _time_product(*shape, clock_s) for shape, n in often.items())


def _of_tokens(config: StudentConfig, rows: int) -> list[Product]:
    found = []
    for samples in config.scales:
        bins = samples // 2 + 1
        found += [
            Product(part="tokens", m=rows, k=samples, n=2),
            Product(part="tokens", m=rows, k=samples, n=2 * bins),
            Product(part="tokens", m=rows, k=samples + bins + 3, n=config.width),
        ]
    if config.high_gamma:
        bins = _high_gamma_bins(config.hop)
        found += [
            Product(part="tokens", m=rows, k=config.hop, n=2 * bins),
            Product(part="tokens", m=rows, k=bins, n=_N_BANDS),
            Product(part="tokens", m=rows, k=2 * bins + _N_BANDS, n=config.width),
        ]
    return found


def _of_block(config: StudentConfig, layer: int) -> list[Product]:
    width, latents = config.width, config.n_latents
    heads, hidden = config.heads_of(layer), config.ffn_of(layer)
    inner = heads * HEAD_DIM
    return [
        Product(part="blocks", m=latents, k=width, n=3 * inner),
        *_of_attention("blocks", latents, config.context * latents, heads),
        Product(part="blocks", m=latents, k=inner, n=width),
        Product(part="blocks", m=latents, k=width, n=2 * hidden),
        Product(part="blocks", m=latents, k=hidden, n=width),
    ]


def _of_attention(part: str, asking: int, asked: int, heads: int) -> list[Product]:
    return [
        Product(part=part, m=asking, k=HEAD_DIM, n=asked, times=heads, learnt=False),
        Product(part=part, m=asking, k=asked, n=HEAD_DIM, times=heads, learnt=False),
    ]


def _high_gamma_bins(hop: int) -> int:
    low_hz, high_hz = _HIGH_GAMMA_HZ
    step_hz = RATE_HZ / hop
    return sum(low_hz <= k * step_hz <= high_hz for k in range(hop // 2 + 1))


def _time_product(m: int, k: int, n: int, clock_s: Callable[[], float]) -> float:
    left, right = np.ones((m, k), np.float32), np.ones((k, n), np.float32)
    out = np.empty((m, n), np.float32)
    return _best_s(lambda: np.matmul(left, right, out=out), clock_s)


def _best_s(what: Callable[[], object], clock_s: Callable[[], float]) -> float:
    """Seconds of one run: the best of several timings of enough runs each."""
    what()
    start = clock_s()
    what()
    runs = max(1, round(_AT_LEAST_S / max(clock_s() - start, 1e-7)))
    best = float("inf")
    for _ in range(_REPEATS):
        start = clock_s()
        for _ in range(runs):
            what()
        best = min(best, (clock_s() - start) / runs)
    return best
