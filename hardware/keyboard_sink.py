"""Key presses for other programs, for people who steer a computer with it. Only if asked for twice.

A key goes to whatever program has the focus, also to one that nobody thought of: so there is a
consent in the settings, a list of keys that do no harm by themselves, and a pace. A key is pressed
at a selection and released by itself; a neutral command releases it at once. Linux only, through
the kernel's uinput.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..runtime.device_record import DeviceRecord
from ..runtime.errors import ConfigError, SinkError
from ..runtime.messages import Command, Decision, StreamSpec
from .resting import NOT_OPEN
from .trigger import TriggerConfig, TriggerLine, check_labels

TOO_FAST = "more keys were asked for than the pace allows"
_LETTERS = {"qwertyuiop": 16, "asdfghjkl": 30, "zxcvbnm": 44}  # codes run along each row
_OTHERS = {
    "backspace": 14, "tab": 15, "enter": 28, "space": 57, "home": 102, "up": 103, "page_up": 104,
    "left": 105, "right": 106, "end": 107, "down": 108, "page_down": 109,
}  # fmt: skip
KEYS: Mapping[str, int] = {
    **{letter: at + n for row, at in _LETTERS.items() for n, letter in enumerate(row)},
    **{digit: 2 + n for n, digit in enumerate("1234567890")},
    **_OTHERS,
}
"""Keys that may be pressed, and their codes in Linux's input-event-codes.h. None that is held
together with others, none that leaves, deletes or switches off by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyboardSinkConfig:
    """Which class presses which key, and the consent to it.

    Parameters
    ----------
    i_want_keys : bool
        The consent: no session starts with this sink without it.
    keys : mapping of str to str
        Class of the model -> one of `KEYS`.
    most_per_s : float
        Presses a second at most, 0.1 to 10; what comes sooner is not done.
    hold_s : float
        How long a key stays down, 0.01 to 0.2 s: less than after which programs repeat it.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    i_want_keys: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)
    most_per_s: float = 2.0
    hold_s: float = 0.05

    def __post_init__(self) -> None:
        for label, key in self.keys.items():
            if key not in KEYS:
                raise ConfigError(
                    f"sinks.keys.{label} must be one of {', '.join(sorted(KEYS))}; got {key!r}."
                )
        for name, least, most in (("most_per_s", 0.1, 10.0), ("hold_s", 0.01, 0.2)):
            if not least <= (value := getattr(self, name)) <= most:
                raise ConfigError(f"sinks.{name} must be {least:g} to {most:g}, got {value:g}.")


class Keys(Protocol):
    """A keyboard that is told what to do; ``evdev.UInput`` is one."""

    def write(self, etype: int, code: int, value: int) -> None:
        """Say that a key goes down (1) or up (0)."""

    def syn(self) -> None:
        """Let it happen."""

    def close(self) -> None:
        """Take the keyboard away."""


class KeyboardSink:
    """Presses a key when its class is selected.

    Parameters
    ----------
    config : KeyboardSinkConfig, optional
        Without consent if not given.
    keys : Keys, optional
        What to press instead of a keyboard of the kernel's.
    """

    Config = KeyboardSinkConfig
    outside = True
    tested = DeviceRecord(
        what="key presses for assistive use, by consent",
        against="a keyboard that notes what is pressed, in place of uinput",
        never="a real /dev/uinput; macOS and Windows, which are not supported",
        connect='`kind = "keyboard"`, `i_want_keys = true` and the keys allowed; '
        "see [](outputs.md).",
        extra="keyboard",
    )

    def __init__(self, config: KeyboardSinkConfig | None = None, keys: Keys | None = None) -> None:
        self._config = config or KeyboardSinkConfig()
        self._keys = keys
        self._line: TriggerLine | None = None
        self._codes: Mapping[str, int] = {}
        self._down = 0
        self._next_ns = 0

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Make the keyboard.

        Raises `ConfigError` without consent, for a class that the model does not have, and where
        no keyboard can be made.
        """
        if not self._config.i_want_keys:
            raise ConfigError(
                'The sink "keyboard" presses keys in whatever program has the focus: say '
                "sinks.i_want_keys = true if that is wanted, or take the sink out."
            )
        check_labels(self._config.keys, classes, "keys")
        self._codes = {label: KEYS[key] for label, key in self._config.keys.items()}
        self._keys = self._keys or kernel_keys(sorted(set(self._codes.values())))
        config = TriggerConfig(codes=self._codes, pulse_s=self._config.hold_s)
        line = TriggerLine(config, self._press)
        line.open(classes)
        self._line = line

    def act(self, decision: Decision, command: Command) -> Command:
        """Press the key of a selected class; what asks for no key passes as it is.

        Raises `SinkError` if the keyboard is gone.
        """
        if self._line is None:
            return command.at_rest(NOT_OPEN)
        asks = command.selected and command.label in self._codes
        now_ns = time.monotonic_ns()
        if asks and now_ns < self._next_ns:
            return command.at_rest(TOO_FAST)
        done = self._line.follow(command)
        if asks and done is command:
            self._next_ns = now_ns + round(1e9 / self._config.most_per_s)
        return done

    def close(self) -> None:
        """Release the key and take the keyboard away. Calling it twice is harmless."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._keys is not None:
            self._keys.close()
            self._keys = None

    def _press(self, code: int) -> None:
        """Let one key be down, or none."""
        if self._keys is None:
            raise SinkError("The keyboard is closed: start the session again.")
        if code == self._down:
            return
        try:
            for key, value in ((self._down, 0), (code, 1)):
                if key:
                    self._keys.write(_EV_KEY, key, value)
            self._keys.syn()
        except OSError as error:
            raise SinkError(
                f"The keyboard takes no key ({error.strerror or error}): start the session again."
            ) from error
        self._down = code


_EV_KEY = 1  # event type of keys, in input-event-codes.h


def kernel_keys(codes: Sequence[int]) -> Keys:
    """Make a keyboard with a few keys, as if it had been plugged in.

    Parameters
    ----------
    codes : sequence of int
        Its keys.

    Returns
    -------
    keys : evdev.UInput
        Whose other end is the program that has the focus.

    Raises
    ------
    ConfigError
        If evdev is not installed, the kernel offers no uinput, or this account has no right to it.
    """
    try:
        import evdev
    except ImportError as error:
        raise ConfigError(
            'The sink "keyboard" needs Linux and evdev, which is not installed: pip install '
            '"diverloop[keyboard]".'
        ) from error
    try:
        made: Any = evdev.UInput({_EV_KEY: list(codes)}, name="diverloop keyboard")
    except (OSError, evdev.UInputError) as error:
        raise ConfigError(
            f"No keyboard can be made ({error}): load the module with modprobe uinput, and give "
            f"this account the right to write to /dev/uinput."
        ) from error
    keys: Keys = made
    return keys
