"""The loop: read, condition, window, encode, decide, feed back, guard, act, publish.

One thread runs it, nothing in it waits but `Source.read`, and no stage calls the next. Windows
that come too late to matter are skipped and counted, never queued. A window that touches lost,
damaged or not yet settled samples is not decoded: it gives a neutral decision that says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from .conditioned import Conditioned
from .deciding import Decider
from .fanout import FanOut
from .guard import Guard
from .inbox import Inbox
from .latency import LatencyBook, LatencyReport
from .limits import State
from .loop_config import LoopConfig, Stages
from .messages import (
    Chunk,
    Decision,
    Embedding,
    Event,
    EventKind,
    StageTimes,
    StreamSpec,
    Turn,
    Window,
)
from .pace import Pace
from .position import Position
from .promotion import Promotions
from .ring import Ring
from .shield import shielded
from .stages import Clock
from .trust import LOST, Damage, Trust, all_finite, finite_parts
from .windows import Slot, WindowConfig


class Loop:
    """Runs the stages until the source ends or somebody stops it.

    Parameters
    ----------
    stages : Stages
        What to run.
    clock : Clock
        Monotonic for a session, virtual for a replay; the code is the same.
    window : WindowConfig
        How to cut.
    config : LoopConfig
        When work is late and data is stale.
    guard : Guard
        The last word; disarmed unless a person armed it.
    fanout : FanOut
        Who else is told.
    promotions : Promotions, optional
        Where other weights wait until they may take over.
    inbox : Inbox, optional
        Where things wait for an adapter that hears.
    accept : callable, optional
        Takes the stream's description before anything is read; may raise `SchemaMismatch`.
    beat : callable, optional
        Called once a turn, every `LoopConfig.look_s` at least: the loop's sign of life.
    """

    def __init__(
        self,
        stages: Stages,
        *,
        clock: Clock,
        window: WindowConfig,
        config: LoopConfig | None = None,
        guard: Guard | None = None,
        fanout: FanOut | None = None,
        promotions: Promotions | None = None,
        inbox: Inbox | None = None,
        accept: Callable[[StreamSpec], None] | None = None,
        beat: Callable[[], None] | None = None,
    ) -> None:
        self.guard = guard or Guard()
        self.promotions = promotions or Promotions()
        self.book = LatencyBook(window.device_delay_s)
        self._stages = shielded(stages, self.tell)
        self.inbox = inbox or Inbox()
        self._decider = Decider(stages.adapter, self.promotions, self.inbox)
        self._clock, self._window = clock, window
        self._config, self._fanout = config or LoopConfig(), fanout or FanOut(())
        self._accept = accept or (lambda spec: None)
        self._beat = beat or (lambda: None)
        self.first_decision_s = math.nan
        self._stop_asked = self._stale = False
        self._guard_told = State.DISARMED
        self._stale_ns = round(self._config.stale_s * 1e9)
        self._look_ns = round(self._config.look_s * 1e9)
        self._deadline_ns = round((self._config.deadline_s or window.patience_s) * 1e9)

    def stop(self) -> None:
        """Ask the loop to end after the current window. May be called from any thread."""
        self._stop_asked = True

    def tell(self, event: Event) -> None:
        """Let everybody know of something. May be called from any thread."""
        self._fanout.say(event)

    def run(self) -> LatencyReport:
        """Run until the source ends or `stop` is called; close whatever was opened.

        Returns
        -------
        report : LatencyReport
            Latencies, misses, losses.
        """
        with self._opened():
            while not (self._stop_asked or self._stages.source.ended):
                self._turn()
        return self.report()

    def report(self) -> LatencyReport:
        """Latencies, misses and losses so far."""
        return self.book.report(
            filter_delay_s=self._stages.conditioner.delay_s, window_s=self._window.length_s
        )

    def _turn(self) -> None:
        self._beat()
        for promotion, epoch, text in self._decider.take_over():
            self._fanout.put(promotion)
            if text:
                self._tell(self._event(EventKind.PROMOTED, text, epoch))
        complete = self._ring.stop + self._policy.wanted(self._ring.stop)
        wanted = max(1, self._pace.source_stop(complete) - self._at.came)
        if wanted > self._lead:
            # Most of a step is taken in ahead of time: little is left to do, by code that is still
            # in the processor's caches, when the last sample comes.
            wanted -= self._lead
        self._fanout.wake()
        chunk = self._stages.source.read(wanted, self._wake_ns())
        if chunk is not None:
            self._receive(chunk)
        if chunk is None or not chunk.samples.shape[1]:
            self._check_stale()
        for slot in self._in_time(self._policy.due(self._ring.stop)):
            self._decode(slot)
        self._report_changes()

    def _receive(self, chunk: Chunk) -> None:
        """Watchers, events, conditioning, ring, markers."""
        self._fanout.put(chunk)
        for event in chunk.events:
            self._tell(replace(event, at_ns=chunk.arrived_ns))
            if event.lasting:
                self._trust.forbid(event.text)
        if chunk.samples.shape[1]:
            self._at.came = chunk.stop_sample
            if all_finite(chunk.samples):
                self._store(self._stages.conditioner.process(chunk), chunk.arrived_ns)
            else:
                self._store_finite(chunk)
            self._trust.old = self._at.receive(chunk, self._clock.now_ns()) > self._stale_ns
            if self._stale:
                self._stale = False
                self._tell(self._event(EventKind.FRESH, "Data flows again."))
        elif chunk.markers:
            self._store(self._stages.conditioner.process(chunk), chunk.arrived_ns)
        for marker in chunk.markers:
            if marker.label and marker.label == self.guard.config.stop_marker:
                self.guard.press()
                self._tell(self._event(EventKind.STOPPED, "The stop button was pressed."))
            self._policy.announce(marker)

    def _decode(self, slot: Slot) -> None:
        """Window, encoder, adapter, feedback, guard, sinks, watchers."""
        clock, stages = self._clock, self._stages
        window = self._cut(slot)
        cut_ns = clock.now_ns()
        embedding: Embedding | None = None
        if window is not None:
            embedding = stages.encoder.encode(window)
        encoded_ns = clock.now_ns()
        if window is None or embedding is None:
            decision = self._neutral(self._trust.refusal(slot) or LOST, slot)
        else:
            decision = self._decider.decide(embedding, window)
            for event in (*embedding.events, *self._decider.events()):
                self._tell(replace(event, sample=self._at.came, at_ns=encoded_ns))
        decided_ns = clock.now_ns()
        self._act(decision, embedding, slot, cut_ns, encoded_ns, decided_ns)

    def _act(
        self,
        decision: Decision,
        embedding: Embedding | None,
        slot: Slot,
        cut_ns: int,
        encoded_ns: int,
        decided_ns: int,
    ) -> None:
        asked = self.guard.permit(
            self._stages.feedback.advance(decision, decided_ns),
            now_ns=decided_ns,
            quality=1.0 if embedding is None else embedding.quality,
            late=embedding is not None and decided_ns - self._at.due_ns(slot) > self._deadline_ns,
        )
        fed_back_ns = self._clock.now_ns()
        command = asked
        for sink in self._stages.sinks:
            command = sink.act(decision, command)
        times = StageTimes(
            due_ns=self._at.due_ns(slot),
            arrived_ns=self._at.arrived_ns,
            conditioned_ns=self._at.conditioned_ns,
            cut_ns=cut_ns,
            encoded_ns=encoded_ns,
            decided_ns=decided_ns,
            fed_back_ns=fed_back_ns,
            acted_ns=self._clock.now_ns(),
        )
        if embedding is not None:
            self._account(times)
        self._fanout.put(
            Turn(
                decision=decision,
                command=command,
                times=times,
                embedding=embedding,
                asked=None if command is asked else asked,
            )
        )

    def _in_time(self, slots: list[Slot]) -> Iterator[Slot]:
        """Windows that still matter: asked one by one, because decoding takes time."""
        late, hole = 0, None
        for slot in slots[:-1]:
            if self._at.due_ns(slot) >= self._clock.now_ns() - self._deadline_ns:
                yield slot
            elif not (refusal := self._trust.refusal(slot)):
                late += 1
            elif hole is None:
                # One neutral decision for a hole, however late: the feedback has to forget.
                hole = slot
                yield slot
            else:
                self.book.count_refused(refusal)
        if late:
            self.book.count_skipped(late)
            text = f"{late} windows were skipped: newer ones were already complete."
            self._tell(self._event(EventKind.LATE, text, late))
        yield from slots[-1:]

    def _cut(self, slot: Slot) -> Window | None:
        refusal = self._trust.refusal(slot)
        if refusal or not self._ring.holds(slot.first, slot.stop):
            self.book.count_refused(refusal or LOST)
            return None
        raw_s, corrected_s = self._at.lsl_times(slot)
        first, stop = self._pace.source_span(slot.first, slot.stop)
        return Window(
            samples=self._ring.view(slot.first, slot.stop),
            first_sample=first,
            stop_sample=stop,
            usable=self._trust.usable(slot),
            due_ns=self._at.due_ns(slot),
            marker=slot.marker,
            lsl_raw_s=raw_s,
            lsl_corrected_s=corrected_s,
            conditioned_first=slot.first,
        )

    def _store(self, conditioned: Conditioned, arrived_ns: int) -> None:
        lost = self._ring.write(conditioned.samples, conditioned.first_sample)
        if lost:
            at, pace = conditioned.first_sample, self._pace
            self.book.count_lost(pace.source_first(at) - pace.source_first(at - lost))
            self._trust.lose(conditioned.first_sample - lost, conditioned.first_sample)
        self._trust.learn(conditioned)
        for event in conditioned.events:
            self._tell(replace(event, at_ns=arrived_ns))
            if event.kind is EventKind.SEIZURE:
                self.guard.suspect()
                self._trust.suspend(event.text)
        if conditioned.quality:
            self._fanout.put(replace(conditioned.quality, at_ns=arrived_ns))

    def _store_finite(self, chunk: Chunk) -> None:
        if told := self._damage.tell(chunk):
            self._tell(self._event(EventKind.NOT_A_NUMBER, *told))
        for part in finite_parts(chunk):
            self._store(self._stages.conditioner.process(part), chunk.arrived_ns)
        # Bad samples at the end count as passed: their windows come due, and output turns neutral.
        nothing = np.empty((self._ring.n_channels, 0))
        stop = self._pace.conditioned(chunk.stop_sample)
        self._store(Conditioned(samples=nothing, first_sample=stop), chunk.arrived_ns)

    def _wake_ns(self) -> int:
        # However little comes: what persons do, and a sign of life, must not wait for samples.
        soon_ns = self._clock.now_ns() + self._look_ns
        return soon_ns if self._stale else min(soon_ns, self._at.arrived_ns + self._stale_ns)

    def _check_stale(self) -> None:
        now_ns = self._clock.now_ns()
        if self._stale or now_ns - self._at.arrived_ns < self._stale_ns:
            return
        self._stale = True
        text = f"Nothing has come for {self._config.stale_s:g} s; output is neutral."
        self._tell(self._event(EventKind.STALE, text))
        self._rest(f"no new data for {self._config.stale_s:g} s", now_ns)

    def _rest(self, reason: str, now_ns: int) -> None:
        """Make the output neutral now: no window has to be complete for that."""
        here = Slot(first=self._ring.stop, stop=self._ring.stop)
        self._act(self._neutral(reason, here), None, here, now_ns, now_ns, now_ns)

    def _report_changes(self) -> None:
        """Tell what watchers and persons did meanwhile, on other threads."""
        if (state := self.guard.settled()) is not self._guard_told:
            text = f"The guard went from {self._guard_told} to {state}."
            if self._guard_told is State.STOPPED:
                self._trust.resume()
            self._guard_told = state
            self._tell(self._event(EventKind.GUARD, text))
            if state in (State.DISARMED, State.STOPPED):
                self._rest(f"guard is {state}", self._clock.now_ns())
        if text := self.guard.break_due():
            self._tell(self._event(EventKind.BREAK, text))
        for event in self._fanout.take_events():
            self._tell(event)

    def _account(self, times: StageTimes) -> None:
        if math.isnan(self.first_decision_s):
            self.first_decision_s = (times.acted_ns - self._opened_ns) / 1e9
        self.book.turn(times)
        late_ns = times.acted_ns - times.due_ns - self._deadline_ns
        if late_ns > 0:
            self.book.count_missed()
            text = f"A decision came {late_ns / 1e6:.1f} ms after its deadline."
            self._tell(self._event(EventKind.MISSED, text, 1))

    def _neutral(self, reason: str, slot: Slot) -> Decision:
        span = self._pace.source_span(slot.first, slot.stop)
        return self._decider.neutral(reason, span, slot.marker, self._at.lsl_times(slot))

    def _event(self, kind: EventKind, text: str, count: int = 0) -> Event:
        now_ns = self._clock.now_ns()
        return Event(kind=kind, text=text, sample=self._at.came, count=count, at_ns=now_ns)

    def _tell(self, event: Event) -> None:
        self.book.count_event(event)
        self._fanout.put(event)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """Open in data order, close in the opposite one, whatever happens in between."""
        stages = self._stages
        with ExitStack() as stack:
            # The products are small: a second thread would only be waited for.
            stack.enter_context(threadpool_limits(1, user_api="blas"))
            stack.callback(self._fanout.close)
            stack.callback(stages.source.close)
            stages.source.open()
            self._spec = stages.source.spec
            self._accept(self._spec)
            conditioned = stages.conditioner.open(self._spec)
            stack.callback(stages.encoder.close)
            stages.encoder.open(conditioned, self._window.n_times(conditioned.rate_hz))
            for sink in stages.sinks:
                stack.callback(sink.close)
                sink.open(self._spec, stages.adapter.classes)
            self._pace = Pace.between(self._spec.rate_hz, conditioned.rate_hz)
            self._lead = max(1, round(self._config.lead_s * self._spec.rate_hz))
            self._policy = self._window.policy(conditioned.rate_hz, self._pace)
            capacity = self._policy.reach + round(self._config.history_s * conditioned.rate_hz)
            self._ring = Ring(conditioned.n_channels, capacity)
            self._trust = Trust(stages.conditioner.settle_samples, capacity)
            self._damage = Damage(self._spec)
            self._opened_ns = self._clock.now_ns()
            self._at = Position(self._pace, self._spec.rate_hz, self._opened_ns)
            self._fanout.put(self._spec)
            self._guard_told = self.guard.settled()
            self._tell(self._event(EventKind.GUARD, f"The guard is {self._guard_told}."))
            yield
