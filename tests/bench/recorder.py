"""What recording costs a live session, and whether it loses anything, as JSON.

    python tests/bench/recorder.py [--minutes 30] [--pairs 40 --block-s 20] [--folder DIR]

A process of its own sends 256 channels at 2 kHz in pieces of 5 ms over LSL, and three marker
streams; every row can be told from its content. The product's loop decodes sixteen of the
channels every 50 ms, with the product's recorder. Two parts:

- ``loss``: one session of ``--minutes``. The sender counts what it has sent; the file is read back
  and every row compared, bit for bit.
- ``cost``: sessions of ``--block-s`` with and without the recorder, in turn and in an order that
  lets slow changes of the machine cancel out. ``ratio`` is that of the 99th percentiles with to
  without, with a 95 % interval by bootstrap over pairs of blocks. The stages' own figure, ``loop``,
  counts from the moment at which the samples are in the process; ``whole`` counts from the
  sample's own time stamp, which is the sender's, on the same clock. So it holds the network, the
  wake-up, and the wait for the interpreter, too.

Run it on a machine that is otherwise idle: ``stolen`` and ``others`` say how much of the machine
went elsewhere in each part, and ``quiet_pairs`` leaves out the blocks in which that was much.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from counting_sender import CHUNK, MARKERS, Sender, Stream, speak_here_only
from machine_load import Machine
from numpy.typing import NDArray

WARM_UP_S = 2.0
BLAS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# --- the loop's process ----------------------------------------------------------------------


def light_bundle(rate_hz: float) -> Any:
    """A model of the sixteen electrodes, fitted on a simulated participant."""
    from diverloop.calibration import fit_model
    from diverloop.demo import SPAN
    from diverloop.fit_plan import FitPlan
    from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
    from diverloop.runtime.signal.condition_config import ConditionConfig
    from diverloop.runtime.windows import WindowConfig
    from diverloop.training_sources import TrainingSource

    settings = SimulatorConfig(rate_hz=rate_hz, duration_s=80.0, seed=1)
    source = TrainingSource(
        name="simulated", data_id="seed 1", make=lambda clock: SimulatedParticipant(settings, clock)
    )
    condition = ConditionConfig(reference="average", bands_hz=((8.0, 30.0),), order=2)
    plan = FitPlan(
        span=SPAN, encoder="csp", conditioning=condition, window=WindowConfig(step_s=0.05)
    )
    return fit_model([source], plan)


class Times:
    """Watches when windows were due and answered, and how far the disk is behind."""

    lossless = True

    def __init__(self) -> None:
        self.rows: list[tuple[float, float, float]] = []
        self.unsaved: list[int] = []
        self.link: Any = None
        self.events: dict[str, int] = {}

    def watch(self, message: Any) -> None:
        from diverloop.runtime.messages import Event, Turn

        if isinstance(message, Turn) and message.embedding is not None:
            at, stamp_s = message.times, message.decision.lsl_raw_s
            self.rows.append((at.acted_ns / 1e6, at.due_ns / 1e6, 1e3 * stamp_s))
            if self.link is not None:
                self.unsaved.append(self.link.unsaved)
        elif isinstance(message, Event):
            self.events[str(message.kind)] = self.events.get(str(message.kind), 0) + 1

    def close(self) -> None:
        pass

    def latencies_ms(self) -> dict[str, NDArray[np.float64]]:
        """Each window's ``loop`` and ``whole``, those of the first seconds left out."""
        import pylsl

        acted, due, stamp = np.array(self.rows).T
        to_lsl_ms = 1e3 * (pylsl.local_clock() - time.monotonic())
        warm = acted > acted[0] + 1e3 * WARM_UP_S
        return {"loop": (acted - due)[warm], "whole": (acted + to_lsl_ms - stamp)[warm]}


