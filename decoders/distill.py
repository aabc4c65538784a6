"""From a teacher that sees the whole window to a student that hears one hop at a time.

No labels are needed. Segments are drawn from a corpus; the teacher reads them clean, the student
reads a spoilt copy (`augment`), and the losses of `distill_losses` compare what both make of it
[1]_, [2]_.
The teacher is frozen, in eval mode and without gradient; it runs once a batch and is not part of
what is trained or saved.

References
----------
.. [1] Hinton, Vinyals, Dean. Distilling the knowledge in a neural network. 2015.
.. [2] Romero et al. FitNets: hints for thin deep nets. ICLR, 2015.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..runtime.card import versions_now
from ..runtime.errors import ConfigError
from .augment import Drawn
from .corpus import Batch, Corpus
from .distill_config import DistillConfig
from .distill_losses import (
    RoutedTarget,
    RunningScale,
    agreement,
    balance,
    pool_channels,
    pool_hops,
    pooled_width,
    quiet,
    relation,
    within,
)
from .hop_level import N_LEVELS, HopLevel
from .hop_spectrum import HopSpectrum
from .quantise import empty_like, rounding_note, strip
from .ranks import join
from .student import Heard, Student
from .student_card import student_card
from .student_config import StudentConfig
from .student_files import save_student
from .teacher import Teacher
from .training import train
from .training_files import read_weights
from .training_plan import ParameterGroup, TrainPlan, TrainReport
from .weight_files import weights_sha256

Progress = Callable[[str, int, int], None]
STUDENT_FILE = "student.safetensors"
_USUAL_INPUTS = 128  # of a matrix that learns at the plan's rate


class Targets(NamedTuple):
    """What a teacher says of a batch.

    Parameters
    ----------
    features : Tensor, shape (B, C, N, d)
        Its output.
    hidden : Tensor, shape (B, N, L, d)
        Its layers, pooled over channels.
    """

    features: Tensor
    hidden: Tensor


class Said(NamedTuple):
    """What a student, with its read-backs, says of the same batch.

    Parameters
    ----------
    pooled : Tensor, shape (B, N, d)
        About the teacher's output, averaged over channels.
    token : Tensor, shape (B, C, N, d)
        About the teacher's output for each channel.
    """

    pooled: Tensor
    token: Tensor


class Distillation(nn.Module):
    """A student and everything that is trained with it and thrown away.

    Parameters
    ----------
    student : Student
        What is to learn.
    teacher : Teacher
        Whom to learn from. It is frozen here, but it is no part of this module: it has no
        place among the parameters, nor in a checkpoint.
    config : DistillConfig
        What was chosen.

    Raises
    ------
    ConfigError
        If a patch of the teacher is not a whole number of the student's hops.
    """

    def __init__(self, student: Student, teacher: Teacher, config: DistillConfig) -> None:
        super().__init__()
        patch, hop = teacher.config.patch, student.config.hop
        if patch % hop:
            raise ConfigError(
                f"A patch of the teacher must be a whole number of hops, got {patch} and {hop} "
                f"samples: make the student with a hop that divides {patch}."
            )
        self.config = config
        self.hops = patch // hop
        self.layers = config.layers_of(teacher.config.n_layers)
        self.student = student
        self._teacher = (teacher.eval().requires_grad_(False),)  # a tuple hides it from nn.Module
        d, width = teacher.config.width, student.config.width
        self.output_scale, self.pooled_scale = RunningScale(d), RunningScale(d)
        self.hidden_scale = RunningScale(d * len(self.layers))
        n_read = pooled_width(student.config.n_latents * width, self.hops)
        n_said = pooled_width(student.config.n_readings, self.hops)
        self.routed = RoutedTarget(n_read, d, len(self.layers))
        self.pooled = quiet(nn.Linear(n_read, d))
        self.token = quiet(nn.Linear(n_said, d))
        self.spectrum, self.level = HopSpectrum(hop), HopLevel(hop, student.config.scale_uv)
        self.spectral = quiet(nn.Linear(student.config.n_readings, 3 * self.spectrum.n_bins))
        self.levels = quiet(nn.Linear(student.config.n_readings, N_LEVELS))

    @torch.no_grad()
    def targets(self, clean: Batch) -> Targets:
        """Ask the teacher, once and without gradient."""
        teacher = self._teacher[0].to(clean.x.device)
        # With every channel there the teacher can share one attention bias among all rows.
        usable = None if bool(clean.usable.all()) else clean.usable
        features, hidden = teacher(
            clean.x, clean.positions, clean.modality, clean.subtypes, usable, self.layers
        )
        pooled = [pool_channels(layer, clean.usable) for layer in hidden]
        return Targets(features, torch.stack(pooled, dim=2))

    def forward(self, drawn: Drawn) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch, and its parts.

        Parameters
        ----------
        drawn : Drawn
            The batch, clean and spoilt.

        Returns
        -------
        loss : Tensor
            Weighted sum.
        parts : dict of str to Tensor
            Each loss before weighting.
        """
        targets = self.targets(drawn.clean)
        heard = self.read(drawn.seen)
        losses = self._mimicry(drawn, targets, heard)
        losses |= self._signal(drawn, heard)
        loss = torch.stack([getattr(self.config, name) * part for name, part in losses.items()])
        return loss.sum(), {name: part.detach() for name, part in losses.items()}

    def read(self, seen: Batch) -> Heard:
        """Let the student hear a batch."""
        heard: Heard = self.student(seen.x, seen.usable, seen.positions, seen.modality)
        return heard

    def say(self, heard: Heard) -> Said:
        """What the student makes of the teacher's normalised output."""
        by_channel = pool_hops(heard.channels.flatten(0, 1)[:, :, None], self.hops)
        token = self.token(by_channel).unflatten(0, heard.channels.shape[:2])
        return Said(self.pooled(pool_hops(heard.latents, self.hops)), token)

    def normalised(self, targets: Targets, usable: Tensor) -> Said:
        """The teacher's output as a perfect student would say it."""
        n_patches = targets.features.shape[2]
        heard = usable[:, :, None].expand(-1, -1, n_patches)
        pooled = pool_channels(targets.features, usable)
        return Said(self.pooled_scale(pooled), self.output_scale(targets.features, heard))

    def _mimicry(self, drawn: Drawn, targets: Targets, heard: Heard) -> dict[str, Tensor]:
        weights = self.config
        both = drawn.clean.usable & drawn.seen.usable  # of a lost channel nothing can be said
        wanted = self.normalised(targets, drawn.clean.usable)
        said = self.say(heard)
        present = both[:, :, None].expand(wanted.token.shape[:3])
        losses = {}
        if weights.routed:
            hidden = self.hidden_scale(targets.hidden.flatten(2)).unflatten(
                2, (len(self.layers), -1)
            )
            losses["routed"], mix = self.routed(pool_hops(heard.latents, self.hops), hidden)
            losses["balance"] = balance(mix)
        if weights.pooled:
            losses["pooled"] = agreement(said.pooled, wanted.pooled)
        if weights.within:
            losses["within"] = within(said.pooled.flatten(0, 1), wanted.pooled.flatten(0, 1))
        if weights.token:
            losses["token"] = agreement(said.token, wanted.token, present)
        if weights.relation:
            by_patch = heard.channels.unflatten(2, (-1, self.hops)).mean(dim=3)
            losses["relation"] = relation(
                by_patch.transpose(1, 2).flatten(0, 1),
                wanted.token.transpose(1, 2).flatten(0, 1),
                present.transpose(1, 2).flatten(0, 1),
            )
        return losses

    def _signal(self, drawn: Drawn, heard: Heard) -> dict[str, Tensor]:
        """Spectrum and slow course of each hop, from each channel's readings."""
        weights, losses = self.config, {}
        present = drawn.moved.usable & drawn.seen.usable
        if weights.magnitude or weights.phase:
            targets = self.spectrum.targets(drawn.moved.x, present)
            losses["magnitude"], losses["phase"] = self.spectrum.losses(
                self.spectral(heard.channels), targets, present, drawn.moved.modality
            )
        if weights.level:
            losses["level"] = self.level.loss(self.levels(heard.channels), drawn.moved.x, present)
        return losses


