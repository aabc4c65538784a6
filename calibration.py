"""From labelled recordings to a model: condition, clean, cut, fit, write the card.

The recordings pass through the live loop, on a clock that jumps: what a model learns from is what
it will be served.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from .cleaning import learn_to_clean
from .runtime.bundle import Arrays, Bundle, join_parts
from .runtime.card import Card, CardData, CardInput, CardWindow, versions_now
from .runtime.catalog import find
from .runtime.clock import VirtualClock
from .runtime.collection import Collected, TrialSpan, collect
from .runtime.errors import BundleError, ConfigError, RecordingError
from .runtime.messages import Samples, StreamSpec
from .runtime.signal.bad_channels import BadChannelConfig
from .runtime.signal.condition_config import ConditionConfig
from .runtime.signal.conditioning import StreamConditioner, rows_to_keep
from .runtime.windows import WindowConfig
from .training_sources import Progress, TrainingSource

_OFTEN_BAD = 0.2  # share of the calibration's windows

MOTOR_IMAGERY = ConditionConfig(
    reference="average",
    bands_hz=((8.0, 12.0), (12.0, 16.0), (16.0, 22.0), (22.0, 30.0)),
    order=2,
    bad_channels=BadChannelConfig(),
)
"""Conditioning of a motor-imagery model: mu and beta rhythms, average reference.

Second order delays by 0.12 s, fourth by 0.24 s; within calibration runs they decode alike.
"""

BROADBAND = ConditionConfig(
    reference="average", high_pass_hz=0.3, order=2, rate_hz=500.0, bad_channels=BadChannelConfig()
)
"""Conditioning for a student: everything above the drifts, at the rate it was distilled at."""


def usual_conditioning(encoder: str) -> ConditionConfig:
    """What an encoder is served unless somebody chooses."""
    return BROADBAND if encoder == "student" else MOTOR_IMAGERY


@dataclass(frozen=True, slots=True, kw_only=True)
class FitPlan:
    """What a model is to be fitted for, and how.

    Parameters
    ----------
    span : TrialSpan
        Classes, and the part of a trial that counts.
    encoder : str
        ``"filterbank_covariance"``, ``"csp"`` or ``"student"``.
    conditioning : ConditionConfig
        Picks every brain channel unless it names some; see `usual_conditioning`.
    student : str
        For ``"student"``: a shipped one, or the path of one; empty chooses by the electrodes.
    window : WindowConfig
        Length for training and serving, step for serving.
    training_step_s : float
        From one training window to the next: neighbours overlap, so a tenth of a second would
        multiply the work and add little. An encoder that streams hears every window all the same.
    """

    span: TrialSpan
    encoder: str = "filterbank_covariance"
    conditioning: ConditionConfig = MOTOR_IMAGERY
    student: str = ""
    window: WindowConfig = dataclasses.field(default_factory=lambda: WindowConfig(length_s=2.0))
    training_step_s: float = 0.5

    def __post_init__(self) -> None:
        if self.span.stop_s - self.span.start_s < self.window.length_s:
            raise ConfigError(
                f"A window of {self.window.length_s:g} s does not fit between "
                f"{self.span.start_s:g} and {self.span.stop_s:g} s after the cue: shorten it."
            )


def fit_model(
    sources: Sequence[TrainingSource],
    plan: FitPlan,
    progress: Progress = lambda what, done, of: None,
) -> Bundle:
    """Fit a motor-imagery model on labelled recordings.

    The recordings pass through the live loop, on a clock that jumps: what the model learns from
    is what it will be served.

    Parameters
    ----------
    sources : sequence of TrainingSource
        Not those that the model will be judged on.
    plan : FitPlan
        What to fit.
    progress : callable
        Called with what is being done, how far, and of how much.

    Returns
    -------
    bundle : Bundle
        Not yet saved; its card holds the cross-validated scores.

    Raises
    ------
    RecordingError
        If a recording has no trial of the classes.
    BundleError
        If the recordings' channels or rates differ.
    """
    from .adapters.fitting import FitConfig, fit_motor_imagery

    plan, arrays, parts, left_out = _good_windows(sources, plan, progress)
    offsets = np.cumsum([0, *(part.trials.max() + 1 for part in parts)])
    inputs, fit_encoder = _learning(plan, parts)
    fitted = fit_motor_imagery(
        inputs,
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.trials + o for part, o in zip(parts, offsets, strict=False)]),
        np.concatenate([np.full(len(part.labels), place) for place, part in enumerate(parts)]),
        fit_encoder=fit_encoder,
        config=FitConfig(classifier="lda" if plan.encoder == "csp" else "logistic"),
        progress=lambda done, of: progress("fitting", done, of),
    )
    card = _card(plan, sources, parts, fitted)
    if left_out:
        card = replace(card, scores={**card.scores, "electrodes_left_out": left_out})
    learnt = join_parts(
        conditioner=arrays, encoder=fitted.encoder.to_arrays(), adapter=fitted.adapter.to_arrays()
    )
    return Bundle(card=card, arrays=learnt)


def _learning(plan: FitPlan, parts: Sequence[Collected]) -> tuple[Samples, Callable[..., Any]]:
    """What a fold learns from, and how: windows, or what a student made of them as it streamed."""
    encoder = find("encoder", plan.encoder)
    if plan.encoder == "student":
        student = _student(plan, parts[0].conditioned)
        heard = [part.features for part in parts if part.features is not None]
        return np.concatenate(heard), lambda features, _: student.taught(features)
    settings = encoder.Config(n_bands=max(1, len(plan.conditioning.bands_hz)))
    windows = np.concatenate([part.windows for part in parts])
    return windows, lambda windows, labels: encoder.fit(windows, labels, settings)


def _student(plan: FitPlan, conditioned: StreamSpec) -> Any:
    """The plan's student on the rows of a conditioned stream, before it knows the person."""
    from .decoders.engines.opening import untaught
    from .hardware.montage import with_places

    config = find("encoder", "student").Config
    return untaught(config.for_stream(with_places(conditioned), plan.student))


