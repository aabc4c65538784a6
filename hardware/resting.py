"""What sinks say when there is nothing to do, before and after a session."""

from __future__ import annotations

import numpy as np

from ..runtime.messages import Decision

NOT_OPEN = "the output is not open"
OVER = "the session is over"
BACK = "the output is back, and begins with rest"


def no_decision(classes: tuple[str, ...], reason: str) -> Decision:
    """The neutral decision that rests on no samples.

    Parameters
    ----------
    classes : tuple of str
        As the model has them.
    reason : str
        Why there is none.
    """
    return Decision(
        classes=classes, probabilities=np.full(len(classes), np.nan), label=None, reason=reason
    )
