"""What a training would cost: operations and bytes by formula, time from a measurement.

Three kinds of figures are kept apart. *Counted* ones follow from shapes: operations of a forward
pass are those of ``teacher.flop_parts``, a training step takes three times as many (forward,
gradients of activations, gradients of weights), and bytes are numbers of values. *Measured* is how
many of these operations a second this machine makes in real training steps. *Extrapolated* is
everything else: hours here are counted operations over measured speed, hours and price on other
machines rest on what a person states of them, and nothing is assumed of them here.

What is not in it: drawing batches, validation, restarts, moving data, idle machines.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ..runtime.errors import ConfigError
from .corpus import RATE_HZ, Batch
from .corpus_drawing import DrawPlan
from .masking import MaskedBatch
from .reconstruction import PretrainConfig, Reconstruction
from .spectral_targets import FFT_BINS, STFT_BINS
from .student import Student
from .student_config import StudentConfig
from .teacher import Teacher, TeacherConfig, flops

TRAINING_FACTOR = 3
"""Operations of a training step over those of its forward pass."""

_STATE_BYTES = 16  # of a parameter in training: weight, gradient, two moments, in float32
_KEPT_BYTES = 12  # of a parameter in a checkpoint: weight and two moments
_SAMPLE_BYTES = 4
_MEASURED_AT_LEAST = 2  # updates, however slow they are


@dataclass(frozen=True, slots=True, kw_only=True)
class CostQuestion:
    """What is to be trained, on how much.

    Parameters
    ----------
    teacher : TeacherConfig
        What is pretrained, or taught by.
    draw : DrawPlan
        Sizes of segments.
    hours : float
        Length of all recordings together.
    n_channels : int
        Electrodes of a recording, on average.
    passes : float
        How often the corpus is gone through.
    segment_s : float
        One segment is drawn for so many seconds of recording and pass; DIVER-1 takes 30 [1]_.
    batch : int
        Segments of an update, over all processes.
    student : StudentConfig, optional
        Distilled from the teacher, which is then not trained; None for pretraining.

    References
    ----------
    .. [1] Han et al. DIVER-1: deep integration of vast electrophysiological recordings at scale.
       2025.
    """

    teacher: TeacherConfig
    draw: DrawPlan
    hours: float
    n_channels: int = 64
    passes: float = 1.0
    segment_s: float = 30.0
    batch: int = 192
    student: StudentConfig | None = None

    def __post_init__(self) -> None:
        for name in ("hours", "passes", "segment_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be a positive number, got {value}.")
        for name in ("n_channels", "batch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Other machines, as a person states them; nothing about them is known here.

    Parameters
    ----------
    gpus : int
        How many.
    tflops : float
        Peak of one, in 1e12 operations a second, at the precision of the training.
    utilisation : float
        Share of the peak that training reaches, in (0, 1].
    price_per_gpu_hour : float, optional
        In any currency; None for no price.
    """

    gpus: int
    tflops: float
    utilisation: float
    price_per_gpu_hour: float | None = None

    def __post_init__(self) -> None:
        if self.gpus < 1 or not (math.isfinite(self.tflops) and self.tflops > 0):
            raise ConfigError(
                f"gpus must be at least 1 and tflops positive, got {self.gpus} and {self.tflops}."
            )
        if not 0 < self.utilisation <= 1:
            raise ConfigError(
                f"utilisation must be in (0, 1], got {self.utilisation}: the share of the peak "
                f"that training reaches, as measured on such a machine."
            )
        price = self.price_per_gpu_hour
        if price is not None and not (math.isfinite(price) and price >= 0):
            raise ConfigError(f"price_per_gpu_hour must be 0 or more, got {price}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What this machine was seen to do.

    Parameters
    ----------
    flops_per_s : float
        Operations a second in training steps, by the counting of `training_flops`.
    updates : int
        How many steps were timed.
    seconds : float
        How long they took.
    device : str
        On what.
    shape : str
        Of the steps.
    """

    flops_per_s: float
    updates: int
    seconds: float
    device: str
    shape: str


def forward_flops(config: TeacherConfig, n_channels: int, n_patches: int) -> int:
    """Operations of a teacher's forward pass over a window, readouts included."""
    values = config.patch + FFT_BINS + (STFT_BINS if config.patch == 500 else 0)
    return flops(config, n_channels, n_patches) + 2 * n_channels * n_patches * config.width * values


def training_flops(config: TeacherConfig, n_channels: int, n_patches: int) -> int:
    """Operations of a training step over a window: forward and both kinds of gradients."""
    return TRAINING_FACTOR * forward_flops(config, n_channels, n_patches)


def size_chances(fewest: int, most: int) -> dict[int, float]:
    """How likely a drawn number of channels or patches is.

    Parameters
    ----------
    fewest, most : int
        Limits, as in `DrawPlan`.

    Returns
    -------
    chances : dict of int to float
        Of a Beta(3, 1) scaled to the most, rounded up, and not below the fewest; they add up to 1.
    """
    fewest = min(fewest, most)
    chances = {n: (n / most) ** 3 - ((n - 1) / most) ** 3 for n in range(fewest, most + 1)}
    chances[fewest] = (fewest / most) ** 3
    return chances


def mean_over_sizes(question: CostQuestion, flops_of: Callable[[int, int], int]) -> float:
    """Mean of ``flops_of(n_channels, n_patches)`` over the sizes that are drawn."""
    draw = question.draw
    rows = size_chances(draw.min_channels, min(draw.max_channels, question.n_channels))
    times = size_chances(draw.min_patches, draw.max_patches)
    return sum(
        chance * other * flops_of(n_channels, n_patches)
        for n_channels, chance in rows.items()
        for n_patches, other in times.items()
    )


def student_flops(config: StudentConfig, n_channels: int, n_hops: int) -> int:
    """Count a training step of a student over a window, by running it once under torch's counter.

    Parameters
    ----------
    config : StudentConfig
        What is distilled.
    n_channels, n_hops : int
        Size of the window.

    Returns
    -------
    flops : int
        Forward and gradients; what reads the teacher's features out of it is left out.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with torch.random.fork_rng([]):
        student = Student(config)
        x = torch.randn(1, n_channels, n_hops * config.hop)
    # The other kernels have operators of their own that the counter may not know.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        heard = student(x)
        (heard.latents.sum() + heard.channels.sum()).backward()
    return int(counter.get_total_flops())


def sample_flops(question: CostQuestion) -> float:
    """Operations of a segment of mean size: of a pretraining, or of a distillation."""
    config = question.teacher
    if question.student is None:
        return mean_over_sizes(question, lambda c, n: training_flops(config, c, n))
    taught = mean_over_sizes(question, lambda c, n: flops(config, c, n))
    hops = config.patch // question.student.hop
    n_channels, n_patches = mean_size(question)
    # Linear in hops and nearly so in channels, so the mean size stands for all.
    return taught + student_flops(question.student, n_channels, n_patches * hops)


def mean_size(question: CostQuestion) -> tuple[int, int]:
    """Channels and patches of a segment, on average, rounded."""
    draw = question.draw
    rows = size_chances(draw.min_channels, min(draw.max_channels, question.n_channels))
    times = size_chances(draw.min_patches, draw.max_patches)
    n_channels, n_patches = (
        max(1, round(sum(n * chance for n, chance in one.items()))) for one in (rows, times)
    )
    return n_channels, n_patches


def counted(question: CostQuestion) -> dict[str, Any]:
    """Count what follows from shapes alone.

    Parameters
    ----------
    question : CostQuestion
        What is to be trained.

    Returns
    -------
    figures : dict
        Segments, updates, parameters, operations, bytes.
    """
    samples = question.hours * 3600 / question.segment_s * question.passes
    with torch.device("meta"):
        trained: torch.nn.Module = (
            Teacher(question.teacher) if question.student is None else Student(question.student)
        )
    n_parameters = sum(one.numel() for one in trained.parameters())
    per_sample = sample_flops(question)
    corpus = question.hours * 3600 * RATE_HZ * question.n_channels * _SAMPLE_BYTES
    read = mean_size(question)[1] * question.teacher.patch * question.n_channels * _SAMPLE_BYTES
    return {
        "segments": round(samples),
        "updates": math.ceil(samples / question.batch),
        "parameters": n_parameters,
        "flops_per_segment": per_sample,
        "flops": per_sample * samples,
        "corpus_bytes": round(corpus),
        "read_bytes": round(read * samples),
        "checkpoint_bytes": _KEPT_BYTES * n_parameters,
        "state_bytes": _STATE_BYTES * n_parameters,
    }


def measure(
    config: TeacherConfig, draw: DrawPlan, seconds: float, precision: str = "fp32"
) -> Speed:
    """Time real pretraining steps on this machine, on made-up signal of the mean size.

    Parameters
    ----------
    config : TeacherConfig
        Of the teacher.
    draw : DrawPlan
        Sizes of segments.
    seconds : float
        How long to go on; two steps are made in any case, after one that is not counted.
    precision : {"fp32", "bf16"}
        As in training.

    Returns
    -------
    speed : Speed
        Of one process.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    question = CostQuestion(teacher=config, draw=draw, hours=1.0, n_channels=draw.max_channels)
    n_channels, n_patches = mean_size(question)
    batch = 8 if device.type == "cuda" else 1
    step = _stepper(config, draw, (batch, n_channels, n_patches), device, precision)
    step()
    updates, began = 0, time.perf_counter()
    while updates < _MEASURED_AT_LEAST or time.perf_counter() - began < seconds:
        step()
        updates += 1
    took = time.perf_counter() - began
    done = updates * batch * training_flops(config, n_channels, n_patches)
    name = torch.cuda.get_device_name() if device.type == "cuda" else _processor()
    shape = f"width {config.width}, {batch} x {n_channels} channels x {n_patches} patches"
    return Speed(
        flops_per_s=done / took, updates=updates, seconds=took, device=name,
        shape=f"{shape}, {precision}",
    )  # fmt: skip


def _processor() -> str:
    kind = platform.processor() or platform.machine()
    return f"{kind}, {torch.get_num_threads()} thread(s)"


def _stepper(
    config: TeacherConfig,
    draw: DrawPlan,
    shape: tuple[int, int, int],
    device: torch.device,
    precision: str,
) -> Callable[[], None]:
    """A function that makes one update of a teacher, and waits for it."""
    n, n_channels, n_patches = shape
    generator = torch.Generator().manual_seed(0)
    x = 20 * torch.randn(n, n_channels, n_patches * config.patch, generator=generator)
    batch = Batch(
        x, torch.zeros(n, n_channels, 3), torch.zeros(n, dtype=torch.int64),
        torch.full((n, n_channels), -1), torch.ones(n, n_channels, dtype=torch.bool),
    )  # fmt: skip
    mask = torch.rand(n, n_channels, n_patches, generator=generator) < 0.5
    masked = MaskedBatch(Batch(*(part.to(device) for part in batch)), mask.to(device))
    with torch.random.fork_rng([]):
        teacher = Teacher(config).to(device).train()
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=1e-6)
    objective = Reconstruction(config, PretrainConfig(draw=draw))

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, precision == "bf16"):
            loss, _ = objective.loss(teacher, masked)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def hours_here(figures: dict[str, Any], speed: Speed) -> float:
    """Extrapolate: counted operations at the measured speed, in one process of this machine."""
    return float(figures["flops"]) / speed.flops_per_s / 3600


def elsewhere(figures: dict[str, Any], hardware: Hardware) -> dict[str, float | None]:
    """Extrapolate to machines that a person states.

    Parameters
    ----------
    figures : dict
        As `counted` gives them.
    hardware : Hardware
        What is stated.

    Returns
    -------
    figures : dict
        ``hours`` on the clock, ``gpu_hours``, ``price`` (None without one) and
        ``state_bytes_per_gpu`` where FSDP shares weights, gradients and moments.
    """
    rate = hardware.tflops * 1e12 * hardware.utilisation
    gpu_hours = float(figures["flops"]) / rate / 3600
    price = hardware.price_per_gpu_hour
    return {
        "hours": gpu_hours / hardware.gpus,
        "gpu_hours": gpu_hours,
        "price": None if price is None else gpu_hours * price,
        "state_bytes_per_gpu": figures["state_bytes"] / hardware.gpus,
    }
