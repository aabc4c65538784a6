"""Adaptation in a running session: trials and rewards in, other weights out.

A watcher of the loop. It makes trials of what was decided, finds out what came of them, tells a
learner, and asks the envelope whether what the learner proposes may serve. The loop knows nothing
of it but the box in which other weights wait. Persons freeze it or take it back from another
thread; all of it is done under one lock, which nobody holds while waiting.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from ..runtime.adaptation_config import AdaptationConfig
from ..runtime.adaptation_figures import AdaptationFigures
from ..runtime.errors import DiverloopError, RecordingError
from ..runtime.events import Event, EventKind
from ..runtime.messages import Chunk, Message, Promotion, StreamSpec, Turn
from ..runtime.promotion import Promotions
from ..runtime.record.audit_kinds import AuditKind
from .adaptation_parts import Neighbours, Serving, numbers_on_record
from .envelope.envelope import Envelope
from .envelope.guard_bands import teaches_nothing
from .envelope.version import ROLL_BACK, Proposal, Version
from .reference import Reference
from .trial import Reward
from .trial_making import Made, TrialMaker

_FIGURES_EVERY_NS = 1_000_000_000
_TURNED_DOWN_EVERY_S = 60.0
_MOST_NOTES = 1000

KEPT_OUT_S: Mapping[EventKind, float] = {
    EventKind.SPIKE: 2.0,
    EventKind.RIPPLE: 2.0,
    EventKind.CLEANED: 2.0,
    EventKind.SEIZURE: 60.0,
    EventKind.BLANKED: 10.0,
    EventKind.STIMULATION: 10.0,
}
"""For how long after such an event nothing is learnt and nothing changes, in seconds."""


class Adaptation:
    """Watcher: lets the weights that decide change, within the envelope.

    Parameters
    ----------
    config : AdaptationConfig
        The session's.
    serving : Serving
        What decides at the start.
    envelope : Envelope
        Around the same head, at the card's epoch.
    beside : Neighbours
        Learner, rewards, record.
    """

    lossless = True

    def __init__(
        self, config: AdaptationConfig, serving: Serving, envelope: Envelope, beside: Neighbours
    ) -> None:
        self._config, self._serving, self._beside = config, serving, beside
        self._envelope = envelope
        self._promotions = Promotions()
        self._tell: Callable[[Event], None] = lambda event: None
        self._lock = threading.Lock()
        self._reference = _reference(serving, envelope)
        self._maker: TrialMaker | None = None
        self._rate_hz = 0.0
        self._notes: deque[tuple[AuditKind, str, str, dict[str, Any]]] = deque(maxlen=_MOST_NOTES)
        self._apart = ""  # why envelope and loop no longer agree on what serves
        self._kept_out = ("", -1)
        self._turned_down = ("", -_TURNED_DOWN_EVERY_S, 0)
        self._counts = dict.fromkeys(("trials", "rewards", "turned_down"), 0)
        self._figures_at_ns = 0

    def serve(self, promotions: Promotions, tell: Callable[[Event], None]) -> None:
        """Say where other weights wait, and who is told, before the loop runs.

        Parameters
        ----------
        promotions : Promotions
            The loop's.
        tell : callable
            ``Loop.tell``.
        """
        self._promotions, self._tell = promotions, tell
        self._beside.learning.tell = tell
        if self._beside.errors:
            self._beside.errors.tell = tell

    # -------------------------------------------------------------------------- what is watched

    def watch(self, message: Message) -> None:
        """Take a message; see whether other weights are to serve."""
        with self._lock:
            match message:
                case StreamSpec():
                    self._begin(message)
                case Chunk():
                    self._take_chunk(message)
                case Turn():
                    self._take_turn(message)
                case Event():
                    self._take_event(message)
            if self._maker is not None:
                self._look()
        self._write()

    def close(self) -> None:
        """End learner and detector, and write what is due. Twice is harmless."""
        self._beside.learning.close()
        if self._beside.errors:
            self._beside.errors.close()
        self._write()

    def _begin(self, spec: StreamSpec) -> None:
        self._rate_hz = spec.rate_hz
        self._maker = TrialMaker(
            self._serving.card.classes,
            self._config.trial,
            rate_hz=spec.rate_hz,
            trial_s=self._config.trial_s,
            from_s=self._serving.from_s,
        )
        if self._beside.errors:
            self._beside.errors.open(spec)

    def _take_chunk(self, chunk: Chunk) -> None:
        at_s = chunk.arrived_ns / 1e9
        if self._beside.errors:
            self._beside.errors.feed(chunk)
        for marker in chunk.markers:
            if self._maker and (made := self._maker.mark(marker, at_s)):
                self._take_trial(made)
            for reward in self._beside.rewards.mark(marker, at_s):
                self._take_reward(reward)

    def _take_turn(self, turn: Turn) -> None:
        made = self._maker.take(turn) if self._maker else None
        if made is None:
            return
        self._take_trial(made)
        if turn.command.selected and self._beside.errors:
            shown_s = (turn.times.acted_ns - turn.times.due_ns) / 1e9
            shown_s += self._config.feedback_delay_s
            sample = turn.decision.stop_sample + round(shown_s * self._rate_hz)
            self._beside.errors.show(made.trial.number, sample)

    def _take_event(self, event: Event) -> None:
        if event.kind in KEPT_OUT_S:
            until_ns = self._beside.clock.now_ns() + round(KEPT_OUT_S[event.kind] * 1e9)
            self._kept_out = (event.text, max(until_ns, self._kept_out[1]))
        elif event.kind is EventKind.PROMOTED and "were refused" in event.text:
            self._stop(f"the loop refused other weights: {event.text}")

    def _take_trial(self, made: Made) -> None:
        trial = made.trial
        if self._why_kept_out() or teaches_nothing(
            trial, self._envelope.serving.head, self._envelope.config
        ):
            return
        self._counts["trials"] += 1
        if self._reference:
            self._reference.see(trial)
        if made.epoch == self._envelope.serving.epoch:
            self._envelope.see(trial)
        self._beside.learning.see(trial)
        for reward in self._beside.rewards.see(trial, made.cue):
            self._take_reward(reward)

    def _take_reward(self, reward: Reward) -> None:
        self._counts["rewards"] += 1
        self._envelope.hear(reward)
        self._beside.learning.hear(reward)

    # ------------------------------------------------------------------------- what comes of it

    def _look(self) -> None:
        errors, now_ns = self._beside.errors, self._beside.clock.now_ns()
        for judged in errors.judged() if errors else ():
            if reward := self._beside.rewards.judge(judged, now_ns / 1e9):
                self._take_reward(reward)
        for reward in self._beside.rewards.due(now_ns / 1e9):
            self._take_reward(reward)
        if proposal := self._beside.learning.proposal():
            self._propose(proposal, now_ns / 1e9)
        why_not = self._beside.why_not() or self._why_kept_out()
        version = self._envelope.review(now_ns / 1e9, allowed=not why_not, why_not=why_not)
        if version is not None:
            self._offer(version)
        if version is not None or now_ns >= self._figures_at_ns:
            self._figures_at_ns = now_ns + _FIGURES_EVERY_NS
            self._beside.post(self._figures())

    def _propose(self, proposal: Proposal, now_s: float) -> None:
        self._envelope.propose(proposal)
        if why := self._envelope.refused:
            self._turn_down(proposal, why, now_s)

    def _offer(self, version: Version) -> bool:
        """Let a version wait for the loop, which takes it before the next window; False if not."""
        promotion = self._promotion(version)
        try:
            adapter = self._beside.adapter_of(promotion)
        except DiverloopError as error:
            self._stop(f"its weights cannot be made: {error}")
            return False
        self._promotions.offer(promotion, adapter)
        self._apart = ""
        back = version.rule == ROLL_BACK
        # After a step that was shortened the learner stays where it is: the envelope follows it.
        self._beside.learning.serve(version.head, adopt=back)
        what = AuditKind.ROLLBACK if back else AuditKind.PROMOTION
        self._note(what, version.who, version.reason, self._details(version))
        return True

    def _stop(self, why: str) -> None:
        """The envelope and the loop no longer agree on what serves: let nothing change."""
        self._apart = why
        self._envelope.freeze(why)
        text = f"Adaptation is frozen: {why}"
        self._note(AuditKind.LEARNER, "adaptation", text, {})
        self._say(text)

    def _promotion(self, version: Version) -> Promotion:
        head, card = version.head, self._serving.card
        moved = {self._serving.reference: self._reference.of(version)} if self._reference else {}
        return Promotion(
            epoch=version.epoch,
            kind=card.adapter,
            settings=card.adapter_config,
            arrays={**self._serving.arrays, **moved, **head.linear(), **head.to_arrays()},
            reason=version.reason,
            who=version.who,
            rule=version.rule,
            parent=version.parent,
            sha256=version.sha256,
        )

    def _details(self, version: Version) -> dict[str, Any]:
        figures = self._envelope.figures()
        return {
            "epoch": version.epoch,
            "rule": version.rule,
            "sha256": version.sha256,
            "parent": version.parent,
            "at_s": version.at_s,
            **numbers_on_record(version.trials),
            "benefit": figures.benefit,
            "lower_bound": figures.bound,
            "divergence_nat": figures.kl,
        }

    def _turn_down(self, proposal: Proposal, why: str, now_s: float) -> None:
        """Put a proposal that cannot serve on record; those like it are summed up."""
        self._counts["turned_down"] += 1
        last, at_s, more = self._turned_down
        if why == last and now_s - at_s < _TURNED_DOWN_EVERY_S:
            self._turned_down = (last, at_s, more + 1)
            return
        details = {
            "rule": proposal.rule, "sha256": proposal.head.sha256, "more_since_last": more,
            **numbers_on_record(proposal.trials),
        }  # fmt: skip
        self._note(AuditKind.LEARNER, "envelope", f"A proposal was turned down: {why}.", details)
        self._turned_down = (why, now_s, 0)

    def _why_kept_out(self) -> str:
        text, until_ns = self._kept_out
        return f"shortly before: {text}" if self._beside.clock.now_ns() < until_ns else ""

    def _figures(self) -> AdaptationFigures:
        of = self._envelope.figures()
        return AdaptationFigures(
            learner=self._config.learner,
            epoch=self._envelope.serving.epoch,
            n_trials=self._counts["trials"],
            n_rewards=self._counts["rewards"],
            n_shadow=of.n_trials,
            benefit=of.benefit,
            lower_bound=of.bound,
            divergence_nat=of.kl,
            drift=of.drift,
            reward_rate=of.reward_rate,
            decided_share=of.decided_share,
            promoted=of.n_promotions,
            rolled_back=of.n_rollbacks,
            turned_down=self._counts["turned_down"],
            waiting=of.why,
            frozen=self._envelope.frozen,
        )

    # ---------------------------------------------------------------------- what persons ask for

    def roll_back(self, who: str) -> tuple[bool, str]:
        """Go back to the weights before; from any thread.

        Parameters
        ----------
        who : str
            Pseudonym of the person.

        Returns
        -------
        done : bool
            Whether there were any, and they can serve.
        text : str
            One sentence.
        """
        with self._lock:
            now_s = self._beside.clock.now_ns() / 1e9
            version = self._envelope.roll_back(now_s, who, f"{who} took the last change back.")
            if version is None:
                return False, "The weights are those of calibration: there are no earlier ones."
            if not self._offer(version):
                return False, f"The weights of before cannot serve: {self._apart}"
        text = f"The weights {version.sha256[:8]} of before decide again, as epoch {version.epoch}."
        return True, text

    def freeze(self, who: str) -> str:
        """Let nothing change from now on; from any thread. Returns one sentence."""
        with self._lock:
            self._envelope.freeze(f"{who} froze it")
        return self._say("The weights stay as they are: adaptation is frozen.")

    def thaw(self, who: str) -> tuple[bool, str]:
        """Let weights change again; from any thread.

        Parameters
        ----------
        who : str
            Pseudonym of the person.

        Returns
        -------
        done : bool
            Not while other weights decide than the envelope judges.
        text : str
            What came of it.
        """
        with self._lock:
            if self._apart:
                return False, (
                    f"Adaptation stays frozen: {self._apart} Take the last change back with "
                    f"diverloop roll-back first, or start the session anew."
                )
            self._envelope.thaw()
        return True, self._say(f"{who} lets the weights change, within the envelope.")

    def _say(self, text: str) -> str:
        self._tell(Event(kind=EventKind.LEARNER, text=text, at_ns=self._beside.clock.now_ns()))
        return text

    # ------------------------------------------------------------------------------- the record

    def _note(self, what: AuditKind, who: str, why: str, details: dict[str, Any]) -> None:
        if self._beside.audit is not None:
            self._notes.append((what, who, why, details))

    def _write(self) -> None:
        """Put on record what is due; a disk takes its time, so nothing else waits for it here."""
        while self._beside.audit is not None and self._notes:
            what, who, why, details = self._notes[0]
            try:
                self._beside.audit.append(what, who=who, why=why, details=details)
            except RecordingError:
                return  # tried again with the next message; the watcher of the log says so
            self._notes.popleft()


def _reference(serving: Serving, envelope: Envelope) -> Reference | None:
    if not serving.reference:
        return None
    config = envelope.config
    return Reference(
        serving.arrays[serving.reference],
        n_trials=config.evidence_trials,
        kept=config.kept_versions,
    )
