"""Repair of a recording that breaks off: no sample is made up, and nothing is thrown away.

A recorder writes whole chunks and, at the end, a footer for each stream. After a power cut the
last chunk can be torn and the footers are missing; some programs then read less than there is.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import RecordingError
from ..json_text import parsed_json
from ..small_file import read_small
from .entries import End, write_entry
from .layout import TAPE, TAPE_NAME
from .note_server import ADDRESS_FILE
from .reading import recording_file
from .xdf_read import Footer, Header, TextSamples, XdfReader
from .xdf_write import XdfWriter

_RECORDER = b"diverloop.runtime.record.recorder"
_REASON = (
    "The recording broke off here, because its recorder was stopped or the power was cut; it was "
    "repaired afterwards."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """What was done to a file.

    Parameters
    ----------
    path : Path
        The file.
    whole : bool
        Whether it was whole: then nothing was done.
    kept_bytes : int
        Length of what is whole.
    torn_bytes : int
        Length of what came behind it and was taken away.
    torn_file : Path, optional
        Where that lies now.
    remarks : tuple of str
        What a reader noticed before; damages in the midst of the file stay, and are skipped.
    """

    path: Path
    whole: bool
    kept_bytes: int
    torn_bytes: int = 0
    torn_file: Path | None = None
    remarks: tuple[str, ...] = ()

    def sentence(self) -> str:
        """What was done, in words."""
        if self.whole:
            return f"{self.path} is whole: nothing was done."
        torn = "nothing had to be taken away"
        if self.torn_file is not None:
            torn = f"{self.torn_bytes} torn bytes behind them were moved to {self.torn_file.name}"
        return (
            f"{self.path} broke off and has an end now: its first {self.kept_bytes} bytes are "
            f"whole, {torn}."
        )


def repair(path: str | Path) -> RepairReport:
    """Give a recording that breaks off an end, so that every XDF reader opens it.

    It is cut back to its last whole chunk; then come an `End` on its tape, if it has one, and
    the footers. Files of other programs are repaired, too. What is cut off is kept beside the
    file, with ``.torn`` as its ending. Twice is harmless.

    Parameters
    ----------
    path : str or Path
        A session's folder, or the file itself.

    Returns
    -------
    report : RepairReport
        What was done.

    Raises
    ------
    RecordingError
        If the file cannot be read or written, holds nothing that is whole, or is being recorded.
    """
    file = recording_file(path)
    _refuse_running(file.parent)
    found = _Survey(file)
    kept_bytes, remarks = found.reader.bytes_read, found.reader.remarks
    if not (found.n_torn or found.endless):
        return RepairReport(path=file, whole=True, kept_bytes=kept_bytes, remarks=remarks)
    if not found.reader.tallies:
        raise RecordingError(
            f"{file} breaks off before its first stream was described: there is nothing in it to "
            f"repair."
        )
    torn_file = _set_aside(file, kept_bytes) if found.n_torn else None
    _end(file, found)
    return RepairReport(
        path=file,
        whole=False,
        kept_bytes=kept_bytes,
        torn_bytes=found.n_torn,
        torn_file=torn_file,
        remarks=remarks,
    )


class _Survey:
    """What a file holds, read once from beginning to end."""

    def __init__(self, file: Path) -> None:
        self.reader = XdfReader(file)
        self.has_tape = False
        last_line = ""
        ended: set[int] = set()
        for chunk in self.reader:
            if isinstance(chunk, Footer):
                ended.add(chunk.stream_id)
            elif isinstance(chunk, Header):
                self.has_tape |= (chunk.stream_id, chunk.name) == (TAPE, TAPE_NAME)
            elif isinstance(chunk, TextSamples) and chunk.stream_id == TAPE:
                last_line = chunk.texts[-1] if chunk.texts else last_line
        self.n_torn = file.stat().st_size - self.reader.bytes_read
        self.endless = {
            number: tally for number, tally in self.reader.tallies.items() if number not in ended
        }
        self.wants_end = (
            self.has_tape and TAPE in self.endless and not last_line.startswith('{"end"')
        )


def _refuse_running(folder: Path) -> None:
    """A recorder that lives says so in the folder of its session."""
    try:
        pid = int(parsed_json(read_small(folder / ADDRESS_FILE))["pid"])
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return
    if _records(pid):
        raise RecordingError(
            f"The recording in {folder} is still being written, by process {pid}: repair it when "
            f"the session is over; if it is over, delete {ADDRESS_FILE} there."
        )


def _records(pid: int) -> bool:
    """Whether a process lives and may be a recorder."""
    if sys.platform == "win32":  # a signal of 0 is Ctrl-C there
        return _lives_on_windows(pid)
    try:
        os.kill(pid, 0)
    except PermissionError:  # it is somebody else's
        return True
    except (OSError, OverflowError):
        return False
    if sys.platform != "linux":
        return True
    # After a power cut the number may be that of another process; and what was killed may still
    # be listed, without a command line, if nobody has asked for its end.
    try:
        return _RECORDER in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _lives_on_windows(pid: int) -> bool:
    """Whether Windows has such a process, and it has not ended."""
    import ctypes

    still_active, query = 259, 0x1000  # STILL_ACTIVE, PROCESS_QUERY_LIMITED_INFORMATION
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]
    code, handle = ctypes.c_ulong(), kernel.OpenProcess(query, False, pid)
    if not handle:  # 5 is access denied: it is somebody else's
        return bool(ctypes.get_last_error() == 5)  # type: ignore[attr-defined]
    try:
        return bool(kernel.GetExitCodeProcess(handle, ctypes.byref(code))) and (
            code.value == still_active
        )
    finally:
        kernel.CloseHandle(handle)


def _set_aside(file: Path, kept_bytes: int) -> Path:
    """Copy what lies behind the whole chunks into a file of its own, onto the disk."""
    beside = _free_name(file.with_suffix(".torn"))
    try:
        with file.open("rb") as source, beside.open("xb") as copy:
            source.seek(kept_bytes)
            shutil.copyfileobj(source, copy)
            copy.flush()
            os.fsync(copy.fileno())
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise RecordingError(
            f"What is torn in {file} cannot be kept as {beside} ({error.strerror}), so nothing was "
            f"repaired: make room, or get the right to write there."
        ) from error
    return beside


def _free_name(wanted: Path) -> Path:
    name, place = wanted, 2
    while name.exists():
        name = wanted.with_name(f"{wanted.name}-{place}")
        place += 1
    return name


def _end(file: Path, found: _Survey) -> None:
    """Cut the file, and write what is missing behind the cut."""
    with closing(XdfWriter.resume(file, found.reader.bytes_read, found.endless)) as writer:
        if found.wants_end:
            line = write_entry(End(reason=_REASON, orderly=False))
            writer.write_texts(TAPE, [line], [found.endless[TAPE].last_s])
        writer.finish()
