"""How a session lets itself be controlled while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from .address import stays_here
from .errors import ConfigError

HERE = "tcp://127.0.0.1:*"
"""On this machine, at whatever port is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlConfig:
    """Settings of the control link.

    Parameters
    ----------
    enabled : bool
        Whether there is one. It knows everybody by their keys, also on this machine.
    address : str
        Where it is bound; beyond this machine only with `remote`.
    remote : bool
        Whether other machines may reach it.
    required : bool
        Whether the session may only be armed while somebody holds the link with signs of life.
    watch : str
        Where people with a key see the telemetry; beyond this machine only with `remote`; empty
        for nowhere.
    lock_s : float
        After so long without an act, counted from the start, a person gives a code again; 60 to
        900 s.
    permission_s : float
        How long adaptation or stimulation stay enabled; 1 to 3600 s.
    silence_s : float
        A held link without a sign of life for so long is an emergency stop; 0.3 to 5 s.

    Raises
    ------
    ConfigError
        If a value is out of its range, or an address reaches further than `remote` says.
    """

    enabled: bool = True
    address: str = HERE
    remote: bool = False
    required: bool = False
    watch: str = HERE
    lock_s: float = 900.0
    permission_s: float = 900.0
    silence_s: float = 0.5

    def __post_init__(self) -> None:
        for name, least, most in (
            ("lock_s", 60.0, 900.0), ("permission_s", 1.0, 3600.0), ("silence_s", 0.3, 5.0),
        ):  # fmt: skip
            if not least <= (value := getattr(self, name)) <= most:
                raise ConfigError(f"control.{name} must be {least:g} to {most:g}, got {value!r}.")
        for name in ("address", "watch"):
            self._check_reach(name, getattr(self, name))
        if not self.enabled and self.asked_for:
            raise ConfigError(
                "control.enabled is false, but control.required, control.remote or control.watch "
                "ask for the link: take one of them out."
            )

    @property
    def asked_for(self) -> bool:
        """Whether a door is wanted, rather than merely open where one can be."""
        return self.required or self.remote or self.watch not in ("", HERE)

    def _check_reach(self, name: str, address: str) -> None:
        if not address and name == "watch":
            return
        if not stays_here(address, f"control.{name}") and not self.remote:
            raise ConfigError(
                f"control.{name} reaches beyond this machine, got {address!r}: say control.remote "
                f"= true if other machines are meant to reach the session, or use "
                f"'tcp://127.0.0.1:*'."
            )