def distill(
    corpus: Corpus,
    teacher: Teacher,
    student_config: StudentConfig,
    config: DistillConfig,
    plan: TrainPlan,
    progress: Progress,
    student: Student | None = None,
    note: Mapping[str, Any] | None = None,
) -> Path:
    """Train a student to say what a teacher says, and write it.

    Parameters
    ----------
    corpus : Corpus
        Unlabelled recordings.
    teacher : Teacher
        Frozen and put into eval mode.
    student_config : StudentConfig
        Of the student to make; not looked at if one is given.
    config : DistillConfig
        Losses, augmentation, segments.
    plan : TrainPlan
        Steps, rates, folder. The same folder again goes on where it stopped.
    progress : callable
        Called with a text, how much is done, and of how much.
    student : Student, optional
        Goes on from its weights, for example after pruning.
    note : mapping, optional
        More to write into the student's file.

    Returns
    -------
    path : Path
        ``student.safetensors`` in the plan's folder: see `student_files.load_student`.

    Raises
    ------
    ConfigError
        If settings do not fit teacher, student or corpus.
    TrainingStopped
        If training ended early; it says how to go on.
    """
    from .distill_check import Checker

    started_from = None if student is None else weights_sha256(student)
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        student = Student(student_config) if student is None else student
        module = Distillation(student, teacher, config)
    kept, aside = corpus.split(config.aside, plan.seed) if config.aside else (corpus, corpus)
    draws = config.draws(teacher.config.patch)
    checker = Checker(aside, draws, config.validation_batches, plan.batch)

    def draw(rng: np.random.Generator) -> Drawn:
        clean = kept.draw(rng, plan.batch, draws)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        return Drawn.of(clean, config.augment, generator)

    modality = " and ".join(sorted({entry.modality for entry in corpus.entries}))
    facts = {
        "card": student_card(student.config, kept.entries, modality),
        "made_by": "distillation",
        "teacher": teacher_facts(teacher),
        "student": {"config": student.config.to_dict(), "started_from": started_from},
        "corpus": _corpus_facts(kept),
        "validated_on": [entry.name for entry in aside.entries],
        "held_out": bool(config.aside),
        "distillation": asdict(config),
    }
    identity = {"sha256": hashlib.sha256(json.dumps(facts).encode()).hexdigest()}
    ranks = join(plan.device)
    report = train(
        module, loss_of, draw, groups_of(module), plan, progress, checker.validate, identity
    )
    path = plan.out / STUDENT_FILE
    if ranks.rank == 0:
        _write_student(path, student, report, {**facts, **(note or {})})
    ranks.wait()
    return path


