"""A repository on a Hugging Face hub; the only file that knows their library (extra ``hub``).

The address of the hub is ``HF_ENDPOINT`` or huggingface.co, the token is ``HF_TOKEN`` or the login
that the library keeps. Nothing here runs unless a person pulls or pushes, and with
``HF_HUB_OFFLINE`` set it does not even then.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ..bundle import Bundle
from ..errors import BundleError, ConfigError
from .places import FILES, OPTIONAL, contents

_TIMEOUT_S = 20.0
_SPARE_BYTES = 16 << 20
_ON = ("1", "ON", "YES", "TRUE")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubPlace:
    """A model repository.

    Parameters
    ----------
    repository : str
        ``owner/name``.
    revision : str
        Branch, tag or commit.
    """

    repository: str
    revision: str = "main"

    def fetch(self, draft: Path, sha256: str | None) -> None:
        """Download a bundle's files, and no others.

        Parameters
        ----------
        draft : Path
            An empty folder.
        sha256 : str or None
            Means nothing here: a revision holds one bundle.

        Raises
        ------
        BundleError
            If the hub cannot be reached, has no such thing, does not permit it, or the disk is
            full.
        ConfigError
            If the library is missing, or ``HF_HUB_OFFLINE`` is set.
        """
        api = _api()
        with self._plainly("read"):
            info = api.model_info(
                self.repository, revision=self.revision, timeout=_TIMEOUT_S, files_metadata=True
            )
            sizes = {one.rfilename: one.size or 0 for one in info.siblings or ()}
            self._check(sizes, draft)
            for name in FILES:
                if name in sizes:
                    # The commit, not the branch: all three files are of one and the same push.
                    api.hf_hub_download(self.repository, name, revision=info.sha, local_dir=draft)
        for path in draft.iterdir():
            if path.name not in FILES:  # the library's own notes
                shutil.rmtree(path, ignore_errors=True)

    def publish(self, bundle: Bundle, readme: str, *, public: bool) -> str:
        """Push a bundle as one commit; the repository is made if it is not there.

        Parameters
        ----------
        bundle : Bundle
            As loaded; what was compiled from it is left out.
        readme : str
            Its model card.
        public : bool
            Whether everybody may read a repository that is made now.

        Returns
        -------
        place : str
            For ``models pull``, with the commit.

        Raises
        ------
        BundleError
            If the hub cannot be reached, or does not permit it.
        ConfigError
            If the library is missing, or ``HF_HUB_OFFLINE`` is set.
        """
        api = _api()
        from huggingface_hub import CommitOperationAdd

        files: dict[str, Any] = {**contents(bundle), "README.md": readme.encode()}
        operations = [
            CommitOperationAdd(path_in_repo=name, path_or_fileobj=content)
            for name, content in files.items()
        ]
        with self._plainly("written"):
            api.create_repo(self.repository, private=not public, exist_ok=True)
            done = api.create_commit(
                self.repository,
                operations,
                commit_message=f"diverloop model {bundle.card.sha256[:12]}",
                revision=self.revision,
            )
        return f"hf://{self.repository}@{done.oid}"

    def _check(self, sizes: dict[str, int], draft: Path) -> None:
        """Refuse what is no bundle, or does not fit, before anything is downloaded."""
        missing = [name for name in FILES if name not in sizes and name != OPTIONAL]
        if missing:
            raise BundleError(
                f"hf://{self.repository}@{self.revision} holds no {' and no '.join(missing)}: it "
                f"is no diverloop model, so check the name and the revision."
            )
        needed = sum(sizes.get(name, 0) for name in FILES) + _SPARE_BYTES
        free = shutil.disk_usage(draft).free
        if free < needed:
            raise BundleError(
                f"{draft.parent} has {free >> 20} MiB free, needed are {needed >> 20} MiB: make "
                f"room, or name another place with DIVERLOOP_MODELS."
            )

    @contextmanager
    def _plainly(self, done: str) -> Iterator[None]:
        """Turn what the library raises into one sentence of ours."""
        from huggingface_hub import errors

        # Their own base classes, by whatever name their HTTP library goes in this version.
        foreign: Any = (*errors.HfHubHTTPError.__bases__, OSError, ValueError, RuntimeError)
        xet: Any = getattr(errors, "XetDownloadError", OSError)
        where = f"hf://{self.repository}@{self.revision}"
        try:
            yield
        except (*foreign, xet) as error:
            raise BundleError(f"{where} cannot be {done}: {_reason(error, errors)}.") from error


def _reason(error: BaseException, errors: Any) -> str:
    """Why, and what to do next; looks through what the library wrapped."""
    if isinstance(error, errors.GatedRepoError):
        return "its owner has to let you in; ask on its page, and set HF_TOKEN"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "there is no such repository, or it is private; check the name, or set HF_TOKEN"
    if isinstance(error, errors.RevisionNotFoundError):
        return "it has no such revision; check what follows the @"
    if isinstance(error, errors.LocalEntryNotFoundError | RuntimeError) and error.__cause__:
        return _reason(error.__cause__, errors)
    if isinstance(error, errors.HfHubHTTPError):
        return _refusal(error)
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; make room, or name another place with DIVERLOOP_MODELS"
    if isinstance(error, errors.FileMetadataError):
        return "what answered is no hub; check HF_ENDPOINT, and whether a proxy stands between"
    if isinstance(error, ValueError):
        return f"{' '.join(str(error).split())[:300]}; check the name"
    return (
        f"the hub did not answer ({type(error).__name__}); check the network, or copy the bundle "
        f"from somewhere and pull it with folder:/path"
    )


def _refusal(error: Any) -> str:
    code = getattr(error.response, "status_code", 0)
    if code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"you may not (HTTP {code}); set HF_TOKEN to a token that has the right"
    return f"the hub refused (HTTP {code}); try again later"


def _api() -> Any:
    """The library's door, unless it is missing or everything has to stay offline."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(name, "").upper() in _ON:
            raise ConfigError(
                f"{name} is set, so nothing is asked of a hub: unset it, or use folder:/path."
            )
    try:
        from huggingface_hub import HfApi, utils
    except ImportError as error:
        raise ConfigError(
            f"hf:// needs huggingface_hub ({error}): install the extra with pip install "
            f"'diverloop[hub]', or use folder:/path."
        ) from error
    quiet: Any = utils
    quiet.disable_progress_bars()
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="diverloop")
