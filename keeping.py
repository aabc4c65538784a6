"""What a session keeps of itself while it runs: folder, audit log, model, recording."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .assembly import Model
from .console import err
from .runtime.access import Permissions
from .runtime.bundle import save_bundle
from .runtime.card import versions_now
from .runtime.clock import MonotonicClock
from .runtime.doorkeeper import Admission
from .runtime.errors import RecordingError
from .runtime.json_text import json_text
from .runtime.record.audit import AuditKind, AuditLog, AuditWatcher
from .runtime.record.link import FILE, RecorderLink
from .runtime.record.manifest import Manifest, machine_now, utc_now
from .runtime.record.reading import BUNDLE
from .runtime.record.signing import PrivateKey, load_or_create_key
from .runtime.record.starts import Starts
from .runtime.record.tape import Tape
from .runtime.session import SessionConfig, tables_of
from .runtime.stages import Clock, Watcher
from .runtime.telemetry import TelemetryPublisher

_SAVE_LIMIT_S = 600.0
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """What the doors of a session share: its control link, and telemetry for people with a key.

    Parameters
    ----------
    admission : Admission
        Whom they let in, and who hears of the others.
    permissions : Permissions
        What people have allowed the machine, for whatever is to ask it.
    publisher : TelemetryPublisher, optional
        Telemetry for people with a key.
    """

    admission: Admission
    permissions: Permissions
    publisher: TelemetryPublisher | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What keeps a session while it runs.

    Parameters
    ----------
    folder : Path
        Where everything lies.
    model_sha256 : str
        Hash of the model's copy.
    tape : Tape
        For `assemble`.
    watchers : tuple of Watcher
        The recorder's link and the audit log's.
    link : RecorderLink
        The first of them.
    audit : AuditLog
        For what persons do.
    doors : Entrance, optional
        Through which people reach it; None if it has none.
    """

    folder: Path
    model_sha256: str
    tape: Tape
    watchers: tuple[Watcher, ...]
    link: RecorderLink
    audit: AuditLog
    doors: Entrance | None = None


@contextmanager
def keep(
    session: SessionConfig,
    model: Model,
    clock: Clock,
    root: Path,
    *,
    live: bool,
    armed: bool,
    recorder: Starts | None = None,
) -> Iterator[Keeping]:
    """Open a session's folder, its audit log and its recorder; finish them at the end.

    However the session ends, its log says so: with the hash of the recording, and with what went
    wrong if it failed.

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
    recorder : callable, optional
        What starts a recorder; a process by default.

    Yields
    ------
    keeping : Keeping
        Ready before the loop is.

    Raises
    ------
    RecordingError, BundleError, ConfigError
        If something of it cannot be written, or the key that signs cannot be used: then the
        session does not start.
    """
    key = load_or_create_key()
    folder = _new_folder(root, session.name)
    who = session.operator or "operator"
    with closing(_new_log(folder, key, clock)) as audit, _Ending(audit, who) as seal:
        sha256 = save_bundle(model.bundle, folder / BUNDLE)
        manifest = _manifest(session, model, sha256, clock, live)
        _note_start(audit, manifest, who, session)
        _note_model(audit, manifest, who, model)
        if armed:
            audit.append(AuditKind.ARMED, who=who, why="A person let commands pass.", details={})
        link = RecorderLink(folder, manifest, start=recorder)
        tape = Tape(clock, link.post, session.guard)
        watchers = (link, AuditWatcher(audit))
        with _finished(link, folder, seal):
            yield Keeping(
                folder=folder,
                model_sha256=sha256,
                tape=tape,
                watchers=watchers,
                link=link,
                audit=audit,
            )


