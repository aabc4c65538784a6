"""Two counts of the same stream: samples of the source, and samples behind the conditioner."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How source samples and conditioned samples stand to each other, in whole numbers.

    Conditioned sample j stands for the time of source sample ``j * down / up``.

    Parameters
    ----------
    up, down : int
        Their rates are as ``down`` to ``up``.
    """

    up: int = 1
    down: int = 1

    @classmethod
    def between(cls, source_hz: float, conditioned_hz: float) -> Pace:
        """Find the whole numbers for two rates.

        Parameters
        ----------
        source_hz, conditioned_hz : float
            Rates, both positive.

        Returns
        -------
        pace : Pace
            In lowest terms.

        Raises
        ------
        ConfigError
            If no ratio of small whole numbers comes near enough.
        """
        # Here, for it brings scipy.signal: the recorder reads messages, and must be there at once.
        from .signal.resampling import simple_ratio

        ratio = simple_ratio(source_hz, conditioned_hz)
        return cls(ratio.numerator, ratio.denominator)

    def conditioned(self, source_sample: int) -> int:
        """First conditioned sample that is not before a source sample.

        Also how many conditioned samples there are once so many source samples have come.
        """
        return -(-source_sample * self.up // self.down)

    def source_first(self, sample: int) -> int:
        """First source sample that is not before a conditioned sample."""
        return -(-sample * self.down // self.up)

    def source_stop(self, stop: int) -> int:
        """How many source samples it takes for the conditioned samples before `stop`."""
        return (stop - 1) * self.down // self.up + 1 if stop > 0 else 0

    def source_span(self, first: int, stop: int) -> tuple[int, int]:
        """Source samples ``[first, stop)`` that conditioned samples stand for."""
        end = self.source_stop(stop)
        return min(self.source_first(first), end), end

    def behind(self, source_stop: int, stop: int) -> float:
        """How many source samples a conditioned stop lies behind a source's."""
        return source_stop - stop * self.down / self.up
