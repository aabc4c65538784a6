"""`diverloop doctor`: this machine, or a live stream, in words and as JSON."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pylsl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from diverloop import cli, console
from diverloop.hardware import lsl_neighbours
from diverloop.hardware.montage import montage
from diverloop.runtime.doctor import Finding
from diverloop.runtime.session import read_session
from diverloop.runtime.signal_check import ChannelCheck, SignalCheck

RATE_HZ = 250.0
NAMES = tuple(channel.name for channel in montage("eeg16"))


def call(*arguments: object) -> Any:
    return CliRunner().invoke(cli.app, ["doctor", *map(str, arguments)])


class Amplifier(threading.Thread):
    """Sends sixteen electrodes of noise that neighbours share; C3 gives nothing."""

    def __init__(self, name: str) -> None:
        super().__init__(daemon=True)
        info = pylsl.StreamInfo(name, "EEG", len(NAMES), RATE_HZ, "float32", f"serial-{name}")
        rows = info.desc().append_child("channels")
        for label in NAMES:
            row = rows.append_child("channel")
            for key, value in (("label", label), ("unit", "uV"), ("type", "EEG")):
                row.append_child_value(key, value)
        self._outlet = pylsl.StreamOutlet(info)
        self._over = threading.Event()
        self._rng = np.random.default_rng(3)

    def run(self) -> None:
        start_s, n, shared = pylsl.local_clock(), 0, np.zeros(0)
        while not self._over.wait(0.02):
            due = round((pylsl.local_clock() - start_s) * RATE_HZ)
            if due > n:
                wave = np.sin(2 * np.pi * 10 * np.arange(n, due) / RATE_HZ)
                shared = 8 * (wave + self._rng.standard_normal(due - n))
                block = shared + 3 * self._rng.standard_normal((len(NAMES), due - n))
                block[NAMES.index("C3")] = 0
                stamp_s = start_s + (due - 1) / RATE_HZ
                self._outlet.push_chunk(np.ascontiguousarray(block.T, np.float32), stamp_s)
                n = due

    def stop(self) -> None:
        self._over.set()
        self.join()


@pytest.fixture
def amplifier() -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex}"
    sender = Amplifier(name)
    sender.start()
    yield name
    sender.stop()


@pytest.mark.live
def test_a_live_stream_is_judged_by_another_process(amplifier):
    options = f"--json --stream {amplifier} --seconds 4 --line-hz 50"
    done = subprocess.run(
        [sys.executable, "-m", "diverloop", "doctor", *options.split()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout, parse_constant=pytest.fail)
    stream = told["stream"]
    assert stream["name"] == amplifier
    assert stream["measured_hz"] == pytest.approx(RATE_HZ, rel=1e-3)
    assert stream["n_lost"] == 0
    assert stream["n_samples"] == pytest.approx(4 * RATE_HZ, rel=0.1)
    causes = {one["name"]: one["cause"] for one in stream["channels"]}
    assert {name for name, cause in causes.items() if cause} == {"C3"}
    assert causes["C3"] == "flat"
    assert 0.7 < stream["overall"] < 0.95
    assert {one["name"]: one["ok"] for one in told["findings"]}["signal"] is None


@pytest.mark.live
def test_the_same_is_printed_for_people(amplifier, monkeypatch):
    monkeypatch.setattr(console.out, "width", 120, raising=False)
    result = call("--stream", amplifier, "--seconds", 3)
    assert result.exit_code == 0, result.output
    text = " ".join(re.sub("[│┃─━]", " ", result.stdout).split())
    assert "C3" in text
    assert "masked" in text
    assert re.search(r"Signal quality 0\.\d\d of 1: flat: C3\.", text)
    assert "says 250 Hz, runs at 2" in text


@pytest.mark.live
def test_a_stream_that_is_not_there_is_refused_in_one_sentence():
    name = f"nobody-{uuid.uuid4().hex}"
    result = call("--stream", name, "--seconds", 3, "--wait-s", 0.2, "--json")
    assert result.exit_code == 2
    error = json.loads(result.stdout)
    assert error["error"] == "SourceUnavailable"
    assert name in error["message"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--stream", ""), "--stream is empty"),
        (("--stream", "x", "--seconds", 1), "for 3 to 3600 s, got 1 s"),
        (("--stream", "it's"), "must not hold a quote"),
    ],
)
def test_what_cannot_be_looked_at_is_refused_before_anything_is_looked_for(arguments, why):
    result = call(*arguments, "--json")
    assert result.exit_code == 2
    assert why in json.loads(result.stdout)["message"]


def test_the_table_of_many_electrodes_names_those_that_are_not_good():
    channels = [ChannelCheck(name=f"E{n}", score=0.98, masked=0.0, cause="") for n in range(128)]
    channels[7] = ChannelCheck(name="[E7]", score=0.02, masked=1.0, cause="noisy")
    channels[9] = ChannelCheck(name="E9", score=0.4, masked=0.0, cause="")
    channels[11] = ChannelCheck(name="E11", score=0.6, masked=0.4, cause="steps")
    check = SignalCheck(
        name="amp", rate_hz=500.0, measured_hz=500.0, rate_error_hz=0.001, seconds=10,
        n_samples=5000, n_lost=0, n_invalid=0, longest_wait_s=0.1, channels=tuple(channels),
        events=(),
    )  # fmt: skip
    file = io.StringIO()
    Console(width=100, file=file, color_system=None).print(console.channels_table(check))
    text = file.getvalue()
    for words in ("125 good ones are left out", "[E7]", "masked 40% of the time", "used, doubtful"):
        assert words in text
    assert "E12" not in text


@pytest.mark.live
def test_a_pin_is_written_into_the_session_file_and_keeps_its_comments(amplifier, tmp_path):
    path = tmp_path / "s.toml"
    lines = ["# mine", "[session]", 'name = "x"', "[source]", 'kind = "lsl"']
    lines += [f'name = "{amplifier}"', "[model]", 'bundle = "m.bundle"', ""]
    path.write_text("\n".join(lines))
    result = call("--session", path, "--pin", "--json")
    assert result.exit_code == 0, result.output
    (finding,) = json.loads(result.stdout)["findings"]
    assert finding["got"].startswith("16 eeg channels at 250 Hz as <f4 in 1 uV (")
    assert path.read_text().startswith("# mine\n[session]")
    pin = read_session(path).source.settings.pin
    assert pin.source_id == f"serial-{amplifier}"
    assert finding["got"].startswith(pin.about)


def test_a_pin_needs_a_session_that_reads_a_stream(tmp_path):
    path = tmp_path / "s.toml"
    tables = ('[session]\nname = "x"', '[source]\nkind = "simulator"', '[model]\nbundle = "m"')
    path.write_text("\n".join(tables))
    asked = (("--session", path, "--pin"), "reads no LSL stream"), (("--pin",), "--session FILE")
    for options, why in asked:
        assert why in json.loads(call(*options, "--json").stdout)["message"]


def test_the_network_is_looked_at_with_the_machines_of_a_session_and_of_the_command(
    tmp_path, monkeypatch
):
    asked = []

    def look(network, wait_s):
        asked.append((network.known_peers, wait_s))
        return [Finding(name="LSL streams of other hosts", ok=False, got="none answered")]

    monkeypatch.setattr(lsl_neighbours, "look_around", look)
    path = tmp_path / "s.toml"
    path.write_text(
        '[session]\nname = "far"\n[source]\nkind = "lsl"\nname = "amp"\n'
        '[model]\nbundle = "a.bundle"\n[lsl]\nknown_peers = ["10.0.0.2"]\n'
    )
    result = call("--network", "--session", path, "--peer", "10.0.0.3", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["findings"][0]["got"] == "none answered"
    assert call("--peer", "10.0.0.4", "--wait-s", 1).exit_code == 0
    assert asked == [(("10.0.0.2", "10.0.0.3"), 4.0), (("10.0.0.4",), 1.0)]


def test_looking_at_the_network_pins_nothing():
    result = call("--network", "--stream", "amp")
    assert result.exit_code == 2
    assert "looks at no stream and pins none" in result.stderr
