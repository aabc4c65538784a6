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
from ..runtime.signal.bad_channels import BadChannelConfig
from ..runtime.signal.condition_config import ConditionConfig
from ..runtime.windows import WindowConfig
from .choosing import Fitted
from .linear import Floats

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
        Of the encoder; a number of bands follows from the conditioning.
    classifier, scale : str
        See `FitConfig`.
    learn : callable, optional
        From what was heard to the task's own adapter, where no window is right or wrong. It takes
        the place of cross-validation and of `Task.finish`, and is not compared with other ways.
    parts : tuple of Way
        The ways that a joined one is made of, see `joined`.
    """

    encoder: str
    name: str = ""
    conditioning: ConditionConfig
    settings: Mapping[str, Any] = field(default_factory=dict)
    classifier: Literal["logistic", "lda"] = "logistic"
    scale: Literal["each", "common"] = "each"
    learn: Callable[[Heard], Finished] | None = None
    parts: tuple[Way, ...] = ()


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


def read_linearly(fitted: Fitted[Any], parts: Sequence[Collected]) -> Finished:
    """The linear reader itself, for tasks in which every window is a decision."""
    return Finished(kind="linear", adapter=fitted.adapter)


def span_of_classes(card: Card) -> TrialSpan:
    """Trials begin with the name of a class, and are judged where they were learnt from."""
    start_s, stop_s = card.scores.get("span_s", (0.5, 4.0))
    return TrialSpan(classes=card.classes, start_s=start_s, stop_s=stop_s)


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
        Fields of `FeedbackConfig` that suit the task.
    finish : callable
        From what was fitted, and the recordings it was fitted on, to the task's own adapter.
    scoring : callable
        From a model's card to the trials that its decisions are judged by.
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
    scoring: Callable[[Card], TrialSpan] = span_of_classes
    simulator: Mapping[str, Any] = field(default_factory=dict)
    brief: Mapping[str, Any] = field(default_factory=dict)
