"""From labelled recordings to a model: condition, clean, cut, choose a way, fit, write the card."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from .adapters.choosing import Candidate, Fitted, choose, shared_trials
from .adapters.cross_validation import FitConfig
from .adapters.folds import Trials
from .adapters.task import Finished, Heard, Task
from .cleaning import raw_signal
from .fit_plan import FitPlan
from .gathering import Gathered, gather, picked_electrodes, student_for
from .rehearsal import refuse_without_idle, refuse_without_spare, with_working_point
from .runtime.bundle import Bundle, join_parts
from .runtime.card import Card, CardData, CardInput, CardWindow, versions_now
from .runtime.catalog import find
from .runtime.messages import Samples, StreamSpec
from .runtime.settings import build
from .training_sources import Progress, TrainingSource


def fit_model(
    sources: Sequence[TrainingSource],
    plan: FitPlan,
    progress: Progress = lambda what, done, of: None,
) -> Bundle:
    """Fit a model in one way; see `fit_best`."""
    return fit_best(sources, [plan], progress)


def fit_best(
    sources: Sequence[TrainingSource],
    plans: Sequence[FitPlan],
    progress: Progress = lambda what, done, of: None,
) -> Bundle:
    """Fit a model on labelled recordings, in the way that does best on trials it has not seen.

    Parameters
    ----------
    sources : sequence of TrainingSource
        Not those that the model will be judged on.
    plans : sequence of FitPlan
        Ways to decode one task, in order of preference. Those that align recordings are left out
        of a comparison if there is one recording only.
    progress : callable
        Called with what is being done, how far, and of how much.

    Returns
    -------
    bundle : Bundle
        Not yet saved; its card holds the cross-validated scores, and why it was this way.

    Raises
    ------
    RecordingError
        If a recording has no trial of the classes.
    BundleError
        If the recordings' channels or rates differ.
    ConfigError
        If a class has too few trials, or false activations are to be kept seldom and there is no
        idle class, or no recording that could be held out whole.
    """
    task: Task = find("task", plans[0].task)
    if len(sources) == 1:
        plans = [plan for plan in plans if not plan.aligned] or plans
    if plans[0].false_per_min:
        refuse_without_idle(plans[0])
    if plans[0].learn is not None:
        return _learnt(sources, plans[0], plans[0].learn, progress)
    gathered = _shared(_gathered(sources, plans, progress))
    candidates = [candidate_of(each) for each in gathered]
    if plans[0].false_per_min:
        refuse_without_spare(candidates[0].trials)
    choice = choose(
        candidates,
        progress=lambda done, of: progress("fitting", done, of),
    )
    names = [each.name for each in choice.comparisons]
    taken = gathered[names.index(choice.name)]
    finish = taken.plan.finish or task.finish
    finished = finish(choice.fitted, taken.parts)
    finished = replace(finished, report=_told(choice.fitted, finished))
    bundle = _bundle(taken, sources, task, choice.fitted.encoder, finished)
    if not plans[0].false_per_min:
        return bundle
    return with_working_point(bundle, sources, plans[names.index(choice.name)], fit_model, progress)


def _told(fitted: Fitted[Any], finished: Finished) -> dict[str, Any]:
    """What the card says; plainly, where what serves is not the reader that was judged."""
    report = {**fitted.report, **finished.report}
    if finished.adapter is fitted.adapter:
        return report
    report.setdefault(
        "served",
        f"These figures are the linear reader's, trial by trial. What serves is made from it (the "
        f"adapter {finished.kind}) and was not judged here: replay a recording that it was not "
        f"fitted on.",
    )
    if "promise" in report:
        report["promise"] = (
            "No share of errors is promised: what serves decides by a rule of its own, not by the "
            "linear reader's."
        )
    return report


def _learnt(
    sources: Sequence[TrainingSource],
    plan: FitPlan,
    learn: Callable[[Heard], Finished],
    progress: Progress,
) -> Bundle:
    """A model of a task in which no window is right or wrong."""
    plan, found = _tuned(sources, plan)
    gathered = gather(sources, plan, progress)
    windows, fit_encoder = _learning(gathered)
    encoder = fit_encoder(windows, _joined(gathered, "labels"))
    stops = np.cumsum([len(part.labels) for part in gathered.parts])[:-1]
    heard = Heard(
        encoder=encoder,
        features=tuple(np.split(encoder.encode_many(windows), stops)),
        parts=tuple(gathered.parts),
        classes=gathered.plan.span.classes,
        progress=progress,
    )
    task: Task = find("task", gathered.plan.task)
    finished = learn(heard)
    finished = replace(finished, report={**found, **finished.report})
    return _bundle(gathered, sources, task, encoder, finished)


def _tuned(sources: Sequence[TrainingSource], plan: FitPlan) -> tuple[FitPlan, dict[str, Any]]:
    """The plan with the person's own conditioning, and what was found."""
    if plan.tune is None:
        return plan, {}
    samples, spec = raw_signal(sources, plan.conditioning.pick)
    found = plan.tune(samples, spec.rate_hz, plan.conditioning)
    return replace(plan, conditioning=found.conditioning), found.report


