"""Which other machines are asked for LSL streams, where multicast does not reach them.

liblsl finds streams by multicast, which many hospital networks, all routers and most container
networks drop; a named machine is asked directly. The library reads its settings once in a process,
from a file that an environment variable names, so that helpers of the session read the same.
"""

from __future__ import annotations

import configparser
import hashlib
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import ConfigError
from .private_file import write_private
from .record.signing import configuration_folder

VARIABLE = "LSLAPICFG"
"""Names the file that liblsl reads."""

_MOST_PEERS = 64
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:%_-]{0,253}[A-Za-z0-9])?")
_SESSION = re.compile(r"[A-Za-z0-9_.-]{0,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LslNetwork:
    """Settings of LSL that hold for the whole session.

    Parameters
    ----------
    known_peers : tuple of str
        Names or addresses of machines that are asked directly for their streams, 64 at most.
    session_id : str
        Only streams of machines with the same id are seen, 64 characters at most; empty leaves it
        as the machine's own settings have it.
    """

    known_peers: tuple[str, ...] = ()
    session_id: str = ""

    def __post_init__(self) -> None:
        if len(self.known_peers) > _MOST_PEERS:
            raise ConfigError(
                f"lsl.known_peers must be {_MOST_PEERS} machines at most, got "
                f"{len(self.known_peers)}: name those that send."
            )
        for peer in self.known_peers:
            if not _HOST.fullmatch(peer):
                raise ConfigError(
                    f"lsl.known_peers must be names or addresses such as '192.168.1.20', got "
                    f"{peer!r}: write one machine in each."
                )
        if not _SESSION.fullmatch(self.session_id):
            raise ConfigError(
                f"lsl.session_id may hold letters, digits, '_', '.' and '-', 64 at most, got "
                f"{self.session_id!r}: choose another."
            )

    @property
    def asked_for(self) -> bool:
        """Whether anything differs from the machine's own settings."""
        return bool(self.known_peers or self.session_id)

    def use(self) -> None:
        """Let liblsl read these settings, in this process and in those that it starts.

        Before the first call of the library; whatever the machine's own file says beside them
        stays.

        Raises
        ------
        ConfigError
            If the machine's own file cannot be read, or the joint one not be written.
        """
        if not self.asked_for:
            return
        settings = own_settings()
        if not settings.has_section("lab"):
            settings.add_section("lab")
        peers = dict.fromkeys([*peers_of(settings), *self.known_peers])
        settings.set("lab", "KnownPeers", f"{{{', '.join(peers)}}}")
        if self.session_id:
            settings.set("lab", "SessionID", self.session_id)
        text = io.StringIO()
        settings.write(text)
        data = text.getvalue().encode()
        path = configuration_folder() / "lsl" / f"{hashlib.sha256(data).hexdigest()[:16]}.cfg"
        write_private(path, data, "file of LSL settings", durable=False)
        os.environ[VARIABLE] = str(path)


def own_settings() -> configparser.ConfigParser:
    """Read what this machine's own file says of LSL; empty if there is none.

    Returns
    -------
    settings : configparser.ConfigParser
        Sections as liblsl names them.

    Raises
    ------
    ConfigError
        If the file cannot be read.
    """
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    settings.optionxform = str  # type: ignore[assignment,method-assign]
    for path in _places():
        if path.is_file():
            try:
                settings.read_string(path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, configparser.Error) as error:
                reason = str(error).splitlines()[0]
                raise ConfigError(
                    f"The LSL settings in {path} cannot be read ({reason}): correct the file."
                ) from error
            break
    return settings


def peers_of(settings: configparser.ConfigParser) -> tuple[str, ...]:
    """Machines that settings name to be asked directly.

    Parameters
    ----------
    settings : configparser.ConfigParser
        From `own_settings`.
    """
    named = settings.get("lab", "KnownPeers", fallback="").strip().strip("{}")
    return tuple(peer.strip() for peer in named.split(",") if peer.strip())


def _places() -> tuple[Path, ...]:
    """Where liblsl looks, in its order."""
    named = os.environ.get(VARIABLE, "")
    return (
        *((Path(named),) if named else ()),
        Path("lsl_api.cfg"),
        Path("~/lsl_api/lsl_api.cfg").expanduser(),
        Path("/etc/lsl_api/lsl_api.cfg"),
    )
