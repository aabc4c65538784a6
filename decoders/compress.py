"""Make a trained student smaller before it is distilled once more: fewer parts, fewer bits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from .augment import Drawn
from .corpus import Batch, Corpus
from .distill import Distillation
from .distill_config import DistillConfig
from .prune import importance_of, prune
from .quantise import QuantiseConfig, calibrate, prepare
from .student import Student
from .teacher import Teacher

_BATCHES = 16  # of four segments each: enough for ranks and ranges to settle
_SEGMENTS = 4


def compress(
    student: Student,
    teacher: Teacher,
    corpus: Corpus,
    config: DistillConfig,
    *,
    keep: float = 1.0,
    weight_bits: int | None = None,
    seed: int = 0,
) -> Student:
    """Prune a student, put rounding into its graph, or both, in this order.

    Parameters
    ----------
    student : Student
        A trained one. Not changed.
    teacher : Teacher
        Whose patch decides about the segments.
    corpus : Corpus
        What the student will be distilled on.
    config : DistillConfig
        How segments are drawn and spoilt: ranges are found on lost channels and hum, too.
    keep : float
        Share of heads and of hidden units to keep, in (0, 1]; 1 prunes nothing.
    weight_bits : int, optional
        Bits of a weight; None rounds nothing.
    seed : int
        Decides the draws, so that the same call gives the same student.

    Returns
    -------
    smaller : Student
        To be given to `distill` as its student.

    Raises
    ------
    ConfigError
        If a figure is out of range, or teacher and student do not fit.
    """
    Distillation(student, teacher, config)  # says so now if they do not fit
    smaller = student
    if keep != 1.0:
        heard = _heard(corpus, teacher, config, seed)
        smaller = prune(smaller, importance_of(smaller, heard), keep)
    if weight_bits is not None:
        prepared = prepare(smaller, QuantiseConfig(weight_bits=weight_bits))
        calibrate(prepared, _heard(corpus, teacher, config, seed))
        smaller = prepared
    return smaller


def _heard(corpus: Corpus, teacher: Teacher, config: DistillConfig, seed: int) -> Iterator[Batch]:
    """Segments as the student will hear them."""
    rng = np.random.default_rng([seed, 23])
    generator = torch.Generator().manual_seed(seed)
    for _ in range(_BATCHES):
        clean = corpus.draw(rng, _SEGMENTS, config.draws(teacher.config.patch))
        yield Drawn.of(clean, config.augment, generator).seen
