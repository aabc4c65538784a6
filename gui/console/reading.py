"""What the product's commands print, as the console understands it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...runtime.quality import Quality
from .session import Found, Model

_OF_PROGRAM = ("package ", "diverloop")
_SCORES = ("nested_choice", "cross_validation", "leave_one_recording_out")


def found_of(finding: Mapping[str, Any]) -> Found:
    """One finding of ``diverloop doctor``."""
    told = (str(finding.get("got", "")), str(finding.get("advice", "")))
    return Found(
        name=str(finding.get("name", "")),
        ok=finding.get("ok"),
        detail=": ".join(part for part in told if part),
    )


def findings_of(findings: Sequence[Mapping[str, Any]]) -> tuple[Found, ...]:
    """What ``diverloop doctor`` found, as few lines as staff can use.

    Parameters
    ----------
    findings : sequence of mapping
        As it printed them.

    Returns
    -------
    found : tuple of Found
        What concerns staff, one by one; versions and packages as one, ``"program"``, which is good
        unless one is bad: what is merely not installed is not needed here.
    """
    found = [found_of(one) for one in findings]
    program = [one for one in found if one.name == "Python" or one.name.startswith(_OF_PROGRAM)]
    bad = [one for one in program if one.ok is False]
    rest = tuple(one for one in found if one not in program)
    if not program:
        return rest
    detail = "; ".join(one.detail for one in bad)
    return (*rest, Found(name="program", ok=not bad, detail=detail))


def model_of(scores: Mapping[str, Any]) -> Model:
    """How good a fit is; of several scores the one that also paid for its own choices.

    Parameters
    ----------
    scores : mapping
        As ``diverloop fit --json`` prints them.

    Returns
    -------
    model : Model
        With no trials if nothing was tested.
    """
    for name in _SCORES:
        score = scores.get(name)
        if isinstance(score, Mapping) and score.get("accuracy") is not None:
            low, high = score["interval"]
            return Model(
                accuracy=float(score["accuracy"]),
                low=float(low),
                high=float(high),
                chance=float(score.get("chance", 0.5)),
                trials=int(score["n"]),
            )
    return Model(accuracy=0.0, low=0.0, high=0.0, chance=0.0, trials=0)


def quality_of(facts: Mapping[str, Any]) -> Quality | None:
    """The electrodes as ``diverloop doctor --stream`` saw them; None if it saw none.

    Parameters
    ----------
    facts : mapping
        What it printed.

    Returns
    -------
    quality : Quality or None
        In the vocabulary of a running session.
    """
    channels = facts.get("stream", {}).get("channels", ())
    if not channels:
        return None
    return Quality(
        channels=tuple(str(one["name"]) for one in channels),
        scores=np.array([np.nan_to_num(one["score"] or 0.0) for one in channels]),
        causes=tuple(str(one["cause"]) for one in channels),
        usable=np.array([not one["masked"] for one in channels]),
    )
