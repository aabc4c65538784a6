"""Addresses of sockets: which of them stay on this machine."""

from __future__ import annotations

import ipaddress

from .errors import ConfigError


def stays_here(address: str, what: str) -> bool:
    """Say whether an address can be reached from this machine alone.

    Parameters
    ----------
    address : str
        A ZeroMQ endpoint, such as ``"tcp://127.0.0.1:5555"``.
    what : str
        What it is called in an error.

    Returns
    -------
    here : bool
        True for loopback, ``ipc`` and ``inproc``.

    Raises
    ------
    ConfigError
        If it is no such address.
    """
    scheme, _, rest = address.partition("://")
    if scheme in ("ipc", "inproc") and rest:
        return True
    host = rest.rpartition(":")[0].strip("[]")
    if scheme != "tcp" or not host:
        raise ConfigError(
            f"The {what} must look like 'tcp://127.0.0.1:5555', got {address!r}; use "
            "'tcp://127.0.0.1:*' to let the system choose a port."
        )
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def seen_from_here(address: str) -> str:
    """What to connect to on this machine, where a server is bound to all its addresses.

    Parameters
    ----------
    address : str
        As the server has it, such as ``"tcp://0.0.0.0:5555"``.

    Returns
    -------
    address : str
        The loopback address with the same port, or the same address.
    """
    for anywhere in ("tcp://0.0.0.0:", "tcp://[::]:", "tcp://*:"):
        if address.startswith(anywhere):
            return "tcp://127.0.0.1:" + address.removeprefix(anywhere)
    return address