def _good_windows(
    sources: Sequence[TrainingSource], plan: FitPlan, progress: Progress
) -> tuple[FitPlan, Arrays, list[Collected], list[str]]:
    """Windows of good electrodes alone; those that were often bad are left out of the model."""
    arrays = learn_to_clean(sources, plan.conditioning, progress)
    parts = []
    for place, source in enumerate(sources):
        progress(f"conditioning {source.name}", place, len(sources))
        parts.append(_collect(source, plan, arrays))
    _refuse_mixture(parts, sources)
    picked = _picked(plan, parts[0].spec)
    left_out = _often_bad(picked, parts)
    if left_out:
        kept = tuple(name for name in picked if name not in left_out)
        if not kept:
            raise RecordingError(
                f"Every electrode was bad in more than {_OFTEN_BAD:.0%} of the calibration: record "
                f"it again, or fit without conditioning.bad_channels."
            )
        narrower = replace(plan, conditioning=_without(plan.conditioning, kept))
        plan, arrays, parts, more = _good_windows(sources, narrower, progress)
        return plan, arrays, parts, [*left_out, *more]
    whole = [part.whole() for part in parts]
    lost = [s.name for s, part in zip(sources, whole, strict=True) if not len(part.windows)]
    if lost:
        raise RecordingError(
            f"{', '.join(lost)} has no window in which every electrode is good: record it again, "
            f"or fit without conditioning.bad_channels."
        )
    return plan, arrays, whole, []


def _picked(plan: FitPlan, spec: StreamSpec) -> tuple[str, ...]:
    """Electrodes that go into the chain; what comes out may have other names."""
    return tuple(spec.channel_names[row] for row in rows_to_keep(plan.conditioning.pick, spec))


def _without(config: ConditionConfig, kept: tuple[str, ...]) -> ConditionConfig:
    """The same conditioning of fewer electrodes."""
    groups = [tuple(name for name in group if name in kept) for group in config.reference_groups]
    return replace(config, pick=kept, reference_groups=tuple(group for group in groups if group))


def _often_bad(picked: tuple[str, ...], parts: Sequence[Collected]) -> list[str]:
    """Electrodes of which no row was good for most of the calibration."""
    rows = [row.rpartition("/")[2] for row in parts[0].conditioned.channel_names]
    usable = np.concatenate([part.usable for part in parts])
    good = usable.mean(axis=0) >= 1 - _OFTEN_BAD
    # A bipolar row is named after both of its contacts.
    of = {
        name: [r for r, row in enumerate(rows) if name in (row, *row.split("-"))] for name in picked
    }
    return sorted(name for name in picked if of[name] and not good[of[name]].any())


def _collect(source: TrainingSource, plan: FitPlan, arrays: Arrays) -> Collected:
    clock = VirtualClock()
    streams = plan.encoder == "student"
    return collect(
        source.make(clock),
        StreamConditioner(plan.conditioning, arrays),
        clock,
        window=plan.window if streams else replace(plan.window, step_s=plan.training_step_s),
        span=plan.span,
        every_s=plan.training_step_s if streams else 0.0,
        make_encoder=(lambda spec: _student(plan, spec)) if streams else None,
    )


def _refuse_mixture(parts: list[Collected], sources: Sequence[TrainingSource]) -> None:
    for part, source in zip(parts, sources, strict=True):
        if part.spec.schema != parts[0].spec.schema:
            raise BundleError(
                f"{source.name} has {part.spec.n_channels} channels at {part.spec.rate_hz:g} Hz, "
                f"{sources[0].name} has {parts[0].spec.n_channels} at "
                f"{parts[0].spec.rate_hz:g} Hz, or in another order: fit them apart."
            )


def _card(
    plan: FitPlan,
    sources: Sequence[TrainingSource],
    parts: list[Collected],
    fitted: Any,
) -> Card:
    first, rate_hz = parts[0], parts[0].spec.rate_hz
    bands = plan.conditioning.bands_hz or ((plan.conditioning.high_pass_hz, rate_hz / 2),)
    picked = _picked(plan, first.spec)
    # Named channels make the model independent of their order in a later stream.
    conditioning = replace(plan.conditioning, pick=picked)
    return Card(
        task="motor_imagery",
        classes=fitted.adapter.classes,
        encoder=plan.encoder,
        adapter="linear",
        encoder_config=dataclasses.asdict(fitted.encoder.config),
        adapter_config=dataclasses.asdict(fitted.adapter.config),
        conditioning=dataclasses.asdict(conditioning),
        input=CardInput.of(_kept(first.spec, picked)),
        conditioned_rows=first.conditioned.channel_names,
        window=CardWindow(
            length_s=plan.window.length_s,
            step_s=plan.window.step_s,
            n_times=plan.window.n_times(rate_hz),
        ),
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
        scores={**fitted.report, "span_s": [plan.span.start_s, plan.span.stop_s]},
        versions=versions_now(),
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _kept(spec: StreamSpec, names: tuple[str, ...]) -> StreamSpec:
    """The stream with nothing but the channels that the model looks at."""
    kept = {channel.name: channel for channel in spec.channels if channel.name in names}
    return replace(spec, channels=tuple(kept[name] for name in names))
