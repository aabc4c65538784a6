"""A decision and a command as one row of numbers, for whoever takes numbers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..runtime.messages import Command, Decision
from .command_form import class_index

FIXED = ("stop_sample", "lsl_time", "epoch", "decided", "commanded", "strength", "selected")
"""Channels of the decision stream before the probabilities, one per class, named ``p:<class>``.

``stop_sample`` is the index one past the last sample of the window, ``lsl_time`` the LSL time of
that sample in the loop's machine, ``epoch`` the version of the weights; ``decided`` and
``commanded`` are class indices, -1 for neutral; ``strength`` is the accumulated evidence, or the
speed, and ``selected`` is 1 at a selection. A neutral decision has NaN probabilities where nothing
was decoded. `VELOCITY` follows.
"""

VELOCITY = ("v:1", "v:2", "v:3")
"""The last channels of the decision stream: share of full speed along each axis, -1 to 1.

They are there whatever the feedback is, and 0 where it has no velocity or not so many axes.
"""


class DecisionRow:
    """Fills one row again and again.

    Parameters
    ----------
    classes : tuple of str
        What the probabilities speak of, in order.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.labels = (*FIXED, *(f"p:{label}" for label in classes), *VELOCITY)
        """What the numbers are, in order."""
        self._values = np.zeros(len(self.labels))
        self._index = class_index(classes)

    def fill(self, decision: Decision, command: Command) -> NDArray[np.float64]:
        """The numbers of one decision.

        Parameters
        ----------
        decision : Decision
            What was decided.
        command : Command
            What was asked for.

        Returns
        -------
        values : ndarray, shape (n_labels,)
            The same memory each time.
        """
        values = self._values
        values[0] = decision.stop_sample
        values[1] = decision.lsl_corrected_s
        values[2] = decision.epoch
        values[3] = self._index[decision.label]
        values[4] = self._index[command.label]
        values[5] = command.strength
        values[6] = command.selected
        values[len(FIXED) : -len(VELOCITY)] = decision.probabilities
        values[-len(VELOCITY) :] = 0
        for axis, speed in enumerate(command.velocity, start=len(values) - len(VELOCITY)):
            values[axis] = speed
        return values

    def farewell(self) -> NDArray[np.float64]:
        """The last row: no sample, neutral, at rest.

        Returns
        -------
        values : ndarray, shape (n_labels,)
            The same memory each time.
        """
        values = self._values
        values[:] = math.nan
        values[[0, 3, 4]] = -1
        values[[5, 6]] = 0
        values[-len(VELOCITY) :] = 0
        return values
