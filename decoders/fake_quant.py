"""A matrix that rounds its weights and its input as an integer engine would.

Weights have one step for each output and are symmetric; the input has one step and one zero point
for the whole matrix, from a running range of what was seen. The gradient passes the rounding as if
it were not there, and stops where the range ends [1]_. The step of the input may be learnt [2]_,
and outliers of the input may be moved into the weights beforehand [3]_.

References
----------
.. [1] Jacob et al. Quantization and training of neural networks for efficient
   integer-arithmetic-only inference. CVPR, 2018.
.. [2] Esser et al. Learned step size quantization. ICLR, 2020.
.. [3] Xiao et al. SmoothQuant: accurate and efficient post-training quantization for large
   language models. ICML, 2023.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..runtime.errors import ConfigError

_ROWS = 1 << 10  # rows that a percentile is read from; more would only cost time
_TINY = 1e-9  # smallest step: an input that is always zero must not divide by it


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantiseConfig:
    """What can be chosen about quantisation.

    Parameters
    ----------
    weight_bits : int
        Bits of a weight, 2 to 8. With 7 no sum of two products overflows 16 bits: processors
        without VNNI add them so, and with 8 they return wrong numbers without a word.
    activation_bits : int
        Bits of an input, 4 to 8; only 8 can be written as ONNX.
    symmetric : bool
        Zero points of inputs at 0, as TensorRT wants them; else a range may lie to one side.
    percentile : float
        Share in percent of a batch's values that its range spans, in (50, 100]; 100 spans all.
    momentum : float
        Weight of the newest batch in the running range, in (0, 1]; the first batches weigh more.
    learned_step : bool
        Inputs' steps are trained with the weights (Esser 2020) from where calibration put them.
    smooth : float or None
        How much of the inputs' outliers `calibrate` moves into the weights (Xiao 2023), in [0, 1];
        0.5 shares alike.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    symmetric: bool = False
    percentile: float = 100.0
    momentum: float = 0.05
    learned_step: bool = False
    smooth: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("weight_bits", 2), ("activation_bits", 4)):
            if not least <= getattr(self, name) <= 8:
                raise ConfigError(f"{name} must be {least} to 8, got {getattr(self, name)}.")
        if not 50 < self.percentile <= 100:
            raise ConfigError(f"percentile must be in (50, 100], got {self.percentile:g}.")
        if not 0 < self.momentum <= 1:
            raise ConfigError(f"momentum must be in (0, 1], got {self.momentum:g}.")
        if self.smooth is not None and not 0 <= self.smooth <= 1:
            raise ConfigError(f"smooth must be in [0, 1] or None, got {self.smooth:g}.")

    @property
    def weight_limit(self) -> int:
        """Largest integer of a weight; the smallest is its negative."""
        return int(2 ** (self.weight_bits - 1) - 1)

    @property
    def input_limits(self) -> tuple[int, int]:
        """Smallest and largest integer of an input."""
        half = int(2 ** (self.activation_bits - 1))
        return -half, half - 1


class Watch:
    """What all matrices of one student share: whether ranges follow the data, and whose data.

    Not part of any state dict: ranges are kept, how they came about is not.
    """

    def __init__(self) -> None:
        self.observing = False  # run in floating point and look
        self.frozen = False
        self.usable: Tensor | None = None  # (batch, n_channels, n), of the call that runs