def block(
    stream: Stream,
    bundle: Any,
    sender: Sender,
    recordings: Path | None,
    wait: Callable[[], object],
) -> dict[str, Any]:
    """One session, recorded or not, that lasts as long as `wait` does.

    Returns
    -------
    found : dict
        Latencies in ``ms``, what the machine ``spent``, ``kept`` as folder.
    """
    from diverloop.assembly import assemble, open_model
    from diverloop.hardware.lsl_inlet import LslConfig
    from diverloop.keeping import keep
    from diverloop.runtime.clock import MonotonicClock
    from diverloop.runtime.realtime import RealtimeConfig, realtime
    from diverloop.runtime.session import PartConfig, SessionConfig

    source = LslConfig(name=stream.name, markers=",".join(f"{stream.name}-{m}" for m in MARKERS))
    session = SessionConfig(
        name="bench",
        source=PartConfig(kind="lsl", settings=source),
        model=Path("light.bundle"),
        realtime=RealtimeConfig(lock_memory=True),
    )
    model, clock, times = open_model(bundle, 0.05), MonotonicClock(), Times()
    pids, spent = {"loop process": os.getpid(), "sender": sender.pid}, {}
    with ExitStack() as stack:
        keeping = None
        if recordings is not None:
            kept = keep(session, model, clock, recordings, live=True, armed=True)
            keeping = stack.enter_context(kept)
            times.link, pids["recorder"] = keeping.link, keeping.link.recorder_pid
        loop = assemble(
            session,
            clock=clock,
            watchers=(times, *(keeping.watchers if keeping else ())),
            armed=True,
            model=model,
            tape=keeping.tape if keeping else None,
        )
        if keeping:
            keeping.link.tell = loop.tell

        def watch_the_clock() -> None:
            time.sleep(WARM_UP_S)
            machine = Machine(pids)
            wait()
            spent.update(machine.spent())
            loop.stop()

        timer = threading.Thread(target=watch_the_clock, daemon=True, name="bench")
        timer.start()
        with realtime(session.realtime) as grants:
            report = loop.run()
        timer.join()
    return {
        "ms": times.latencies_ms(),
        "spent": spent,
        "kept": keeping.folder if keeping else None,
        "unsaved": times.unsaved,
        "refused_wishes": [grant.name for grant in grants if not grant.obtained],
        "decoded": report.decoded,
        "missed": report.missed_deadlines,
        "lost": report.samples_lost,
        "events": times.events,
    }


# --- loss ------------------------------------------------------------------------------------


def read_back(stream: Stream, file: Path) -> dict[str, Any]:
    """Compare every row and every marker of a recording with what was sent."""
    from diverloop.runtime.record.layout import SIGNAL, TAPE
    from diverloop.runtime.record.xdf_read import Header, NumericSamples, TextSamples, XdfReader

    table = stream.table()
    names: dict[int, str] = {}
    labels: dict[str, list[str]] = {f"{stream.name}-{m}": [] for m in MARKERS}
    rows = wrong = messages = 0
    first = None
    reader = XdfReader(file)
    for part in reader:
        if isinstance(part, Header):
            names[part.stream_id] = part.name
        elif isinstance(part, NumericSamples) and part.stream_id == SIGNAL:
            numbers = stream.numbers_in(part.values)
            first = int(numbers[0]) if first is None else first
            expected = table[numbers % len(table)]
            stream.count_into(expected, first + rows)
            wrong += int((part.values != expected).any(axis=1).sum())
            rows += len(part.values)
        elif isinstance(part, TextSamples) and part.stream_id == TAPE:
            messages += len(part.texts)
        elif isinstance(part, TextSamples) and names[part.stream_id] in labels:
            labels[names[part.stream_id]] += part.texts
    orderly = all(
        texts == [f"{mark}{n}" for n in range(_number(texts), _number(texts) + len(texts))]
        for mark, texts in zip(MARKERS, labels.values(), strict=True)
    )
    return {
        "rows": rows,
        "first_row": first,
        "rows_wrong_missing_or_out_of_order": wrong,
        "markers": [len(texts) for texts in labels.values()],
        "markers_in_order_without_hole": orderly,
        "messages": messages,
        "file_mb": round(file.stat().st_size / 1e6, 2),
        "remarks": list(reader.remarks),
    }


