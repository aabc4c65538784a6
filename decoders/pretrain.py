"""Pretraining of a teacher: hide half of the patches and let it guess them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ..runtime.errors import ConfigError
from .corpus import Corpus
from .mup import mup_groups
from .ranks import join
from .reconstruction import PretrainConfig, Reconstruction
from .teacher import BASE_WIDTH, Teacher, TeacherConfig
from .training import Progress, plain_groups, train
from .training_files import read_weights
from .training_plan import ParameterGroup, TrainPlan, TrainReport

__all__ = ["PretrainConfig", "pretrain", "teacher_groups"]


def pretrain(
    corpus: Corpus,
    teacher_config: TeacherConfig,
    config: PretrainConfig,
    plan: TrainPlan,
    progress: Progress | None = None,
    start: Teacher | None = None,
) -> Path:
    """Pretrain a teacher, or go on with a run that was interrupted.

    Under `torchrun` the processes share the work.

    Parameters
    ----------
    corpus : Corpus
        What to learn from.
    teacher_config : TeacherConfig
        The teacher to be. With ``mup`` its learning rates follow muP.
    config : PretrainConfig
        What to guess.
    plan : TrainPlan
        How to train; ``plan.batch`` segments of one recording are a batch.
    progress : callable, optional
        Told after every step.
    start : Teacher, optional
        Goes on from its weights, which are copied; without one they are drawn.

    Returns
    -------
    path : Path
        ``plan.out / "teacher.safetensors"``: see `load_teacher`.

    Raises
    ------
    ConfigError
        If settings do not fit each other, or the folder holds another run.
    TrainingStopped
        If the run was asked to stop, or the loss is no longer a number.
    """
    from .teacher_files import save_teacher
    from .weight_files import weights_sha256

    objective = Reconstruction(teacher_config, config)
    learnt, held_out = _split(corpus, config, plan.seed)
    teacher = _new_teacher(teacher_config, plan.seed)
    if start is not None:
        _copy_weights(start, teacher)
    identity = {"corpus": corpus.sha256, "teacher": asdict(teacher_config), "task": asdict(config)}
    if start is not None:
        identity["started_from"] = weights_sha256(teacher)
    path = plan.out / "teacher.safetensors"
    ranks = join(plan.device)
    report = train(
        teacher,
        objective.loss,
        lambda rng: objective.draw(learnt, rng, plan.batch),
        teacher_groups(teacher),
        plan,
        progress,
        None if held_out is None else objective.validation(learnt, held_out, plan),
        identity,
    )
    if ranks.rank == 0:
        done = Teacher(teacher_config, with_heads=True)
        done.load_state_dict(read_weights(report.checkpoint))
        save_teacher(done, path, _note(identity, corpus, plan, report))
    ranks.wait()
    return path


def _copy_weights(start: Teacher, teacher: Teacher) -> None:
    if start.config != teacher.config or start.heads is None:
        raise ConfigError(
            f"The teacher to go on from is {start.config} with"
            f"{'out' if start.heads is None else ''} readouts, wanted is {teacher.config} with "
            f"them: name one of the same make that was pretrained here."
        )
    teacher.load_state_dict(start.state_dict())


def teacher_groups(teacher: Teacher) -> list[ParameterGroup]:
    """Put a teacher's parameters into groups, by muP if it was made for muP.

    Parameters
    ----------
    teacher : Teacher
        What is to be trained.

    Returns
    -------
    groups : list of ParameterGroup
        For `train`.
    """
    config = teacher.config
    if not config.mup:
        return plain_groups(teacher)
    with torch.device("meta"):
        like = TeacherConfig(width=BASE_WIDTH, n_layers=config.n_layers, patch=config.patch)
        return mup_groups(teacher, Teacher(like, with_heads=teacher.heads is not None))


def _split(corpus: Corpus, config: PretrainConfig, seed: int) -> tuple[Corpus, Corpus | None]:
    """Recordings to learn from, and those to validate on."""
    if not config.held_out:
        return corpus, None
    recordings = {(entry.modality, entry.data_id) for entry in corpus.entries}
    if len(recordings) == len({modality for modality, _ in recordings}):
        raise ConfigError(
            f"The corpus has one recording of each modality, none can be held out: build it with "
            f"more, or set held_out to 0 (got {config.held_out:g}) to train without validation."
        )
    return corpus.split(config.held_out, seed)


def _new_teacher(config: TeacherConfig, seed: int) -> Teacher:
    """Make a teacher whose initial weights follow from the seed alone."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return Teacher(config, with_heads=True)


def _note(
    identity: Mapping[str, Any], corpus: Corpus, plan: TrainPlan, report: TrainReport
) -> dict[str, Any]:
    """Where the weights come from, in terms of JSON."""
    entries = [
        {"name": entry.name, "data_id": entry.data_id, "licence": entry.licence,
         "seconds": entry.seconds} for entry in corpus.entries
    ]  # fmt: skip
    return {
        **identity,
        "recordings": entries,
        "steps": report.steps,
        "seconds": round(report.seconds, 1),
        "batch": plan.batch,
        "accumulate": plan.accumulate,
        "learning_rate": plan.learning_rate,
        "weight_decay": plan.weight_decay,
        "seed": plan.seed,
        "validation": dict(report.validation),
    }
