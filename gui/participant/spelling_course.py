"""The course of spelling: which flash in which frame, when a selection ends, the text so far.

No Qt here. Frames are counted as they are drawn, so a frame that the screen loses makes everything
after it later: each flash is seen in full, and never sooner than planned after the one before.
Markers are those of `diverloop.runtime.paradigms.speller`, in the order in which a decoder expects
them; after a selection ``"feedback:right"``, ``"feedback:wrong"`` or ``"feedback"`` says what the
person saw, for a decoder of error potentials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from ...runtime.errors import ConfigError
from ...runtime.messages import Turn
from ...runtime.paradigms.flicker import Unlock, refusal
from ...runtime.paradigms.profiles import Profile
from ...runtime.paradigms.speller import (
    BACKSPACE,
    END,
    SpellerPlan,
    flash_label,
    groups,
    select_label,
    sequence,
)
from ...runtime.telemetry import Telegram
from .permission import Permission

ANSWER_S = 1.2
"""From the last flash to the session's answer at most: its window of 0.8 s, and time to think."""

FEEDBACK, RIGHT, WRONG = "feedback", "right", "wrong"

_MODES = ("calibrate", "copy", "free")
_TAKEN_BACK = "taken back"


class Phase(StrEnum):
    """Where a selection is."""

    WAITING = "waiting"  # nothing may run
    LEAD = "lead"  # time to find the item
    FLASHING = "flashing"
    PAUSE = "pause"  # what was selected is shown
    DONE = "done"  # the text is complete


