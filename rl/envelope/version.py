"""Heads that were proposed or served, with where they come from."""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime.prototype_head import PrototypeHead

ROLL_BACK = "roll-back"
"""Rule of a version that brings back an earlier one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Proposal:
    """A head that a learner would like to see serve.

    Parameters
    ----------
    head : PrototypeHead
        All of it, so that nothing else of the learner is needed.
    rule : str
        By what it came about, in a few words.
    trials : tuple of int
        Numbers of the trials that it rests on, beyond those of its parent.
    """

    head: PrototypeHead
    rule: str
    trials: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Version:
    """A head that serves, or served.

    Parameters
    ----------
    epoch : int
        Grows with every change, also with those that go back.
    head : PrototypeHead
        What decides.
    sha256 : str
        Of the head. A version that was rolled back to has the hash that it had before.
    parent : str
        Hash of the head that served before it; empty for the first.
    rule : str
        By what it came about.
    trials : tuple of int
        Numbers of the trials that it rests on, beyond those of its parent.
    reason : str
        Why it came to serve, in one sentence with the figures.
    who : str
        A rule or a person.
    at_s : float
        When, in seconds of the loop's clock.
    """

    epoch: int
    head: PrototypeHead
    sha256: str
    parent: str = ""
    rule: str = "calibration"
    trials: tuple[int, ...] = ()
    reason: str = "It was fitted so."
    who: str = "calibration"
    at_s: float = 0.0
