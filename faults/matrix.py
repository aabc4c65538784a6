"""The faults that are tried, as data: what is done, and what must happen.

A row says what is done in one sentence, what must happen in another, and how a machine tells:
which kinds of event must be told, each at least once and seldom; what a trial has to look for.
``trials`` runs the rows, ``docs/faults.md`` lists them.
"""

from __future__ import annotations

from .row import LENGTH_S as LENGTH_S
from .row import Row as Row
from .stages import (
    DECODER,
    DOORS,
    LEARNER,
    OUTPUT,
    PERSONS,
    PROCESSES,
    RECORDING,
    WATCHERS,
)
from .streams import LSL, START, STREAM

ROWS: tuple[Row, ...] = (
    *STREAM, *LSL, *START, *DECODER, *OUTPUT, *WATCHERS, *RECORDING, *LEARNER, *PERSONS, *DOORS,
    *PROCESSES,
)  # fmt: skip
"""Every fault, in the order of the report."""
