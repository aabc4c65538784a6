"""What a teacher is asked while it is pretrained, and how its answer is judged.

Hidden patches are zeros before the first layer, the encoder sees all tokens, and its guess is
compared with the signal in up to three domains: samples, spectrum, short-time spectra [1]_. What
a guess is worth is told by two that know nothing: the average of the training data, and the
average of what is visible in the same segment.

References
----------
.. [1] Han et al. DIVER-1: deep integration of vast electrophysiological recordings at scale. 2025.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..runtime.errors import ConfigError
from .corpus import CLIP_UV, Corpus, DrawPlan
from .corpus_files import MODALITIES
from .masking import MaskedBatch, draw_mask
from .spectral_targets import AMPLITUDES, bin_frequencies_hz, spectral_targets
from .teacher import Teacher, TeacherConfig
from .training import to_device
from .training_plan import TrainPlan

DOMAINS = ("time", "fft", "stft")
PUBLISHED_WEIGHTS = {500: (1.0, 0.1, 1.0), 50: (1.0, 1.0, 0.0)}
"""Weights of the domains by the samples of a patch, as published."""

_TYPICAL_BATCHES = 16  # of the training data, whose mean is what a guess has to beat


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig:
    """What can be chosen about pretraining.

    Parameters
    ----------
    mask_share : float
        Share of the patches that are hidden, in (0, 1).
    weights : tuple of float, optional
        Weights of the losses over samples, spectrum and short-time spectra; None takes the
        published ones of the teacher's patch (`PUBLISHED_WEIGHTS`).
    amplitude : {"abs", "real"}
        See `spectral_targets`.
    high_frequency_weight : float
        Raises the fast end of the spectral losses, for high gamma in intracranial signal: the
        error at f Hz counts ``1 + high_frequency_weight * f / 200`` times, divided by the mean
        of that over the values of the target. 0 weighs all alike, as published.
    correlated_masking : float, optional
        Hide channels together whose correlation is at least this large, in (0, 1]; None hides
        each by itself, as published. See `draw_mask`.
    draw : DrawPlan, optional
        How segments are drawn; None takes the usual sizes with the teacher's patch.
    held_out : float
        Share of the recordings that are kept for validation, in [0, 1); 0 for no validation.
    validation_batches : int
        Batches a validation looks at, the same every time.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    mask_share: float = 0.5
    weights: tuple[float, float, float] | None = None
    amplitude: str = "abs"
    high_frequency_weight: float = 0.0
    correlated_masking: float | None = None
    draw: DrawPlan | None = None
    held_out: float = 0.1
    validation_batches: int = 8

    def __post_init__(self) -> None:
        if not 0 < self.mask_share < 1:
            raise ConfigError(f"mask_share must be in (0, 1), got {self.mask_share}: 0.5 is usual.")
        if self.amplitude not in AMPLITUDES:
            raise ConfigError(f"amplitude must be 'abs' or 'real', got {self.amplitude!r}.")
        if self.correlated_masking is not None and not 0 < self.correlated_masking <= 1:
            raise ConfigError(
                f"correlated_masking must be in (0, 1], got {self.correlated_masking}: leave it "
                f"out to hide each channel by itself."
            )
        weights = self.weights or (1.0, 1.0, 1.0)
        if len(weights) != 3 or not all(math.isfinite(w) and w >= 0 for w in weights):
            raise ConfigError(f"weights must be three numbers of 0 or more, got {self.weights}.")
        if not any(weights):
            raise ConfigError("weights are all 0, at least one must be more: nothing is learnt.")
        if not (math.isfinite(self.high_frequency_weight) and self.high_frequency_weight >= 0):
            raise ConfigError(
                f"high_frequency_weight must be 0 or more, got {self.high_frequency_weight}."
            )
        if not 0 <= self.held_out < 1 or self.validation_batches < 1:
            raise ConfigError(
                f"held_out must be in [0, 1) and validation_batches at least 1, got "
                f"{self.held_out} and {self.validation_batches}."
            )


