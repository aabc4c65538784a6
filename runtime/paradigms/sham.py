"""The sham arm of a neurofeedback study: who is in it, and what its feedback follows.

The arm follows from the pseudonym and a secret of the study. It stands in no setting and on no
screen, and is written into the record alone.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError

Floats = NDArray[np.float64]

ARMS = ("real", "sham")


def seed_of(*words: str) -> int:
    """A seed that follows from words alone, the same on every machine; 64 bits."""
    digest = hashlib.sha256("\0".join(words).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def assign_arm(participant: str, study: str, share_sham: float = 0.5) -> str:
    """Which arm a person is in, by lot; the same whenever it is asked.

    Parameters
    ----------
    participant : str
        Pseudonym, not empty.
    study : str
        Secret of the study: without it nobody can work the arm out in advance.
    share_sham : float
        Chance of the sham arm, in [0, 1].

    Returns
    -------
    arm : str
        One of `ARMS`.

    Raises
    ------
    ConfigError
        If there is no pseudonym, or the share is no share.

    Notes
    -----
    Lots are drawn for each person alone, so arms of a small study may differ in size.
    """
    if not participant:
        raise ConfigError("The arm needs the participant's pseudonym, got none: name it.")
    if not 0 <= share_sham <= 1:
        raise ConfigError(f"share_sham must be in [0, 1], got {share_sham}: 0.5 is even.")
    return ARMS[seed_of("arm", study, participant) < share_sham * 2**64]


def surrogate_course(course: Floats, n_steps: int, seed: int) -> Floats:
    """A course that never was: as variable and as sluggish as the given one, and no other's.

    Parameters
    ----------
    course : ndarray, shape (n,)
        A measure step by step, for example of a baseline; finite, 8 steps at least.
    n_steps : int
        How long the new one is, in the same steps.
    seed : int
        From `seed_of`.

    Returns
    -------
    surrogate : ndarray, shape (n_steps,)
        With the amplitude spectrum of the given one at random phases, and values distributed
        like it (amplitude adjusted, as in [1]_).

    Raises
    ------
    ConfigError
        If the course is too short or not finite.

    References
    ----------
    .. [1] Theiler, Eubank, Longtin, Galdrikian, Farmer. Testing for nonlinearity in time series:
       the method of surrogate data. Physica D, 1992.
    """
    if course.ndim != 1 or len(course) < 8 or not np.isfinite(course).all():
        raise ConfigError(
            f"A course needs 8 finite steps or more, got shape {course.shape}: use a longer "
            f"baseline."
        )
    rng = np.random.default_rng(seed)
    # Twice as long as needed and then cut, so that the end does not lead back to the start.
    length = 2 * n_steps
    given = np.abs(np.fft.rfft(course - course.mean()))
    wanted = np.interp(np.fft.rfftfreq(length), np.fft.rfftfreq(len(course)), given)
    turned = wanted * np.exp(2j * np.pi * rng.random(len(wanted)))
    raw = np.fft.irfft(turned, length)[:n_steps]
    ranks = raw.argsort().argsort()
    values: Floats = np.quantile(course, (ranks + 0.5) / n_steps)
    return values
