"""What a student is asked to say about its teacher, and about the signal, while it learns.

Everything here is scaffolding: it is trained with the student and thrown away. The student is
causal and speaks every hop; the teacher speaks once a patch. A patch of 1 s is compared with the
ten hops inside it, a patch of 0.1 s with one.

- **Routed**: hidden layers of the teacher, pooled over channels and mixed by a router that looks
  at them, against a linear reading of the student's pooled latents [1]_.
- **Pooled** and **token** targets: the teacher's output averaged over channels, and for each
  channel. A student has no channels behind its latents, so a *read-back* asks them: the channel's
  token is the question, the latents are all the answer is made of.
- **Relation**: which channels are like which, in the tokens as in the teacher's features [2]_.
- **Spectrum**: magnitude and phase of each channel's hop, out of the latents.

References
----------
.. [1] DLink: distilling layer-wise and dominant knowledge from EEG foundation models. 2026.
.. [2] Park, Kim, Lu, Cho. Relational knowledge distillation. CVPR, 2019.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RunningScale(nn.Module):
    """Centre and scale each feature by statistics that are kept from update to update.

    A batch is scaled by what was learnt from earlier updates, or by itself in the first. What it
    has to add is kept until `learn`, so that the batches of an update may come in any order and
    through several processes: see ``ranks.Gathering``.

    Parameters
    ----------
    width : int
        Features, the last dimension of what comes.
    memory : float
        Weight of a new batch once many have been seen; the first ones are averaged evenly.
    """

    mean: Tensor
    variance: Tensor
    seen: Tensor

    def __init__(self, width: int, memory: float = 0.01) -> None:
        super().__init__()
        self.memory = memory
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self._sums: Tensor | None = None  # no buffer: DDP would overwrite it with process 0's

    def forward(self, features: Tensor, present: Tensor | None = None) -> Tensor:
        """Normalise; while training also note what there is to learn.

        Parameters
        ----------
        features : Tensor, shape (..., width)
            Of the teacher: no gradient flows through the statistics.
        present : Tensor of bool, shape (...), optional
            Which of them count.

        Returns
        -------
        normalised : Tensor, shape (..., width)
            About zero mean and unit variance.
        """
        mean, variance = self.mean, self.variance
        if self.training:
            flat = features.detach().flatten(0, -2).float()
            flat = flat if present is None else flat[present.flatten()]
            if len(flat) > 1:
                self._note(flat)
                if not self.seen:
                    mean, variance = flat.mean(0), flat.var(0, unbiased=False)
        return (features - mean) * (variance + 1e-6).rsqrt()

    @torch.no_grad()
    def _note(self, flat: Tensor) -> None:
        wide = flat.double()
        new = torch.cat([wide.new_ones(1), wide.mean(0), wide.square().mean(0)])
        self._sums = new if self._sums is None else self._sums + new

    def take_sums(self) -> Tensor:
        """Sums over the batches since the last call.

        Returns
        -------
        sums : Tensor of float64, shape (1 + 2 * width,)
            Number of batches, then their means, then their mean squares.
        """
        sums, self._sums = self._sums, None
        return self.mean.new_zeros(1 + 2 * len(self.mean)).double() if sums is None else sums

    @torch.no_grad()
    def learn(self, sums: Tensor) -> None:
        """Learn from the batches of an update.

        Parameters
        ----------
        sums : Tensor of float64, shape (1 + 2 * width,)
            As `take_sums` gives them, added up over processes.
        """
        n = sums[0]
        if not n:
            return
        self.seen += n.long()
        share = torch.maximum(1 - (1 - self.memory) ** n, n / self.seen)
        mean, square = (sums[1:] / n).chunk(2)
        spread = (square - mean.square()).clamp(min=0)
        step = mean - self.mean
        self.mean += (share * step).float()
        # Updates whose means differ spread as well: both parts make the variance of all.
        first = bool(self.seen == n)
        old = 0.0 if first else (1 - share) * (self.variance + share * step.square())
        self.variance.copy_(old + share * spread)


def masked_mean(values: Tensor, present: Tensor | None) -> Tensor:
    """Mean of what is present, zero if nothing is; both of one shape."""
    if present is None:
        return values.mean()
    weights = present.to(values.dtype)
    return (values * weights).sum() / weights.sum().clamp(min=1.0)


def agreement(prediction: Tensor, target: Tensor, present: Tensor | None = None) -> Tensor:
    """Half the mean square error plus half of one minus the cosine; zero for a perfect student.

    Parameters
    ----------
    prediction, target : Tensor, shape (..., width)
        Normalised features, so that predicting nothing costs about 1.
    present : Tensor of bool, shape (...), optional
        Which of them count.
    """
    squared = (prediction - target).square().mean(-1)
    apart = 1 - F.cosine_similarity(prediction, target, dim=-1, eps=1e-6)
    return masked_mean(0.5 * squared + 0.5 * apart, present)


def within(said: Tensor, wanted: Tensor) -> Tensor:
    """Disagreement about how the patches of one recording differ from each other.

    Recordings differ more from each other than a recording from itself, and a task lives inside
    one: what they have in common is taken out, and each feature scaled to what it varies here.

    Parameters
    ----------
    said, wanted : Tensor, shape (n, width)
        Normalised features of patches of one recording.
    """
    off = wanted - wanted.mean(dim=0)
    # What hardly moves here is noise of the statistics, not something to be learnt.
    size = off.square().mean(dim=0).sqrt().clamp(min=0.1)
    return agreement((said - said.mean(dim=0)) / size, off / size)


def pool_channels(features: Tensor, usable: Tensor) -> Tensor:
    """Mean over the channels that are there: (B, C, N, d) and (B, C) to (B, N, d)."""
    weights = usable / usable.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.einsum("bcnd,bc->bnd", features, weights.to(features.dtype))


def pool_hops(latents: Tensor, hops_per_patch: int) -> Tensor:
    """What is read of a patch: the mean over its hops, and the last hop.

    The mean alone does not know where in the patch something happened, so no phase of a slow wave
    could be read from it; the last hop has heard the whole patch, and stands at a known place.

    Parameters
    ----------
    latents : Tensor, shape (B, n_hops, K, d)
        Of every hop.
    hops_per_patch : int
        Hops of a teacher's patch; with 1 the hop itself is all there is.

    Returns
    -------
    pooled : Tensor, shape (B, N, K * d) or (B, N, 2 * K * d)
        See `pooled_width`.
    """
    hops: Tensor = latents.unflatten(1, (-1, hops_per_patch)).flatten(3)
    if hops_per_patch == 1:
        return hops.squeeze(2)
    return torch.cat([hops.mean(dim=2), hops[:, :, -1]], dim=2)


def pooled_width(n_features: int, hops_per_patch: int) -> int:
    """Length of what `pool_hops` gives for hops of so many features."""
    return n_features if hops_per_patch == 1 else 2 * n_features


def quiet(layer: nn.Linear) -> nn.Linear:
    """Start a reading near zero: guessing the mean is where learning should begin."""
    nn.init.normal_(layer.weight, std=0.1 / math.sqrt(layer.in_features))
    nn.init.zeros_(layer.bias)
    return layer


class LayerRouter(nn.Module):
    """Weights for the teacher's layers, from the teacher's own pooled features.

    Parameters
    ----------
    width : int
        Of the teacher.
    n_layers : int
        Layers to choose from.

    Notes
    -----
    Left alone, a router prefers whatever is easiest to predict. `balance` is what keeps all
    layers in use on average, while each patch may still choose.
    """

    def __init__(self, width: int, n_layers: int) -> None:
        super().__init__()
        self.score = nn.Linear(n_layers * width, n_layers)
        nn.init.normal_(self.score.weight, std=0.1 / math.sqrt(n_layers * width))
        nn.init.zeros_(self.score.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """Features (B, N, L, width) to weights (B, N, L), which sum to 1."""
        scores: Tensor = self.score(pooled.flatten(2))
        return scores.softmax(dim=-1)


def balance(weights: Tensor) -> Tensor:
    """How far mean weights (..., L) are from even, in nats; zero where all layers are used."""
    mean = weights.flatten(0, -2).mean(dim=0)
    return (mean * (mean * mean.numel() + 1e-9).log()).sum()


class RoutedTarget(nn.Module):
    """Match a mix of the teacher's layers by linear readings of the student's pooled latents.

    Parameters
    ----------
    n_features : int
        Of the student: see `pooled_width`.
    width, n_layers : int
        Of the teacher, and how many of its layers are mixed.
    """

    def __init__(self, n_features: int, width: int, n_layers: int) -> None:
        super().__init__()
        self.router = LayerRouter(width, n_layers)
        self.read = quiet(nn.Linear(n_features, n_layers * width))
        self.n_layers = n_layers

    def forward(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Disagreement and router weights.

        Parameters
        ----------
        student : Tensor, shape (B, N, n_features)
            Pooled latents.
        teacher : Tensor, shape (B, N, L, width)
            Normalised hidden features, pooled over channels.

        Returns
        -------
        loss : Tensor
            Zero if each reading equals its layer.
        weights : Tensor, shape (B, N, L)
            How the layers were mixed.
        """
        weights = self.router(teacher)
        readings = self.read(student).unflatten(-1, (self.n_layers, -1))
        return routed_agreement(readings, teacher, weights), weights