def _number(texts: list[str]) -> int:
    return int(texts[0][1:]) if texts else 0


def measure_loss(stream: Stream, bundle: Any, folder: Path, minutes: float) -> dict[str, Any]:
    """Record one long session and count."""
    sender = Sender(stream, 60 * minutes)

    def until_all_is_sent() -> None:
        sender.wait()
        time.sleep(1.0)  # the last rows are on their way

    found = block(stream, bundle, sender, folder / "loss", until_all_is_sent)
    sender.stop()
    recorded = read_back(stream, found["kept"] / "recording.xdf")
    sent = sender.sent
    shutil.rmtree(found["kept"])
    behind_s = np.array(found["unsaved"]) * 60 * minutes / recorded["messages"]
    return {
        "minutes": minutes,
        "sent": {
            "rows": sent["rows"],
            "markers": sent["markers"],
            "worst_late_ms": round(sent["worst_late_ms"], 2),
        },
        "recorded": recorded,
        "rows_lost": sent["rows"] - recorded["rows"],
        "markers_lost": [s - r for s, r in zip(sent["markers"], recorded["markers"], strict=True)],
        "nothing_lost": sent["rows"] == recorded["rows"]
        and sent["markers"] == recorded["markers"]
        and not recorded["rows_wrong_missing_or_out_of_order"],
        "decoded": found["decoded"],
        "missed_deadlines": found["missed"],
        "events": found["events"],
        **found["spent"],
        "disk_is_behind_s": {name: quantiles(behind_s)[name] for name in ("p50", "p99", "max")},
        "ms": {name: quantiles(values) for name, values in found["ms"].items()},
    }


# --- cost ------------------------------------------------------------------------------------


def quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    """Median, tail and worst of latencies in milliseconds."""
    p50, p95, p99 = np.quantile(values, (0.5, 0.95, 0.99))
    return {
        "n": len(values),
        "p50": round(float(p50), 4),
        "p95": round(float(p95), 4),
        "p99": round(float(p99), 4),
        "max": round(float(values.max()), 4),
    }


def ratio(
    recorded: list[NDArray[np.float64]], plain: list[NDArray[np.float64]], q: float
) -> dict[str, Any]:
    """Quantile with the recorder over quantile without, and its interval.

    ``of_all`` pools the windows of all blocks; ``of_medians`` compares the median block, so that
    a block in which the machine was disturbed hardly counts.
    """
    rng = np.random.default_rng(0)
    ours = np.array([np.quantile(values, q) for values in recorded])
    theirs = np.array([np.quantile(values, q) for values in plain])

    def both(picked: NDArray[np.intp]) -> tuple[float, float]:
        one = np.concatenate([recorded[i] for i in picked])
        other = np.concatenate([plain[i] for i in picked])
        pooled = np.quantile(one, q) / np.quantile(other, q)
        return pooled, np.median(ours[picked]) / np.median(theirs[picked])

    everything = both(np.arange(len(ours)))
    drawn = [both(rng.integers(len(ours), size=len(ours))) for _ in range(1000)]
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    return {
        name: {
            "ratio": round(float(everything[place]), 4),
            "interval_95": [round(float(low[place]), 4), round(float(high[place]), 4)],
        }
        for place, name in enumerate(("of_all", "of_medians"))
    }


def ratios(arms: dict[bool, list[NDArray[np.float64]]], pairs: Sequence[int]) -> dict[str, Any]:
    """`ratio` of some pairs of blocks, for median and tails."""
    if not pairs:
        return {}
    recorded, plain = ([arms[arm][pair] for pair in pairs] for arm in (True, False))
    return {f"p{100 * q:g}": ratio(recorded, plain, q) for q in (0.5, 0.95, 0.99)}


def is_quiet(found: dict[str, Any]) -> bool:
    """Whether a block had the machine for itself."""
    spent = found["spent"]
    return bool(spent["stolen_percent"] < 1 and spent["others_percent"] < 10)


