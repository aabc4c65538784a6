"""Triggers on the eight data lines of a parallel port, through Linux's ppdev.

Needs ``/dev/parport0`` (``modprobe ppdev``) and the rights to it, often the group lp. The lines
change when the driver writes its register; nothing is queued.

References
----------
Waugh, T. (2000). The Linux 2.4 Parallel Port Subsystem, chapter 4: ppdev.
"""

from __future__ import annotations

import errno
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from ..runtime.device_record import DeviceRecord
from ..runtime.errors import ConfigError, SinkError
from ..runtime.messages import Command, Decision, StreamSpec
from .resting import NOT_OPEN
from .trigger import TriggerConfig, TriggerLine

# From linux/ppdev.h, as its macros come out on every machine that has such a port.
PPCLAIM, PPRELEASE, PPEXCL = 0x708B, 0x708C, 0x708F
PPWDATA, PPDATADIR = 0x40017086, 0x40047090


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelSinkConfig(TriggerConfig):
    """Which port, and what goes out there; see `TriggerConfig` for the codes.

    Parameters
    ----------
    port : str
        Such as ``"/dev/parport0"``.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    port: str = "/dev/parport0"

    def __post_init__(self) -> None:
        TriggerConfig.__post_init__(self)
        if not self.port:
            raise ConfigError('sinks.port is empty: name a parallel port, such as "/dev/parport0".')


class DataLines(Protocol):
    """Eight lines that hold a number."""

    def write(self, code: int) -> None:
        """Put a number there, 0 to 255; raises `SinkError` if that cannot be done."""

    def close(self) -> None:
        """Let others have them. Calling it twice is harmless."""


class ParallelSink:
    """Puts a code on the data lines for each trigger.

    Parameters
    ----------
    config : ParallelSinkConfig, optional
        The first port, and no codes, if not given.
    lines : DataLines, optional
        What to write to instead of the port that the settings name.
    """

    Config = ParallelSinkConfig
    outside = True
    tested = DeviceRecord(
        what="trigger bytes on a parallel port of Linux",
        against="a stand-in for the driver ppdev that notes every call",
        never="a parallel port",
        connect='`kind = "parallel"`, `port` and a code for each class; see [](outputs.md).',
    )

    def __init__(
        self, config: ParallelSinkConfig | None = None, lines: DataLines | None = None
    ) -> None:
        self._config = config or ParallelSinkConfig()
        self._lines = lines
        self._line: TriggerLine | None = None

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Take the port for this program alone, and put the neutral code there.

        Raises `ConfigError` if there is no such port, somebody else has it, or a code is of no
        class.
        """
        self._lines = self._lines or PpdevLines(self._config.port)
        line = TriggerLine(self._config, self._lines.write)
        try:
            line.open(classes)
        except (ConfigError, SinkError):
            self.close()
            raise
        self._line = line

    def act(self, decision: Decision, command: Command) -> Command:
        """Put there what the command asks for; what asks for nothing here passes as it is.

        Raises `SinkError` if the port does not take it.
        """
        return command.at_rest(NOT_OPEN) if self._line is None else self._line.follow(command)

    def close(self) -> None:
        """Put the neutral code there and release the port. Calling it twice is harmless."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._lines is not None:
            self._lines.close()
            self._lines = None


class PpdevLines:
    """The data lines of a port that Linux's ppdev offers.

    Parameters
    ----------
    path : str
        Which port.

    Raises
    ------
    ConfigError
        If it is not there, is something else, or cannot be had.
    """

    def __init__(self, path: str) -> None:
        self._path, self._file = path, -1
        try:
            self._file = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
            control(self._file, PPEXCL)
            control(self._file, PPCLAIM)
            control(self._file, PPDATADIR, struct.pack("i", 0))
        except (OSError, ImportError) as error:
            self._drop()
            raise ConfigError(f"The parallel port {path} {_why(error)}") from error

    def write(self, code: int) -> None:
        """Put a number on the lines; raises `SinkError` if the driver refuses."""
        try:
            control(self._file, PPWDATA, bytes((code,)))
        except OSError as error:
            raise SinkError(
                f"The parallel port {self._path} does not take a code ({error.strerror}): look "
                f"after the port."
            ) from error

    def close(self) -> None:
        """Release the port. Calling it twice is harmless."""
        if self._file >= 0:
            with suppress(OSError):
                control(self._file, PPRELEASE)
        self._drop()

    def _drop(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def control(file: int, request: int, argument: bytes | int = 0) -> None:
    """Ask a driver for something.

    Parameters
    ----------
    file : int
        Descriptor of an open device.
    request : int
        One of the numbers above.
    argument : bytes or int
        What goes with it.

    Raises
    ------
    OSError
        If the driver refuses.
    ImportError
        On a system without such requests.
    """
    import fcntl

    fcntl.ioctl(file, request, argument)


def _why(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return "is not there: load the module with modprobe ppdev, or name another."
    if number in (errno.EACCES, errno.EPERM):
        return (
            "may not be used by this account: become a member of the group that owns it, often lp."
        )
    if number in (errno.EBUSY, errno.EAGAIN):
        return "is in use by another driver or program: end that first (often the printer's, lp)."
    if number in (errno.ENOTTY, errno.EINVAL):
        return "is no parallel port: name the device of one, such as /dev/parport0."
    return f"cannot be had ({error}): this way out needs Linux and its ppdev."