def routed_agreement(readings: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
    """Disagreement of two mixes with the same weights; (B, N, L, width) twice and (B, N, L).

    Both are divided by the size of the teacher's mix: otherwise the router would earn by mixing
    layers that cancel.
    """
    wanted = (weights[..., None] * teacher).sum(dim=2)
    said = (weights[..., None] * readings).sum(dim=2)
    size = wanted.square().mean(-1, keepdim=True).add(1e-6).rsqrt()
    return agreement(said * size, wanted * size)


def relation(student: Tensor, teacher: Tensor, present: Tensor) -> Tensor:
    """Mean square difference of two tables of cosines between channels.

    Parameters
    ----------
    student, teacher : Tensor, shape (M, C, d) and (M, C, d')
        Features of the same channels; the widths may differ.
    present : Tensor of bool, shape (M, C)
        Which channels count. What all of them share is taken out first.
    """
    pairs = present[:, :, None] & present[:, None, :]
    apart = ~torch.eye(present.shape[1], dtype=torch.bool, device=present.device)
    difference = _cosines(student, present) - _cosines(teacher, present)
    return masked_mean(difference.square(), pairs & apart)


def _cosines(features: Tensor, present: Tensor) -> Tensor:
    weights = present[..., None].to(features.dtype)
    mean = (features * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp(min=1.0)
    unit = F.normalize((features - mean) * weights, dim=-1, eps=1e-6)
    return unit @ unit.transpose(1, 2)
