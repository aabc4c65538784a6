"""Look before a session does: at this machine, at a live stream, or at the session's file."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import (
    AsJson,
    channels_table,
    findings_table,
    out,
    plain_errors,
    print_json,
    progress_bar,
    tell_findings,
)
from .runtime.errors import ConfigError, DiverloopError

if TYPE_CHECKING:
    from .hardware.lsl_inlet import LslConfig
    from .runtime.bundle import Bundle
    from .runtime.doctor import Finding
    from .runtime.security import SecurityConfig
    from .runtime.session import SessionConfig


_LOOK_AROUND_S = 4.0


def doctor(
    json: AsJson = False,
    quick: Annotated[bool, typer.Option(help="Leave out what takes time.")] = False,
    stream: Annotated[
        str | None, typer.Option(help="Look at this live LSL stream instead of the machine.")
    ] = None,
    session: Annotated[
        Path | None, typer.Option(help="Look at this session file, its model and what it shows.")
    ] = None,
    network: Annotated[
        bool, typer.Option("--network", help="Look which LSL streams of other machines are seen.")
    ] = False,
    peer: Annotated[
        list[str] | None, typer.Option(help="A machine to ask directly; may be repeated.")
    ] = None,
    pin: Annotated[
        bool, typer.Option("--pin", help="Write the LSL stream that is there into --session.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="For how long to look at the stream.")] = 10.0,
    line_hz: Annotated[float, typer.Option(help="Mains frequency; 0 for 50 and 60 both.")] = 0.0,
    wait_s: Annotated[float, typer.Option(help="For how long to look for the stream.")] = 10.0,
    assume_unit: Annotated[str, typer.Option(help="Unit of channels that name none.")] = "",
) -> None:
    """Look at this machine: versions, real-time rights, clocks, LSL; or at a stream or session."""
    if network or peer:
        with plain_errors(json):
            if stream is not None or pin:
                raise ConfigError("--network looks at no stream and pins none: leave them out.")
            _look_around(session, peer or [], min(wait_s, _LOOK_AROUND_S), json)
        return
    if session is not None:
        with plain_errors(json):
            if stream is not None:
                raise ConfigError("--session and --stream are looked at one at a time: leave one.")
            (_pin_stream if pin else _look_at_session)(session, json)
        return
    if pin:
        with plain_errors(json):
            raise ConfigError("--pin writes into a session file: name it with --session FILE.")
    if stream is not None:
        with plain_errors(json):
            if not stream:
                raise ConfigError("--stream is empty: give the name of an LSL stream.")
            from .hardware.lsl_inlet import LslConfig

            config = LslConfig(name=stream, markers="", wait_s=wait_s, assume_unit=assume_unit)
            _look_at_stream(config, seconds, line_hz, json)
        return
    from .hardware.lsl_check import check_lsl
    from .runtime.doctor import examine, summed_up

    findings = [*examine(quick=quick), check_lsl()]
    if json:
        _tell(findings, "This machine", json)
    else:
        tell_findings(summed_up(findings), "This machine")


def _look_around(path: Path | None, peers: list[str], wait_s: float, json: bool) -> None:
    """What is seen of other machines, asked as a session would ask."""
    from .hardware.lsl_neighbours import look_around
    from .runtime.lsl_network import LslNetwork
    from .runtime.session import read_session

    network = read_session(path).lsl if path else LslNetwork()
    network = replace(network, known_peers=tuple(dict.fromkeys([*network.known_peers, *peers])))
    with progress_bar("looking for streams of other machines"):
        findings = look_around(network, wait_s)
    _tell(findings, "LSL on the network", json)


def _look_at_session(path: Path, json: bool) -> None:
    from .flicker_lock import look
    from .runtime.doctor import Finding
    from .runtime.session import read_session, session_bundle

    session = read_session(path)
    bundle = session_bundle(session)
    card = bundle.card
    model = f"{card.task}, {card.encoder}: {', '.join(card.classes)}"
    findings = [
        Finding(name="session", ok=True, got=f"{session.name!r}, source {session.source.kind}"),
        Finding(name="settings", ok=True, got=session.signed_by),
        Finding(name="model", ok=True, got=model),
        *_mapping(session),
        _signature(bundle, session.security),
        look(session, card).finding(),
        *_adaptation(session, bundle),
    ]
    _tell(findings, f"The session {path.name}", json)


def _adaptation(session: SessionConfig, bundle: Bundle) -> list[Finding]:
    """What a session says of adaptation, and whether its model can be adapted."""
    from .runtime.doctor import Finding

    if not session.adaptation.on:
        return []
    from .adapting import check_adaptation
    from .assembly import open_model

    try:
        got, ok = check_adaptation(session, open_model(bundle)), True
    except DiverloopError as error:
        got, ok = str(error), False
    return [Finding(name="adaptation", ok=ok, got=got)]


def _mapping(session: SessionConfig) -> list[Finding]:
    """What a session's mapping file says, if it has one."""
    from .hardware.mapping import read_mapping
    from .runtime.doctor import Finding

    config = session.montage
    if not config.file:
        return []
    mapping = read_mapping(config.file, config.content())
    got = f"{len(mapping.channels)} channels, {len(mapping.drop)} dropped, of {mapping.name!r}"
    return [Finding(name="mapping", ok=True, got=got)]


