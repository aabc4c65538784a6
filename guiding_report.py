"""What a guided calibration leaves: its summary, for people and for programs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .fit_plan import FitPlan
from .runtime.guide_file import GuideConfig
from .runtime.paradigms.guided_outcome import GuidedSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedReport:
    """What a guided calibration leaves.

    Parameters
    ----------
    guide : GuideConfig
        What was asked for.
    seed : int
        Order and rests follow from it.
    path : Path
        The recording.
    seconds : float
        Its length, lost samples counted.
    summary : GuidedSummary
        Trials, estimate, why it ended.
    plan : FitPlan
        How it was looked at.
    trials : tuple of dict
        Every trial that was judged: number, label, attempt, whether it was kept, and a sentence.
    notes : tuple of str
        What else a person should know.
    """

    guide: GuideConfig
    seed: int
    path: Path
    seconds: float
    summary: GuidedSummary
    plan: FitPlan
    trials: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def rejected(self) -> int:
        """Trials that do not count."""
        return sum(not trial["kept"] for trial in self.trials)

    @property
    def fit_command(self) -> str:
        """How a model is made from it."""
        words = f"diverloop fit {self.path} --task {self.guide.task}"
        words += (
            f" --classes {','.join(self.guide.plan.classes)} --stop-s {self.plan.span.stop_s:g}"
        )
        return f"{words} --out models/{self.path.stem}.bundle"

    def sentences(self) -> tuple[str, ...]:
        """All that matters, in plain words."""
        summary = self.summary
        kept = ", ".join(f"{n} {name}" for name, n in summary.kept.items())
        told = [
            f"Good trials: {kept}. Rejected: {self.rejected}. Repeated: {summary.repeats}.",
        ]
        if summary.n_judged:
            low, high = summary.interval
            told.append(
                f"Decoded when held out: {summary.n_right} of {summary.n_judged} trials, accuracy "
                f"{summary.n_right / summary.n_judged:.2f} ({low:.2f} to {high:.2f})."
            )
        return (*told, f"{summary.sentence} {summary.what_next}", *self.notes)

    @property
    def can_be_fitted(self) -> bool:
        """Whether there are two good trials of each class, so that one can be held out."""
        return min(self.summary.kept.values()) > 1

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        guide, summary = self.guide, self.summary
        return {
            "notice": "Investigational, not a medical device.",
            "session": guide.name,
            "participant": guide.participant or None,
            "operator": guide.operator or None,
            "task": guide.task,
            "plan": dataclasses.asdict(guide.plan) | {"words": dict(guide.plan.words)},
            "limits": dataclasses.asdict(guide.limits),
            "seed": self.seed,
            "recording": str(self.path),
            "seconds": self.seconds,
            "rejected": self.rejected,
            **summary.as_dict(),
            "accuracy": summary.n_right / summary.n_judged if summary.n_judged else None,
            "trials": list(self.trials),
            "notes": list(self.notes),
            "fit": self.fit_command if self.can_be_fitted else None,
        }
