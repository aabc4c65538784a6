"""P300: responses to flashes, and the speller that is made of them.

Two tasks share the ways to decode a flash. ``p300`` reads each flash by itself, from markers that
say whether it was a target. ``p300_speller`` knows what each flash showed, puts the evidence
together and selects an item as soon as it is sure enough (`SpellerAdapter`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..runtime.card import Card
from ..runtime.collection import Collected, TrialSpan
from ..runtime.errors import ConfigError, RecordingError
from ..runtime.messages import Decision, Marker, Window
from ..runtime.paradigms.letters import LetterModel, everyday, spell
from ..runtime.paradigms.speller import (
    NONTARGET,
    TARGET,
    SpellerPlan,
    attended,
    label_of,
    lit,
)
from ..runtime.signal.bad_channels import BadChannelConfig
from ..runtime.signal.condition_config import ConditionConfig
from ..runtime.windows import WindowConfig
from .choosing import Fitted
from .detection_scorer import DetectionScorer
from .folds import Trials
from .linear import Floats
from .scorer import Scorer
from .speller import KnownSelection, SpellerAdapter, SpellerConfig, speller_arrays
from .task import Finished, Task, Way, joined, read_linearly
from .trial_scorer import TrialScorer

SLOW = ConditionConfig(
    bands_hz=((1.5, 20.0),), order=2, rate_hz=100.0, bad_channels=BadChannelConfig()
)
"""Slow potentials as the amplifier gives them: few electrodes make no good average.

A high-pass at 1.5 Hz did better than any from 0.3 to 1 Hz, and settles sooner.
"""

SECONDS = 0.8  # after a flash


def flash_ways(classes: tuple[str, ...]) -> tuple[Way, ...]:
    """Ways to decode a response to a flash."""
    covariance = Way(encoder="xdawn", conditioning=SLOW, scale="common")
    epoch = Way(encoder="evoked_epoch", conditioning=SLOW, classifier="lda")
    return joined(covariance, epoch), covariance, epoch


def _read_flashes(fitted: Fitted[Any], parts: Sequence[Collected]) -> Finished:
    """The linear reader; the card notes how fast the calibration flashed."""
    finished = read_linearly(fitted, parts)
    return dataclasses.replace(finished, report={"flash_hz": flash_rate_hz(parts)})


def flash_rate_hz(parts: Sequence[Collected]) -> float:
    """How often something flashed, in hertz.

    Parameters
    ----------
    parts : sequence of Collected
        Recordings of flashes, at least one with two.

    Returns
    -------
    rate_hz : float
        Of flashes that follow each other quickly: of ten waits one is shorter.
    """
    waits = [
        wait / part.spec.rate_hz
        for part in parts
        for wait in np.diff(np.unique(part.cues)).tolist()
    ]
    return round(1 / float(np.quantile(waits, 0.1)), 2)


def _rate_of_calibration(card: Card) -> tuple[float, ...]:
    # Of a model from before this was noted: as fast as spellers usually flash.
    return (card.scores.get("flash_hz", round(1 / SpellerPlan().soa_s, 2)),)


def _rate_of_plan(card: Card) -> tuple[float, ...]:
    plan = card.adapter_config.get("plan", {})
    return (round(1 / plan.get("soa_s", SpellerPlan().soa_s), 2),)


def _score_flashes(card: Card) -> Scorer:
    span = TrialSpan(classes=card.classes, start_s=0.0, stop_s=SECONDS)
    return DetectionScorer(span, TARGET)


P300 = Task(
    name="p300",
    title="P300",
    span=TrialSpan(classes=(NONTARGET, TARGET), start_s=0.0, stop_s=SECONDS),
    window=WindowConfig(length_s=SECONDS, lock_to=(NONTARGET, TARGET)),
    ways=flash_ways,
    priors="observed",
    feedback={"memory_s": 0.0, "dwell_s": 0.0, "refractory_s": 0.0},
    finish=_read_flashes,
    flashes_hz=_rate_of_calibration,
    scorer=_score_flashes,
    simulator={"task": "p300", "snr": 2.0},
)
"""Single flashes, each a target or not."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FlashSpan(TrialSpan):
    """Trials that begin with a flash and are called after what it was to the person.

    Parameters
    ----------
    plan : SpellerPlan
        What is shown.
    """

    plan: SpellerPlan = dataclasses.field(default_factory=SpellerPlan)

    def label(self, cues: Sequence[Marker], place: int) -> str | None:
        """Target or not, if it was said where to look."""
        return label_of(self.plan, cues, place)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SelectionSpan(TrialSpan):
    """Trials that last for a selection, and are called after the item to be attended."""

    def label(self, cues: Sequence[Marker], place: int) -> str | None:
        """The item, if the marker begins a selection that names one."""
        item = attended(cues[place].label)
        return item if item in self.classes else None

    def trial_of(self, window: Window | Decision, cues: Sequence[Marker], rate_hz: float) -> int:
        """The last selection that had begun when the flash came."""
        at = window.marker.sample if window.marker else window.first_sample
        for place in range(len(cues) - 1, -1, -1):
            if cues[place].sample <= at and attended(cues[place].label) is not None:
                return place if self.label(cues, place) is not None else -1
        return -1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpellerOptions(SpellerConfig):
    """What can be chosen about a speller before a model is fitted.

    Parameters
    ----------
    letters : Path, optional
        A text in UTF-8, one sentence a line, that says which letter follows which: best what the
        person has written. Not given, it is everyday English for items that can write it, and
        nothing for a menu of other items, which are then equally likely.
    """

    letters: Path | None = None

    @property
    def config(self) -> SpellerConfig:
        """What the adapter is told of it."""
        names = [field.name for field in dataclasses.fields(SpellerConfig)]
        return SpellerConfig(**{name: getattr(self, name) for name in names})

    def letter_model(self) -> LetterModel | None:
        """What the text says of the items; raises `ConfigError` if it cannot be used."""
        items = self.plan.items
        text = everyday() if self.letters is None else _read(self.letters)
        if self.letters is None and not spell(text, items):
            return None
        # An item is never less likely than half of what chance gives, however many there are.
        return LetterModel.fit(text, items, 4, floor=min(0.004, 0.5 / len(items)))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"letters names {path}, which cannot be read as UTF-8 text ({error}): name a text "
            f"file, or leave it out."
        ) from error


