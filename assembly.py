"""From settings to running stages: the one place where the folders meet.

`open_model` makes stages from a bundle, and `assemble` makes a loop from a session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

from .adapter_settings import adapter_settings
from .flicker_lock import allow
from .hardware.mapped import mapped_as
from .hardware.side_streams import SideStreams, sides_of
from .runtime.beside import Company
from .runtime.bundle import Bundle
from .runtime.card import Card, pick_rows
from .runtime.catalog import find
from .runtime.clock import MonotonicClock
from .runtime.errors import ConfigError
from .runtime.fanout import DirectFanOut, FanOut
from .runtime.guard import Guard, Signal
from .runtime.loop import Loop
from .runtime.loop_config import Stages
from .runtime.messages import Promotion, StreamSpec
from .runtime.paradigms.flicker import Unlock
from .runtime.plug import Plug
from .runtime.record.tape import Tape
from .runtime.security import vouch
from .runtime.session import SessionConfig, session_bundle
from .runtime.settings import build
from .runtime.signal.condition_config import ConditionConfig
from .runtime.signal.conditioning import StreamConditioner
from .runtime.stages import Adapter, Clock, Encoder, Feedback, Sink, Source, Watcher
from .runtime.stimulator import Attends, Permit
from .runtime.windows import WindowConfig


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
    engine : str
        What runs the encoder, ``"NAME:PRECISION"``; empty for an encoder that runs by itself.
    notes : tuple of str
        What a person should know of how the engine was chosen.
    """

    card: Card
    sha256: str
    conditioner: StreamConditioner
    encoder: Encoder
    adapter: Adapter
    window: WindowConfig
    bundle: Bundle
    engine: str = ""
    notes: tuple[str, ...] = ()

    def conditioner_for(self, session: SessionConfig) -> StreamConditioner:
        """A fresh conditioner that also looks for what the session names.

        Raises `SchemaMismatch` if the session asks for another signal than the model was
        fitted on.
        """
        config = self.conditioner.config.served_as(session.conditioning)
        return StreamConditioner(config, self.conditioner.arrays)

    def feedback_for(self, session: SessionConfig) -> Feedback:
        """How decisions become commands: the model's own way, but for what the session names.

        Raises `ConfigError` if the session names settings of another kind than the model's, and
        not the kind; or if the two together make no feedback.
        """
        own, named = dict(self.card.feedback), dict(session.feedback)
        own_kind, kind = own.pop("kind", "evidence"), named.pop("kind", "")
        if named and not kind and own_kind != "evidence":
            raise ConfigError(
                f"The model's feedback is {own_kind}, and [feedback] of the session names none: "
                f'add kind = "{own_kind}", or "evidence" to have that instead.'
            )
        kind = kind or own_kind
        cls = find("feedback", kind)
        settings = build(cls.Config, {**(own if kind == own_kind else {}), **named}, "feedback")
        made: Feedback = cls(settings, self.card.classes)
        return made

    def window_for(self, session: SessionConfig) -> WindowConfig:
        """How to cut a stream of the session's device, whose delay is known or not."""
        return replace(self.window, device_delay_s=session.timing.offset_s)

    def accept(self, spec: StreamSpec) -> None:
        """Raise `SchemaMismatch`, saying how, if the model was not fitted on such a stream."""
        pick_rows(self.card, spec)


def timing_doubts(session: SessionConfig, card: Card, today: date) -> tuple[str, ...]:
    """What a person should know of the delay that a session corrects, or does not.

    Parameters
    ----------
    session : SessionConfig
        Checked settings.
    card : Card
        Of the model that decodes.
    today : date
        The day of the session.

    Returns
    -------
    doubts : tuple of str
        One sentence each.
    """
    doubts = [session.timing.warning(today)]
    fitted, served = bool(card.window.device_delay_s), bool(session.timing.offset_ms)
    if card.window.lock_to and fitted is not served:
        doubts.append(
            "The model was fitted on windows that were "
            + (
                "moved by a device's measured delay, and this session moves none: add [timing]."
                if fitted
                else "not moved by a device's delay, and this session moves them: fit it again "
                "with --timing."
            )
        )
    return tuple(doubt for doubt in doubts if doubt)


def open_model(
    bundle: Bundle,
    step_s: float | None = None,
    *,
    adapter: Mapping[str, Any] | None = None,
    engine: str = "auto",
    fallback: bool = True,
) -> Model:
    """Make the stages that a bundle describes.

    Parameters
    ----------
    bundle : Bundle
        From `diverloop.runtime.bundle.load_bundle` or `fit_model`.
    step_s : float, optional
        Another window step than the model's.
    adapter : mapping, optional
        Settings of the adapter in place of the model's, see `SessionConfig`.
    engine : str
        What runs a student: ``"auto"``, ``"NAME"`` or ``"NAME:PRECISION"``.
    fallback : bool
        Whether another engine may take its place.

    Returns
    -------
    model : Model
        Fresh stages.

    Raises
    ------
    BundleError, ConfigError
        If the card and the arrays do not describe them.
    EngineError
        If nothing that may run the student can.
    """
    from .decoders.engines.opening import EngineChoice, open_engine

    choice = EngineChoice.parse(engine, fallback=fallback)
    card, encoder = bundle.card, open_encoder(bundle)
    kind = find("adapter", card.adapter)
    settings = adapter_settings(kind, card, adapter or {})
    runs, notes = "", tuple[str, ...]()
    if card.encoder == "student":
        opened = open_engine(encoder, bundle, choice)
        encoder.engine, runs, notes = opened.engine, opened.choice, opened.notes
    elif choice.name != "auto":
        notes = (f"This model has no student, so the engine {engine} has nothing to run.",)
    return Model(
        card=card,
        sha256=card.sha256,
        conditioner=open_conditioner(bundle),
        encoder=encoder,
        adapter=kind.from_arrays(settings, bundle.part("adapter"), epoch=card.epoch),
        window=card.window.config(step_s),
        bundle=bundle,
        engine=runs,
        notes=notes,
    )


