"""The study of adaptation as a whole: small, in this process and in others."""

from __future__ import annotations

import json
import math
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import pytest

from diverloop import studying
from diverloop.rl.study.campaign_config import CampaignConfig
from diverloop.runtime.errors import ConfigError
from diverloop.study_sources import CasePlan
from diverloop.studying import Done, Job, do, do_all, jobs_of, markdown_of, report_of

FEW = CampaignConfig(people=2, n_trials=30)


@pytest.fixture(scope="module")
def done():
    return do(Job(config=FEW, environment="MotorImagery", drift="abrupt_recap"))


def test_a_job_tries_every_arm_with_the_envelope_and_without(done):
    assert not done.failed
    arms = {(row.arm, row.held) for row in done.rows}
    assert {("reward", True), ("reward", False), ("frozen", False), ("oracle", False)} <= arms
    assert len({row.person for row in done.rows}) == 2


def test_the_report_is_plain_data_and_a_page(done):
    report = report_of([done], FEW)
    json.dumps(report)
    assert "MotorImagery, abrupt_recap" in report["parts"]
    text = markdown_of(report)
    assert "not a medical device" in text
    assert "| oracle |" in text


def test_a_recording_that_is_missing_is_told_and_the_rest_goes_on(tmp_path):
    plan = CasePlan(
        person="p", name="gone", task="ssvep", classes=("10", "12"), calibration=("no.npz",),
        sessions=(("nor.npz",),),
    )  # fmt: skip
    lost = do(Job(config=FEW, plan=plan, root=str(tmp_path)))
    assert "no.npz" in lost.failed
    assert "Left out: gone (p)" in markdown_of(report_of([lost], FEW))


def test_jobs_are_the_recordings_and_every_drift(tmp_path):
    jobs = jobs_of(FEW, root=tmp_path, environments=("MotorImagery",), drifts=("none", "shift"))
    assert [job.drift for job in jobs if not job.plan] == ["none", "shift"]
    assert any(job.plan for job in jobs)


class Killed:
    """A pool whose second process is killed, with all that it still had to do."""

    def __init__(self, workers, mp_context):
        self._first = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, work, job):
        future = Future()
        if self._first:
            future.set_result(Done(job=job))
        else:
            future.set_exception(BrokenProcessPool("killed"))
        self._first = False
        return future


def test_what_was_done_before_a_process_is_killed_is_not_lost(monkeypatch):
    monkeypatch.setattr(studying, "ProcessPoolExecutor", Killed)
    jobs = [Job(config=FEW, environment="MotorImagery", drift=drift) for drift in ("none", "gain")]
    first, second = do_all(jobs, workers=2, tell=lambda *_: None)
    assert not first.failed
    assert "fewer --workers" in second.failed


def test_how_long_it_takes_is_told_in_whole_trials_or_as_never():
    figure = {"value": 40.0, "low": 30.0, "high": 57.0}
    arms = {"reward": figure, "bandit": {**figure, "high": math.inf}, "other": {"value": None}}
    report = {"parts": {}, "failed": {}, "trials_to_90_percent_of_oracle": {"abrupt": arms}}
    assert markdown_of(report).splitlines()[-3:] == [
        "- reward: 40 (30 to 57)", "- bandit: 40 (30 to never)", "- other: not reached",
    ]  # fmt: skip


def test_no_worker_is_refused():
    with pytest.raises(ConfigError, match="workers must be at least 1"):
        do_all([], workers=0, tell=lambda *_: None)
