"""Which mapping file stands between a device and a session."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import ConfigError
from .toml_file import read_file


@dataclass(frozen=True, slots=True, kw_only=True)
class MontageConfig:
    """The table ``[montage]`` of a session.

    Parameters
    ----------
    file : str
        The mapping file, counted from the session file; empty for none.
    sha256 : str
        Hash that the file must have, in hexadecimal; empty for any. A signed session needs it, for
        the mapping is not under its signature. When a session is read, it is filled in, so that
        what ran is on record.
    """

    file: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        if self.sha256 and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ConfigError(
                f"montage.sha256 must be 64 hexadecimal digits, got {self.sha256!r}: diverloop "
                f"montage show prints it."
            )
        if self.sha256 and not self.file:
            raise ConfigError("montage.sha256 is there without montage.file: name the file, too.")

    def beside(self, folder: Path) -> MontageConfig:
        """The same, with a file that is counted from a folder written out.

        Parameters
        ----------
        folder : Path
            Of the session file.
        """
        if not self.file:
            return self
        try:
            return replace(self, file=str(folder / Path(self.file).expanduser()))
        except RuntimeError as error:
            raise ConfigError(
                f"montage.file starts with the home folder of nobody here, got {self.file!r}: "
                f"write the path out."
            ) from error

    def content(self) -> bytes:
        """What is in the file; raises `ConfigError` if it is another one than was named."""
        content = read_file(Path(self.file), "mapping file")
        found = hashlib.sha256(content).hexdigest()
        if self.sha256 not in ("", found):
            raise ConfigError(
                f"The mapping file {self.file} is not the one that the session names: its SHA-256 "
                f"is {found}, and montage.sha256 says {self.sha256}."
            )
        return content

    def pinned(self, *, signed: bool) -> MontageConfig:
        """The same, with the hash of what is in the file now.

        Parameters
        ----------
        signed : bool
            Whether the session has to be signed: then the hash must be there already.

        Returns
        -------
        config : MontageConfig
            Unchanged without a file.

        Raises
        ------
        ConfigError
            If the file cannot be read, or is not the one that was named.
        """
        if not self.file:
            return self
        found = hashlib.sha256(self.content()).hexdigest()
        if signed and not self.sha256:
            raise ConfigError(
                f"A signed session vouches for its mapping file by its hash: write "
                f'sha256 = "{found}" into [montage], and sign the session again.'
            )
        return replace(self, sha256=found)
