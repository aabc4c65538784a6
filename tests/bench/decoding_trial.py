"""All methods on one task: `encoders` runs this, task by task, and adds up."""

from __future__ import annotations

import hashlib
import math
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from decoding_encoders import Frozen, Joined, Remembered, agreement, student_views, teacher_views
from decoding_heads import (
    COSTS,
    N_COMPONENTS,
    Bools,
    Choice,
    Floats,
    Judge,
    Outcome,
    by_trial,
    fit_source,
    interval,
    loss_of,
    share_better,
    temperature_of,
)
from decoding_rivals import NetworkPlan, Tangent, train_network, without
from decoding_tasks import Task

from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.student_files import load_student
from diverloop.decoders.task_config import (
    LabelledWindows,
    TaskPlan,
    TaskStudent,
    encode,
    features_of,
)
from diverloop.decoders.task_distill import distill_task, train_from_scratch
from diverloop.decoders.teacher import Teacher, TeacherConfig
from diverloop.decoders.teacher_files import load_teacher

ARMS = (
    "teacher", "student", "random", "scratch", "tuned", "tangent", "eegnet", "shallow", "both",
)  # fmt: skip
SURE = 0.84
"""Two methods go together if that is better in this share of draws: by one standard error."""
CAN_LOSE = ("teacher", "student", "tuned", "tangent", "both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is tried."""

    n_components: tuple[int, ...] = N_COMPONENTS
    costs: tuple[float, ...] = COSTS
    network: NetworkPlan = field(default_factory=NetworkPlan)
    tuning: tuple[tuple[str, Any], ...] = (("limit_s", 240.0),)


QUICK = Effort(
    n_components=(200,),
    costs=(3.0, 30.0),
    network=NetworkPlan(epochs=4, limit_s=5.0),
    tuning=(("limit_s", 4.0), ("epochs", 2), ("refit", False)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Teacher, student, and the student's architecture with fresh weights."""

    teacher: Teacher
    student: Student
    fresh: Student
    sha256: tuple[str, str]
    views: dict[str, Remembered]

    @classmethod
    def of(cls, teacher: str, student: str) -> Models:
        """From files, or ``random:tiny-500`` and ``random:S`` to try the program."""
        big, big_hash = _loaded(teacher, _random_teacher, load_teacher)
        small, small_hash = _loaded(student, _random_student, load_student)
        torch.manual_seed(1)
        fresh = Student(small.config).eval()
        views = {
            "teacher": Remembered(teacher_views(big)),
            "student": Remembered(student_views(small)),
            "random": Remembered(student_views(fresh)),
        }
        return cls(
            teacher=big, student=small, fresh=fresh, sha256=(big_hash, small_hash), views=views
        )

    def about(self) -> dict[str, Any]:
        """Sizes and hashes."""
        sizes = [_size(self.teacher), _size(self.student)]
        return {
            "teacher": {"sha256": self.sha256[0], "parameters": sizes[0]},
            "student": {"sha256": self.sha256[1], "parameters": sizes[1]},
            "share_of_parameters": round(sizes[1] / sizes[0], 4),
        }


def _loaded(name: str, fresh: Any, load: Any) -> tuple[Any, str]:
    if name.startswith("random:"):
        torch.manual_seed(0)
        return fresh(name.removeprefix("random:")).eval(), name
    return load(name).eval(), hashlib.sha256(Path(name).read_bytes()).hexdigest()


def _random_teacher(name: str) -> Teacher:
    size, patch = name.split("-")
    return Teacher(TeacherConfig.named(size, int(patch)), with_heads=False)


def _random_student(name: str) -> Student:
    return Student(StudentConfig.named(name))


def _size(module: torch.nn.Module) -> int:
    """Parameters, without the heads that only pretraining needs."""
    return sum(p.numel() for n, p in module.named_parameters() if not n.startswith("heads."))


# --- one task ----------------------------------------------------------------------------------


class Trial:
    """All methods on one task.

    Parameters
    ----------
    task : Task
        What to decode.
    models : Models
        What is compared.
    effort : Effort
        How much is tried.
    """

    def __init__(self, task: Task, models: Models, effort: Effort) -> None:
        self._task, self._models, self._effort = task, models, effort
        self.outcomes: dict[str, Outcome] = {}
        self.seconds: dict[str, float] = {}
        self.frozen = {name: Frozen(task, view) for name, view in models.views.items()}
        self.tuned: TaskStudent | None = None
        self.parts: tuple[str, ...] = ()

    def run(self, arms: tuple[str, ...]) -> None:
        """Fit and score; later ones need earlier ones."""
        for arm in ARMS:
            if arm not in arms:
                continue
            began = time.monotonic()
            self.outcomes[arm] = getattr(self, f"_{arm}", lambda arm=arm: self._network(arm))()
            self.seconds[arm] = round(time.monotonic() - began, 1)
            say(f"    {arm:8s} {Judge(self._task)(self.outcomes[arm])[0]:5.1f}")

    def _fit(self, source: Any) -> Outcome:
        effort = self._effort
        return fit_source(self._task, source, n_components=effort.n_components, costs=effort.costs)

    def _teacher(self) -> Outcome:
        return self._fit(self.frozen["teacher"])

    def _student(self) -> Outcome:
        return self._fit(self.frozen["student"])

    def _random(self) -> Outcome:
        return self._fit(self.frozen["random"])

    def _tangent(self) -> Outcome:
        return self._fit(Tangent(self._task))

    def _network(self, name: str) -> Outcome:
        return train_network(self._task, name, self._effort.network)

    def _plan(self, make: Any) -> TaskPlan:
        plan: TaskPlan = make(
            **{"pooling": "hops" if self._task.evoked else "mean"} | dict(self._effort.tuning)
        )
        return plan

    def _scratch(self) -> Outcome:
        plan = self._plan(TaskPlan.scratch)
        return self._tuned_outcome(
            train_from_scratch(self._models.student.config, labelled(self._task), plan)
        )

    def _tuned(self) -> Outcome:
        teacher = self.outcomes.get("teacher") or self._teacher()
        # Scores of windows that the teacher's head has not seen: on its own it is always right.
        word = teacher.held_out / teacher.temperature
        self.tuned = distill_task(
            self._models.student, labelled(self._task), self._plan(TaskPlan), word
        )
        return self._tuned_outcome(self.tuned)

    def _tuned_outcome(self, fitted: TaskStudent) -> Outcome:
        task = self._task
        train = fitted.logits(labelled(task))
        test = fitted.logits(labelled(task, "test"))
        # Nothing was held out to fit a temperature on: probabilities are taken as they are.
        return Outcome(held_out=train, test=test, temperature=1.0, loss=float("nan"))

    def _both(self) -> Outcome:
        task, student, tangent = (
            self._task, self.outcomes["student"], self.outcomes["tangent"],
        )  # fmt: skip
        view = student.choice.view if student.choice else "mean"
        joined = self._fit(Joined(self.frozen["student"], view, Tangent(task), "tangent"))
        held_out = mixed(student, tangent, student.held_out, tangent.held_out)
        stacked = Outcome(
            held_out=held_out,
            test=mixed(student, tangent, student.test, tangent.test),
            temperature=temperature_of(task, held_out),
            loss=loss_of(task, held_out),
            choice=Choice(view="stacked", n_components=0, cost=0.0),
        )
        alone = {"student": student, "tangent": tangent}
        together = {"joined": joined, "stacked": stacked}
        best, rival = (min(each, key=lambda name: each[name].loss) for each in (alone, together))
        surer = share_better(task, together[rival].held_out, alone[best].held_out)
        self.parts = (rival if surer >= SURE else best,)
        return {**alone, **together}[self.parts[0]]

    def lost(self, arm: str, usable: Bools) -> Floats:
        """Scores of the test windows of one method of `CAN_LOSE` without some channels."""
        outcome = self.outcomes[arm]
        if arm == "both" and self.parts == ("stacked",):
            student, tangent = self.outcomes["student"], self.outcomes["tangent"]
            return mixed(student, tangent, student.lost(usable), tangent.lost(usable))
        if arm == "tuned" and self.tuned is not None:
            features = tuned_features(self.tuned, self._task, usable)
            return features @ self.tuned.weights.T + self.tuned.bias
        return outcome.lost(usable)

    def record(self) -> tuple[dict[str, Any], dict[str, Floats]]:
        """As JSON holds it, and the bootstrap draws of every method."""
        judge, task = Judge(self._task), self._task
        scores = {arm: judge(outcome) for arm, outcome in self.outcomes.items()}
        found = {
            "task": task.name, "family": task.family, "subject": task.subject,
            "score": task.score, "chance": round(100 * task.chance, 1),
            "channels": len(task.channel_names), "modality": task.modality,
            "windows": [len(task.y_train), len(task.y_test)],
            "groups": [len(set(task.groups_train)), len(set(task.groups_test))],
            "arms": {
                arm: {
                    "score": round(score, 2), "interval": interval(draws),
                    "seconds": self.seconds[arm],
                    **({"chosen": vars_of(c)} if (c := self.outcomes[arm].choice) else {}),
                }
                for arm, (score, draws) in scores.items()
            },
            "agreement": self.agreement(),
        }  # fmt: skip
        if self.parts:
            found["arms"]["both"]["chosen"] = self.parts[0]
        return found, {arm: np.append(score, draws) for arm, (score, draws) in scores.items()}

    def agreement(self) -> dict[str, float]:
        """How alike teacher and student are on test windows: features, scores, decisions."""
        found = agreement(self._task, self.frozen["teacher"], self.frozen["student"])
        if "teacher" in self.outcomes:
            for arm in ("student", "tuned"):
                if arm in self.outcomes:
                    found |= self._alike(arm)
        return {name: round(value, 3) for name, value in found.items()}

    def _alike(self, arm: str) -> dict[str, float]:
        task = self._task
        pair = [self.outcomes["teacher"].test, self.outcomes[arm].test]
        if task.score != "auc":
            pair = [by_trial(one, task.groups_test, task.y_test)[0] for one in pair]
        centred = [one - one.mean(axis=1, keepdims=True) for one in pair]
        same = np.mean(pair[0].argmax(axis=1) == pair[1].argmax(axis=1))
        return {
            f"{arm}_decisions": float(same),
            f"{arm}_correlation": float(np.corrcoef(centred[0].ravel(), centred[1].ravel())[0, 1]),
        }


def vars_of(choice: Choice) -> dict[str, Any]:
    """A choice as JSON holds it."""
    return {"view": choice.view, "n_components": choice.n_components, "cost": choice.cost}


def mixed(a: Outcome, b: Outcome, of_a: Floats, of_b: Floats) -> Floats:
    """Mean of two methods' scores, each after its own temperature."""
    return (of_a / a.temperature + of_b / b.temperature) / 2


def tuned_features(fitted: TaskStudent, task: Task, usable: Bools) -> Floats:
    """Features of the test windows; those of lost channels are as in the mean training window."""
    settings, train = fitted.student.config, labelled(task)
    usual = encode(fitted.student, train, fitted.pooling).mean(dim=0).numpy()
    of_lost = np.repeat(~usable, settings.n_readings)
    of_hop = np.concatenate([np.zeros(settings.n_latents * settings.width, bool), of_lost])
    lost = np.tile(of_hop, len(usual) // len(of_hop))
    x = without(task.windows_test, usable, task) * usable[:, None]
    test = replace(labelled(task, "test"), x=x)
    batches = [
        test.batch(rows, settings.hop)
        for rows in np.array_split(np.arange(len(x)), -(-len(x) // 32))
    ]
    there = torch.from_numpy(usable)
    with torch.inference_mode():
        parts = [
            features_of(
                fitted.student,
                batch._replace(usable=there.expand(len(batch.x), -1)),
                fitted.pooling,
            )
            for batch in batches
        ]
    return np.where(lost, usual, torch.cat(parts).double().numpy())


def labelled(task: Task, part: str = "train") -> LabelledWindows:
    """A part of a task as task distillation takes it."""
    return LabelledWindows(
        x=getattr(task, f"windows_{part}"),
        y=getattr(task, f"y_{part}"),
        groups=getattr(task, f"groups_{part}"),
        positions_mm=task.positions_mm,
        modality=int(task.modality != "EEG"),
    )


def lose(trial: Trial, task: Task, share: float, repeats: int) -> dict[str, Any]:
    """Points that each method loses with a share of the channels masked, oracle mask."""
    judge, rng, n = Judge(task), np.random.default_rng(7), len(task.channel_names)
    found: dict[str, Any] = {}
    masks = []
    for _ in range(repeats):
        usable = np.ones(n, bool)
        usable[rng.choice(n, math.ceil(share * n), replace=False)] = False
        masks.append(usable)
    arms = [arm for arm in CAN_LOSE if arm in trial.outcomes]
    points: dict[str, list[float]] = {arm: [] for arm in arms}
    draws: dict[str, list[Floats]] = {arm: [] for arm in arms}
    for usable in masks:
        for arm in arms:
            outcome = trial.outcomes[arm]
            clean, clean_draws = judge(outcome)
            score, score_draws = judge(outcome, trial.lost(arm, usable))
            points[arm].append(score - clean)
            draws[arm].append(score_draws - clean_draws)
    for arm in arms:
        # Which masks were drawn is chance as well as which trials were.
        table = np.array(draws[arm])
        picks = rng.integers(len(table), size=(table.shape[1], len(table)))
        mean = table[picks, np.arange(table.shape[1])[:, None]].mean(axis=1)
        found[arm] = {"points": round(float(np.mean(points[arm])), 2), "interval": interval(mean)}
    return {"share": share, "channels": math.ceil(share * n), "of": n, "arms": found}


def say(text: str) -> None:
    """To a person; the JSON alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)
