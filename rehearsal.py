"""Calibration recordings played as they will be served, each by a model that has not seen it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from .adapters.folds import Trials, recording_folds
from .adapters.working_point import (
    Rehearsed,
    choose_working_point,
    chosen_fields,
    stretches_of,
)
from .assembly import open_model
from .fit_plan import FitPlan
from .runtime.bundle import Bundle
from .runtime.clock import VirtualClock
from .runtime.errors import ConfigError
from .runtime.fanout import DirectFanOut
from .runtime.feedback import EvidenceFeedback, FeedbackConfig
from .runtime.loop import Loop
from .runtime.loop_config import LoopConfig, Stages
from .runtime.messages import Chunk, Decision, Marker, Message, Turn
from .training_sources import Progress, TrainingSource

Fit = Callable[[Sequence[TrainingSource], FitPlan], Bundle]
"""From recordings and one way to a model."""


def refuse_without_idle(plan: FitPlan) -> None:
    """Raise `ConfigError` if no class of a plan is idle, so that no activation is false."""
    idle = FeedbackConfig().idle
    if not set(idle) & set(plan.span.classes):
        raise ConfigError(
            f"False activations are those at rest, and none of the classes "
            f"{', '.join(plan.span.classes)} is {' or '.join(idle)}: add one, or wish for no rate."
        )


def refuse_without_spare(trials: Trials) -> None:
    """Raise `ConfigError` if no recording can be held out whole."""
    if not recording_folds(trials):
        raise ConfigError(
            f"A rate of false activations is kept on recordings that are held out whole, and "
            f"without one of these {len(set(trials.recordings))} some class cannot be learnt: "
            f"record each class in two recordings at least."
        )


def with_working_point(
    bundle: Bundle,
    sources: Sequence[TrainingSource],
    plan: FitPlan,
    fit: Fit,
    progress: Progress,
) -> Bundle:
    """The same model with feedback settings that keep false activations as seldom as wished.

    Parameters
    ----------
    bundle : Bundle
        Fitted on all recordings.
    sources : sequence of TrainingSource
        These recordings.
    plan : FitPlan
        The way that was taken, with its wish.
    fit : callable
        Fits the same way on fewer recordings.
    progress : callable
        Told what is being done, how far, and of how much.

    Returns
    -------
    bundle : Bundle
        Its card holds the settings, and under ``working_point`` what may be expected of them.

    Raises
    ------
    ConfigError
        See `choose_working_point`.
    """
    runs = []
    alike = replace(plan, false_per_min=0.0)
    for place, source in enumerate(sources):
        progress(f"rehearsing {source.name}", place, len(sources))
        others = [other for other in sources if other is not source]
        runs.append(rehearse(fit(others, alike), source, plan))
    point = choose_working_point(runs, plan.false_per_min)
    card = replace(
        bundle.card,
        feedback={**bundle.card.feedback, **chosen_fields(point.feedback)},
        scores={**bundle.card.scores, "working_point": point.report},
    )
    return replace(bundle, card=card)


def rehearse(bundle: Bundle, source: TrainingSource, plan: FitPlan) -> Rehearsed:
    """Play a recording through the loop and keep what was decided.

    Parameters
    ----------
    bundle : Bundle
        A model that has not seen the recording.
    source : TrainingSource
        The recording.
    plan : FitPlan
        Which markers ask for what.

    Returns
    -------
    rehearsed : Rehearsed
        Every decision, idle time included.

    Raises
    ------
    ConfigError
        If the recording is too short for a decision.
    """
    model, clock, keeper = open_model(bundle), VirtualClock(), _Decided()
    played = source.make(clock)
    stages = Stages(
        source=played,
        conditioner=model.conditioner,
        encoder=model.encoder,
        adapter=model.adapter,
        feedback=EvidenceFeedback(),
    )
    # As in `collect`: nothing may be late here, however long the recording's packets are.
    config = LoopConfig(deadline_s=60.0, history_s=12.0)
    fanout = DirectFanOut((keeper,))
    Loop(stages, clock=clock, window=model.window, config=config, fanout=fanout).run()
    if not keeper.decisions:
        raise ConfigError(f"{source.name} is too short for a decision: leave it out.")
    rate_hz = played.spec.rate_hz
    return Rehearsed(
        name=source.name,
        decisions=tuple(keeper.decisions),
        stretches=stretches_of(keeper.markers, plan.span, FeedbackConfig().idle, rate_hz),
        rate_hz=rate_hz,
    )


class _Decided:
    """A watcher that keeps decisions and markers."""

    lossless = True

    def __init__(self) -> None:
        self.decisions: list[tuple[Decision, int]] = []
        self.markers: list[Marker] = []

    def watch(self, message: Message) -> None:
        if isinstance(message, Turn):
            self.decisions.append((message.decision, message.times.decided_ns))
        elif isinstance(message, Chunk):
            self.markers += message.markers

    def close(self) -> None:
        pass
