"""Commands of timing: a verdict in words and in JSON, a file for the session, and refusals."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from diverloop import timing_commands
from diverloop.hardware.simulated_photodiode import PhotodiodeConfig, SimulatedPhotodiode
from diverloop.runtime.session import read_session
from diverloop.runtime.timing_offset import timing_of

from .test_cli import NOTICE, call, refused, strict
from .test_record_commands import flat

RATE_HZ = 1000.0
SESSION = """
[session]
name = "timing"
[source]
kind = "replay"
path = "{path}"
[model]
bundle = "none.bundle"
"""


def write(path: Path, delay_s: float, jitter_s: float = 0.0, n: int = 40, short: float = 1.0):
    """A recording of a task that flashes at once and a screen that shows it later."""
    rng = np.random.default_rng(0)
    cues = np.round((0.2 + np.cumsum(rng.uniform(0.3, 0.6, n)) * short) * RATE_HZ).astype(int)
    lit_s = cues / RATE_HZ + delay_s + jitter_s * rng.standard_normal(n)
    config = PhotodiodeConfig(rise_s=0.0003, on_s=0.1 * short)
    light = SimulatedPhotodiode(config, RATE_HZ, lit_s).samples(0, int(cues[-1] + RATE_HZ * short))
    np.savez(
        path,
        data=np.stack((np.zeros(len(light)), light)).astype(np.float32),
        scale=np.ones(2), offset=np.zeros(2), units="uV", fs=RATE_HZ,
        ch_names=np.array(["C3", "AUX"]), ch_types=np.array(["eeg", "misc"]),
        ch_pos=np.full((2, 3), np.nan),
        ev_sample=cues, ev_label=np.array(["flash"] * n),
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("timing")
    write(folder / "late.npz", 0.0312)
    write(folder / "good.npz", 0.0005)
    write(folder / "shaky.npz", 0.0312, 0.008)
    write(folder / "live.npz", 0.0207, n=20, short=0.22)
    (folder / "session.toml").write_text(
        SESSION.format(path=(folder / "live.npz").as_posix()), encoding="utf-8"
    )
    return folder


def test_a_recording_is_judged_in_words(folder):
    result = call("timing", "analyse", folder / "good.npz", "--channel", "AUX")
    text = flat(result.stdout)
    assert result.exit_code == 0
    assert NOTICE in text
    assert "good enough for windows that are locked to events" in text
    assert "95 %" in text


def test_a_recording_is_judged_in_json(folder):
    result = call("timing", "analyse", folder / "late.npz", "--channel", "AUX", "--json")
    found = strict(result.stdout)
    assert result.exit_code == 1
    assert found["delay"]["median_ms"] == pytest.approx(31.2, abs=0.2)
    assert found["n_pairs"] == 40
    assert (found["ok"], NOTICE in found["notice"]) == (False, True)


def test_a_constant_delay_is_saved_for_sessions(folder, tmp_path):
    file = tmp_path / "amp.toml"
    call_ = ("timing", "analyse", folder / "late.npz", "--channel", "AUX", "--save", file)
    result = call(*call_)
    assert result.exit_code == 0
    assert "Saved in" in result.stdout
    timing = timing_of({"file": "amp.toml"}, tmp_path)
    assert timing.offset_ms == pytest.approx(31.2, abs=0.2)
    assert (timing.n, timing.rate_hz, len(timing.recording)) == (40, RATE_HZ, 64)


def test_what_a_constant_cannot_correct_is_not_saved(folder, tmp_path):
    file = tmp_path / "amp.toml"
    arguments = ("timing", "analyse", folder / "shaky.npz", "--channel", "AUX", "--save", file)
    machine, person = call(*arguments, "--json"), call(*arguments)
    words = "Nothing was saved, because a constant cannot correct this (jitter"
    assert words in strict(machine.stdout)["message"]
    assert words in flat(person.stderr)
    assert "Good enough?" in person.stdout  # what was measured is told all the same
    assert (machine.exit_code, person.exit_code) == (2, 2)
    assert not file.exists()


def test_a_set_up_is_measured_live_and_written_into_its_session(folder, tmp_path):
    session = tmp_path / "session.toml"
    session.write_text((folder / "session.toml").read_text())
    arguments = ("--session", session, "--channel", "AUX", "--quiet-ms", 15)
    result = call("timing", "photodiode", *arguments, "--save", session)
    text = flat(result.stdout)
    assert result.exit_code == 0, result.output
    assert "1. Tape the photodiode onto the patch" in text
    assert "No person is connected to the amplifier" in text
    saved = read_session(session).timing
    assert saved.offset_ms == pytest.approx(20.7, abs=0.3)
    assert "path" in tomllib.loads(session.read_text())["source"]


def test_watching_writes_a_line_now_and_then(folder):
    arguments = ("--session", folder / "session.toml", "--channel", "AUX", "--quiet-ms", 15)
    result = call("timing", "watch", *arguments, "--every-s", 1, "--jitter-ms", 1)
    text = flat(result.stdout)
    assert "0.0 min" in text
    assert "since the start: drift" in text
    assert result.exit_code == 1  # 20 ms are too late, and watching saves nothing


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("analyse", "late.npz", "--channel", "Oz"), "There is no channel 'Oz'"),
        (("analyse", "late.npz", "--channel", "C3"), "does not go between two levels"),
        (("analyse", "late.npz", "--channel", "AUX", "--markers", "x"), "No marker fits 'x'"),
        (("analyse", "none.npz", "--channel", "AUX"), "There is no file"),
        (("analyse", "late.npz", "--channel", "AUX", "--kind", "lamp"), "kind must be one of"),
        (("analyse", "late.npz", "--channel", "AUX", "--jitter-ms", "0"), "jitter_ms must be"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(folder, monkeypatch, arguments, words):
    monkeypatch.chdir(folder)
    assert words in refused("timing", *arguments)["message"]


def test_a_loop_back_out_of_range_is_refused_before_anything_starts():
    assert "seconds must be in" in refused("timing", "loopback", "--seconds", "1")["message"]


def test_each_sensor_has_its_own_instructions(capsys):
    for kind, words in (("audio", "loudspeaker"), ("trigger", "trigger line")):
        timing_commands._instruct("AUX", "*", kind, 3.0)
        assert words in flat(capsys.readouterr().out)
