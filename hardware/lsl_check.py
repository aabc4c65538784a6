"""Does LSL work on this machine? One stream, sent and received here, within five seconds."""

from __future__ import annotations

import importlib
import math
import uuid
from types import ModuleType
from typing import Any

from ..runtime.doctor import Finding

_LIMIT_S = 1.5  # for each of three steps, so that all of it stays below five seconds
CONFINED = """\
[multicast]
ResolveScope = machine
ListenAddress = 127.0.0.1
[ports]
IPv6 = disable
[lab]
KnownPeers = {{127.0.0.1}}
SessionID = {session}
[log]
level = -2
"""
"""Settings that keep LSL on this machine, in a session of its own whose name is to be put in."""

_GET_LIBRARY = (
    "Run pip install mne-lsl, which brings the library for Linux on arm64 and for glibc older "
    "than 2.35 too, and set PYLSL_LIB to the liblsl file in its folder mne_lsl/lsl/lib."
)
_OPEN_LOOPBACK = "Check that the loopback interface is up and that no firewall closes it."


def check_lsl() -> Finding:
    """Send one sample through LSL and back, in a session of its own that no other machine sees.

    Confines LSL to this machine for the rest of the process (liblsl reads its settings once), so
    use it in a process that does nothing else with LSL afterwards.

    Returns
    -------
    finding : Finding
        Version and round trip; or what is missing, in a sentence.
    """
    try:
        pylsl = _load()
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        return _failed(f"no liblsl library could be loaded: {reason}", _GET_LIBRARY)
    session = uuid.uuid4().hex
    if hasattr(pylsl, "set_config_content"):  # since 1.18
        pylsl.set_config_content(CONFINED.format(session=session))
    version = f"liblsl {pylsl.library_version()}"
    try:
        round_trip_ms = _round_trip_ms(pylsl, session)
    except (TimeoutError, RuntimeError) as error:
        return _failed(f"{version}, but {error}", _OPEN_LOOPBACK)
    return Finding(name="LSL", ok=True, got=f"{version}, round trip {round_trip_ms:.1f} ms")


def _load() -> ModuleType:
    return importlib.import_module("pylsl")


def _round_trip_ms(pylsl: Any, source_id: str) -> float:
    info = pylsl.StreamInfo("diverloop doctor", "check", 1, 0.0, "double64", source_id)
    outlet = pylsl.StreamOutlet(info)
    found = pylsl.resolve_byprop("source_id", source_id, minimum=1, timeout=_LIMIT_S)
    if not found:
        raise TimeoutError(f"its own stream was not found within {_LIMIT_S:g} s")
    inlet = pylsl.StreamInlet(found[0], recover=False)
    try:
        inlet.open_stream(timeout=_LIMIT_S)
        sent_s = pylsl.local_clock()
        outlet.push_sample([math.pi])
        sample, _ = inlet.pull_sample(timeout=_LIMIT_S)
        if sample is None or sample[0] != math.pi:
            raise TimeoutError(f"its own sample did not come back within {_LIMIT_S:g} s")
        return float(pylsl.local_clock() - sent_s) * 1e3
    finally:
        inlet.close_stream()


def _failed(got: str, advice: str) -> Finding:
    return Finding(name="LSL", ok=False, got=got, advice=advice)
