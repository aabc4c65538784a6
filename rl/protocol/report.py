"""What a session's report says of a person's progress."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.errors import ConfigError
from ...runtime.json_text import parsed_json
from ...runtime.small_file import CARD_BYTES, read_small
from .bounds import Dose
from .history import Outcome


def read_report(path: Path) -> tuple[dict[str, Any], str]:
    """Read a session's report.

    Parameters
    ----------
    path : Path
        ``report.json`` of a session's folder.

    Returns
    -------
    report : dict
        As ``diverloop run`` wrote it.
    sha256 : str
        Of the file.

    Raises
    ------
    ConfigError
        If it cannot be read, or is none.
    """
    try:
        data = read_small(path, CARD_BYTES)
        report = parsed_json(data)
    except OSError as error:
        raise ConfigError(f"The report {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"The report {path} is not JSON ({error}): name report.json.") from error
    if not isinstance(report, dict) or "course" not in report:
        raise ConfigError(f"{path} is no report of a session: name report.json of its folder.")
    return report, hashlib.sha256(data).hexdigest()


def outcome_of(
    report: Mapping[str, Any],
    task: str,
    dose: Dose,
    *,
    participant: str = "",
    tired: float = 0.0,
    frustrated: float = 0.0,
    **more: str,
) -> Outcome:
    """What came of a session.

    Parameters
    ----------
    report : mapping
        From `read_report`.
    task : str
        Name of the task.
    dose : Dose
        What the session asked of the person.
    participant : str
        Whose it must be; empty asks for nothing.
    tired, frustrated : float
        How the person felt, 0 to 1; signs in the report may say more.
    **more : str
        ``ended_utc`` and ``report_sha256`` of the outcome.

    Returns
    -------
    outcome : Outcome
        The arm of a study, which a report may name, is not looked at: both arms are planned alike.

    Raises
    ------
    ConfigError
        If the report is of another person, or measured nothing that could be compared.
    """
    if task == "motor_imagery":
        probe, signs = _imagery_probe(report), (0.0, 0.0)
    else:
        parts = _parts(report, participant)
        try:
            probe, signs = _transfer_probe(parts), (_fatigue(parts), _frustration(parts, dose))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"The parts of neurofeedback in this report are not as they were written "
                f"({error!r}): name an unchanged report.json."
            ) from error
    return Outcome(
        dose=dose,
        probe=probe,
        fatigue=max(tired, signs[0]),
        frustration=max(frustrated, signs[1]),
        **more,
    )


def _parts(report: Mapping[str, Any], participant: str) -> list[dict[str, Any]]:
    course = report.get("course")
    if not isinstance(course, dict) or not isinstance(course.get("parts"), list):
        raise ConfigError(
            "The report tells of no blocks of neurofeedback: name that of a neurofeedback session "
            "that ran to its end."
        )
    theirs = course.get("participant", "nobody")
    if participant and theirs not in ("nobody", participant):
        raise ConfigError(
            f"The report is of participant {theirs!r}, asked for was {participant!r}: name that "
            f"participant's own report."
        )
    return list(course["parts"])


def _transfer_probe(parts: Sequence[Mapping[str, Any]]) -> float | None:
    """Transfer blocks above the baselines before training, in standard deviations at rest."""
    rest = _means(parts, "baseline:", ":pre")
    probes = _means(parts, "transfer:")
    if not rest or not probes:
        return None
    scale = _scale(parts)
    return None if scale is None else float((np.mean(probes) - rest[0]) / scale)


def _fatigue(parts: Sequence[Mapping[str, Any]]) -> float:
    """How far the measure sank from the first to the last third of blocks, in deviations at rest.

    Falling off in the course of a session is what fatigue, boredom and a dry electrode have in
    common; it is a sign and no measurement.
    """
    means, scale = _means(parts, "block:"), _scale(parts)
    third = len(means) // 3
    if not third or scale is None:
        return 0.0
    return float(np.clip((np.mean(means[:third]) - np.mean(means[-third:])) / scale, 0, 1))


def _frustration(parts: Sequence[Mapping[str, Any]], dose: Dose) -> float:
    """Share of blocks that were rewarded less than half as often as was aimed at."""
    rates = [
        part["reward_rate"]
        for part in parts
        if part["part"].startswith("block:") and part.get("reward_rate") is not None
    ]
    return float(np.mean([rate < dose.difficulty / 2 for rate in rates])) if rates else 0.0


def _scale(parts: Sequence[Mapping[str, Any]]) -> float | None:
    """Standard deviation at rest, as the first block had it; None if it cannot be divided by."""
    scale = next((part["scale"] for part in parts if part["part"].startswith("block:")), None)
    return float(scale) if scale and math.isfinite(scale) else None


def _means(parts: Sequence[Mapping[str, Any]], start: str, end: str = "") -> list[float]:
    return [
        float(part["measure"])
        for part in parts
        if part["part"].startswith(start)
        and part["part"].endswith(end)
        and part.get("measure") is not None
    ]


def _imagery_probe(report: Mapping[str, Any]) -> float | None:
    """Kappa of a run without feedback: 0 at chance, 1 if all is right."""
    told = report.get("accuracy")
    kappa = told.get("kappa") if isinstance(told, dict) else None
    if kappa is None:
        return None
    if not isinstance(kappa, int | float) or not math.isfinite(kappa):
        raise ConfigError(
            f"The kappa of this report is no number, got {kappa!r}: name an unchanged report.json."
        )
    return float(kappa)
