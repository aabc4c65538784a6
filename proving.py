"""What a recorded session proves: its log, its file, and a replay that is compared with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .assembly import open_adapter, open_model
from .keeping import file_sha256
from .runtime.beside import Company
from .runtime.bundle import load_bundle
from .runtime.clock import MonotonicClock
from .runtime.errors import DiverloopError, RecordingError, ReplayDivergedError
from .runtime.fanout import DirectFanOut
from .runtime.latency import LatencyReport
from .runtime.loop import Loop
from .runtime.loop_config import Stages
from .runtime.record.audit import AuditEntry, AuditKind, AuditVerdict, read_audit, verify_audit
from .runtime.record.compare import Comparer, Comparison
from .runtime.record.exact import ExactReplay, ReplayedSink, ReplayedSource
from .runtime.record.manifest import Manifest
from .runtime.record.reading import BUNDLE, holds_session, open_record, recording_file
from .runtime.session import parse_session


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
    # What decoded then decodes now, or the replay says that it cannot.
    engine = replay.manifest.engine or "auto"
    model = open_model(
        bundle, session.step_s, adapter=session.adapter, engine=engine, fallback=False
    )
    comparer = Comparer(replay)
    replay.guard.config = session.guard
    stages = Stages(
        source=ReplayedSource(replay),
        conditioner=model.conditioner_for(session),
        encoder=model.encoder,
        adapter=model.adapter,
        feedback=model.feedback_for(session),
        sinks=(ReplayedSink(replay),),
    )
    company = Company.of(session, model.card)
    stages = company.attend(stages) if company else stages
    loop = Loop(
        stages,
        clock=replay,
        window=model.window_for(session),
        config=session.loop,
        guard=replay.guard,
        fanout=DirectFanOut((comparer,)),
        promotions=replay.promotions,
        inbox=replay.inbox,
        accept=model.accept,
    )
    try:
        report = loop.run()
    except ReplayDivergedError:
        if comparer.result().first is None:
            raise
        # What differed before is told, rather than where it led to.
        report = loop.report()
    return comparer.result(), report


def _details(log: Sequence[AuditEntry], what: AuditKind) -> Mapping[str, Any]:
    """Details of the last entry of a kind; empty if there is none."""
    found = [entry for entry in log if entry.what == what]
    return {"why": found[-1].why, **found[-1].details} if found else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What can be proved of a recorded session.

    Parameters
    ----------
    audit : AuditVerdict
        Whether its log is whole and unaltered.
    recording_fault : str
        In what the recording is not what the log says of it, in one sentence; empty if it agrees,
        or if the log itself does not hold.
    sealed : bool
        Whether the log holds the file's hash; False after a session that was cut off.
    failure : str
        Why the session failed, as the log tells it; empty if it did not.
    replay_fault : str
        Why it could not be replayed, in one sentence; empty if it was.
    comparison : Comparison, optional
        Of a replay with what was recorded.
    signal_s, wall_s : float
        Length of the signal, and how long its replay took.
    """

    audit: AuditVerdict
    recording_fault: str
    sealed: bool
    failure: str
    replay_fault: str
    comparison: Comparison | None
    signal_s: float
    wall_s: float

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        replayed = self.comparison is not None and self.comparison.ok
        return self.audit.ok and not self.recording_fault and replayed

    def sentences(self) -> tuple[str, ...]:
        """The result in words."""
        replayed = f"The replay cannot be made: {self.replay_fault}"
        if self.comparison is not None:
            replayed = (
                f"{self.comparison.sentence()} {self.signal_s:.1f} s of signal were replayed in "
                f"{self.wall_s:.1f} s."
            )
        told = (self._of_log(), self.failure, self._of_file(), replayed)
        return tuple(sentence for sentence in told if sentence)

    def _of_log(self) -> str:
        if self.audit.first_fault:
            return f"The audit log does not hold: {self.audit.first_fault}"
        count, whose = self.audit.n_entries, self.audit.fingerprint
        return f"The audit log holds: {count} entries, signed by {whose}."

    def _of_file(self) -> str:
        if self.recording_fault:
            return self.recording_fault
        if not self.audit.ok:
            return "Nothing vouches for the recording, as the log does not hold."
        if not self.sealed:
            return "The session was cut off: its log holds no hash of the recording."
        return "The recording is the file that the log names."


def verify(path: str | Path, signed_by: str = "") -> Verification:
    """Check everything that a recorded session proves.

    Parameters
    ----------
    path : str or Path
        A session's folder, or its file.
    signed_by : str
        Fingerprint of the key that must have signed the log, spaces or not; empty takes any.

    Returns
    -------
    verification : Verification
        What was found; what cannot be replayed any more is a finding, too.

    Raises
    ------
    RecordingError
        If there is no recording of a session.
    """
    file = recording_file(path)
    if not holds_session(file):
        raise RecordingError(
            f"{file} is no session of diverloop, or its beginning is destroyed: give the folder "
            f"of a recorded session."
        )
    audit = _signed_by(verify_audit(file.parent), signed_by)
    log = read_audit(file.parent) if audit.ok else ()
    end = _details(log, AuditKind.SESSION_ENDED)
    manifest, comparison, replay_fault, signal_s = None, None, "", 0.0
    wall = MonotonicClock()
    began_ns = wall.now_ns()
    try:
        record = open_record(file)
        manifest, signal_s = record.manifest, record.duration_s
        began_ns = wall.now_ns()
        comparison, _ = replay_exact(file)
    except DiverloopError as error:
        replay_fault = str(error)
    return Verification(
        audit=audit,
        recording_fault=_recording_fault(log, file, manifest),
        sealed="recording_sha256" in end,
        failure=str(end["why"]) if "failure" in end else "",
        replay_fault=replay_fault,
        comparison=comparison,
        signal_s=signal_s,
        wall_s=(wall.now_ns() - began_ns) / 1e9,
    )


def _signed_by(audit: AuditVerdict, fingerprint: str) -> AuditVerdict:
    """The verdict, with a fault if it was another key that signed."""
    wanted, found = ("".join(text.split()).lower() for text in (fingerprint, audit.fingerprint))
    if not wanted or wanted == found or not audit.ok:
        return audit
    fault = f"It was signed by {audit.fingerprint}, not by {fingerprint}: it is somebody else's."
    return replace(audit, ok=False, first_fault=fault)


def _recording_fault(log: Sequence[AuditEntry], file: Path, manifest: Manifest | None) -> str:
    """In what a recording is not what a log says of it."""
    sealed = _details(log, AuditKind.SESSION_ENDED).get("recording_sha256")
    if sealed and file_sha256(file) != sealed:
        return f"{file.name} is not the file that the log names: it was changed afterwards."
    if manifest is None:
        return ""
    settings = _details(log, AuditKind.CONFIGURATION).get("settings_sha256")
    if settings not in (None, manifest.settings_sha256):
        return f"The settings in {file.name} are not those that the log names: they were changed."
    if _details(log, AuditKind.MODEL).get("sha256") not in (None, manifest.model_sha256):
        return f"The model in {file.name} is not the one that the log names: it was exchanged."
    return ""
