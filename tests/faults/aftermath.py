"""What a recording must still hold after `kills` has killed whoever made it.

Nothing here trusts the recorder: what the loop had received is known from a file of its own, and
what was sent is known from the recording that was played.
"""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import mne
import numpy as np
import pyxdf
from numpy.typing import NDArray

from diverloop.hardware.recordings import read_recording
from diverloop.proving import replay_exact
from diverloop.runtime.errors import DiverloopError, RecordingError
from diverloop.runtime.messages import Chunk, StreamSpec
from diverloop.runtime.record.audit import AuditKind, read_audit, verify_audit
from diverloop.runtime.record.audit_chain import HEAD_NAME
from diverloop.runtime.record.entries import End
from diverloop.runtime.record.link import FILE
from diverloop.runtime.record.reading import TapeReader, open_record
from diverloop.runtime.record.repair import repair
from diverloop.runtime.record.xdf_read import Footer, Header, XdfReader

ALLOWED_S = 1.0
"""What may be missing before a kill."""

REFUSED = 2
"""What the command line ends with when it refuses to do something."""

ARRIVAL = struct.Struct("<qq")
"""A line of the witness: when rows arrived on the machine's clock, and how many had by then."""


@dataclass(kw_only=True)
class Scene:
    """What is known of a session when everybody has gone.

    Parameters
    ----------
    victim : str
        Who was killed: ``"recorder"``, ``"loop"``, ``"player"`` or ``"power cut"``.
    recordings : Path
        Folder in which the session has its folder.
    played : Path
        What the player sent, over and over.
    witness : Path
        When the loop received how many rows.
    killed_ns : list of int
        When somebody was killed; empty if the session was over before.
    survived : bool
        Whether the loop ended by itself.
    exit_code : int, optional
        Of the loop.
    n_cut : int
        Bytes that a power cut took, because they were not on the disk.
    """

    victim: str
    recordings: Path
    played: Path
    witness: Path
    killed_ns: list[int] = field(default_factory=list)
    survived: bool = True
    exit_code: int | None = None
    n_cut: int = 0


