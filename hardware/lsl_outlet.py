"""Decisions as LSL streams: numbers for programs, words for recordings."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
import pylsl

from ..runtime.claim import Claim
from ..runtime.device_record import DeviceRecord
from ..runtime.errors import ConfigError
from ..runtime.messages import Command, Decision, StreamSpec
from ..runtime.record.signing import configuration_folder

FIXED = ("stop_sample", "lsl_time", "epoch", "decided", "commanded", "strength", "selected")
"""Channels of the decision stream before the probabilities, one per class, named ``p:<class>``.

``stop_sample`` is the index one past the last sample of the window, ``lsl_time`` the LSL time of
that sample in the loop's machine, ``epoch`` the version of the weights; ``decided`` and
``commanded`` are class indices, -1 for neutral; ``strength`` is the accumulated evidence, or the
speed, and ``selected`` is 1 at a selection. A neutral decision has NaN probabilities where nothing
was decoded. The sample's own LSL time stamp is the moment of sending. `VELOCITY` follows.
"""

VELOCITY = ("v:1", "v:2", "v:3")
"""The last channels of the decision stream: share of full speed along each axis, -1 to 1.

They are there whatever the feedback is, and 0 where it has no velocity or not so many axes.
"""

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
        self._index: dict[str | None, int] = {}

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Announce both streams; see `FIXED` and `VELOCITY` for the schema.

        Raises `ConfigError` if another session of this user sends under the same name.
        """
        name = self._config.name
        self._claim = Claim(name, configuration_folder() / "outputs")
        labels = [*FIXED, *(f"p:{label}" for label in classes), *VELOCITY]
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
        self._values = np.zeros(len(labels))
        self._index = {label: place for place, label in enumerate(classes)}
        self._index[None] = -1

    def act(self, decision: Decision, command: Command) -> Command:
        """Send one decision; the command passes through as it is."""
        if self._decisions is None:
            return command
        values = self._values
        values[0] = decision.stop_sample
        values[1] = decision.lsl_corrected_s
        values[2] = decision.epoch
        values[3] = self._index[decision.label]
        values[4] = self._index[command.label]
        values[5] = command.strength
        values[6] = command.selected
        values[len(FIXED) : -len(VELOCITY)] = decision.probabilities
        values[-len(VELOCITY) :] = 0
        for axis, speed in enumerate(command.velocity, start=len(values) - len(VELOCITY)):
            values[axis] = speed
        self._decisions.push_sample(values)
        self._say(command)
        return command

    def close(self) -> None:
        """Send a last neutral, then take the streams down. Calling it twice is harmless."""
        if self._decisions is not None:
            self._values[:] = math.nan
            self._values[[0, 3, 4]] = -1
            self._values[[5, 6]] = 0
            self._values[-len(VELOCITY) :] = 0
            self._decisions.push_sample(self._values)
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
