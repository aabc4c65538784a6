"""What a fitted model says of itself, and whether a stream is the one it was fitted on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import msgspec

from .errors import BundleError, SchemaMismatch
from .messages import StreamSpec
from .windows import WindowConfig

FORMAT_VERSION = 1
"""Grows when a card's fields change their meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardChannel:
    """One row of the stream that the model was fitted on: its label and its kind."""

    name: str
    kind: str = "eeg"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardInput:
    """The raw stream that the model was fitted on.

    Parameters
    ----------
    rate_hz : float
        Nominal sampling rate.
    channels : tuple of CardChannel
        Rows, in order.
    schema : str
        `StreamSpec.schema` of that stream.
    unit : str
        Always ``"uV"``.
    """

    rate_hz: float
    channels: tuple[CardChannel, ...]
    schema: str
    unit: str = "uV"

    @classmethod
    def of(cls, spec: StreamSpec) -> CardInput:
        """Describe a stream."""
        rows = tuple(CardChannel(name=row.name, kind=row.kind) for row in spec.channels)
        return cls(rate_hz=float(spec.rate_hz), channels=rows, schema=spec.schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardWindow:
    """How the stream was cut.

    Parameters
    ----------
    length_s, step_s : float
        See `WindowConfig`.
    n_times : int
        Samples in a window.
    lock_to : tuple of str
        Markers that windows are locked to; empty for sliding ones.
    offset_s : float
        From a marker to the first sample of its window.
    device_delay_s : float
        By how much they were moved, because an event is in the signal later than its marker. A
        session moves them by what is right for its own device, so this is for comparison.
    """

    length_s: float
    step_s: float
    n_times: int
    lock_to: tuple[str, ...] = ()
    offset_s: float = 0.0
    device_delay_s: float = 0.0

    @classmethod
    def of(cls, window: WindowConfig, rate_hz: float) -> CardWindow:
        """Describe how a stream of that rate is cut."""
        return cls(
            length_s=window.length_s,
            step_s=window.step_s,
            n_times=window.n_times(rate_hz),
            lock_to=window.lock_to,
            offset_s=window.offset_s,
            device_delay_s=window.device_delay_s,
        )

    def config(self, step_s: float | None = None) -> WindowConfig:
        """The windows described, perhaps with another step."""
        return WindowConfig(
            length_s=self.length_s,
            step_s=step_s or self.step_s,
            lock_to=self.lock_to,
            offset_s=self.offset_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CardData:
    """One recording that the model was fitted on: identity, name, length, trials used."""

    data_id: str
    name: str
    seconds: float
    n_trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a fitted model is, in words and numbers that fit on a page.

    Parameters
    ----------
    task : str
        What it decodes, for example ``"motor_imagery"``.
    classes : tuple of str
        Names of the classes, in the order of the probabilities.
    encoder, adapter : str
        Names in the catalogue.
    encoder_config, adapter_config : dict
        What was chosen for them.
    conditioning : dict
        The session's conditioning, passed through unread.
    input : CardInput
        The raw stream it expects.
    conditioned_rows : tuple of str
        Names of the rows after conditioning, in order.
    window : CardWindow
        How the conditioned stream is cut.
    reference : str
        Electrical reference the conditioner computes, for example ``"average"``.
    band : tuple of 2 float
        Lowest and highest frequency that reaches the encoder, in Hz.
    trained_on : tuple of CardData
        Where its weights come from.
    scores : dict
        How well it did on data it had not seen.
    versions : dict
        Versions of what fitted it, see `versions_now`.
    created_utc : str
        When, ISO 8601.
    epoch : int
        Which generation of weights this is; grows with every promotion.
    feedback : dict
        Settings of the feedback that suits the task, and its ``"kind"`` in the catalogue unless
        that is ``"evidence"``; a session may say otherwise.
    weights_sha256 : str
        Filled in by `save_bundle`.
    format_version : int
        See `FORMAT_VERSION`.
    """

    task: str
    classes: tuple[str, ...]
    encoder: str
    adapter: str
    encoder_config: dict[str, Any]
    adapter_config: dict[str, Any]
    conditioning: dict[str, Any]
    input: CardInput
    conditioned_rows: tuple[str, ...]
    window: CardWindow
    reference: str
    band: tuple[float, float]
    trained_on: tuple[CardData, ...]
    scores: dict[str, Any]
    versions: dict[str, str]
    created_utc: str
    epoch: int = 0
    feedback: dict[str, Any] = dataclasses.field(default_factory=dict)
    weights_sha256: str = ""
    format_version: int = FORMAT_VERSION

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical card; with the weights' hash inside, it names the bundle."""
        return hashlib.sha256(self.to_json(indent=None).encode()).hexdigest()

    def _plain(self) -> dict[str, Any]:
        """Plain values; what came later is left out where it says nothing, so that hashes stay."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        if not self.feedback:
            del plain["feedback"]
        if not self.window.lock_to:
            del plain["window"]["lock_to"], plain["window"]["offset_s"]
        return plain

    def to_json(self, *, indent: int | None = 2) -> str:
        """Write the card down, keys sorted; raises `BundleError` for what JSON cannot hold.

        Parameters
        ----------
        indent : int, optional
            For people; None gives the canonical form that is hashed.

        Returns
        -------
        text : str
            JSON in ASCII.
        """
        try:
            return json.dumps(
                self._plain(),
                sort_keys=True,
                indent=indent,
                separators=(",", ":") if indent is None else None,
                allow_nan=False,
            )
        except (TypeError, ValueError) as error:
            raise BundleError(
                f"The card holds something that JSON cannot ({error}): "
                f"use text, finite numbers, lists and dicts only."
            ) from error


def versions_now() -> dict[str, str]:
    """Versions of Python and of the libraries that shape a fit, as far as installed."""
    found = {"python": platform.python_version()}
    for name in ("diverloop", "numpy", "scipy", "scikit-learn"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # the fit extra is not needed to serve
    return found


def pick_rows(card: Card, spec: StreamSpec) -> list[int]:
    """Find the model's channels in a stream that may order them otherwise or have more.

    Parameters
    ----------
    card : Card
        The model's card.
    spec : StreamSpec
        The raw stream.

    Returns
    -------
    rows : list of int
        ``samples[rows]`` is what the model was fitted on; ``range(n_channels)`` if nothing
        has to be moved.

    Raises
    ------
    SchemaMismatch
        If the rate or a kind differs, a channel is missing, or a name is there twice.
    """
    if spec.schema == card.input.schema:
        return list(range(spec.n_channels))
    if differences := _differences(card, spec):
        raise _mismatch(spec, differences)
    row_of = {name: row for row, name in enumerate(spec.channel_names)}
    return [row_of[row.name] for row in card.input.channels]


def _differences(card: Card, spec: StreamSpec) -> list[str]:
    """What no reordering can mend."""
    kinds = {row.name: row.kind for row in spec.channels}
    wanted = card.input.channels
    found = []
    if spec.rate_hz != card.input.rate_hz:
        found.append(f"rate is {spec.rate_hz:g} Hz, expected {card.input.rate_hz:g} Hz")
    if missing := [row.name for row in wanted if row.name not in kinds]:
        found.append(f"missing channels {_some(missing)}")
    spelt = {_plain(name): name for name in kinds}
    if otherwise := [
        f"{spelt[_plain(name)]} for {name}" for name in missing if _plain(name) in spelt
    ]:
        found.append(
            f"channels written otherwise ({_some(otherwise)}), which a mapping file for a session "
            f"renames (diverloop montage make --standard-names)"
        )
    if twice := sorted({name for name in kinds if spec.channel_names.count(name) > 1}):
        found.append(f"channels there more than once {', '.join(twice)}")
    if other := [
        f"{row.name} is {kinds[row.name]}, expected {row.kind}"
        for row in wanted
        if kinds.get(row.name, row.kind) != row.kind
    ]:
        found.append(f"kinds differ ({'; '.join(other)})")
    return found


_MOST_NAMED = 8  # channels in a sentence


def _some(words: list[str]) -> str:
    """The first few of them, and how many more there are."""
    more = len(words) - _MOST_NAMED
    return ", ".join(words[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _plain(name: str) -> str:
    """A channel's name whatever its case, and without the dots that some files pad it with."""
    return name.strip(" .").casefold()


def _mismatch(spec: StreamSpec, differences: list[str]) -> SchemaMismatch:
    return SchemaMismatch(
        f"The stream {spec.name!r} is not the one the model was fitted on: "
        f"{'; '.join(differences)}. Connect the right stream, or fit a model for this one."
    )
