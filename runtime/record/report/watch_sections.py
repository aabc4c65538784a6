"""On the signal, as the session itself saw it: masked electrodes, findings, suspected seizures."""

from __future__ import annotations

import numpy as np

from ...messages import EventKind
from .markup import Html, Part, element, table
from .summary import Facts, place_noun
from .watch import Mask, Suspicion, Watch
from .watch_pictures import MOST_ROWS, watch_picture
from .wording import count, duration, listed, moment

GUARD = "research guard, not a diagnosis"
_MOST_SPANS = 40
_WORDS = {
    EventKind.SPIKE: (f"Spike-like discharges ({GUARD})", "windows that touch one were left out"),
    EventKind.RIPPLE: (f"High-frequency oscillations ({GUARD})", "told, nothing was left out"),
    EventKind.BLANKED: ("Stimulation pulses", "their artefact was left out"),
    EventKind.CLEANED: (
        "Moments in which artefact removal changed too much",
        "windows that touch one were left out",
    ),
}


def watched(facts: Facts) -> list[Part]:
    """What the loop saw of its own signal.

    Parameters
    ----------
    facts : Facts
        What is known.

    Returns
    -------
    parts : list of Part
        Empty if the recording tells nothing of it.
    """
    record, watch = facts.record, facts.watch
    if watch.empty:
        return []
    noun = place_noun(record)
    parts: list[Part] = [element("h3", "What the session itself saw")]
    parts += [_alarm(suspicion) for suspicion in watch.suspicions]
    if watch.n_channels:
        parts.append(element("p", _masked_sentence(watch, noun), " ", _number_sentence(watch)))
    if watch.masks or watch.found or watch.suspicions:
        caption = _caption(watch, noun)
        parts.append(watch_picture(watch, record.duration_s, caption=caption))
    if watch.masks:
        parts += _mask_table(watch.masks, noun)
    if watch.found:
        parts.append(_found_table(watch))
    return parts


def _alarm(suspicion: Suspicion) -> Html:
    text = f"Suspected seizure at {moment(suspicion.at_s)} ({GUARD}). "
    if suspicion.halt is None:
        text += "Output was off already."
    else:
        halt = suspicion.halt
        text += f"Output was stopped for {duration(halt.stop_s - halt.start_s)}, from "
        text += f"{moment(halt.start_s)} to {moment(halt.stop_s)}."
    # What the guard said begins with what it is not; that is said above already.
    said = suspicion.text.removeprefix("Research guard, not a diagnosis: ")
    return element("p", f"{text} {said[:1].upper()}{said[1:]}", class_="notice")


def _masked_sentence(watch: Watch, noun: str) -> str:
    names = watch.names
    if not names:
        return f"None of {count(watch.n_channels, noun)} was masked."
    text = f"{len(names)} of {count(watch.n_channels, noun)} {_was(len(names))} masked"
    last = list(dict.fromkeys(mask.name for mask in watch.masks if mask.to_the_end))
    if last:
        text += f", {listed(last)} to the end"
    return f"{text}; nothing was decided from a masked {noun}."


def _was(n: int) -> str:
    return "was" if n == 1 else "were"


def _number_sentence(watch: Watch) -> str:
    worst = int(np.argmin(watch.overall))
    return (
        f"Its one number for the signal, from 0 to 1, was {np.median(watch.overall):.2f} in the "
        f"median and {watch.overall[worst]:.2f} at worst, at {moment(watch.times_s[worst])}."
    )


def _caption(watch: Watch, noun: str) -> str:
    said = []
    if watch.names:
        said.append(f"a bar where {_some(watch, noun)} masked, coloured by the reason")
    if watch.found:
        said.append("a stroke for every finding")
    if watch.suspicions:
        said.append("a diamond where a seizure was suspected, and a bar while output was stopped")
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}."


def _some(watch: Watch, noun: str) -> str:
    more = len(watch.names) - MOST_ROWS
    if more > 0:
        return f"one of the first {MOST_ROWS} of {len(watch.names)} {noun}s was"
    return f"{noun}s were" if len(watch.names) > 1 else f"the {noun} was"


def _mask_table(masks: tuple[Mask, ...], noun: str) -> list[Part]:
    rows = [
        (
            mask.name,
            moment(mask.start_s),
            "the end" if mask.to_the_end else moment(mask.stop_s),
            duration(mask.stop_s - mask.start_s),
            mask.cause or "not told",
        )
        for mask in masks[:_MOST_SPANS]
    ]
    head = (f"Masked {noun}", "From", "To", "For", "Why")
    parts: list[Part] = [table(head, rows)]
    if len(masks) > _MOST_SPANS:
        parts.append(element("p", f"{len(masks) - _MOST_SPANS} later times are in the recording."))
    return parts


def _found_table(watch: Watch) -> Html:
    rows = []
    for kind, at_s in watch.found.items():
        what, done = _WORDS[kind]
        first, last = moment(float(at_s.min())), moment(float(at_s.max()))
        when = first if len(at_s) == 1 else f"{first} to {last}"
        rows.append((what, f"{len(at_s):,}", when, done))
    return table(("Found in the signal", "How often", "When", "What was done"), rows)