def _spell(
    fitted: Fitted[Any],
    parts: Sequence[Collected],
    *,
    config: SpellerConfig,
    letters: LetterModel | None,
) -> Finished:
    """A speller from held-out flashes of selections whose item is known."""
    known = known_selections(fitted.trials, fitted.held_out, parts, config.plan)
    if not known:
        raise RecordingError(
            f"No selection says what was to be attended: calibrate with markers such as "
            f"'select:{config.plan.items[0]}'."
        )
    arrays = speller_arrays(fitted.adapter.to_arrays(), known, letters, clip=config.clip)
    adapter = SpellerAdapter.from_arrays(config, arrays)
    scale = float(arrays["evidence_scale"][0])
    return Finished(
        kind="speller",
        adapter=adapter,
        report={"n_selections": len(known), "evidence_scale": scale},
    )


def _spell_letters(fitted: Fitted[Any], parts: Sequence[Collected]) -> Finished:
    """A speller of the usual matrix."""
    options = SpellerOptions()
    return _spell(fitted, parts, config=options.config, letters=options.letter_model())


def _chosen(options: SpellerOptions) -> Task:
    """A speller of any menu; a text that cannot be used is refused before anything is fitted."""
    return dataclasses.replace(
        P300_SPELLER,
        span=dataclasses.replace(FLASHES, plan=options.plan),
        finish=partial(_spell, config=options.config, letters=options.letter_model()),
    )


def known_selections(
    trials: Trials, held_out: Floats, parts: Sequence[Collected], plan: SpellerPlan
) -> list[KnownSelection]:
    """Selections of a calibration, flash by flash.

    Parameters
    ----------
    trials : Trials
        The flashes, in order of appearance.
    held_out : ndarray, shape (n_flashes, 2)
        Scores of nontarget and target, by weights that had not seen them.
    parts : sequence of Collected
        The recordings they come from.
    plan : SpellerPlan
        What was shown.

    Returns
    -------
    known : list of KnownSelection
        In order; a flash whose window was refused is missing.
    """
    flashes: dict[tuple[int, int], int] = {}
    for place, part in enumerate(parts):
        for cue in part.cues.tolist():
            flashes.setdefault((place, cue), len(flashes))
    target = trials.classes.index(TARGET)
    scores = held_out[:, target] - held_out[:, 1 - target]
    found = []
    for place, part in enumerate(parts):
        for item, shown in _selections(part.markers, plan):
            seen = [mark for mark in shown if (place, mark.sample) in flashes]
            if not seen:
                continue
            member = np.zeros((len(seen), len(plan.items)), dtype=bool)
            for row, mark in zip(member, seen, strict=True):
                row[list(lit(plan, mark.label))] = True
            rows = [flashes[place, mark.sample] for mark in seen]
            found.append(KnownSelection(scores=scores[rows], lit=member, item=item))
    return found


def _selections(markers: Sequence[Marker], plan: SpellerPlan) -> list[tuple[int, list[Marker]]]:
    """What was attended, and the flashes that followed."""
    found: list[tuple[int, list[Marker]]] = []
    running: list[Marker] | None = None
    for marker in markers:
        item = attended(marker.label)
        if item is not None:
            running = [] if item in plan.items else None
            if running is not None:
                found.append((plan.items.index(item), running))
        elif running is not None and lit(plan, marker.label):
            running.append(marker)
    return found


def _score_selections(card: Card) -> Scorer:
    return TrialScorer(SelectionSpan(classes=card.classes, start_s=0.0, stop_s=60.0))


FLASHES = FlashSpan(classes=(NONTARGET, TARGET), start_s=0.0, stop_s=SECONDS)
"""Flashes of the usual matrix."""

P300_SPELLER = Task(
    name="p300_speller",
    title="P300 speller",
    span=FLASHES,
    window=WindowConfig(length_s=SECONDS, lock_to=("*",)),
    ways=flash_ways,
    priors="observed",
    feedback={"memory_s": 0.0, "select_at": 0.5, "dwell_s": 0.0, "refractory_s": 0.0},
    finish=_spell_letters,
    scorer=_score_selections,
    flashes_hz=_rate_of_plan,
    options=SpellerOptions,
    chosen=_chosen,
    simulator={"task": "speller", "snr": 2.0},
)
"""A matrix of letters or any other menu flashes, and what is attended is selected."""
