"""Tampers with an audit log in random ways and counts how often `verify_audit` sees it, as JSON.

    python tests/faults/tamper.py [--n 1000] [--seed 0]

The forger can write both files and knows the format, down to new hashes for the whole chain and a
head that fits it. The private key is all that he lacks. A tampering that leaves both files
as they were is drawn again. The untouched log is verified before and after, so that a verifier
that refuses everything fails as well.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.record.audit import AuditKind, AuditLog, verify_audit
from diverloop.runtime.record.audit_chain import HEAD_NAME, LOG_NAME, text_hash
from diverloop.runtime.record.signing import PrivateKey, canonical, new_key, public_text, sign

N_ENTRIES = 60
Lines = list[bytes]
Files = tuple[bytes, bytes]
"""Log and head."""


def write_log(folder: Path, key: PrivateKey, n_entries: int = N_ENTRIES) -> Files:
    """A log as a session leaves it, one entry of every kind after the other."""
    clock = VirtualClock()
    log = AuditLog.create(folder, key, clock)
    kinds = list(AuditKind)
    for n in range(1, n_entries):
        clock.advance(250_000_000)
        kind = kinds[n % len(kinds)]
        details = {"sample": 250 * n, "level": n / 7, "lasting": n % 2 == 0, "unit": "µV"}
        log.append(kind, who="operator", why=f"What {kind} is, for entry {n}.", details=details)
    log.close()
    return read_files(folder)


def read_files(folder: Path) -> Files:
    """Both files as they are."""
    return (folder / LOG_NAME).read_bytes(), (folder / HEAD_NAME).read_bytes()


# --- what is done to lines -------------------------------------------------------------------


def delete(lines: Lines, random: Random) -> Lines:
    """Take out one to three lines, anywhere."""
    first = random.randrange(len(lines))
    return lines[:first] + lines[first + random.randint(1, 3) :]


def swap(lines: Lines, random: Random) -> Lines:
    """Two lines change places."""
    a, b = random.sample(range(len(lines)), 2)
    changed = list(lines)
    changed[a], changed[b] = lines[b], lines[a]
    return changed


def duplicate(lines: Lines, random: Random) -> Lines:
    """One line comes a second time, anywhere."""
    at = random.randrange(len(lines) + 1)
    return [*lines[:at], random.choice(lines), *lines[at:]]


def shuffle(lines: Lines, random: Random) -> Lines:
    """All lines are there, in another order."""
    return random.sample(lines, len(lines))


def put_in(lines: Lines, random: Random) -> Lines:
    """A blank line, or one of garbage, anywhere, the end included."""
    at = random.randrange(len(lines) + 1)
    garbage = random.choice(
        [b"", b"{}", b"null", b"[" * 100_000, random.randbytes(20).hex().encode()]
    )
    return [*lines[:at], garbage, *lines[at:]]


def edit_field(lines: Lines, random: Random) -> Lines:
    """Change one field of one entry, and give the entry the hash that fits."""
    at = random.randrange(len(lines))
    entry = json.loads(lines[at])
    name = random.choice(sorted(entry.keys() - {"hash"}))
    entry[name] = other_value(entry[name], random)
    return [*lines[:at], rehashed(entry), *lines[at + 1 :]]


def rewrite(lines: Lines, random: Random) -> Lines:
    """Write one line in other bytes that mean the same to a JSON reader."""
    at = random.randrange(len(lines))
    entry = json.loads(lines[at])
    spaced = json.dumps(entry, sort_keys=True, ensure_ascii=False).encode()
    turned = json.dumps(dict(reversed(entry.items())), separators=(",", ":")).encode()
    escaped = lines[at].replace(b"i", b"\\u0069", 1)
    return [
        *lines[:at],
        random.choice([spaced, turned, escaped, lines[at] + b" "]),
        *lines[at + 1 :],
    ]


def forge_more(lines: Lines, random: Random) -> Lines:
    """Go on after the head with two to four entries that are chained as they should be."""
    changed = list(lines)
    for _ in range(random.randint(2, 4)):
        entry = json.loads(changed[-1])
        entry |= {"n": entry["n"] + 1, "previous": entry["hash"], "who": "nobody"}
        changed.append(rehashed(entry))
    return changed


def forge_loose(lines: Lines, random: Random) -> Lines:
    """Go on after the head with one entry that does not follow from the last."""
    entry = json.loads(random.choice(lines)) | {"n": len(lines), "why": "Nothing of the kind."}
    return [*lines, rehashed(entry)]


LINE_TRICKS = (
    delete, swap, duplicate, shuffle, put_in, edit_field, rewrite, forge_more, forge_loose,
)  # fmt: skip
CHAIN_TRICKS = (delete, swap, duplicate, shuffle, edit_field)
"""Those that leave entries, so that the chain can be made anew over them."""


def other_value(value: Any, random: Random) -> Any:
    """A value of the same kind that is another one."""
    if isinstance(value, dict):
        key = random.choice(sorted(value) or ["added"])
        return value | {key: other_value(value.get(key, 0), random)}
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + random.choice([-1, 1])
    at = random.randrange(len(value) + 1)
    return value[:at] + random.choice("0aé ") + value[at:]


def rehashed(entry: dict[str, Any]) -> bytes:
    """An entry as a line, with the hash of what it now holds."""
    content = {name: item for name, item in entry.items() if name != "hash"}
    return canonical(content | {"hash": text_hash(canonical(content))})


def rechained(lines: Lines) -> Lines:
    """Number all entries and chain them anew."""
    chained: Lines = []
    for n, line in enumerate(lines):
        entry = json.loads(line)
        previous = json.loads(chained[-1])["hash"] if chained else entry["previous"]
        chained.append(rehashed(entry | {"n": n, "previous": previous}))
    return chained


# --- what is done to the two files -----------------------------------------------------------


def edit_byte(text: bytes, random: Random) -> bytes:
    """One byte becomes another."""
    at = random.randrange(len(text))
    return text[:at] + bytes([random.randrange(256)]) + text[at + 1 :]


def drop_byte(text: bytes, random: Random) -> bytes:
    """One byte goes."""
    at = random.randrange(len(text))
    return text[:at] + text[at + 1 :]


def truncate(text: bytes, random: Random) -> bytes:
    """Cut at any byte."""
    return text[: random.randrange(len(text))]


def append_garbage(text: bytes, random: Random) -> bytes:
    """Something after the end, with a newline."""
    return text + random.randbytes(random.randint(1, 30)).replace(b"\n", b"") + b"\n"


BYTE_TRICKS = (edit_byte, drop_byte, truncate, append_garbage)


def edit_head_field(head: bytes, random: Random) -> bytes:
    """Change one field of the head; the signature may stay the same bytes in other letters."""
    fields = json.loads(head)
    name = random.choice(sorted(fields))
    fields[name] = other_value(fields[name], random)
    if name in ("signature", "public_key") and random.random() < 0.5:
        fields = json.loads(head)
        fields[name] = fields[name].upper()
    return canonical(fields) + b"\n"


def fitting_head(head: bytes, log: bytes) -> dict[str, Any]:
    """A head that says what a forged log holds; its signature is the old one."""
    lines = log.splitlines()
    last = json.loads(lines[-1])["hash"]
    return json.loads(head) | {"entries": len(lines), "last": last, "size": len(log)}


class Forger:
    """Draws tamperings with one log, having seen another one of the same machine.

    Parameters
    ----------
    files : tuple of bytes
        Log and head to tamper with.
    others : tuple of bytes
        Those of another session, signed with the same key.
    seed : int
        Same seed and files, same tamperings.
    """

    def __init__(self, files: Files, others: Files, seed: int) -> None:
        self._log, self._head = files
        self._other_log, self._other_head = others
        self._random = Random(seed)
        self._own_key = new_key()
        self._tricks: list[tuple[str, Callable[[], Files]]] = [
            ("both: log of another session", lambda: (self._other_log, self._head)),
            ("both: head of another session", lambda: (self._log, self._other_head)),
            ("both: spliced with another session", self._splice),
            ("head: signed with another key", lambda: (self._log, self._resign(self._log))),
            ("head: edit_field", lambda: (self._log, edit_head_field(self._head, self._random))),
        ]
        for trick in BYTE_TRICKS:
            self._tricks.append((f"log: {trick.__name__}", self._bytes_of_log(trick)))
            self._tricks.append((f"head: {trick.__name__}", self._bytes_of_head(trick)))
        for change in LINE_TRICKS:
            self._tricks.append((f"log: {change.__name__}", self._lines(change)))
        for change in CHAIN_TRICKS:
            for name, head in (
                ("head untouched", lambda log: self._head),
                ("old signature", self._fit),
                ("another key", self._resign),
            ):
                label = f"both: {change.__name__}, chained anew, {name}"
                self._tricks.append((label, self._anew(change, head)))
        self._tricks.append(("both: cut short, old signature", self._cut))

    def draw(self, n: int) -> Iterator[tuple[str, Files]]:
        """Give so many tamperings, each of some kind and each a real change."""
        made = 0
        while made < n:
            kind, trick = self._tricks[self._random.randrange(len(self._tricks))]
            files = trick()
            if files != (self._log, self._head):
                made += 1
                yield kind, files

    def _bytes_of_log(self, trick: Callable[[bytes, Random], bytes]) -> Callable[[], Files]:
        return lambda: (trick(self._log, self._random), self._head)

    def _bytes_of_head(self, trick: Callable[[bytes, Random], bytes]) -> Callable[[], Files]:
        return lambda: (self._log, trick(self._head, self._random))

    def _lines(self, change: Callable[[Lines, Random], Lines]) -> Callable[[], Files]:
        return lambda: (joined(change(self._log.splitlines(), self._random)), self._head)

    def _anew(
        self, change: Callable[[Lines, Random], Lines], head: Callable[[bytes], bytes]
    ) -> Callable[[], Files]:
        def trick() -> Files:
            log = joined(rechained(change(self._log.splitlines(), self._random)))
            return log, head(log)

        return trick

    def _cut(self) -> Files:
        lines = self._log.splitlines()
        log = joined(lines[: self._random.randrange(1, len(lines))])
        return log, self._fit(log)

    def _splice(self) -> Files:
        own, other = self._log.splitlines(), self._other_log.splitlines()
        at = self._random.randrange(1, len(own))
        return joined(own[:at] + other[at:]), self._random.choice([self._head, self._other_head])

    def _fit(self, log: bytes) -> bytes:
        return canonical(fitting_head(self._head, log)) + b"\n"

    def _resign(self, log: bytes) -> bytes:
        head = fitting_head(self._head, log) | {"public_key": public_text(self._own_key)}
        del head["signature"]
        signature = sign(self._own_key, canonical(head)).hex()
        return canonical(head | {"signature": signature}) + b"\n"


def joined(lines: Lines) -> bytes:
    """Lines as a file."""
    return b"".join(line + b"\n" for line in lines)


def tamper(folder: Path, n: int, seed: int) -> dict[str, Any]:
    """Write a log, tamper with it n times, and count.

    Parameters
    ----------
    folder : Path
        Empty.
    n : int
        How many tamperings.
    seed : int
        Of the forger.

    Returns
    -------
    counts : dict
        By kind how many were made and detected; ``all_detected`` sums it up.
    """
    key = new_key()
    files = write_log(folder / "log", key)
    forger = Forger(files, write_log(folder / "other", key), seed)
    honest = [verify_audit(folder / "log", public_key=key.public).ok]
    kinds: dict[str, dict[str, int]] = {}
    for kind, (log, head) in forger.draw(n):
        (folder / "log" / LOG_NAME).write_bytes(log)
        (folder / "log" / HEAD_NAME).write_bytes(head)
        verdict = verify_audit(folder / "log", public_key=key.public)
        count = kinds.setdefault(kind, {"made": 0, "detected": 0})
        count["made"] += 1
        count["detected"] += not verdict.ok and bool(verdict.first_fault)
    (folder / "log" / LOG_NAME).write_bytes(files[0])
    (folder / "log" / HEAD_NAME).write_bytes(files[1])
    honest.append(verify_audit(folder / "log", public_key=key.public).ok)
    detected = sum(count["detected"] for count in kinds.values())
    return {
        "entries": N_ENTRIES,
        "seed": seed,
        "made": n,
        "detected": detected,
        "untouched_log_verifies": all(honest),
        "all_detected": detected == n and all(honest),
        "kinds": dict(sorted(kinds.items())),
    }


def main() -> int:
    """Count and print; 0 if everything was detected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts = tamper(Path(folder), asked.n, asked.seed)
    print(json.dumps(counts, indent=2))
    return 0 if counts["all_detected"] else 1


if __name__ == "__main__":
    sys.exit(main())
