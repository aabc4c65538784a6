"""The sink that does nothing, for rehearsals and replays."""

from __future__ import annotations

from dataclasses import dataclass

from ..runtime.device_record import DeviceRecord
from ..runtime.messages import Command, Decision, StreamSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class NullConfig:
    """Nothing to set."""


class NullSink:
    """Takes commands and does nothing with them.

    Parameters
    ----------
    config : NullConfig
        Nothing to set.
    """

    Config = NullConfig
    tested = DeviceRecord(
        what="nothing: for rehearsals and replays",
        against="every loop here",
        never="",
        connect='`kind = "null"`.',
    )

    def __init__(self, config: NullConfig | None = None) -> None:
        self._config = config or NullConfig()

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Nothing to open."""

    def act(self, decision: Decision, command: Command) -> Command:
        """Pass the command on."""
        return command

    def close(self) -> None:
        """Nothing to close."""
