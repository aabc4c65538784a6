"""The people whom this machine knows: pseudonym, role, public key, second factor.

One file in the configuration folder, for this user alone. A name and a key are one person's, for
ever: a revoked entry stays, so that an old log still says who it was.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from .access import Role
from .catalog import nearest
from .errors import ConfigError
from .keys import PersonKey, check_key, new_curve_key, read_person_key, server_key, write_person_key
from .private_file import one_at_a_time, read_private, write_private
from .record.manifest import utc_now
from .record.signing import configuration_folder
from .second_factor import new_secret

PEOPLE = "people.json"
CODES = "used-codes.json"
KEY_FOLDER = "keys"
OWN_KEY = "own.key"
_OWNER = "owner"
_WHAT = "list of people"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_MOST_PEOPLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody whom this machine knows.

    Parameters
    ----------
    name : str
        Pseudonym, 1 to 40 letters, digits, points, dashes; never a name.
    role : Role
        What the person may do.
    public_key : str
        Of the person's CURVE key.
    secret : str
        Of the person's one-time codes, in base32.
    made : str
        When, UTC.
    revoked : str
        When the key was revoked, UTC; empty if it was not.
    """

    name: str
    role: Role
    public_key: str
    secret: str = field(repr=False)
    made: str
    revoked: str = ""


FORMAT_VERSION = 1
"""Of the list of people."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    people: list[Person]


class People:
    """The list of people, read again whenever its file changes; safe from any thread.

    A file that becomes unreadable while a session runs does not lock out who wants to stop it: the
    last good list stays, and `fault` says that it can no longer be relied on for anything else.

    Parameters
    ----------
    folder : Path, optional
        Where the list is; the configuration folder by default.

    Raises
    ------
    ConfigError
        If the list is damaged, or others have rights to it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or configuration_folder()
        self.path = self.folder / PEOPLE
        self.fault = ""
        """Why the list cannot be relied on; empty if it can."""
        self._lock = threading.Lock()
        self._seen: object = None
        self._by_key: dict[str, Person] = {}
        self._refresh()
        if self.fault:
            raise ConfigError(self.fault)

    def by_key(self, public_key: str) -> Person | None:
        """Who has a key, as the file says now; also somebody revoked, None for nobody."""
        with self._lock:
            self._refresh()
            return self._by_key.get(public_key)

    def all(self) -> tuple[Person, ...]:
        """Everybody, in the order in which they were enrolled."""
        with self._lock:
            self._refresh()
            return tuple(self._by_key.values())

    def named(self, name: str) -> Person:
        """The person of a name; raises `ConfigError` for nobody."""
        known = {person.name: person for person in self.all()}
        if name not in known:
            raise ConfigError(f"Nobody here is called {name!r}. {nearest(name, known)}")
        return known[name]

    def enrol(self, name: str, role: Role, public_key: str) -> Person:
        """Add somebody.

        Parameters
        ----------
        name : str
            A pseudonym that nobody has or had.
        role : Role
            What the person may do.
        public_key : str
            Of a key that nobody has or had.

        Returns
        -------
        person : Person
            With the secret of a second factor.

        Raises
        ------
        ConfigError
            If name or key are taken or cannot be used, or the list cannot be written.
        """
        everybody = self._for_change()
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"A pseudonym has 1 to 40 letters, digits, points or dashes, got {name!r}."
            )
        check_key(public_key, "A public key")
        for other in everybody:
            if name == other.name or public_key == other.public_key:
                raise ConfigError(
                    f"{other.name!r} is enrolled already, and a name and a key are one person's "
                    f"for ever: take another."
                )
        if len(everybody) >= _MOST_PEOPLE:
            raise ConfigError(f"{_WHAT} holds {_MOST_PEOPLE} people at most: start another folder.")
        person = Person(
            name=name, role=role, public_key=public_key, secret=new_secret(), made=utc_now()
        )
        self._write((*everybody, person))
        return person

    def revoke(self, name: str) -> Person:
        """Take somebody's rights away for ever; a session that runs hears of it at once."""
        return self._change(name, revoked=utc_now())

    def renew(self, name: str) -> Person:
        """Give somebody the secret of another second factor; the old one counts no more."""
        return self._change(name, secret=new_secret())

    def _change(self, name: str, **fields: str) -> Person:
        everybody = self._for_change()
        before = self.named(name)
        if before.revoked:
            raise ConfigError(f"{name!r} was revoked on {before.revoked}: enrol a new name.")
        changed = replace(before, **fields)  # type: ignore[arg-type]  # texts, all of them
        self._write(changed if one.name == name else one for one in everybody)
        return changed

    def _for_change(self) -> tuple[Person, ...]:
        everybody = self.all()
        if self.fault:
            raise ConfigError(self.fault)
        return everybody

    def _write(self, everybody: object) -> None:
        people: list[Person] = list(everybody)  # type: ignore[call-overload]
        data = msgspec.json.format(msgspec.json.encode(_File(format=FORMAT_VERSION, people=people)))
        write_private(self.path, data + b"\n", _WHAT)

    def _refresh(self) -> None:
        try:
            found = self.path.stat()
            seen: object = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
        except OSError:
            seen = None
        if seen == self._seen and not self.fault:
            return
        try:
            self._by_key = self._read(gone_is_fine=self._seen is None)
            self.fault = ""
        except ConfigError as error:
            self.fault = str(error)
        self._seen = seen or self._seen

    def _read(self, *, gone_is_fine: bool) -> dict[str, Person]:
        try:
            data = read_private(self.path, _WHAT)
        except FileNotFoundError as error:
            if gone_is_fine:
                return {}
            raise ConfigError(
                f"The {_WHAT} {self.path} is gone: put it back from a copy."
            ) from error
        try:
            held = msgspec.json.decode(data, type=_File)
            for person in held.people:
                check_key(person.public_key, f"The key of {person.name!r}")
        except (msgspec.MsgspecError, UnicodeDecodeError, ConfigError) as error:
            raise ConfigError(
                f"The {_WHAT} {self.path} is damaged ({error}): put it back from a copy, or move "
                f"it away and enrol everybody again."
            ) from error
        by_key = {person.public_key: person for person in held.people}
        names = {person.name for person in held.people}
        if held.format != FORMAT_VERSION:
            raise ConfigError(
                f"The {_WHAT} {self.path} has format {held.format}, this diverloop reads "
                f"{FORMAT_VERSION}: use the diverloop that wrote it, or a newer one."
            )
        if not len(by_key) == len(names) == len(held.people):
            raise ConfigError(
                f"The {_WHAT} {self.path} has somebody twice: put it back from a copy."
            )
        return by_key


