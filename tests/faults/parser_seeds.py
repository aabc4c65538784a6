"""Small valid files, made by the product's own writers or as other programs write them."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
RATE_HZ = 100.0


def written(write: Callable[[Path], object], name: str) -> bytes:
    """What a function writes into a file of that name."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def sessions() -> list[bytes]:
    """The ready sessions, and one with a value in every kind of table."""
    return [path.read_bytes() for path in sorted((ROOT / "sessions").glob("*.toml"))] + [_BUSY]


MAPPING = [
    b"""
[montage]
name = "cap"
reference = "FCz"
positions = "standard"
others = "drop"
drop = ["AUX1"]
[[channels]]
device = "E1"
name = "Fp1"
kind = "eeg"
row = 2
unit = "uV"
factor = -1.5
bad = true
position_mm = [1.0, 2.5, -3.0]
[[channels]]
device = "E2"
"""
]

_BUSY = b"""
[session]
name = "all of it"
participant = "P1"
[source]
kind = "simulator"
seed = 5
duration_s = 3.5
classes = ["left", "right"]
faults = [{kind = "gap", at_s = 1.0, length_s = 0.5}]
[model]
bundle = "~/m.bundle"
step_s = 0.1
engine = "auto"
[[sinks]]
kind = "null"
[feedback]
kind = "evidence"
dwell_s = 0.5
[loop]
stale_s = 0.25
[conditioning]
reference = "average"
line_hz = 50.0
bands_hz = [[8, 30.0]]
[conditioning.spikes]
[conditioning.seizures]
[flicker]
contrast = 0.2
"""

CONDITIONING = [
    b'[conditioning]\nreference = "average"\nline_hz = 50\nbands_hz = [[8, 12], [13, 30]]\n'
    b"order = 4\n[conditioning.spikes]\n[conditioning.seizures]\n"
]
GUIDE = [
    b'[session]\nname = "morning"\noperator = "O1"\n[source]\nkind = "simulator"\nseed = 5\n'
    b'[calibration]\ntask = "motor_imagery"\nclasses = ["left", "feet"]\nrest_s = [1, 2.5]\n'
    b'max_s = 600\n[calibration.words]\nfeet = "Wiggle your toes"\n[limits]\nlost_share = 0.1\n'
]
OVERRIDES = [
    b"loop.stale_s=0.3", b"session.name='x y'", b"conditioning.bands_hz=[[8, 30]]",
    b"source.faults=[{kind = 'gap', at_s = 1.0, length_s = 1}]", b"model.bundle=x.bundle",
]  # fmt: skip
RECIPE = [
    b'[[recordings]]\nname = "a"\nlicence = "CC0-1.0"\ncredit = "x"\nmodality = "EEG"\n'
    b'line_hz = 50\nassume_unit = "uV"\nfiles = ["none.npz"]\n',
    b'[[simulated]]\nname = "s"\nmontage = "eeg8"\ntask = "motor_imagery"\nrate_hz = 250\n'
    b"seconds = 10.0\nseeds = [1, 2]\nline_hz = 50\n",
]
LEXICON = [b"# words\nyes Y EH S\nno N OW\nstop S T AA P\n"]
LETTERS = [b"I am thirsty.\nPlease open the window.\nTHANK YOU\n"]
NOTE = [b'{"text": "she moved", "who": "O1", "token": "00"}']
ADDRESS = [b'{"address": "tcp://127.0.0.1:5599", "token": "00", "pid": 1}']
ANSWER = [b'{"text": "i am thirsty", "utterance": 1, "version": 2}']
REQUEST = [
    b'{"hypotheses": [["i am", -1.5], ["i an", -2.0]], "final": true, "utterance": 1, "version": 2}',  # noqa: E501
    b'{"forget": true}',
]
PUBLIC = [b"ab" * 32]


