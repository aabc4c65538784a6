"""Statistics of real people's features, from which simulated people are made. As JSON.

    DIVERLOOP_DATA=... python tests/bench/fit_people.py > rl/envs/people.json

Cases are those of the study of adaptation whose data set may be passed on; each is read, encoded by
what was fitted on its calibration alone, and its later runs give the traits. Nothing of the signal
is kept. One person, few trials: the numbers are rough, and of a single data set each.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

from diverloop.rl.envs.fitting import Run, fit_person
from diverloop.rl.envs.people import FLASHES, IMAGERY
from diverloop.study_sources import read_study, recorded_case

# Data set and licence by the beginning of its files' names, and what the person is called.
ALLOWED = {
    "mi/eegmmidb_": ("EEGMMIDB (PhysioNet), Schalk et al. 2004", "ODC-BY-1.0"),
    "ssvep/exo_": ("SSVEP exoskeleton data set, Kalunga et al. 2016", "CC0-1.0"),
    "ssvep/muse_": ("muse-lsl example recordings, SSVEP", "BSD-3-Clause"),
    "p300/muse_": ("muse-lsl example recordings, P300", "BSD-3-Clause"),
}


def run_of(trials) -> Run:
    """Trials as windows with the class that each had."""
    return Run.of([one.features for one in trials], [one.under[one.meant] for one in trials])


def person(root: Path, plan) -> dict | None:
    """Traits of a case, or None where it may not be passed on."""
    allowed = [ALLOWED[start] for start in ALLOWED if plan.calibration[0].startswith(start)]
    # Executed movements are another thing than what is imagined later.
    if not allowed or "moved first" in plan.name:
        return None
    case = recorded_case(root, plan)
    what = "-".join(plan.classes).replace("_", "")
    sys.stderr.write(f"{plan.person} {what}\n")
    data_set, licence = allowed[0]
    traits = fit_person(
        f"{plan.person}-{what}",
        case.head,
        run_of(case.calibration),
        [run_of(session) for session in case.sessions],
        task=FLASHES if plan.one_of else IMAGERY,
        data_set=data_set,
        licence=licence,
    )
    return dataclasses.asdict(traits)


if __name__ == "__main__":
    root = Path(os.environ["DIVERLOOP_DATA"])
    people = [one for plan in read_study() if (one := person(root, plan)) is not None]
    json.dump({"people": people}, sys.stdout, indent=1)
    sys.stdout.write("\n")
