"""No session shows a person what the profile refuses, unless somebody answers for it on record."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from diverloop import flicker_lock
from diverloop.adapters.ssvep import FLICKER
from diverloop.assembly import assemble, open_model
from diverloop.calibration import fit_best
from diverloop.fit_plan import plans_for
from diverloop.flicker_lock import allow, look
from diverloop.hardware.lsl_inlet import LslConfig
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.proving import verify
from diverloop.run_report import RunReport
from diverloop.running import RunOptions, run_session
from diverloop.runtime.bundle import Bundle, save_bundle
from diverloop.runtime.card import Card
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.paradigms.flicker import FlickerConfig, Unlock
from diverloop.runtime.record.audit import read_audit
from diverloop.runtime.session import PartConfig, SessionConfig
from diverloop.training_sources import TrainingSource

from .test_cli import call, refused, told

SAFE, HARMFUL = ("8", "10", "12"), ("8", "15")
PERSON = SimulatorConfig(task="ssvep", montage="eeg8", seed=3, duration_s=6.0)
UNLOCK = Unlock(operator="op1", reason="Photosensitivity was ruled out in the clinic.")

SESSION = """
[session]
name = "flickers"
[source]
kind = "lsl"
name = "nobody-sends-this"
wait_s = 0.1
[model]
bundle = "{bundle}"
"""


@functools.cache
def model_for(classes: tuple[str, ...]) -> Bundle:
    """A model of flickers."""
    rest = SimulatorConfig(task="rest", montage="eeg8", seed=3, duration_s=6.0)
    source = TrainingSource(
        name="rest", data_id="seed 3", make=lambda clock: SimulatedParticipant(rest, clock)
    )
    plain = replace(FLICKER, bad_channels=None)
    plans = plans_for("ssvep", encoder="fbcca_untrained", classes=classes, conditioning=plain)
    return fit_best([source], plans)


def session(kind: str = "lsl", profile: str = "", contrast: float = 1.0) -> SessionConfig:
    settings = {"lsl": LslConfig(name="amp"), "simulator": PERSON}[kind]
    return SessionConfig(
        name="flickers",
        source=PartConfig(kind=kind, settings=settings),
        model=Path("none.bundle"),
        step_s=0.5,
        operator="op1",
        flicker=FlickerConfig(profile=profile, contrast=contrast),
    )


def flashing(task: str, **changes: object) -> Card:
    """A card of another task."""
    return replace(model_for(SAFE).card, task=task, **changes)


@pytest.fixture
def somebody_looks(monkeypatch):
    """The simulated participant counts as a person."""
    monkeypatch.setattr(flicker_lock, "NOBODY_LOOKS", ("replay",))


@pytest.mark.parametrize(
    ("classes", "profile", "contrast", "why"),
    [
        (SAFE, "", 1.0, ""),
        (SAFE, "general", 1.0, ""),
        (HARMFUL, "", 0.29, ""),
        (HARMFUL, "", 1.0, "15 Hz and contrast 1 .* the general profile refuses"),
        (SAFE, "epilepsy", 0.1, "8 Hz and contrast 0.1 .* the epilepsy profile refuses"),
    ],
)
def test_a_session_starts_only_with_what_the_profile_allows(classes, profile, contrast, why):
    asked, card = session(profile=profile, contrast=contrast), model_for(classes).card
    if not why:
        assert not allow(asked, card).locked
        return
    with pytest.raises(ConfigError, match=why) as caught:
        allow(asked, card)
    for way_out in ("other flickers", "flicker.contrast", "--unlock-flicker"):
        assert way_out in str(caught.value)
    assert allow(asked, card, unlock=UNLOCK).refused


def test_a_channel_inside_the_skull_takes_the_strict_profile_wherever_it_is():
    card = model_for(SAFE).card
    with pytest.raises(ConfigError, match="epilepsy profile"):
        allow(session(), card, ("eeg", "seeg"))
    inside = tuple(replace(one, kind="ecog") for one in card.input.channels)
    assert look(session(), replace(card, input=replace(card.input, channels=inside))).locked
    assert not look(session(profile="general"), card, ("seeg",)).locked


@pytest.mark.parametrize("kind", flicker_lock.NOBODY_LOOKS)
def test_recordings_and_people_who_are_made_up_are_never_locked(kind):
    asked = replace(session(profile="epilepsy"), source=PartConfig(kind=kind, settings=None))
    assert allow(asked, model_for(HARMFUL).card).refused


@pytest.mark.parametrize(
    ("card", "rates"),
    [
        (lambda: flashing("p300", scores={"flash_hz": 16.0}), (16.0,)),
        (lambda: flashing("p300", scores={}), (5.71,)),
        (lambda: flashing("p300_speller", adapter_config={"plan": {"soa_s": 0.05}}), (20.0,)),
        (lambda: flashing("p300_speller", adapter_config={}), (5.71,)),
        (lambda: flashing("motor_imagery"), ()),
    ],
)
def test_every_task_says_how_fast_its_screen_flashes(card, rates):
    seen = look(session(), card())
    assert seen.frequencies_hz == rates
    assert seen.locked is any(15 <= rate <= 25 for rate in rates)
    assert look(session(profile="epilepsy"), card()).locked is bool(rates)


def run(place: Path | None, unlock: str = "", **changes: object) -> RunReport:
    asked = replace(session("simulator"), **changes)
    options = RunOptions(live=False, recordings=place, unlock_flicker=unlock)
    return run_session(asked, options, open_model(model_for(HARMFUL), 0.5))


def test_a_locked_session_leaves_nothing_and_an_unlocked_one_says_who_and_why(
    tmp_path, somebody_looks
):
    with pytest.raises(ConfigError, match="is locked"):
        run(tmp_path)
    assert not list(tmp_path.iterdir())
    report = run(tmp_path, UNLOCK.reason)
    (entry,) = [one for one in read_audit(report.kept) if one.what == "override"]
    assert entry.who == "op1"
    assert UNLOCK.reason in entry.why
    assert entry.details["frequencies_hz"] == [8.0, 15.0]
    assert entry.details["profile"] == "general"
    assert "15 Hz" in entry.details["refused"]
    assert verify(report.kept).ok


def test_an_unlock_needs_a_record_and_a_name(tmp_path, somebody_looks):
    with pytest.raises(ConfigError, match="name a folder with --recordings"):
        run(None, UNLOCK.reason)
    with pytest.raises(ConfigError, match="give --operator"):
        run(tmp_path, UNLOCK.reason, operator=" ")


def test_a_recorded_session_is_replayed_whatever_the_profile(tmp_path):
    report = run(tmp_path, flicker=FlickerConfig(profile="epilepsy"))
    assert verify(report.kept).ok


def test_a_loop_reads_no_sample_of_a_stream_that_chooses_a_stricter_profile(
    somebody_looks, monkeypatch
):
    spec = SimulatedParticipant.spec.fget
    grid = lambda self: replace(  # noqa: E731
        spec(self),
        channels=(*spec(self).channels, replace(spec(self).channels[0], name="G1", kind="ecog")),
    )
    monkeypatch.setattr(SimulatedParticipant, "spec", property(grid))
    model = open_model(model_for(SAFE))
    loop = assemble(session("simulator"), clock=VirtualClock(), model=model)
    with pytest.raises(ConfigError, match="epilepsy profile"):
        loop.run()
    assert loop.report().windows_due == 0


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """A session at an amplifier with a model that flickers at 15 Hz."""
    folder = tmp_path_factory.mktemp("locked")
    save_bundle(model_for(HARMFUL), folder / "flickers.bundle")
    path = folder / "session.toml"
    path.write_text(SESSION.format(bundle="flickers.bundle"))
    return path


def test_run_refuses_before_it_looks_for_the_amplifier(file, tmp_path):
    asked = ("run", file, "--no-view", "--recordings", tmp_path, "--json")
    assert "the general profile refuses" in refused(*asked[:-1])["message"]
    unlocked = call(*asked, "--operator", "op1", "--unlock-flicker", UNLOCK.reason)
    assert json.loads(unlocked.stdout)["error"] == "SourceUnavailable"
    (kept,) = tmp_path.iterdir()
    assert "override" in [entry.what for entry in read_audit(kept)]


def test_the_doctor_looks_at_a_session_before_it_starts(file):
    findings = {one["name"]: one for one in told("doctor", "--session", file)["findings"]}
    assert findings["session"]["ok"]
    assert "ssvep" in findings["model"]["got"]
    assert findings["flicker"]["ok"] is False
    assert "15 Hz" in findings["flicker"]["got"]
    assert "--unlock-flicker" in findings["flicker"]["advice"]
    assert "is locked" in " ".join(
        call("doctor", "--session", file).stdout.replace("│", " ").split()
    )
    both = refused("doctor", "--session", file, "--stream", "amp")
    assert "one at a time" in both["message"]


@pytest.mark.parametrize(
    ("asked", "classes", "ok", "got"),
    [
        (session(), SAFE, True, "8, 10, 12 Hz at contrast 1, general profile: allowed"),
        (session("simulator"), HARMFUL, None, "refused, but the source is no person: simulator"),
    ],
)
def test_what_is_shown_is_told_for_people(asked, classes, ok, got):
    finding = look(asked, model_for(classes).card).finding()
    assert finding.ok is ok
    assert got in finding.got


def test_a_task_without_flicker_says_so():
    assert look(session(), flashing("motor_imagery")).finding().got == "the task shows none"
    assert json.dumps(look(session(), flashing("motor_imagery")).record())
