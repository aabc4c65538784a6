"""How far a student agrees with its teacher on recordings that it was not trained on.

The signal is clean here: what is asked is whether the student knows what the teacher knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .corpus import Batch, Corpus, DrawPlan

if TYPE_CHECKING:
    from .distill import Distillation, Targets


class Agreement:
    """Sums over batches from which cosine and explained variance follow.

    A batch comes from one recording. What is explained *within* it leaves out what the batch has
    in common, which a linear head's bias would take up: it is what a decoder can use.
    """

    def __init__(self) -> None:
        self._rows: list[Tensor] = []
        self._error = self._error_within = self._within = self._cosine = 0.0

    def add(self, said: Tensor, wanted: Tensor) -> None:
        """Count a batch of normalised features, (n, width) twice."""
        self._rows.append(wanted.double())
        self._error += float((said - wanted).square().sum())
        off, said_off = wanted - wanted.mean(dim=0), said - said.mean(dim=0)
        self._within += float(off.square().sum())
        self._error_within += float((said_off - off).square().sum())
        self._cosine += float(F.cosine_similarity(said, wanted, dim=-1).sum())

    def figures(self, name: str) -> dict[str, float]:
        """Mean cosine; R2 against the mean of all, and of what varies within each batch."""
        rows = torch.cat(self._rows)
        spread = float((rows - rows.mean(dim=0)).square().sum())
        return {
            f"{name}_cosine": self._cosine / len(rows),
            f"{name}_r2": 1 - self._error / max(spread, 1e-12),
            f"{name}_r2_within": 1 - self._error_within / max(self._within, 1e-12),
        }


class Checker:
    """Validation on the same batches every time; the teacher is asked about them once.

    Parameters
    ----------
    corpus : Corpus
        Recordings that are not trained on.
    draws : DrawPlan
        As in training.
    n_batches, n : int
        Batches, and segments in each.
    """

    def __init__(self, corpus: Corpus, draws: DrawPlan, n_batches: int, n: int) -> None:
        rng = np.random.default_rng(20_240_607)
        self.batches = [corpus.draw(rng, n, draws) for _ in range(n_batches)]
        self._targets: list[Targets] = []

    @torch.no_grad()
    def validate(self, module: nn.Module) -> dict[str, float]:
        """Agreement of a `Distillation` with its teacher.

        Parameters
        ----------
        module : Distillation
            Put into eval mode meanwhile, so that no statistic learns from this.

        Returns
        -------
        figures : dict of str to float
            ``pooled_cosine``, ``pooled_r2``, ``pooled_r2_within`` and the same for ``token``.
        """
        from .distill import Distillation

        assert isinstance(module, Distillation)
        training = module.training
        module.eval()
        try:
            return self._agreement(module)
        finally:
            module.train(training)

    def _agreement(self, module: Distillation) -> dict[str, float]:
        device = next(module.parameters()).device
        pooled, token = Agreement(), Agreement()
        for place, stored in enumerate(self.batches):
            batch = Batch(*(part.to(device) for part in stored))
            if place == len(self._targets):
                self._targets.append(module.targets(batch))
            wanted = module.normalised(self._targets[place], batch.usable)
            said = module.say(module.read(batch))
            pooled.add(said.pooled.flatten(0, 1), wanted.pooled.flatten(0, 1))
            token.add(
                said.token[batch.usable].flatten(0, 1), wanted.token[batch.usable].flatten(0, 1)
            )
        return pooled.figures("pooled") | token.figures("token")
