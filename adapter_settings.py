"""What a session may ask of a person in another way than its model does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .runtime.card import Card
from .runtime.errors import ConfigError
from .runtime.settings import build


def adapter_settings(kind: Any, card: Card, named: Mapping[str, Any]) -> Any:
    """The adapter's own settings, but for those that a session names and may change.

    Parameters
    ----------
    kind : type
        The adapter's class. ``PER_SESSION`` lists what a session may name; nothing if it has none.
    card : Card
        Of the model.
    named : mapping
        The table ``[adapter]``; a table in it changes only the keys that it has.

    Returns
    -------
    settings : object
        Instance of ``kind.Config``.

    Raises
    ------
    ConfigError
        If a key belongs to the model, or a value cannot be used.
    """
    own: dict[str, Any] = dict(card.adapter_config)
    allowed = getattr(kind, "PER_SESSION", ())
    for key, value in named.items():
        if key not in allowed:
            raise ConfigError(
                f"adapter.{key} belongs to the model and not to a session; of the adapter "
                f"{card.adapter} a session may name {', '.join(allowed) or 'nothing'}."
            )
        nested = isinstance(value, Mapping) and isinstance(own.get(key), Mapping)
        own[key] = {**own[key], **value} if nested else value
    return build(kind.Config, own, "adapter" if named else "card.adapter_config")
