"""What a session is, as frozen settings; `session` reads them from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .adaptation_config import AdaptationConfig
from .beside_config import BesideConfig
from .control_config import ControlConfig
from .limits import GuardConfig
from .loop_config import LoopConfig
from .lsl_network import LslNetwork
from .montage_config import MontageConfig
from .paradigms.flicker import FlickerConfig
from .realtime import RealtimeConfig
from .security import SecurityConfig
from .timing_offset import DeviceTiming
from .watchdog_config import WatchdogConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class PartConfig:
    """A stage chosen by name, with its own settings.

    Parameters
    ----------
    kind : str
        Name in the catalogue.
    settings : object
        Instance of the class's ``Config``.
    """

    kind: str
    settings: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SidePart(PartConfig):
    """A source beside the signal, and what it is for.

    Parameters
    ----------
    beside : BesideConfig
        What it is called, and what becomes of it.
    """

    beside: BesideConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """A whole session.

    Parameters
    ----------
    name : str
        What the screens and reports call it.
    source : PartConfig
        Where samples come from.
    model : Path
        The fitted bundle that decodes; it brings its own conditioning and windows.
    model_sha256 : str
        Its hash, if the session names the model by it: then any other is refused.
    beside : tuple of SidePart
        Other streams, which are recorded and watched, and masked where they are missing.
    sinks : tuple of PartConfig
        Where commands go.
    feedback : mapping
        Settings of the feedback that the session names; the rest is the model's own. ``"kind"``
        says which feedback of the catalogue it is; those without one are of ``"evidence"``.
    adapter : mapping
        Settings of the model's adapter that the session names, as the plan of neurofeedback; only
        those that its class has in ``PER_SESSION``.
    loop : LoopConfig
        Deadlines and staleness.
    realtime : RealtimeConfig
        What to ask the operating system for.
    conditioning : mapping
        Fields of `ConditionConfig` that the session names. They say what to look for; what is
        done to the signal is the model's, and must not be said otherwise.
    step_s : float, optional
        Another window step than the model's.
    engine : str
        What runs a student: ``"auto"``, ``"NAME"`` or ``"NAME:PRECISION"``.
    engine_fallback : bool
        Whether another engine may run where this one cannot, or stops; without it the session
        does not start, or ends.
    second_stage : str
        Address of a language model that corrects what a speech decoder reads; empty for none.
    second_stage_key : Path, optional
        Key file with which the session is known there; needed beyond this machine.
    participant, operator : str
        Pseudonyms for the recording and its report; never names.
    flicker : FlickerConfig
        Who looks at what flickers, if anything does.
    guard : GuardConfig
        Limits that hold whatever the decoder says.
    watchdog : WatchdogConfig
        When it makes the outputs safe.
    control : ControlConfig
        How people control it while it runs.
    security : SecurityConfig
        Whose models and settings are accepted.
    montage : MontageConfig
        What stands between the source's channels and the session's.
    lsl : LslNetwork
        Which other machines are asked for LSL streams.
    timing : DeviceTiming
        The device's delay, if it was measured; moves windows that are locked to markers.
    adaptation : AdaptationConfig
        Whether the decoder may change while it runs, by which rule, and who allows it.
    signed_by : str
        Who vouches for the file, in words; empty for settings from elsewhere.
    """

    name: str
    source: PartConfig
    model: Path
    model_sha256: str = ""
    beside: tuple[SidePart, ...] = ()
    sinks: tuple[PartConfig, ...] = ()
    feedback: Mapping[str, Any] = field(default_factory=dict)
    adapter: Mapping[str, Any] = field(default_factory=dict)
    loop: LoopConfig = field(default_factory=LoopConfig)
    realtime: RealtimeConfig = field(default_factory=RealtimeConfig)
    conditioning: Mapping[str, Any] = field(default_factory=dict)
    step_s: float | None = None
    engine: str = "auto"
    engine_fallback: bool = True
    second_stage: str = ""
    second_stage_key: Path | None = None
    participant: str = ""
    operator: str = ""
    flicker: FlickerConfig = field(default_factory=FlickerConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)
    watchdog: WatchdogConfig = field(default_factory=WatchdogConfig)
    control: ControlConfig = field(default_factory=ControlConfig)
    security: SecurityConfig = field(default_factory=SecurityConfig)
    montage: MontageConfig = field(default_factory=MontageConfig)
    lsl: LslNetwork = field(default_factory=LslNetwork)
    timing: DeviceTiming = field(default_factory=DeviceTiming)
    adaptation: AdaptationConfig = field(default_factory=AdaptationConfig)
    signed_by: str = field(default="", compare=False)