def _pin_stream(path: Path, json: bool) -> None:
    """Find the one stream that a session names, and let it take no other from now on."""
    from .hardware.lsl_inlet import LslConfig, pin_of
    from .runtime.doctor import Finding
    from .runtime.session import read_session
    from .runtime.toml_file import put_table

    config = read_session(path).source.settings
    if not isinstance(config, LslConfig):
        raise ConfigError(f"{path.name} reads no LSL stream, so there is nothing to pin.")
    with progress_bar("looking for the stream"):
        pin = pin_of(config)
    put_table(path, ("source", "pin"), asdict(pin))
    got = f"{pin.about}, source_id {pin.source_id!r} on {pin.hostname!r}"
    advice = "Make sure that this is the amplifier: no other stream will be read from now on."
    _tell([Finding(name="pin", ok=True, got=got, advice=advice)], f"Pinned in {path.name}", json)


def _signature(bundle: Bundle, security: SecurityConfig) -> Finding:
    from .runtime.doctor import Finding
    from .runtime.security import advice

    standing = bundle.standing()
    if standing.trusted or security.unknown_models:
        return Finding(name="signature", ok=standing.trusted or None, got=standing.words())
    to_do = f"A live session refuses it: {advice(bundle)}."
    return Finding(name="signature", ok=False, got=standing.words(), advice=to_do)


def _tell(findings: list[Finding], title: str, json: bool) -> None:
    if json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        out.print(findings_table(findings, title))


def _look_at_stream(config: LslConfig, seconds: float, line_hz: float, json: bool) -> None:
    from .hardware.lsl_inlet import LslSource
    from .runtime.clock import MonotonicClock
    from .runtime.signal_check import check_signal

    name, clock = config.name, MonotonicClock()
    source = LslSource(config, clock)
    with progress_bar(f"looking for {name!r}") as step:
        check = check_signal(
            source,
            clock,
            seconds=seconds,
            line_hz=line_hz,
            on_progress=lambda done_s, of_s: step(f"looking at {name!r}", done_s, of_s),
        )
    findings = check.findings()
    if json:
        told = [asdict(finding) for finding in findings]
        print_json({"stream": check.to_json(), "findings": told})
        return
    out.print(channels_table(check))
    out.print(findings_table(findings, f"The stream {name!r}, {check.seconds:.1f} s of it"))
    why = "; ".join(check.reasons) or "nothing is wrong"
    out.print(f"Signal quality {check.overall:.2f} of 1: {why}.", markup=False, highlight=False)
