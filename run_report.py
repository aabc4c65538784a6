"""What a run leaves, in plain types: counts always, latencies of a live one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .adapters.scorer import Judgement
from .runtime.latency import LatencyReport
from .runtime.realtime import Grant

_COUNTS = (
    "windows_due", "decoded", "skipped_late", "refused", "missed_deadlines", "samples_lost",
    "events",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What a run leaves.

    Parameters
    ----------
    session : str
        Its name.
    model : str
        SHA-256 of the bundle that decoded.
    live : bool
        Whether it ran in real time: only then do its latencies mean anything.
    signal_s, wall_s : float
        How long the run lasted on the loop's clock, which for a replay is the length of the
        signal, and how long on the machine's.
    first_decision_s : float
        From the opening of the loop to the first decision, on the loop's clock.
    latency : LatencyReport
        Latencies, misses, losses.
    score : Judgement, optional
        Against the cues in the stream; None if nothing could be judged.
    unscored : str
        Why not, in one sentence.
    grants : tuple of Grant
        What the operating system granted.
    path : Path, optional
        Where the report lies.
    kept : Path, optional
        The session's folder, if it was recorded.
    engine : str
        What ran the student, ``"NAME:PRECISION"``; empty without one.
    notes : tuple of str
        Why it was that engine and no other.
    course : mapping
        What the adapter itself keeps of the session, such as the blocks of neurofeedback.
    fitted_on : bool
        Whether what was decoded is among what the model was fitted on.
    """

    session: str
    model: str
    live: bool
    signal_s: float
    wall_s: float
    first_decision_s: float
    latency: LatencyReport
    score: Judgement | None = None
    unscored: str = ""
    grants: tuple[Grant, ...] = ()
    path: Path | None = None
    kept: Path | None = None
    engine: str = ""
    notes: tuple[str, ...] = ()
    course: Mapping[str, Any] = field(default_factory=dict)
    fitted_on: bool = False

    def to_json(self) -> dict[str, Any]:
        """All that means something, ready for JSON: counts always, latencies of a live run."""
        latency = self.latency.to_json()
        return {
            "notice": "Investigational, not a medical device.",
            "session": self.session,
            "model": self.model,
            "engine": self.engine or None,
            "engine_notes": list(self.notes),
            "live": self.live,
            "fitted_on": self.fitted_on,
            "signal_s": self.signal_s,
            "wall_s": self.wall_s,
            "first_decision_s": self.first_decision_s,
            **_scored(self.score),
            "course": dict(self.course) or None,
            "counts": {key: latency[key] for key in _COUNTS},
            "latency": latency if self.live else None,
            "real_time": [asdict(grant) for grant in self.grants],
            "report": str(self.path) if self.path else None,
            "recording": str(self.kept) if self.kept else None,
        }


def _scored(score: Judgement | None) -> dict[str, Any]:
    """Under its own name: an accuracy is no error rate."""
    return {score.measure: score.as_dict()} if score else {"accuracy": None}
