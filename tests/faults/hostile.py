"""Hostile input: a valid file, damaged or forged in a few steps that follow from a seed.

A step is the name of an operation and the seed of what it draws, so an input is named by the file
it began with and its steps: hypothesis draws and shrinks them in the gate, a `Random` draws them
in the long form. Some operations know nothing of the file (bits, cuts, repeats, lengths); others
know its form, and forge what a careful enemy would: a header that lies in an archive that is
whole, a value of another kind in JSON that parses.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from hypothesis import strategies as st

Step = tuple[str, int]
Operation = Callable[[bytes, Random, Sequence[bytes]], bytes]

MOST_BYTES = 1 << 20
"""Longer inputs are cut: what is to be found is found in a small file."""
MOST_STEPS = 4
_DEEP = 20_000

VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 3, 255, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**64, -(2**63),
    10**12, 10**18, 10**400, 0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), float("-inf"),
    "", " ", "x", "NaN", "nan", "\x00", "\n", "\ud800", "\u202e", "é" * 9, "A" * 70_000,
    "../../../../etc/passwd", "/dev/zero", "%s%n{0}", "<f8", "|O", "<M8[ns]", "~nobody",
    [], {}, [[]], [None], ["x"], [1, 2, 3], [0] * 5_000, {"x": 1}, {"": None}, [[1, [2, [3, [4]]]]],
)  # fmt: skip
"""What stands in place of a value in JSON and in msgpack."""

_TOKENS = (
    "9" * 5_000, "-1", "0", "1e999", "-1e999", "NaN", "nan", "inf", "-inf", "Infinity", "null",
    "true", "0x7fffffffffffffff", "9223372036854775808", "1e-400", "1979-05-27", "07:32:00",
    "1979-05-27T07:32:00Z", '""', '"\\ud800"', '"' + "A" * 70_000 + '"', "'''", '"""', "[]", "{}",
    "[" * _DEEP + "]" * _DEEP, "[" * _DEEP, '{"a":' * _DEEP + "1" + "}" * _DEEP,
    "{a=" * _DEEP, "a." * 3_000 + "a", "[[a]]", "\x00", "\ufeff", "\u2028", "=", "#", "\\", "",
)  # fmt: skip
_TOKEN = re.compile(rb'"[^"\n]{0,200}"|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|[A-Za-z_]\w*')
_BYTES = (0x00, 0x01, 0x04, 0x08, 0x7F, 0x80, 0xC0, 0xDD, 0xDF, 0xFE, 0xFF)
_LENGTHS = (0, 1, 0x7F, 0x80, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1,
            (1 << 64) - 1)  # fmt: skip


# ------------------------------------------------------------------------------ of any file


