"""Neurofeedback: reward while a measure of the person's own rhythm is beyond a threshold.

The measure (a band's power, the ratio of two bands, or the opinion of another decoder) is fixed;
what adapts is the threshold (`RewardThreshold`). In the sham arm the same threshold judges a
course that is not the person's own; the measure is made all the same, and lies beside it in the
record.

The session's plan and the count of samples tell which part of the session a window lies in, so a
recorded session replays to the same decisions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import take
from ..runtime.catalog import find
from ..runtime.errors import BundleError, ConfigError
from ..runtime.messages import Decision, Embedding, Window
from ..runtime.paradigms.neurofeedback import Phase, Timeline, phases_of
from ..runtime.paradigms.sham import assign_arm, seed_of, surrogate_course
from ..runtime.settings import build
from ..runtime.stages import Adapter
from .neurofeedback_config import NeurofeedbackConfig
from .reward_threshold import FEWEST_STEPS, Course, RewardThreshold, ThresholdChange, scale_of

Floats = NDArray[np.float64]

_DECODER = "decoder."
_NO_WINDOW = Window(samples=np.zeros((1, 1)), first_sample=0, stop_sample=1, due_ns=0)


class NeurofeedbackAdapter:
    """Adapter: reward or no reward, by a threshold that keeps up with the person.

    Parameters
    ----------
    config : NeurofeedbackConfig
        What was chosen.
    threshold : float
        Where the threshold begins.
    scale : float
        Standard deviation of the measure at rest, positive.
    course : ndarray, shape (n_steps,)
        A course of the measure, finite: of the person at rest, or of somebody else if the sham
        is yoked. Needed in either arm, so that its lack does not tell the arm.
    decoder : Adapter, optional
        Whose opinion is the measure; it must keep nothing from window to window.
    epoch : int
        Which set of weights this is.

    Raises
    ------
    BundleError
        If the arrays are not finite, too short or do not fit.

    Notes
    -----
    The probability of reward is the logistic function of (measure - threshold) / scale. Outside
    blocks nothing is decided, and the reason says so; up to the next block it also says how the
    threshold was changed. Windows that lie across a border belong to no part.
    """

    Config = NeurofeedbackConfig
    PER_SESSION = ("plan", "threshold")
    """What a session may ask of the person in another way than the model does."""

    def __init__(
        self,
        config: NeurofeedbackConfig,
        *,
        threshold: float,
        scale: float,
        course: Floats,
        decoder: Adapter | None = None,
        epoch: int = 0,
    ) -> None:
        finite = math.isfinite(threshold) and 0 < scale < math.inf and np.isfinite(course).all()
        if not finite or course.ndim != 1 or len(course) < FEWEST_STEPS:
            raise BundleError(
                f"Neurofeedback needs a finite threshold, a positive scale and a course of "
                f"{FEWEST_STEPS} steps at least, got {threshold}, {scale} and {course.shape}: fit "
                f"it on a baseline."
            )
        _check_decoder(config, decoder)
        self.config = config
        self._decoder, self._epoch, self._saved = decoder, epoch, course
        arm = config.arm
        self._arm = assign_arm(config.participant, config.study, config.share_sham)
        self._arm = self._arm if arm == "assigned" else arm
        self._rule = RewardThreshold(
            config.threshold, value=threshold, scale=scale, step_s=config.step_s
        )
        self._timeline = Timeline(phases_of(config.plan))
        self._phase: Phase | None = None
        self._began_at = threshold
        self._measured = self._shown = Course(1)
        self._other: Floats | None = None
        self._news = ""
        self._parts: list[dict[str, Any]] = []

    @classmethod
    def fit(
        cls, features: Floats, config: NeurofeedbackConfig, decoder: Adapter | None = None
    ) -> Self:
        """Threshold, scale and course from a recording at rest.

        Parameters
        ----------
        features : ndarray, shape (n_windows, n_features)
            Of windows ``config.step_s`` apart; rows that are not finite are left out.
        config : NeurofeedbackConfig
            What was chosen.
        decoder : Adapter, optional
            For the measure ``"probability"``.

        Returns
        -------
        adapter : NeurofeedbackAdapter
            Rewarding at the target rate on a course like this one.

        Raises
        ------
        ConfigError
            If fewer than `FEWEST_STEPS` windows are good.
        BundleError
            If the decoder or the features do not fit the settings.
        """
        _check_decoder(config, decoder)
        values = [
            _measure(config, decoder, Embedding(values=row), _NO_WINDOW)[0]
            for row in np.asarray(features, dtype=np.float64)
        ]
        course = np.array([value for value in values if math.isfinite(value)])
        if len(course) < FEWEST_STEPS:
            raise ConfigError(
                f"Needed are {FEWEST_STEPS} good windows at least, got {len(course)}: record a "
                f"longer baseline."
            )
        return cls(
            config,
            threshold=float(np.quantile(course, 1 - config.threshold.target)),
            scale=scale_of(course),
            course=course,
            decoder=decoder,
        )

    @classmethod
    def from_arrays(
        cls, config: NeurofeedbackConfig, arrays: Mapping[str, NDArray[Any]], *, epoch: int = 0
    ) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        decoder: Adapter | None = None
        if config.decoder:
            kind = find("adapter", config.decoder)
            settings = build(kind.Config, config.decoder_settings, "decoder_settings")
            inner = {
                name.removeprefix(_DECODER): array
                for name, array in arrays.items()
                if name.startswith(_DECODER)
            }
            decoder = kind.from_arrays(settings, inner, epoch=epoch)
        return cls(
            config,
            threshold=float(take(arrays, "threshold", 1).item()),
            scale=float(take(arrays, "scale", 1).item()),
            course=take(arrays, "course", 1),
            decoder=decoder,
            epoch=epoch,
        )

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt until now, for a bundle."""
        # The protocol of the loop does not know of bundles; every adapter that is kept does.
        inner = self._decoder.to_arrays() if self._decoder is not None else {}  # type: ignore[attr-defined]
        return {
            "threshold": np.array([self._rule.value]),
            "scale": np.array([self._rule.scale]),
            "course": self._saved,
            **{_DECODER + name: array for name, array in inner.items()},
        }

    @property
    def classes(self) -> tuple[str, ...]:
        """What the probabilities speak of, in order."""
        return ("reward", "no reward")

    @property
    def epoch(self) -> int:
        """Which set of weights is active."""
        return self._epoch

    @property
    def frozen(self) -> bool:
        """True inside a block: whoever learns must not change the measure now."""
        return self._phase is not None and self._phase.feedback

    @property
    def threshold(self) -> float:
        """The threshold in force, in the measure's units."""
        return self._rule.value

    @property
    def changes(self) -> tuple[ThresholdChange, ...]:
        """Every change of the threshold so far."""
        return tuple(self._rule.changes)

    def record(self) -> dict[str, Any]:
        """What only the record may know, ready for JSON: the arm, every part, every change."""
        return {
            "arm": self._arm,
            "participant": self.config.participant,
            "parts": [*self._parts],
            "changes": [
                {key: None if value != value else value for key, value in asdict(change).items()}
                for change in self._rule.changes
            ],
        }

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        """Judge a window.

        Parameters
        ----------
        embedding : Embedding
            Band powers, or what the other adapter reads.
        window : Window
            What it was made from; its place in the stream tells the part of the session.

        Returns
        -------
        decision : Decision
            Reward or none inside a block; neutral with the reason elsewhere, and where the
            signal is poor (probabilities NaN).
        """
        config, rule = self.config, self._rule
        measure, why = _measure(config, self._decoder, embedding, window)
        start_s, stop_s = (
            (sample - config.starts_at_sample) / config.rate_hz
            for sample in (window.first_sample, window.stop_sample)
        )
        phase = self._timeline.phase_of(start_s, stop_s)
        if phase is not self._phase:
            self._leave(window.stop_sample)
            self._enter(phase)
        if why:
            return self._say(math.nan, None, why, window)
        step = round((stop_s - phase.start_s) / config.step_s) if phase is not None else 0
        self._measured.put(step, measure)
        if phase is None or not phase.feedback:
            return self._say(self._odds(measure), None, self._idle(phase), window)
        shown = self._to_show(measure, phase, step)
        self._shown.put(step, shown)
        odds = self._odds(shown)
        rewarded = rule.count(shown, step, phase.marker, window.stop_sample)
        return self._say(odds, self.classes[not rewarded], "", window)

    def _to_show(self, measure: float, phase: Phase, step: int) -> float:
        if self._arm == "real" or self._other is None:
            return measure
        at = (phase.number - 1) * self._n_steps(self.config.plan.block_s) + step
        return float(self._other[at % len(self._other)])

    def _odds(self, value: float) -> float:
        return (value - self._rule.value) / self._rule.scale

    def _enter(self, phase: Phase | None) -> None:
        self._phase = phase
        self._began_at = self._rule.value
        # Nothing is kept of a part that never ends, or of a window in no part.
        kept = phase is not None and math.isfinite(phase.stop_s)
        length_s = phase.stop_s - phase.start_s if phase is not None and kept else 0.0
        n_steps = self._n_steps(length_s)
        self._measured, self._shown = Course(n_steps), Course(n_steps)
        if phase is not None and phase.feedback:
            self._news = ""
            self._rule.open_block()
            if self._other is None:
                # In the real arm too: the time it takes must not tell the arm.
                self._other = self._other_course()

    def _leave(self, sample: int) -> None:
        phase, rule, config = self._phase, self._rule, self.config
        if phase is None or phase.kind not in ("baseline", "block", "transfer"):
            return
        measured, rate = self._measured.seen(), math.nan
        if phase.feedback:
            rate = rule.reward_rate
            rule.close_block(self._shown.seen(), phase.marker, sample)
        elif phase.marker == f"baseline:{config.baseline}:pre" and len(measured) >= FEWEST_STEPS:
            if config.sham == "surrogate":
                self._saved = self._measured.filled()
            if config.start == "baseline":
                rule.rest_on(measured, phase.marker, sample)
        if rule.value != self._began_at:
            came = "" if math.isnan(rate) else f" (reward rate {rate:.0%})"
            self._news = (
                f"; after {phase.words}{came} the threshold went from {self._began_at:.3f} to "
                f"{rule.value:.3f}"
            )
        self._parts.append(
            {
                "part": phase.marker,
                "steps": len(measured),
                "measure": _mean(measured),
                "shown": _mean(self._shown.seen()),
                "reward_rate": None if math.isnan(rate) else rate,
                "threshold": [self._began_at, rule.value],
                "scale": rule.scale,
            }
        )

    def _other_course(self) -> Floats:
        """What the sham arm follows through all blocks: never the person's own feedback."""
        config, rule = self.config, self._rule
        plan, saved = config.plan, self._saved
        if config.sham == "surrogate":
            # One for the whole session, so that blocks differ as those of a person do.
            n_steps = plan.n_blocks * self._n_steps(plan.block_s)
            seed = seed_of("course", config.study, config.participant)
            return surrogate_course(saved, n_steps, seed)
        # Somebody else's measure has another level: it is moved to where this one begins.
        theirs = float(np.quantile(saved, 1 - config.threshold.target))
        course: Floats = rule.value + (saved - theirs) * (rule.scale / scale_of(saved))
        return course

    def _n_steps(self, length_s: float) -> int:
        return math.ceil(length_s / self.config.step_s) + 1

    def _idle(self, phase: Phase | None) -> str:
        words = "between two parts" if phase is None else phase.words
        return f"{words}: no feedback{self._news}"

    def _say(self, odds: float, label: str | None, reason: str, window: Window) -> Decision:
        # Written with tanh, which neither over- nor underflows.
        reward = 0.5 + 0.5 * math.tanh(odds / 2)
        return Decision(
            classes=self.classes,
            probabilities=np.array([reward, 1 - reward]),
            label=label,
            reason=reason,
            first_sample=window.first_sample,
            stop_sample=window.stop_sample,
            epoch=self._epoch,
            marker=window.marker,
            lsl_raw_s=window.lsl_raw_s,
            lsl_corrected_s=window.lsl_corrected_s,
        )


