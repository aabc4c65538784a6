"""What a source or a sink was tried with: a fact beside its class, from which a table is made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    """What is known of a source or a sink; the class attribute ``tested`` of each.

    Parameters
    ----------
    what : str
        What it connects to, in a few words.
    against : str
        What it was really run with.
    never : str
        What it was never run with; empty if nothing that matters is left.
    connect : str
        How to connect it, in one line.
    extra : str
        The extra of this package that it needs, as in ``pip install diverloop[EXTRA]``; empty for
        none.
    """

    what: str
    against: str
    never: str
    connect: str
    extra: str = ""

    def __post_init__(self) -> None:
        for name in ("what", "against", "connect"):
            if not getattr(self, name):
                raise ValueError(f"tested.{name} is empty: say it in one line.")
        if any("\n" in text or "|" in text for text in (self.what, self.against, self.connect)):
            raise ValueError("A record of what was tested has one line a field, and no | in it.")
