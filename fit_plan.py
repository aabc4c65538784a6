"""What a model is to be fitted for, and how: a task's ways to decode, made into plans."""

from __future__ import annotations

import math
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from .adapters.choosing import Fitted
from .adapters.cross_validation import Classifier
from .adapters.motor_imagery import MU_BETA
from .adapters.task import Finished, Heard, Task, Tuned, Way
from .runtime.catalog import find
from .runtime.collection import Collected, TrialSpan, WholeRecording
from .runtime.errors import ConfigError
from .runtime.messages import Samples
from .runtime.settings import build
from .runtime.signal.condition_config import ConditionConfig
from .runtime.timing_offset import timing_of
from .runtime.toml_file import read_toml
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
    aligned : bool
        See `Way`.
    tune, learn, learns_from : callables and TrialSpan, optional
        See `Way`.
    parts : tuple of Way
        See `Way`; their conditioning does not count.
    finish : callable, optional
        See `Task`; the task's own if not given.
    training_step_s : float
        From one training window to the next: neighbours overlap, so a tenth of a second would
        multiply the work and add little. An encoder that streams hears every window all the same.
    """

    span: TrialSpan
    task: str = "motor_imagery"
    encoder: str = "filterbank_covariance"
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    classifier: Classifier = "logistic"
    priors: Literal["equal", "observed"] = "equal"
    scale: Literal["each", "common"] = "each"
    promised_error: float = 0.0
    false_per_min: float = 0.0
    aligned: bool = False
    tune: Callable[[Samples, float, ConditionConfig], Tuned] | None = None
    learn: Callable[[Heard], Finished] | None = None
    learns_from: TrialSpan | None = None
    parts: tuple[Way, ...] = ()
    finish: Callable[[Fitted[Any], Sequence[Collected]], Finished] | None = None
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
        if not 0 <= self.promised_error <= 0.5:
            raise ConfigError(
                f"promised_error must be in [0, 0.5], got {self.promised_error}: 0.1 allows one "
                f"decision in ten to be wrong, 0 promises nothing."
            )
        if self.promised_error and self.learn is not None:
            raise ConfigError(
                f"The way {self.name or self.encoder} of {self.task} cannot promise a share of "
                f"errors, because it is not judged on left-out trials: leave promised_error at 0."
            )
        length_s = self.window.length_s
        within_s = self.span.stop_s - self.span.start_s
        slides = not self.window.lock_to and not isinstance(self.span, WholeRecording)
        if slides and within_s < length_s:
            raise ConfigError(
                f"A window of {length_s:g} s does not fit between {self.span.start_s:g} and "
                f"{self.span.stop_s:g} s after the cue: shorten it."
            )


def read_options(task: str, path: str | Path) -> Any:
    """Read what is chosen about a task itself.

    Parameters
    ----------
    task : str
        Name in the catalogue.
    path : str or Path
        A TOML file whose keys are the fields of the task's options; a path in it counts from the
        file's folder.

    Returns
    -------
    options : object
        For `plans_for`.

    Raises
    ------
    UnknownName
        If there is no such task.
    ConfigError
        If the task has no options, or the file or a value cannot be used.
    """
    path, kind = Path(path), _options_of(find("task", task))
    values, hints = read_toml(path, "file of options"), typing.get_type_hints(kind)
    for name, value in values.items():
        if hints.get(name) in (Path, Path | None) and isinstance(value, str):
            values[name] = path.parent / value
    try:
        return build(kind, values, "options")
    except ConfigError as error:
        raise type(error)(f"{path.name}: {error}") from error


def timed(plans: Sequence[FitPlan], path: Path | None) -> list[FitPlan]:
    """The same plans for recordings of a device whose delay was measured.

    Parameters
    ----------
    plans : sequence of FitPlan
        From `plans_for`.
    path : Path, optional
        A TOML file with the table ``[timing]``; None changes nothing.

    Returns
    -------
    plans : list of FitPlan
        With windows that are locked to markers where the events are in the signal.

    Raises
    ------
    ConfigError
        If the file cannot be used.
    """
    if path is None:
        return list(plans)
    delay_s = timing_of({"file": str(path)}, Path()).offset_s
    return [replace(plan, window=replace(plan.window, device_delay_s=delay_s)) for plan in plans]


def _options_of(task: Task) -> Any:
    if task.options is None:
        raise ConfigError(
            f"The task {task.name} has no options of its own, and some were given: leave them out."
        )
    return task.options


def _chosen(task: Task, options: Any) -> Task:
    """The task as the options want it."""
    if options is None:
        return task
    if not isinstance(options, _options_of(task)) or task.chosen is None:
        raise ConfigError(
            f"The task {task.name} takes {_options_of(task).__name__}, got "
            f"{type(options).__name__}: read them with read_options."
        )
    return task.chosen(options)


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
    options: Any = None,
    adaptive: bool = False,
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
    options : object, optional
        Instance of the task's own options, see `read_options`.
    adaptive : bool
        Whether every way is read by prototypes, which can be adapted to the person later.

    Returns
    -------
    plans : list of FitPlan
        In order of preference.

    Raises
    ------
    UnknownName
        If there is no such task.
    ConfigError
        If the task has no such way, it cannot be adapted, or the windows do not fit.
    """
    known = _chosen(find("task", task), options)
    span = replace(
        known.span,
        classes=classes or known.span.classes,
        start_s=known.span.start_s if start_s is None else start_s,
        stop_s=known.span.stop_s if stop_s is None else stop_s,
    )
    window = replace(
        known.window,
        length_s=known.window.length_s if window_s is None else window_s,
        step_s=known.window.step_s if step_s is None else step_s,
    )
    ways = _ways(known, span.classes, encoder)
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
            aligned=way.aligned,
            tune=None if conditioning else way.tune,
            learn=way.learn,
            learns_from=way.learns_from,
            parts=way.parts,
            finish=known.finish,
            conditioning=conditioning or way.conditioning,
            student=student,
            window=window,
            training_step_s=known.training_step_s,
        )
        for way in (map(_adaptive, ways) if adaptive else ways)
    ]


def _adaptive(way: Way) -> Way:
    """The same way, read by prototypes."""
    if way.learn is not None:
        raise ConfigError(
            f"The way {way.name or way.encoder} cannot be adapted yet, because it is not read "
            f"linearly from labelled windows: leave --adaptive out, or choose another way."
        )
    return replace(way, classifier="prototypes", parts=tuple(map(_adaptive, way.parts)))


def _ways(task: Task, classes: tuple[str, ...], encoder: str) -> tuple[Way, ...]:
    """Those that somebody asks for; raises `ConfigError` if there is none."""
    known = task.ways(classes)
    if encoder == "auto":
        compared = tuple(way for way in known if way.learn is None and not way.on_request)
        able = tuple(way for way in compared if way.encoder != "student" or find_spec("torch"))
        return able or known[:1]
    named = tuple(way for way in known if way.name == encoder)
    found = named or tuple(way for way in known if way.encoder == encoder)[:1]
    if not found:
        names = ", ".join(way.name or way.encoder for way in known)
        raise ConfigError(
            f"The task {task.name} has no way to decode called {encoder!r}; it has {names}: choose "
            f"one, or auto for the one that does best."
        )
    return found
