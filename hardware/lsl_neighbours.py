"""Which LSL streams of other machines are seen here; and if none is, why.

Only machines that somebody names are knocked at: their LSL ports, once each, all at the same time.
"""

from __future__ import annotations

import configparser
import errno
import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import pylsl

from ..runtime.doctor import Finding
from ..runtime.lsl_network import LslNetwork, own_settings, peers_of

_KNOCK_S = 1.5
_MULTICAST = ("224.0.0.183", 16571)
_OTHERS = "LSL streams of other hosts"


def look_around(network: LslNetwork, wait_s: float = 3.0) -> list[Finding]:
    """Look for every stream of the network, and say what stands in the way if none is there.

    Parameters
    ----------
    network : LslNetwork
        Which machines are asked directly; used for the rest of the process.
    wait_s : float
        How long to look.

    Returns
    -------
    findings : list of Finding
        The settings, the streams by host, and one for each machine that is named.

    Raises
    ------
    ConfigError
        If this machine's LSL settings cannot be read.
    """
    network.use()
    settings = own_settings()
    peers = peers_of(settings)
    found = list(pylsl.resolve_streams(wait_s))
    here = socket.gethostname()
    streams: dict[str, list[str]] = {}
    for info in found:
        streams.setdefault(info.hostname(), []).append(_words(info))
    others = {host: said for host, said in streams.items() if host != here}
    return [
        _settings(settings, peers),
        *(_host(host, said) for host, said in sorted(others.items())),
        *([] if others else [_nobody(settings, peers, streams, wait_s)]),
        *(_peer(peer, ports_of(settings), seen=bool(others)) for peer in peers),
    ]


def ports_of(settings: configparser.ConfigParser) -> range:
    """TCP and UDP ports at which LSL senders can be.

    Parameters
    ----------
    settings : configparser.ConfigParser
        From ``own_settings``.
    """
    first = _whole(settings, "BasePort", 16572)
    return range(first, first + min(_whole(settings, "PortRange", 32), 1024))


def _whole(settings: configparser.ConfigParser, key: str, otherwise: int) -> int:
    try:
        return max(1, int(settings.get("ports", key, fallback=str(otherwise))))
    except ValueError:
        return otherwise


def _words(info: pylsl.StreamInfo) -> str:
    rate = f" at {info.nominal_srate():g} Hz" if info.nominal_srate() else ""
    return f"{info.name()!r} ({info.type()}, {info.channel_count()} channels{rate})"


def _settings(settings: configparser.ConfigParser, peers: Sequence[str]) -> Finding:
    scope = settings.get("multicast", "ResolveScope", fallback="site")
    session = settings.get("lab", "SessionID", fallback="default")
    asked = ", ".join(peers) or "nobody"
    return Finding(
        name="LSL settings",
        ok=None if scope == "machine" else True,
        got=f"scope {scope}, session id {session!r}, asked directly: {asked}",
        advice="Scope machine confines LSL to this machine: take ResolveScope out of lsl_api.cfg."
        if scope == "machine"
        else "",
    )


def _host(host: str, said: Sequence[str]) -> Finding:
    return Finding(name=f"LSL streams of {host}", ok=True, got=", ".join(sorted(said)))


def _nobody(
    settings: configparser.ConfigParser,
    peers: Sequence[str],
    streams: Mapping[str, Sequence[str]],
    wait_s: float,
) -> Finding:
    own = sum(map(len, streams.values()))
    got = f"none answered within {wait_s:g} s; {own} of this machine did"
    if settings.get("multicast", "ResolveScope", fallback="site") == "machine":
        why = "This machine's settings confine LSL to itself, see above."
    elif peers:
        why = "What each machine that was asked directly says stands below."
    elif not _multicast_leaves():
        why = (
            "This machine has no way out for multicast, by which LSL finds senders: name the "
            "sender's machine with --peer, and in the session's [lsl] known_peers."
        )
    else:
        why = (
            "Either nobody sends, or multicast does not pass between the machines (Wi-Fi, VLANs, "
            "VPNs and containers often drop it, firewalls block UDP 16571): name the sender's "
            "machine with --peer, and in the session's [lsl] known_peers."
        )
    return Finding(name=_OTHERS, ok=False, got=got, advice=why)


def _multicast_leaves() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_MULTICAST)  # asks the routing table, sends nothing
        except OSError:
            return False
    return True


def _peer(peer: str, ports: range, *, seen: bool) -> Finding:
    """What a machine that was named says; `seen` tells whether anything of others is."""
    name = f"machine {peer}"
    try:
        address = socket.getaddrinfo(peer, None, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):  # the latter for what can be no name of a host
        advice = "Write its IP address, or let this machine know the name."
        return Finding(name=name, ok=False, got="nobody here knows that name", advice=advice)
    family, ip = address[0], str(address[4][0])
    opened, refused, astray = _knock(family, ip, ports)
    if opened and seen:
        # The library does not tell from which address an answer came.
        got = "an LSL program is there; above is which host's streams are seen"
        return Finding(name=name, ok=True, got=got)
    got, advice = _verdict(opened, refused, astray, ports)
    return Finding(name=name, ok=False, got=got, advice=advice)


def _knock(family: int, ip: str, ports: range) -> tuple[int, int, int]:
    """Try to connect to each port; how many took it, refused, and had no way there."""
    opened = refused = astray = 0
    with ExitStack() as stack, selectors.DefaultSelector() as waiting:
        for port in ports:
            knock = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            knock.setblocking(False)
            code = knock.connect_ex((ip, port))
            if code in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
                waiting.register(knock, selectors.EVENT_WRITE)
            else:
                astray += 1
        until_s = time.monotonic() + _KNOCK_S
        while waiting.get_map() and (left_s := until_s - time.monotonic()) > 0:
            for ready, _ in waiting.select(left_s):
                waiting.unregister(ready.fileobj)
                knocked: socket.socket = ready.fileobj  # type: ignore[assignment]
                code = knocked.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                opened += code == 0
                refused += code == errno.ECONNREFUSED
                astray += code not in (0, errno.ECONNREFUSED)
    return opened, refused, astray


def _verdict(opened: int, refused: int, astray: int, ports: range) -> tuple[str, str]:
    """What was found behind the ports, and what to do about it."""
    span = f"{ports[0]} to {ports[-1]}"
    if opened:
        return (
            "an LSL program is there, but does not answer",
            f"Let its firewall pass UDP {span}, and compare the session ids of both machines.",
        )
    if refused:
        return (
            "the machine is there, and no LSL program on it",
            "Start the sender on it; see that it sends on the network, not on that machine alone.",
        )
    if astray:
        return "no way leads there", "Check the address, the cable and the network settings."
    return (
        "nothing answers",
        f"It is off, or has another address, or a firewall blocks TCP and UDP {span}.",
    )
