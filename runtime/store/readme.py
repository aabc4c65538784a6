"""A bundle's card as the README.md of a Hugging Face repository: for people, and for its search.

The metadata block on top follows the hub's model cards (Mitchell et al., 2019) [1]_.
It names the number and the length of the recordings, never their names.

References
----------
.. [1] Mitchell, M. et al. (2019). Model cards for model reporting. FAT* 2019, 220-229.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..card import Card
from ..errors import ConfigError

_BODY = """# {title}

> **Investigational, not a medical device.** This model is research software. It must not be used
> to diagnose or to treat. Whoever connects it to a person does so under an approved protocol.

A model for [diverloop](https://pypi.org/project/diverloop/), a runtime for closed-loop
brain-computer interfaces. It decodes {task} into: {classes}.

    diverloop models pull {place} --sha256 {sha256}

## Intended use

Research on closed-loop decoding, on a stream like the one it was fitted on: {n_channels} channels
at {rate:g} Hz ({first_channels}), unit uV, reference {reference}, band {low:g} to {high:g} Hz,
windows of {length:g} s. diverloop refuses a stream with another rate or with channels missing.

Not for: diagnosis, treatment, monitoring, or any decision on a person's health or fitness; other
people than those it was fitted on, unless that was measured; other electrodes or amplifiers.

## How it was made

| | |
| --- | --- |
| encoder, adapter | {encoder}, {adapter} |
| recordings | {n_recordings}, {minutes:.1f} minutes, {n_trials} trials |
| made | {created} |
| versions | {versions} |
| SHA-256 of the bundle | `{sha256}` |
| signed by | {signed_by} |

## How well it did

{scores}

Figures are on data it had not seen, from whoever made it; nothing here says how it does elsewhere.

## Files

`card.json` is the whole description, `weights.safetensors` holds nothing but arrays, `card.sig` is
the signature of the two. Nothing in them can run code.
"""


def readme_of(card: Card, *, place: str, signed_by: str, licence: str = "other") -> str:
    """Write the model card of a bundle.

    Parameters
    ----------
    card : Card
        The bundle's, as saved.
    place : str
        Where it will lie, as ``models pull`` takes it.
    signed_by : str
        Fingerprint of the key that signed it; empty for nobody.
    licence : str
        Identifier as the hub lists them, for example ``"apache-2.0"``.

    Returns
    -------
    text : str
        Markdown with a YAML block on top.

    Raises
    ------
    ConfigError
        If the licence is no such identifier.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,60}", licence):
        raise ConfigError(
            f"A licence is an identifier of small letters, digits and .+- as apache-2.0 or other, "
            f"got {licence!r}."
        )
    seconds = sum(one.seconds for one in card.trained_on)
    names = [row.name for row in card.input.channels]
    body = _BODY.format(
        title=f"{_plain(card.task)} ({_plain(card.encoder)})",
        task=_plain(card.task),
        classes=", ".join(map(_plain, card.classes)) or "a value",
        place=place,
        sha256=card.sha256,
        n_channels=len(names),
        rate=card.input.rate_hz,
        first_channels=", ".join(map(_plain, names[:8])) + (" ..." if len(names) > 8 else ""),
        reference=_plain(card.reference),
        low=card.band[0],
        high=card.band[1],
        length=card.window.length_s,
        encoder=_plain(card.encoder),
        adapter=_plain(card.adapter),
        n_recordings=len(card.trained_on),
        minutes=seconds / 60,
        n_trials=sum(one.n_trials for one in card.trained_on),
        created=_plain(card.created_utc),
        versions=", ".join(f"{_plain(k)} {_plain(v)}" for k, v in sorted(card.versions.items())),
        signed_by=signed_by or "nobody",
        scores="\n".join(_scores(card.scores)) or "- nothing is written down",
    )
    return _metadata(card, licence) + body


def _metadata(card: Card, licence: str) -> str:
    """The YAML block; every text as a JSON string, which YAML reads as it is."""
    tags = ["diverloop", "brain-computer-interface", "eeg", "investigational", card.task]
    lines = [
        "library_name: diverloop",
        f"license: {licence}",
        "tags:",
        *(f"- {json.dumps(tag)}" for tag in dict.fromkeys(tags)),
        f"diverloop_format_version: {card.format_version}",
        f"diverloop_sha256: {json.dumps(card.sha256)}",
    ]
    return "---\n" + "\n".join(lines) + "\n---\n\n"


def _scores(scores: dict[str, Any], prefix: str = "") -> list[str]:
    """Numbers and short texts of the card's scores, one a line; lists stay in the card."""
    lines = []
    for name, value in sorted(scores.items()):
        if isinstance(value, dict):
            lines += _scores(value, f"{prefix}{_plain(name)}, ")
        elif isinstance(value, bool | int | str):
            lines.append(f"- {prefix}{_plain(name)}: {_plain(str(value))}")
        elif isinstance(value, float):
            lines.append(f"- {prefix}{_plain(name)}: {value:.4g}")
    return lines


def _plain(text: str) -> str:
    """One line without what Markdown or HTML would take for its own: a card is not ours alone."""
    return re.sub(r"[`|<>\[\]*\\]", " ", " ".join(text.split()))[:300]
