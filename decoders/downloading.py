"""Download one file: resumed after a break, checked, whole or not at all.

What has come is in ``NAME.part``; only a complete and checked file gets its name. An unfinished
file is gone on with only if it is sure to be the same one: the server must confirm the version it
gave before (``If-Range``, RFC 9110 section 13.1.5), or a hash for the whole must be known.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import shutil
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO

from ..runtime.errors import BundleError, ConfigError

Progress = Callable[[int, int | None], None]
"""Called with the bytes there are and the bytes there will be, None where the server is silent."""

_BLOCK = 1 << 18
_SPARE_BYTES = 16 << 20
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LFS_POINTER = b"version https://git-lfs"
_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_HASH = re.compile(rb"[0-9a-f]{64}")


def fetch(
    url: str,
    path: str | Path,
    sha256: str | None = None,
    size: int | None = None,
    progress: Progress | None = None,
    *,
    timeout_s: float = 30.0,
) -> str:
    """Download a file; what is there of ``NAME.part`` is not fetched again.

    A broken connection is taken up again at once for as long as every attempt brings something.
    The certificate of the server is verified, and a redirection may not lead to plain HTTP.
    One process at a time may fetch a file.

    Parameters
    ----------
    url : str
        ``https://...``; ``http://`` only on this machine.
    path : str or Path
        Where the file goes, by renaming a whole and checked ``NAME.part``. If it exists, it is
        hashed and nothing is fetched.
    sha256 : str, optional
        What the file must be. Without it the hash of what came is kept in ``NAME.sha256``, and an
        existing file must match that.
    size : int, optional
        Bytes the file must have.
    progress : callable, optional
        Called with (bytes there are, bytes there will be or None) after every block.
    timeout_s : float
        Seconds without a byte after which the connection counts as broken.

    Returns
    -------
    sha256 : str
        Of the file, 64 hexadecimal digits.

    Raises
    ------
    ConfigError
        If the address is not one of the kinds above.
    BundleError
        If there is no network, the server has no such file or sends something else, the disk is
        full, or the hash or the size is wrong. A file with a wrong hash is removed.
    """
    path = Path(path)
    if not _allowed(url):
        raise ConfigError(
            f"The address {url!r} is not https://HOST/FILE, and plain HTTP is allowed on this "
            f"machine only: use an https address."
        )
    request = _Request(url=url, sha256=sha256, size=size, timeout_s=timeout_s)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            return _already_there(path, sha256, progress)
        part = path.with_name(f"{path.name}.part")
        _download(request, part, progress)
        return _accept(request, part, path)
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read or written ({error}): check folder, disk and rights."
        ) from error


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, read in blocks.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    sha256 : str
        64 hexadecimal digits in lower case.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recorded_sha256(path: str | Path) -> str | None:
    """Hash that `fetch` wrote beside a file whose hash nobody knew before.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    sha256 : str or None
        What came when it was fetched; None if nothing was written. The file is not read.
    """
    noted = _hash_file(Path(path))
    known = _HASH.match(noted.read_bytes()) if noted.exists() else None
    return known.group().decode() if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    url: str
    sha256: str | None
    size: int | None
    timeout_s: float

    @property
    def host(self) -> str:
        return urllib.parse.urlsplit(self.url).hostname or self.url


class _ConnectionBroke(Exception):
    """The server was there and went away: worth another attempt."""


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follow a redirection only to where `fetch` would have gone itself."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """As usual, with the Range header kept, unless the new address is not allowed."""
        if not _allowed(newurl):
            raise BundleError(
                f"{req.full_url} leads on to {newurl}, which is not https: do not trust that "
                f"network, and fetch from another one."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _allowed(url: str) -> bool:
    parts = urllib.parse.urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or _is_local(parts))


def _is_local(parts: urllib.parse.SplitResult) -> bool:
    return parts.scheme == "http" and parts.hostname in _LOOPBACK


def _already_there(path: Path, sha256: str | None, progress: Progress | None) -> str:
    wanted = sha256 or recorded_sha256(path)
    got = file_sha256(path)
    if got != wanted:
        whose = f"wanted is {wanted[:12]}..." if wanted else "and no record says what it must be"
        raise BundleError(
            f"{path} exists with SHA-256 {got[:12]}..., {whose}: move it away, or choose another "
            f"place."
        )
    if progress is not None:
        progress(_size_of(path), _size_of(path))
    return got


def _download(request: _Request, part: Path, progress: Progress | None) -> None:
    """Fill the part file, over as many connections as it takes while each brings something."""
    while request.size is None or _size_of(part) != request.size:
        before = _size_of(part)
        try:
            _one_connection(request, part, progress)
            return
        except _ConnectionBroke as error:
            now = _size_of(part)
            if now <= before:
                raise BundleError(
                    f"The connection to {request.host} broke at byte {now} ({error}): what came is "
                    f"kept in {part.name}, so fetch again to go on from there."
                ) from error


def _one_connection(request: _Request, part: Path, progress: Progress | None) -> None:
    with _open(request, part) as reply:
        start = _start_of(reply, part)
        length = reply.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else request.size
        _check_reply(reply, request, start, total)
        _check_room(part.parent, 0 if total is None else total - start)
        with part.open("r+b" if start else "wb") as file:
            if start == 0:
                _version_file(part).write_text(_version_of(reply))
            file.seek(start)
            file.truncate()
            for block in _blocks(reply):
                file.write(block)
                if request.size is not None and file.tell() > request.size:
                    raise _wrong_size(request, f"more than {request.size}")
                if progress is not None:
                    progress(file.tell(), total)
            done = file.tell()
    if total is not None and done < total:
        raise _ConnectionBroke(f"{done} of {total} bytes came")


def _open(request: _Request, part: Path) -> http.client.HTTPResponse:
    """Ask for the file, or for the rest of it."""
    asked = urllib.request.Request(request.url, headers=_headers(request, part))
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        _OnlyHttps(),
    ]
    if _is_local(urllib.parse.urlsplit(request.url)):
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        reply: http.client.HTTPResponse = urllib.request.build_opener(*handlers).open(
            asked, timeout=request.timeout_s
        )
        return reply
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not part.exists():
            raise _refusal(request, error.code) from error
    except (http.client.HTTPException, OSError) as error:
        raise BundleError(
            f"{request.host} cannot be reached ({getattr(error, 'reason', error)}): check the "
            f"network, or fetch on another machine and copy the file here."
        ) from error
    part.unlink()  # Longer than the server's file: not a beginning of it.
    return _open(request, part)


def _headers(request: _Request, part: Path) -> dict[str, str]:
    headers = {"User-Agent": "diverloop", "Accept-Encoding": "identity"}
    have, version = _size_of(part), _version_file(part)
    known = version.read_text() if have and version.exists() else ""
    if known:
        headers["If-Range"] = known
    if known or (have and request.sha256 is not None):
        headers["Range"] = f"bytes={have}-"
    return headers


def _refusal(request: _Request, code: int) -> BundleError:
    gone = code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
    what = "has no such file any more" if gone else "refuses to give it"
    return BundleError(
        f"{request.url} cannot be had, the server {what} (HTTP {code}): "
        f"{'get it by hand from another place' if gone else 'fetch again later'}."
    )


def _start_of(reply: http.client.HTTPResponse, part: Path) -> int:
    """Where the reply goes on; 0 where the server ignores the range and sends everything."""
    if reply.status != HTTPStatus.PARTIAL_CONTENT:
        return 0
    found = _RANGE.fullmatch(reply.headers.get("Content-Range", ""))
    if found is None or int(found.group(1)) > _size_of(part):
        raise BundleError(
            f"The server sent {reply.headers.get('Content-Range')!r}, asked for was what follows "
            f"byte {_size_of(part)}: remove {part.name} and fetch again."
        )
    return int(found.group(1))


def _check_reply(
    reply: http.client.HTTPResponse, request: _Request, start: int, total: int | None
) -> None:
    """Refuse what is clearly not the file before anything of it is written."""
    if reply.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise BundleError(
            f"{request.url} gave a web page and not a file: a sign-in page may stand between, so "
            f"open it in a browser, or get the file by hand from another place."
        )
    with _breaks():
        is_pointer = start == 0 and reply.peek(len(_LFS_POINTER)).startswith(_LFS_POINTER)
    if is_pointer:
        raise BundleError(
            f"{request.url} gave a Git-LFS pointer and not the file, which the server does not "
            f"hold any more: get it by hand from another place."
        )
    if request.size is not None and total != request.size:
        raise _wrong_size(request, str(total))


def _wrong_size(request: _Request, got: str) -> BundleError:
    return BundleError(
        f"{request.url} has {got} bytes, it must have {request.size}: the file was replaced, so "
        f"get the right one by hand from another place."
    )


def _check_room(folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < n_bytes + _SPARE_BYTES:
        raise BundleError(
            f"{folder} has {free >> 20} MiB free, needed are {(n_bytes + _SPARE_BYTES) >> 20} MiB: "
            f"make room, or choose another folder."
        )


def _blocks(reply: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        with _breaks():
            block = reply.read1(_BLOCK)
        if not block:
            return
        yield block


@contextlib.contextmanager
def _breaks() -> Iterator[None]:
    """Tell an error of the connection, inside, from one of the disk."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise _ConnectionBroke(str(error) or type(error).__name__) from error


def _accept(request: _Request, part: Path, path: Path) -> str:
    """Check what came, and give it its name."""
    got = file_sha256(part)
    if request.sha256 is not None and got != request.sha256:
        part.unlink()
        _version_file(part).unlink(missing_ok=True)
        raise BundleError(
            f"{request.url} gave a file with SHA-256 {got[:12]}..., wanted is "
            f"{request.sha256[:12]}...: it was removed, so fetch again, and if this repeats trust "
            f"neither that address nor that network."
        )
    if request.sha256 is None:
        _hash_file(path).write_text(f"{got}  {path.name}\n")
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
    _version_file(part).unlink(missing_ok=True)
    return got


def _version_of(reply: http.client.HTTPResponse) -> str:
    """The server's name for this very content, empty where it gives none that is strong."""
    tag = reply.headers.get("ETag", "")
    return tag if tag.startswith('"') else ""


def _hash_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _size_of(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