def _bundle(
    gathered: Gathered,
    sources: Sequence[TrainingSource],
    task: Task,
    encoder: Any,
    finished: Finished,
) -> Bundle:
    learnt = join_parts(
        conditioner=gathered.arrays,
        encoder=encoder.to_arrays(),
        adapter=finished.adapter.to_arrays(),
    )
    return Bundle(card=_card(gathered, sources, task, encoder, finished), arrays=learnt)


def _gathered(
    sources: Sequence[TrainingSource], plans: Sequence[FitPlan], progress: Progress
) -> list[Gathered]:
    """What every plan learns from; ways that are served the same signal share one pass."""
    known: dict[Hashable, Gathered] = {}
    found = []
    for plan in plans:
        # A student's features are gathered with its windows.
        heard_by = None
        if plan.encoder == "student":
            heard_by = (plan.encoder, plan.student, bool(plan.settings))
        span = plan.learns_from or plan.span
        key = (plan.conditioning, span, plan.window, plan.training_step_s, heard_by)
        if key not in known:
            known[key] = gather(sources, plan, progress)
        each = known[key]
        found.append(replace(each, plan=replace(plan, conditioning=each.plan.conditioning)))
    return found


def _shared(gathered: Sequence[Gathered]) -> list[Gathered]:
    """The same trials for every way: filters settle at other times, electrodes fail at others."""
    if len(gathered) == 1:
        return list(gathered)
    kept = shared_trials([(_place(each), _joined(each, "cues")) for each in gathered])
    found = []
    for each, keep in zip(gathered, kept, strict=True):
        stops = np.cumsum([len(part.labels) for part in each.parts])[:-1]
        pieces = zip(each.parts, np.split(keep, stops), strict=True)
        found.append(replace(each, parts=[part.only(piece) for part, piece in pieces]))
    return found


def _place(gathered: Gathered) -> np.ndarray[Any, Any]:
    """Recording of each window."""
    counts = [len(part.labels) for part in gathered.parts]
    return np.repeat(np.arange(len(counts)), counts)


def _joined(gathered: Gathered, name: str) -> np.ndarray[Any, Any]:
    return np.concatenate([getattr(part, name) for part in gathered.parts])


def candidate_of(gathered: Gathered) -> Candidate:
    """One way to decode, ready to be cross-validated."""
    plan, places = gathered.plan, _place(gathered)
    inputs, fit_encoder = _learning(gathered)
    config = FitConfig(
        classifier=plan.classifier,
        priors=plan.priors,
        scale=plan.scale,
        promised_error=plan.promised_error,
    )
    parts = [replace(config, classifier=way.classifier, scale=way.scale) for way in plan.parts]
    # A cue's sample names a trial within its recording.
    trials = Trials.of(
        _joined(gathered, "labels"), _joined(gathered, "cues"), places, n_windows=len(places)
    )
    return Candidate(
        name=plan.name or plan.encoder,
        windows=inputs,
        trials=trials,
        fit_encoder=fit_encoder,
        aligned=plan.aligned,
        config=replace(config, parts=tuple(parts)),
    )


