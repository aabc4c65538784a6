"""Do simulated people rank decoders as the people do that they were fitted to? As JSON.

    DIVERLOOP_DATA=... python tests/bench/environment_credibility.py [--seeds 4]

Real: the cases of the study of adaptation. Eight decoders of the same features are fitted on a
case's calibration and judged on what followed; three rules of adaptation start from the head.
Simulated: one person fitted to each case, in `MotorImagery` or `P300Speller` with as many windows,
options, features, calibration and later trials as the recording, the same decoders fitted and
judged on what that person does. Where a case has more than 128 features, all decoders get the
principal directions of its calibration instead, at most 128, which no label chose. The person
neither lapses nor tires there: what real people lost by that is in the distances.

Nothing is judged on what it was fitted to: a person is fitted on every other later trial and its
decoders are compared with the real ones on the trials between, and the other way round. The real
rules of adaptation live through all trials. Two ways of fitting are compared. ``as fitted`` takes
the distances of `fit_person`, which are along the directions that a decoder found in few trials.
``matched`` scales them so that the frozen head is as often right in the environment (people from
100 on) as on the trials fitted on. ``sampled`` are people drawn, not fitted: what fitting buys.

``tau``: Kendall's tau-b between mean accuracies of decoders, mean of cases within a person first,
with a 95 % interval by bootstrap over persons. ``halves``: the same between real accuracies on odd
and on even trials, the most that could be hoped for. ``within``: mean over persons of tau of their
own ranks. ``wrong``: pairs in the wrong order.

References
----------
Kendall. The treatment of ties in ranking problems. Biometrika, 1945.
Willett et al. Principled BCI decoder design and parameter selection using a feedback control
model. Scientific Reports, 2019 (a simulator is to be judged by held-out performance).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections import defaultdict
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from credibility_readers import ADAPTIVE, adaptive, fixed
from scipy.stats import kendalltau

from diverloop.rl.envs.fitting import Run, fit_person
from diverloop.rl.envs.motor_imagery import MotorImagery
from diverloop.rl.envs.p300_speller import P300Speller
from diverloop.rl.envs.people import FLASHES, IMAGERY, Traits
from diverloop.rl.envs.person import PersonConfig
from diverloop.rl.study.recorded import Asked, RecordedCase
from diverloop.study_sources import read_study, recorded_case

MOST_FEATURES = 128
DISTANCES = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0)
STEADY = asdict(PersonConfig.steady())


def cases(root: Path) -> list[RecordedCase]:
    """All that can be read."""
    found = []
    for plan in read_study():
        try:
            found.append(recorded_case(root, plan))
        except (ValueError, OSError) as error:
            sys.stderr.write(f"{plan.person}, {plan.name}: left out, {error}\n")
    return found


def reduced(case: RecordedCase) -> RecordedCase:
    """The same with no more features than `MOST_FEATURES`."""
    x = np.concatenate([one.features for one in case.calibration])
    if x.shape[1] <= MOST_FEATURES:
        return case
    mean = x.mean(axis=0)
    # The last direction of n windows about their mean is empty.
    axes = np.linalg.svd(x - mean, full_matrices=False)[2][: min(MOST_FEATURES, len(x) - 1)].T

    def seen(trials: tuple[Asked, ...]) -> tuple[Asked, ...]:
        return tuple(replace(one, features=(one.features - mean) @ axes) for one in trials)

    later = tuple(seen(session) for session in case.sessions)
    return replace(case, calibration=seen(case.calibration), sessions=later)


def simulated(case: RecordedCase, traits: Traits, seed: int) -> RecordedCase:
    """A recording of a simulated person, as long as a real one."""
    one, later = case.calibration[0], sum(len(session) for session in case.sessions)
    n_features = max(one.features.shape[1], len(case.classes) + 2)
    drift = {"kind": "recorded", "over": max(later // 2, 1)}
    if case.task == "p300":
        n_items = len(one.under)
        env = P300Speller(
            rows=2, columns=n_items // 2, rounds=len(one.features) // n_items, single=True,
            n_trials=later, n_features=n_features, calibration=len(case.calibration), artefacts=0.0,
        )  # fmt: skip
    else:
        env = MotorImagery(
            n_classes=len(case.classes), n_windows=len(one.features), n_features=n_features,
            n_trials=later, calibration=max(2, len(case.calibration) // len(case.classes)),
            artefacts=0.0,
        )  # fmt: skip
    user = {"who": traits, **STEADY}
    shown, info = env.reset(seed=seed, options={"drift": drift, "user": user})
    return replace(
        case, calibration=_cued(info["calibration"], shown), sessions=(_played(env, shown),)
    )


def _played(env, shown) -> tuple[Asked, ...]:
    """Steady people do not react, so that nothing has to be decided to hear all they do."""
    done, trials = False, []
    while not done:
        features, under = shown["features"], _under(shown, len(env.classes))
        shown, _, done, _, _ = env.step(env.n_options)
        trials.append(Asked(features=features, under=under, meant=env.reveal(len(trials))))
    return tuple(trials)


def _under(shown, n_classes: int) -> np.ndarray:
    if "lit" in shown:
        return np.asarray(shown["lit"], dtype=np.int64)
    return np.repeat(np.arange(n_classes)[:, None], len(shown["features"]), axis=1)


def _cued(known, shown) -> tuple[Asked, ...]:
    """Calibration, whose options do not matter but for the one that was meant."""
    both = zip(known["features"], known["labels"], strict=True)
    if "lit" not in shown:
        n = int(known["labels"].max()) + 1
        return tuple(
            Asked(
                features=x, under=np.repeat(np.arange(n)[:, None], len(x), axis=1), meant=int(y[0])
            )
            for x, y in both
        )
    n_items = len(shown["lit"])
    return tuple(_selection(x, y, n_items) for x, y in both)


def _selection(x: np.ndarray, y: np.ndarray, n_items: int) -> Asked:
    """The flashes of the wanted item are known; the others are dealt out in turn."""
    under = np.zeros((n_items, len(y)), dtype=np.int64)
    under[0] = y
    others = np.flatnonzero(y == 0)
    for item in range(1, n_items):
        under[item, others[item - 1 :: n_items - 1]] = 1
    return Asked(features=x, under=under, meant=0)


def fitted(case: RecordedCase, part: int) -> Traits:
    """From every other trial of what followed calibration."""
    sessions = [session[part::2] for session in case.sessions]
    runs = [
        Run.of([one.features for one in s], [one.under[one.meant] for one in s]) for s in sessions
    ]
    task = FLASHES if case.task == "p300" else IMAGERY
    name = f"{case.person} {case.name} {part}"
    return fit_person(name, case.head, runs, task=task, data_set="", licence="")


def matched(case: RecordedCase, traits: Traits, aim: float) -> Traits:
    """As far apart as makes the frozen head right as often as on the trials fitted on."""
    reached = []
    for distance in DISTANCES:
        made = [simulated(case, traits.at_distance(distance), seed) for seed in (100, 101)]
        reached.append(
            np.mean([fixed(one, list(one.sessions[0]), only="head")["head"].mean() for one in made])
        )
    rising = np.maximum.accumulate(np.array(reached) + 1e-6 * np.arange(len(DISTANCES)))
    return traits.at_distance(float(np.interp(aim, rising, DISTANCES)))


def drawn(case: RecordedCase, part: int) -> Traits:
    """Somebody of the same task who has nothing to do with the case."""
    rng = np.random.default_rng([part, *case.person.encode(), *case.name.encode()])
    task = FLASHES if case.task == "p300" else IMAGERY
    return Traits.sampled(len(case.classes), task, rng)


def judged(case: RecordedCase) -> dict[str, np.ndarray]:
    """Whether each decoder was right in each later trial."""
    trials = [one for session in case.sessions for one in session]
    return {**fixed(case, trials), **adaptive(case, trials)}


def compared(case: RecordedCase, seeds: int) -> dict[str, list[dict[str, float]]]:
    """Accuracies of all decoders, real and simulated, for both ways round."""
    real, tables = judged(case), defaultdict(list)
    places = np.concatenate([np.arange(len(session)) % 2 for session in case.sessions])
    for part in (0, 1):
        tables["real"].append({name: right[places != part].mean() for name, right in real.items()})
        traits = fitted(case, part)
        aim = float(real["head"][places == part].mean())
        people = {
            "as fitted": traits,
            "matched": matched(case, traits, aim),
            "sampled": drawn(case, part),
        }
        for way, who in people.items():
            made = [judged(simulated(case, who, seed)) for seed in range(seeds)]
            tables[way].append({name: np.mean([one[name].mean() for one in made]) for name in real})
    return tables


def tau(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's tau-b; 0 where one side does not rank at all."""
    found = kendalltau(np.round(a, 6), np.round(b, 6)).statistic
    return 0.0 if np.isnan(found) else float(found)


