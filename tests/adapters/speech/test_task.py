"""Speech as a task: fitted on a simulated speaker, deaf until it is asked, replayed exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from diverloop.adapters.speech.adapter import SpeechAdapter
from diverloop.adapters.speech.task import SPEECH, score_words
from diverloop.assembly import open_model
from diverloop.calibration import fit_best
from diverloop.fit_plan import plans_for
from diverloop.hardware.simulated_speech import (
    SimulatedSpeaker,
    SimulatedSpeakerConfig,
)
from diverloop.proving import verify
from diverloop.reporting import make_report
from diverloop.running import RunOptions, run_session
from diverloop.runtime.bundle import save_bundle
from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import EventKind
from diverloop.runtime.record.reading import open_record
from diverloop.runtime.session import PartConfig, SessionConfig, read_session
from diverloop.training_sources import TrainingSource

SECONDS = 12.0
USUAL = {"person": 7, "say": "keywords", "pause_s": 1.0, "noise": 0.4}


@pytest.fixture(scope="module")
def bundle():
    """A decoder of six commands, from a quiet minute and a half of calibration."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    made = fit_best([training(speaker(seed=8, duration_s=90.0))], plans_for("speech"))
    torch.set_num_threads(before)
    return made


def speaker(**how):
    settings = SimulatedSpeakerConfig(**USUAL | {"seed": 9, "duration_s": SECONDS} | how)
    return PartConfig(kind="speaker", settings=settings)


def training(part):
    return TrainingSource(
        name="a speaker", data_id="one", make=lambda clock: SimulatedSpeaker(part.settings, clock)
    )


def session(folder, bundle, **how):
    path = folder / "speech.bundle"
    save_bundle(bundle, path)
    return SessionConfig(name="speech", source=speaker(**how), model=path, operator="p1")


def test_single_words_make_a_decoder_of_commands(bundle):
    card = bundle.card
    assert (card.task, card.adapter, card.encoder) == ("speech", "speech", "envelope_frames")
    assert card.classes == ("down", "left", "right", "stop", "up", "yes")
    assert card.adapter_config["mode"] == "keywords"
    assert "held out" in card.scores["verdict"]
    assert isinstance(open_model(bundle).adapter, SpeechAdapter)
    assert card.feedback == SPEECH.feedback


def test_commands_of_another_day_are_understood_far_above_chance(tmp_path, bundle):
    config = session(tmp_path, bundle, duration_s=90.0)
    report = run_session(config, RunOptions(live=False, listen=True)).score
    assert report.unit == "keywords"
    assert report.n_utterances > 25
    assert 1 - report.error_rate > 3 / 6
    assert report.n_unheard == 0


def test_a_session_decodes_nothing_until_somebody_lets_it_listen(tmp_path, bundle):
    report = run_session(session(tmp_path, bundle), RunOptions(live=False))
    assert report.score is None
    assert "--listen" in report.unscored
    assert report.to_json()["accuracy"] is None


def test_who_let_it_listen_is_on_record_and_the_replay_is_exact(tmp_path, bundle):
    options = RunOptions(live=False, listen=True, recordings=tmp_path / "kept")
    report = run_session(session(tmp_path, bundle), options)
    assert report.to_json()["words"]["n"] > 0
    record = open_record(report.kept)
    (began,) = [event for event in record.events if event.kind is EventKind.LISTENING]
    assert began.text == "The decoder listens to speech: asked by p1."
    log = (report.kept / "audit.jsonl").read_text(encoding="utf-8")
    assert '"what":"listening"' in log.replace(" ", "")
    page = make_report(report.kept, pdf=False)[0].read_text(encoding="utf-8")
    assert report.score.sentence() in page
    assert bundle.card.scores["verdict"] in page
    found = verify(report.kept)
    assert found.ok, found.sentences()
    assert any(turn.decision.label for turn in record.turns)


def test_the_ready_session_runs_and_understands_something(tmp_path, bundle):
    save_bundle(bundle, tmp_path / "speech.bundle")
    path = Path(__file__).resolve().parents[3] / "sessions" / "simulated-speech.toml"
    changes = {"model.bundle": str(tmp_path / "speech.bundle"), "source.noise": "0.4"}
    config = read_session(path, {**changes, "source.duration_s": "30"})
    report = run_session(config, RunOptions(live=False, listen=True))
    assert report.score.n_exact > report.score.n_utterances / 3


def test_a_recording_without_attempts_is_refused():
    rest = speaker(say="keywords", duration_s=3.0, pause_s=60.0)
    with pytest.raises(RecordingError, match="needs markers 'say:TEXT', 'onset' and 'offset'"):
        fit_best([training(rest)], plans_for("speech"))


def test_a_decoder_of_phonemes_is_judged_by_pronunciations(bundle):
    card = bundle.card
    config = {**card.adapter_config, "mode": "phonemes"}
    scorer = score_words(replace(card, adapter_config=config))
    words = bundle.card.adapter_config["words"]
    spoken = bundle.card.adapter_config["pronunciations"][words.index("left")]
    assert scorer._spell("left") == spoken.split()
    assert scorer._spell("left somewhere") == [*spoken.split(), "somewhere"]
