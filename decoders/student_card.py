"""What every student's file says of it, beside where its weights come from."""

from __future__ import annotations

from collections import Counter
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


def rows(config: StudentConfig, note: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A student's file in a few plain rows: what, and what is to be said of it.

    Parameters
    ----------
    config : StudentConfig
        What it looks like.
    note : mapping
        What its file says; a part that is missing has no row.

    Returns
    -------
    rows : list of (str, str)
        For a table.
    """
    found = []
    if signal := note.get("card", {}).get("signal"):
        low, high = signal["band_hz"]
        found.append((
            "reads",
            f"{signal['modality']} in {signal['unit']} at {signal['rate_hz']:g} Hz, {low:g} to "
            f"{high:g} Hz, any electrodes; reference: {signal['reference']}",
        ))  # fmt: skip
    found.append((
        "says",
        f"every {config.hop / RATE_HZ:g} s, {config.n_latents * config.width} numbers, and "
        f"{config.n_readings} for each channel",
    ))  # fmt: skip
    if corpus := note.get("corpus"):
        found.append(("learnt from", _corpus_words(corpus["recordings"])))
        credits = dict.fromkeys(one["credit"] for one in corpus["recordings"] if one["credit"])
        if credits:
            found.append(("thanks to", "; ".join(credits)))
    if teacher := note.get("teacher"):
        found.append(("taught by", _teacher_words(teacher)))
    if figures := note.get("validation"):
        found.append((
            "like its teacher",
            f"cosine {figures['pooled_cosine']:.2f} of the mean over channels, "
            f"{figures['token_cosine']:.2f} of each, on recordings that were kept out",
        ))  # fmt: skip
    if judged := note.get("evaluation"):
        found += _evaluation_rows(judged)
    return found


def _corpus_words(recordings: list[Mapping[str, Any]]) -> str:
    licences = Counter(str(one["licence"]) for one in recordings)
    listed = ", ".join(f"{n} {name}" for name, n in licences.most_common())
    minutes = sum(one["seconds"] for one in recordings) / 60
    return f"{len(recordings)} recordings, {minutes:.0f} minutes ({listed})"


def _teacher_words(teacher: Mapping[str, Any]) -> str:
    patch_s = teacher["config"]["patch"] / RATE_HZ
    return (
        f"DIVER-1 of width {teacher['config']['width']}, patches of {patch_s:g} s "
        f"({teacher['weights_sha256'][:12]})"
    )


_METHODS = {
    "student": "it alone",
    "teacher": "its teacher",
    "random": "its like with weights as drawn",
    "tangent": "covariances, without it",
    "both": "both, as calibration chose",
}


def _evaluation_rows(judged: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Scores of everything that was judged beside it, and what a tenth of the channels costs."""
    overall = judged["overall"]
    n_people = overall["student"]["subjects"]
    people = f"{n_people} people" if n_people > 1 else "1 person"
    n_tasks = len(judged["tasks"])
    tasks = f"{n_tasks} tasks" if n_tasks > 1 else "1 task"
    found = [("judged", f"{tasks}, {people}, points of 100:")]
    for arm, words in _METHODS.items():
        if one := overall.get(arm):
            low, high = one["interval"]
            found.append(("", f"{one['points']:5.1f} ({low:.0f} to {high:.0f})  {words}"))
    if lost := judged.get("lost", {}).get("student"):
        low, high = lost["interval"]
        spread = f" ({low:+.1f} to {high:+.1f})" if low < high else ""
        found.append(("a tenth masked", f"{lost['points']:+.1f}{spread} points"))
    return found
