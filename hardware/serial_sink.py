"""Trigger bytes on a serial port: amplifiers' trigger inputs, trigger boxes, microcontrollers.

A port that was unplugged is tried again once a second, and begins with the neutral byte when it is
back. Many boards with a USB socket restart when their port is opened: let them before a session.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.device_record import DeviceRecord
from ..runtime.errors import ConfigError, SinkError
from ..runtime.messages import Command, Decision, StreamSpec
from .resting import BACK, NOT_OPEN
from .trigger import TriggerConfig, TriggerLine

_BROKEN: tuple[type[Exception], ...] = (OSError, ValueError)
if os.name == "posix":
    import termios

    _BROKEN = (*_BROKEN, termios.error)  # which is none of the others
_DRAIN_S = 0.01  # the last byte takes 1 ms at 9600 baud
_AGAIN_NS = 1_000_000_000
_BAUDS = (9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600)


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialSinkConfig(TriggerConfig):
    """Which port, and what goes out there; see `TriggerConfig` for the codes.

    Parameters
    ----------
    port : str
        Such as ``"/dev/ttyUSB0"`` or ``"COM3"``.
    baud : int
        9600 to 921600, one of the usual rates; 8 data bits, no parity, 1 stop bit.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    port: str
    baud: int = 115_200

    def __post_init__(self) -> None:
        TriggerConfig.__post_init__(self)
        if not self.port:
            raise ConfigError('sinks.port is empty: name a serial port, such as "/dev/ttyUSB0".')
        if self.baud not in _BAUDS:
            raise ConfigError(
                f"sinks.baud must be one of {', '.join(map(str, _BAUDS))}, got {self.baud}."
            )


class SerialSink:
    """Writes one byte for the beginning and one for the end of each trigger.

    Parameters
    ----------
    config : SerialSinkConfig
        Which port.
    """

    Config = SerialSinkConfig
    outside = True
    tested = DeviceRecord(
        what="trigger bytes on a serial port",
        against="a pseudo-terminal that echoes, is deaf, and is unplugged",
        never="a serial port of a machine; Windows",
        connect='`kind = "serial"`, `port` and a code for each class; see [](outputs.md).',
        extra="serial",
    )

    def __init__(self, config: SerialSinkConfig) -> None:
        self._config = config
        self._port: Any = None
        self._line: TriggerLine | None = None
        self._again_ns = 0

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Take the port for this program alone, and write the neutral byte.

        Raises `ConfigError` if the port or the library is not there, somebody else has the port,
        or a code is of no class; `SinkError` if the port takes no byte.
        """
        self._port = open_port(self._config.port, self._config.baud)
        line = TriggerLine(self._config, self._write)
        try:
            line.open(classes)
        except (ConfigError, SinkError):
            self.close()
            raise
        self._line = line

    def act(self, decision: Decision, command: Command) -> Command:
        """Write what the command asks for; what asks for nothing here passes as it is.

        Raises `SinkError` while the port is gone.
        """
        if self._line is None:
            return command.at_rest(NOT_OPEN)
        if self._port is None:
            self._try_again()
            return command.at_rest(BACK)
        return self._line.follow(command)

    def close(self) -> None:
        """Write the neutral byte and release the port. Calling it twice is harmless."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._port is not None:
            _drain(self._port)
            self._lose()

    def _try_again(self) -> None:
        assert self._line is not None
        if time.monotonic_ns() < self._again_ns:
            raise SinkError(f"The serial port {self._config.port} is gone: plug it in again.")
        self._again_ns = time.monotonic_ns() + _AGAIN_NS
        try:
            self._port = open_port(self._config.port, self._config.baud)
        except ConfigError as error:
            raise SinkError(f"The serial port is not back: {error}") from error
        self._line.rest()

    def _write(self, code: int) -> None:
        if self._port is None:
            raise SinkError(f"The serial port {self._config.port} is gone: plug it in again.")
        try:
            write_byte(self._port, code)
        except OSError as error:  # what pyserial raises is one, too
            with suppress(*_BROKEN):
                self._port.reset_output_buffer()  # what waited must not come out later
            self._lose()
            self._again_ns = time.monotonic_ns() + _AGAIN_NS
            raise SinkError(
                f"The serial port {self._config.port} takes no byte ({error}): is it unplugged, or "
                f"the device stuck?"
            ) from error

    def _lose(self) -> None:
        port, self._port = self._port, None
        with suppress(*_BROKEN):
            port.close()


