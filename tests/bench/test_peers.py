"""The harness that compares runtimes finds out who decodes something else, or not everything."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import numpy as np
import pytest

from diverloop.tests.bench import peers
from diverloop.tests.bench.peer_entries.decoding import N_SCORES, Decoder, Newest, Signal
from diverloop.tests.bench.peers import (
    ENTRIES,
    FOLDER,
    MOST_CHECKED,
    absent,
    family,
    judged,
    measure,
    present,
    started,
    task_of,
)

TASK = task_of("4x200")
N_PACKETS = 1200  # six seconds


def heard(stops) -> np.ndarray:
    """What a runtime without fault says of windows, 2 ms after the push of their last packet."""
    decode, known = Decoder(TASK), Signal(TASK)
    rows = []
    for stop in stops:
        scores = decode.scores(known.rows(stop - TASK.n_window, stop))
        came_s = (stop - 1) * 0.005 + 0.002
        rows.append((came_s, *scores, stop - TASK.n_window, stop - 1, came_s - 0.001, came_s))
    return np.array(rows)


def judgement(rows) -> dict:
    return judged(TASK, rows, np.arange(N_PACKETS) * 0.005, True)


STOPS = range(400, 1201, TASK.n_step)


def test_a_runtime_without_fault_is_found_to_be_so():
    found = judgement(heard(STOPS))
    faults = ("lost", "doubled", "off_grid", "spliced", "wrong", "refused")
    assert [found[fault] for fault in faults] == [0] * 6
    assert found["p50_ms"] == pytest.approx(2.0, abs=0.001)
    assert found["windows_due"] == found["heard"] == len(STOPS) - 1  # one lies in the first 2 s


def test_each_fault_is_counted_as_what_it_is():
    rows = heard(STOPS)
    rows[20, 1:5] = np.nan
    rows[30, 5] -= 7
    rows[40:42, 1] += 0.1  # of 76 every other one is decoded once more
    rows = np.concatenate([rows[:10], rows[11:], rows[-1:], heard([701])])
    found = judgement(rows)
    assert (found["lost"], found["doubled"], found["off_grid"]) == (1, 1, 1)
    assert (found["refused"], found["spliced"]) == (1, 1)
    assert found["wrong"] == 1


def test_one_who_says_nothing_has_no_figures():
    assert judgement(np.empty((0, 9))) == {"windows_due": 0, "heard": 0}


def test_the_newest_window_is_that_whatever_the_pieces_that_came():
    newest, known, stop = Newest(TASK), Signal(TASK), 0
    for n in (200, *(1, 10, 7, 199, 200) * 5):
        newest.add(known.rows(stop, stop + n))
        stop += n
        np.testing.assert_array_equal(newest.window(), known.rows(stop - 200, stop))


def test_windows_that_were_due_before_the_first_that_was_heard_are_lost():
    assert judgement(heard(STOPS)[6:])["lost"] == 5  # of six left out, one lies in the first 2 s


def test_a_peer_whose_packages_are_missing_is_left_out_with_how_to_get_them(monkeypatch):
    assert absent(["numpy", "no-such-runtime"]) == ["no-such-runtime"]
    monkeypatch.setitem(peers.ENTRIES, "ezmsg", ("ezmsg_graph.py", ("numpy", "no-such-runtime")))
    kept, left_out = present(["ezmsg", "floor"], {})
    assert "ezmsg" not in kept
    assert "pip install no-such-runtime" in left_out["ezmsg"]
    assert present(["ezmsg"], {"ezmsg": "/a/python"}) == (["ezmsg"], {})


def test_processes_that_an_entry_started_are_counted_with_it():
    script = "tail -f /dev/null & echo; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as shell:
        shell.stdout.readline()
        found = family(shell.pid)
        for pid in reversed(found):
            os.kill(pid, signal.SIGKILL)
    assert found[0] == shell.pid
    assert len(found) == 2


def test_what_an_entry_has_started_is_ended_with_it():
    with started(("sh", "-c", "tail -f /dev/null & wait"), TASK, 0) as shell:
        while len(pids := family(shell.pid)) < 2:
            assert shell.poll() is None
        tail = os.pidfd_open(pids[1])
    assert select.select([tail], [], [], 10.0)[0], "it still runs"
    os.close(tail)


def test_of_a_long_run_no_more_decisions_than_said_are_decoded_once_more(monkeypatch):
    asked = []
    monkeypatch.setattr(peers.Signal, "rows", lambda known, first, stop: asked.append(first))
    monkeypatch.setattr(peers.Decoder, "scores", lambda decode, window: np.zeros(N_SCORES))
    assert peers.wrong(TASK, np.zeros((119, 9))) == 0
    assert 30 <= len(asked) <= MOST_CHECKED


@pytest.fixture
def from_the_start(monkeypatch):
    """Nothing is left out of the count, so that a short run says enough."""
    monkeypatch.setattr(peers, "WARM_S", 0.0)


@pytest.mark.live
@pytest.mark.parametrize("name", ["floor", "diverloop"])
@pytest.mark.usefixtures("from_the_start")
def test_over_lsl_what_needs_no_other_library_decodes_every_window(name):
    program = (sys.executable, FOLDER / ENTRIES[name][0])
    found = measure(program, task_of("4x200"), 2.0, 0, name != "floor")
    assert found["heard"] == found["windows_due"] > 20
    assert not found["doubled"]
    assert not found["off_grid"]
    assert not found["wrong"]


LIAR = """
import decoding, numpy, pylsl_pull

class Liar(decoding.Decoder):
    def __call__(self, window):
        if not hasattr(self, "earlier"):
            self.earlier = window.copy()
        said = super().__call__(self.earlier)
        return numpy.array([*said[:4], window[0, 0], window[-1, 0], *said[6:]])

class Twice(pylsl_pull.pylsl.StreamOutlet):
    def push_sample(self, row):
        for _ in range(2):
            super().push_sample(row)

pylsl_pull.Decoder, pylsl_pull.pylsl.StreamOutlet = Liar, Twice
pylsl_pull.main()
"""
"""Decodes one old window for all, says that it was the newest, and says all twice."""


@pytest.mark.live
@pytest.mark.usefixtures("from_the_start")
def test_over_lsl_one_who_decodes_another_window_and_says_it_twice_is_found_out(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(FOLDER), prepend=os.pathsep)
    found = measure((sys.executable, "-c", LIAR), task_of("4x200"), 2.0, 0)
    assert found["doubled"] == found["heard"] > 20
    assert found["wrong"] >= 40  # all but the window that it kept


@pytest.mark.live
def test_over_lsl_one_who_dies_is_told_with_its_last_words():
    found = measure((sys.executable, "-c", "raise SystemExit('no such board')"), TASK, 2.0, 0)
    assert "no such board" in found["failed"]