def measure_cost(
    stream: Stream, bundle: Any, folder: Path, pairs: int, block_s: float
) -> dict[str, Any]:
    """Sessions with and without the recorder in turn: AB, BA, AB, ..."""
    sender = Sender(stream)
    blocks: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    wrong = 0
    for pair in range(pairs):
        for recording in (True, False) if pair % 2 else (False, True):
            found = block(
                stream,
                bundle,
                sender,
                folder / "cost" if recording else None,
                lambda: time.sleep(block_s),
            )
            if recording:
                back = read_back(stream, found["kept"] / "recording.xdf")
                wrong += back["rows_wrong_missing_or_out_of_order"]
                shutil.rmtree(found["kept"])
            blocks[recording].append(found)
        print(f"pair {pair + 1} of {pairs}", file=sys.stderr)
    sender.stop()
    quiet = [pair for pair in range(pairs) if all(is_quiet(blocks[arm][pair]) for arm in blocks)]
    result: dict[str, Any] = {"pairs": pairs, "block_s": block_s, "rows_wrong": wrong}
    for name in ("loop", "whole"):
        arms = {arm: [found["ms"][name] for found in blocks[arm]] for arm in blocks}
        result[name] = {
            "recorded_ms": quantiles(np.concatenate(arms[True])),
            "plain_ms": quantiles(np.concatenate(arms[False])),
            "recorded_p99_by_block_ms": [round(float(np.quantile(v, 0.99)), 3) for v in arms[True]],
            "plain_p99_by_block_ms": [round(float(np.quantile(v, 0.99)), 3) for v in arms[False]],
            **ratios(arms, range(pairs)),
            "quiet_pairs": {"n": len(quiet), **ratios(arms, quiet)},
        }
    for recording, word in ((True, "recorded"), (False, "plain")):
        found = blocks[recording]
        result[word] = {
            "decoded": sum(one["decoded"] for one in found),
            "missed_deadlines": sum(one["missed"] for one in found),
            "cpu_percent_of_a_core": mean_of([one["spent"] for one in found]),
            "stolen_percent": [one["spent"]["stolen_percent"] for one in found],
            "others_percent": [one["spent"]["others_percent"] for one in found],
        }
    result["refused_wishes"] = blocks[True][0]["refused_wishes"]
    return result


def mean_of(spent: list[dict[str, Any]]) -> dict[str, float]:
    """Mean processor use of blocks, by process and thread."""
    names = sorted({name for one in spent for name in one["cpu_percent_of_a_core"]})
    of = [one["cpu_percent_of_a_core"] for one in spent]
    return {name: round(float(np.mean([one.get(name, 0.0) for one in of])), 2) for name in names}


def main() -> int:
    """Measure and print; 0 if nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="length of the loss part; 0: none"
    )
    parser.add_argument("--pairs", type=int, default=40, help="pairs of blocks; 0: none")
    parser.add_argument("--block-s", type=float, default=20.0)
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--rate", type=float, default=2000.0)
    parser.add_argument("--folder", type=Path, help="where to record; a disk, not a RAM disk")
    asked = parser.parse_args()
    if not sys.platform.startswith("linux"):
        sys.exit("This benchmark reads /proc: run it on Linux.")
    for name in BLAS:
        os.environ.setdefault(name, "1")
    stream = Stream(name=f"bench-{uuid.uuid4().hex}", n_channels=asked.channels, rate_hz=asked.rate)
    found: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "stream": {"channels": asked.channels, "rate_hz": asked.rate, "rows_a_piece": CHUNK},
    }
    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        folder = Path(place)
        os.environ["DIVERLOOP_HOME"] = place  # a key of its own signs the logs
        if "LSLAPICFG" not in os.environ:
            speak_here_only(folder)
        bundle = light_bundle(asked.rate)
        if asked.minutes:
            found["loss"] = measure_loss(stream, bundle, folder, asked.minutes)
        if asked.pairs:
            found["cost"] = measure_cost(stream, bundle, folder, asked.pairs, asked.block_s)
    print(json.dumps(found, indent=1))
    return 0 if found.get("loss", {"nothing_lost": True})["nothing_lost"] else 1


if __name__ == "__main__":
    sys.exit(main())
