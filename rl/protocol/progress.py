"""Which settings of training a person learns most under: a bandit over sessions.

What counts is what remains when nobody helps: transfer blocks without feedback, measured in every
session. Reward within training would not do, because the difficulty itself decides how much of it
there is. Learning is greatest where a task is neither too easy nor too hard for the person, the
challenge point, so progress is taken for a quadratic function of the settings. Progress slows
down with practice, and the probes are noisy, so the model is of the *levels*: the probe after
a session is where the person began and the sum of all progress until then. Settings are drawn
by Thompson sampling: as often as they are likely to be best. Bandits on learning progress were
tried with 400 pupils.

A few noisy probes tell settings apart only slowly. Signs of fatigue and frustration come with every
session and say more: settings are also judged by how far the signs that they let expect are from
the little that goes with a fitting challenge.

References
----------
- Guadagnoli, Lee. Challenge point: a framework for conceptualizing the effects of various
  practice conditions in motor learning. J. Motor Behavior, 2004.
- Newell, Rosenbloom. Mechanisms of skill acquisition and the law of practice. 1981.
- Bishop. Pattern Recognition and Machine Learning. 2006: Bayesian linear regression.
- Thompson. On the likelihood that one unknown probability exceeds another. Biometrika, 1933;
  Russo, Van Roy, Kazerouni, Osband, Wen. A tutorial on Thompson sampling. 2018.
- Clement, Roy, Oudeyer, Lopes. Multi-armed bandits for intelligent tutoring systems.
  J. Educational Data Mining, 2015.
- Kazerouni, Ghavamzadeh, Abbasi-Yadkori, Van Roy. Conservative contextual linear bandits.
  NeurIPS, 2017.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from .bounds import Dose, ProtocolBounds
from .history import Outcome

Floats = NDArray[np.float64]

_PRIOR_SESSIONS = (0.25, 4.0, 4.0)
"""How many sessions the expectation of a sign is worth: its level, its slopes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressConfig:
    """What can be chosen about `ProgressBandit`.

    Parameters
    ----------
    probe_noise : float
        Standard deviation of a probe from one day to another, in its own unit.
    usual_gain : float
        Progress that is expected of a first session.
    gain_spread : float
        How far a person's progress may lie from that, standard deviation.
    curvature : float
        How much less is expected at the bounds of a setting than at its usual value, as a share
        of `usual_gain`.
    slope_spread : float
        How far the best setting may lie from the usual one: standard deviation of the slope, as a
        share of `usual_gain`.
    slowing : float
        Progress of session n is expected to be ``(n + 1) ** -slowing`` of the first.
    fatigue_cost, frustration_cost : float
        Progress that it is worth, as a share of `usual_gain`, that the sign is as wanted and not
        1 away from it; what is less far away costs with the square.
    wanted_sign : float
        Fatigue and frustration that go with a fitting challenge, in [0, 1].
    sign_slope : float
        How much more of a sign is expected at the bound of a setting than at its usual value.
    caution : float
        A setting is tried only if its utility, at this many standard deviations below the mean, is
        less than `allowance` below that of the usual one; 0 looks at the mean alone.
    allowance : float
        As a share of `usual_gain`.
    boldness : float
        Draws are spread by this share of what is not known: 1 is Thompson sampling, 0 always
        takes what seems best.
    """

    probe_noise: float = 0.25
    usual_gain: float = 0.08
    gain_spread: float = 0.06
    curvature: float = 1.0
    slope_spread: float = 1.5
    slowing: float = 0.5
    fatigue_cost: float = 5.0
    frustration_cost: float = 5.0
    wanted_sign: float = 0.2
    sign_slope: float = 0.5
    caution: float = 1.0
    allowance: float = 1.0
    boldness: float = 0.3

    def __post_init__(self) -> None:
        for name, low, high in (
            ("probe_noise", 1e-6, 1e3),
            ("usual_gain", 1e-6, 1e3),
            ("gain_spread", 1e-6, 1e3),
            ("curvature", 0.0, 10.0),
            ("slope_spread", 1e-6, 10.0),
            ("slowing", 0.0, 1.0),
            ("fatigue_cost", 0.0, 100.0),
            ("frustration_cost", 0.0, 100.0),
            ("wanted_sign", 0.0, 1.0),
            ("sign_slope", 0.0, 1.0),
            ("caution", 0.0, 5.0),
            ("allowance", 0.0, 10.0),
            ("boldness", 0.0, 2.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"{name} must be in [{low:g}, {high:g}], got {getattr(self, name):g}: change "
                    f"it."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What the next session may ask of the person.

    Parameters
    ----------
    dose : Dose
        Within the bounds.
    reason : str
        In one or two sentences.
    gain, spread : float
        Progress that is expected of it, and the standard deviation of that, in probe units.
    """

    dose: Dose
    reason: str
    gain: float
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Belief:
    """What is known of a person: normal distributions of the coefficients of a quadratic.

    Parameters
    ----------
    mean : ndarray, shape (n,)
        Of progress in a first session.
    covariance : ndarray, shape (n, n)
        Likewise.
    signs : ndarray, shape (2, 3)
        Of fatigue and frustration: what is expected at the usual settings, and how it rises with
        difficulty and length.
    """

    mean: Floats
    covariance: Floats
    signs: Floats


class ProgressBandit:
    """Chooses the settings of the next session from what came of the sessions before.

    Parameters
    ----------
    bounds : ProtocolBounds
        What a clinician allows.
    config : ProgressConfig
        What was chosen.
    """

    Config = ProgressConfig

    def __init__(self, bounds: ProtocolBounds, config: ProgressConfig | None = None) -> None:
        self._bounds, self.config = bounds, config or ProgressConfig()

    def suggest(self, outcomes: Sequence[Outcome], name: str = "") -> Suggestion:
        """Settings of the next session.

        Parameters
        ----------
        outcomes : sequence of Outcome
            Of all sessions so far, in order.
        name : str
            Of the person; with the number of sessions it decides the draw, so that asking again
            gives the same.

        Returns
        -------
        suggestion : Suggestion
            The usual settings before the first session, and while no probe has been measured.
        """
        belief = self.learn(outcomes)
        allowed, why = self._allowed(outcomes)
        usual = self._design(self._bounds.usual)
        rows = np.stack([self._design(dose) for dose in allowed])
        if not any(outcome.probe is not None for outcome in outcomes):
            place = int(np.argmin(((rows - usual) ** 2).sum(axis=1)))
            return self._told(belief, allowed[place], f"No probe was measured yet.{why}")
        cautious = self._not_much_worse(belief, rows, usual)
        draw = _rng(name, len(outcomes)).standard_normal(len(belief.mean))
        root = np.linalg.cholesky(belief.covariance)
        weights = belief.mean + self.config.boldness * (root @ draw)
        penalties = self._penalties(belief, rows)
        place = int(np.argmax(np.where(cautious, rows @ weights - penalties, -np.inf)))
        best = int(np.argmax(rows @ belief.mean - penalties))
        drawn = "It seems best so far." if place == best else "It may be best, and is tried."
        return self._told(belief, allowed[place], f"{drawn}{why}")

    def learn(self, outcomes: Sequence[Outcome]) -> Belief:
        """What is known of a person.

        Parameters
        ----------
        outcomes : sequence of Outcome
            In order; a session without a probe counts as practice all the same.

        Returns
        -------
        belief : Belief
            The expectation alone if there are none.
        """
        config = self.config
        mean, variances = self._prior()
        # Where the person began is the last coefficient, and nearly nothing is known of it.
        prior = np.append(mean, 0.0)
        precision = np.diag(1 / np.append(variances, 100.0))
        practised = np.zeros(len(mean))
        shift = precision @ prior
        for number, outcome in enumerate(outcomes):
            practised = practised + (number + 1) ** -config.slowing * self._design(outcome.dose)
            if outcome.probe is None:
                continue
            row = np.append(practised, 1.0)
            precision = precision + np.outer(row, row) / config.probe_noise**2
            shift = shift + row * outcome.probe / config.probe_noise**2
        covariance = np.linalg.inv(precision)
        n = len(mean)
        return Belief(
            mean=(covariance @ shift)[:n],
            covariance=(covariance[:n, :n] + covariance[:n, :n].T) / 2,
            signs=self._signs(outcomes),
        )

    def gains(self, belief: Belief, doses: Sequence[Dose]) -> tuple[Floats, Floats]:
        """Expected progress of a first session under each, and its standard deviation."""
        rows = np.stack([self._design(dose) for dose in doses])
        spread = np.sqrt(np.einsum("nd,de,ne->n", rows, belief.covariance, rows))
        return rows @ belief.mean, spread

    def _prior(self) -> tuple[Floats, Floats]:
        config = self.config
        bend = config.curvature * config.usual_gain
        mean = np.array([config.usual_gain, 0.0, 0.0, -bend, -bend])
        slope = (config.slope_spread * config.usual_gain) ** 2
        return mean, np.array([config.gain_spread**2, slope, slope, bend**2 / 4, bend**2 / 4])

    def _design(self, dose: Dose) -> Floats:
        hard, long = (
            (dose.difficulty - self._bounds.difficulty.usual) / self._bounds.difficulty.span,
            (dose.block_s - self._bounds.block_s.usual) / self._bounds.block_s.span,
        )
        return np.array([1.0, hard, long, hard**2, long**2])

    def _signs(self, outcomes: Sequence[Outcome]) -> Floats:
        """Lines through the signs that were seen, drawn to what is expected of anybody."""
        config = self.config
        rise = config.sign_slope
        expected = np.array(
            [
                [config.wanted_sign, 0.0, rise],
                [config.wanted_sign, self._bounds.harder * rise, 0.0],
            ]
        )
        if not outcomes:
            return expected
        rows = np.stack([self._design(outcome.dose)[:3] for outcome in outcomes])
        seen = np.array([[outcome.fatigue, outcome.frustration] for outcome in outcomes])
        weights = rows.T @ rows + np.diag(_PRIOR_SESSIONS)
        found = np.linalg.solve(weights, rows.T @ (seen - rows @ expected.T))
        return expected + found.T

    def _penalties(self, belief: Belief, rows: Floats) -> Floats:
        """What signs that are not as wanted cost, in probe units."""
        config = self.config
        away = np.clip(rows[:, :3] @ belief.signs.T, 0, 1) - config.wanted_sign
        costs = np.array([config.fatigue_cost, config.frustration_cost])
        penalties: Floats = config.usual_gain * (away**2 @ costs)
        return penalties

    def _allowed(self, outcomes: Sequence[Outcome]) -> tuple[tuple[Dose, ...], str]:
        """Doses within the bounds, and what was left out because of the last session."""
        bounds = self._bounds
        if not outcomes:
            return bounds.doses(), " It is the first session."
        last = outcomes[-1]
        doses, why = bounds.doses(last.dose), ""
        if last.fatigue > bounds.most_fatigue:
            doses = tuple(dose for dose in doses if dose.block_s <= last.dose.block_s) or doses
            why += f" Blocks do not get longer after a fatigue of {last.fatigue:.1f}."
        if last.frustration > bounds.most_frustration:
            tried = bounds.harder * last.dose.difficulty
            easier = tuple(one for one in doses if bounds.harder * one.difficulty <= tried)
            doses = easier or doses
            why += f" It does not get harder after a frustration of {last.frustration:.1f}."
        return doses, why

    def _not_much_worse(self, belief: Belief, rows: Floats, usual: Floats) -> NDArray[np.bool_]:
        apart = rows - usual
        spread = np.sqrt(np.einsum("nd,de,ne->n", apart, belief.covariance, apart))
        saved = self._penalties(belief, usual[None])[0] - self._penalties(belief, rows)
        worst = apart @ belief.mean + saved - self.config.caution * spread
        fine: NDArray[np.bool_] = worst >= -self.config.allowance * self.config.usual_gain
        # One that is as near to the usual one as the last session allows is always left.
        fine[int(np.argmin((apart**2).sum(axis=1)))] = True
        return fine

    def _told(self, belief: Belief, dose: Dose, reason: str) -> Suggestion:
        (gain,), (spread,) = self.gains(belief, [dose])
        return Suggestion(dose=dose, reason=reason, gain=float(gain), spread=float(spread))


def _rng(name: str, number: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{name}\n{number}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
