"""The audit log as it lies on the disk: entries, the chain of their hashes, the signed head.

Everything here only reads. What is checked are bytes: a line that means the same and looks
otherwise has been touched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..errors import RecordingError
from .signing import PrivateKey, PublicKey, canonical, fingerprint, sign, verify

LOG_NAME = "audit.jsonl"
"""The entries, one a line."""
HEAD_NAME = "audit.head.json"
"""What was signed last."""
FORMAT_VERSION = 1
"""Of the log; its first entry names it."""
TORN = "torn_sha256"
"""Detail by which an entry names the torn line before it."""

_Part = TypeVar("_Part", "AuditEntry", "AuditHead")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the log.

    Parameters
    ----------
    n : int
        Its place, from 0.
    utc : str
        ISO 8601, the wall clock when it was written.
    mono_ns : int
        The loop's clock at the same moment.
    who : str
        A person, or the part of the program that acted.
    what : str
        One of the kinds of entries, or one of a later release.
    why : str
        One sentence for a person.
    details : mapping
        What JSON can hold; flat, so that it can be read as a table.
    previous : str
        Hash of the entry before; of the log's own id in entry 0.
    hash : str
        SHA-256 over the canonical JSON of all the others.
    """

    n: int
    utc: str
    mono_ns: int
    who: str
    what: str
    why: str
    details: Mapping[str, Any]
    previous: str
    hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerdict:
    """What `verify_audit` found.

    Parameters
    ----------
    ok : bool
        True if nothing that was signed has been touched.
    n_entries : int
        How many entries follow from each other, from the first on.
    n_signed : int
        How many of them the head stands for; 0 if it is not genuine, or does not fit.
    head_hash : str
        Hash of the last signed entry.
    first_fault : str
        One sentence; empty if ok.
    fingerprint : str
        Of the public key that the head names.
    remarks : tuple of str
        What is worth knowing and no fault, one sentence each.
    """

    ok: bool
    n_entries: int
    n_signed: int
    head_hash: str
    first_fault: str
    fingerprint: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead:
    """What was signed: the log as it was after its last entry.

    Parameters
    ----------
    log : str
        Random id of the log, so that no two can be mixed.
    entries : int
        How many there were, at least 1.
    last : str
        Hash of the last one.
    size : int
        Bytes up to its end.
    utc : str
        When it was written.
    public_key : str
        Checks the signature; see `PublicKey.from_text`.
    signature : str
        64 bytes in hexadecimal, over the canonical JSON of all the others.
    """

    log: str
    entries: int
    last: str
    size: int
    utc: str
    public_key: str
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Entries that follow from each other, and what comes after them.

    Parameters
    ----------
    entries : tuple of AuditEntry
        Up to the first fault.
    ends : tuple of int
        How many bytes the file has up to the end of each.
    torn : bytes
        What follows the last newline.
    fault : str
        What broke the chain, one sentence; empty if nothing did.
    """

    entries: tuple[AuditEntry, ...] = ()
    ends: tuple[int, ...] = ()
    torn: bytes = b""
    fault: str = ""

    @property
    def log_id(self) -> str:
        """As entry 0 gives it."""
        return str(self.entries[0].details.get("log")) if self.entries else ""


def text_hash(text: bytes | str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def sealed(entry: AuditEntry) -> AuditEntry:
    """Give an entry the hash of its content."""
    return replace(entry, hash=text_hash(_content(entry, "hash")))


def signed(head: AuditHead, key: PrivateKey) -> AuditHead:
    """Give a head its signature."""
    return replace(head, signature=sign(key, _content(head, "signature")).hex())


def line_of(part: AuditEntry | AuditHead) -> bytes:
    """The bytes by which an entry or a head stands on the disk, newline included."""
    return _content(part) + b"\n"


def verify_audit(folder: str | Path, *, public_key: PublicKey | None = None) -> AuditVerdict:
    """Say whether a log is as it was signed.

    Parameters
    ----------
    folder : str or Path
        Where `AuditLog` wrote it.
    public_key : PublicKey, optional
        Who must have signed. Without it the key in the head is believed, which proves only that
        log and head belong together: compare its fingerprint.

    Returns
    -------
    verdict : AuditVerdict
        Whatever the files hold, and if they are missing: never an error.
    """
    return inspect(folder, public_key)[0]


def read_audit(folder: str | Path) -> tuple[AuditEntry, ...]:
    """Read the entries of a log, as far as they follow from each other.

    Parameters
    ----------
    folder : str or Path
        Where `AuditLog` wrote it. Nothing is said about signatures: ask `verify_audit`.

    Returns
    -------
    entries : tuple of AuditEntry
        In order, up to the first fault.

    Raises
    ------
    RecordingError
        If there is no log that can be read.
    """
    try:
        return follow((Path(folder) / LOG_NAME).read_bytes()).entries
    except OSError as error:
        raise RecordingError(
            f"The folder {folder} has no readable {LOG_NAME} ({error.strerror}): name the folder "
            f"of a recorded session."
        ) from error


def inspect(folder: str | Path, public_key: PublicKey | None) -> tuple[AuditVerdict, Chain]:
    """Judge a log as `verify_audit` does, and give what was read of it."""
    chain = Chain()
    try:
        chain = follow((Path(folder) / LOG_NAME).read_bytes())
        head = _read_head((Path(folder) / HEAD_NAME).read_bytes(), public_key)
        remarks = _compare(chain, head, public_key)
    except OSError as error:
        missing = f"{error.filename} cannot be read ({error.strerror}); look for a copy of it."
        return _verdict(chain, None, chain.fault or missing), chain
    except _Fault as fault:
        return _verdict(chain, None, chain.fault or str(fault)), chain
    return _verdict(chain, head, chain.fault, remarks), chain


def follow(log: bytes) -> Chain:
    """Follow the chain from the first line to the last, or to the first that breaks it.

    A line that is no entry passes only if the entry after it names it by its hash: that is what
    a crash had torn off before the log was resumed.

    Parameters
    ----------
    log : bytes
        The whole file.

    Returns
    -------
    chain : Chain
        What follows from what.
    """
    *lines, torn = log.split(b"\n")
    entries: list[AuditEntry] = []
    ends: list[int] = []
    at, doubtful, fault = 0, b"", ""
    for number, line in enumerate(lines, start=1):
        at += len(line) + 1
        try:
            entry = _read_entry(line, number, entries)
        except _Fault as error:
            if fault:
                break
            doubtful, fault = line, str(error)
            continue
        if fault and entry.details.get(TORN) != text_hash(doubtful):
            break
        fault = ""
        entries.append(entry)
        ends.append(at)
    return Chain(entries=tuple(entries), ends=tuple(ends), torn=torn, fault=fault)


class _Fault(ValueError):
    """Why something on the disk cannot be believed."""


def _content(part: AuditEntry | AuditHead, without: str = "") -> bytes:
    names = (one.name for one in fields(part) if one.name != without)
    return canonical({name: getattr(part, name) for name in names})


def _read_entry(line: bytes, number: int, before: list[AuditEntry]) -> AuditEntry:
    entry = _parse(line + b"\n", AuditEntry, f"Line {number} of the log")
    if text_hash(_content(entry, "hash")) != entry.hash:
        raise _Fault(f"Line {number} of the log was edited: its content does not have its hash.")
    if entry.n != len(before):
        raise _Fault(
            f"Line {number} of the log holds entry {entry.n} where entry {len(before)} belongs: "
            f"entries were deleted, repeated or moved."
        )
    if not before and (version := entry.details.get("format", FORMAT_VERSION)) != FORMAT_VERSION:
        raise _Fault(
            f"The log has format {version!r}, this diverloop reads {FORMAT_VERSION}: use the "
            f"diverloop that wrote it, or a newer one."
        )
    start = text_hash(str(entry.details.get("log")))
    if entry.previous != (before[-1].hash if before else start):
        raise _Fault(
            f"Entry {entry.n} does not follow from the one before: one of them was replaced, or "
            f"comes from another log."
        )
    return entry


def _read_head(line: bytes, public_key: PublicKey | None) -> AuditHead:
    head = _parse(line, AuditHead, "The head")
    try:
        named = PublicKey.from_text(head.public_key)
        signature = bytes.fromhex(head.signature)
    except ValueError as error:  # a ConfigError is one
        raise _Fault("The head was edited: its key or signature is no hexadecimal text.") from error
    if public_key not in (None, named):
        raise _Fault(
            f"The head is signed with another key ({fingerprint(named)}): it was replaced, or the "
            f"log comes from another machine or user."
        )
    genuine = verify(named, _content(head, "signature"), signature)
    # Upper case would give the same bytes, and is not covered by the signature.
    if not genuine or signature.hex() != head.signature:
        raise _Fault("The head was edited: its signature does not belong to its content.")
    return head


def _parse(line: bytes, sort: type[_Part], name: str) -> _Part:
    try:
        part = msgspec.convert(json.loads(line.decode()), sort)
        as_written = line_of(part)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise _Fault(f"{name} was edited or cut: it is not what diverloop writes.") from error
    if as_written != line:
        raise _Fault(f"{name} was edited: it is not written as diverloop writes it.")
    return part


def _compare(chain: Chain, head: AuditHead, public_key: PublicKey | None) -> tuple[str, ...]:
    """Hold the chain against a genuine head; return remarks."""
    found = len(chain.entries)
    if chain.entries and chain.log_id != head.log:
        raise _Fault("The head belongs to another log: one of the two was replaced.")
    if not 1 <= head.entries <= found:
        raise _Fault(
            f"The head was signed over {head.entries} entries, and {found} follow from each "
            f"other: the log was cut short."
        )
    last = head.entries - 1
    if (chain.entries[last].hash, chain.ends[last]) != (head.last, head.size):
        raise _Fault(f"Entry {last} is not the one that the head was signed over.")
    return _after_head(found - head.entries, len(chain.torn), public_key)


def _after_head(n_entries: int, n_torn: int, public_key: PublicKey | None) -> tuple[str, ...]:
    """What a crash may leave behind: one entry without its head, or a piece of one."""
    if n_entries > 1 or (n_entries and n_torn):
        raise _Fault(
            f"After its head the log has {n_entries} entries and {n_torn} bytes that are not "
            f"signed; a crash leaves one entry or a piece of it, the rest was put in."
        )
    remarks = []
    if n_entries:
        remarks.append("The log verifies up to its head, 1 entry after it is not signed.")
    if n_torn:
        remarks.append(f"A crash tore off the last entry: {n_torn} bytes of it are left.")
    if public_key is None:
        remarks.append("No key was given: compare the fingerprint with that of the machine.")
    return tuple(remarks)


def _verdict(
    chain: Chain, head: AuditHead | None, fault: str, remarks: tuple[str, ...] = ()
) -> AuditVerdict:
    return AuditVerdict(
        ok=head is not None and not fault,
        n_entries=len(chain.entries),
        n_signed=head.entries if head else 0,
        head_hash=head.last if head else "",
        first_fault=fault,
        fingerprint=fingerprint(PublicKey.from_text(head.public_key)) if head else "",
        remarks=remarks,
    )