class Aftermath:
    """Looks at everything that is left of a session, and notes whatever is wrong.

    Parameters
    ----------
    scene : Scene
        What happened.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._faults: list[str] = []
        self._found: dict[str, Any] = {}

    def look(self) -> dict[str, Any]:
        """Findings as plain values; ``faults`` is empty if all is as promised."""
        scene = self._scene
        folders = list(scene.recordings.glob("*/"))
        # Without recorder or sender no session begins: it says so, and no sample was read.
        refused = scene.exit_code == REFUSED and scene.victim in ("recorder", "player")
        if refused and not arrivals(scene.witness):
            self._found["refused"] = True
            scene.survived = False
        if scene.survived and (scene.exit_code != 0 or len(folders) != 1):
            self._faults.append(f"the session ended with {scene.exit_code}, {len(folders)} folders")
        for folder in folders:
            self._look_into(folder)
        return {**self._found, "faults": self._faults}

    def _look_into(self, folder: Path) -> None:
        self._check_log(folder)
        if not (folder / FILE).is_file():
            self._found["begun"] = False
            if arrivals(self._scene.witness):
                self._faults.append("rows arrived, and there is no recording")
            return
        try:
            self._found["pyxdf_as_it_was"] = opens_in_pyxdf(folder / FILE)
            began = self._look_at_file(folder)
            report = repair(folder)
        except DiverloopError as error:
            self._faults.append(f"{type(error).__name__}: {error}")
            return
        self._found |= {
            "begun": began,
            "torn_bytes": report.torn_bytes,
            "repaired": not report.whole,
        }
        spared = self._scene.victim != "power cut" and not self._found.get("refused")
        if spared and not report.whole:
            self._faults.append(f"a recorder that lived left the file unfinished: {report}")
        if not report.whole:
            self._check_footers(folder)
            if not opens_in_pyxdf(folder / FILE):
                self._faults.append("pyxdf does not open the repaired file")
            elif began != self._look_at_file(folder):
                self._faults.append("after the repair there is more or less than before")
        elif not self._found["pyxdf_as_it_was"]:
            self._faults.append("pyxdf does not open a whole file")

    def _look_at_file(self, folder: Path) -> bool:
        """Read the file in every way; whether it has come to know of a stream."""
        tape = list(TapeReader(folder))
        if not any(isinstance(entry, StreamSpec) for entry in tape):
            if arrivals(self._scene.witness, self._due_ns):
                self._faults.append("rows arrived in time, and the tape knows of no stream")
            return False
        if not opens_in_pyxdf(folder / FILE):
            return True
        rows = self._rows_of_pyxdf(folder / FILE)
        record = open_record(folder)
        self._found["remarks"] = record.remarks
        self._check_rows(rows)
        n_on_tape = sum(entry.samples.shape[1] for entry in tape if isinstance(entry, Chunk))
        self._found |= {"n_rows": len(rows), "n_turns": len(record.turns)}
        self._check_missing(len(rows), "rows of the signal")
        self._check_missing(n_on_tape, "samples on the tape")
        if self._scene.survived and not (isinstance(tape[-1], End) and tape[-1].orderly):
            self._faults.append(f"the session survived, and its tape ends with {tape[-1]}")
        self._check_replay(folder)
        return True

    def _rows_of_pyxdf(self, file: Path) -> NDArray[np.float32]:
        """The signal as the field's reader gives it, and MNE takes it from there."""
        streams, _ = pyxdf.load_xdf(str(file), verbose=False)
        (signal,) = (one for one in streams if one["info"]["type"] == ["EEG"])
        rows = np.asarray(signal["time_series"], np.float32).reshape(
            -1, int(signal["info"]["channel_count"][0])
        )
        labels = signal["info"]["desc"][0]["channels"][0]["channel"]
        names = [one["label"][0] for one in labels]
        info = mne.create_info(names, float(signal["info"]["nominal_srate"][0]), "eeg")
        if len(rows):
            raw = mne.io.RawArray(rows.T * 1e-6, info, verbose="ERROR")
            if raw.n_times != len(rows) or not np.isfinite(raw.get_data()).all():
                self._faults.append("MNE holds something else than pyxdf read")
        return rows

    def _check_rows(self, rows: NDArray[np.float32]) -> None:
        """They have to be a stretch of what was played, none missing, none twice."""
        if not len(rows):
            return
        played = read_recording(self._scene.played).samples.T
        starts = np.flatnonzero((played == rows[0]).all(axis=1))
        index = np.arange(len(rows))
        if not any((rows == played[(start + index) % len(played)]).all() for start in starts):
            self._faults.append("the rows of the signal are not those that were played, in order")

    @property
    def _due_ns(self) -> int:
        """What had arrived by then has to be in the file."""
        scene = self._scene
        if scene.survived or not scene.killed_ns:
            return 1 << 62
        return scene.killed_ns[-1] - round(ALLOWED_S * 1e9)

    def _check_missing(self, n_there: int, what: str) -> None:
        lost = [at_ns for at_ns, count in arrivals(self._scene.witness) if count > n_there]
        if not lost:
            missing_s = 0.0
        elif self._scene.survived:
            missing_s = np.inf
        else:
            missing_s = (self._scene.killed_ns[-1] - lost[0]) / 1e9
        self._found["missing_s"] = max(missing_s, self._found.get("missing_s", 0.0))
        if missing_s > ALLOWED_S:
            self._faults.append(
                f"{missing_s:.3f} s of the {what} are missing, {len(lost)} arrivals"
            )

    def _check_log(self, folder: Path) -> None:
        if not (folder / HEAD_NAME).exists() and not (folder / FILE).exists():
            return  # the log was being made: no session has begun
        try:
            verdict = verify_audit(folder)
            if not verdict.ok:
                self._faults.append(f"audit log: {verdict.first_fault}")
            sealed = any(one.what == AuditKind.SESSION_ENDED for one in read_audit(folder))
        except RecordingError as error:
            self._faults.append(f"audit log: {error}")
            return
        if self._scene.survived and not sealed:
            self._faults.append("the session survived, and its log has no end")

    def _check_replay(self, folder: Path) -> None:
        try:
            comparison, _ = replay_exact(folder)
        except DiverloopError as error:
            # Before the first pass is over there is nothing that could be replayed.
            if self._found["n_turns"] or "nothing to replay" not in str(error):
                self._faults.append(f"replay: {error}")
            return
        self._found |= {
            "n_compared": comparison.n_turns,
            "n_equal": comparison.n_equal,
            "unfinished": comparison.unfinished,
        }
        if comparison.first is not None:
            self._faults.append(f"replay: {comparison.first.sentence()}")
        if comparison.n_equal != comparison.n_turns:
            self._faults.append(f"replay: {comparison}")

    def _check_footers(self, folder: Path) -> None:
        chunks = list(XdfReader(folder / FILE))
        streams = sorted(one.stream_id for one in chunks if isinstance(one, Header))
        if sorted(one.stream_id for one in chunks if isinstance(one, Footer)) != streams:
            self._faults.append("the repair has not given every stream one footer")


def opens_in_pyxdf(file: Path) -> bool:
    """Whether the field's reader copes; it does not with every torn tag or description."""
    logging.getLogger("pyxdf").setLevel(logging.CRITICAL)
    try:
        pyxdf.load_xdf(str(file), verbose=False)
    except (ParseError, struct.error, EOFError, LookupError, ValueError):
        return False
    return True


def arrivals(witness: Path, until_ns: int = 1 << 62) -> list[tuple[int, int]]:
    """What the loop had received, as (when, rows by then)."""
    if not witness.exists():
        return []
    data = witness.read_bytes()
    lines = ARRIVAL.iter_unpack(data[: len(data) - len(data) % ARRIVAL.size])
    return [(at_ns, count) for at_ns, count in lines if at_ns <= until_ns]


def children(pid: int) -> Iterator[int]:
    """Recorders that a process has started and that live."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            if b"record.recorder" in Path(f"/proc/{child}/cmdline").read_bytes():
                yield child


def lives(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int) -> bool:
    """Kill with -9; whether there was anything to kill."""
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        return False
    return True
