"""Task distillation: labels and a teacher's logits, into a student and a linear head.

First the head is fitted on the frozen student, then both go on together at a small rate: the other
way round, a random head drags the features along [1]_. Where the teacher's logits are known, the
student is asked for them as well as for the labels [2]_. When to stop is asked of trials that are
held back inside the training data; no test trial is needed.

References
----------
.. [1] Kumar, Raghunathan, Jones, Ma, Liang. Fine-tuning can distort pretrained features and
   underperform out-of-distribution. ICLR, 2022.
.. [2] Hinton, Vinyals, Dean. Distilling the knowledge in a neural network. 2015.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..runtime.errors import ConfigError
from .augment import augment
from .student import Student
from .student_config import StudentConfig
from .task_config import LabelledWindows, TaskPlan, TaskStudent, encode, features_of

Progress = Callable[[str, int, int], None]
Rows = NDArray[np.intp]

_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
"""Candidates for the head's L2 penalty per window; chosen on the inner split."""


def distill_task(
    student: Student,
    windows: LabelledWindows,
    plan: TaskPlan,
    teacher_logits: NDArray[np.floating] | None = None,
    *,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TaskStudent:
    """Fine-tune a copy of a student, with a linear head, for a task.

    Parameters
    ----------
    student : Student
        Not changed.
    windows : LabelledWindows
        What to train on.
    plan : TaskPlan
        How.
    teacher_logits : ndarray, shape (n, n_classes), optional
        The teacher's logits for the same windows; columns in the order of the sorted classes.
        Without them only the labels count.
    progress : callable, optional
        Called with a text, epochs done, and of how many.
    clock : callable
        Seconds, for the plan's time limit.

    Returns
    -------
    fitted : TaskStudent
        The student and head of the best epoch; epoch 0 is the head alone.

    Raises
    ------
    ConfigError
        If a class has fewer than two groups, or the logits do not fit or are not finite.
    """
    task = _task(windows, plan, teacher_logits)
    deadline = clock() + plan.limit_s
    train, held = inner_split(windows.groups, task.labels.numpy(), plan)
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        tuning = _Tuning(student, task, train, _choose_penalty(student, task, train, held))
        losses, best = tuning.run(plan.epochs, held, deadline, clock, progress)
        if plan.refit:
            everything = np.arange(len(windows.x))
            tuning = _Tuning(student, task, everything, tuning.penalty)
            tuning.run(best, None, math.inf, clock, None)
    weights, bias = tuning.folded_head()
    return TaskStudent(
        student=tuning.student.eval(),
        weights=weights.double().numpy(),
        bias=bias.double().numpy(),
        classes=task.classes,
        pooling=plan.pooling,
        inner_losses=tuple(losses),
        best_epoch=best,
    )


def train_from_scratch(
    config: StudentConfig,
    windows: LabelledWindows,
    plan: TaskPlan | None = None,
    *,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TaskStudent:
    """Train the same architecture on the labels alone: what distillation has to beat.

    Parameters
    ----------
    config : StudentConfig
        Of the student to make.
    windows, progress, clock
        As for `distill_task`.
    plan : TaskPlan, optional
        `TaskPlan.scratch` unless given.

    Returns
    -------
    fitted : TaskStudent
        As from `distill_task`.
    """
    plan = TaskPlan.scratch() if plan is None else plan
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        student = Student(config)
    return distill_task(student, windows, plan, progress=progress, clock=clock)


def inner_split(
    groups: NDArray[Any], labels: NDArray[np.integer], plan: TaskPlan
) -> tuple[Rows, Rows]:
    """Hold back a share of the groups of each class.

    Parameters
    ----------
    groups, labels : ndarray, shape (n,)
        Trial and class number of each window; a group counts for its most frequent class.
    plan : TaskPlan
        Share and seed.

    Returns
    -------
    train, held : ndarray of int
        Rows, in order; no group is in both.

    Raises
    ------
    ConfigError
        If a class has fewer than two groups.
    """
    rng = np.random.default_rng([plan.seed, 17])
    by_class: dict[int, list[Any]] = {}
    names, member = np.unique(groups, return_inverse=True)
    for place in range(len(names)):
        usual = int(np.bincount(labels[member == place]).argmax())
        by_class.setdefault(usual, []).append(place)
    held: list[int] = []
    for number, places in sorted(by_class.items()):
        if len(places) < 2:
            raise ConfigError(
                f"Class number {number} has {len(places)} group, needed are at least 2 to hold one "
                f"back: give each trial a group of its own, or record more."
            )
        n = min(len(places) - 1, max(1, round(plan.inner_share * len(places))))
        held += rng.permutation(places)[:n].tolist()
    back = np.isin(member, held)
    return np.flatnonzero(~back), np.flatnonzero(back)


class _Task(NamedTuple):
    windows: LabelledWindows
    plan: TaskPlan
    classes: NDArray[Any]
    labels: Tensor  # (n,), class numbers
    logits: Tensor | None  # (n, n_classes), the teacher's


def _task(windows: LabelledWindows, plan: TaskPlan, logits: NDArray[np.floating] | None) -> _Task:
    classes, numbers = np.unique(windows.y, return_inverse=True)
    if len(classes) < 2:
        raise ConfigError(f"Got {len(classes)} class, needed are at least 2: add the other.")
    wanted = (len(windows.x), len(classes))
    if logits is not None and (logits.shape != wanted or not np.isfinite(logits).all()):
        raise ConfigError(
            f"teacher_logits must be finite and {wanted}, got {logits.shape}: one row for each "
            f"window, one column for each class in sorted order."
        )
    teacher = None if logits is None else torch.from_numpy(logits.astype(np.float32))
    return _Task(windows, plan, classes, torch.from_numpy(numbers.astype(np.int64)), teacher)


def _loss(said: Tensor, task: _Task, rows: Tensor) -> Tensor:
    """Cross-entropy, and what the teacher says, for logits (n, n_classes)."""
    plan = task.plan
    loss = F.cross_entropy(said, task.labels[rows], label_smoothing=plan.label_smoothing)
    if task.logits is None or not plan.kl_weight:
        return loss
    soft = (task.logits[rows] / plan.temperature).log_softmax(-1)
    apart = F.kl_div(
        (said / plan.temperature).log_softmax(-1), soft, reduction="batchmean", log_target=True
    )
    # Gradients of softened logits shrink with the square of the temperature.
    return (1 - plan.kl_weight) * loss + plan.kl_weight * plan.temperature**2 * apart


def _fit_head(features: Tensor, task: _Task, rows: Rows, penalty: float) -> nn.Linear:
    """Linear head on standardised features (n, n_features) of these rows; convex, so exact."""
    index = torch.from_numpy(rows)
    head = nn.Linear(features.shape[1], len(task.classes))
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    search = torch.optim.LBFGS(
        head.parameters(), max_iter=60, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        search.zero_grad()
        loss = _loss(head(features), task, index) + 0.5 * penalty * head.weight.square().sum()
        loss.backward()
        return loss

    search.step(closure)
    return head


def _standard(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and scale of features; a constant one is left alone."""
    spread = features.std(dim=0, unbiased=False)
    return features.mean(dim=0), torch.where(spread > 1e-6, spread, torch.ones_like(spread))


def _choose_penalty(student: Student, task: _Task, train: Rows, held: Rows) -> float:
    """The penalty whose head does best on the inner split, with the student as it is."""
    if task.plan.head_start != "probe":
        return _PENALTIES[-1]
    features = encode(student, task.windows, task.plan.pooling)
    mean, scale = _standard(features[train])
    features = (features - mean) / scale
    heads = [_fit_head(features[train], task, train, penalty) for penalty in _PENALTIES]
    with torch.no_grad():
        losses = [float(F.cross_entropy(head(features[held]), task.labels[held])) for head in heads]
    return _PENALTIES[int(np.argmin(losses))]


class _Tuning:
    """A copy of the student, its head, and the optimiser that trains both."""

    def __init__(self, student: Student, task: _Task, train: Rows, penalty: float) -> None:
        self.student = copy.deepcopy(student)
        self.student.train().requires_grad_(True)
        self.penalty, self._task, self._train = penalty, task, train
        features = encode(student, task.windows, task.plan.pooling)[train]
        self._mean, self._scale = _standard(features)
        self._generator = torch.Generator().manual_seed(task.plan.seed)
        self.head = self._first_head((features - self._mean) / self._scale)

    def _first_head(self, features: Tensor) -> nn.Linear:
        plan = self._task.plan
        if plan.head_start == "probe":
            return _fit_head(features, self._task, self._train, self.penalty)
        head = nn.Linear(features.shape[1], len(self._task.classes))
        if plan.head_start == "noise":
            return _warmed_by_noise(head, plan, self._generator)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        return head

    def run(
        self,
        epochs: int,
        held: Rows | None,
        deadline: float,
        clock: Callable[[], float],
        progress: Progress | None,
    ) -> tuple[list[float], int]:
        """Train; with held rows stop early and go back to the best. Returns losses and epoch."""
        plan = self._task.plan
        losses = [] if held is None else [self._inner_loss(held)]
        best, kept = 0, self._weights() if held is not None else None
        steps = max(1, plan.epochs * math.ceil(len(self._train) / plan.batch))
        search = self._optimizer()
        decay = torch.optim.lr_scheduler.LambdaLR(search, lambda step: _rate(step / steps))
        for epoch in range(1, epochs + 1):
            if clock() > deadline:
                break
            self._epoch(search, decay)
            if held is None:
                continue
            losses.append(self._inner_loss(held))
            if losses[-1] < losses[best]:
                best, kept = epoch, self._weights()
            if progress is not None:
                progress(f"inner loss {losses[-1]:.3f}", epoch, epochs)
            if epoch - best >= plan.patience:
                break
        if kept is not None:
            self.student.load_state_dict(kept[0])
            self.head.load_state_dict(kept[1])
        return losses, best

    def folded_head(self) -> tuple[Tensor, Tensor]:
        """Weights and bias for features as they come from the student."""
        weights = self.head.weight.detach() / self._scale
        return weights, self.head.bias.detach() - weights @ self._mean

    def _optimizer(self) -> torch.optim.AdamW:
        plan = self._task.plan
        body = list(self.student.parameters())
        groups: list[dict[str, Any]] = [
            {"params": [p for p in body if p.ndim >= 2], "lr": plan.body_rate},
            {"params": [p for p in body if p.ndim < 2], "lr": plan.body_rate, "weight_decay": 0.0},
            {"params": list(self.head.parameters()), "lr": plan.head_rate},
        ]
        return torch.optim.AdamW(groups, weight_decay=plan.weight_decay)

    def _epoch(self, search: torch.optim.AdamW, decay: torch.optim.lr_scheduler.LambdaLR) -> None:
        plan, hop = self._task.plan, self.student.config.hop
        order = torch.randperm(len(self._train), generator=self._generator)
        for rows in torch.from_numpy(self._train)[order].split(plan.batch):
            batch = self._task.windows.batch(rows.numpy(), hop)
            said = self._logits(augment(batch, plan.augment, self._generator))
            loss = _loss(said, self._task, rows)
            # The penalty that the head was fitted with still holds while it moves.
            loss = loss + 0.5 * self.penalty * self.head.weight.square().sum() * self._is_probe
            search.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
            search.step()
            decay.step()

    @property
    def _is_probe(self) -> float:
        return float(self._task.plan.head_start == "probe")

    def _logits(self, batch: Any) -> Tensor:
        features = features_of(self.student, batch, self._task.plan.pooling)
        logits: Tensor = self.head((features - self._mean) / self._scale)
        return logits

    @torch.no_grad()
    def _inner_loss(self, held: Rows) -> float:
        """Cross-entropy of held windows, without augmentation."""
        hop, total = self.student.config.hop, 0.0
        for first in range(0, len(held), 32):
            rows = held[first : first + 32]
            said = self._logits(self._task.windows.batch(rows, hop))
            total += float(F.cross_entropy(said, self._task.labels[rows], reduction="sum"))
        return total / len(held)

    def _weights(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return copy.deepcopy(self.student.state_dict()), copy.deepcopy(self.head.state_dict())


def _warmed_by_noise(head: nn.Linear, plan: TaskPlan, generator: torch.Generator) -> nn.Linear:
    """Let a head see noise with random labels until it has learnt that it knows nothing."""
    search = torch.optim.AdamW(head.parameters(), lr=max(plan.head_rate, 1e-3))
    for _ in range(plan.noise_steps):
        noise = torch.randn(plan.batch, head.in_features, generator=generator)
        labels = torch.randint(head.out_features, (plan.batch,), generator=generator)
        search.zero_grad()
        F.cross_entropy(head(noise), labels).backward()
        search.step()
    return head


def _rate(done: float) -> float:
    """A tenth of the way up, then a cosine down."""
    if done < 0.1:
        return 0.1 + 9 * done
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (done - 0.1) / 0.9)))
