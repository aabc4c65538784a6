"""A session adapts as its file says, or is refused with what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from diverloop import adapting
from diverloop.adapting import check_adaptation, head_of
from diverloop.assembly import open_model
from diverloop.proving import verify
from diverloop.rl import learning_process
from diverloop.running import RunOptions, run_session
from diverloop.runtime import catalog
from diverloop.runtime.adaptation_config import AdaptationConfig
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.errors import BundleError, ConfigError
from diverloop.runtime.record.audit import AuditKind, read_audit

from .modelled import adaptive, fitted
from .test_running import simulated

BLIND = {"holds": False, "least_gap_s": 0.0}


@pytest.fixture(autouse=True)
def nudge(monkeypatch):
    known = {**catalog.CATALOG, "learner": {"nudge": "tests.rl.heads:Nudge"}}
    monkeypatch.setattr(catalog, "CATALOG", known)
    assert learning_process.find("learner", "nudge").__name__ == "Nudge"


def session(seconds=20.0, **config):
    made = AdaptationConfig(
        **{"learner": "nudge", "trial": "cue", "permission": "session", **config}
    )
    return replace(simulated(seconds, Path("none.bundle")), adaptation=made)


def test_a_model_without_prototypes_is_refused_with_what_to_do():
    with pytest.raises(ConfigError, match="fit it with --adaptive"):
        check_adaptation(session(), open_model(fitted()))


def test_a_session_that_names_no_learner_has_nothing_to_be_checked():
    assert check_adaptation(simulated(1.0), open_model(fitted())) == ""
    assert head_of(open_model(adaptive())).classes == fitted().card.classes


def test_what_adapts_is_said_in_one_sentence():
    assert check_adaptation(session(rewards=("undo",)), open_model(adaptive())) == (
        "nudge, undo, each cue a trial, at most one change in 60 s, allowed by the session"
    )


@pytest.mark.parametrize(
    ("config", "error", "what"),
    [
        ({"envelope": BLIND}, ConfigError, "which is for studies alone"),
        ({"envelope": {"shadow": 3}}, ConfigError, "'shadow' is no key of"),
        (
            {
                "rewards": ("error potential",),
                "error_model": "gone.bundle",
                "trial": "selection",
            },
            BundleError,
            "gone",
        ),
    ],
    ids=["blind", "misspelt", "no error model"],
)
def test_what_cannot_be_is_refused_before_anything_runs(config, error, what):
    with pytest.raises(error, match=what):
        check_adaptation(session(**config), open_model(adaptive()))


def test_an_error_model_that_nobody_vouches_for_is_not_even_opened(monkeypatch):
    asked = session(rewards=("error potential",), error_model="x.bundle", trial="selection")
    monkeypatch.setattr(adapting, "load_bundle", lambda path: adaptive())
    monkeypatch.setattr(adapting, "open_error_model", lambda path: pytest.fail("opened"))

    def refuse(bundle, security, live):
        raise BundleError("Nobody vouches for it.")

    monkeypatch.setattr(adapting, "vouch", refuse)
    with pytest.raises(BundleError, match="Nobody vouches"):
        check_adaptation(asked, open_model(adaptive()))


def test_no_learner_is_started_if_anything_beside_it_fails(monkeypatch):
    def fail(session, model, head):
        raise ConfigError("There is no such task.")

    monkeypatch.setattr(adapting, "_serving", fail)
    monkeypatch.setattr(adapting, "LearningLink", lambda *args: pytest.fail("started"))
    made = adapting.adaptive(session(), open_model(adaptive()), MonotonicClock(), None, live=True)
    with pytest.raises(ConfigError, match="no such task"), made:
        pass


def test_without_a_control_link_no_clinician_could_allow_it():
    asked = session(permission="clinician")
    with pytest.raises(ConfigError, match="name a folder with --recordings"):
        run_session(asked, RunOptions(seconds=0.1), open_model(adaptive()))


def test_a_run_that_adapts_gives_the_same_again_and_replays_exactly(tmp_path):
    options = RunOptions(live=False, armed=True, recordings=tmp_path)
    first, second = (
        run_session(session(6.0, trial="window", envelope=BLIND), options, open_model(adaptive()))
        for _ in range(2)
    )
    assert first.latency.events["promoted"] > 0
    assert first.latency.events == second.latency.events
    changes = [
        [
            (entry.details["sha256"], entry.details["trials"])
            for entry in read_audit(report.kept)
            if entry.what == AuditKind.PROMOTION and "sha256" in entry.details
        ]
        for report in (first, second)
    ]
    assert changes[0] == changes[1] != []
    proof = verify(first.kept)
    assert proof.ok, proof.sentences()