def _learning(gathered: Gathered) -> tuple[Samples, Callable[..., Any]]:
    """What a fold learns from, and how: windows, or what a student made of them as it streamed."""
    plan, parts = gathered.plan, gathered.parts
    encoder = find("encoder", plan.encoder)
    if plan.encoder == "student":
        student = student_for(plan, parts[0].conditioned)
        heard = [part.features for part in parts if part.features is not None]
        return np.concatenate(heard), _reading(student, plan.settings)
    made = [(way.encoder, _settings(gathered, way.encoder, way.settings)) for way in plan.parts]
    named = [{"encoder": name, "settings": dataclasses.asdict(one)} for name, one in made]
    if named:
        settings = build(encoder.Config, {"parts": named}, plan.encoder)
    else:
        settings = _settings(gathered, plan.encoder, plan.settings)
    windows = np.concatenate([part.windows for part in parts])
    if plan.aligned:
        return windows, lambda windows, labels, recordings: encoder.fit(
            windows, labels, settings, recordings
        )
    return windows, lambda windows, labels: encoder.fit(windows, labels, settings)


def _reading(student: Any, settings: Mapping[str, Any]) -> Callable[..., Any]:
    """How a fold learns from what a student heard: what is usual, or weights as well."""
    if not settings:
        return lambda features, _: student.taught(features)
    from .decoders.student_tuning import tune
    from .decoders.student_tuning_config import StudentTuningConfig

    config = build(StudentTuningConfig, settings, "student_tuned")
    return lambda inputs, labels: tune(student, inputs, labels, config)


def _settings(gathered: Gathered, encoder: str, chosen: Mapping[str, Any]) -> Any:
    """An encoder's settings: what was chosen, and what follows from the signal it is served."""
    conditioned = gathered.parts[0].conditioned
    n_bands = max(1, len(gathered.plan.conditioning.bands_hz))
    follows = {
        "n_bands": n_bands,
        "rate_hz": conditioned.rate_hz,
        # Of three electrodes come no two pairs of filters.
        "n_pairs": max(1, min(2, conditioned.n_channels // n_bands // 2)),
    }
    config = find("encoder", encoder).Config
    fields = {field.name for field in dataclasses.fields(config)}
    given = {name: value for name, value in follows.items() if name in fields}
    return config(**{**given, **chosen})


def _card(
    gathered: Gathered,
    sources: Sequence[TrainingSource],
    task: Task,
    encoder: Any,
    finished: Finished,
) -> Card:
    plan, parts = gathered.plan, gathered.parts
    first, rate_hz = parts[0], parts[0].spec.rate_hz
    bands = plan.conditioning.bands_hz or ((plan.conditioning.high_pass_hz, rate_hz / 2),)
    picked = picked_electrodes(plan, first.spec)
    # Named channels make the model independent of their order in a later stream.
    conditioning = replace(plan.conditioning, pick=picked)
    return Card(
        task=task.name,
        classes=finished.adapter.classes,
        encoder=plan.encoder,
        adapter=finished.kind,
        encoder_config=dataclasses.asdict(encoder.config),
        adapter_config=dataclasses.asdict(finished.adapter.config),
        conditioning=dataclasses.asdict(conditioning),
        input=CardInput.of(_kept(first.spec, picked)),
        conditioned_rows=first.conditioned.channel_names,
        window=CardWindow.of(plan.window, rate_hz),
        reference=plan.conditioning.reference,
        band=(min(low for low, _ in bands), max(high for _, high in bands)),
        trained_on=tuple(
            CardData(
                data_id=source.data_id,
                name=source.name,
                seconds=part.n_samples / rate_hz,
                n_trials=len(np.unique(part.trials)),
            )
            for source, part in zip(sources, parts, strict=True)
        ),
        scores=_scores(gathered, finished),
        feedback=dict(task.feedback),
        versions=versions_now(),
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _scores(gathered: Gathered, finished: Finished) -> dict[str, Any]:
    span = gathered.plan.span
    scores = {**finished.report, "span_s": [span.start_s, span.stop_s]}
    if gathered.left_out:
        scores["electrodes_left_out"] = gathered.left_out
    return scores


def _kept(spec: StreamSpec, names: tuple[str, ...]) -> StreamSpec:
    """The stream with nothing but the channels that the model looks at."""
    kept = {channel.name: channel for channel in spec.channels if channel.name in names}
    return replace(spec, channels=tuple(kept[name] for name in names))