@cache
def _card() -> Any:
    from diverloop.runtime.card import Card, CardData, CardInput, CardWindow
    from diverloop.runtime.messages import Channel, StreamSpec
    from diverloop.runtime.windows import WindowConfig

    spec = StreamSpec(
        name="amp", rate_hz=250.0, channels=tuple(Channel(name=n) for n in ("C3", "Cz", "C4"))
    )
    return Card(
        task="motor_imagery", classes=("left", "right"), encoder="band_power", adapter="linear",
        encoder_config={"bands_hz": [[8.0, 12.0]]}, adapter_config={"abstain_below": 0.55},
        conditioning={"reference": "average", "bands_hz": [[8.0, 30.0]]},
        input=CardInput.of(spec), conditioned_rows=("C3", "Cz", "C4"),
        window=CardWindow.of(WindowConfig(length_s=1.0, step_s=0.1), 250.0),
        reference="average", band=(8.0, 30.0),
        trained_on=(CardData(data_id="0" * 64, name="a", seconds=60.0, n_trials=20),),
        scores={"accuracy": 0.8}, versions={"python": "3.11"}, created_utc="2026-01-01T00:00:00",
    )  # fmt: skip


@cache
def _bundle_file(name: str) -> list[bytes]:
    from diverloop.runtime.bundle import Bundle, save_bundle

    arrays = {"encoder.a": np.arange(6.0).reshape(2, 3), "adapter.b": np.ones(2, np.float32)}
    with tempfile.TemporaryDirectory() as folder:
        save_bundle(Bundle(card=_card(), arrays=arrays), Path(folder) / "m.bundle")
        return [(Path(folder) / "m.bundle" / name).read_bytes()]


def cards() -> list[bytes]:
    """``card.json`` of a bundle."""
    return _bundle_file("card.json")


def weights() -> list[bytes]:
    """``weights.safetensors`` of a bundle."""
    return _bundle_file("weights.safetensors")


@cache
def model() -> tuple[bytes, bytes]:
    """Card and weights of a model that was fitted."""
    from diverloop.runtime.bundle import save_bundle

    from ..modelled import fitted

    with tempfile.TemporaryDirectory() as folder:
        save_bundle(fitted(), Path(folder) / "m.bundle")
        return tuple(  # type: ignore[return-value]
            (Path(folder) / "m.bundle" / name).read_bytes()
            for name in ("card.json", "weights.safetensors")
        )


@cache
def taped() -> Any:
    """A short session with a promotion, persons and faults, as it was sent to a recorder."""
    from ..runtime.record.taped import Trial, run

    return run(Trial(seed=2, n_packets=5, form="i2", promotions=0.2, persons=0.2))


def recorder_pipe() -> list[bytes]:
    """A message of each kind that a session sends to its recorder."""
    from diverloop.runtime.record.frames import TOPICS, pack
    from diverloop.runtime.wire import encode

    by_kind = {type(message): message for message in taped().sent}
    return [pack(encode(TOPICS[kind], message, 3)) for kind, message in by_kind.items()]


def telemetry() -> list[bytes]:
    """A message of each kind that a viewer is sent."""
    from diverloop.runtime.messages import Chunk, Turn
    from diverloop.runtime.record.frames import pack
    from diverloop.runtime.telemetry import _TOPICS, Score, encode_message

    every = [message for message in taped().sent if type(message) in _TOPICS]
    made = {type(message): message for message in (*every, *taped().all(Turn))}
    made[Score] = Score(hits=3, trials=4, interval=(0.3, 0.95), meaning="cues")
    return [pack(encode_message(message, 3)) for kind, message in made.items() if kind is not Chunk
            ] + [pack(encode_message(made[Chunk], 3))]  # fmt: skip


def tape_lines() -> list[bytes]:
    """A line of each kind on a tape."""
    from diverloop.runtime.messages import Chunk
    from diverloop.runtime.record.entries import ChunkEntry, write_entry

    by_kind = {type(message): message for message in taped().sent}
    by_kind[Chunk] = ChunkEntry.of(by_kind[Chunk], ((0, 3),))
    return [write_entry(message).encode() for message in by_kind.values()]


def recordings() -> list[bytes]:
    """A recording of ours, whole, and one that breaks off."""
    from ..runtime.record.taped import write

    return [
        written(lambda path: write(path, taped().sent, finished=True), "r.xdf"),
        written(lambda path: write(path, taped().sent, finished=False), "r.xdf"),
    ]


