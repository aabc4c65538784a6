"""Codes on a line, as triggers: a pulse at a selection or a change, or a level that is held.

The line has one number at a time, 0 to 255. A neutral command makes it neutral at once, whatever
runs, and again each time it comes: a device may have missed it. Pulses are ended by a thread of
their own, so whoever sends a command never waits for one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from ..runtime.errors import ConfigError, SinkError
from ..runtime.messages import Command

MOMENTS = ("selected", "changed", "held")
RUNNING = "the pulse before was still running"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerConfig:
    """Which class puts which code on the line, when, and for how long.

    Parameters
    ----------
    codes : mapping of str to int
        Class of the model -> code, 0 to 255. What is not named asks for nothing.
    when : str
        ``"selected"``: a pulse at each selection. ``"changed"``: a pulse whenever another class is
        commanded than before. ``"held"``: the code stays for as long as its class is commanded.
    pulse_s : float
        How long a pulse lasts, 0.001 to 1 s, unless a neutral command ends it before.
    neutral : int
        Code of the line at rest, 0 to 255.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    codes: Mapping[str, int] = field(default_factory=dict)
    when: str = "selected"
    pulse_s: float = 0.01
    neutral: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.neutral <= 255:
            raise ConfigError(f"sinks.neutral must be 0 to 255, got {self.neutral}.")
        for label, code in self.codes.items():
            if not 0 <= code <= 255 or code == self.neutral:
                raise ConfigError(
                    f"sinks.codes.{label} must be 0 to 255 and not {self.neutral}, which means "
                    f"neutral; got {code}."
                )
        if self.when not in MOMENTS:
            raise ConfigError(f"sinks.when must be one of {', '.join(MOMENTS)}, got {self.when!r}.")
        if not 0.001 <= self.pulse_s <= 1:
            raise ConfigError(f"sinks.pulse_s must be 0.001 to 1 s, got {self.pulse_s:g} s.")


class TriggerLine:
    """Follows commands with one number on a line.

    Parameters
    ----------
    config : TriggerConfig
        What to put there.
    put : callable
        Puts a number on the line at once, or raises `SinkError`. Called from two threads, never at
        the same time.
    """

    def __init__(self, config: TriggerConfig, put: Callable[[int], None]) -> None:
        self._config, self._put = config, put
        self._due = threading.Condition()
        self._ends_ns: int | None = None
        self._level: int | None = None
        self._last: str | None = None
        self._fault: SinkError | None = None
        self._over = False
        self._thread: threading.Thread | None = None

    def open(self, classes: tuple[str, ...]) -> None:
        """Make the line neutral, and be ready.

        Parameters
        ----------
        classes : tuple of str
            As the model has them.

        Raises
        ------
        ConfigError
            If there is no code, or one for a class that the model does not have.
        SinkError
            If the line cannot be made neutral.
        """
        check_labels(self._config.codes, classes, "codes")
        self.rest()
        self._thread = threading.Thread(target=self._end_pulses, name="trigger", daemon=True)
        self._thread.start()

    def rest(self) -> None:
        """Make the line neutral now, and begin anew; raises `SinkError` if it cannot be."""
        with self._due:
            self._fault = self._last = None
            self._lower()

    def follow(self, command: Command) -> Command:
        """Put on the line what a command asks for.

        Parameters
        ----------
        command : Command
            What is to be done.

        Returns
        -------
        done : Command
            The same, also where it asks for nothing here; neutral, and why, if it was not done.

        Raises
        ------
        SinkError
            If the line does not take it, or did not take the end of a pulse.
        """
        with self._due:
            self._complain()
            if command.label is None:
                self._lower()
            elif self._config.when == "held":
                self._hold(self._config.codes.get(command.label, self._config.neutral))
            elif not self._begin(command):
                return command.at_rest(RUNNING)
            self._last = command.label
            return command

    def close(self) -> None:
        """Make the line neutral, if it still can be, and end. Calling it twice is harmless."""
        with self._due:
            if not self._over:
                with suppress(SinkError):
                    self._lower()
            self._over = True
            self._due.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _begin(self, command: Command) -> bool:
        """Begin a pulse, if one is asked for; False if another runs."""
        code = self._config.codes.get(command.label or "")
        by_change = self._config.when == "changed" and command.label != self._last
        if code is None or not (command.selected if self._config.when == "selected" else by_change):
            return True
        if self._ends_ns is not None:
            return False
        self._show(code)
        self._ends_ns = time.monotonic_ns() + round(self._config.pulse_s * 1e9)
        self._due.notify()
        return True

    def _hold(self, code: int) -> None:
        if code != self._level:
            self._show(code)

    def _lower(self) -> None:
        self._ends_ns = None
        self._show(self._config.neutral)

    def _show(self, code: int) -> None:
        self._level = None  # if it fails nobody knows what is there
        self._put(code)
        self._level = code

    def _complain(self) -> None:
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def _end_pulses(self) -> None:
        with self._due:
            while not self._over:
                if self._ends_ns is None:
                    self._due.wait()
                elif (left_ns := self._ends_ns - time.monotonic_ns()) > 0:
                    self._due.wait(left_ns / 1e9)
                else:
                    try:
                        self._lower()
                    except SinkError as error:
                        self._fault = error


def check_labels(asked: Mapping[str, object], classes: tuple[str, ...], what: str) -> None:
    """Refuse a table that says nothing, or names a class that the model does not have.

    Parameters
    ----------
    asked : mapping
        By class.
    classes : tuple of str
        As the model has them.
    what : str
        Name of the table.

    Raises
    ------
    ConfigError
        If it cannot be used.
    """
    if not asked:
        raise ConfigError(
            f"sinks.{what} is empty, so nothing would ever be sent: name at least one of "
            f"{', '.join(classes)}."
        )
    for label in asked:
        if label not in classes:
            raise ConfigError(
                f"sinks.{what} names the class {label!r}, the model has {', '.join(classes)}."
            )
