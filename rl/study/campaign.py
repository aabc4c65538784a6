"""The study of adaptation: every arm through every world, with the envelope and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import gymnasium

from ...runtime.catalog import find
from ..envelope.config import EnvelopeConfig
from ..envs import registration
from ..envs.error_channel import ErrorChannelConfig
from .arms import ERRORS, FROZEN, NOTHING, ORACLE, SHUFFLED, TRUTH, Arm
from .figures import Row
from .living import Course, live
from .recorded import RecordedCase
from .worlds import Place, RecordedWorld, SimulatedWorld

RECENTRED, PSEUDO, ENTROPY = "recentred", "pseudo-labels", "entropy"
REWARD, SHUFFLED_REWARD, BANDIT = "reward", "reward, shuffled", "bandit"

SCORED_FROM = {"recorded": 0.0, "simulated": 0.5}
"""Share of a course from which on it is scored: people are judged whole, drifts once they came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignConfig:
    """How much is tried.

    Parameters
    ----------
    people : int
        Simulated persons for each drift.
    first_seed : int
        Of the first of them; below 100 for what is reported, 100 and more for tuning.
    detectors : int
        Draws of the error detector for each recording.
    balanced_accuracy : float
        Of the detector of errors.
    lapses : float
        Share of trials in which a simulated person is elsewhere.
    n_trials : int
        Of a simulated course.
    """

    people: int = 16
    first_seed: int = 0
    detectors: int = 5
    balanced_accuracy: float = 0.75
    lapses: float = 0.1
    n_trials: int = 240


def usual_arms() -> tuple[Arm, ...]:
    """The ladder, from doing nothing to knowing everything."""

    def arm(name: str, learner: str, told: str, held: bool = True) -> Arm:
        kind = find("learner", learner)
        return Arm(name=name, make=lambda head: kind(head, kind.Config()), told=told, held=held)

    return (
        arm(FROZEN, "frozen", NOTHING, held=False),
        arm(RECENTRED, "recentring", NOTHING),
        arm(ENTROPY, "entropy", NOTHING),
        arm(PSEUDO, "pseudo_labels", NOTHING),
        arm(REWARD, "reward", ERRORS),
        arm(SHUFFLED_REWARD, "reward", SHUFFLED),
        arm(BANDIT, "bandit", ERRORS),
        arm(ORACLE, "recalibration", TRUTH, held=False),
    )


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
    """
    for seed in range(config.first_seed, config.first_seed + config.people):

        def make(seed: int = seed) -> SimulatedWorld:
            env = gymnasium.make(
                f"diverloop/{environment}-v0", n_trials=config.n_trials, disable_env_checker=True
            )
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
    tell: Callable[[str, int, int], None] = lambda what, done, of: None,
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
    tell : callable
        Told what is being done, how far, and of how much.
    keep : callable
        Given every course, for whoever wants more than its accuracy.

    Returns
    -------
    rows : list of Row
        One for each session of each course.
    """
    rows: list[Row] = []
    for number, place in enumerate(places):
        tell(place.name, number, len(places))
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


KNOWN_ENVIRONMENTS = tuple(registration.ENVIRONMENTS)
"""What can be simulated; importing their registration makes them known to gymnasium."""