class FakeQuantLinear(nn.Linear):
    """A matrix whose weights and input are rounded to integers times a step.

    Parameters
    ----------
    n_in, n_out : int
        Features in and out.
    config : QuantiseConfig
        What was chosen.
    watch : object
        Shared by all matrices of a student.
    by_channel : bool
        Each row of the input belongs to a channel, which may be absent.

    Attributes
    ----------
    low, high : Tensor, shape ()
        Running range of the input; it contains 0.
    count : Tensor of int64, shape ()
        Batches that were looked at.
    scale, zero : Tensor, shape (1,)
        Step and zero point (int32) of the input.
    weight_scale : Tensor, shape (n_out,)
        Step of each row of weights.
    log_step : Parameter of shape (1,) or None
        Logarithm of the input's step where it is learned.
    """

    def __init__(
        self, n_in: int, n_out: int, config: QuantiseConfig, watch: Watch, by_channel: bool
    ) -> None:
        super().__init__(n_in, n_out, bias=False)
        self.config, self._watch, self._by_channel = config, watch, by_channel
        self._ready = False  # of ranges; a Python value, so that a graph need not ask the tensor
        self.peaks: Tensor | None = None  # (n_in,), while `calibrate` smooths
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("zero", torch.zeros(1, dtype=torch.int32))
        self.register_buffer("weight_scale", torch.ones(n_out))
        self.register_buffer("weight_zero", torch.zeros(n_out, dtype=torch.int32), persistent=False)
        self.low: Tensor
        self.high: Tensor
        self.count: Tensor
        self.scale: Tensor
        self.zero: Tensor
        self.weight_scale: Tensor
        self.weight_zero: Tensor
        self.log_step = nn.Parameter(torch.zeros(1)) if config.learned_step else None

    def forward(self, x: Tensor) -> Tensor:
        """Any (..., n_in) to (..., n_out)."""
        if self._watch.observing:
            self._observe(x.detach())
            return F.linear(x, self.weight)
        follows = self.log_step is None or not self._ready
        if self.training and follows and not self._watch.frozen:
            self._observe(x.detach())
        if not self._ready:
            raise ConfigError(
                "The range of a quantised matrix's input is not known, needed is at least one "
                "batch: use `calibrate` or train first."
            )
        x = x if x.dtype == torch.float32 else x.float()
        return F.linear(self._rounded_input(x), self.rounded_weight())

    def rounded_weight(self) -> Tensor:
        """Weights on their grid, (n_out, n_in), in floating point."""
        if self.training or not self._watch.frozen:
            scale = self._scale_of_rows()
        else:
            scale = self.weight_scale
        # The scale keeps fewer bits in their limits; these are the only ones that ONNX knows.
        return torch.fake_quantize_per_channel_affine(
            self.weight, scale, self.weight_zero, 0, -128, 127
        )

    def integers(self) -> QuantisedLinear:
        """What an integer engine needs to know of this matrix."""
        limit, scale = self.config.weight_limit, self._scale_of_rows()
        weight = (self.weight.detach() / scale[:, None]).round().clamp(-limit, limit)
        low, high = self.config.input_limits
        return QuantisedLinear(
            weight.to(torch.int8), scale, self.step().detach(), self.zero, low, high
        )

    def step(self) -> Tensor:
        """The input's step, (1,)."""
        if self.log_step is None or self._watch.frozen:
            return self.scale
        return self.log_step.exp()

    def freeze(self) -> None:
        """Write the steps that hold now into the buffers."""
        self.scale.copy_(self.step().detach())
        self.weight_scale.copy_(self._scale_of_rows())

    def set_range(self, low: Tensor, high: Tensor) -> None:
        """Put the input's range where it is told; it is widened to contain 0."""
        self.low.copy_(low.clamp(max=0))
        self.high.copy_(high.clamp(min=0))
        least, most = self.config.input_limits
        if self.config.symmetric:
            self.scale.copy_((torch.maximum(-self.low, self.high) / most).clamp(min=_TINY))
        else:
            self.scale.copy_(((self.high - self.low) / (most - least)).clamp(min=_TINY))
            self.zero.copy_((least - self.low / self.scale).round().clamp(least, most))
        if self.log_step is not None:
            self.log_step.data.copy_(self.scale.log())
        self._ready = True

    def train(self, mode: bool = True) -> FakeQuantLinear:
        """As for any module; frozen steps follow what training did to the weights."""
        if self._watch.frozen and self.training and not mode:
            self.weight_scale.copy_(self._scale_of_rows())
        return super().train(mode)

    @torch.no_grad()
    def _observe(self, x: Tensor) -> None:
        """Let the range follow the rows of channels that are there."""
        usable = self._watch.usable
        if self._by_channel and usable is not None:
            x = x[usable if x.ndim == 4 else usable.transpose(1, 2).flatten(0, 1)]
        rows = x.flatten(0, -2)
        if not len(rows):
            return
        low, high = self._span(rows)
        finite = low.isfinite() & high.isfinite()
        weight = (1 / (self.count + 1)).clamp(min=self.config.momentum) * finite
        self.set_range(
            self.low + weight * (torch.where(finite, low, self.low).clamp(max=0) - self.low),
            self.high + weight * (torch.where(finite, high, self.high).clamp(min=0) - self.high),
        )
        self.count.add_(finite)
        if self.peaks is not None:
            self.peaks = torch.maximum(self.peaks, rows.abs().amax(0).nan_to_num(0, 0, 0))

    def _span(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Smallest and largest of the rows' values, or their percentiles."""
        if self.config.percentile == 100:
            return rows.amin(), rows.amax()
        some = rows[:: math.ceil(len(rows) / _ROWS)].flatten()
        beyond = round((1 - self.config.percentile / 100) * (some.numel() - 1))
        low, high = some.kthvalue(1 + beyond), some.kthvalue(some.numel() - beyond)
        return low.values, high.values

    def _scale_of_rows(self) -> Tensor:
        peaks = self.weight.detach().abs().amax(1)
        return (peaks / self.config.weight_limit).clamp(min=_TINY)

    def _rounded_input(self, x: Tensor) -> Tensor:
        low, high = self.config.input_limits
        if self.log_step is not None and self.training and not self._watch.frozen:
            return _learned_rounding(x, self.step(), self.zero, low, high)
        step = self.scale if self.log_step is None else self.step().detach()
        return torch.fake_quantize_per_tensor_affine(x, step, self.zero, low, high)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._ready = bool(self.count > 0)


class QuantisedLinear(NamedTuple):
    """One matrix in integers.

    Parameters
    ----------
    weight : Tensor of int8, shape (n_out, n_in)
        Weights in steps.
    weight_scale : Tensor, shape (n_out,)
        Step of each row.
    input_scale, input_zero : Tensor, shape (1,)
        Step and zero point (int32) of the input.
    input_low, input_high : int
        Limits of the input's integers.
    """

    weight: Tensor
    weight_scale: Tensor
    input_scale: Tensor
    input_zero: Tensor
    input_low: int
    input_high: int

    def apply(self, x: Tensor) -> Tensor:
        """The product as an integer engine forms it: x (..., n_in) to (..., n_out)."""
        steps = (x / self.input_scale).round() + self.input_zero
        whole = steps.clamp(self.input_low, self.input_high).to(torch.int32) - self.input_zero
        total = whole @ self.weight.T.to(torch.int32)
        return total * (self.input_scale * self.weight_scale)


def _learned_rounding(x: Tensor, step: Tensor, zero: Tensor, low: int, high: int) -> Tensor:
    """Rounding whose step has a gradient too, made as small as one weight's."""
    share = 1 / math.sqrt(x.numel() * high)
    step = step * share + (step * (1 - share)).detach()
    placed = (x / step + zero).clamp(low, high)
    rounded = placed + (placed.round() - placed).detach()
    return (rounded - zero) * step
