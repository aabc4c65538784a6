"""Decisions as LSL streams: numbers for programs, words for recordings."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pylsl

from ..runtime.claim import Claim
from ..runtime.device_record import DeviceRecord
from ..runtime.errors import ConfigError
from ..runtime.messages import Command, Decision, StreamSpec
from ..runtime.record.signing import configuration_folder
from .decision_row import FIXED as FIXED
from .decision_row import VELOCITY as VELOCITY
from .decision_row import DecisionRow

_FAREWELL_S = 0.2  # for the last neutral to arrive: loopback takes 1 ms, a wireless network 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LslSinkConfig:
    """How the streams are called.

    Parameters
    ----------
    name : str
        Name of the decision stream; the marker stream is called ``<name>-markers``.
    """

    name: str = "diverloop-decisions"

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError('sinks.name must not be empty: use "diverloop-decisions".')


class LslSink:
    """Sends every decision, and a marker whenever the command changes or selects.

    Parameters
    ----------
    config : LslSinkConfig
        Names.
    """

    Config = LslSinkConfig
    tested = DeviceRecord(
        what="decisions as numbers and words on the Lab Streaming Layer",
        against="inlets of other processes on one machine",
        never="other programs that read LSL; two machines",
        connect='`kind = "lsl"` and `name = "diverloop-decisions"`; markers are on `NAME-markers`.',
    )
    outside = True

    def __init__(self, config: LslSinkConfig | None = None) -> None:
        self._config = config or LslSinkConfig()
        self._decisions: pylsl.StreamOutlet | None = None
        self._markers: pylsl.StreamOutlet | None = None
        self._claim: Claim | None = None
        self._shown: str | None = None
        self._row = DecisionRow(())

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Announce both streams; see `FIXED` and `VELOCITY` for the schema.

        Raises `ConfigError` if another session of this user sends under the same name.
        """
        name = self._config.name
        self._claim = Claim(name, configuration_folder() / "outputs")
        self._row = DecisionRow(classes)
        labels = list(self._row.labels)
        source = f"{name}-{spec.source_id or spec.name}"
        info = pylsl.StreamInfo(name, "Decisions", len(labels), 0.0, "double64", source)
        info.set_channel_labels(labels)
        description = info.desc()
        description.append_child_value("classes", ",".join(classes))
        description.append_child_value("decoded_stream", spec.name)
        description.append_child_value("schema", "diverloop-decisions-2")
        description.append_child_value("notice", "Investigational, not a medical device.")
        self._decisions = pylsl.StreamOutlet(info, max_buffered=60)
        marker_info = pylsl.StreamInfo(
            f"{name}-markers", "Markers", 1, 0.0, "string", f"{source}-markers"
        )
        self._markers = pylsl.StreamOutlet(marker_info, max_buffered=60)

    def act(self, decision: Decision, command: Command) -> Command:
        """Send one decision; the command passes through as it is."""
        if self._decisions is None:
            return command
        # A list: pylsl takes numbers one by one, and those of numpy take half as long again.
        self._decisions.push_sample(self._row.fill(decision, command).tolist())
        self._say(command)
        return command

    def close(self) -> None:
        """Send a last neutral, then take the streams down. Calling it twice is harmless."""
        if self._decisions is not None:
            self._decisions.push_sample(self._row.farewell())
            self._say(Command(label=None))
            if self._decisions.have_consumers():
                # An outlet that goes takes with it whatever is still on its way.
                threading.Event().wait(_FAREWELL_S)
        self._decisions = self._markers = None
        if self._claim is not None:
            self._claim.release()

    def _say(self, command: Command) -> None:
        assert self._markers is not None
        if command.selected:
            self._markers.push_sample([f"selected:{command.label}"])
        if command.label != self._shown:
            self._shown = command.label
            self._markers.push_sample([command.label or "neutral"])
