"""The study of adaptation: every arm through every world, with the envelope and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import gymnasium

from ...runtime.errors import ConfigError
from ..envelope.config import EnvelopeConfig
from ..envs.error_channel import ErrorChannelConfig
from ..envs.registration import ENVIRONMENTS
from .arms import Arm
from .campaign_config import CampaignConfig
from .figures import Row
from .living import Course, live
from .recorded import RecordedCase
from .worlds import Place, RecordedWorld, SimulatedWorld


def recorded_places(case: RecordedCase, config: CampaignConfig) -> Iterator[Place]:
    """One recording, once for each draw of the detector.

    Parameters
    ----------
    case : RecordedCase
        The recording.
    config : CampaignConfig
        How good the detector is, and how often it is drawn.

    Yields
    ------
    place : Place
        Of the same person.
    """
    channel = ErrorChannelConfig(balanced_accuracy=config.balanced_accuracy)
    for draw in range(config.detectors):

        def make(seed: int = config.first_seed + draw) -> RecordedWorld:
            return RecordedWorld(case, channel, seed=seed)

        yield Place(
            person=case.person, group=case.task, name=f"{case.name}, draw {draw}", make=make
        )


def simulated_places(
    environment: str, drift: str, settings: dict[str, object], config: CampaignConfig
) -> Iterator[Place]:
    """One drift, once for each simulated person.

    Parameters
    ----------
    environment : str
        ``"MotorImagery"`` or ``"P300Speller"``.
    drift : str
        One of the library of drifts.
    settings : dict
        Of the drift.
    config : CampaignConfig
        How many persons, and how they are.

    Yields
    ------
    place : Place
        Persons of a seed are the same for every drift.

    Raises
    ------
    ConfigError
        If there is no such environment.
    """
    name = f"diverloop/{environment}-v0"
    if name not in ENVIRONMENTS:
        raise ConfigError(f"There is no {name}; known are {', '.join(ENVIRONMENTS)}.")
    for seed in range(config.first_seed, config.first_seed + config.people):

        def make(seed: int = seed) -> SimulatedWorld:
            env = gymnasium.make(name, n_trials=config.n_trials, disable_env_checker=True)
            options = {
                "drift": {"kind": drift, **settings},
                "user": {"lapses": config.lapses},
                "errp": {"balanced_accuracy": config.balanced_accuracy},
            }
            return SimulatedWorld(env, seed=seed, options=options)

        yield Place(
            person=f"{environment} {seed}", group=drift, name=f"{environment} {drift}", make=make
        )


def run_places(
    places: Sequence[Place],
    arms: Sequence[Arm],
    *,
    scored_from: float,
    keep: Callable[[Place, Arm, bool, Course], None] = lambda place, arm, held, course: None,
) -> list[Row]:
    """Let every arm live through every place.

    Parameters
    ----------
    places : sequence of Place
        Where.
    arms : sequence of Arm
        Which.
    scored_from : float
        Share of a course from which on it is scored.
    keep : callable
        Given every course, for whoever wants more than its accuracy.

    Returns
    -------
    rows : list of Row
        One for each session of each course.
    """
    rows: list[Row] = []
    for number, place in enumerate(places):
        for arm in arms:
            for held in (True, False) if arm.held else (False,):
                envelope = EnvelopeConfig() if held else None
                course = live(place.make(), arm, envelope, seed=number)
                keep(place, arm, held, course)
                rows += _rows(place, arm, held, course, scored_from)
    return rows


def _rows(place: Place, arm: Arm, held: bool, course: Course, scored_from: float) -> Iterator[Row]:
    start = round(scored_from * len(course.right))
    for session in sorted(set(course.sessions.tolist())):
        right = course.right[start:][course.sessions[start:] == session]
        if not len(right):
            continue
        yield Row(
            person=place.person,
            group=place.group,
            name=place.name,
            session=session,
            arm=arm.name,
            held=held,
            accuracy=float(right.mean()),
            n=len(right),
            promotions=course.promotions,
            rollbacks=course.rollbacks,
        )
