"""Statistics of real people's features, from which simulated people are made. As JSON.

    DIVERLOOP_DATA=... python tests/bench/fit_people.py [X01 V1 ...] > rl/envs/people.json

Cases are those of the study of adaptation whose data set may be passed on; each is read, encoded by
what was fitted on its calibration alone, and its later runs give the traits. Nothing of the signal
is kept. One person, few trials: the numbers are rough, and of a single data set each.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path

from diverloop.rl.envs.fitting import Run, fit_person
from diverloop.rl.envs.people import FLASHES, IMAGERY
from diverloop.study_sources import read_study, recorded_case

# Data set and licence by the beginning of its files' names.
ALLOWED = {
    "mi/eegmmidb_": ("EEGMMIDB (PhysioNet), Schalk et al. 2004", "ODC-BY-1.0"),
    "ssvep/exo_": ("SSVEP exoskeleton data set, Kalunga et al. 2016", "CC0-1.0"),
    "ssvep/muse_": ("muse-lsl example recordings, SSVEP", "BSD-3-Clause"),
    "p300/muse_": ("muse-lsl example recordings, P300", "BSD-3-Clause"),
}


def run_of(trials) -> Run:
    """Trials as windows with the class that each had."""
    return Run.of([one.features for one in trials], [one.under[one.meant] for one in trials])


def allowed(plan) -> bool:
    """Whether statistics of a case may be passed on, and it is of one thing only."""
    # Executed movements are another thing than what is imagined later.
    ours = any(plan.calibration[0].startswith(start) for start in ALLOWED)
    return ours and "moved first" not in plan.name


def traits(plan, case) -> dict:
    """Of one person, as they are kept."""
    what = "-".join(plan.classes).replace("_", "")
    data_set, licence = next(
        ALLOWED[start] for start in ALLOWED if plan.calibration[0].startswith(start)
    )
    fitted = fit_person(
        f"{plan.person}-{what}",
        case.head,
        [run_of(session) for session in case.sessions],
        task=FLASHES if plan.one_of else IMAGERY,
        data_set=data_set,
        licence=licence,
    )
    return dataclasses.asdict(fitted)


def main() -> None:
    """Read, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("people", nargs="*", help="as the study names them; all, if none is given")
    only = parser.parse_args().people
    plans = [plan for plan in read_study() if allowed(plan)]
    names = sorted({plan.person for plan in plans})
    if unknown := [name for name in only if name not in names]:
        parser.error(f"{', '.join(unknown)}: not among those that may be used, {', '.join(names)}")
    root, people = Path(os.environ["DIVERLOOP_DATA"]), []
    for plan in plans:
        if not only or plan.person in only:
            sys.stderr.write(f"{plan.person}: {plan.name}\n")
            people.append(traits(plan, recorded_case(root, plan)))
    json.dump({"people": people}, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
