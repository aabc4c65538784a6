"""One engine, measured on request: what is timed, what is counted, what is answered."""

from __future__ import annotations

import io
import itertools
import json

import numpy as np
import pytest

from diverloop.decoders.engines import measuring_worker
from diverloop.decoders.engines.engine import EngineAbout
from diverloop.decoders.engines.measuring_floor import Peaks
from diverloop.decoders.engines.measuring_worker import (
    Bench,
    Order,
    hops_of,
    memory_mb,
    places_mm,
    serve,
)
from diverloop.decoders.student_config import StudentConfig
from diverloop.runtime.errors import ConfigError, EngineError

TINY = StudentConfig(width=32, n_layers=1, n_latents=2, context=3, n_readings=2)


class Sums:
    """Engine: the sum of each hop; it counts them, and stops where it is told to."""

    def __init__(self, stops_at: int = -1) -> None:
        self.heard, self.closed, self._stops_at = 0, False, stops_at
        self.about = EngineAbout(name="sums", precision="fp32", device="cpu", version="1")

    def restart(self) -> None:
        """Nothing is remembered."""

    def hear(self, hop_uv, usable):
        """Sum of the rows that are there."""
        if self.heard == self._stops_at:
            raise EngineError("It stopped: open it again.")
        self.heard += 1
        return np.array([hop_uv[usable].sum()], np.float32)

    def close(self) -> None:
        """Note it."""
        self.closed = True


def order(**other: object) -> Order:
    settings: dict[str, object] = {
        "engine": "onnxruntime",
        "precision": "fp32",
        "channels": 3,
        "config": TINY,
    }
    return Order(**{**settings, **other})  # type: ignore[arg-type]


def answers(monkeypatch, engine: Sums | Exception, *requests: object) -> list[object]:
    """What a worker says that holds such an engine."""

    def opened(order: Order) -> Sums:
        if isinstance(engine, Exception):
            raise engine
        return engine

    monkeypatch.setattr(measuring_worker, "open_engine", opened)
    lines = [order().to_json(), *(json.dumps(one) for one in requests)]
    out = io.StringIO()
    serve(io.StringIO("\n".join(lines)), out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_order_survives_a_line_of_text():
    one = order(seed=3, window_s=2.0)
    assert Order.from_json(one.to_json()) == one
    assert "\n" not in one.to_json()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"engine": "abacus"}, "abacus"),
        ({"precision": "fp64"}, "fp64"),
        ({"channels": 0}, "got 0"),
    ],
)
def test_an_order_that_nobody_can_fill_is_refused(wrong, words):
    with pytest.raises(ConfigError, match=words):
        order(**wrong)


def test_every_hop_is_timed_alone_and_opening_lasts_until_the_first_embedding():
    clock = itertools.count(step=1_000_000)
    bench = Bench(Sums, hops_of(3, 50, seed=0), clock_ns=lambda: next(clock))
    assert bench.open_s == 1e-3
    assert bench.block(4) == [1_000_000] * 4
    assert bench.engine.heard == 5


def test_hops_differ_come_again_and_are_the_same_for_every_engine():
    hops = hops_of(3, 50, seed=1)
    again = hops_of(3, 50, seed=1)
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(hops, again, strict=True))
    assert hops[0][0].shape == (3, 50)
    assert hops[0][0].dtype == np.float32
    bench = Bench(Sums, hops)
    said = [bench.hear()[0] for _ in range(2 * len(hops))]
    assert len(set(said)) == len(hops)
    assert said[: len(hops)] == said[len(hops) :]


def test_places_are_the_same_for_every_engine():
    np.testing.assert_array_equal(places_mm(4, 2), places_mm(4, 2))
    assert places_mm(4, 2).shape == (1, 4, 3)
    assert not np.array_equal(places_mm(4, 2), places_mm(4, 3))


def test_memory_now_is_at_most_the_most_so_far():
    now, most = memory_mb("VmRSS"), memory_mb("VmHWM")
    if now is None or most is None:
        pytest.skip("only Linux tells the memory of a process")
    assert 1 < now <= most * 1.01


def test_a_worker_answers_line_by_line_and_closes_its_engine(monkeypatch):
    engine = Sums()
    said = answers(monkeypatch, engine, {"block": [3, 0.0]}, {"memory": True}, {"ticks": 0.01})
    opened, block, memory, ticks = said
    assert opened["about"]["name"] == "sums"
    assert opened["open_s"] > 0
    assert len(block) == 3
    assert memory is None or memory >= 0
    assert set(ticks) == {"idle", "busy"}
    assert engine.closed


def test_an_engine_that_cannot_be_opened_is_refused_in_its_own_words(monkeypatch):
    said = answers(monkeypatch, EngineError("There is no GPU: choose another."), {"memory": True})
    assert said == [{"refused": "There is no GPU: choose another."}]


def test_an_engine_that_stops_says_so_and_the_worker_lives_on(monkeypatch):
    said = answers(monkeypatch, Sums(stops_at=2), {"block": [5, 0.0]}, {"memory": True})
    assert said[1] == {"refused": "It stopped: open it again."}
    assert len(said) == 3


def test_a_worker_tells_what_the_machine_can_do(monkeypatch):
    monkeypatch.setattr(measuring_worker, "time_at_shapes", lambda config, rows: float(rows))
    peaks = Peaks(gflop_per_s=80.0, gb_per_s=20.0)
    monkeypatch.setattr(measuring_worker, "measure_peaks", lambda: peaks)
    out = io.StringIO()
    serve(io.StringIO(json.dumps({"shapes": [[TINY.to_dict(), 3], [TINY.to_dict(), 5]]})), out)
    found = json.loads(out.getvalue())
    assert found == {
        "shapes_ms": [3.0, 5.0],
        "peaks": {"gflop_per_s": 80.0, "gb_per_s": 20.0},
    }


def test_the_teacher_reads_the_last_seconds_and_nothing_older():
    pytest.importorskip("torch", reason="the teacher needs torch")
    hops = hops_of(2, 50, seed=5)
    long, short = (measuring_worker.TeacherWindow(2, 50, window_s=1.0) for _ in range(2))
    for one in hops[:3]:
        long.hear(*one)
    for one in hops[3:13]:
        expected = short.hear(*one)
        found = long.hear(*one)
    np.testing.assert_array_equal(found, expected)
    assert found.shape == (256,)
    assert not np.array_equal(found, short.hear(*hops[0]))