def _check_decoder(config: NeurofeedbackConfig, decoder: Adapter | None) -> None:
    if (decoder is None) == (config.measure == "probability"):
        raise BundleError("The measure 'probability', and no other, comes with a decoder.")
    if decoder is not None and config.decoder_class not in decoder.classes:
        raise BundleError(
            f"The decoder knows {', '.join(decoder.classes)}, not {config.decoder_class!r}: "
            f"name one of them."
        )


def _measure(
    config: NeurofeedbackConfig, decoder: Adapter | None, embedding: Embedding, window: Window
) -> tuple[float, str]:
    """The measure, larger where reward is wanted; NaN and why if there is none."""
    values = np.asarray(embedding.values, dtype=np.float64)
    if not np.isfinite(values).all():
        return math.nan, "the window could not be encoded: features are not finite"
    # Written so that a quality of NaN counts as poor.
    if not embedding.quality >= config.min_quality:
        needed = f"quality {embedding.quality:.2f} of {config.min_quality:.2f} needed"
        return math.nan, f"signal too poor: {needed}"
    if decoder is not None:
        said = decoder.decide(embedding, window)
        chance = float(said.probabilities[said.classes.index(config.decoder_class)])
        if math.isnan(chance):
            return math.nan, said.reason or "the decoder has no opinion"
        chance = min(max(chance, 1e-9), 1 - 1e-9)
        value = math.log(chance / (1 - chance))
    else:
        asked = (config.feature, config.against) if config.measure == "ratio" else (config.feature,)
        if max(asked) >= len(values):
            raise BundleError(
                f"Feature {max(asked)} is asked for, the encoder gives {len(values)}: name another."
            )
        value = float(values[asked[0]]) - (float(values[asked[1]]) if len(asked) > 1 else 0.0)
    return (value if config.reward == "up" else -value), ""


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None
