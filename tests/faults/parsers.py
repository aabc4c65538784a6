"""Every parser of what comes from outside, as a table: how to feed it bytes, and valid ones.

A parser ends in a value or in a `DiverloopError`, within a bounded time and memory, whatever it is
fed. Where the form of a file protects it by a hash (weights, an audit log), the hash is made right
again: who forges the one forges the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from diverloop.runtime.errors import DiverloopError

from . import hostile_forms, parser_seeds

Read = Callable[[bytes, Path], object]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A parser.

    Parameters
    ----------
    name : str
        What the long form calls it.
    what : str
        The function that is fed, for people.
    read : callable
        Feeds it bytes, given an empty folder.
    seeds : callable
        Gives valid files.
    form : str
        A key of `hostile.FORMS`.
    short : int
        Cases in the gate; few where a case takes milliseconds in somebody else's reader.
    needs : str
        What has to be importable, if that is an extra.
    """

    name: str
    what: str
    read: Read
    seeds: Callable[[], Sequence[bytes]]
    form: str = "bytes"
    short: int = 200
    needs: str = ""

    @cached_property
    def files(self) -> list[bytes]:
        """The valid files, made once."""
        return list(self.seeds())


def _file(data: bytes, folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


# ------------------------------------------------------------------------------ settings


def _session(data: bytes, folder: Path) -> object:
    from diverloop.runtime.session import read_session, tables_of

    return tables_of(read_session(_file(data, folder, "s.toml")))


def _override(data: bytes, folder: Path) -> object:
    from diverloop.runtime.session import read_session

    key, _, text = data.decode("utf-8", "replace").partition("=")
    path = folder / "plain.toml"
    if not path.exists():
        path.write_bytes(parser_seeds.sessions()[-1])
    return read_session(path, {key: text})


def _conditioning(data: bytes, folder: Path) -> object:
    from diverloop.runtime.session import read_conditioning

    return read_conditioning(_file(data, folder, "s.toml"))


def _guide(data: bytes, folder: Path) -> object:
    from diverloop.runtime.guide_file import read_guide

    return read_guide(_file(data, folder, "g.toml"))


def _recipe(data: bytes, folder: Path) -> object:
    from diverloop.corpus_recipe import read_recipe

    return read_recipe(_file(data, folder, "r.toml"), folder)


def _lexicon(data: bytes, folder: Path) -> object:
    from diverloop.runtime.paradigms.utterances import Lexicon

    return Lexicon.from_text(data.decode("utf-8", "replace"))


def _letters(data: bytes, folder: Path) -> object:
    from diverloop.adapters.p300 import SpellerOptions

    return SpellerOptions(letters=_file(data, folder, "letters.txt")).letter_model()


def _montage(data: bytes, folder: Path) -> object:
    from diverloop.hardware.montage import montage

    return montage(data.decode("utf-8", "surrogateescape"))


def _mapping(data: bytes, folder: Path) -> object:
    from diverloop.hardware.mapping import read_mapping, text_of

    return text_of(read_mapping(_file(data, folder, "cap.toml")))


def _positions(data: bytes, folder: Path) -> object:
    from diverloop.hardware.positions import read_positions

    _file(b'{"EEGCoordinateUnits": "mm"}', folder, "e_coordsystem.json")
    return read_positions(_file(data, folder, "e_electrodes.tsv")).places_m


def _coordinates(data: bytes, folder: Path) -> object:
    from diverloop.hardware.positions import read_positions

    _file(data, folder, "e_coordsystem.json")
    table = _file(b"name\tx\ty\tz\nCz\t1\t2\t90\n", folder, "e_electrodes.tsv")
    return read_positions(table).places_m


# ------------------------------------------------------------------------------ models


def _bundle(card: bytes, weights: bytes, folder: Path) -> Any:
    from diverloop.runtime.bundle import load_bundle

    (folder / "m.bundle").mkdir(exist_ok=True)
    _file(card, folder, "m.bundle/card.json")
    _file(weights, folder, "m.bundle/weights.safetensors")
    return load_bundle(folder / "m.bundle")


def _card(data: bytes, folder: Path) -> object:
    return _bundle(data, parser_seeds.weights()[0], folder).card.sha256


def _vouching(card: bytes, weights: bytes) -> bytes:
    """A card that names these weights, if it is one."""
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        content = json.loads(card)
        content["weights_sha256"] = hashlib.sha256(weights).hexdigest()
        return json.dumps(content).encode()
    return card


def _weights(data: bytes, folder: Path) -> object:
    return _bundle(_vouching(parser_seeds.cards()[0], data), data, folder).arrays


def _model_card(data: bytes, folder: Path) -> object:
    from diverloop.assembly import open_model

    weights = parser_seeds.model()[1]
    return open_model(_bundle(_vouching(data, weights), weights, folder))


def _model_weights(data: bytes, folder: Path) -> object:
    from diverloop.assembly import open_model

    return open_model(_bundle(_vouching(parser_seeds.model()[0], data), data, folder))


def _student(data: bytes, folder: Path) -> object:
    from diverloop.decoders.student_files import load_student, student_note

    path = _file(data, folder, "s.safetensors")
    return student_note(path), load_student(path)


def _checkpoint(data: bytes, folder: Path) -> object:
    return _read_checkpoint(data, _S.shard()[0], folder)


def _shard(data: bytes, folder: Path) -> object:
    # Its hash is right, so that what is in it has to be looked at.
    return _read_checkpoint(_S.checkpoint_index(data), data, folder)


def _read_checkpoint(index: bytes, shard: bytes, folder: Path) -> object:
    from diverloop.decoders.training_files import read_mark, read_weights

    path = folder / "step-5"
    path.mkdir(exist_ok=True)
    _file(index, path, "index.json")
    _file(shard, path, "shard-00000-00000.safetensors")
    return read_mark(path), read_weights(path)


def _engine_index(data: bytes, folder: Path) -> object:
    from diverloop.decoders.engines.compiled import Compiled

    (folder / "engines").mkdir(exist_ok=True)
    _file(data, folder, "engines/index.json")
    found = Compiled.of(folder, "0" * 64)
    return [found.read(file) for file in found.index.files] if found else None


def _corpus(data: bytes, folder: Path) -> object:
    from diverloop.decoders.corpus_files import check_file, read_index

    _file(data, folder, "corpus.json")
    entries = read_index(folder)
    for entry in entries[:3]:
        check_file(folder, entry, verify=False)
    return entries


def _training_log(data: bytes, folder: Path) -> object:
    from diverloop.decoders.training_log import CsvLog

    return CsvLog(_file(data, folder, "log.csv"), upto=2)


# ------------------------------------------------------------------------------ between processes


def _telemetry(data: bytes, folder: Path) -> object:
    from diverloop.gui.view_state import ViewState, plain_line, warnings_about
    from diverloop.runtime.telemetry import decode_message

    message = decode_message(hostile_forms.parts_of(data))
    state = ViewState()
    state.take(message, 10**9)
    return plain_line(state), warnings_about(state)


def _recorder_pipe(data: bytes, folder: Path) -> object:
    import io

    from diverloop.runtime.record.frames import TYPES, read_parts
    from diverloop.runtime.wire import decode

    pipe, found = io.BytesIO(data), []
    while (parts := read_parts(pipe)) is not None:
        found.append(decode(parts, TYPES))
    return found


def _note(data: bytes, folder: Path) -> object:
    from diverloop.runtime.record.note_server import NoteServer

    server = NoteServer(folder, lambda note: None, lambda text: None)
    server._token = "00"
    return server._answer(data)


def _address_file(data: bytes, folder: Path) -> object:
    from diverloop.runtime.record.note_server import ADDRESS_FILE, send_note
    from diverloop.runtime.record.repair import repair

    _file(data, folder, ADDRESS_FILE)
    _file(parser_seeds.recordings()[0], folder, "recording.xdf")
    with contextlib.suppress(DiverloopError):
        repair(folder)
    return send_note(folder, "she moved", timeout_s=0.0)


def _second_stage(data: bytes, folder: Path) -> object:
    from diverloop.adapters.speech.second_stage import read_answer

    return read_answer(data)


def _rescorer(data: bytes, folder: Path) -> object:
    import zmq

    from diverloop.adapters.speech.rescorer import Rescorer, newest

    class Socket:
        """A socket on which one request lies."""

        def __init__(self) -> None:
            self.left = [[b"client", data]]

        def recv_multipart(self, flags: int) -> list[bytes]:
            if not self.left:
                raise zmq.Again
            return self.left.pop()

    rescorer = Rescorer(["i am thirsty", "i am here"], order=3)
    return [rescorer.answer(one) for one in newest(Socket(), rescorer).values()]


def _lsl(data: bytes, folder: Path) -> object:
    import ctypes

    import pylsl
    from pylsl.lib import lib

    from diverloop.hardware.lsl_description import describe_stream

    if b"\x00" in data:  # it travels as a C string
        data = data.replace(b"\x00", b" ")
    read = lib.lsl_streaminfo_from_xml
    read.restype, read.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    handle = read(data)
    if not handle:
        return None
    info = pylsl.StreamInfo(handle=handle)
    with contextlib.suppress(DiverloopError):
        describe_stream(info, "uV")
    return describe_stream(info).schema


# ------------------------------------------------------------------------------ recordings


def _tape_line(data: bytes, folder: Path) -> object:
    from diverloop.runtime.record.entries import read_entry

    return read_entry(data.decode("utf-8", "replace"))


def _recording(data: bytes, folder: Path) -> object:
    from diverloop.runtime.record.reading import TapeReader, holds_session, open_record

    path = _file(data, folder, "recording.xdf")
    holds_session(path)
    with contextlib.suppress(DiverloopError):
        for _ in TapeReader(path):
            pass
    record = open_record(path)
    return record.n_times, list(islice(record.chunks(), 1_000))


def _repair(data: bytes, folder: Path) -> object:
    from diverloop.runtime.record.repair import repair

    for old in folder.glob("recording.torn*"):
        old.unlink()
    path = _file(data, folder, "recording.xdf")
    done = repair(path)
    again = repair(path)  # it has an end now
    assert again.whole, (done, again)
    return done


def _audit(data: bytes, folder: Path) -> object:
    from diverloop.runtime.record.audit import read_audit, verify_audit
    from diverloop.runtime.record.audit_chain import HEAD_NAME, LOG_NAME

    log, _, head = data.removesuffix(b"\n").rpartition(b"\n")
    _file(log + b"\n", folder, LOG_NAME)
    _file(head + b"\n", folder, HEAD_NAME)
    return verify_audit(folder), read_audit(folder)


def _audit_forged(data: bytes, folder: Path) -> object:
    """Whoever has a key can make a chain of anything."""
    return _audit(_resealed(data), folder)


def _resealed(data: bytes) -> bytes:
    from diverloop.runtime.record.audit_chain import (
        AuditEntry,
        AuditHead,
        line_of,
        sealed,
        signed,
        text_hash,
    )

    *lines, head = data.removesuffix(b"\n").split(b"\n")
    made, ends, previous = [], 0, ""
    for n, line in enumerate(lines):
        try:
            entry = AuditEntry(**json.loads(line))
            previous = previous or text_hash(str(entry.details.get("log")))
            entry = sealed(replace(entry, n=n, previous=previous))
            previous, line = entry.hash, line_of(entry).removesuffix(b"\n")
        except (ValueError, TypeError, AttributeError, RecursionError):
            pass
        made.append(line)
        ends += len(line) + 1
    try:
        forged = AuditHead(**json.loads(head))
        forged = replace(forged, entries=len(lines), last=previous, size=ends)
        head = line_of(signed(forged, parser_seeds.audit_key())).removesuffix(b"\n")
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    return b"\n".join((*made, head))


def _signing_key(data: bytes, folder: Path) -> object:
    from diverloop.runtime.record.signing import KEY_NAME, load_or_create_key

    _file(data, folder, KEY_NAME).chmod(0o600)
    return load_or_create_key(folder)


def _public_key(data: bytes, folder: Path) -> object:
    from diverloop.runtime.record.signing import PublicKey

    return PublicKey.from_text(data.decode("utf-8", "surrogateescape"))


def _decision_log(data: bytes, folder: Path) -> object:
    from diverloop.runtime.decision_log import read_decisions

    return read_decisions(_file(data, folder, "d.jsonl"))


def _foreign(suffix: str) -> Read:
    """Reads a recording that ends so, with what lies beside it."""

    def read(data: bytes, folder: Path) -> object:
        from diverloop.hardware.recordings import describe, read_recording

        if suffix == ".vhdr":
            _file(b"\x01\x00" * 200, folder, "r.eeg")
            _file(parser_seeds.VMRK, folder, "r.vmrk")
        return describe(read_recording(_file(data, folder, f"r{suffix}"), assume_unit="uV"))

    return read


def _speech_trials(suffix: str) -> Read:
    def read(data: bytes, folder: Path) -> object:
        from diverloop.hardware.read_brain_to_text import read_speech_trials

        return len(read_speech_trials(_file(data, folder, f"s{suffix}")))

    return read


def _error_set(name: str) -> Read:
    def read(data: bytes, folder: Path) -> object:
        from diverloop.hardware.read_error_sets import read as read_set

        return read_set(_file(data, folder, name)).n_times

    return read


def _word_production(data: bytes, folder: Path) -> object:
    from diverloop.hardware.read_word_production import read, read_voice

    stem = "sub-01_task-wordProduction"
    _file(parser_seeds.CHANNELS_TSV, folder, f"{stem}_channels.tsv")
    path = _file(data, folder, f"{stem}_ieeg.nwb")
    with contextlib.suppress(DiverloopError):
        read_voice(path)
    return read(path, assume_unit="uV").n_times


_S = parser_seeds

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(name="session", what="read_session", read=_session, seeds=_S.sessions, form="text"),
        Target(
            name="override", what="read_session with an override", read=_override,
            seeds=lambda: _S.OVERRIDES, form="text",
        ),
        Target(
            name="conditioning", what="read_conditioning", read=_conditioning,
            seeds=lambda: _S.CONDITIONING, form="text",
        ),
        Target(name="guide", what="read_guide", read=_guide, seeds=lambda: _S.GUIDE, form="text"),
        Target(
            name="recipe", what="read_recipe", read=_recipe, seeds=lambda: _S.RECIPE, form="text"
        ),
        Target(
            name="lexicon", what="Lexicon.from_text", read=_lexicon, seeds=lambda: _S.LEXICON,
            form="text",
        ),
        Target(
            name="letters", what="SpellerOptions.letter_model", read=_letters,
            seeds=lambda: _S.LETTERS, form="text", short=50,
        ),
        Target(name="montage", what="montage", read=_montage, seeds=lambda: [b"eeg16", b"ecog8x8"]),
        Target(
            name="mapping", what="read_mapping", read=_mapping, seeds=lambda: _S.MAPPING,
            form="text",
        ),
        Target(
            name="positions", what="read_positions: electrodes.tsv", read=_positions,
            seeds=lambda: [b"name\tx\ty\tz\nCz\t0\t0\t90.5\nA1\tn/a\tn/a\tn/a\n"], form="text",
        ),
        Target(
            name="coordinates", what="read_positions: coordsystem.json", read=_coordinates,
            seeds=lambda: [b'{"EEGCoordinateUnits": "mm", "EEGCoordinateSystem": "CapTrak"}'],
            form="json",
        ),
        Target(name="card", what="load_bundle: card.json", read=_card, seeds=_S.cards, form="json"),
        Target(
            name="weights", what="load_bundle: weights.safetensors", read=_weights,
            seeds=_S.weights, form="tensors",
        ),
        Target(
            name="model_card", what="open_model: card.json", read=_model_card,
            seeds=lambda: [_S.model()[0]], form="json", short=0, needs="sklearn",
        ),
        Target(
            name="model_weights", what="open_model: weights.safetensors", read=_model_weights,
            seeds=lambda: [_S.model()[1]], form="tensors", short=0, needs="sklearn",
        ),
        Target(
            name="student", what="load_student, student_note", read=_student, seeds=_S.student,
            form="tensors", short=20, needs="torch",
        ),
        Target(
            name="checkpoint", what="read_mark, read_weights", read=_checkpoint,
            seeds=_S.checkpoint, form="json", needs="torch",
        ),
        Target(
            name="shard", what="read_weights", read=_shard, seeds=_S.shard, form="tensors",
            needs="torch",
        ),
        Target(
            name="engine_index", what="Compiled.of", read=_engine_index,
            seeds=lambda: _S.ENGINE_INDEX, form="json",
        ),
        Target(
            name="corpus", what="read_index, check_file", read=_corpus, seeds=lambda: _S.CORPUS,
            form="json",
        ),
        Target(
            name="training_log", what="CsvLog", read=_training_log, seeds=lambda: _S.TRAINING_LOG,
            form="text", needs="torch",
        ),
        Target(
            name="telemetry", what="decode_message, ViewState.take", read=_telemetry,
            seeds=_S.telemetry, form="parts",
        ),
        Target(
            name="recorder_pipe", what="read_parts, decode", read=_recorder_pipe,
            seeds=_S.recorder_pipe, form="parts",
        ),
        Target(
            name="note", what="NoteServer", read=_note, seeds=lambda: _S.NOTE, form="json"
        ),
        Target(
            name="address_file", what="send_note, repair", read=_address_file,
            seeds=lambda: _S.ADDRESS, form="json", short=10,
        ),
        Target(
            name="second_stage", what="read_answer", read=_second_stage, seeds=lambda: _S.ANSWER,
            form="json",
        ),
        Target(
            name="rescorer", what="newest, Rescorer.answer", read=_rescorer,
            seeds=lambda: _S.REQUEST, form="json",
        ),
        Target(name="lsl", what="describe_stream", read=_lsl, seeds=_S.lsl, form="xml"),
        Target(
            name="tape_line", what="read_entry", read=_tape_line, seeds=_S.tape_lines, form="json"
        ),
        Target(
            name="recording", what="TapeReader, open_record", read=_recording,
            seeds=_S.recordings, form="xdf", short=60,
        ),
        Target(
            name="repair", what="repair", read=_repair, seeds=_S.recordings, form="xdf", short=60
        ),
        Target(
            name="audit", what="verify_audit, read_audit", read=_audit, seeds=_S.audit,
            form="json_lines",
        ),
        Target(
            name="audit_forged", what="the same, hashes and signature made right",
            read=_audit_forged, seeds=_S.audit, form="json_lines",
        ),
        Target(
            name="signing_key", what="load_or_create_key", read=_signing_key, seeds=_S.signing_key
        ),
        Target(
            name="public_key", what="PublicKey.from_text", read=_public_key,
            seeds=lambda: _S.PUBLIC,
        ),
        Target(
            name="decision_log", what="read_decisions", read=_decision_log,
            seeds=lambda: _S.DECISIONS, form="json_lines",
        ),
        Target(name="npz", what="read_recording .npz", read=_foreign(".npz"), seeds=_S.npz,
               form="zip", short=40),
        Target(name="xdf", what="read_recording .xdf", read=_foreign(".xdf"), seeds=_S.xdf,
               form="xdf", short=60),
        Target(name="edf", what="read_recording .edf", read=_foreign(".edf"),
               seeds=lambda: _S.mne(".edf"), short=20, needs="mne"),
        Target(name="fif", what="read_recording .fif", read=_foreign(".fif"),
               seeds=lambda: _S.mne(".fif"), short=20, needs="mne"),
        Target(name="vhdr", what="read_recording .vhdr", read=_foreign(".vhdr"),
               seeds=lambda: _S.VHDR, form="text", short=20, needs="mne"),
        Target(name="speech_mat", what="read_speech_trials .mat", read=_speech_trials(".mat"),
               seeds=_S.matlab_24, short=20),
        Target(name="speech_hdf5", what="read_speech_trials .hdf5", read=_speech_trials(".hdf5"),
               seeds=_S.hdf5_25, short=0, needs="h5py"),
        Target(name="monitoring", what="read_error_sets .mat",
               read=_error_set("Subject01_s1.mat"), seeds=_S.monitoring, short=20),
        Target(name="spelling", what="read_error_sets .csv",
               read=_error_set("Data_S02_Sess01.csv"), seeds=_S.spelling, form="text"),
        Target(name="word_production", what="read_word_production .nwb", read=_word_production,
               seeds=_S.word_production, short=0, needs="h5py"),
    )
}  # fmt: skip
"""The parsers by name."""
