"""Which windows of which recordings make a decoding task: the table behind `decoding_tasks`.

Runs that a shipped model may have seen, without their labels, are only fitted on; what is judged
on are runs that no corpus holds: EEGMMIDB 7 to 10, the last run of each SSVEP subject, Muse P300
session 2, Muse SSVEP runs 3 and 4, visual field runs 4 and 5, and all that has no licence to be
passed on. Of the one ECoG recording a shipped model may have seen the first half.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOTOR_BANDS_HZ = ((8.0, 12.0), (12.0, 16.0), (16.0, 22.0), (22.0, 30.0))
EVOKED_BANDS_HZ = ((1.0, 12.0),)
ECOG_BANDS_HZ = ((8.0, 13.0), (13.0, 30.0), (30.0, 70.0), (70.0, 150.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a task is cut. Times in seconds after the event.

    `train` and `test` are files below the folder of recordings; with `train_share` there is one
    file, and it says which of its events are to fit on. Windows of `window_s` start every `step_s`
    between `start_s` and `stop_s`. `group_s` above 0 makes groups of stretches of time instead of
    trials. `scaled_uv` above 0 scales a recording without a unit. `rival` says how a covariance
    would be used, see `decoding_tasks.Task`.
    """

    subject: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    classes: tuple[str, ...]
    start_s: float
    stop_s: float
    window_s: float
    step_s: float = 0.5
    bands_hz: tuple[tuple[float, float], ...] = MOTOR_BANDS_HZ
    line_hz: float = 60.0
    high_pass_hz: float = 0.5
    score: str = "accuracy"
    rival: str = "power"
    group_s: float = 0.0
    scaled_uv: float = 0.0
    train_share: Callable[[Mapping[str, Any]], NDArray[np.bool_]] | None = None


_FEIS = (
    "f", "fleece", "goose", "k", "m", "n", "ng", "p",
    "s", "sh", "t", "thought", "trap", "v", "z", "zh",
)  # fmt: skip
_FISTS_FEET, _LEFT_RIGHT = ("both_fists", "both_feet"), ("left_fist", "right_fist")


def _imagery(train: tuple[str, ...], test: tuple[str, ...], classes: tuple[str, ...]) -> Plan:
    runs = [tuple(f"mi/eegmmidb_S001_R{run}.npz" for run in part) for part in (train, test)]
    return Plan(
        subject="S001", train=runs[0], test=runs[1], classes=classes,
        start_s=0.5, stop_s=4.1, window_s=2.0,
    )  # fmt: skip


def _flashes(subject: str, train: tuple[str, ...], test: tuple[str, ...], **more: Any) -> Plan:
    settings: dict[str, Any] = {
        "classes": ("nontarget", "target"), "line_hz": 50.0, "start_s": -0.2, "stop_s": 0.8,
        "window_s": 1.0, "bands_hz": EVOKED_BANDS_HZ, "score": "auc", "rival": "evoked",
        "group_s": 8.0,
    }  # fmt: skip
    return Plan(subject=subject, train=train, test=test, **(settings | more))


def _flicker(subject: str, runs: tuple[str, ...], n_test: int, **more: Any) -> Plan:
    return Plan(subject=subject, train=runs[:-n_test], test=runs[-n_test:], line_hz=50.0, **more)


def _first_letters(file: Mapping[str, Any]) -> NDArray[np.bool_]:
    place: NDArray[np.intp] = np.unique(file["letter_of_event"], return_inverse=True)[1]
    return place < 3


def _first(share: float) -> Callable[[Mapping[str, Any]], NDArray[np.bool_]]:
    """The first events; a share above 1 is a number of events."""

    def early(file: Mapping[str, Any]) -> NDArray[np.bool_]:
        n_events = len(file["ev_sample"])
        return np.arange(n_events) < (share if share > 1 else round(share * n_events))

    return early


