"""From settings to running stages: the one place where the folders meet.

`fit_model` makes a bundle from labelled recordings, `open_model` makes stages from a bundle, and
`assemble` makes a loop from a session.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from .runtime.bundle import Bundle, join_parts, load_bundle
from .runtime.card import Card, CardData, CardInput, CardWindow, pick_rows, versions_now
from .runtime.catalog import find
from .runtime.clock import MonotonicClock, VirtualClock
from .runtime.collection import Collected, TrialSpan, collect
from .runtime.errors import BundleError, ConfigError
from .runtime.fanout import FanOut
from .runtime.feedback import EvidenceFeedback
from .runtime.guard import Guard, Signal
from .runtime.loop import Loop
from .runtime.loop_config import Stages
from .runtime.messages import Promotion, StreamSpec
from .runtime.record.tape import Tape
from .runtime.session import SessionConfig, build
from .runtime.signal.conditioning import ConditionConfig, StreamConditioner
from .runtime.stages import Adapter, Clock, Encoder, Sink, Source, Watcher
from .runtime.windows import WindowConfig

MOTOR_IMAGERY = ConditionConfig(
    reference="average",
    bands_hz=((8.0, 12.0), (12.0, 16.0), (16.0, 22.0), (22.0, 30.0)),
    order=2,
)
"""Conditioning of a motor-imagery model: mu and beta rhythms, average reference.

