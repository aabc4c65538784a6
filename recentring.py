"""A model at the start of a day: what it has learnt stays, and today gets a centre of its own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from .adapters.task import Task
from .adapters.trial_scorer import TrialScorer
from .assembly import open_conditioner, open_encoder
from .runtime.bundle import Bundle, join_parts
from .runtime.card import Card, CardData, pick_rows, versions_now
from .runtime.catalog import find
from .runtime.clock import VirtualClock
from .runtime.collection import Collected, TrialSpan, WholeRecording, collect
from .runtime.errors import ConfigError, RecordingError
from .training_sources import TrainingSource

FEWEST_WINDOWS = 10
"""Fewer windows than these say nothing of a day."""


def recentre_model(bundle: Bundle, source: TrainingSource) -> Bundle:
    """The same model, seen from the centre of a recording of today. No label is looked at.

    Parameters
    ----------
    bundle : Bundle
        Stays as it is.
    source : TrainingSource
        A short recording of today. Windows within its trials are taken if it holds cues of the
        model's classes, whatever they ask for, because rest has another centre; all of it
        otherwise.

    Returns
    -------
    bundle : Bundle
        Of the next epoch, not yet saved; its card names the recording and says what was done.

    Raises
    ------
    ConfigError
        If the model's encoder has no centre of its own to move.
    SchemaMismatch
        If the recording is not of the stream that the model was fitted on.
    RecordingError
        If too few windows are good.
    """
    encoder = open_encoder(bundle)
    if not hasattr(encoder, "recentred"):
        raise ConfigError(
            f"The encoder {bundle.card.encoder} has no centre that could be moved: fit with "
            f"--encoder aligned_covariance on recordings of several days."
        )
    part, cued = _windows(bundle, source)
    if len(part.windows) < FEWEST_WINDOWS:
        raise RecordingError(
            f"{source.name} has {len(part.windows)} windows in which every electrode is good, "
            f"needed are {FEWEST_WINDOWS}: record a minute or two."
        )
    arrays = join_parts(
        conditioner=bundle.part("conditioner"),
        encoder=encoder.recentred(part.windows).to_arrays(),
        adapter=bundle.part("adapter"),
    )
    return Bundle(card=_card(bundle.card, source, part, cued), arrays=arrays)


def _windows(bundle: Bundle, source: TrainingSource) -> tuple[Collected, bool]:
    """Good windows of a recording, as the model conditions and cuts; whether cues say where."""
    card = bundle.card
    pick_rows(card, source.make(VirtualClock()).spec)
    task: Task = find("task", card.task)
    window = replace(card.window.config(), step_s=task.training_step_s)

    def collected(span: TrialSpan) -> Collected:
        clock = VirtualClock()
        return collect(
            source.make(clock), open_conditioner(bundle), clock, window=window, span=span
        ).whole()

    scorer = task.scorer(card)
    if isinstance(scorer, TrialScorer):
        with suppress(RecordingError):
            return collected(scorer.span), True
    return collected(WholeRecording()), False


def _card(card: Card, source: TrainingSource, part: Collected, cued: bool) -> Card:
    trials = len(set(part.trials.tolist())) if cued else 0
    of = f"{trials} trials, whatever they asked for," if cued else "the whole recording"
    told: dict[str, Any] = {
        "recentred": (
            f"The centre was moved towards that of {len(part.windows)} windows of {of} in "
            f"{source.name}. No label was looked at, nothing else was learnt, and the scores are "
            f"those from before."
        )
    }
    data = CardData(
        data_id=source.data_id,
        name=source.name,
        seconds=part.n_samples / part.spec.rate_hz,
        n_trials=trials,
    )
    return replace(
        card,
        trained_on=(*card.trained_on, data),
        scores={**card.scores, **told},
        versions=versions_now(),
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        epoch=card.epoch + 1,
        weights_sha256="",
    )
