"""What a student hears in tests. Import it after torch was found."""

from __future__ import annotations

import torch

from diverloop.decoders.corpus import Batch
from diverloop.decoders.student import Student


def drawn(n_channels: int = 6, n_hops: int = 10, batch: int = 2) -> Batch:
    """Signal with slow waves, known places, one absent channel."""
    x = (20 * torch.randn(batch, n_channels, 50 * n_hops)).cumsum(2) / 4
    usable = torch.ones(batch, n_channels, dtype=torch.bool)
    usable[0, 0] = False
    codes = torch.zeros(batch, dtype=torch.int64)
    subtypes = torch.full((batch, n_channels), -1)
    return Batch(x, 60 * torch.randn(batch, n_channels, 3), codes, subtypes, usable)


def read(student: Student, batch: Batch) -> torch.Tensor:
    """Embedding of each hop."""
    return student(batch.x, batch.usable, batch.positions, batch.modality).embedding
