"""Motor imagery: which movement is imagined, or none.

A class called ``rest`` or ``idle`` makes it asynchronous: the decoder then says all the time
whether anything is intended, and what is idle commands nothing.
"""

from __future__ import annotations

from ..runtime.collection import TrialSpan
from ..runtime.signal.bad_channels import BadChannelConfig
from ..runtime.signal.condition_config import ConditionConfig
from ..runtime.windows import WindowConfig
from .task import STUDENT, TUNED_STUDENTS, Task, Way

MU_BETA = ConditionConfig(
    reference="average",
    bands_hz=((8.0, 12.0), (12.0, 16.0), (16.0, 22.0), (22.0, 30.0)),
    order=2,
    bad_channels=BadChannelConfig(),
)
"""Mu and beta rhythms, average reference.

Second order delays by 0.12 s, fourth by 0.24 s; within calibration runs they decode alike.
"""

RHYTHMS = ConditionConfig(
    reference="average",
    bands_hz=((4.0, 38.0),),
    order=2,
    rate_hz=125.0,
    bad_channels=BadChannelConfig(),
)
"""One wide band for a network, which finds its own within it."""

MOTOR_IMAGERY = Task(
    name="motor_imagery",
    title="motor imagery",
    span=TrialSpan(classes=("left", "right")),
    window=WindowConfig(length_s=2.0),
    ways=lambda classes: (
        Way(encoder="filterbank_covariance", conditioning=MU_BETA),
        Way(encoder="aligned_covariance", conditioning=MU_BETA, aligned=True),
        Way(encoder="csp", conditioning=MU_BETA, classifier="lda"),
        STUDENT,
        *TUNED_STUDENTS,
        Way(encoder="cnn", conditioning=RHYTHMS, classifier="lda", on_request=True),
    ),
    simulator={"task": "motor_imagery", "classes": ("left", "right")},
)
"""Two to four imagined movements, with rest or without."""
