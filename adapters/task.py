"""What a task is: paradigm, ways to decode, decision rule, feedback and score, as data.

A task is one file of this folder with one object in it, and one line in the catalogue. The rest
(collecting what a calibration showed, choosing a way to decode, saving, serving, scoring) is the
same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..runtime.card import Card
from ..runtime.collection import Collected, TrialSpan
from ..runtime.errors import ConfigError
from ..runtime.messages import Samples
from ..runtime.signal.bad_channels import BadChannelConfig
from ..runtime.signal.condition_config import ConditionConfig
from ..runtime.windows import WindowConfig
from .choosing import Fitted
from .cross_validation import Classifier
from .linear import Floats
from .scorer import Scorer
from .trial_scorer import TrialScorer

BROADBAND = ConditionConfig(
    reference="average", high_pass_hz=0.3, order=2, rate_hz=500.0, bad_channels=BadChannelConfig()
)
"""Conditioning for a student: everything above the drifts, at the rate it was distilled at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The adapter of a task, ready to be saved.

    Parameters
    ----------
    kind : str
        Name in the catalogue.
    adapter : Adapter
        With ``config`` and ``to_arrays``.
    report : dict
        More plain numbers for the card.
    """

    kind: str
    adapter: Any
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What recordings sounded like to an encoder that was fitted on them.

    Parameters
    ----------
    encoder : Encoder
        The encoder.
    features : tuple of ndarray, shape (n_windows, n_features)
        Of every recording.
    parts : tuple of Collected
        The recordings.
    classes : tuple of str
        What was asked for.
    progress : callable
        Told what is being done, how far, and of how much.
    """

    encoder: Any
    features: tuple[Floats, ...]
    parts: tuple[Collected, ...]
    classes: tuple[str, ...]
    progress: Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """Conditioning that suits a person.

    Parameters
    ----------
    conditioning : ConditionConfig
        What is served.
    report : dict
        What was found, for the card.
    """

    conditioning: ConditionConfig
    report: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to decode.

    Parameters
    ----------
    encoder : str
        Name in the catalogue.
    name : str
        What people call the way; the encoder's name if empty.
    conditioning : ConditionConfig
        What the encoder is served.
    settings : mapping
        Of the encoder; a number of bands follows from the conditioning. A student's say how it is
        tuned.
    classifier, scale : str
        See `FitConfig`.
    aligned : bool
        Whether the encoder sees each recording from a reference of its own, so that other days
        and other people help; tried where there are two recordings or more.
    tune : callable, optional
        From raw signal, its rate and the conditioning to the person's own; before anything is
        learnt, and unless somebody names a conditioning.
    learn : callable, optional
        From what was heard to the task's own adapter, where no window is right or wrong. It takes
        the place of cross-validation and of ``Task.finish``, and is not compared with other ways.
    learns_from : TrialSpan, optional
        What is learnt from, where that is not what the decisions will be judged by.
    parts : tuple of Way
        The ways that a joined one is made of, see `joined`.
    on_request : bool
        Whether it is fitted only if somebody names it, and not compared with other ways.
    """

    encoder: str
    name: str = ""
    conditioning: ConditionConfig
    settings: Mapping[str, Any] = field(default_factory=dict)
    classifier: Classifier = "logistic"
    scale: Literal["each", "common"] = "each"
    aligned: bool = False
    tune: Callable[[Samples, float, ConditionConfig], Tuned] | None = None
    learn: Callable[[Heard], Finished] | None = None
    learns_from: TrialSpan | None = None
    parts: tuple[Way, ...] = ()
    on_request: bool = False


def joined(*ways: Way, name: str = "") -> Way:
    """Several ways made one: each reads the window for itself, and the log-odds are averaged.

    Parameters
    ----------
    *ways : Way
        At least two, all served the same signal.
    name : str
        What people call it; ``"joined"`` if empty.

    Returns
    -------
    way : Way
        The joined one.

    Raises
    ------
    ConfigError
        If they are served different signals.
    """
    conditioning = ways[0].conditioning
    if any(way.conditioning != conditioning for way in ways):
        raise ConfigError(
            f"Joined ways must be served the same signal, got {[way.encoder for way in ways]} with "
            f"different conditioning: give them one."
        )
    return Way(encoder="joined", name=name, conditioning=conditioning, parts=ways)


STUDENT = Way(encoder="student", conditioning=BROADBAND)
"""The distilled student with a linear reader."""

TUNED_STUDENTS = (
    Way(
        encoder="student",
        name="student_tuned",
        conditioning=BROADBAND,
        settings={"rank": 4},
        on_request=True,
    ),
    Way(
        encoder="student",
        name="student_attention",
        conditioning=BROADBAND,
        settings={"rank": 0, "pooling": "attention"},
        on_request=True,
    ),
)
"""The student with weights of its own behind its last attention, or with hops weighted."""


def read_linearly(fitted: Fitted[Any], parts: Sequence[Collected]) -> Finished:
    """The linear reader itself, for tasks in which every window is a decision."""
    return Finished(kind="linear", adapter=fitted.adapter)


def score_trials(card: Card) -> Scorer:
    """Trials begin with the name of a class, and are judged where they were learnt from."""
    start_s, stop_s = card.scores.get("span_s", (0.5, 4.0))
    return TrialScorer(TrialSpan(classes=card.classes, start_s=start_s, stop_s=stop_s))


def nothing_flashes(card: Card) -> tuple[float, ...]:
    """No rate: the task shows no flicker."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task, from cue to feedback.

    Parameters
    ----------
    name : str
        Its name in the catalogue.
    title : str
        What people call it.
    span : TrialSpan
        Which markers begin a trial and which part of it counts, unless somebody says otherwise.
    window : WindowConfig
        How the stream is cut.
    ways : callable
        From the classes to ways to decode them, in order of preference.
    training_step_s : float
        From one training window to the next.
    priors : str
        See `FitConfig`.
    feedback : mapping
        Settings of the feedback that suits the task, and its ``"kind"`` in the catalogue unless
        that is ``"evidence"``.
    finish : callable
        From what was fitted, and the recordings it was fitted on, to the task's own adapter.
    scorer : callable
        From a model's card to who judges its decisions.
    flashes_hz : callable
        From a model's card to the rates at which something flickers before the person's eyes,
        which the participant's profile must allow; none for a task that shows no flicker.
    options : type, optional
        Frozen dataclass of what can be chosen about the task itself, such as what is shown; None
        if there is nothing to choose.
    chosen : callable, optional
        From such options to the task that follows them.
    simulator : mapping
        Settings of a simulated participant who does the task; empty if there is none.
    brief : mapping
        Settings of the adapter that make a session short enough for a demonstration.
    """

    name: str
    title: str
    span: TrialSpan
    window: WindowConfig
    ways: Callable[[tuple[str, ...]], tuple[Way, ...]]
    training_step_s: float = 0.5
    priors: Literal["equal", "observed"] = "equal"
    feedback: Mapping[str, Any] = field(default_factory=dict)
    finish: Callable[[Fitted[Any], Sequence[Collected]], Finished] = read_linearly
    scorer: Callable[[Card], Scorer] = score_trials
    flashes_hz: Callable[[Card], tuple[float, ...]] = nothing_flashes
    options: type[Any] | None = None
    chosen: Callable[[Any], Task] | None = None
    simulator: Mapping[str, Any] = field(default_factory=dict)
    brief: Mapping[str, Any] = field(default_factory=dict)
