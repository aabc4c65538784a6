"""The models this machine keeps: one folder a bundle, called by its hash, whole or not there.

The hash is the bundle's own (`diverloop.runtime.card.Card.sha256`), which covers card and weights.
So the same model pulled from two places is kept once, and what a session or a recording names by
its hash is found without asking anybody.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..bundle import Bundle, load_bundle
from ..claim import Claim
from ..errors import BundleError, ConfigError
from ..record.signing import configuration_folder

SCHEME = "sha256:"
"""What a model that is named by its hash begins with, in a session file and on the command line."""

Fetch = Callable[[Path], object]
"""Fills an empty folder with a bundle's files."""

_DRAFT = ".pull-"
_SUFFIX = ".bundle"
_SHORTEST = 8  # digits of a hash by which a person may call a model that is here


def models_folder() -> Path:
    """Where this user's models lie: ``DIVERLOOP_MODELS``, else the platform's own place.

    Returns
    -------
    folder : Path
        It may not exist yet.

    Raises
    ------
    ConfigError
        If the user has no home folder.
    """
    if chosen := os.environ.get("DIVERLOOP_MODELS"):
        return Path(chosen)
    if os.environ.get("DIVERLOOP_HOME") or sys.platform in ("win32", "darwin"):
        return configuration_folder() / "models"
    configuration_folder()  # says what to do if there is no home folder
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "diverloop" / "models"


def checked_hash(text: str) -> str:
    """A whole SHA-256 as somebody wrote it, with or without ``sha256:``, in lower case.

    Raises
    ------
    ConfigError
        If it has not 64 hexadecimal digits: a part of a hash proves nothing.
    """
    digits = text.strip().lower().removeprefix(SCHEME)
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ConfigError(
            f"A model's hash has 64 of the digits 0-9 and a-f, got {text!r}: copy it whole, as "
            f"diverloop models list --json shows it."
        )
    return digits


class KeptModels:
    """The store of one user, or of a machine.

    Parameters
    ----------
    root : Path, optional
        Where it lies; `models_folder` if not given. It is made when something is kept.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or models_folder()

    def path_of(self, sha256: str) -> Path:
        """Folder of the model with that hash, whether it is here or not."""
        return self.root / f"{sha256}{_SUFFIX}"

    def hashes(self) -> tuple[str, ...]:
        """Hashes of what is kept, in order; nothing is read but names."""
        try:
            names = [path.name.removesuffix(_SUFFIX) for path in self.root.iterdir()]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise _unusable(self.root, error) from error
        return tuple(sorted(name for name in names if re.fullmatch(r"[0-9a-f]{64}", name)))

    def find(self, beginning: str) -> str:
        """The one kept model whose hash begins so.

        Parameters
        ----------
        beginning : str
            Eight digits or more, with or without ``sha256:``.

        Returns
        -------
        sha256 : str
            The whole hash.

        Raises
        ------
        BundleError
            If there is no such model here, or more than one.
        """
        digits = beginning.strip().lower().removeprefix(SCHEME)
        found = [one for one in self.hashes() if one.startswith(digits)]
        if len(digits) < _SHORTEST or len(found) != 1:
            how_many = "no model" if not found else f"{len(found)} models"
            raise BundleError(
                f"{beginning!r} is the beginning of the hash of {how_many} in {self.root}; one is "
                f"needed, by {_SHORTEST} digits or more: see diverloop models list."
            )
        return found[0]

    def load(self, sha256: str) -> Bundle:
        """Open a kept model, and prove that it is the one.

        Raises
        ------
        BundleError
            If it is not here, or is damaged.
        """
        path = self.path_of(sha256)
        if not path.exists():
            raise BundleError(
                f"The model {SCHEME}{sha256} is not kept on this machine (in {self.root}): get it "
                f"with diverloop models pull PLACE --sha256 {sha256}."
            )
        return load_bundle(path, sha256=sha256)

    def keep(self, fetch: Fetch, sha256: str | None = None) -> tuple[Bundle, bool]:
        """Take in a bundle, whole or not at all, if it is the wanted one and is to be trusted.

        Parameters
        ----------
        fetch : callable
            Fills the folder it is given with a bundle's files.
        sha256 : str, optional
            The hash that is wanted; any if not given.

        Returns
        -------
        bundle : Bundle
            As it lies in the store.
        new : bool
            Whether it was not there before.

        Raises
        ------
        BundleError
            If it is damaged, another one, or signed by nobody whom this user trusts; if the store
            cannot be written; or if somebody else is pulling into it.
        """
        with self._draft() as draft:
            fetch(draft)
            fetched = load_bundle(draft, sha256=sha256)
            _check_trust(fetched)
            name = fetched.card.sha256
            new = not self._same_is_here(name, draft)
            if new:
                _rename(draft, self.path_of(name))
        return load_bundle(self.path_of(name), sha256=name), new

    def forget(self, sha256: str) -> None:
        """Remove a kept model; raises `BundleError` if that is not possible."""
        path = self.path_of(sha256)
        gone = self.root / f"{_DRAFT}{secrets.token_hex(4)}"
        try:
            path.rename(gone)  # at once: a reader never sees half of it
            shutil.rmtree(gone)
        except OSError as error:
            raise _unusable(path, error) from error

    def _same_is_here(self, sha256: str, draft: Path) -> bool:
        """Whether a sound copy is here; a damaged one is replaced, a worthless signature, too."""
        path = self.path_of(sha256)
        if not path.exists():
            return False
        try:
            here = load_bundle(path, sha256=sha256)
        except BundleError:
            self.forget(sha256)
            return False
        if not here.standing().trusted:
            try:
                (draft / "card.sig").replace(path / "card.sig")
            except OSError as error:
                raise _unusable(path, error) from error
        return True

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """An empty folder beside the models, gone in the end unless it was renamed."""
        claim = self._claim()
        draft = self.root / f"{_DRAFT}{secrets.token_hex(4)}"
        try:
            draft.mkdir(parents=True)
            yield draft
        except OSError as error:
            raise _unusable(self.root, error) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            claim.release()

    def _claim(self) -> Claim:
        """One pull at a time; what a killed one left is swept, for nobody else has the lock."""
        try:
            claim = Claim("models", self.root)
        except ConfigError as error:
            raise BundleError(
                f"Another pull into {self.root} is going on: wait until it has ended."
            ) from error
        if os.name == "posix":
            for left in self.root.glob(f"{_DRAFT}*"):
                shutil.rmtree(left, ignore_errors=True)
        return claim


def _check_trust(bundle: Bundle) -> None:
    standing = bundle.standing()
    if standing.trusted:
        return
    if standing.signed_by:
        todo = (
            f"compare the fingerprint with its owner, run diverloop trust add "
            f"'{standing.signed_by}' --name NAME, and pull again"
        )
    else:
        todo = "ask whoever made it to run diverloop trust sign on it"
    raise BundleError(
        f"The model {bundle.card.sha256[:12]}... is {standing.words()}, so it was not kept: {todo}."
    )


def _rename(draft: Path, path: Path) -> None:
    """Give a complete draft its name, once it is on the disk."""
    for file in draft.iterdir():
        with file.open("rb+") as opened:
            os.fsync(opened.fileno())
    draft.rename(path)


def _unusable(path: Path, error: OSError) -> BundleError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what, todo = "has no room left", "make room, or name another place with DIVERLOOP_MODELS"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        what, todo = "may not be written by this user", "ask whoever owns it for the right"
    else:
        what, todo = f"cannot be used ({error.strerror or error})", "check disk and rights"
    return BundleError(f"{path} {what}, and nothing was changed: {todo}.")