@contextmanager
def _finished(link: RecorderLink, folder: Path, seal: dict[str, str]) -> Iterator[None]:
    """Wait until the recorder is done; a link that no loop has used is closed here."""
    try:
        yield
    finally:
        if not link.watched:
            link.close()
        if not link.done.wait(_PATIENCE_S):
            err.print(
                f"Waiting for the disk: {link.unsaved} messages of the recording in {folder} are "
                f"not on it yet; is it full? Nothing is lost while this program runs.",
                highlight=False,
                markup=False,
            )
        if link.done.wait(_SAVE_LIMIT_S):
            seal["recording_sha256"] = file_sha256(folder / FILE)
    if not link.done.is_set():
        raise RecordingError(
            f"The recording in {folder} was not on the disk {_SAVE_LIMIT_S:g} s after the end; "
            f"{link.unsaved} messages are missing at its end: look at the disk."
        )


class _Ending:
    """Puts on record how the session ended, with what else is to be sealed then."""

    def __init__(self, audit: AuditLog, who: str) -> None:
        self._audit = audit
        self._who = who
        self._seal: dict[str, str] = {}

    def __enter__(self) -> dict[str, str]:
        return self._seal

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if error is None:
            self._append(self._who, "The session is over and its recording is complete.")
            return
        self._seal["failure"] = type(error).__name__
        with suppress(RecordingError):  # the disk may be what failed
            self._append("diverloop", f"The session failed: {str(error) or type(error).__name__}")

    def _append(self, who: str, why: str) -> None:
        self._audit.append(AuditKind.SESSION_ENDED, who=who, why=why, details=self._seal)


def log_export(folder: Path, operator: str, targets: Mapping[str, str]) -> str:
    """Put on record that data left, if the session has a log that this user may go on with.

    Parameters
    ----------
    folder : Path
        The session's.
    operator : str
        Who exported it.
    targets : mapping of str to str
        What was written, by format.

    Returns
    -------
    fault : str
        Why it could not be put on record; empty if it was.
    """
    try:
        with closing(AuditLog.resume(folder, load_or_create_key(), MonotonicClock())) as log:
            log.append(
                AuditKind.EXPORT,
                who=operator or "operator",
                why="The recording was exported.",
                details=targets,
            )
    except RecordingError as error:  # another user's log, or an archive that cannot be written
        return str(error)
    return ""


def file_name(name: str) -> str:
    """A session's name as every file system takes it."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)


def file_sha256(path: Path) -> str:
    """Hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _new_folder(root: Path, name: str) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    safe = file_name(name)
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


def _new_log(folder: Path, key: PrivateKey, clock: Clock) -> AuditLog:
    try:
        return AuditLog.create(folder, key, clock)
    except RecordingError:
        with suppress(OSError):
            folder.rmdir()
        raise


def _manifest(
    session: SessionConfig, model: Model, sha256: str, clock: Clock, live: bool
) -> Manifest:
    return Manifest(
        session=session.name,
        settings=tables_of(session),
        model_sha256=sha256,
        live=live,
        started_utc=utc_now(),
        started_ns=clock.now_ns(),
        participant=session.participant,
        operator=session.operator,
        engine=model.engine,
        versions=versions_now(),
        machine=machine_now(),
    )


def _note_start(audit: AuditLog, manifest: Manifest, who: str, session: SessionConfig) -> None:
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
        details={
            "settings_sha256": manifest.settings_sha256,
            "settings": json_text(dict(manifest.settings)),
            "file": session.signed_by or "none",
        },
    )


def _note_model(audit: AuditLog, manifest: Manifest, who: str, model: Model) -> None:
    standing = model.bundle.standing()
    audit.append(
        AuditKind.MODEL,
        who=who,
        why=f"This model decodes; it is {standing.words()}.",
        details={
            "sha256": manifest.model_sha256,
            "engine": manifest.engine or "none",
            "signed_by": standing.signed_by or "nobody",
            "trusted": standing.trusted,
        },
    )
    if manifest.live and not standing.trusted:
        why = f"A live session was let run a model that is {standing.words()}."
        audit.append(AuditKind.OVERRIDE, who=who, why=why, details={"unknown_models": True})