def _flip(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _n in range(random.choice((1, 1, 2, 8))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _byte(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + bytes([random.choice(_BYTES)]) + data[at + random.choice((0, 1)) :]


def _truncate(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _cut(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start, stop = _span(data, random)
    return data[:start] + data[stop:]


def _repeat(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start, stop = _span(data, random)
    times = min(random.choice((2, 3, 50, 4_000)), max(2, (1 << 16) // max(1, stop - start)))
    return data[:start] + data[start:stop] * times + data[stop:]


def _splice(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    other = random.choice(seeds)
    start, stop = _span(other, random)
    at = random.randrange(len(data) + 1)
    return data[:at] + other[start:stop] + data[at + random.choice((0, stop - start)) :]


def _length(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """An extreme whole number over whatever stands there."""
    code = random.choice(("<B", "<H", "<I", "<Q", ">H", ">I", ">Q"))
    width = struct.calcsize(code)
    number = struct.pack(code, random.choice(_LENGTHS) & ((1 << 8 * width) - 1))
    at = random.randrange(max(1, len(data) - width + 1))
    return data[:at] + number + data[at + width :]


def _real(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """NaN, infinity or a number near the largest over whatever stands there."""
    code = random.choice(("<f", "<d"))
    value = random.choice((float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 1e-40))
    at = random.randrange(max(1, len(data)))
    return data[:at] + struct.pack(code, value) + data[at + struct.calcsize(code) :]


def _token(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """Another word in place of a word, a number or a text in quotes."""
    found = list(_TOKEN.finditer(data[: 1 << 17]))
    if not found:
        return _byte(data, random, ())
    one = random.choice(found)
    return data[: one.start()] + random.choice(_TOKENS).encode() + data[one.end() :]


def _line(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """A line goes, comes twice, moves, or is one of another file."""
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    act = random.randrange(4)
    if act == 0:
        del lines[at]
    elif act == 1:
        lines.insert(random.randrange(len(lines) + 1), lines[at])
    elif act == 2:
        lines.insert(random.randrange(len(lines)), lines.pop(at))
    else:
        lines.insert(at, random.choice(random.choice(seeds).split(b"\n")))
    return b"\n".join(lines)


def _span(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    most = random.choice((1, 8, 64, 1 << 20))
    return start, min(len(data), start + random.randint(0, most))


# ------------------------------------------------------------------------------ plain values


def forged(value: Any, random: Random) -> Any:
    """A plain value (dicts, lists, texts, numbers) in which one place was changed."""
    whole = {"": value}
    places = list(_places(whole, ""))
    holder, key = random.choice(places)
    act = random.randrange(8)
    if act == 0 and holder is not whole:
        del holder[key]
    elif act == 1 and isinstance(holder[key], dict):
        holder[key][random.choice(("x", "", "kind", "\ud800"))] = random.choice(VALUES)
    elif act == 2:
        other, name = random.choice(places)
        holder[key] = json.loads(json.dumps(other[name]))
    elif act == 3:
        holder[key] = [holder[key]]
    elif act == 4 and isinstance(holder[key], list) and holder[key]:
        holder[key] = holder[key] * random.choice((2, 100))
    else:
        holder[key] = random.choice(VALUES)
    return whole[""]


def _places(holder: Any, key: Any) -> list[tuple[Any, Any]]:
    """Every place below one, itself first, as what holds it and where."""
    found = [(holder, key)]
    for place in found:  # grows while it is walked
        value = place[0][place[1]]
        if isinstance(value, dict):
            found += [(value, name) for name in value]
        elif isinstance(value, list):
            found += [(value, at) for at in range(min(len(value), 200))]
    return found


def _json(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _token(data, random, seeds)
    return dumped(forged(value, random), random)


def _json_line(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    lines[at] = _json(lines[at], random, seeds)
    return b"\n".join(lines)


def dumped(value: Any, random: Random) -> bytes:
    """JSON, with letters as they are or spelled out; half surrogate pairs survive both."""
    text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


# ------------------------------------------------------------------------------ XML


def _xml(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    tags = list(re.finditer(rb"<[^<>]*>", data[: 1 << 17]))
    if not tags:
        return _byte(data, random, seeds)
    one = random.choice(tags)
    put = random.choice(_XML_PIECES)
    act = random.randrange(4)
    if act == 0:  # the text behind a tag
        stop = data.find(b"<", one.end())
        return data[: one.end()] + random.choice(_XML_TEXTS) + data[max(stop, one.end()) :]
    if act == 1:
        return data[: one.start()] + data[one.end() :]
    if act == 2:
        return data[: one.end()] + put + data[one.end() :]
    return data[: one.start()] + one.group() * 2 + data[one.end() :]


_LAUGHS = b"".join(
    b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10 if n else b"ha" * 50) for n in range(9)
)
_XML_PIECES = (
    b"<a>" * _DEEP + b"</a>" * _DEEP, b"<a>" * _DEEP, b"<channel/>" * 2_000, b"<channels/>",
    b"<!DOCTYPE x [" + _LAUGHS + b"]><x>&l8;</x>", b"&l8;", b"&#0;", b"&#xD800;", b"<![CDATA[",
    b'<!ENTITY e SYSTEM "file:///etc/passwd">', b"<?x?>", b"<!--", b"\x00", b"\xff\xfe",
    b'<x a="' + b"A" * 70_000 + b'"/>', b"<label></label>", b"<name>" + b"n" * 70_000 + b"</name>",
)  # fmt: skip
_XML_TEXTS = (
    b"", b" ", b"-1", b"0", b"1e999", b"nan", b"inf", b"-inf", b"1000000", b"999999999999",
    b"9" * 5_000, b"string", b"float32", b"int64", b"0x10", b"1.5", "\u0663".encode(),
    b"A" * 70_000,
    b"&amp;", b"\xed\xa0\x80", b"uV", b"1e-300",
)  # fmt: skip


# ------------------------------------------------------------------------------ the strategy

GENERAL: dict[str, Operation] = {
    "flip": _flip, "byte": _byte, "truncate": _truncate, "cut": _cut, "repeat": _repeat,
    "splice": _splice, "length": _length, "real": _real,
}  # fmt: skip
FORMS: dict[str, dict[str, Operation]] = {
    "bytes": {},
    "text": {"token": _token, "line": _line},
    "json": {"json": _json, "token": _token},
    "json_lines": {"json_line": _json_line, "token": _token, "line": _line},
    "xml": {"xml": _xml, "token": _token},
}
"""What is done to a file of each form, beside `GENERAL`; `hostile_forms` adds to it."""


def names_of(form: str) -> tuple[str, ...]:
    """Names of the operations for a form; those that know the form make up at least half."""
    known = tuple(FORMS[form])
    times = -(-len(GENERAL) // len(known)) if known else 0
    return (*GENERAL, *known * times)


def forge(seeds: Sequence[bytes], form: str, start: int, steps: Sequence[Step]) -> bytes:
    """The input that steps make of a seed.

    Parameters
    ----------
    seeds : sequence of bytes
        Valid files.
    form : str
        A key of `FORMS`.
    start : int
        Which seed.
    steps : sequence of (str, int)
        Operations, and the seed of what each draws.

    Returns
    -------
    data : bytes
        At most `MOST_BYTES`.
    """
    data = seeds[start % len(seeds)]
    for name, number in steps:
        operation = FORMS[form].get(name) or GENERAL[name]
        data = operation(data, Random(number), seeds)[:MOST_BYTES]
    return data


def drawn(form: str, random: Random) -> tuple[int, list[Step]]:
    """A start and steps, drawn; as `recipes` gives them, without hypothesis."""
    names = names_of(form)
    count = random.choice((1, 1, 1, 2, 2, 3, MOST_STEPS))
    start = random.randrange(1 << 16)
    return start, [(random.choice(names), random.getrandbits(32)) for _ in range(count)]


def recipes(form: str) -> st.SearchStrategy[tuple[int, list[Step]]]:
    """Starts and steps; an input that fails is shrunk to the fewest steps that still fail."""
    step = st.tuples(st.sampled_from(names_of(form)), st.integers(0, (1 << 32) - 1))
    return st.tuples(st.integers(0, (1 << 16) - 1), st.lists(step, min_size=1, max_size=MOST_STEPS))
