"""What is made from a recording for others: the report, and exports."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .adapters.performance import judge
from .adapters.scorer import Scorer, watch_whole
from .adapters.trial_scorer import TrialScorer
from .hardware.recordings import Recording, read_recording
from .running import scorer_for
from .runtime.messages import Chunk
from .runtime.record.audit import AuditVerdict, verify_audit
from .runtime.record.contents import Record
from .runtime.record.reading import holds_session, open_record
from .runtime.record.report import write_pdf, write_report
from .runtime.record.signing import load_or_create_key

_PIECE_S = 1.0


def open_any(path: str | Path, assume_unit: str | None = None) -> Record:
    """Open a session of ours, or a recording of any other program.

    Parameters
    ----------
    path : str or Path
        A session's folder, or a file in any format of `diverloop.hardware.recordings`.
    assume_unit : str, optional
        Unit of channels that name none.

    Returns
    -------
    record : Record
        Without decisions, if another program recorded it.

    Raises
    ------
    RecordingError
        If it cannot be read.
    """
    path = Path(path)
    if path.is_dir() or holds_session(path):
        return open_record(path)
    return _foreign(read_recording(path, assume_unit=assume_unit))


def make_report(path: str | Path, html: Path | None = None, pdf: bool = True) -> tuple[Path, ...]:
    """Write the report of a session.

    Parameters
    ----------
    path : str or Path
        As for `open_any`.
    html : Path, optional
        Where; beside the recording if not given.
    pdf : bool
        Whether to write a PDF beside it.

    Returns
    -------
    files : tuple of Path
        What was written.

    Raises
    ------
    RecordingError, ConfigError
        If it cannot be read or written, or a package is missing.
    """
    record = open_any(path)
    html = html or record.path.with_name(_report_name(record))
    performance, judged = None, ""
    if record.card is not None:
        scorer = scorer_for(record.card)
        if type(scorer) is TrialScorer:
            performance = judge(record.spec, record.markers, record.turns, scorer.span)
        elif record.turns:
            judged = _in_words(scorer, record)
    verdict = verify_audit(record.path.parent) if record.manifest is not None else None
    written = write_report(
        record,
        html,
        performance=performance,
        judged=judged,
        audit=_audit_words(verdict),
        alarm=_alarm(verdict),
    )
    return (written, write_pdf(written, written.with_suffix(".pdf"))) if pdf else (written,)


def _in_words(scorer: Scorer, record: Record) -> str:
    """What a scorer says of a session that is over."""
    watch_whole(scorer, record.spec, record.markers, record.turns)
    found = scorer.report()
    return found.sentence() if found else scorer.why_nothing()


def _report_name(record: Record) -> str:
    """A session has its folder to itself; files of other programs may share theirs."""
    return "report.html" if record.manifest else f"{record.path.stem}-report.html"


def house_secret() -> str:
    """What pseudonyms and shifts of dates hang on here, so that nobody elsewhere can guess them.

    Returns
    -------
    secret : str
        Derived from this user's signing key: the same at every export, unknown to others.
    """
    seed = load_or_create_key().seed
    return hashlib.blake2b(b"pseudonyms", key=seed, digest_size=32).hexdigest()


def _alarm(verdict: AuditVerdict | None) -> str:
    """What a reader must not overlook; empty if the audit log holds."""
    if verdict is None or verdict.ok:
        return ""
    return (
        f"The audit log of this session, which says who did what and when, is not whole: "
        f"{verdict.first_fault} Find out why before you rely on this report."
    )


def _audit_words(verdict: AuditVerdict | None) -> dict[str, str] | None:
    if verdict is None:
        return None
    words = "whole and unaltered" if verdict.ok else f"NOT whole: {verdict.first_fault}"
    return {
        "Audit log": f"{words}; {verdict.n_entries} entries",
        "Audit log signed by": verdict.fingerprint,
        "Its last entry": verdict.head_hash,
    }


def _foreign(recording: Recording) -> Record:
    def chunks() -> Iterator[Chunk]:
        step = max(1, round(_PIECE_S * recording.spec.rate_hz))
        for first, stop in recording.blocks(step):
            samples = np.ascontiguousarray(recording.samples[:, first:stop])
            yield Chunk(samples=samples, first_sample=first, arrived_ns=0)

    return Record(
        path=Path(recording.path),
        spec=recording.spec,
        n_times=recording.n_times,
        chunks=chunks,
        markers=recording.markers,
        start_lsl_s=recording.start_lsl_s,
        remarks=recording.notes,
    )
