"""A cap is put on again in the middle of a session: with adaptation and without.

    python -m diverloop.tests.bench.recapped [--seed 0] [--people 8] [--before 45] [--after 95]
        [--encoder csp]

Simulated participants, one a seed, imagine movements of the left or the right hand; two sessions of
the same seed decode, one with adaptation and one without, on a clock that jumps and without LSL.
After each trial the task says ``outcome:right`` or ``outcome:wrong`` of what was decoded; these are
the rewards, and nobody tells a decoder what was asked for. Trials take 4 s, and a change is allowed
every 20 s instead of every 60 s. A trial in which nothing was decoded counts as wrong. Seeds from
100 are for choosing: the size of the re-cap was chosen on 103 to 106.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from diverloop.adapters.scores import bootstrap_ci
from diverloop.assembly import open_model
from diverloop.calibration import fit_best
from diverloop.fit_plan import plans_for
from diverloop.hardware.simulated_outcome import Outcome, OutcomePlan, OutcomeTeller
from diverloop.hardware.simulated_recap import Recap
from diverloop.hardware.simulated_task import Pace
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.running import RunOptions, run_session
from diverloop.runtime.adaptation_config import AdaptationConfig
from diverloop.runtime.bundle import Bundle
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.session import PartConfig, SessionConfig
from diverloop.training_sources import TrainingSource

CLASSES = ("left", "right")
PERIOD_S = 4.0
PACE = Pace(rest_s=0.5, intent_s=2.5, pause_s=(0.25, 0.75))
TRIAL_S = 3.0
CALIBRATION_S = 320.0
ARMS = ("adapting", "frozen")
RECAP = Recap(turn_deg=25.0, shift_mm=10.0, gain_spread=0.3)
FIRST_AFTER = 30


def person(seed: int, seconds: float, recap_s: float = 0.0, **more: Any) -> SimulatorConfig:
    """One participant in one block."""
    return SimulatorConfig(
        seed=seed, person=seed % 1000, duration_s=seconds, pace=PACE, classes=CLASSES, snr=4.0,
        learning_rate=0.0, skill=0.9, recap=replace(RECAP, at_s=recap_s), **more,
    )  # fmt: skip


def fitted(seed: int, encoder: str) -> Bundle:
    """A model of the participant before the cap is put on again."""
    config = person(seed + 1000, CALIBRATION_S)
    source = TrainingSource(
        name="simulated calibration block",
        data_id=f"simulated, seed {seed + 1000}, {CALIBRATION_S:g} s",
        make=lambda clock: SimulatedParticipant(config, clock),
    )
    (plan,) = plans_for("motor_imagery", encoder=encoder, adaptive=True)
    span = TrialSpan(classes=CLASSES, start_s=0.75, stop_s=TRIAL_S)
    return fit_best([source], [replace(plan, span=span)], lambda what, done, of: None)


def adaptation() -> AdaptationConfig:
    """As a session file would say it."""
    return AdaptationConfig(
        learner="reward", rewards=("task",), trial="cue", trial_s=TRIAL_S, permission="session",
        envelope={"least_gap_s": 20.0},
    )  # fmt: skip


def figures(outcomes: Sequence[Outcome], recap_s: float) -> dict[str, Any]:
    """Accuracy before, right after, and at the end; abstained trials count as wrong."""
    right = {False: [], True: []}  # type: dict[bool, list[bool]]
    for one in outcomes:
        if abs(one.trial.cue_s - recap_s) > TRIAL_S or one.trial.cue_s > recap_s:
            right[one.trial.cue_s > recap_s].append(one.decided == one.trial.label)
    after = right[True]
    third = after[-(len(after) // 3) :]
    parts = {"before": right[False], "first_30_after": after[:FIRST_AFTER], "last_third": third}
    return {
        name: {"right": int(sum(part)), "of": len(part), "accuracy": round(float(np.mean(part)), 3)}
        for name, part in parts.items()
        if part
    }


def compared(seed: int, recap_s: float, seconds: float, encoder: str) -> dict[str, Any]:
    """Both arms, one after the other."""
    bundle, found = fitted(seed, encoder), {}
    for arm in ARMS:
        config = person(seed, seconds, recap_s, outcome=OutcomePlan(told=True, trial_s=TRIAL_S))
        session = SessionConfig(
            name=arm, source=PartConfig(kind="simulator", settings=config), model=Path("a.bundle"),
            adaptation=adaptation() if arm == ARMS[0] else AdaptationConfig(),
        )  # fmt: skip
        outcomes: list[Outcome] = []
        due = OutcomeTeller.due

        def noted(
            self: OutcomeTeller, until_s: float, into: list[Outcome] = outcomes, ask: Any = due
        ) -> Any:
            into.extend(got := ask(self, until_s))
            return got

        OutcomeTeller.due = noted  # type: ignore[method-assign]
        report = run_session(session, RunOptions(live=False), open_model(bundle))
        OutcomeTeller.due = due  # type: ignore[method-assign]
        counts = report.to_json()["counts"]["events"]
        found[arm] = {**figures(outcomes, recap_s), "promoted": counts.get("promoted", 0)}
    return {"seed": seed, "encoder": encoder, **found}


def summed_up(people: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over people, with intervals at 95 %."""
    found: dict[str, Any] = {}
    for part in ("before", "first_30_after", "last_third"):
        shares = {arm: np.array([one[arm][part]["accuracy"] for one in people]) for arm in ARMS}
        shares["difference"] = shares[ARMS[0]] - shares[ARMS[1]]
        found[part] = {
            name: {
                "mean": round(float(values.mean()), 3),
                "interval": np.round(bootstrap_ci(values, list(range(len(people)))), 3).tolist(),
            }
            for name, values in shares.items()
        }
    return found


def main(arguments: list[str]) -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--before", type=int, default=45)
    parser.add_argument("--after", type=int, default=95)
    parser.add_argument("--encoder", default="csp")
    chosen = parser.parse_args(arguments)
    recap_s = PERIOD_S * chosen.before
    seconds = PERIOD_S * (chosen.before + chosen.after)
    people = []
    for seed in range(chosen.seed, chosen.seed + chosen.people):
        people.append(compared(seed, recap_s, seconds, chosen.encoder))
        print(json.dumps(people[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"people": people, "summary": summed_up(people)}))


if __name__ == "__main__":
    main(sys.argv[1:])
