"""What a session keeps of itself: folder, audit log, recording, and what can be made from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .assembly import Model, open_adapter, open_model
from .runtime.bundle import load_bundle, save_bundle
from .runtime.card import versions_now
from .runtime.clock import MonotonicClock
from .runtime.errors import RecordingError
from .runtime.fanout import DirectFanOut
from .runtime.feedback import EvidenceFeedback
from .runtime.json_text import json_text
from .runtime.latency import LatencyReport
from .runtime.loop import Loop
from .runtime.record.audit import (
    AuditKind,
    AuditLog,
    AuditVerdict,
    AuditWatcher,
    read_audit,
    verify_audit,
)
from .runtime.record.compare import Comparer, Comparison
from .runtime.record.exact import ExactReplay, ReplayedSink, ReplayedSource
from .runtime.record.link import FILE, RecorderLink
from .runtime.record.manifest import Manifest, machine_now, utc_now
from .runtime.record.reading import BUNDLE, open_record, recording_file
from .runtime.record.signing import load_or_create_key
from .runtime.record.tape import Tape
from .runtime.session import SessionConfig, parse_session, tables_of
from .runtime.stages import Clock, Stages, Watcher

_SAVE_LIMIT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What keeps a session while it runs.

    Parameters
    ----------
    folder : Path
        Where everything lies.
    tape : Tape
        For `assemble`.
    watchers : tuple of Watcher
        The recorder's link and the audit log's.
    link : RecorderLink
        The first of them.
    audit : AuditLog
        For what persons do.
    """

    folder: Path
    tape: Tape
    watchers: tuple[Watcher, ...]
    link: RecorderLink
    audit: AuditLog


@contextmanager
def keep(
    session: SessionConfig, model: Model, clock: Clock, root: Path, *, live: bool, armed: bool
) -> Iterator[Keeping]:
    """Open a session's folder, its audit log and its recorder; finish them at the end.

    Parameters
    ----------
    session : SessionConfig
        Checked settings.
    model : Model
        What decodes; a copy of it is kept.
    clock : Clock
        The session's.
    root : Path
        Where folders of sessions lie.
    live : bool
        Whether it runs in real time.
    armed : bool
        Whether a person asked for commands to pass.

    Yields
    ------
    keeping : Keeping
        Ready before the loop is.

    Raises
    ------
    RecordingError
        If something of it cannot be written: then the session does not start.
    """
    folder = _new_folder(root, session.name)
    audit = AuditLog.create(folder, load_or_create_key(), clock)
    who = session.operator or "operator"
    try:
        sha256 = save_bundle(model.bundle, folder / BUNDLE)
        manifest = _manifest(session, sha256, clock, live)
        _note_start(audit, manifest, who, armed)
        link = RecorderLink(folder, manifest)
        tape = Tape(clock, link.post)
        watchers = (link, AuditWatcher(audit))
        with _closing(link):
            yield Keeping(folder=folder, tape=tape, watchers=watchers, link=link, audit=audit)
        if not link.done.is_set():
            raise RecordingError(
                f"The recording in {folder} was not on the disk {_SAVE_LIMIT_S:g} s after the end; "
                f"{link.unsaved} messages are missing at its end: look at the disk."
            )
        audit.append(
            AuditKind.SESSION_ENDED,
            who=who,
            why="The session is over and its recording is complete.",
            details={"recording_sha256": file_sha256(folder / FILE)},
        )
    finally:
        audit.close()


@contextmanager
def _closing(link: RecorderLink) -> Iterator[None]:
    """Wait until the recorder is done; a link that no loop has used is closed here."""
    try:
        yield
    finally:
        if not link.watched:
            link.close()
        link.done.wait(_SAVE_LIMIT_S)


