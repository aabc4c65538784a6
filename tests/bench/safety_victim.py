"""The process that `safety_times` mistreats: the real loop, a watchdog, LSL as the way out.

It commands without a pause, armed, and does what a line on its standard input says:

``spin``   its encoder computes for a second without ever letting go of the interpreter
``block``  its encoder waits for a second for a device that does not answer
``cut``    its source falls silent for half a second
``press``  the emergency stop is told, on a thread of its own, as a link or a key would
``free``   a person resets and arms again

Each order is answered with one line, the monotonic time in nanoseconds at which it took effect.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass

import numpy as np

from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.fanout import FanOut
from diverloop.runtime.feedback import EvidenceFeedback, FeedbackConfig
from diverloop.runtime.guard import Guard, Signal
from diverloop.runtime.limits import GuardConfig, State
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import LoopConfig, Stages
from diverloop.runtime.messages import (
    Channel,
    Chunk,
    Decision,
    Embedding,
    Event,
    EventKind,
    StreamSpec,
)
from diverloop.runtime.plug import Plug
from diverloop.runtime.realtime import RealtimeConfig, realtime
from diverloop.runtime.session import part_of
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.watchdog_config import WatchdogConfig
from diverloop.runtime.windows import WindowConfig

N_CHANNELS, RATE_HZ, HANG_S, CUT_S = 128, 1000.0, 1.0, 0.5
CLASSES = ("left", "right")
SPEC = StreamSpec(
    name="safety",
    rate_hz=RATE_HZ,
    channels=tuple(Channel(name=f"E{n}") for n in range(N_CHANNELS)),
    source_id="safety",
)


@dataclass
class Orders:
    """What was ordered last, until it has been carried out."""

    order: str = ""

    def take(self, *wanted: str) -> str:
        if self.order not in wanted:
            return ""
        order, self.order = self.order, ""
        print(time.monotonic_ns(), flush=True)
        return order


class Ticking:
    """Noise in real time; silent for a while when it is told to cut."""

    ended = False
    spec = SPEC

    def __init__(self, clock: MonotonicClock, orders: Orders) -> None:
        self._clock, self._orders = clock, orders
        self._noise = np.random.default_rng(0).normal(0, 10, (N_CHANNELS, 4000)).astype("f4")
        self._sent, self._silent_until_ns = 0, 0

    def open(self) -> None:
        self._began_ns = self._clock.now_ns()

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        if self._orders.take("cut"):
            self._silent_until_ns = self._clock.now_ns() + round(CUT_S * 1e9)
        due_ns = self._began_ns + round((self._sent + wanted) / RATE_HZ * 1e9)
        self._clock.wait_until(min(max(due_ns, self._silent_until_ns), until_ns))
        now_ns = self._clock.now_ns()
        there = int((now_ns - self._began_ns) / 1e9 * RATE_HZ)
        if there <= self._sent or now_ns < self._silent_until_ns:
            return None
        first = max(self._sent, there - 3000)
        self._sent = there
        samples = self._noise[:, np.arange(first, there) % 4000]
        return Chunk(samples=samples, first_sample=first, arrived_ns=now_ns)

    def close(self) -> None:
        pass


class Hanging:
    """An encoder that hangs when it is told to."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def open(self, spec, n_times) -> None:
        self._weights = np.random.default_rng(1).normal(size=(N_CHANNELS, n_times))

    def encode(self, window) -> Embedding:
        order = self._orders.take("spin", "block")
        until_s = time.monotonic() + HANG_S
        if order == "block":
            threading.Event().wait(HANG_S)  # as a call into a driver does
        while order == "spin" and time.monotonic() < until_s:
            pass
        return Embedding(values=(window.samples * self._weights).sum(axis=1))

    def close(self) -> None:
        pass


class Sure:
    """An adapter that always decides."""

    classes, epoch = CLASSES, 0

    def decide(self, embedding, window) -> Decision:
        return Decision(
            classes=CLASSES,
            probabilities=np.array([0.1, 0.9]),
            label="right",
            first_sample=window.first_sample,
            stop_sample=window.stop_sample,
        )


class Tell:
    """Prints what the watchdog and the guard say, for whoever watches."""

    lossless = True

    def watch(self, message) -> None:
        if isinstance(message, Event) and message.kind in (EventKind.WATCHDOG, EventKind.GUARD):
            print("#", message.text, file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


def obey(guard: Guard, orders: Orders, loop: Loop) -> None:
    """Take orders until there are none any more."""
    for line in sys.stdin:
        order = line.strip()
        if order == "press":
            pressed_ns = time.monotonic_ns()
            guard.tell(Signal.EMERGENCY_STOP)
            print(pressed_ns, flush=True)
        elif order == "free":
            guard.tell(Signal.PERSON_RESETS)
            guard.tell(Signal.PERSON_ARMS)
            print(time.monotonic_ns(), flush=True)
        else:
            orders.order = order
    loop.stop()


def main(name: str) -> None:
    """Run until standard input ends."""
    clock, orders = MonotonicClock(), Orders()
    guard, fanout = Guard(GuardConfig(armed_at_most_s=14400)), FanOut((Tell(),))
    plug = Plug(
        [part_of("sink", {"kind": "lsl", "name": name}, "sinks")],
        WatchdogConfig(),
        disarm=lambda: guard.tell(Signal.WATCHDOG),
        tell=fanout.say,
    )
    guard.alarms.append(plug.stop)
    guard.tell(Signal.PERSON_ARMS)
    loop = Loop(
        Stages(
            source=Ticking(clock, orders),
            conditioner=StreamConditioner(ConditionConfig()),
            encoder=Hanging(orders),
            adapter=Sure(),
            feedback=EvidenceFeedback(FeedbackConfig(memory_s=0.0)),
            sinks=(plug,),
        ),
        clock=clock,
        window=WindowConfig(length_s=0.5, step_s=0.05),
        config=LoopConfig(),
        guard=guard,
        fanout=fanout,
        beat=plug.beat,
    )
    threading.Thread(target=obey, args=(guard, orders, loop), daemon=True).start()
    with realtime(RealtimeConfig()):
        loop.run()
    assert guard.state in State


if __name__ == "__main__":
    main(sys.argv[1])
