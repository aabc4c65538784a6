"""The causal network as it serves: gated recurrent units, step by step, in numpy alone.

Weights come from `training`; the equations are those of Cho et al. [1]_ in the form that torch
computes them, so both agree to rounding.

References
----------
.. [1] Cho, van Merriënboer, Gulcehre, et al. Learning phrase representations using RNN
   encoder-decoder for statistical machine translation. EMNLP, 2014.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BundleError

Floats32 = NDArray[np.float32]

_OF_A_LAYER = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class CausalNetwork:
    """Frame in, scores of blank and phonemes out; remembers the frames since `restart`.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        ``weight_ih_l0`` (3 n_hidden, n_in), ``weight_hh_l0`` (3 n_hidden, n_hidden),
        ``bias_ih_l0`` and ``bias_hh_l0`` (3 n_hidden,), the same for further layers, and
        ``weight_out`` (n_tokens, n_hidden), ``bias_out`` (n_tokens,). Rows of a layer are the
        reset gate's, the update gate's and the candidate's.

    Raises
    ------
    BundleError
        If an array is missing or does not fit.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        n_layers = sum(name.startswith("weight_hh_l") for name in arrays)
        names = [f"{name}_l{layer}" for layer in range(n_layers) for name in _OF_A_LAYER]
        names += ["weight_out", "bias_out"]
        if missing := [name for name in names if name not in arrays] or not n_layers:
            raise BundleError(f"The speech network lacks {missing}: fit the model again.")
        self._arrays = {name: np.array(arrays[name], dtype=np.float32) for name in names}
        self._layers = [
            tuple(self._arrays[f"{name}_l{layer}"] for name in _OF_A_LAYER)
            for layer in range(n_layers)
        ]
        self._out, self._bias = self._arrays["weight_out"], self._arrays["bias_out"]
        self.n_in, self.n_tokens = self._layers[0][0].shape[1], len(self._out)
        self.n_hidden = self._out.shape[1]
        self._check()
        self.restart()

    def _check(self) -> None:
        n_in = self.n_in
        for weight_ih, weight_hh, bias_ih, bias_hh in self._layers:
            n_rows = 3 * self.n_hidden
            wanted = ((n_rows, n_in), (n_rows, self.n_hidden), (n_rows,), (n_rows,))
            got = tuple(array.shape for array in (weight_ih, weight_hh, bias_ih, bias_hh))
            if got != wanted:
                raise BundleError(
                    f"A layer of the speech network has shapes {got}, needed are {wanted}: fit "
                    f"the model again."
                )
            n_in = self.n_hidden

    def to_arrays(self) -> dict[str, Floats32]:
        """What was learnt, for a bundle."""
        return dict(self._arrays)

    def restart(self) -> None:
        """Forget every frame."""
        self._hidden = [np.zeros(self.n_hidden, np.float32) for _ in self._layers]

    def step(self, frame: NDArray[np.floating]) -> Floats32:
        """Take in the next frame.

        Parameters
        ----------
        frame : ndarray, shape (n_in,)
            Features.

        Returns
        -------
        scores : ndarray, shape (n_tokens,)
            Before softmax; the first is the blank's.
        """
        x, n = frame.astype(np.float32), self.n_hidden
        for place, (weight_ih, weight_hh, bias_ih, bias_hh) in enumerate(self._layers):
            hidden = self._hidden[place]
            from_x = weight_ih @ x + bias_ih
            from_hidden = weight_hh @ hidden + bias_hh
            # The logistic function by way of tanh, which never overflows.
            gates = 0.5 + 0.5 * np.tanh(0.5 * (from_x[: 2 * n] + from_hidden[: 2 * n]))
            candidate = np.tanh(from_x[2 * n :] + gates[:n] * from_hidden[2 * n :])
            x = self._hidden[place] = candidate + gates[n:] * (hidden - candidate)
        scores: Floats32 = self._out @ x + self._bias
        return scores