def file_sha256(path: Path) -> str:
    """Hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replay_exact(path: str | Path) -> tuple[Comparison, LatencyReport]:
    """Run a recorded session again and compare every turn and event with what was recorded.

    Parameters
    ----------
    path : str or Path
        A session's folder, or its file; the model's copy lies beside the file.

    Returns
    -------
    comparison : Comparison
        What was found.
    report : LatencyReport
        Latencies, misses and losses, as the recorded run had them.

    Raises
    ------
    RecordingError, BundleError
        If the recording or the model cannot be read, or the replay is another run.
    """
    folder = recording_file(path).parent
    replay = ExactReplay(path, open_adapter)
    assert replay.manifest is not None
    session = parse_session(replay.manifest.settings, folder)
    bundle = load_bundle(folder / BUNDLE, sha256=replay.manifest.model_sha256)
    model = open_model(bundle, session.step_s)
    comparer = Comparer(replay)
    stages = Stages(
        source=ReplayedSource(replay),
        conditioner=model.conditioner,
        encoder=model.encoder,
        adapter=model.adapter,
        feedback=EvidenceFeedback(session.feedback),
        sinks=(ReplayedSink(replay),),
    )
    loop = Loop(
        stages,
        clock=replay,
        window=model.window,
        config=session.loop,
        guard=replay.guard,
        fanout=DirectFanOut((comparer,)),
        promotions=replay.promotions,
        accept=model.accept,
    )
    report = loop.run()
    return comparer.result(), report


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What can be proved of a recorded session.

    Parameters
    ----------
    audit : AuditVerdict
        Whether its log is whole and unaltered.
    recording_fault : str
        What is wrong with the file, in one sentence; empty if its hash is the one in the log, or
        if the session was cut off before there was one.
    sealed : bool
        Whether the log holds the file's hash: the session ended in good order.
    comparison : Comparison
        Of a replay with what was recorded.
    signal_s, wall_s : float
        Length of the signal, and how long its replay took.
    """

    audit: AuditVerdict
    recording_fault: str
    sealed: bool
    comparison: Comparison
    signal_s: float
    wall_s: float

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return self.audit.ok and not self.recording_fault and self.comparison.ok

    def sentences(self) -> tuple[str, ...]:
        """The result in words, what is wrong first."""
        log = f"The audit log holds: {self.audit.n_entries} entries, signed by "
        log += f"{self.audit.fingerprint}."
        if self.audit.first_fault:
            log = f"The audit log does not hold: {self.audit.first_fault}"
        file = "The recording is the file that the log names."
        if not self.sealed:
            file = "The session was cut off: its log holds no hash of the recording."
        speed = f"{self.signal_s:.1f} s of signal were replayed in {self.wall_s:.1f} s."
        return (log, self.recording_fault or file, self.comparison.sentence(), speed)


def verify(path: str | Path) -> Verification:
    """Check everything that a recorded session proves.

    Parameters
    ----------
    path : str or Path
        A session's folder, or its file.

    Returns
    -------
    verification : Verification
        What was found.

    Raises
    ------
    RecordingError, BundleError
        If the recording or the model cannot be read, or the replay is another run.
    """
    file = recording_file(path)
    audit = verify_audit(file.parent)
    sealed = [
        entry.details["recording_sha256"]
        for entry in (read_audit(file.parent) if audit.ok else ())
        if entry.what == AuditKind.SESSION_ENDED
    ]
    fault = ""
    if sealed and file_sha256(file) != sealed[-1]:
        fault = f"{file.name} is not the file that the log names: it was changed afterwards."
    wall = MonotonicClock()
    began_ns = wall.now_ns()
    comparison, _ = replay_exact(file)
    wall_s = (wall.now_ns() - began_ns) / 1e9
    return Verification(
        audit=audit,
        recording_fault=fault,
        sealed=bool(sealed),
        comparison=comparison,
        signal_s=open_record(file).duration_s,
        wall_s=wall_s,
    )


def _new_folder(root: Path, name: str) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    safe = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
    try:
        for place in ("", *(f"-{n}" for n in range(2, 100))):
            folder = root / f"{safe}-{stamp}{place}"
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise RecordingError(
            f"No folder for the session can be made in {root} ({error.strerror}): a session "
            f"cannot start without its log; choose another place with --recordings."
        ) from error
    raise RecordingError(f"{root} has a hundred sessions of this second already; wait a second.")


def _manifest(session: SessionConfig, sha256: str, clock: Clock, live: bool) -> Manifest:
    return Manifest(
        session=session.name,
        settings=tables_of(session),
        model_sha256=sha256,
        live=live,
        started_utc=utc_now(),
        started_ns=clock.now_ns(),
        participant=session.participant,
        operator=session.operator,
        versions=versions_now(),
        machine=machine_now(),
    )


def _note_start(audit: AuditLog, manifest: Manifest, who: str, armed: bool) -> None:
    settings = hashlib.sha256(json_text(dict(manifest.settings)).encode()).hexdigest()
    audit.append(
        AuditKind.SESSION_STARTED,
        who=who,
        why=f"The session {manifest.session!r} begins.",
        details={"live": manifest.live, **manifest.versions},
    )
    audit.append(
        AuditKind.CONFIGURATION,
        who=who,
        why="These settings were chosen.",
        details={"settings_sha256": settings, "settings": json_text(dict(manifest.settings))},
    )
    audit.append(
        AuditKind.MODEL,
        who=who,
        why="This model decodes.",
        details={"sha256": manifest.model_sha256},
    )
    if armed:
        audit.append(AuditKind.ARMED, who=who, why="A person let commands pass.", details={})
