"""What the map of the electrodes says, in the language of the console."""

from __future__ import annotations

from ..electrode_state import MapWords
from .words import LANGUAGES, Words


def map_words(words: Words) -> MapWords:
    """Words for a map of electrodes.

    Parameters
    ----------
    words : Words
        Of the console.

    Returns
    -------
    found : MapWords
        In the same language; a cause that nobody has a word for is said as it came.
    """
    table = LANGUAGES[words.language]

    def cause(text: str) -> str:
        return table.get(f"cause_{text.replace(' ', '_')}", text)

    return MapWords(
        good=table["map_good"],
        doubtful=table["map_doubtful"],
        bad=table["map_bad"],
        unknown=table["map_unknown"],
        left_out=table["map_left_out"],
        low=table["map_low"],
        impedance=table["map_impedance"],
        marked=table["map_marked"],
        all_good=table["map_all_good"],
        waiting=table["map_waiting"],
        nothing=table["map_nothing"],
        more=table["map_more"],
        cause=cause,
    )
