"""How often and how far a student's input is spoilt; no torch, so that a card can be read."""

from __future__ import annotations

from dataclasses import dataclass

from ..runtime.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """How often and how far a recording is spoilt.

    Parameters
    ----------
    jitter_s : float
        A window is shifted by at most this much either way; in [0, 0.1].
    gain_recording, gain_channel : float
        Largest factor, either way, on all channels alike and on each; in [1, 10].
    drop_probability, drop_most : float
        How often channels are lost, and the largest share of them; in [0, 1] and [0, 0.9].
    reference_probability : float
        How often the reference changes: to one channel, or to the mean of some.
    line_probability : float
        How often mains hum, 50 or 60 Hz with harmonics, is added.
    line_most : float
        Largest root mean square of the hum, in units of the recording's own; in [0, 5].
    line_harmonics : int
        Tones of the hum, the fundamental included; in [1, 4], all below 250 Hz.
    noise_probability, noise_most : float
        How often white noise is added, and its largest size in units of each channel's root mean
        square; in [0, 5].
    forget_positions : float
        How often a row's electrode positions are taken away.

    Raises
    ------
    ConfigError
        If a value is outside its range; probabilities lie in [0, 1].
    """

    jitter_s: float = 0.01
    gain_recording: float = 2.0
    gain_channel: float = 1.25
    drop_probability: float = 0.5
    drop_most: float = 0.5
    reference_probability: float = 0.4
    line_probability: float = 0.2
    line_most: float = 0.5
    line_harmonics: int = 4
    noise_probability: float = 0.3
    noise_most: float = 0.3
    forget_positions: float = 0.3

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(
                    f"{name} must be in [{low:g}, {high:g}], got {value!r}: leave it out for the "
                    f"default."
                )

    @classmethod
    def off(cls) -> AugmentConfig:
        """No augmentation: what is put in comes out."""
        return cls(
            jitter_s=0.0,
            gain_recording=1.0,
            gain_channel=1.0,
            drop_probability=0.0,
            reference_probability=0.0,
            line_probability=0.0,
            noise_probability=0.0,
            forget_positions=0.0,
        )


_RANGES = (
    ("jitter_s", 0.0, 0.1),
    ("gain_recording", 1.0, 10.0),
    ("gain_channel", 1.0, 10.0),
    ("drop_probability", 0.0, 1.0),
    ("drop_most", 0.0, 0.9),
    ("reference_probability", 0.0, 1.0),
    ("line_probability", 0.0, 1.0),
    ("line_most", 0.0, 5.0),
    ("line_harmonics", 1, 4),
    ("noise_probability", 0.0, 1.0),
    ("noise_most", 0.0, 5.0),
    ("forget_positions", 0.0, 1.0),
)