def agreement(real: np.ndarray, made: np.ndarray, names: list[str]) -> dict[str, object]:
    """Of two tables, shape (n_persons, n_decoders)."""
    picks = np.random.default_rng(0).integers(len(real), size=(2000, len(real)))
    spread = [tau(real[pick].mean(axis=0), made[pick].mean(axis=0)) for pick in picks]
    a, b = real.mean(axis=0), made.mean(axis=0)
    wrong = [
        f"{names[i]} / {names[j]}: real {100 * (a[i] - a[j]):+.1f}, "
        f"simulated {100 * (b[i] - b[j]):+.1f}"
        for i, j in itertools.combinations(range(len(names)), 2)
        if (a[i] - a[j]) * (b[i] - b[j]) < 0
    ]
    return {
        "tau": round(tau(a, b), 3),
        "interval": np.quantile(spread, [0.025, 0.975]).round(3).tolist(),
        "within": round(float(np.mean([tau(x, y) for x, y in zip(real, made, strict=True)])), 3),
        "mean_absolute_error": round(float(np.abs(real - made).mean()), 3),
        "error_of_means": round(float(np.abs(a - b).mean()), 3),
        "wrong": wrong,
    }


def told(
    rows: dict[str, list[dict[str, list[dict[str, float]]]]], names: list[str]
) -> dict[str, object]:
    """Everything about some of the decoders."""

    def table(way: str, part: int | None = None) -> np.ndarray:
        return np.array(
            [
                np.mean([[one[n] for n in names] for case in mine for one in
                         (case[way] if part is None else case[way][part : part + 1])], axis=0)
                for mine in rows.values()
            ]
        )  # fmt: skip

    real = table("real")
    ways = ("as fitted", "matched", "sampled")
    means = {
        way: dict(zip(names, table(way).mean(axis=0).round(3), strict=True))
        for way in ("real", *ways)
    }
    return {
        "accuracy": means,
        "halves": agreement(table("real", 0), table("real", 1), names),
        **{way: agreement(real, table(way), names) for way in ways},
    }


def _means(cases: list[dict[str, list[dict[str, float]]]], names: list[str]) -> dict[str, object]:
    """Accuracies of one person."""
    return {
        way: {
            name: round(float(np.mean([one[name] for case in cases for one in case[way]])), 3)
            for name in names
        }
        for way in ("real", "as fitted", "matched")
    }


def main() -> None:
    """Print the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    asked = parser.parse_args()
    rows: dict[str, list[dict[str, list[dict[str, float]]]]] = defaultdict(list)
    for case in cases(Path(os.environ["DIVERLOOP_DATA"])):
        sys.stderr.write(f"{case.person}: {case.name}\n")
        rows[case.person].append(compared(reduced(case), asked.seeds))
    names = list(next(iter(rows.values()))[0]["real"][0])
    still = [name for name in names if name not in ADAPTIVE]
    result = {
        "persons": list(rows),
        "decoders": told(rows, still),
        "adaptation": told(rows, ["head", *ADAPTIVE]),
        "by_person": {person: _means(mine, names) for person, mine in rows.items()},
    }  # fmt: skip
    json.dump(result, sys.stdout, indent=1, default=float)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