def xdf() -> list[bytes]:
    """A signal of another program with its markers."""
    from ..hardware.test_recordings import write_xdf

    return [written(lambda path: write_xdf(path, lost=np.s_[60:]), "r.xdf")]


def npz() -> list[bytes]:
    """A recording as plain arrays."""
    from ..hardware.test_recordings import write_npz

    return [written(write_npz, "r.npz")]


def mne(suffix: str) -> list[bytes]:
    """A recording in a format that MNE reads."""
    if suffix == ".edf":
        return [_edf()]
    import mne as package

    package.set_log_level("ERROR")
    info = package.create_info(["C3", "C4"], RATE_HZ, "eeg")
    raw = package.io.RawArray(np.ones((2, 200)) * 1e-5, info, verbose="error")
    if suffix == ".fif":
        return [written(lambda path: raw.save(path, verbose="error"), "r_raw.fif")]
    raise ValueError(suffix)


def _edf() -> bytes:
    """Two signals of 100 Hz for two seconds."""

    def field(text: object, width: int) -> bytes:
        return str(text).ljust(width).encode("ascii")

    head = field("0", 8) + field("X", 80) + field("X", 80) + b"01.01.2600.00.00"
    head += field(256 * 3, 8) + field("", 44) + field(2, 8) + field(1, 8) + field(2, 4)
    for values, width in (
        (("C3", "C4"), 16), (("", ""), 80), (("uV", "uV"), 8), ((-3200, -3200), 8),
        ((3200, 3200), 8), ((-32768, -32768), 8), ((32767, 32767), 8), (("", ""), 80),
        ((100, 100), 8), (("", ""), 32),
    ):  # fmt: skip
        head += b"".join(field(value, width) for value in values)
    return head + np.arange(400, dtype="<i2").tobytes()


VHDR = [
    b"Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=r.eeg\n"
    b"MarkerFile=r.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\nNumberOfChannels=2\n"
    b"SamplingInterval=10000\n[Binary Infos]\nBinaryFormat=INT_16\n[Channel Infos]\n"
    b"Ch1=C3,,0.5,\xc2\xb5V\nCh2=C4,,0.5,\xc2\xb5V\n"
]
VMRK = (
    b"Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\nDataFile=r.eeg\n"
    b"[Marker Infos]\nMk1=New Segment,,1,1,0,20260101000000000000\nMk2=Stimulus,S  1,50,1,0\n"
)


def matlab_24() -> list[bytes]:
    """A session of Brain-to-Text '24."""
    from ..hardware.test_read_brain_to_text import of_24

    return [_undated(written(of_24, "s.mat"))]


def hdf5_25() -> list[bytes]:
    """A session of Brain-to-Text '25."""
    from ..hardware.test_read_brain_to_text import of_25

    return [written(of_25, "s.hdf5")]


def monitoring() -> list[bytes]:
    """A session of 013-2015."""
    from ..hardware.test_read_error_sets import two_runs

    return [_undated(written(two_runs, "Subject01_s1.mat"))]


def spelling() -> list[bytes]:
    """A session of the BCI Challenge."""
    from ..hardware.test_read_error_sets import spelling as write

    return [written(lambda path: write(path, 60, (20,)), "Data_S02_Sess01.csv")]


def word_production() -> list[bytes]:
    """A participant of SingleWordProductionDutch."""
    from ..hardware.test_read_word_production import written as write

    with tempfile.TemporaryDirectory() as folder:
        path, _ = write(Path(folder) / "set", names=("sub-01",))
        return [path.read_bytes()]


CHANNELS_TSV = b"name\ttype\tunits\nLA1\tSEEG\tuV\nLA2\tSEEG\tuV\nX\tMISC\tuV\n"


def _undated(matlab: bytes) -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(116) + matlab[116:]


def lsl() -> list[bytes]:
    """The description of an LSL stream."""
    import pylsl

    info = pylsl.StreamInfo("amp", "EEG", 2, RATE_HZ, "float32", "serial-1")
    rows = info.desc().append_child("channels")
    for label in ("C3", "C4"):
        row = rows.append_child("channel")
        row.append_child_value("label", label)
        row.append_child_value("unit", "microvolts")
        row.append_child_value("type", "EEG")
        place = row.append_child("location")
        for axis in "XYZ":
            place.append_child_value(axis, "10.5")
    # A stream that is not sent yet has no number of its own, which is then missed.
    return [info.as_xml().encode().replace(b"<uid></uid>", b"<uid>b4e1</uid>")]


