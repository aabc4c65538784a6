"""Forging files that are made of pieces: parts on a pipe, XDF, archives of arrays, safetensors.

What is changed is one piece; the rest is put together again as it should be, so that the change
gets past the first length that is checked. Adds its operations to `hostile.FORMS`.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from functools import cache
from random import Random

import msgspec

from . import hostile
from .hostile import FORMS, dumped, forged

# ------------------------------------------------------------------------------ parts


def parts_of(data: bytes) -> list[bytes]:
    """Parts of a message that `frames.pack` packed, whatever its lengths say: never an error."""
    count = min(int.from_bytes(data[:4], "little"), 64)
    sizes = [int.from_bytes(data[4 + 4 * n : 8 + 4 * n], "little") for n in range(count)]
    at, parts = 4 + 4 * count, []
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    return parts


def _packed(parts: list[bytes]) -> bytes:
    return struct.pack(f"<{len(parts) + 1}I", len(parts), *map(len, parts)) + b"".join(parts)


def _parts(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """A part goes, comes twice, moves, or is changed."""
    parts = parts_of(data) or [b""]
    at = random.randrange(len(parts))
    act = random.randrange(5)
    if act == 0:
        del parts[at]
    elif act == 1:
        parts.insert(at, parts[at])
    elif act == 2:
        parts.insert(random.randrange(len(parts)), parts.pop(at))
    elif act == 3:
        parts[0] = (parts_of(random.choice(seeds)) or [b""])[0]
    else:
        operation = random.choice(list(hostile.GENERAL.values()))
        parts[at] = operation(parts[at], random, seeds)
    return _packed(parts)


def _header(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """Another value in the header of a message."""
    parts = parts_of(data)
    if len(parts) < 2:
        return _parts(data, random, seeds)
    if random.random() < 0.1:
        parts[1] = random.choice((b"\x91" * 100_000 + b"\xc0", b"\xdd\xff\xff\xff\xff",
                                  b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff",
                                  b"\x93\x02\x00" + b"\x81\xa1a" * 50_000 + b"\xc0"))  # fmt: skip
        return _packed(parts)
    try:
        value = forged(msgspec.msgpack.decode(parts[1]), random)
        parts[1] = msgspec.msgpack.encode(value)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
        return _parts(data, random, seeds)  # msgpack has no word for it
    return _packed(parts)


# ------------------------------------------------------------------------------ XDF


def _chunks_of(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of every whole chunk."""
    at, found = 4, []
    while at < len(data) and (width := data[at]) in (1, 4, 8):
        size = int.from_bytes(data[at + 1 : at + 1 + width], "little")
        start = at + 1 + width
        if size < 2 or start + size > len(data):
            break
        tag = int.from_bytes(data[start : start + 2], "little")
        found.append((tag, data[start + 2 : start + size]))
        at = start + size
    return found


