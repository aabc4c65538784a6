"""Where models are pulled from and pushed to: a plain folder, or a repository on the hub.

``folder:/path`` is any folder that this machine sees, a mounted share for example. It holds one
bundle, or is one. ``hf://owner/name@revision`` is a model repository on a Hugging Face hub.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..bundle import Bundle, load_bundle
from ..errors import BundleError, ConfigError

FILES = ("card.json", "weights.safetensors", "card.sig")
"""What a bundle consists of elsewhere. What was compiled from it stays: it fits one machine."""

OPTIONAL = "card.sig"
"""The one of `FILES` that may be missing: then nobody has signed, and nobody will keep it."""

_HUB = re.compile(
    r"hf://(?P<repository>[\w][\w.-]{0,95}/[\w][\w.-]{0,95})(@(?P<revision>[\w./-]{1,200}))?"
)


class Place(Protocol):
    """What can give a bundle, and take one. Both calls block until it is done."""

    def fetch(self, draft: Path, sha256: str | None) -> None:
        """Copy a bundle's files into an empty folder; the wanted one, where there are several."""

    def publish(self, bundle: Bundle, readme: str, *, public: bool) -> str:
        """Put a bundle there; returns where it can be pulled from, down to the revision."""


def place_of(text: str) -> Place:
    """Turn what a person wrote into a place; nothing is looked up.

    Parameters
    ----------
    text : str
        ``folder:/path`` or ``hf://owner/name@revision``.

    Returns
    -------
    place : Place
        The network is not touched before it is asked for something.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    if text.startswith("folder:") and text != "folder:":
        return FolderPlace(path=Path(text.removeprefix("folder:")).expanduser())
    if found := _HUB.fullmatch(text):
        from .hub import HubPlace

        return HubPlace(repository=found["repository"], revision=found["revision"] or "main")
    raise ConfigError(
        f"A place is folder:/path or hf://owner/name@revision (without @ it is main), got {text!r}."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderPlace:
    """A folder with bundles in it, or a bundle.

    Parameters
    ----------
    path : Path
        The folder.
    """

    path: Path

    def fetch(self, draft: Path, sha256: str | None) -> None:
        """Copy a bundle's files.

        Parameters
        ----------
        draft : Path
            An empty folder.
        sha256 : str or None
            Which of several bundles.

        Raises
        ------
        BundleError
            If there is none, more than one and no hash says which, or one that cannot be read.
        """
        source = self._source(sha256)
        for name in FILES:
            try:
                shutil.copyfile(source / name, draft / name)
            except OSError as error:
                if name == OPTIONAL and isinstance(error, FileNotFoundError):
                    continue
                if error.filename == str(source / name):
                    raise _unreadable(source / name, error) from error
                raise  # the store's own disk

    def publish(self, bundle: Bundle, readme: str, *, public: bool) -> str:
        """Put a bundle into the folder, whole or not at all.

        Parameters
        ----------
        bundle : Bundle
            As loaded; what was compiled from it is left out.
        readme : str
            Its model card.
        public : bool
            Means nothing here: the folder's rights say who may read.

        Returns
        -------
        place : str
            For ``models pull``.

        Raises
        ------
        BundleError
            If the folder cannot be written.
        """
        target = self.path / f"{bundle.card.task}-{bundle.card.sha256[:12]}.bundle"
        if target.exists():
            load_bundle(target, sha256=bundle.card.sha256)
            return f"folder:{target}"
        draft = self.path / f".push-{secrets.token_hex(4)}"
        try:
            draft.mkdir(parents=True)
            for name, content in contents(bundle).items():
                shutil.copyfile(content, draft / name)
                _sync(draft / name)
            (draft / "README.md").write_text(readme, encoding="utf-8")
            draft.rename(target)
        except OSError as error:
            raise BundleError(
                f"{self.path} cannot be written ({error.strerror or error}), and nothing was left "
                f"in it: check the disk, its room, and the rights."
            ) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return f"folder:{target}"

    def _source(self, sha256: str | None) -> Path:
        """The folder of the wanted bundle."""
        if (self.path / "card.json").exists():
            return self.path
        try:
            found = sorted(one for one in self.path.iterdir() if one.suffix == ".bundle")
        except OSError as error:
            raise _unreadable(self.path, error) from error
        wanted = found if sha256 is None else [one for one in found if _is(one, sha256)]
        if len(wanted) == 1:
            return wanted[0]
        if sha256 is not None:
            raise BundleError(
                f"None of the {len(found)} bundles in {self.path} has the hash {sha256[:12]}..., "
                f"or several have: check the hash, or name the bundle's own folder."
            )
        raise BundleError(
            f"{self.path} holds {len(found)} bundles, needed is one: say which with --sha256, or "
            f"name the bundle's own folder."
        )


def contents(bundle: Bundle) -> dict[str, Path]:
    """The files of a bundle that was read from the disk, by name.

    Raises
    ------
    BundleError
        If it lies on no disk.
    """
    if bundle.folder is None:
        raise BundleError("A model that was not saved cannot be pushed: save it first.")
    paths = {name: bundle.folder / name for name in FILES}
    return {name: path for name, path in paths.items() if name != OPTIONAL or path.exists()}


def _is(folder: Path, sha256: str) -> bool:
    """Whether a folder is a sound bundle of that hash."""
    try:
        load_bundle(folder, sha256=sha256)
    except BundleError:
        return False
    return True


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _unreadable(path: Path, error: OSError) -> BundleError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return BundleError(
            f"{path} is not there: check the path, and whether the share is mounted."
        )
    return BundleError(
        f"{path} cannot be read ({error.strerror or error}): ask whoever owns it for the right, or "
        f"check the share."
    )