def own_person(people: People) -> Person | None:
    """Who this user is on a list, if anybody yet; None also for somebody revoked."""
    try:
        key = read_person_key(people.folder / KEY_FOLDER / OWN_KEY).key
    except ConfigError:  # made and told of when it is first needed
        return None
    person = people.by_key(key.public)
    return None if person is None or person.revoked else person


def own_key(folder: Path | None = None) -> tuple[PersonKey, bool]:
    """The key of whoever this user is; made and enrolled, as an operator, on first use.

    Of two processes that ask for it first at the same moment the second gets what the first made.
    An operator is the least that runs a session alone: it arms, disarms and stops. What answers for
    a participant (a reset after a stop, adaptation, stimulation) stays a clinician's.

    Parameters
    ----------
    folder : Path, optional
        Where keys and people are; the configuration folder by default.

    Returns
    -------
    key : PersonKey
        From its file.
    new : bool
        Whether it was made just now.

    Raises
    ------
    ConfigError
        If a file is damaged, cannot be written, or others have rights to it.
    """
    folder = folder or configuration_folder()
    path = folder / KEY_FOLDER / OWN_KEY
    if path.exists():
        return read_person_key(path), False
    with one_at_a_time(folder):
        if path.exists():  # another process was faster
            return read_person_key(path), False
        return _enrolled_owner(folder, path), True


def _enrolled_owner(folder: Path, path: Path) -> PersonKey:
    people = People(folder)
    taken = {person.name for person in people.all()}
    names = (_OWNER, *(f"{_OWNER}-{n}" for n in range(2, _MOST_PEOPLE + 2)))
    name = next(name for name in names if name not in taken)
    person = PersonKey(name=name, key=new_curve_key(), server=server_key(folder).public)
    people.enrol(name, Role.OPERATOR, person.key.public)
    write_person_key(path, person)
    return person