def _xdf(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """A chunk goes, comes twice, moves, or holds something else; or its length lies."""
    chunks = _chunks_of(data)
    if not chunks:
        return hostile.GENERAL["flip"](data, random, seeds)
    at = random.randrange(len(chunks))
    tag, content = chunks[at]
    lie = -1
    act = random.randrange(8)
    if act == 0:
        del chunks[at]
    elif act == 1:
        chunks.insert(random.randrange(len(chunks) + 1), chunks[at])
    elif act == 2:
        chunks.insert(random.randrange(len(chunks)), chunks.pop(at))
    elif act == 3:
        lie = at
    elif b"<" in content[:80] and act < 7:
        head, body = (b"", content) if tag == 1 else (content[:4], content[4:])
        chunks[at] = tag, head + FORMS["xml"]["xml"](body, random, seeds)
    else:
        operation = random.choice(list(hostile.GENERAL.values()))
        chunks[at] = (
            random.choice((tag, tag, tag, random.randrange(8))),
            operation(content, random, seeds),
        )
    return b"XDF:" + b"".join(
        _chunk(tag, content, random if place == lie else None)
        for place, (tag, content) in enumerate(chunks)
    )


def _chunk(tag: int, content: bytes, liar: Random | None) -> bytes:
    size = 2 + len(content)
    if liar is not None:
        size = liar.choice((0, 1, size - 1, size + 1, 2 * size, (1 << 32) - 1, 1 << 40, 1 << 63))
    width = 4 if size < 1 << 32 else 8
    return bytes([width]) + size.to_bytes(width, "little") + struct.pack("<H", tag) + content


# ------------------------------------------------------------------------------ archives of arrays

_SHAPES = ("(1000000000000,)", "(0,)", "()", "(2, 1000000000)", "(-1, 4)", "(1, 1, 1)", "(3,)",
           "('a',)", "(1.5,)", "9", "(" * 300 + ")" * 300, "(4294967296, 4294967296)",
           "(" + "1, " * 70 + ")")  # fmt: skip
_DESCRS = ("'|O'", "'<U100000000'", "'<M8[ns]'", "'<f8'", "'|S0'", "'|V1000000000'", "'<c16'",
           "[('a', '<f8'), ('b', '|O')]", "'x'", "None", "['<f8'] * 9", "'|b1'", "'>f8'",
           "'<i8'", "'<f2'", "'<m8'")  # fmt: skip


def _members_of(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {
                info.filename: archive.read(info)
                for info in archive.infolist()
                if info.file_size < 1 << 22
            }
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, LookupError,
            RuntimeError, OverflowError, zlib.error, struct.error):  # fmt: skip
        return {}


def _zip(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """An array goes, is another one, lies about its shape or its numbers, or is a bomb."""
    members = _members_of(data)
    if not members:
        return hostile.GENERAL["flip"](data, random, seeds)
    name = random.choice(list(members))
    act = random.randrange(12)
    if act == 0:
        del members[name]
    elif act == 1:
        members[name] = members[random.choice(list(members))]
    elif act == 2:
        members[random.choice(("../x.npy", "x" * 3_000, "", "data", "\x00.npy"))] = b"x"
    elif act == 3:
        members[name] = zlib.decompress(_bomb())
    elif act < 10:
        members[name] = _lying(members[name], random)
    else:
        operation = random.choice(list(hostile.GENERAL.values()))
        members[name] = operation(members[name], random, seeds)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member, content in members.items():
            archive.writestr(zipfile.ZipInfo(member or "-"), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _lying(array: bytes, random: Random) -> bytes:
    """A ``.npy`` whose header says something else; its length is right again."""
    size = int.from_bytes(array[8:10], "little")
    header, body = array[10 : 10 + size], array[10 + size :]
    if random.random() < 0.5:
        pattern, put = rb"\([^)]*\)", random.choice(_SHAPES)
    else:
        pattern, put = rb"'[<>|=][^']*'", random.choice(_DESCRS)
    header = re.sub(pattern, lambda _: put.encode(), header, count=1)
    return array[:8] + len(header).to_bytes(2, "little") + header + body


@cache
def _bomb() -> bytes:
    """24 MiB of zeros, as an array, packed."""
    import numpy as np

    file = io.BytesIO()
    np.save(file, np.zeros((3, 1 << 20)))
    return zlib.compress(file.getvalue(), 1)


# ------------------------------------------------------------------------------ safetensors


def _tensors(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """Another value in the header, or in the JSON that stands in it as text."""
    size = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + size])
        about = header.get("__metadata__") if isinstance(header, dict) else None
        if isinstance(about, dict) and about and random.random() < 0.7:
            key = random.choice(list(about))
            inner = FORMS["json"][random.choice(("json", "json", "token"))]
            about[key] = inner(about[key].encode(), random, seeds).decode("utf-8", "replace")
        else:
            header = forged(header, random)
    except (ValueError, RecursionError, AttributeError):
        return hostile.GENERAL["length"](data, random, seeds)
    text = dumped(header, random)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


FORMS |= {
    "parts": {"parts": _parts, "header": _header},
    "xdf": {"xdf": _xdf},
    "zip": {"zip": _zip},
    "tensors": {"tensors": _tensors},
}