def _plans() -> dict[str, Plan]:
    plans = {
        "mi-fists-feet": _imagery(("06",), ("10",), _FISTS_FEET),
        "mi-left-right": _imagery(("04",), ("08",), _LEFT_RIGHT),
        "mi-four": _imagery(("04", "06"), ("08", "10"), _LEFT_RIGHT + _FISTS_FEET),
        "me-fists-feet": _imagery(("05",), ("09",), _FISTS_FEET),
        "me-left-right": _imagery(("03",), ("07",), _LEFT_RIGHT),
    }
    openbmi = ("mi/openbmi_O1_first50.npz",)
    plans["mi-openbmi"] = Plan(
        subject="O1", train=openbmi, test=(), classes=("left", "right"), start_s=0.5, stop_s=4.0,
        window_s=2.0, line_hz=60.0, train_share=_first(0.6),
    )  # fmt: skip
    for number in (1, 2, 3):
        file = (f"p300/gtec_S{number}.npz",)
        plans[f"p300-gtec/G{number}"] = _flashes(f"G{number}", file, (), train_share=_first_letters)
    plans["p300-openbmi"] = _flashes(
        "O1", ("p300/openbmi_O1_offline.npz",), (), train_share=_first(1200)
    )
    muse = [
        tuple(f"p300/muse_M1_ses{session}_run{run}.npz" for run in range(1, n + 1))
        for session, n in ((1, 6), (2, 5))
    ]
    plans["p300-muse"] = _flashes("M1", *muse, line_hz=60.0)
    for session, n in (("D", 4), ("E", 5)):
        runs = [f"p300/emotiv_E1_ses{session}_run{run:02}.npz" for run in range(1, n + 1)]
        for place, run in enumerate(runs):
            others = tuple(runs[:place] + runs[place + 1 :])
            plans[f"p300-emotiv-{session}/{place + 1}"] = _flashes("E1", others, (run,))
    exo: dict[str, Any] = {
        "classes": ("rest", "13Hz", "21Hz", "17Hz"), "start_s": 2.0, "stop_s": 5.0, "window_s": 3.0,
        "bands_hz": ((12.0, 14.0), (16.0, 18.0), (20.0, 22.0)), "scaled_uv": 10.0,
    }  # fmt: skip
    for subject, n in (("X01", 2), ("X03", 2), ("X04", 2), ("X07", 2), ("X10", 4), ("X12", 3)):
        runs = [f"ssvep/exo_{subject}_run{run}.npz" for run in range(1, n + 1)]
        plans[f"ssvep-exo/{subject}"] = _flicker(subject, tuple(runs), 1, **exo)
    plans["ssvep-muse"] = _flicker(
        "V1", tuple(f"ssvep/muse_V1_run{run}.npz" for run in (1, 2, 3, 4)), 2,
        classes=("30Hz", "20Hz"), start_s=0.5, stop_s=2.5, window_s=2.0,
        bands_hz=((19.0, 21.0), (29.0, 31.0)),
    )  # fmt: skip
    fields_of_view = tuple(f"erp/muse_L1_ses1_run{run}.npz" for run in (1, 2, 3, 4, 5))
    plans["visual-field"] = _flashes(
        "L1", fields_of_view[:3], fields_of_view[3:], classes=("field_1", "field_2"), line_hz=60.0
    )
    plans["key-press"] = Plan(
        subject="aa", train=("mi/sp1s_aa_epochs.npz",), test=(), classes=("left", "right"),
        start_s=0.0, stop_s=0.5, window_s=0.5, rival="evoked", scaled_uv=10.0,
    )  # fmt: skip
    for held_out in (1, 2, 3):
        plans[f"ecog-move/{held_out}"] = Plan(
            subject="B1", train=("ecog/berlin_B1_buttonpress.npz",), test=(),
            classes=("rest", "move"), start_s=0.0, stop_s=1.0, window_s=1.0, step_s=0.1,
            bands_hz=ECOG_BANDS_HZ, line_hz=50.0, score="auc", group_s=1.0, scaled_uv=10.0,
            high_pass_hz=2.0,  # the first movement comes before one of 0.5 Hz has settled
        )  # fmt: skip
    plans["feis-control"] = Plan(
        subject="F01", train=("speech/feis_F01_articulators.npz",), test=(), line_hz=50.0,
        classes=_FEIS, start_s=0.0, stop_s=1.0, window_s=1.0, train_share=_first(0.625),
    )  # fmt: skip
    return plans


PLANS = _plans()
"""Name of a task -> how it is cut."""