def open_port(path: str, baud: int) -> Any:
    """Open a serial port for this program alone.

    Parameters
    ----------
    path : str
        Which.
    baud : int
        Rate.

    Returns
    -------
    port : serial.Serial
        Open.

    Raises
    ------
    ConfigError
        If it or pyserial is not there, somebody else has it, or this user may not use it.
    """
    try:
        import serial
    except ImportError as error:
        raise ConfigError(
            'The sink "serial" needs pyserial, which is not installed: pip install '
            '"diverloop[serial]".'
        ) from error
    try:
        return serial.Serial(path, baud, timeout=0, write_timeout=0, exclusive=True)
    except _BROKEN as error:
        raise ConfigError(f"The serial port {path} {_why(error)}") from error


def write_byte(port: Any, code: int) -> None:
    """Give a byte to a port, without waiting.

    Parameters
    ----------
    port : serial.Serial
        From `open_port`.
    code : int
        0 to 255.

    Raises
    ------
    OSError
        If it does not take it now.
    """
    data = bytes((code,))
    if os.name == "posix":
        # pyserial's own write spins on a full port, or calls a byte late that has been written.
        os.write(port.fileno(), data)
    else:
        port.write(data)


def loop_back_ns(path: str, baud: int, n: int, *, wait_s: float = 0.2) -> NDArray[np.int64]:
    """Measure a port whose output is wired to its input, or whose device sends back what it gets.

    Parameters
    ----------
    path : str
        Which port.
    baud : int
        Rate.
    n : int
        How many bytes to send, one after the other.
    wait_s : float
        How long to wait for each.

    Returns
    -------
    times_ns : ndarray of int64, shape (n,)
        From before the byte was written until it was read again: the way out and back.

    Raises
    ------
    ConfigError
        As `open_port`.
    SinkError
        If a byte does not come back, or another one does.
    """
    port = open_port(path, baud)
    times_ns = np.zeros(n, np.int64)
    try:
        port.reset_input_buffer()
        port.timeout = wait_s
        for place in range(n):
            code = place % 255 + 1
            began_ns = time.monotonic_ns()
            write_byte(port, code)
            if (came := port.read(1)) != bytes((code,)):
                raise SinkError(
                    f"Sent {code} on {path} and got {came!r} back within {wait_s:g} s: connect "
                    f"its output with its input."
                )
            times_ns[place] = time.monotonic_ns() - began_ns
    except _BROKEN as error:
        raise SinkError(f"The serial port {path} broke down ({error}).") from error
    finally:
        port.close()
    return times_ns


def _drain(port: Any) -> None:
    """Let the last byte out: closing a port drops what it has not sent yet."""
    until_ns = time.monotonic_ns() + round(_DRAIN_S * 1e9)
    with suppress(*_BROKEN):  # it broke down, and holds nothing any more
        while port.out_waiting and time.monotonic_ns() < until_ns:
            time.sleep(0.001)


def _why(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.EAGAIN, errno.EBUSY):
        return "is in use by another program: end that first."
    if number in (errno.EACCES, errno.EPERM):
        return (
            "may not be used by this account: on Linux become a member of the group that owns it, "
            "often dialout."
        )
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return f"is not there: plug the device in, or name another. {_ports()}"
    return f"cannot be opened ({error}): name another, or look after the device."


def _ports() -> str:
    from serial.tools.list_ports import comports

    found = ", ".join(sorted(port.device for port in comports()))
    return f"There are: {found}." if found else "There is none."
