"""What every student's file says of it, beside where its weights come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .corpus_files import CorpusEntry
from .student_config import RATE_HZ, StudentConfig

NOTICE = "Investigational, not a medical device."
_HOUR_S = 3600.0
_FOUNDATION_H = 5000.0  # of recordings: what the published teachers have learnt from, and more


def student_card(
    config: StudentConfig, entries: Iterable[CorpusEntry], modality: str
) -> dict[str, Any]:
    """Signal, use and limits of a student that was trained on these recordings.

    Parameters
    ----------
    config : StudentConfig
        What it looks like.
    entries : iterable of CorpusEntry
        What it was trained on.
    modality : str
        ``"EEG"``, ``"iEEG"`` or both, as a person reads it.

    Returns
    -------
    card : dict
        Plain text and numbers, for `save_student`'s note.
    """
    entries = list(entries)
    hours = sum(entry.seconds for entry in entries) / _HOUR_S
    simulated = sum(e.seconds for e in entries if e.licence == "simulated") / _HOUR_S
    return {
        "notice": NOTICE,
        "signal": {
            "rate_hz": RATE_HZ,
            "unit": "uV",
            "hop_s": config.hop / RATE_HZ,
            "patches_s": [samples / RATE_HZ for samples in config.scales],
            "context_s": config.context * config.hop / RATE_HZ,
            "band_hz": [0.3 if modality == "EEG" else 0.5, RATE_HZ / 2],
            "reference": "as recorded, or the mean of all electrodes",
            "modality": modality,
        },
        "intended_use": (
            "Embeddings of brain signal for research on decoders, read by a model that is fitted "
            "and judged on the person's own calibration."
        ),
        "limits": _limits(hours, simulated, entries),
    }


def _limits(hours: float, simulated: float, entries: list[CorpusEntry]) -> list[str]:
    words = [
        f"Trained on {_duration(hours)} of signal, {_duration(simulated)} of it simulated, from "
        f"{len(entries)} recordings: compare it with simpler decoders before relying on it.",
        "Nothing is known of persons, amplifiers and electrodes unlike those it was trained on.",
        "Not for diagnosis, and not for any output that could harm.",
    ]
    if hours < _FOUNDATION_H:
        words.insert(
            1,
            "It is not a foundation model: those have learnt from thousands of hours. Do not "
            "expect it to carry over to tasks and people that it has not seen.",
        )
    if any(not entry.calibrated for entry in entries):
        words.append("Some recordings have amplitudes in unknown units and were scaled to 10 uV.")
    return words


def _duration(hours: float) -> str:
    return f"{hours:.0f} h" if hours >= 10 else f"{60 * hours:.1f} min"


def summary(card: Mapping[str, Any]) -> list[str]:
    """The lines of a card that a person should read first: notice, use, limits."""
    lines = [str(card.get("notice", NOTICE))]
    if "intended_use" in card:
        lines.append(str(card["intended_use"]))
    return [*lines, *(str(line) for line in card.get("limits", ()))]
