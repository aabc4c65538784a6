"""Motor imagery of one person as the product is used: cued, and all the time; as JSON.

    DIVERLOOP_DATA=/path/to/recordings python tests/bench/motor_imagery.py --part fists

Cued parts are `fists`, `hands`, `four` (EEGMMIDB S001) and `openbmi` (O1, 3 electrodes);
asynchronous ones `switch`, `online_fists`, `online_hands`. All of them if none is named.

Cued
----
`fists` is R06 (both fists, both feet) and R10, `hands` R04 (left, right) and R08: each is predicted
from the other, and trials are pooled. `four` is fitted on R04 and R06 and judged on R08 and R10;
which pair of classes it is, and which run, are confounded. `openbmi` is fitted on the first 25
trials and judged on the last 25. `auto` is `fit_best` with every way of the task, so the way is
chosen inside what it is fitted on; ``nested`` is the accuracy that its card promises for it. The
single ways are fitted alone. Each model runs in the real loop over the whole test recording, and a
trial is decided by the sum of its log probabilities. ``--fast`` leaves the student out: it hears
every window, so fitting takes minutes. ``--only csp,cnn`` fits the named ways alone, those included
that are fitted on request (`cnn`, `student_tuned`, `student_attention`); what can be chosen about
these was decided on the executed runs (R03, R05, R07, R09). For the three electrodes of `openbmi`,
bad ones are not looked for, because none has a neighbour, and spatial patterns are one pair,
because two are four.

Beside them, on windows of the same length at the same steps through the product's causal filters,
one band from 8 to 30 Hz: common spatial patterns (6) with linear discriminant analysis, and
tangent space with logistic regression, as pyriemann and scikit-learn bring them. Nothing of them
was tuned.

Asynchronous
------------
The classes and ``rest``; every run is judged whole, rest included, with everything chosen on the
others. Runs `switch`: R04, R06, R08, R10, all movements renamed to ``move``, so that anything
intended is told from nothing. `online_fists`: R05, R06, R09, R10, where odd runs are executed
movements, and `online_hands`: R03, R04, R07, R08; scores are also given over the imagined runs
alone. The feedback's settings are those that ``fit --false-per-minute 2`` picks by leaving each of
the fitted runs out in turn. The run that is judged then goes through the loop with them, and what
it `selected` is scored. A trial lasts from its cue to the end of the movement's cue (4.1 s);
``late`` counts the first second of rest to the trial before it as well, because a window of 2 s
still holds imagery there. ``at_wish`` holds the judged runs with settings picked, on the fitted
runs, for other wishes. That a class has to be let go before it is selected again, and how many
components a covariance keeps, was decided on the runs of executed movements (R03, R05, R07, R09).

Intervals are at 95 %: Wilson's over trials, and, for events, a bootstrap over 2 to 4 runs, which is
no more than a hint. It is one person, in one session.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from motor_imagery_online import online
from motor_imagery_runs import STEP_S, Run, halves_of_openbmi, play, remember_collected, run_of

from diverloop.adapters.scores import accuracy_report
from diverloop.adapters.trial_scorer import TrialScorer
from diverloop.calibration import fit_best
from diverloop.fit_plan import FitPlan, plans_for
from diverloop.gathering import gather
from diverloop.runtime.bundle import Bundle
from diverloop.runtime.collection import Collected
from diverloop.runtime.signal.bad_channels import BadChannelConfig
from diverloop.runtime.signal.condition_config import ConditionConfig

FISTS, HANDS = ("both_fists", "both_feet"), ("left_fist", "right_fist")
ONE_BAND = ConditionConfig(
    reference="average", bands_hz=((8.0, 30.0),), order=2, bad_channels=BadChannelConfig()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cued:
    """What is fitted on what, and judged on what."""

    classes: tuple[str, ...]
    splits: tuple[tuple[tuple[Run, ...], tuple[Run, ...]], ...]
    few_electrodes: bool = False


Outcomes = list[tuple[str, str | None]]


def only(case: Cued, ways: Sequence[str]) -> dict[str, Any]:
    """Ways by name, each fitted alone, on the same trials as `cued`."""
    found: dict[str, Any] = {}
    for name in ways:
        (plan,) = plans_for("motor_imagery", classes=case.classes, encoder=name)
        plan = _for_few(plan) if case.few_electrodes else plan
        outcomes: Outcomes = []
        fit_s = 0.0
        for train, test in case.splits:
            began_s = time.monotonic()
            bundle = fit_best([run.training for run in train], [plan])
            fit_s += time.monotonic() - began_s
            outcomes += _judged(bundle, test)
        found[name] = {**_share(outcomes, case.classes), "fit_s": round(fit_s, 1)}
    return {"accuracy": found}


def cued(case: Cued, fast: bool) -> dict[str, Any]:
    """Every way, and `auto`, on the same trials."""
    plans = plans_for("motor_imagery", classes=case.classes)
    if case.few_electrodes:
        plans = [_for_few(plan) for plan in plans]
    if fast:
        plans = [plan for plan in plans if plan.encoder != "student"]
    banded = replace(plans[0], conditioning=ONE_BAND)
    outcomes: dict[str, Outcomes] = {}
    chosen = []
    for train, test in case.splits:
        sources = [run.training for run in train]
        best = fit_best(sources, plans)
        nested = best.card.scores["nested_choice"]
        promised = {key: nested[key] for key in ("n", "accuracy", "interval")}
        tested = _judged(best, test)
        outcomes.setdefault("auto", []).extend(tested)
        chosen.append(
            {
                "fitted_on": [run.name for run in train],
                "way": best.card.encoder,
                "because": best.card.scores["chosen_because"],
                "nested": promised,
                "test": _share(tested, case.classes)["accuracy"],
            }
        )
        for plan in plans:
            alone = _judged(fit_best(sources, [plan]), test)
            outcomes.setdefault(plan.encoder, []).extend(alone)
        narrow = _for_few(banded) if case.few_electrodes else banded
        for name, found in _rivals(train, test, narrow).items():
            outcomes.setdefault(name, []).extend(found)
    return {
        "ways": [plan.encoder for plan in plans],
        "choices": chosen,
        "accuracy": {name: _share(found, case.classes) for name, found in outcomes.items()},
    }


def _for_few(plan: FitPlan) -> FitPlan:
    """For three electrodes: none can be told bad by its neighbours, and two pairs are too many."""
    settings = {**plan.settings, "n_pairs": 1} if plan.encoder == "csp" else plan.settings
    conditioning = replace(plan.conditioning, bad_channels=None)
    return replace(plan, conditioning=conditioning, settings=settings)


def _judged(bundle: Bundle, test: Sequence[Run]) -> Outcomes:
    found: Outcomes = []
    for run in test:
        scorer = TrialScorer(plans_for("motor_imagery", classes=bundle.card.classes)[0].span)
        play(bundle, run, [scorer])
        found += [(cue.label, said) for cue, said in scorer.outcomes()]
    return found


def _share(outcomes: Outcomes, classes: tuple[str, ...]) -> dict[str, Any]:
    """A trial without a decision is wrong."""
    said = [got or next(c for c in classes if c != truth) for truth, got in outcomes]
    report = accuracy_report([truth for truth, _ in outcomes], said, classes)
    undecided = sum(got is None for _, got in outcomes)
    return {
        "n": report.n,
        "accuracy": round(report.accuracy, 3),
        "interval": [round(limit, 3) for limit in report.interval],
        "undecided": undecided,
    }


def _rivals(train: Sequence[Run], test: Sequence[Run], plan: FitPlan) -> dict[str, Outcomes]:
    """The usual two, on the same windows in one band."""
    fitted = gather([run.training for run in train], plan, _silent)
    x = np.concatenate([part.windows for part in fitted.parts])
    y = np.concatenate([part.labels for part in fitted.parts])
    narrowed = replace(fitted.plan, training_step_s=STEP_S)
    parts = gather([run.training for run in test], narrowed, _silent).parts
    found: dict[str, Outcomes] = {}
    for name, pipeline in _pipelines(min(6, x.shape[1])).items():
        pipeline.fit(x, y)
        found[name] = [pair for part in parts for pair in _by_trial(pipeline, part)]
    return found


def _silent(what: str, done: int, of: int) -> None:
    pass


def _pipelines(n_filters: int) -> dict[str, Any]:
    from pyriemann.estimation import Covariances
    from pyriemann.spatialfilters import CSP
    from pyriemann.tangentspace import TangentSpace
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return {
        "csp 8-30 Hz + LDA (rival)": make_pipeline(
            Covariances("oas"), CSP(nfilter=n_filters), LinearDiscriminantAnalysis()
        ),
        "tangent space 8-30 Hz + LR (rival)": make_pipeline(
            Covariances("oas"), TangentSpace(), LogisticRegression(max_iter=1000)
        ),
    }


def _by_trial(pipeline: Any, part: Collected) -> Outcomes:
    logs = np.log(np.maximum(pipeline.predict_proba(part.windows), 1e-12))
    found: Outcomes = []
    for trial in np.unique(part.trials):
        rows = part.trials == trial
        said = str(pipeline.classes_[np.argmax(logs[rows].sum(axis=0))])
        found.append((str(part.labels[rows][0]), said))
    return found


# --- parts ---------------------------------------------------------------------------------------


def parts(
    root: Path, fast: bool, encoder: str, ways: Sequence[str] = ()
) -> dict[str, Callable[[], Any]]:
    """Name -> what measures it; cued parts with these ways alone, if any is named."""

    def judged(case: Cued) -> dict[str, Any]:
        return only(case, ways) if ways else cued(case, fast)

    def pair(classes: tuple[str, ...], one: int, other: int) -> Cued:
        a, b = run_of(root, one), run_of(root, other)
        return Cued(classes=classes, splits=(((a,), (b,)), ((b,), (a,))))

    def four() -> Cued:
        a, b, c, d = (run_of(root, number) for number in (4, 6, 8, 10))
        return Cued(classes=HANDS + FISTS, splits=(((a, b), (c, d)),))

    def openbmi() -> Cued:
        first, second = halves_of_openbmi(root)
        return Cued(classes=("left", "right"), splits=(((first,), (second,)),), few_electrodes=True)

    def whole(numbers: Sequence[int], classes: tuple[str, ...], rename: bool = False) -> Any:
        runs = [run_of(root, number, rename) for number in numbers]
        imagined = {run.name for run, n in zip(runs, numbers, strict=True) if n % 2 == 0}
        return online(runs, classes, imagined, encoder)

    return {
        "fists": lambda: judged(pair(FISTS, 6, 10)),
        "hands": lambda: judged(pair(HANDS, 4, 8)),
        "four": lambda: judged(four()),
        "openbmi": lambda: judged(openbmi()),
        "switch": lambda: whole((4, 6, 8, 10), ("move",), rename=True),
        "online_fists": lambda: whole((5, 6, 9, 10), FISTS),
        "online_hands": lambda: whole((3, 4, 7, 8), HANDS),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", default="")
    parser.add_argument("--fast", action="store_true", help="without the student")
    parser.add_argument(
        "--encoder", default="filterbank_covariance", help="for the asynchronous parts"
    )
    parser.add_argument("--only", default="", help="for the cued parts: ways, by name, with commas")
    given = parser.parse_args()
    ways = given.only.split(",") if given.only else ()
    warnings.simplefilter("ignore")
    remember_collected()
    measured: dict[str, Any] = {}
    known = parts(Path(os.environ["DIVERLOOP_DATA"]), given.fast, given.encoder, ways)
    if given.part and given.part not in known:
        parser.error(f"there is no part {given.part!r}, only {', '.join(known)}")
    for name in [given.part] if given.part else known:
        began_s = time.monotonic()
        measured[name] = known[name]()
        measured[name]["seconds"] = round(time.monotonic() - began_s, 1)
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