class Reconstruction:
    """What a teacher is asked, and how its answer is judged.

    Parameters
    ----------
    teacher_config : TeacherConfig
        Whose patch decides about the domains.
    config : PretrainConfig
        What was chosen.

    Raises
    ------
    ConfigError
        If the draws have another patch than the teacher.
    """

    def __init__(self, teacher_config: TeacherConfig, config: PretrainConfig) -> None:
        self._config, self._patch = config, teacher_config.patch
        self._plan = config.draw or DrawPlan(patch=self._patch)
        if self._plan.patch != self._patch:
            raise ConfigError(
                f"Segments are drawn in patches of {self._plan.patch} samples, the teacher takes "
                f"{self._patch}: set draw.patch to the teacher's."
            )
        weights = config.weights or PUBLISHED_WEIGHTS[self._patch]
        self._weights = {
            domain: weight for domain, weight in zip(DOMAINS, weights, strict=True) if weight > 0
        }
        if "stft" in self._weights and self._patch != 500:
            raise ConfigError(
                f"Short-time spectra need patches of 500 samples, the teacher takes "
                f"{self._patch}: set the third weight to 0."
            )

    def draw(self, corpus: Corpus, rng: np.random.Generator, n: int) -> MaskedBatch:
        """Draw segments and what is hidden in them."""
        batch = corpus.draw(rng, n, self._plan)
        config = self._config
        mask = draw_mask(rng, batch, self._patch, config.mask_share, config.correlated_masking)
        return MaskedBatch(batch, mask)

    def loss(self, teacher: Teacher, masked: MaskedBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss over hidden patches, and its parts.

        Parameters
        ----------
        teacher : Teacher
            With readouts.
        masked : MaskedBatch
            On the teacher's device.

        Returns
        -------
        loss : Tensor, shape ()
            Weighted sum of the parts.
        parts : dict of str to Tensor
            Mean squared error of each domain.
        """
        batch = masked.batch
        features = teacher(
            batch.x, batch.positions, batch.modality, batch.subtypes, batch.usable,
            mask=masked.mask,
        )  # fmt: skip
        return self._judge(teacher.reconstruct(features), masked)

    def targets(self, masked: MaskedBatch) -> dict[str, Tensor]:
        """Compute what was to be guessed, (B, C, n_patches, values) in each domain."""
        x = masked.batch.x.float()
        limits = x.new_tensor([CLIP_UV[name] for name in MODALITIES])
        scaled = (x / limits[masked.batch.modality][:, None, None]).clamp(-1.0, 1.0)
        patches = scaled.reshape(*scaled.shape[:2], -1, self._patch)
        return spectral_targets(patches, amplitude=self._config.amplitude)

    def _judge(
        self, guess: Mapping[str, Tensor], masked: MaskedBatch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        hidden = masked.mask & masked.batch.usable[:, :, None]  # (B, C, n_patches)
        parts: dict[str, Tensor] = {}
        with torch.autocast(masked.batch.x.device.type, enabled=False):
            targets = self.targets(masked)
            for domain in self._weights:
                error = (guess[domain].float() - targets[domain])[hidden].square()
                parts[domain] = (error * self._importance(domain, error)).mean()
        loss = torch.stack([weight * parts[name] for name, weight in self._weights.items()]).sum()
        return loss, {name: part.detach() for name, part in parts.items()}

    def _importance(self, domain: str, like: Tensor) -> Tensor:
        """Weights of a domain's values, 1 on average."""
        if domain == "time" or not self._config.high_frequency_weight:
            return like.new_ones(())
        share = bin_frequencies_hz(domain).to(like) / 200.0
        raised = 1.0 + self._config.high_frequency_weight * share
        return raised / raised.mean()

    def validation(
        self, learnt: Corpus, held_out: Corpus, plan: TrainPlan
    ) -> Callable[[Teacher], dict[str, float]]:
        """Prepare the comparison with those who know nothing.

        Parameters
        ----------
        learnt, held_out : Corpus
            What is learnt from, and what is not.
        plan : TrainPlan
            Size of a batch, seed.

        Returns
        -------
        validate : callable
            ``validate(teacher)`` gives the loss and its parts on held-out recordings, then the
            same for a guess of zeros and the training data's average spectrum (``typical_...``)
            and for the average over what is visible in the segment (``visible_...``).
        """
        batches = [
            self.draw(held_out, np.random.default_rng([plan.seed, 1, place]), plan.batch)
            for place in range(self._config.validation_batches)
        ]
        trained = [
            self.draw(learnt, np.random.default_rng([plan.seed, 2, place]), plan.batch)
            for place in range(_TYPICAL_BATCHES)
        ]
        typical = self._typical(trained)
        ignorant = [
            {
                **self._row("typical_", self._judge(self._spread(typical, masked), masked)),
                **self._row("visible_", self._judge(self._visible(masked), masked)),
            }
            for masked in batches
        ]

        def validate(teacher: Teacher) -> dict[str, float]:
            device = teacher.mask_encoding.device
            rows = []
            for masked, others in zip(batches, ignorant, strict=True):
                here = self.loss(teacher, to_device(masked, device))
                rows.append({**self._row("", here), **others})
            return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}

        return validate

    @staticmethod
    def _row(prefix: str, judged: tuple[Tensor, Mapping[str, Tensor]]) -> dict[str, float]:
        values = {"loss": judged[0], **judged[1]}
        return {f"{prefix}{name}": float(value) for name, value in values.items()}

    def _typical(self, batches: Sequence[MaskedBatch]) -> dict[str, Tensor]:
        """Average target of each domain, over all usable patches of some batches."""
        sums: dict[str, list[Tensor]] = {domain: [] for domain in self._weights}
        for masked in batches:
            targets = self.targets(masked)
            for domain, values in sums.items():
                values.append(targets[domain][masked.batch.usable].flatten(0, 1).mean(dim=0))
        typical = {domain: torch.stack(values).mean(dim=0) for domain, values in sums.items()}
        if "time" in typical:
            typical["time"] = torch.zeros_like(typical["time"])
        return typical

    @staticmethod
    def _spread(typical: Mapping[str, Tensor], masked: MaskedBatch) -> dict[str, Tensor]:
        return {name: value.expand(*masked.mask.shape, -1) for name, value in typical.items()}

    def _visible(self, masked: MaskedBatch) -> dict[str, Tensor]:
        """Average over the visible patches of each segment; zero if none is."""
        seen = ~masked.mask & masked.batch.usable[:, :, None]
        count = seen.sum(dim=(1, 2)).clamp(min=1)[:, None]
        guess = {}
        targets = self.targets(masked)
        for domain in self._weights:
            mean = (targets[domain] * seen[..., None]).sum(dim=(1, 2)) / count  # (B, values)
            if domain == "time":
                mean = torch.zeros_like(mean)
            guess[domain] = mean[:, None, None].expand_as(targets[domain])
        return guess
