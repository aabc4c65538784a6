"""The only thing that may let a head serve. It stands outside the learner and trusts it nothing.

Trials and rewards come in as they happen, proposals as the learner makes them, and `review` says
whether another head serves from now on. Pure logic: no thread, no file, and time is passed in.

References
----------
Promotion by evidence and roll-back follow the idea of high-confidence policy improvement: Thomas,
Theocharous, Ghavamzadeh. High confidence policy improvement. ICML, 2015.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ...runtime.prototype_head import Floats, PrototypeHead
from ..trial import ABSTAINED, Reward, Trial
from .config import STANDARD, EnvelopeConfig
from .drift_index import density, drift_index
from .freeze_windows import FreezeWindows
from .guard_bands import says_nothing, teaches_nothing
from .judging import Evidence, Verdict, judge, weigh
from .poison import doubts
from .rollback import Baseline, baseline, why_back
from .shadow import ShadowLog, replayed
from .trust_region import divergence, shorten, unfit
from .version import ROLL_BACK, Proposal, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeFigures:
    """What a dashboard shows of an envelope.

    Parameters
    ----------
    n_trials : int
        Trials that proposed heads decided beside.
    benefit, bound : float
        Mean benefit over what serves, in accuracy, and its lower bound.
    kl : float
        Of the last promotion, in nats.
    drift : float
        Drift index of the serving head.
    reward_rate : float
        Mean reward of the last trials: an estimate of accuracy; NaN if nothing came.
    decided_share : float
        Share of the last trials in which anything was decided, which is what the reward rate is
        about; NaN before there are trials.
    n_promotions, n_rollbacks : int
        Since the start.
    why : str
        Why nothing was promoted at the last review, or what was.
    """

    n_trials: int = 0
    benefit: float = 0.0
    bound: float = -float("inf")
    kl: float = 0.0
    drift: float = 0.0
    reward_rate: float = float("nan")
    decided_share: float = float("nan")
    n_promotions: int = 0
    n_rollbacks: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Rung:
    """A version that can be gone back to, and how things stood when it began."""

    version: Version
    before: Baseline


class Envelope:
    """Judges proposals, promotes, and takes back.

    Called from one thread, that of whoever feeds it; nothing waits.

    Parameters
    ----------
    head : PrototypeHead
        As calibrated: what serves first, and what can always be gone back to.
    config : EnvelopeConfig
        Every limit.
    epoch : int
        Of the first version.
    """

    Config = EnvelopeConfig

    def __init__(
        self, head: PrototypeHead, config: EnvelopeConfig = STANDARD, *, epoch: int = 0
    ) -> None:
        self.config = config
        first = Version(epoch=epoch, head=head, sha256=head.sha256)
        self._calibrated = first
        self._ladder = deque([_Rung(first, Baseline())])
        self._serving = first
        self._past: deque[Version] = deque([first], maxlen=config.kept_versions)
        self._log = ShadowLog(config.kept_trials)
        self._gate = FreezeWindows(config)
        self._proposal: Proposal | None = None
        self._refused = ""
        self._block: deque[Version] = deque([first], maxlen=config.kept_versions)
        self._evidence = Evidence()
        self._kl = 0.0
        self._counts = {"promotions": 0, "rollbacks": 0}
        self._why = "nothing was proposed"
        self._stale = True  # trials, rewards or the serving head changed
        self._fresh = False  # a proposal came
        self._waits = False  # what was found could not be acted on

    @property
    def serving(self) -> Version:
        """What decides now."""
        return self._serving

    @property
    def history(self) -> tuple[Version, ...]:
        """What served, oldest first, the serving one last; the oldest are forgotten."""
        return tuple(self._past)

    @property
    def frozen(self) -> str:
        """Why nothing changes; empty if it may."""
        return self._gate.why

    @property
    def refused(self) -> str:
        """Why the last proposal was not even tried; empty if it was."""
        return self._refused

    def see(self, trial: Trial) -> None:
        """A trial was decided by the serving head; proposed heads decide it beside.

        Parameters
        ----------
        trial : Trial
            With a number above those before it. What teaches nothing is left out.
        """
        if self._misfits(trial) or teaches_nothing(trial, self._serving.head, self.config):
            return
        proposed = None if self._proposal is None else self._proposal.head
        serving, calibrated = self._serving, self._calibrated.head
        self._log.see(trial, serving.epoch, serving.head, proposed, calibrated)
        self._stale = True

    def hear(self, reward: Reward) -> None:
        """Something came of a trial; of one that is not known any more, nothing follows."""
        if not says_nothing(reward, self.config) and self._log.hear(reward):
            self._stale = True

    def propose(self, proposal: Proposal) -> None:
        """A learner's newest head takes the place of the one before it.

        Parameters
        ----------
        proposal : Proposal
            May be garbage in every way: what cannot stand in for the calibrated head is refused,
            and `refused` says why.
        """
        self._refused = unfit(proposal.head, self._calibrated.head)
        if not self._refused:
            self._proposal = proposal
            self._fresh = True

    def freeze(self, why: str) -> None:
        """From here on nothing changes, except by a person's hand."""
        self._gate.why = why or "somebody froze it"

    def thaw(self) -> None:
        """Changes are judged again."""
        self._gate.why = ""

    def review(self, now_s: float, *, allowed: bool = True, why_not: str = "") -> Version | None:
        """See whether another head should serve; call it as often as you like.

        Parameters
        ----------
        now_s : float
            In seconds of the loop's clock.
        allowed : bool
            Whether the session allows promotions now: not without permission, not while
            stimulation is on or a seizure guard holds, not inside a neurofeedback block. Going
            back is allowed even then.
        why_not : str
            What to say if it does not.

        Returns
        -------
        version : Version or None
            What serves from now on; None if nothing changes.
        """
        if self._gate.why:
            self._why = self._gate.why
            return None
        if not self.config.holds:
            return self._take_blindly(now_s, allowed)
        # Without news only a gate that opens can change what was found at the last look.
        opened = self._waits and not self._gate.closed(now_s, allowed, why_not)
        if not (self._stale or self._fresh or opened):
            return None
        return self._look(now_s, allowed, why_not)

    def roll_back(self, now_s: float, who: str, reason: str) -> Version | None:
        """Go back to what served before the last promotion: the same arrays, a new epoch.

        Parameters
        ----------
        now_s : float
            In seconds of the loop's clock.
        who : str
            A person, or a rule.
        reason : str
            For the audit log.

        Returns
        -------
        version : Version or None
            None if it serves as calibrated already.
        """
        if len(self._ladder) < 2:
            self._why = "it serves as calibrated: there is nothing to go back to"
            return None
        self._ladder.pop()
        self._counts["rollbacks"] += 1
        target = self._ladder[-1].version
        self._log.forget_shadows()
        version = self._serve(target.head, ROLL_BACK, (), reason, who, now_s)
        self._why = reason
        return version

    def figures(self) -> EnvelopeFigures:
        """What a dashboard shows."""
        stock = baseline(tuple(self._log.records), self.config)
        return EnvelopeFigures(
            n_trials=self._evidence.n_trials,
            benefit=self._evidence.benefit,
            bound=self._evidence.bound,
            kl=self._kl,
            drift=self._evidence.drift,
            reward_rate=stock.rate if stock.n_trials else float("nan"),
            decided_share=self._log.decided_share(self.config.evidence_trials),
            n_promotions=self._counts["promotions"],
            n_rollbacks=self._counts["rollbacks"],
            why=self._why,
        )

    def _misfits(self, trial: Trial) -> bool:
        """Whether a trial cannot be one of this decoder's."""
        n_classes = len(self._calibrated.head.classes)
        return bool(
            trial.under.ndim != 2
            or trial.under.shape[1] != len(trial.features)
            or trial.prior.shape != (len(trial.under),)
            or not ABSTAINED <= trial.decided < len(trial.under)
            or trial.under.min(initial=0) < 0
            or trial.under.max(initial=0) >= n_classes
        )

    def _look(self, now_s: float, allowed: bool, why_not: str) -> Version | None:
        if self._stale:
            records = tuple(self._log.records)
            doubt = doubts(records, self.config)
            self._evidence = weigh(records, self._drift(), doubt, self.config)
            if why := self._why_back(not doubt):
                return self.roll_back(now_s, "rule", why + ".")
        self._stale = self._fresh = False
        closed = self._gate.closed(now_s, allowed, why_not)
        self._waits = bool(closed)
        if closed:
            self._why = closed
            return None
        verdict = judge(self._evidence, self.config)
        self._why = verdict.reason
        return None if verdict.limits is None else self._promote(verdict, now_s)

    def _promote(self, verdict: Verdict, now_s: float) -> Version | None:
        proposal, serving = self._proposal, self._serving.head
        if proposal is None or verdict.limits is None or not self._log.records:
            return None
        windows = self._windows()
        at_block = self._at_block(now_s)
        head, share = shorten(proposal.head, serving, at_block, windows, verdict.limits)
        if share <= 0.01 or head.sha256 == self._serving.sha256:
            self._why = "within its limits it cannot move from what serves"
            return None
        if against := self._against(head):
            self._why = against
            return None
        self._kl = divergence(head, serving, windows)
        reason = f"{verdict.reason}; KL {self._kl:.3f} nat, {share:.0%} of the way."
        before = baseline(tuple(self._log.records), self.config)
        version = self._serve(head, proposal.rule, proposal.trials, reason, "envelope", now_s)
        self._climb(_Rung(version, before))
        self._why = reason
        return version

    def _against(self, head: PrototypeHead) -> str:
        """Why the very head that would serve should not, whatever its learner did before.

        A learner can decide well for thirty trials and then hand over something else. So the head
        itself decides the last trials again.
        """
        ratio = head.temperature / self._calibrated.head.temperature
        if not 1 / self.config.temperature_factor <= ratio <= self.config.temperature_factor:
            return f"its temperature is {ratio:.3g} times that of calibration"
        last = tuple(self._log.records)[-self.config.evidence_trials :]
        serving = self._serving
        fit = np.mean([density(head, one.trial) for one in last])
        now = np.mean([one.seen_by(serving.head, serving.epoch).fit for one in last])
        # Against both: many small steps must not add up to leave what fitted.
        worse = max(now, np.mean([one.home for one in last])) - fit
        if worse > self.config.fit_margin:
            return f"looking back, the signal fits the very head worse by {worse:.2f} nat"
        judged = [] if self._evidence.doubt else [one for one in last if one.judged]
        new = [one.trial.posterior(head) for one in judged]
        old = [one.seen_by(serving.head, serving.epoch).posterior for one in judged]
        gain = float(np.mean(replayed(judged, new, old))) if judged else 0.0
        if gain < -self.config.margin:
            return f"looking back, the very head would have lost {-gain:.3f} of accuracy"
        return ""

    def _take_blindly(self, now_s: float, allowed: bool) -> Version | None:
        proposal = self._proposal
        if not allowed or proposal is None or proposal.head.sha256 == self._serving.sha256:
            return None
        version = self._serve(
            proposal.head, proposal.rule, proposal.trials, "There is no envelope.", "nobody", now_s
        )
        self._climb(_Rung(version, Baseline()))
        return version

    def _climb(self, rung: _Rung) -> None:
        self._counts["promotions"] += 1
        self._ladder.append(rung)
        if len(self._ladder) > self.config.kept_versions:
            # Calibration stays at the foot, whatever else is forgotten.
            del self._ladder[1]

    def _serve(
        self,
        head: PrototypeHead,
        rule: str,
        trials: tuple[int, ...],
        reason: str,
        who: str,
        now_s: float,
    ) -> Version:
        self._serving = Version(
            epoch=self._serving.epoch + 1,
            head=head,
            sha256=head.sha256,
            parent=self._serving.sha256,
            rule=rule,
            trials=trials,
            reason=reason,
            who=who,
            at_s=now_s,
        )
        self._past.append(self._serving)
        self._block.append(self._serving)
        self._gate.changed(now_s)
        self._stale = True
        return self._serving

    def _why_back(self, believed: bool) -> str:
        if len(self._ladder) < 2:
            return ""
        since = [one for one in self._log.records if one.epoch == self._serving.epoch]
        earlier = self._ladder[-2].version.head
        return why_back(since, self._ladder[-1].before, earlier, believed, self.config)

    def _drift(self) -> float:
        serving = self._serving
        last = tuple(self._log.records)[-self.config.evidence_trials :]
        return drift_index([one.seen_by(serving.head, serving.epoch).seen_from for one in last])

    def _at_block(self, now_s: float) -> PrototypeHead:
        """What served when the block began that ends now."""
        while len(self._block) > 1 and self._block[1].at_s <= now_s - self.config.block_s:
            self._block.popleft()
        return self._block[0].head

    def _windows(self) -> Floats:
        parts: list[Floats] = []
        for one in reversed(self._log.records):
            parts.insert(0, one.trial.features)
            if sum(map(len, parts)) >= self.config.kl_windows:
                break
        return np.concatenate(parts)[-self.config.kl_windows :]
