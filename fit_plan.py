"""What a model is to be fitted for, and how: a task's ways to decode, made into plans."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any, Literal

from .adapters.motor_imagery import MU_BETA
from .adapters.task import Finished, Heard, Task
from .runtime.catalog import find
from .runtime.collection import TrialSpan, WholeRecording
from .runtime.errors import ConfigError
from .runtime.signal.condition_config import ConditionConfig
from .runtime.windows import WindowConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class FitPlan:
    """One way to decode a task.

    Parameters
    ----------
    span : TrialSpan
        Classes, and the part of a trial that counts.
    task : str
        Name in the catalogue.
    encoder : str
        Name in the catalogue.
    name : str
        What people call this way; the encoder's name if empty.
    settings : mapping
        Of the encoder.
    classifier, priors, scale : str
        See `FitConfig`.
    promised_error : float
        See `FitConfig`.
    false_per_min : float
        False activations that are wished at most in a minute of rest: the feedback's settings
        follow from recordings that are held out whole. 0 leaves them as the task has them.
    conditioning : ConditionConfig
        Picks every brain channel unless it names some.
    student : str
        For ``"student"``: a shipped one, or the path of one; empty chooses by the electrodes.
    window : WindowConfig
        Length for training and serving, step for serving.
    learn : callable, optional
        See `Way`.
    training_step_s : float
        From one training window to the next: neighbours overlap, so a tenth of a second would
        multiply the work and add little. An encoder that streams hears every window all the same.
    """

    span: TrialSpan
    task: str = "motor_imagery"
    encoder: str = "filterbank_covariance"
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    classifier: Literal["logistic", "lda"] = "logistic"
    priors: Literal["equal", "observed"] = "equal"
    scale: Literal["each", "common"] = "each"
    promised_error: float = 0.0
    false_per_min: float = 0.0
    learn: Callable[[Heard], Finished] | None = None
    conditioning: ConditionConfig = MU_BETA
    student: str = ""
    window: WindowConfig = field(default_factory=lambda: WindowConfig(length_s=2.0))
    training_step_s: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.false_per_min < math.inf:
            raise ConfigError(
                f"false_per_min must be 0 or more, got {self.false_per_min}: 2 allows two false "
                f"activations in a minute of rest, 0 asks for nothing."
            )
        length_s = self.window.length_s
        within_s = self.span.stop_s - self.span.start_s
        slides = not self.window.lock_to and not isinstance(self.span, WholeRecording)
        if slides and within_s < length_s:
            raise ConfigError(
                f"A window of {length_s:g} s does not fit between {self.span.start_s:g} and "
                f"{self.span.stop_s:g} s after the cue: shorten it."
            )


def plans_for(
    task: str,
    *,
    encoder: str = "auto",
    classes: tuple[str, ...] = (),
    start_s: float | None = None,
    stop_s: float | None = None,
    window_s: float | None = None,
    step_s: float | None = None,
    conditioning: ConditionConfig | None = None,
    student: str = "",
    promised_error: float = 0.0,
    false_per_min: float = 0.0,
) -> list[FitPlan]:
    """A task's ways to decode, as somebody asks for them.

    Parameters
    ----------
    task : str
        Name in the catalogue.
    encoder : str
        ``"auto"`` for every way that can be had here, or the name of one, or of its encoder.
    classes : tuple of str
        Other classes than the task's.
    start_s, stop_s, window_s, step_s : float, optional
        Another part of the trial, other windows.
    conditioning : ConditionConfig, optional
        For every way.
    student : str
        A shipped one, or the path of one.
    promised_error : float
        Share of decisions that may be wrong; 0 promises nothing.
    false_per_min : float
        False activations in a minute of rest that are wished at most; 0 wishes nothing.

    Returns
    -------
    plans : list of FitPlan
        In order of preference.

    Raises
    ------
    UnknownName
        If there is no such task.
    ConfigError
        If the task has no such way, or the windows do not fit.
    """
    known: Task = find("task", task)
    span = replace(
        known.span,
        classes=classes or known.span.classes,
        start_s=known.span.start_s if start_s is None else start_s,
        stop_s=known.span.stop_s if stop_s is None else stop_s,
    )
    window = replace(
        known.window,
        length_s=window_s or known.window.length_s,
        step_s=step_s or known.window.step_s,
    )
    ways = known.ways(span.classes)
    if encoder == "auto":
        compared = tuple(way for way in ways if way.learn is None)
        ways = tuple(way for way in compared if way.encoder != "student" or find_spec("torch"))
        ways = ways or known.ways(span.classes)[:1]
    else:
        named = tuple(way for way in ways if way.name == encoder)
        ways = named or tuple(way for way in ways if way.encoder == encoder)[:1]
    if not ways:
        names = ", ".join(way.name or way.encoder for way in known.ways(span.classes))
        raise ConfigError(
            f"The task {task} has no way to decode called {encoder!r}; it has {names}: choose one, "
            f"or auto for the one that does best."
        )
    return [
        FitPlan(
            span=span,
            task=task,
            encoder=way.encoder,
            name=way.name,
            settings=way.settings,
            classifier=way.classifier,
            priors=known.priors,
            scale=way.scale,
            promised_error=promised_error,
            false_per_min=false_per_min,
            learn=way.learn,
            conditioning=conditioning or way.conditioning,
            student=student,
            window=window,
            training_step_s=known.training_step_s,
        )
        for way in ways
    ]