Second order delays by 0.12 s, fourth by 0.24 s; within calibration runs they decode alike.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitPlan:
    """What a model is to be fitted for, and how.

    Parameters
    ----------
    span : TrialSpan
        Classes, and the part of a trial that counts.
    encoder : str
        ``"filterbank_covariance"`` or ``"csp"``.
    conditioning : ConditionConfig
        Picks every brain channel unless it names some.
    window : WindowConfig
        Length for training and serving, step for serving.
    training_step_s : float
        From one training window to the next: neighbours overlap, so a tenth of a second would
        multiply the work and add little.
    """

    span: TrialSpan
    encoder: str = "filterbank_covariance"
    conditioning: ConditionConfig = MOTOR_IMAGERY
    window: WindowConfig = dataclasses.field(default_factory=lambda: WindowConfig(length_s=2.0))
    training_step_s: float = 0.5

    def __post_init__(self) -> None:
        if self.span.stop_s - self.span.start_s < self.window.length_s:
            raise ConfigError(
                f"A window of {self.window.length_s:g} s does not fit between "
                f"{self.span.start_s:g} and {self.span.stop_s:g} s after the cue: shorten it."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A bundle's stages, ready to run.

    Parameters
    ----------
    card : Card
        What the model is.
    sha256 : str
        The bundle's hash.
    conditioner, encoder, adapter : objects
        As they were fitted.
    window : WindowConfig
        How to cut.
    bundle : Bundle
        What they were made from.
    """

    card: Card
    sha256: str
    conditioner: StreamConditioner
    encoder: Encoder
    adapter: Adapter
    window: WindowConfig
    bundle: Bundle

    def accept(self, spec: StreamSpec) -> None:
        """Raise `SchemaMismatch`, saying how, if the model was not fitted on such a stream."""
        pick_rows(self.card, spec)


def open_model(bundle: Bundle, step_s: float | None = None) -> Model:
    """Make the stages that a bundle describes.

    Parameters
    ----------
    bundle : Bundle
        From `load_bundle` or `fit_model`.
    step_s : float, optional
        Another window step than the model's.

    Returns
    -------
    model : Model
        Fresh stages.

    Raises
    ------
    BundleError, ConfigError
        If the card and the arrays do not describe them.
    """
    card = bundle.card
    encoder, adapter = find("encoder", card.encoder), find("adapter", card.adapter)
    settings = build(encoder.Config, card.encoder_config, "card.encoder_config")
    adapter_settings = build(adapter.Config, card.adapter_config, "card.adapter_config")
    conditioning = build(ConditionConfig, card.conditioning, "card.conditioning")
    return Model(
        card=card,
        sha256=card.sha256,
        conditioner=StreamConditioner(conditioning),
        encoder=encoder.from_arrays(settings, bundle.part("encoder")),
        adapter=adapter.from_arrays(adapter_settings, bundle.part("adapter"), epoch=card.epoch),
        window=WindowConfig(length_s=card.window.length_s, step_s=step_s or card.window.step_s),
        bundle=bundle,
    )


def open_adapter(promotion: Promotion) -> Adapter:
    """Make the adapter that a promotion describes.

    Parameters
    ----------
    promotion : Promotion
        From a learner, or from a recording.

    Returns
    -------
    adapter : Adapter
        Ready to take over.
    """
    kind = find("adapter", promotion.kind)
    settings = build(kind.Config, promotion.settings, "promotion.settings")
    adapter: Adapter = kind.from_arrays(settings, promotion.arrays, epoch=promotion.epoch)
    return adapter


def assemble(
    session: SessionConfig,
    *,
    clock: Clock | None = None,
    watchers: Sequence[Watcher] = (),
    armed: bool = False,
    model: Model | None = None,
    tape: Tape | None = None,
) -> Loop:
    """Make a loop from a session.

    Parameters
    ----------
    session : SessionConfig
        Checked settings.
    clock : Clock, optional
        The machine's monotonic clock if not given.
    watchers : sequence of Watcher
        Who else is told.
    armed : bool
        True only if a person asked for it.
    model : Model, optional
        Instead of the session's own.
    tape : Tape, optional
        Notes what determines the run.

    Returns
    -------
    loop : Loop
        Not yet running.
    """
    clock = clock or MonotonicClock()
    model = model or open_model(load_bundle(session.model), session.step_s)
    source: Source = find("source", session.source.kind)(session.source.settings, clock)
    sinks: list[Sink] = [find("sink", sink.kind)(sink.settings) for sink in session.sinks]
    if isinstance(source, Sink):
        sinks.append(source)  # a simulated participant sees the feedback
    guard = tape.guard if tape else Guard()
    if armed:
        guard.tell(Signal.PERSON_ARMS)
    stages = Stages(
        source=tape.source(source) if tape else source,
        conditioner=model.conditioner,
        encoder=model.encoder,
        adapter=model.adapter,
        feedback=EvidenceFeedback(session.feedback),
        sinks=sinks,
    )
    return Loop(
        stages,
        clock=tape.clock if tape else clock,
        window=model.window,
        config=session.loop,
        guard=guard,
        fanout=FanOut(watchers),
        promotions=tape.promotions if tape else None,
        accept=model.accept,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSource:
    """One recording to fit on.

    Parameters
    ----------
    name : str
        What the card calls it.
    data_id : str
        SHA-256 of the recording, or a name that says how to make it again.
    make : callable
        From a clock to the source.
    """

    name: str
    data_id: str
    make: Callable[[Clock], Source]


def recordings(paths: Sequence[Path], assume_unit: str | None = None) -> list[TrainingSource]:
    """Recordings as training sources.

    Parameters
    ----------
    paths : sequence of Path
        Files that `diverloop.hardware.recordings` reads.
    assume_unit : str, optional
        Unit where a file names none.

    Returns
    -------
    sources : list of TrainingSource
        In the order given.
    """
    replay = find("source", "replay")

    def source(path: Path) -> TrainingSource:
        settings = replay.Config(path=str(path), assume_unit=assume_unit)
        recording = replay(settings, VirtualClock()).recording
        return TrainingSource(
            name=path.name,
            data_id=recording.data_id,
            make=lambda clock: replay(settings, clock),
        )

    return [source(path) for path in paths]


def fit_model(
    sources: Sequence[TrainingSource],
    plan: FitPlan,
    progress: Callable[[str, int, int], None] = lambda what, done, of: None,
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

    parts = []
    for place, source in enumerate(sources):
        progress(f"conditioning {source.name}", place, len(sources))
        parts.append(_collect(source, plan))
    _refuse_mixture(parts, sources)
    encoder = find("encoder", plan.encoder)
    settings = encoder.Config(n_bands=max(1, len(plan.conditioning.bands_hz)))
    offsets = np.cumsum([0, *(part.trials.max() + 1 for part in parts)])
    fitted = fit_motor_imagery(
        np.concatenate([part.windows for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.trials + o for part, o in zip(parts, offsets, strict=False)]),
        np.concatenate([np.full(len(part.labels), place) for place, part in enumerate(parts)]),
        fit_encoder=lambda windows, labels: encoder.fit(windows, labels, settings),
        config=FitConfig(classifier="lda" if plan.encoder == "csp" else "logistic"),
        progress=lambda done, of: progress("fitting", done, of),
    )
    card = _card(plan, sources, parts, settings, fitted)
    arrays = join_parts(encoder=fitted.encoder.to_arrays(), adapter=fitted.adapter.to_arrays())
    return Bundle(card=card, arrays=arrays)


def _collect(source: TrainingSource, plan: FitPlan) -> Collected:
    clock = VirtualClock()
    return collect(
        source.make(clock),
        StreamConditioner(plan.conditioning),
        clock,
        window=replace(plan.window, step_s=plan.training_step_s),
        span=plan.span,
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
    settings: Any,
    fitted: Any,
) -> Card:
    first, rate_hz = parts[0], parts[0].spec.rate_hz
    bands = plan.conditioning.bands_hz or ((plan.conditioning.high_pass_hz, rate_hz / 2),)
    rows = (name.rpartition("/")[2] for name in first.conditioned.channel_names)
    picked = tuple(dict.fromkeys(rows))
    # Named channels make the model independent of their order in a later stream.
    conditioning = replace(plan.conditioning, pick=picked)
    return Card(
        task="motor_imagery",
        classes=fitted.adapter.classes,
        encoder=plan.encoder,
        adapter="linear",
        encoder_config=dataclasses.asdict(settings),
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
                n_trials=int(part.trials.max()) + 1,
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