def open_encoder(bundle: Bundle) -> Any:
    """The encoder that a bundle describes, without an engine.

    Parameters
    ----------
    bundle : Bundle
        Any.

    Returns
    -------
    encoder : Encoder
        Of the class that the card names.
    """
    kind = find("encoder", bundle.card.encoder)
    settings = build(kind.Config, bundle.card.encoder_config, "card.encoder_config")
    return kind.from_arrays(settings, bundle.part("encoder"))


def open_conditioner(bundle: Bundle) -> StreamConditioner:
    """The conditioner that a bundle describes, fresh.

    Parameters
    ----------
    bundle : Bundle
        Any.

    Returns
    -------
    conditioner : StreamConditioner
        Not yet open.
    """
    config = build(ConditionConfig, bundle.card.conditioning, "card.conditioning")
    return StreamConditioner(config, bundle.part("conditioner"))


def open_session_model(session: SessionConfig, *, live: bool = True) -> Model:
    """The model that a session names.

    Raises what `session_bundle`, `vouch` and `open_model` raise.

    Parameters
    ----------
    session : SessionConfig
        Checked settings.
    live : bool
        False for a replay, which takes a model whoever has signed it.

    Returns
    -------
    model : Model
        Fresh stages.
    """
    bundle = session_bundle(session)
    vouch(bundle, session.security, live=live)
    return open_model(
        bundle,
        session.step_s,
        adapter=session.adapter,
        engine=session.engine,
        fallback=session.engine_fallback,
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
    unlock: Unlock | None = None,
    watched: bool = False,
    stimulation: Permit = lambda: None,
    prompt: bool = False,
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
    unlock : Unlock, optional
        Who takes responsibility for flicker that the participant's profile refuses.
    watched : bool
        Whether a watchdog holds the sinks that act outside this program: for live sessions.
    stimulation : callable
        Says who has enabled stimulation, if anybody has; nobody by default.
    prompt : bool
        Whether watchers are told in the loop's own thread: for runs on a clock that waits, in
        which what a watcher does must come at the same moment each time.

    Returns
    -------
    loop : Loop
        Not yet running; it opens no stream that the model or the profile refuses.
    """
    session.lsl.use()
    clock = clock or MonotonicClock()
    model = model or open_session_model(session)
    source: Source = find("source", session.source.kind)(session.source.settings, clock)
    company = Company.of(session, model.card)
    guard = tape.guard if tape else Guard(session.guard)
    if armed:
        guard.tell(Signal.PERSON_ARMS)
    fanout = DirectFanOut(watchers) if prompt else FanOut(watchers)
    plug, sinks = _sinks(session, guard, fanout, watched=watched)
    if isinstance(source, Sink):
        sinks.append(source)  # a simulated participant sees the feedback
    source = mapped_as(session.montage, source)
    source = _attended(source, sinks, clock, guard, stimulation)
    if session.beside:
        source = SideStreams(source, sides_of(session.beside, clock), clock)
    stages = Stages(
        source=tape.source(source) if tape else source,
        conditioner=model.conditioner_for(session),
        encoder=model.encoder,
        adapter=model.adapter,
        feedback=model.feedback_for(session),
        sinks=sinks,
    )
    stages = company.attend(stages) if company else stages

    def accept(spec: StreamSpec) -> None:
        model.accept(spec)
        session.timing.check(spec)
        allow(session, model.card, {channel.kind for channel in spec.channels}, unlock)

    return Loop(
        stages,
        clock=tape.clock if tape else clock,
        window=model.window_for(session),
        config=session.loop,
        guard=guard,
        fanout=fanout,
        promotions=tape.promotions if tape else None,
        inbox=tape.inbox if tape else None,
        accept=accept,
        beat=plug.beat if plug else None,
    )


def _attended(
    source: Source, sinks: Sequence[Sink], clock: Clock, guard: Guard, stimulation: Permit
) -> Source:
    """The source, with the sinks in front of it that have to see what comes."""
    # A disk is slow, and time that is passed in does not wait for it.
    live = isinstance(clock, MonotonicClock)
    for sink in sinks:
        if isinstance(sink, Attends):
            source = sink.attend(
                source, clock=clock, guard=guard, permission=stimulation, background=live
            )
    return source


def _sinks(
    session: SessionConfig, guard: Guard, fanout: FanOut, *, watched: bool
) -> tuple[Plug | None, list[Sink]]:
    """A session's sinks; those that act outside this program behind one plug, if it is watched."""
    outside = [part for part in session.sinks if getattr(find("sink", part.kind), "outside", False)]
    if not (watched and session.watchdog.on and outside):
        return None, [find("sink", part.kind)(part.settings) for part in session.sinks]
    disarm = partial(guard.tell, Signal.WATCHDOG)
    plug = Plug(outside, session.watchdog, disarm=disarm, tell=fanout.say)
    guard.alarms.append(plug.stop)
    inside = [part for part in session.sinks if part not in outside]
    return plug, [*(find("sink", part.kind)(part.settings) for part in inside), plug]