@cache
def audit_key() -> Any:
    """The key that signed `audit`: always the same."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from diverloop.runtime.record.signing import _wrap

    return _wrap(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"fuzz").digest()))


def audit() -> list[bytes]:
    """A log of four entries, and its head as the last line."""
    from diverloop.runtime.clock import VirtualClock
    from diverloop.runtime.record.audit import AuditKind, AuditLog

    with tempfile.TemporaryDirectory() as folder:
        log = AuditLog.create(Path(folder) / "a", audit_key(), VirtualClock())
        for n in range(3):
            details = {"n": n, "list": [1.5, None], "map": {"a": "b"}}
            log.append(AuditKind.FAULT, who="loop", why="It was late.", details=details)
        log.close()
        lines = (Path(folder) / "a" / "audit.jsonl").read_bytes()
        return [lines + (Path(folder) / "a" / "audit.head.json").read_bytes()]


def signing_key() -> list[bytes]:
    """A signing key."""
    from diverloop.runtime.record.signing import _pem

    return [_pem(audit_key())]


def student() -> list[bytes]:
    """The smallest student."""
    import torch

    from diverloop.decoders.student import Student
    from diverloop.decoders.student_config import StudentConfig
    from diverloop.decoders.student_files import save_student

    torch.set_num_threads(1)
    torch.manual_seed(0)
    small = StudentConfig(width=32, n_layers=1, n_latents=2, context=4, n_readings=2)
    note = {"corpus": [{"name": "a", "licence": "CC0-1.0"}], "r2": 0.5}
    return [written(lambda path: save_student(Student(small), path, note), "s.safetensors")]


def shard() -> list[bytes]:
    """A file of a checkpoint."""
    import safetensors.numpy

    return [safetensors.numpy.save({"model/a": np.ones(3, np.float32)})]


def checkpoint_index(data: bytes) -> bytes:
    """Table of contents of a checkpoint whose only file holds these bytes."""
    file = "shard-00000-00000.safetensors"
    note = {
        "format": "diverloop-training-2",
        "step": 5,
        "seconds": 1.5,
        "settings": {"plan": {"steps": 9}},
        "waiting": [{"loss": 0.5}],
    }
    content = {
        "format": "diverloop-shards-1",
        "note": note,
        "files": {file: hashlib.sha256(data).hexdigest()},
        "tensors": {"model/a": {"shape": [3], "pieces": [[file, 0, 3]]}},
    }
    return json.dumps(content).encode()


def checkpoint() -> list[bytes]:
    """Its table of contents, as a training run leaves it."""
    return [checkpoint_index(shard()[0])]


ENGINE_INDEX = [
    json.dumps({
        "bundle_sha256": "0" * 64, "probe_sha256": "1" * 64, "versions": {"onnx": "1"}, "format": 1,
        "files": [{"name": "a.onnx", "sha256": "2" * 64, "precision": "fp32", "made_for": ""}],
    }).encode()
]  # fmt: skip


CORPUS = [
    json.dumps({
        "format": 1,
        "entries": [{
            "name": "a", "data_id": "1" * 64, "licence": "CC0-1.0", "modality": "EEG",
            "channel_names": ["C3", "C4"], "positions_mm": [[1.0, 2.0, 3.0], [None, None, None]],
            "subtypes": [0, -1], "calibrated": True, "credit": "x",
            "conditioning": {"reference": "average"}, "seconds": 0.2, "stretches": [[0, 100]],
            "file": "a.npy", "sha256": "0" * 64,
        }],
    }).encode()
]  # fmt: skip
DECISIONS = [
    b'{"sample": 1, "label": "left", "probabilities": [0.5, 0.5]}\n{"sample": 2, "label": null}\n'
]
TRAINING_LOG = [b"step,loss,rate\n1,0.5,0.001\n2,0.4,0.001\n3,0.3,0.001\n"]
