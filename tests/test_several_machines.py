"""A session on three hosts in network namespaces, with a network that fails."""

from __future__ import annotations

import itertools
import time

import pytest

from diverloop.proving import verify

from . import far_hosts
from .far_session import FarSession, pause, quick_model, trusted_model

WHY_NOT = far_hosts.why_not()
pytestmark = [pytest.mark.live, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "none")]

CUT_S = 2.0  # of the source: short enough for TCP to bring all of it afterwards
AWAY_S = 5.0  # of the desk: long enough for its connection to be given up


@pytest.fixture(scope="module")
def drill(tmp_path_factory):
    """One session, with each host cut off once, looked at by the tests below."""
    folder = tmp_path_factory.mktemp("far")
    home = trusted_model(folder, quick_model(folder))
    found = {}
    with (
        far_hosts.hosts("source", "loop", "desk") as hosts,
        FarSession(hosts, folder, home) as far,
    ):
        hosts.link(delay_s=0.005)
        for host in ("loop", "desk"):
            far.await_turns(host, 0.0, 10)
        found["stranger"], found["status"] = far.ask("stranger"), far.ask("status")
        found["again"] = far.ask("again")
        cut_s = time.monotonic()
        hosts.link(delay_s=0.005, cut=("source",))
        pause(CUT_S)
        healed_s = time.monotonic()
        hosts.link(delay_s=0.005, cut=("desk",))
        found |= {"cut_s": cut_s, "healed_s": healed_s}
        found["decided_s"] = far.await_turns("loop", healed_s, 10)
        pause(max(0.0, AWAY_S - (time.monotonic() - healed_s)))
        found["joined_s"] = time.monotonic()
        hosts.link(delay_s=0.005)
        found["seen_s"] = far.await_turns("desk", found["joined_s"], 10)
        found["stop"] = far.ask("stop")
        found |= {"after": far.ask("status"), "report": far.finish()}
        found |= {"loop": far.lines("loop"), "desk": far.lines("desk")}
        found["proof"] = verify(far.recording())
    return found


def turns(lines):
    return [one for one in lines if one["what"] == "Turn"]


def test_without_its_source_the_loop_is_neutral_within_its_patience(drill):
    neutral = [
        one["acted"] for one in turns(drill["loop"])
        if one["acted"] > drill["cut_s"] and one["reason"].startswith("no new data")
    ]  # fmt: skip
    assert neutral[0] - drill["cut_s"] < 0.25 + 0.25  # stale_s, and a machine that is shared


def test_once_the_source_is_back_all_that_it_sent_is_there_and_none_of_it_acts_late(drill):
    assert drill["report"]["counts"]["samples_lost"] == 0
    assert drill["decided_s"] - drill["healed_s"] < 15.0
    old = [
        one for one in turns(drill["loop"]) if one["reason"].startswith("what comes is old")
    ]  # fmt: skip
    assert old
    assert not any(one["label"] for one in old)


def test_a_desk_that_is_cut_off_never_holds_up_the_loop(drill):
    at = [
        one["acted"] for one in turns(drill["loop"])
        if drill["decided_s"] < one["acted"] < drill["joined_s"]
    ]  # fmt: skip
    assert len(at) > 10
    assert max(after - before for before, after in itertools.pairwise(at)) < 1.0


def test_the_desk_looks_on_again_by_itself_and_counts_what_it_missed(drill):
    assert drill["seen_s"] - drill["joined_s"] < 15.0
    assert drill["desk"][-1]["lost"] > 0
    assert drill["loop"][-1]["lost"] == 0


def test_the_operator_at_the_desk_stops_the_session_after_the_partition(drill):
    assert drill["status"]["facts"]["guard"] in ("armed", "holding")
    assert drill["stop"]["done"]
    assert drill["after"]["facts"]["guard"] == "stopped"


def test_neither_a_stranger_nor_a_command_played_back_gets_in(drill):
    assert not drill["stranger"]["done"]
    assert (drill["again"]["done"], drill["again"]["why"]) == (False, "replayed request")


def test_the_record_of_such_a_session_proves_itself(drill):
    assert drill["proof"].ok, drill["proof"]
