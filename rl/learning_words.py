"""What a session and its learner say to each other; see `pipe`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import DiverloopError
from ..runtime.prototype_head import PREFIX, PrototypeHead
from .trial import Reward, Trial

LONGEST_RULE = 200
"""Letters of what a learner says of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Which rule to make, and what serves now.

    Parameters
    ----------
    learner : str
        Name in the catalogue.
    settings : mapping
        Of its ``Config``.
    classes : tuple of str
        Of the head.
    arrays : mapping of str to ndarray
        As in `PrototypeHead.to_arrays`.
    """

    learner: str
    settings: Mapping[str, Any]
    classes: tuple[str, ...]
    arrays: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The rule is made, or why it is not.

    Parameters
    ----------
    refusal : str
        Empty if it is.
    """

    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saw:
    """A trial.

    Parameters
    ----------
    n : int
        Number of this message.
    trial : Trial
        What was decided.
    """

    n: int
    trial: Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What became known of a trial.

    Parameters
    ----------
    n : int
        Number of this message.
    reward : Reward
        What.
    """

    n: int
    reward: Reward


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """Another head serves than the one that was proposed.

    Parameters
    ----------
    n : int
        Number of this message.
    arrays : mapping of str to ndarray
        The head.
    """

    n: int
    arrays: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """All up to a message was taken in; a head, if it is another than before.

    Parameters
    ----------
    after : int
        Number of the last message taken in.
    arrays : mapping of str to ndarray
        Empty if nothing changed.
    rule : str
        What was done.
    """

    after: int
    arrays: Mapping[str, NDArray[np.float64]]
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye:
    """The session is over."""


TYPES: dict[bytes, type] = {
    kind.__name__.encode(): kind for kind in (Opening, Opened, Saw, Heard, Adopt, Learnt, Bye)
}
"""What each topic holds."""


def head_like(serving: PrototypeHead, arrays: Mapping[str, Any]) -> PrototypeHead:
    """A head out of arrays that somebody else sent, if it could serve.

    Parameters
    ----------
    serving : PrototypeHead
        What they must look like.
    arrays : mapping of str to ndarray
        As they came.

    Returns
    -------
    head : PrototypeHead
        Of the same classes and shapes.

    Raises
    ------
    DiverloopError
        If they are anything else.
    """
    own = serving.to_arrays()
    for name, array in own.items():
        got = arrays.get(name)
        if not isinstance(got, np.ndarray) or got.dtype != array.dtype or got.shape != array.shape:
            raise DiverloopError(
                f"no {name.removeprefix(PREFIX)} like that of the head that serves"
            )
    return PrototypeHead.from_arrays(serving.classes, {name: arrays[name] for name in own})
