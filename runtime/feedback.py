"""Decisions to command: gather evidence, hold it for a while, then select once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import ConfigError
from .messages import Command, Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackConfig:
    """How decisions become what the person sees.

    Parameters
    ----------
    memory_s : float
        Time constant with which old evidence fades, 0 to 60 s; 0 shows each decision as it is.
    select_at : float
        Accumulated probability at which a class counts as chosen, 0.5 to 1.
    dwell_s : float
        How long it has to stay there before it is selected, 0 to 60 s.
    refractory_s : float
        How long after a selection no other is made, 0 to 60 s.
    once : bool
        Whether a class that was selected has to let another lead, an idle one for example, before
        it is selected again: an intention that lasts is one command. A hole in the signal is no
        letting go.
    idle : tuple of str
        Classes that mean that nothing is intended: they gather evidence like any other, and
        command nothing.
    """

    memory_s: float = 0.5
    select_at: float = 0.8
    dwell_s: float = 0.5
    refractory_s: float = 1.0
    once: bool = False
    idle: tuple[str, ...] = ("rest", "idle")

    def __post_init__(self) -> None:
        for name in ("memory_s", "dwell_s", "refractory_s"):
            value = getattr(self, name)
            if not 0 <= value <= 60:
                raise ConfigError(f"feedback.{name} must be in [0, 60] s, got {value} s.")
        if not 0.5 <= self.select_at <= 1:
            raise ConfigError(f"feedback.select_at must be in [0.5, 1], got {self.select_at}.")


IDLE = "idle: nothing is intended"
NOT_FINITE = "the probabilities are not finite"


class EvidenceFeedback:
    """Leaky accumulation of log probabilities, dwell, refractory time.

    The accumulated evidence of class k follows ``e_k <- a e_k + (1 - a) log p_k`` with
    ``a = exp(-dt / memory)``; the strength of a class is the softmax of the evidence. A neutral
    decision clears everything: what was seen before a hole says nothing about what comes after.

    Parameters
    ----------
    config : FeedbackConfig
        Time constants and thresholds.
    classes : tuple of str, optional
        Of the decoder; empty does not check them.

    Raises
    ------
    ConfigError
        If every class is idle.
    """

    Config = FeedbackConfig

    def __init__(self, config: FeedbackConfig | None = None, classes: tuple[str, ...] = ()) -> None:
        self._config = config or FeedbackConfig()
        if classes and set(classes) <= set(self._config.idle):
            raise ConfigError(
                f"feedback.idle names all classes of the decoder, {', '.join(classes)}, so that "
                f"nothing could ever be commanded: leave one out."
            )
        self._evidence: list[float] | None = None
        self._last_ns = 0
        self._held: tuple[str, int] | None = None
        self._free_at_ns = 0
        self._spent: str | None = None

    def advance(self, decision: Decision, now_ns: int) -> Command:
        """Take one decision into account.

        Parameters
        ----------
        decision : Decision
            What the adapter said.
        now_ns : int
            Loop time.

        Returns
        -------
        command : Command
            What to show; neutral with the decision's reason if it was neutral, neutral if its
            probabilities are not finite, and neutral while an idle class leads.
        """
        if decision.label is None:
            self._evidence = None
            self._held = None
            return Command(label=None, reason=decision.reason)
        strengths = self._accumulate(decision.probabilities.tolist(), now_ns)
        if math.isnan(sum(strengths)):  # as evidence it would never fade
            self._evidence = self._held = None
            return Command(label=None, reason=NOT_FINITE)
        strength = max(strengths)
        label = decision.classes[strengths.index(strength)]
        if label != self._spent:
            self._spent = None
        if label in self._config.idle:
            self._held = None
            return Command(label=None, strength=strength, reason=IDLE)
        selected = self._select(label, strength, now_ns)
        return Command(label=label, strength=strength, selected=selected)

    def _accumulate(self, probabilities: list[float], now_ns: int) -> list[float]:
        # Plain floats: for a handful of classes they are several times faster than arrays. The
        # floor is there because no later evidence could undo the logarithm of a certain 0.
        fresh = [math.log(max(p, 1e-6)) for p in probabilities]
        if self._evidence is not None:
            memory_s = self._config.memory_s
            elapsed_s = (now_ns - self._last_ns) / 1e9
            keep = math.exp(-elapsed_s / memory_s) if memory_s else 0.0
            fresh = [keep * e + (1 - keep) * f for e, f in zip(self._evidence, fresh, strict=True)]
        self._evidence = fresh
        self._last_ns = now_ns
        weights = [math.exp(e) for e in fresh]
        total = sum(weights)
        return [weight / total for weight in weights]

    def _select(self, label: str, strength: float, now_ns: int) -> bool:
        too_soon = now_ns < self._free_at_ns or label == self._spent
        if strength < self._config.select_at or too_soon:
            self._held = None
            return False
        if self._held is None or self._held[0] != label:
            self._held = (label, now_ns)
        if now_ns - self._held[1] < self._config.dwell_s * 1e9:
            return False
        self._held = None
        self._spent = label if self._config.once else None
        self._free_at_ns = now_ns + round(self._config.refractory_s * 1e9)
        return True
