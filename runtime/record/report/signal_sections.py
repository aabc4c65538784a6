"""Sections on the signal: quality, spectra, and what happened around the cues."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from .head_pictures import head_maps
from .locked import Locked
from .locked_pictures import averages, before_and_after, erd_maps, shown_rows
from .markup import Html, Part, element, missing
from .signal_pictures import alpha_peak, quality_map, spectra
from .summary import Facts, faults, place_noun
from .watch_sections import watched
from .wording import count, listed, signed, spoken

_FEWEST = 3  # trials of a class: of fewer nothing can be told from chance


def quality(facts: Facts) -> list[Part]:
    """Quality of every channel over time, and what the session itself saw of it."""
    return [*_surveyed(facts), *watched(facts)]


def _surveyed(facts: Facts) -> list[Part]:
    survey = facts.survey
    if not survey.verdicts:
        return [missing("The recording is shorter than a second: too short to judge the signal.")]
    if not survey.share.any():
        return [missing("No whole second of signal reached the recording, so there is no map.")]
    noun = place_noun(facts.record)
    bad = [entry for entry in survey.verdicts if not entry.good]
    good = len(survey.verdicts) - len(bad)
    caption = (
        f"Bright is good: {good} of {count(len(survey.verdicts), noun)} were good most of the time"
    )
    caption += f"; {faults(bad)} (marked !)" if bad else ""
    if survey.lost:
        caption += f"; {_triangles(len(survey.lost))}"
    if survey.every > 1:
        caption += f"; one second in {survey.every} was measured"
    others = facts.record.spec.n_channels - len(survey.names)
    if others:
        caption += f"; {count(others, 'other channel')} (not brain signal) not judged"
    parts: list[Part] = [quality_map(survey, facts.record.duration_s, caption=f"{caption}.")]
    parts.append(
        element(
            "p",
            "Each second is judged for a flat line, clipping and mains hum, and compared with the "
            "rest of the session for fast noise (muscle, a loose contact) and slow swings "
            "(movement). The comparison cannot see a fault that all of them share all the time.",
        )
    )
    return parts


def _triangles(n: int) -> str:
    return "a triangle marks the interruption" if n == 1 else f"triangles mark {n:,} interruptions"


def frequencies(facts: Facts) -> list[Part]:
    """Spectra of the channels."""
    survey = facts.survey
    known = np.isfinite(survey.psd).all(axis=1) if survey.psd.size else np.zeros(0, bool)
    if not known.any() or survey.freqs_hz[-1] < 4:
        return [missing("No channel was good for long enough to draw a spectrum.")]
    kinds = tuple(facts.record.spec.channels[row].kind for row in survey.rows)
    group, peak_hz, height_db = alpha_peak(survey, kinds)
    caption = f"Median spectra of {count(int(known.sum()), 'channel')} by region"
    if height_db > 2:
        caption += (
            f"; the clearest rhythm between 7 and 14 Hz is {group}, at {peak_hz:.0f} Hz, "
            f"{height_db:.0f} dB above its surroundings"
        )
    elif not np.isnan(height_db):
        caption += "; there is no clear rhythm between 7 and 14 Hz"
    return [spectra(survey, kinds, caption=f"{caption}.")]


def around_cues(facts: Facts) -> list[Part]:
    """What the signal did when something was asked."""
    if facts.cues is None:
        return [missing("There were no cues, so there is nothing that the signal could follow.")]
    locked = facts.survey.locked
    if locked is None:
        text = "No cue has a whole stretch of signal around it: each touches a gap or an end."
        return [missing(text)]
    if max(locked.used) < _FEWEST:
        text = f"Too few whole trials to draw what the signal did: {_trials_used(locked)}."
        return [missing(text)]
    if np.isnan(locked.effect).all():
        low, high = locked.band_hz
        rate_hz = facts.record.spec.rate_hz
        return [missing(f"At {rate_hz:g} Hz the signal holds nothing from {low:g} to {high:g} Hz.")]
    survey = facts.survey
    good = [entry.good for entry in survey.verdicts] or [True] * len(survey.names)
    rows, usual = shown_rows(locked, survey.names, good)
    if locked.cues.brief:
        return _events(facts, locked, rows, good, usual=usual)
    return _tasks(facts, locked, rows, good, usual=usual)


def _trials_used(locked: Locked) -> str:
    each = [
        f"{n} {spoken(label)}" for label, n in zip(locked.cues.labels, locked.used, strict=True)
    ]
    left = len(locked.cues.samples) - sum(locked.used)
    return listed(each) + (f"; {left} not whole and left out" if left else "")


def _why_these(*, usual: bool) -> str:
    if usual:
        return ""
    return " These channels were picked because the classes differ most there, which flatters them."


def _tasks(
    facts: Facts, locked: Locked, rows: list[int], good: list[bool], *, usual: bool
) -> list[Part]:
    names = facts.survey.names
    low, high = locked.band_hz
    effects = []
    for label, n in zip(locked.cues.labels, locked.used, strict=True):
        change = locked.of_class(label)[rows]
        if n and np.isfinite(change).all():
            row = rows[int(np.abs(change).argmax())]
            effects.append(_effect(locked, label, row, names[row]))
    caption = (
        f"Power from {low:g} to {high:g} Hz {listed(effects)}; maps are smoothed over 3 Hz. "
        f"Trials: {_trials_used(locked)}.{_why_these(usual=usual)}"
    )
    parts: list[Part] = [erd_maps(locked, names, rows, caption=caption)]
    parts.append(
        before_and_after(
            locked, names, rows,
            caption="The same trials as spectra: grey before the cue, coloured from 1 s after it; "
            "where a coloured line lies below the grey one, power fell.",
        )
    )  # fmt: skip
    parts.append(_heads(facts, locked, good))
    return parts


def _effect(locked: Locked, label: str, row: int, name: str) -> str:
    """How a class changed a channel, with the 95 % interval over trials."""
    mine = [place for place, other in enumerate(locked.effect_label) if other == label]
    values = locked.effect[mine, row]
    if len(values) < _FEWEST:
        return f"has too few trials to tell with {spoken(label)}"
    middle, half = float(values.mean()), 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5
    low, high = (signed(100 * float(np.expm1(end))) for end in (middle - half, middle + half))
    amount = f"{signed(100 * float(np.expm1(middle)))} %, 95 % interval {low} to {high} %"
    if abs(middle) <= half:
        return f"did not change clearly with {spoken(label)} (most at {name}: {amount})"
    word = "fell" if middle < 0 else "rose"
    return f"{word} most at {name} with {spoken(label)} ({amount})"


def _events(
    facts: Facts, locked: Locked, rows: list[int], good: list[bool], *, usual: bool
) -> list[Part]:
    names = facts.survey.names
    peaks = []
    for place, label in enumerate(locked.cues.labels):
        if not locked.used[place]:
            continue
        curve = locked.mean[place, rows][:, locked.times_s > 0.1]
        row, at = np.unravel_index(int(np.abs(curve).argmax()), curve.shape)
        at_ms = 1e3 * locked.times_s[locked.times_s > 0.1][at]
        peaks.append(
            f"{spoken(label)} peaks with {signed(float(curve[row, at]), 1)} µV at "
            f"{names[rows[row]]} after {at_ms:.0f} ms"
        )
    caption = (
        f"{_capital(listed(peaks))}; the bands are 95 % intervals of the average. "
        f"Events: {_trials_used(locked)}.{_why_these(usual=usual)}"
    )
    return [averages(locked, names, rows, caption=caption), _heads(facts, locked, good)]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _heads(facts: Facts, locked: Locked, good: list[bool]) -> Html:
    survey = facts.survey
    channels = [facts.record.spec.channels[row] for row in survey.rows]
    what = (
        "the mean voltage from 250 to 450 ms after the event"
        if locked.cues.brief
        else f"the change of power from {locked.band_hz[0]:g} to {locked.band_hz[1]:g} Hz"
    )
    bad = [name for name, fine in zip(survey.names, good, strict=True) if not fine]
    scalp = all(channel.kind == "eeg" for channel in channels)
    seen = "Seen from above, nose up" if scalp else "Contacts in the plane of their widest spread"
    text = f"{seen}: {what}; "
    strongest = _strongest(locked, survey.names, good)
    text += strongest + (f"; {listed(bad)} (crosses) left out" if bad else "")
    drawn = head_maps(locked, channels, good, caption=f"{text}.")
    if drawn is not None:
        return drawn
    return missing("There is no map of the head: the places of the electrodes were not recorded.")


def _strongest(locked: Locked, names: tuple[str, ...], good: list[bool]) -> str:
    """Where two classes differ, if beyond what the best of many channels does by luck."""
    pair = [label for label in locked.cues.labels if label in locked.effect_label]
    if len(pair) != 2:
        return f"one map for each of {count(len(pair), 'class', 'classes')}"
    n = [locked.effect_label.count(label) for label in pair]
    apart = np.nan_to_num(np.where(good, locked.separation(), -1), nan=-1)
    best, t = int(apart.argmax()), float(apart.max()) / (1 / n[0] + 1 / n[1]) ** 0.5
    if t < NormalDist().inv_cdf(1 - 0.025 / len(names)):
        return "the classes do not differ clearly at any single place"
    return (
        f"the classes lie furthest apart at {names[best]}, by {apart[best]:.1f} times the spread "
        "between trials"
    )