def _write_student(
    path: Path, trained: Student, report: TrainReport, facts: Mapping[str, Any]
) -> None:
    """The checkpoint holds whole weights even where the module has become shards."""
    weights = read_weights(report.checkpoint)
    prefix = "student."
    student = empty_like(trained)
    student.load_state_dict(
        {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
    )
    figures = {
        "validation": dict(report.validation),
        "steps": report.steps,
        "seconds": round(report.seconds, 1),
        "versions": versions_now(),
    }
    save_student(strip(student), path, {**figures, **facts, **rounding_note(student)})


def loss_of(module: nn.Module, drawn: Drawn) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of a batch, for `training.train`, which brings the batch where the module lives."""
    loss, parts = module(drawn)
    return loss, parts


def groups_of(module: Distillation) -> list[ParameterGroup]:
    """Student and scaffolding, matrices and the rest: only matrices decay.

    A reading of two thousand latents would overshoot at a rate that suits a hundred: with Adam
    each weight moves alike, whatever it multiplies. So its rate falls with its inputs, as in muP.
    """
    groups: dict[tuple[float, float], list[str]] = {}
    for name, parameter in module.named_parameters():
        rate = module.config.body_rate
        if not name.startswith("student."):
            inputs = parameter.shape[-1] if parameter.ndim >= 2 else 1
            rate = min(1.0, _USUAL_INPUTS / inputs)
        groups.setdefault((rate, float(parameter.ndim >= 2)), []).append(name)
    return [
        ParameterGroup(names=tuple(names), learning_rate=rate, weight_decay=decay)
        for (rate, decay), names in groups.items()
    ]


def teacher_facts(teacher: Teacher) -> dict[str, Any]:
    """Configuration of a teacher, and a hash over its weights by name."""
    return {"config": asdict(teacher.config), "weights_sha256": weights_sha256(teacher)}


def _corpus_facts(corpus: Corpus) -> dict[str, Any]:
    told = ("name", "data_id", "licence", "credit", "modality", "seconds")
    return {
        "sha256": corpus.sha256,
        "seconds": corpus.seconds,
        "recordings": [{key: getattr(entry, key) for key in told} for entry in corpus.entries],
    }
