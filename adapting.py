"""Adaptation, from a session's settings to the watcher that a loop gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .adapters.linear import OUTLIERS
from .adapters.task import Task
from .assembly import Model, open_adapter
from .console import err
from .controlling import adaptation_refusal
from .error_detecting import open_error_model
from .keeping import Keeping
from .rl.adaptation import Adaptation
from .rl.adaptation_parts import Learning, Neighbours, Serving
from .rl.envelope.config import EnvelopeConfig
from .rl.envelope.envelope import Envelope
from .rl.error_link import ErrorLink
from .rl.learning_here import LearningHere
from .rl.learning_link import LearningLink
from .rl.reward_desk import RewardDesk
from .runtime.adaptation_figures import AdaptationFigures
from .runtime.bundle import load_bundle
from .runtime.catalog import find
from .runtime.errors import ConfigError
from .runtime.prototype_head import PrototypeHead
from .runtime.security import vouch
from .runtime.session import SessionConfig
from .runtime.settings import build
from .runtime.stages import Clock
from .runtime.telemetry import TelemetryPublisher


def head_of(model: Model) -> PrototypeHead:
    """The head of a model's adapter.

    Parameters
    ----------
    model : Model
        Any.

    Returns
    -------
    head : PrototypeHead
        That its weights were made from.

    Raises
    ------
    ConfigError
        If it has none, so that nothing can be moved.
    """
    head = getattr(model.adapter, "head", None)
    if not isinstance(head, PrototypeHead):
        raise ConfigError(
            f"The model ({model.card.task}, {model.card.adapter}) has no prototypes that "
            f"could be moved: fit it with --adaptive, or leave [adaptation] out."
        )
    return head


def check_adaptation(session: SessionConfig, model: Model, *, live: bool = True) -> str:
    """Look whether a session can adapt as it says.

    Parameters
    ----------
    session : SessionConfig
        Checked settings.
    model : Model
        What decodes.
    live : bool
        Whether it runs in real time.

    Returns
    -------
    found : str
        What adapts, in one sentence; empty if nothing does.

    Raises
    ------
    ConfigError, BundleError
        If it cannot.
    """
    config = session.adaptation
    if not config.on:
        return ""
    head_of(model)
    envelope = _envelope_config(session)
    if live and not envelope.holds:
        raise ConfigError(
            "adaptation.envelope.holds is false, which is for studies alone: leave it out of a "
            "session with a person."
        )
    if config.error_model:
        vouch(load_bundle(config.error_model), session.security, live=live)
        open_error_model(config.error_model)
    rewards = ", ".join(config.rewards) or "no reward"
    return (
        f"{config.learner}, {rewards}, each {config.trial} a trial, at most one change in "
        f"{envelope.least_gap_s:g} s, allowed by the {config.permission}"
    )


@contextmanager
def adaptive(
    session: SessionConfig,
    model: Model,
    clock: Clock,
    keeping: Keeping | None,
    publishers: Sequence[TelemetryPublisher] = (),
    *,
    live: bool,
) -> Iterator[Adaptation | None]:
    """Make what adapts a session, if it asks for that; end its processes afterwards.

    Parameters
    ----------
    session : SessionConfig
        Checked settings.
    model : Model
        What decodes.
    clock : Clock
        The session's.
    keeping : Keeping, optional
        What keeps it, with the doors through which a clinician allows changes.
    publishers : sequence of TelemetryPublisher
        Who tells figures to whoever looks on.
    live : bool
        Whether it runs in real time; otherwise the learner learns while the run stands still, and
        there is no error detector.

    Yields
    ------
    adaptation : Adaptation or None
        A watcher, for `assemble`; the loop has to be told to it by `Adaptation.serve`.

    Raises
    ------
    ConfigError, BundleError
        If the session cannot adapt as it says.
    """
    if not check_adaptation(session, model, live=live):
        yield None
        return
    config = session.adaptation
    if live and config.permission == "clinician" and (keeping is None or keeping.doors is None):
        raise ConfigError(
            "adaptation.permission is 'clinician', but this run has no control link over which "
            "one could give it: name a folder with --recordings, or set it to 'session'."
        )
    if config.error_model and not live:
        err.print("No error potentials are read in a run that is not live.", highlight=False)
    head, scores = head_of(model), _error_scores(config.error_model)
    serving = _serving(session, model, head)
    envelope = Envelope(head, _envelope_config(session), epoch=model.adapter.epoch)

    def post(figures: AdaptationFigures) -> None:
        for publisher in publishers:
            publisher.post(figures)

    beside = Neighbours(
        rewards=RewardDesk(config, model.card.classes, scores),
        clock=clock,
        adapter_of=open_adapter,
        why_not=adaptation_refusal(config, keeping, clock),
        errors=_error_link(session) if live else None,
        audit=keeping.audit if keeping else None,
        post=post,
        # Last, because it may start a process, which nobody would end if anything here failed.
        learning=_learning(session, head, live=live),
    )
    adaptation = Adaptation(config, serving, envelope, beside)
    try:
        yield adaptation
    finally:
        adaptation.close()


def _envelope_config(session: SessionConfig) -> EnvelopeConfig:
    made: EnvelopeConfig = build(EnvelopeConfig, session.adaptation.envelope, "adaptation.envelope")
    return made


def _learning(session: SessionConfig, head: PrototypeHead, *, live: bool) -> Learning:
    config = session.adaptation
    if live:
        return LearningLink(config.learner, config.settings, head)
    cls = find("learner", config.learner)
    return LearningHere(cls(head, build(cls.Config, config.settings, "adaptation.settings")))


def _serving(session: SessionConfig, model: Model, head: PrototypeHead) -> Serving:
    arrays: dict[str, Any] = getattr(model.adapter, "to_arrays")()  # noqa: B009
    from_s = 0.0
    if session.adaptation.trial == "cue":
        task: Task = find("task", model.card.task)
        span = getattr(task.scorer(model.card), "span", None)
        from_s = float(getattr(span, "start_s", 0.0))
    middle = OUTLIERS + "mean"
    return Serving(
        card=model.card,
        head=head,
        arrays=arrays,
        from_s=from_s,
        reference=middle if middle in arrays else "",
    )


def _error_link(session: SessionConfig) -> ErrorLink | None:
    model, delay_s = session.adaptation.error_model, session.timing.offset_s
    return ErrorLink(model, device_delay_s=delay_s) if model else None


def _error_scores(error_model: str) -> Mapping[str, Any]:
    """How good the error model was on what it had not seen; nothing without one."""
    return load_bundle(error_model).card.scores if error_model else {}
