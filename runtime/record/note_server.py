"""How a person's words reach a running session: a socket of this machine.

Who takes them leaves its address in the folder of the session, so that whoever may write there may
say something, and nobody else finds it.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import zmq

from ..errors import RecordingError
from ..json_text import parsed_json
from ..small_file import read_small
from .contents import Note

ADDRESS_FILE = "recorder.json"
_LONGEST = 4000
_MOST_BYTES = 1 << 16  # a longer request is nobody's note


class NoteServer:
    """Takes notes while it is entered as a context.

    Parameters
    ----------
    folder : Path
        Where the address is left, readable by this user alone.
    put : callable
        Takes each note, and returns when it is on the disk; called from the server's thread.
    complain : callable
        Takes a sentence, if notes cannot be sent: a recording goes on without.
    file : str
        Name of the file with the address.
    """

    def __init__(
        self,
        folder: Path,
        put: Callable[[Note], None],
        complain: Callable[[str], None],
        *,
        file: str = ADDRESS_FILE,
    ) -> None:
        self._file = folder / file
        self._put = put
        self._complain = complain
        self._token = secrets.token_hex(16)
        self._ended = threading.Event()

    def __enter__(self) -> NoteServer:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REP)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, _MOST_BYTES)
        try:
            self._leave_word(self._socket.bind_to_random_port("tcp://127.0.0.1"))
        except (OSError, zmq.ZMQError) as error:
            self._complain(f"Notes cannot be sent to this recording ({error}).")
        self._thread = threading.Thread(target=self._serve, name="notes", daemon=True)
        self._thread.start()
        return self

    def _leave_word(self, port: int) -> None:
        card = {"address": f"tcp://127.0.0.1:{port}", "token": self._token, "pid": os.getpid()}
        self._file.unlink(missing_ok=True)
        with os.fdopen(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
            json.dump(card, f)

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._context.destroy(linger=0)
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _serve(self) -> None:
        while not self._ended.is_set():
            if self._socket.poll(100):
                self._socket.send_string(self._answer(b"".join(self._socket.recv_multipart())))

    def _answer(self, request: bytes) -> str:
        try:
            said = parsed_json(request)
            text, who, token = str(said["text"]), str(said["who"]), str(said["token"])
        except (ValueError, LookupError, TypeError):
            return "refused: this is no note."
        if not secrets.compare_digest(token.encode("utf-8", "replace"), self._token.encode()):
            return "refused: the token is not that of this recording."
        if not 0 < len(text) <= _LONGEST:
            return f"refused: a note has 1 to {_LONGEST} characters, got {len(text)}."
        try:
            self._put(Note(text=text, who=who, at_ns=time.monotonic_ns()))
        except RecordingError as error:
            return f"refused: {error}"
        return "noted"


def send_note(
    folder: Path, text: str, who: str = "", timeout_s: float = 2.0, *, file: str = ADDRESS_FILE
) -> None:
    """Write a note into a session that is being recorded.

    Parameters
    ----------
    folder : Path
        The session's folder.
    text : str
        The note, at most 4000 characters.
    who : str
        Who writes it.
    timeout_s : float
        How long to wait for the recorder.
    file : str
        Name of the file with the address.

    Raises
    ------
    RecordingError
        If nothing is being recorded there, or the note was refused.
    """
    try:
        card = parsed_json(read_small(folder / file))
        address, token = str(card["address"]), card["token"]
        if not address.startswith("tcp://127.0.0.1:"):
            raise ValueError(f"{address!r} is not on this machine")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RecordingError(
            f"Nothing is being recorded in {folder}: give the folder that the session named when "
            f"it began."
        ) from error
    context = zmq.Context()
    socket = context.socket(zmq.REQ)
    try:
        socket.connect(address)
        socket.send_json({"text": text, "who": who, "token": token})
        answer = socket.recv_string() if socket.poll(round(timeout_s * 1000)) else "no answer"
    except (zmq.ZMQError, ValueError) as error:
        answer = f"it cannot be sent: {error}"
    finally:
        context.destroy(linger=0)
    if answer != "noted":
        raise RecordingError(f"The note was not written ({answer}): say it again.")