@dataclass(frozen=True, slots=True, kw_only=True)
class SpellingConfig:
    """What is spelled, and before whom.

    Parameters
    ----------
    profile : Profile
        Who looks at it; there is no default, for somebody has to choose.
    plan : SpellerPlan
        What is shown, and how it flashes; the decoder's own.
    mode : str
        ``"calibrate"``: the text is attended letter by letter, and no answer is waited for.
        ``"copy"``: it is to be copied, and what was selected is shown. ``"free"``: the person
        chooses.
    text : tuple of str
        Items to attend, in order; `diverloop.hardware.simulated_speller.items_of` makes them of a
        text. Empty if, and only if, `mode` is free.
    flash_s : float
        How long a flash lasts, above 0 to `SpellerPlan.soa_s`.
    correcting : bool
        Whether an error has to be taken back before copying goes on; else it stays.
    backspace : str
        The item that takes the last one back.
    seed : int
        Same seed, same flashes.
    unlock : Unlock, optional
        Who takes responsibility for flashes that the profile refuses.

    Raises
    ------
    ConfigError
        If it does not fit together, or the profile refuses how fast the plan flashes.
    """

    profile: Profile
    plan: SpellerPlan = field(default_factory=SpellerPlan)
    mode: str = "copy"
    text: tuple[str, ...] = ()
    flash_s: float = 0.1
    correcting: bool = False
    backspace: str = BACKSPACE
    seed: int = 0
    unlock: Unlock | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", tuple(self.text))
        if self.mode not in _MODES:
            raise ConfigError(f"mode must be one of {', '.join(_MODES)}, got {self.mode!r}.")
        if (self.mode == "free") == bool(self.text):
            got = "".join(self.text) or "none"
            raise ConfigError(
                f"text must be given to calibrate or to copy, and not in free spelling, got {got} "
                f"with mode {self.mode!r}: change one of the two."
            )
        unknown = [item for item in self.text if item not in self.plan.items]
        if unknown:
            raise ConfigError(
                f"text must consist of the plan's items, got {unknown[0]!r}: leave it out."
            )
        if not 0 < self.flash_s <= self.plan.soa_s:
            raise ConfigError(
                f"flash_s must be above 0 and at most soa_s ({self.plan.soa_s:g} s), got "
                f"{self.flash_s} s: flash for a shorter time."
            )
        if self.correcting and self.backspace not in self.plan.items:
            raise ConfigError(
                f"correcting needs the item {self.backspace!r}, which the plan does not have: "
                f"set backspace, or correcting to false."
            )
        refused = refusal(self.profile, (1 / self.plan.soa_s,), 1.0)
        if refused and self.unlock is None:
            raise ConfigError(
                f"{refused}; flash more slowly (soa_s), or have an operator unlock it by name and "
                f"with a reason."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """The plan's times as whole frames, each rounded up.

    Parameters
    ----------
    lead, soa, flash, pause : int
        As in `SpellerPlan` and `SpellingConfig`.
    notes : tuple of str
        What is longer than planned, a sentence each, for whoever runs the session.
    """

    lead: int
    soa: int
    flash: int
    pause: int
    notes: tuple[str, ...]

    @classmethod
    def of(cls, config: SpellingConfig, rate_hz: float) -> Frames:
        """Count the frames of a display."""
        plan, notes = config.plan, []
        pause_s = plan.pause_s
        if config.mode != "calibrate" and pause_s < ANSWER_S:
            pause_s = ANSWER_S
            notes.append(f"pause_s is {ANSWER_S:g} s: the last answer must come before the next.")
        counted = []
        for name, seconds in (
            ("lead_s", plan.lead_s),
            ("soa_s", plan.soa_s),
            ("flash_s", config.flash_s),
            ("pause_s", pause_s),
        ):
            # 59.94 Hz is 60 Hz to a frame counter: a plan of whole frames must not gain one.
            frames = max(1, math.ceil(seconds * rate_hz * (1 - 1e-3) - 1e-6))
            counted.append(frames)
            if frames / rate_hz - seconds > 2e-3 * seconds:
                notes.append(
                    f"{name} is {frames} frames, {frames / rate_hz:.4g} s for {seconds:g} s: the "
                    f"display has {rate_hz:g} Hz."
                )
        lead, soa, flash, pause = counted
        return cls(lead=lead, soa=soa, flash=min(flash, soa), pause=pause, notes=tuple(notes))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpellingFrame:
    """What one frame shows.

    Parameters
    ----------
    phase : Phase
        Where the selection is.
    lit : frozenset of int
        Numbers of the items that flash.
    attend : int
        Number of the item to attend, while it is pointed at; -1 for none.
    chosen : int
        Number of the item that was selected, while it is shown; -1 for none.
    said : str
        Why nothing runs, or why what was selected is not in the text; empty otherwise.
    labels : tuple of str
        Markers of what begins with this frame.
    """

    phase: Phase
    lit: frozenset[int] = frozenset()
    attend: int = -1
    chosen: int = -1
    said: str = ""
    labels: tuple[str, ...] = ()


class SpellingCourse:
    """One frame after the other. All on one thread.

    Parameters
    ----------
    config : SpellingConfig
        What is spelled.
    rate_hz : float
        Frames a second.
    """

    def __init__(self, config: SpellingConfig, rate_hz: float) -> None:
        self.config = config
        self.frames = Frames.of(config, rate_hz)
        self.permission = Permission(rate_hz, armed=config.mode != "calibrate")
        self.typed: tuple[str, ...] = ()
        """Items that were selected, passed the guard, and were not taken back."""
        self._rng = np.random.default_rng(config.seed)
        self._phase, self._at, self._onsets = Phase.WAITING, 0, dict[int, int]()
        self._attended = 0
        self._answer: tuple[str, bool, str] | None = None
        self._before: tuple[str, ...] | None = None
        self._chosen, self._said = -1, ""
        self._lit_until = 0
        self._lit: frozenset[int] = frozenset()

    @property
    def place(self) -> int:
        """How much of the text to copy is behind the person, in items."""
        return self._attended if self.config.mode == "calibrate" else len(self.typed)

    @property
    def target(self) -> str | None:
        """The item to attend now; None where the person chooses, or the text is complete."""
        text, typed = self.config.text, self.typed
        fixing = self.config.correcting and self.config.mode == "copy"
        if fixing and typed != text[: len(typed)]:
            return self.config.backspace
        return text[self.place] if self.place < len(text) else None

    @property
    def done(self) -> bool:
        """Whether there is nothing left to attend."""
        return self.config.mode != "free" and self.target is None

    def take(self, message: Telegram) -> None:
        """Learn from a message of the session: what it selected, whether it takes that back."""
        self.permission.take(message)
        if not isinstance(message, Turn) or self.config.mode == "calibrate":
            return
        label, command = message.decision.label, message.command
        if label == WRONG and RIGHT in message.decision.classes:
            self._take_back()
        elif label is not None and message.decision.classes == self.config.plan.items:
            passed = command.selected and command.label == label
            self._answer = (label, passed, "" if passed else command.reason)

    def step(self, frame: int) -> SpellingFrame:
        """Go one frame further.

        Parameters
        ----------
        frame : int
            Number of the frame, which only silence is counted with.

        Returns
        -------
        shown : SpellingFrame
            What to draw.
        """
        labels: list[str] = []
        self._hear(labels)
        if why := self.permission.look(frame):
            if self._phase in (Phase.LEAD, Phase.FLASHING):
                labels.append(END)
            if self._phase is not Phase.DONE:
                self._phase = Phase.WAITING
            return self._shown(labels, said=self._said or why)
        match self._phase:
            case Phase.WAITING:
                self._next(labels)
            case Phase.LEAD | Phase.FLASHING:
                self._flash(labels)
            case Phase.PAUSE:
                self._at += 1
                if self._at >= self.frames.pause:
                    self._next(labels)
        return self._shown(labels, said=self._said)

    def _next(self, labels: list[str]) -> None:
        """Begin a selection, or find that there is none left."""
        self._chosen, self._said = -1, ""
        if self.done:
            self._phase = Phase.DONE
            return
        drawn = [flash for each in sequence(self.config.plan, self._rng) for flash in each]
        soa_s, frames = self.config.plan.soa_s, self.frames
        self._onsets = {
            frames.lead + round(flash.at_s / soa_s) * frames.soa: flash.group for flash in drawn
        }
        self._phase, self._at, self._lit_until = Phase.LEAD, 0, 0
        labels.append(select_label(self.target))

    def _flash(self, labels: list[str]) -> None:
        self._at += 1
        group = self._onsets.get(self._at)
        if group is not None:
            self._phase = Phase.FLASHING
            self._lit = groups(self.config.plan)[group]
            self._lit_until = self._at + self.frames.flash
            labels.append(flash_label(group))
            self._before = None  # another selection is on its way: too late to take one back
        elif self._at >= max(self._onsets) + self.frames.soa:
            self._over(labels)

    def _over(self, labels: list[str]) -> None:
        labels.append(END)
        self._attended += 1
        self._phase, self._at = Phase.PAUSE, 0

    def _hear(self, labels: list[str]) -> None:
        """Show what was selected; whatever runs is over with it."""
        answer, self._answer = self._answer, None
        if answer is None or self._phase is Phase.DONE:
            return
        item, passed, reason = answer
        if self._phase in (Phase.LEAD, Phase.FLASHING):
            self._over(labels)
        self._chosen, self._said = self.config.plan.items.index(item), reason
        self._at = 0
        wanted = self.target
        self._before = self.typed if passed else None
        if passed:
            back = item == self.config.backspace
            self.typed = self.typed[:-1] if back else (*self.typed, item)
        known = self.config.mode != "free" and wanted is not None
        labels.append(f"{FEEDBACK}:{RIGHT if item == wanted else WRONG}" if known else FEEDBACK)

    def _take_back(self) -> None:
        """What was just shown was an error, says a decoder of error potentials."""
        if self._before is not None:
            self.typed, self._before, self._said = self._before, None, _TAKEN_BACK

    def _shown(self, labels: Sequence[str], said: str) -> SpellingFrame:
        items, lit = self.config.plan.items, frozenset[int]()
        running = self._phase in (Phase.LEAD, Phase.FLASHING)
        if self._phase is Phase.FLASHING and self._at < self._lit_until:
            lit = self._lit
        attend = self.target if self._phase is Phase.LEAD else None
        return SpellingFrame(
            phase=self._phase,
            lit=lit,
            attend=-1 if attend is None else items.index(attend),
            chosen=-1 if running else self._chosen,
            said=said,
            labels=tuple(labels),
        )
