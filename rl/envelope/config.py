"""Every number of the envelope, with where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

from ...runtime.errors import ConfigError

_SHARES = (
    "step_share", "proven_step_share", "margin", "drift_share",
    "reward_drop", "collapse_share", "calibration_rise", "least_quality", "doubtful_from",
    "doubtful_to", "poison_level",
)  # fmt: skip
_POSITIVE = (
    "kl_per_update", "kl_per_block", "kl_most", "block_s", "drift_least",
    "outlier_factor",
)  # fmt: skip
_COUNTS = (
    "kl_windows", "shadow_trials", "evidence_trials", "rollback_trials", "collapse_trials",
    "poison_trials", "kept_versions", "kept_trials",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeConfig:
    """What a learner may do, and on what evidence.

    There are two classes of step. A *small* step stays within ``kl_per_update`` and needs no more
    than that something speaks for it and nothing against. A *proven* step may go as far as the
    evidence reaches, and needs two witnesses: the rewards and the signal.

    Parameters
    ----------
    kl_per_update, kl_per_block : float
        How far the probabilities of a small step may move, mean KL(new || old) over the last
        windows, in nats: from the head before, and from the head that served a block ago
        (conservative policy iteration [1]_ and trust regions [2]_; the figures are design choices).
    kl_per_benefit, kl_per_fit, kl_most : float
        What a proven step may move more, in nats: for each unit of accuracy that the lower bound of
        its benefit lies above 0, for each nat by which the signal fits it better, and the most.
        Chosen on simulated people (seeds from 100) so that after an abrupt change one or two
        promotions are enough; the limit of a block grows in proportion.
    kl_windows : int
        How many of the last windows that is measured on.
    block_s : float
        Length of a block: feedback blocks last 3 to 5 minutes.
    step_share, proven_step_share : float
        How far a prototype may move in one small or proven step, as a share of the mean distance
        between prototypes.
    temperature_factor : float
        By what factor the temperature may leave that of calibration, either way.
    shadow_trials : int
        How many trials a learner decides beside the serving head before anything is promoted; no
        more than count as evidence.
    evidence_trials : int
        The last so many count as evidence.
    confidence : float
        Of the one-sided lower bound of the benefit, 0.5 to 1: below one half the bound would lie
        above the mean, and nothing would have to be proven.
    margin : float
        How far the benefit may lie below 0, in accuracy, before rewards speak against a step.
    drift_share : float
        To what share a head must bring the drift index down for the signal to speak for it.
    drift_least : float
        Below this index, in squared standard deviations within classes, there is no drift to be
        halved.
    fit_margin : float
        By how much the signal may fit the very head worse that would serve, in nats, and must fit
        a learner's heads better to speak for them.
    reward_drop : float
        How far the reward rate may fall below that before the promotion, in accuracy.
    rollback_trials : int
        Over how many trials.
    collapse_share, collapse_trials : float, int
        Outputs have collapsed if one option takes more than this share of so many trials, and
        nothing made that probable.
    calibration_rise : float
        How much worse calibrated the probabilities may be than before the promotion.
    least_quality : float
        Of the signal, below which a trial teaches nothing.
    outlier_factor : float
        A trial whose windows lie further from every prototype than this many times what noise
        within classes does, in squared distance, teaches nothing. Wide, for after an abrupt change
        every window lies far off.
    doubtful_from, doubtful_to : float
        A detector that gives an error this probability has said nothing.
    least_gap_s : float
        At most one promotion in this time; people whose decoder changes faster do not settle
        (20 s worked in [3]_).
    poison_trials : int
        How many rewards are looked at for signs that they are not about the decisions.
    poison_level : float
        How improbable such signs must be by chance.
    kept_versions, kept_trials : int
        What is remembered.
    trusts_signal_alone : bool
        Whether a small step may rest on the drift index where no rewards come.
    holds : bool
        False lets everything serve at once that fits the decoder. For the study only: what the
        envelope buys is seen without it.

    References
    ----------
    .. [1] Kakade, Langford. Approximately optimal approximate reinforcement learning. ICML, 2002.
    .. [2] Schulman et al. Trust region policy optimization. ICML, 2015.
    .. [3] Madduri et al. Nature Machine Intelligence, 2026.
    """

    kl_per_update: float = 0.05
    kl_per_block: float = 0.2
    kl_per_benefit: float = 20.0
    kl_per_fit: float = 1.0
    kl_most: float = 4.0
    kl_windows: int = 60
    block_s: float = 300.0
    step_share: float = 0.1
    proven_step_share: float = 1.0
    temperature_factor: float = 4.0
    shadow_trials: int = 30
    evidence_trials: int = 30
    confidence: float = 0.9
    margin: float = 0.1
    drift_share: float = 0.5
    drift_least: float = 0.5
    fit_margin: float = 0.02
    reward_drop: float = 0.1
    rollback_trials: int = 20
    collapse_share: float = 0.8
    collapse_trials: int = 30
    calibration_rise: float = 0.1
    least_quality: float = 0.5
    outlier_factor: float = 16.0
    doubtful_from: float = 0.4
    doubtful_to: float = 0.6
    least_gap_s: float = 60.0
    poison_trials: int = 60
    poison_level: float = 0.005
    kept_versions: int = 64
    kept_trials: int = 100
    trusts_signal_alone: bool = True
    holds: bool = True

    def __post_init__(self) -> None:
        for name in _SHARES:
            self._check(name, 0, 1, "a share from 0 to 1")
        for name in _POSITIVE:
            self._check(name, 1e-9, 1e9, "a positive number")
        for name in _COUNTS:
            self._check(name, 2, 100_000, "a count from 2 to 100000")
        for name in ("kl_per_benefit", "kl_per_fit", "fit_margin", "least_gap_s"):
            self._check(name, 0, 1e9, "a number from 0")
        self._check("confidence", 0.5, 1, "a share from 0.5 to 1")
        self._check("temperature_factor", 1, 1e9, "a factor from 1")
        self._check_counts()
        if self.doubtful_from > self.doubtful_to:
            raise ConfigError(
                f"envelope.doubtful_from must not exceed doubtful_to, got {self.doubtful_from} and "
                f"{self.doubtful_to}: exchange them."
            )

    def _check_counts(self) -> None:
        """No rule may wait for more trials than it can ever be shown."""
        looked_at = max(
            self.evidence_trials, self.rollback_trials, self.collapse_trials, self.poison_trials
        )
        if self.kept_trials < looked_at:
            raise ConfigError(
                f"envelope.kept_trials is {self.kept_trials}, less than what its rules look at: "
                f"raise it to at least {looked_at}."
            )
        if self.shadow_trials > self.evidence_trials:
            raise ConfigError(
                f"envelope.shadow_trials is {self.shadow_trials}, but only the last "
                f"{self.evidence_trials} trials count as evidence, so nothing would ever be "
                f"promoted: lower it, or raise evidence_trials."
            )

    @classmethod
    def off(cls) -> Self:
        """No envelope, for the column of a study that shows what it buys; never for a person."""
        return cls(holds=False, least_gap_s=0.0)

    def _check(self, name: str, least: float, most: float, allowed: str) -> None:
        value = getattr(self, name)
        if not least <= value <= most:
            raise ConfigError(
                f"envelope.{name} must be {allowed}, got {value}: the default is {_DEFAULTS[name]}."
            )


_DEFAULTS = {field.name: field.default for field in fields(EnvelopeConfig)}

STANDARD = EnvelopeConfig()
